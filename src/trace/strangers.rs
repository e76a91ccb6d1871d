use std::convert::Infallible;
use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::event::Subject;
use super::record::{EVENTS, unrecord};
use super::transcript::forget_transcripts;
use crate::base::limits;
use crate::postcard_row;
use crate::store::{Findings, Halt, Op, Read, Span, StoreError, Table, Tx, View};

/// The stories of clients that have not logged in: refusals, which cost them nothing, and us octets.
pub(super) static STRANGERS: Table<Subject, Octets> = Table::new("trace_strangers");
/// What all of them take together, under the key 0.
pub(super) static STRANGERS_BYTES: Table<u8, Octets> = Table::new("trace_strangers_bytes");

/// How much there is in the file, roughly.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Octets(pub(super) u64);
postcard_row!(Octets, 1);

/// A story has grown by so many octets. Where all of them are too large now, the oldest go.
pub(super) fn add(tx: &mut Tx<'_>, subject: Subject, bytes: u64) -> Result<(), StoreError> {
    let before = tx.get_if_sound(&STRANGERS, &subject)?.unwrap_or_default();
    tx.put(&STRANGERS, &subject, &Octets(before.0 + bytes))?;
    let all = tx.get_if_sound(&STRANGERS_BYTES, &0)?.unwrap_or_default().0 + bytes;
    tx.put(&STRANGERS_BYTES, &0, &Octets(all))?;
    if all <= limits::TRACED_STRANGERS_BYTES {
        return Ok(());
    }
    // A slice each time is more than comes.
    remove_oldest(tx, Some(subject), all - limits::TRACED_STRANGERS_BYTES).map(drop)
}

/// Removes a story, whoever it is about: its events, what they are found by, and its dialogues.
pub(super) fn remove_story(tx: &mut Tx<'_>, subject: Subject) -> Result<u64, StoreError> {
    for ((_, number), event) in tx.rows(&EVENTS, Span::prefix(&subject), usize::MAX)? {
        unrecord(tx, subject, number, &event)?;
    }
    forget_transcripts(tx, subject)?;
    let Some(Octets(bytes)) = tx.remove(&STRANGERS, &subject)? else { return Ok(0) };
    let all = tx.get_if_sound(&STRANGERS_BYTES, &0)?.unwrap_or_default().0;
    tx.put(&STRANGERS_BYTES, &0, &Octets(all.saturating_sub(bytes)))?;
    Ok(bytes)
}

/// Removes a slice of the stories of strangers, the oldest first: for a disk that is full. How many are gone.
#[derive(Debug, Clone, Copy)]
pub(super) struct DropRefusals;

impl Op for DropRefusals {
    type Plan = ();
    type Out = usize;
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "trace.drop_refusals"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<Infallible>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<usize, StoreError> {
        remove_oldest(tx, None, u64::MAX)
    }
}

/// Removes the oldest stories of strangers, until so many octets are gone, or [`limits::PRUNED_REFUSALS`]; how many
/// are. The newest story of the whole trace stays: new ids begin above it.
fn remove_oldest(tx: &mut Tx<'_>, spared: Option<Subject>, mut bytes: u64) -> Result<usize, StoreError> {
    let newest = tx.last(&EVENTS, Span::all())?.map(|((subject, _), _)| subject);
    let mut oldest = tx.rows(&STRANGERS, Span::all(), limits::PRUNED_REFUSALS)?;
    oldest.retain(|(subject, _)| Some(*subject) != newest && Some(*subject) != spared);
    let mut removed = 0;
    for (subject, _) in oldest {
        if bytes == 0 {
            break;
        }
        bytes = bytes.saturating_sub(remove_story(tx, subject)?);
        removed += 1;
    }
    Ok(removed)
}

/// Each of them has a story, and together they take what is said.
pub(super) fn check_strangers(view: &View, findings: &mut Findings) -> Result<(), StoreError> {
    let (mut all, mut subjects) = (0, Vec::new());
    view.scan(&STRANGERS, Span::all(), |subject, Octets(bytes)| {
        all += bytes;
        subjects.push(subject);
        ControlFlow::Continue(())
    })?;
    for subject in subjects {
        if view.first(&EVENTS, Span::prefix(&subject))?.is_none() {
            findings.add(format!("trace: {subject} is a refusal without events")).remove(&STRANGERS, &subject);
        }
    }
    let told = view.get(&STRANGERS_BYTES, &0)?.unwrap_or_default().0;
    if told != all {
        let what = format!("trace: refusals take {all} octets, and {told} are told");
        findings.add(what).put(&STRANGERS_BYTES, &0, &Octets(all));
    }
    Ok(())
}
