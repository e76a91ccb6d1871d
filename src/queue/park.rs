use super::QUEUE_TOPIC;
use super::entry::{message_of, replace};
use super::policy::ms;
use super::row::{ENTRIES, Entry, OPEN, State};
use crate::base::{QueueId, Timestamp};
use crate::store::{Halt, Op, Read, StoreError, Topic, Tx};
use crate::trace::{self, Event, Kind, Subject};

/// Who does what no operator asked for.
const ACTOR: &str = "delivery";

/// Moves waiting entries to a later time without an attempt: their destination is not to be dialled before.
pub struct Postpone {
    /// Which, and when each was due when that was decided: what was made due anew since is to be tried, and is passed over
    /// like what is gone, held, parked, in an open attempt or due later anyway.
    pub entries: Vec<(QueueId, Timestamp)>,
    /// Until when.
    pub until: Timestamp,
}

impl Op for Postpone {
    type Plan = ();
    type Out = ();
    type Refused = std::convert::Infallible;

    fn name(&self) -> &'static str {
        "queue.postpone"
    }

    fn weight_bytes(&self) -> usize {
        256 * (self.entries.len() + 1)
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<Self::Refused>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        for (id, seen_due) in &self.entries {
            each_at_rest(tx, std::slice::from_ref(id), |tx, id, entry| {
                let is_as_seen = matches!(entry.state, State::Waiting { .. }) && entry.due == *seen_due;
                if is_as_seen && entry.due < self.until {
                    replace(tx, id, &entry, &Entry { due: self.until, ..entry.clone() })?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// Parks waiting entries for a peer (`Some`), or makes parked ones wait again, due at once, because no peer holds their
/// domain any more (`None`).
pub struct Park {
    /// Which; those in another state, those that are released and those in an open attempt are passed over.
    pub entries: Vec<QueueId>,
    /// For whom.
    pub peer: Option<String>,
    /// `queue.hold_expiry_seconds`, counted from when the message came in, or is released.
    pub hold_expiry_seconds: u64,
    /// Now.
    pub at: Timestamp,
}

impl Op for Park {
    type Plan = ();
    type Out = ();
    type Refused = std::convert::Infallible;

    fn name(&self) -> &'static str {
        "queue.park"
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
        each_at_rest(tx, &self.entries, |tx, id, entry| match (&entry.state, &self.peer) {
            (State::Waiting { released: false }, Some(peer)) => self.park(tx, id, &entry, peer),
            (State::Parked { .. }, None) => release(tx, id, &entry, "no peer holds its domain any more", self.at),
            _ => Ok(()),
        })?;
        if self.peer.is_none() {
            tx.announce(Topic(QUEUE_TOPIC, 0));
        }
        Ok(())
    }
}

impl Park {
    fn park(&self, tx: &mut Tx<'_>, id: QueueId, entry: &Entry, peer: &str) -> Result<(), StoreError> {
        let message = message_of(tx, id)?;
        let due = message.begins_at().plus_ms(ms(self.hold_expiry_seconds));
        let due = message.returns_at().map_or(due, |at| at.min(due));
        note(tx, id, entry, Kind::Parked, format!("for {peer}"), self.at)?;
        let state = State::Parked { peer: peer.to_owned() };
        replace(tx, id, entry, &Entry { state, due, expires_at: entry.expires_at.max(due), ..entry.clone() })
    }
}

/// Ends holds whose time has come: the entries are due at once. Those that are gone, not held, held for longer or in an
/// open attempt are passed over.
pub struct EndHold {
    /// Which.
    pub entries: Vec<QueueId>,
    /// Now.
    pub at: Timestamp,
}

impl Op for EndHold {
    type Plan = ();
    type Out = ();
    type Refused = std::convert::Infallible;

    fn name(&self) -> &'static str {
        "queue.end_hold"
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
        each_at_rest(tx, &self.entries, |tx, id, entry| {
            if matches!(entry.state, State::Held { .. }) && entry.due <= self.at {
                release(tx, id, &entry, "the time of the hold is over", self.at)?;
            }
            Ok(())
        })?;
        tx.announce(Topic(QUEUE_TOPIC, 0));
        Ok(())
    }
}

/// Calls `each` for those of the entries that are there and in no open attempt.
pub(super) fn each_at_rest(
    tx: &mut Tx<'_>,
    entries: &[QueueId],
    mut each: impl FnMut(&mut Tx<'_>, QueueId, Entry) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    for id in entries {
        if !tx.has(&OPEN, id)?
            && let Some(entry) = tx.get_if_sound(&ENTRIES, id)?
        {
            each(tx, *id, entry)?;
        }
    }
    Ok(())
}

/// Makes an entry wait, due at once.
fn release(tx: &mut Tx<'_>, id: QueueId, entry: &Entry, why: &str, at: Timestamp) -> Result<(), StoreError> {
    note(tx, id, entry, Kind::Released, why.to_owned(), at)?;
    replace(tx, id, entry, &Entry { state: State::Waiting { released: false }, due: at, ..entry.clone() })
}

/// Tells the trace.
pub(super) fn note(
    tx: &mut Tx<'_>,
    id: QueueId,
    entry: &Entry,
    kind: Kind,
    text: String,
    at: Timestamp,
) -> Result<(), StoreError> {
    let recipient = Some(entry.recipient.to_string());
    let event = Event { recipient, text, entry: Some(id.number), ..Event::new(at, kind, ACTOR) };
    trace::record(tx, Subject::Message(id.message), event)
}
