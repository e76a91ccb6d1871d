use super::QUEUE_TOPIC;
use super::entry::replace;
use super::row::{ENTRIES, Entry, NEVER, OPEN, State};
use crate::base::{QueueId, Timestamp};
use crate::store::{Halt, Op, Read, StoreError, Topic, Tx};
use crate::trace::{self, Event, Kind, Subject};

/// Holds entries whose outcome can't be written, and closes their attempts: nobody could move them any more, and the next
/// start would send them again, each time.
pub struct Strand {
    /// Which; those that are gone are passed over.
    pub entries: Vec<QueueId>,
    /// Who has tried to write it, as in `delivery`.
    pub actor: String,
    /// What became of them, for the operator who decides.
    pub reason: String,
    /// Now.
    pub at: Timestamp,
}

impl Op for Strand {
    type Plan = ();
    type Out = ();
    type Refused = std::convert::Infallible;

    fn name(&self) -> &'static str {
        "queue.strand"
    }

    fn weight_bytes(&self) -> usize {
        512 * (self.entries.len() + 1)
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<Self::Refused>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        for id in &self.entries {
            tx.remove(&OPEN, id)?;
            let Some(entry) = tx.get_if_sound(&ENTRIES, id)? else { continue };
            let event = Event {
                recipient: Some(entry.recipient.to_string()),
                entry: Some(id.number),
                text: self.reason.clone(),
                ..Event::new(self.at, Kind::Held, self.actor.as_str())
            };
            trace::record(tx, Subject::Message(id.message), event)?;
            let state = State::Held { reason: self.reason.clone() };
            replace(tx, *id, &entry, &Entry { state, due: NEVER, ..entry.clone() })?;
        }
        tx.announce(Topic(QUEUE_TOPIC, 0));
        Ok(())
    }
}
