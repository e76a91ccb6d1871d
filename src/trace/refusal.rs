use std::convert::Infallible;

use super::event::{Event, Subject};
use super::record::{record, weight_bytes};
use super::strangers;
use super::transcript::put_transcript;
use crate::store::{Halt, Op, StoreError, Tx};

/// Records what was refused, with the dialogue that led to it. No change of the file goes with it: it is to be given to
/// [`crate::store::Store::ride`].
#[derive(Debug, Clone)]
pub struct Refusal {
    /// What it is about.
    pub subject: Subject,
    /// What happened: one event for each recipient, at least one.
    pub events: Vec<Event>,
    /// What was said, with its number among the dialogues of the subject. One of the same number is replaced: it is the
    /// same dialogue, which has gone on.
    pub dialogue: Option<(u32, String)>,
    /// Nobody has logged in who could be asked to stop: all of these together take no more than
    /// [`crate::base::limits::TRACED_STRANGERS_BYTES`].
    pub is_stranger: bool,
}

impl Refusal {
    /// One event, by somebody who has not logged in.
    pub fn of_stranger(subject: Subject, event: Event) -> Self {
        Self { subject, events: vec![event], dialogue: None, is_stranger: true }
    }
}

impl Op for Refusal {
    type Plan = ();
    type Out = ();
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "trace.refusal"
    }

    fn weight_bytes(&self) -> usize {
        let texts: usize = self.events.iter().map(|event| 512 + event.text.len()).sum();
        texts + self.dialogue.as_ref().map_or(0, |(_, text)| text.len())
    }

    fn is_expendable(&self) -> bool {
        true
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<Infallible>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        let (mut bytes, mut transcript) = (0, None);
        if let Some((number, text)) = &self.dialogue {
            bytes += put_transcript(tx, self.subject, *number, text)?;
            transcript = Some(*number);
        }
        for event in &self.events {
            let event = Event { transcript, ..event.clone() };
            bytes += weight_bytes(&event);
            record(tx, self.subject, event)?;
        }
        if self.is_stranger { strangers::add(tx, self.subject, bytes) } else { Ok(()) }
    }
}
