use std::collections::{HashMap, HashSet};

use super::event::{Event, Kind, Subject};
use super::record::{EVENTS, Place, places, unplace};
use super::transcript::forget_transcript;
use crate::base::limits;
use crate::store::{Read, Span, StoreError, Tx};

/// What makes events alike: the later one says all that the earlier ones have said, but for how often it happened.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Alike<'a> {
    /// What was done with the copies of an account.
    Account(Kind, &'a str),
    /// What was done with an entry of the queue, or why it was put off: how far it came, and with which code. The words
    /// may be others each time, as those that name a session or a time to wait.
    Entry(Kind, u32, Option<Reason<'a>>),
    /// The same message once more.
    Repeated,
}

type Reason<'a> = (Option<&'a str>, Option<u16>);

impl<'a> Alike<'a> {
    fn of(event: &'a Event) -> Option<Self> {
        let account = || event.account.as_deref().map(|account| Self::Account(event.kind, account));
        let entry = |reason| event.entry.map(|entry| Self::Entry(event.kind, entry, reason));
        match event.kind {
            Kind::Fetched | Kind::Moved | Kind::Copied | Kind::Expunged | Kind::Restored => account(),
            Kind::Held | Kind::Released | Kind::Retried | Kind::Parked | Kind::Uncertain => entry(None),
            Kind::Deferred => entry(Some((event.stage.as_deref(), event.code))),
            Kind::Repeated => Some(Self::Repeated),
            _ => None,
        }
    }
}

/// Shortens a story that has grown long, now and then as it grows: what a client, a peer or an operator can do again
/// and again would let it grow without end. Events that decide what became of a recipient are never left out.
pub(super) fn shorten_now_and_then(
    tx: &mut Tx<'_>,
    (subject, number): (Subject, u32),
    last: &Event,
) -> Result<(), StoreError> {
    let is_time = number >= limits::TRACED_STORY_EVENTS && number.is_multiple_of(limits::TRACED_STORY_STEP);
    if is_time && Alike::of(last).is_some() { shorten(tx, subject) } else { Ok(()) }
}

/// Of events that are alike the first ones stay and the last, which counts those between.
fn shorten(tx: &mut Tx<'_>, subject: Subject) -> Result<(), StoreError> {
    let rows = tx.rows(&EVENTS, Span::prefix(&subject), usize::MAX)?;
    let mut groups: HashMap<Alike<'_>, Vec<usize>> = HashMap::new();
    for (at, (_, event)) in rows.iter().enumerate() {
        if let Some(alike) = Alike::of(event) {
            groups.entry(alike).or_default().push(at);
        }
    }
    let (mut left_out, mut counted) = (HashSet::new(), HashMap::new());
    for members in groups.into_values().filter(|members| members.len() > limits::TRACED_ALIKE) {
        let Some((last, before)) = members.split_last() else { continue };
        let between = before.iter().skip(limits::TRACED_ALIKE - 1).copied();
        let more = between.clone().map(|at| rows[at].1.times()).sum::<u64>() + u64::from(rows[*last].1.more);
        counted.insert(*last, u32::try_from(more).unwrap_or(u32::MAX));
        left_out.extend(between);
    }
    for (at, more) in counted {
        let (key, event) = &rows[at];
        tx.put(&EVENTS, key, &Event { more, ..event.clone() })?;
    }
    let stay = |at: &usize| !left_out.contains(at);
    let (staying, going): (Vec<_>, Vec<_>) = (0..rows.len()).partition(stay);
    let events = |places: &[usize]| places.iter().map(|at| &rows[*at].1).collect::<Vec<_>>();
    // What they are found by may be said by others too.
    let needed: HashSet<Place> = events(&staying).into_iter().flat_map(places).collect();
    let lost: HashSet<Place> =
        events(&going).into_iter().flat_map(places).filter(|place| !needed.contains(place)).collect();
    for place in lost {
        unplace(tx, subject, place)?;
    }
    let named: HashSet<u32> = events(&staying).into_iter().filter_map(|event| event.transcript).collect();
    for at in going {
        let ((_, number), event) = &rows[at];
        tx.remove(&EVENTS, &(subject, *number))?;
        if let Some(transcript) = event.transcript.filter(|transcript| !named.contains(transcript)) {
            forget_transcript(tx, subject, transcript)?;
        }
    }
    Ok(())
}
