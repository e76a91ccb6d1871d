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
    /// Which; those that are gone, held, parked, in an open attempt or due later anyway are passed over.
    pub entries: Vec<QueueId>,
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
        for id in &self.entries {
            let Some(entry) = at_rest(tx, *id)? else { continue };
            if matches!(entry.state, State::Waiting { .. }) && entry.due < self.until {
                replace(tx, *id, &entry, &Entry { due: self.until, ..entry.clone() })?;
            }
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
    /// `queue.hold_expiry_seconds`, counted from when the message came in.
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
        for id in &self.entries {
            let Some(entry) = at_rest(tx, *id)? else { continue };
            match (&entry.state, &self.peer) {
                (State::Waiting { released: false }, Some(peer)) => self.park(tx, *id, &entry, peer)?,
                (State::Parked { .. }, None) => self.end(tx, *id, &entry)?,
                _ => {}
            }
        }
        if self.peer.is_none() {
            tx.announce(Topic(QUEUE_TOPIC, 0));
        }
        Ok(())
    }
}

impl Park {
    fn park(&self, tx: &mut Tx<'_>, id: QueueId, entry: &Entry, peer: &str) -> Result<(), StoreError> {
        let due = message_of(tx, id)?.at.plus_ms(ms(self.hold_expiry_seconds));
        self.note(tx, id, entry, Kind::Parked, format!("for {peer}"))?;
        let state = State::Parked { peer: peer.to_owned() };
        replace(tx, id, entry, &Entry { state, due, expires_at: entry.expires_at.max(due), ..entry.clone() })
    }

    fn end(&self, tx: &mut Tx<'_>, id: QueueId, entry: &Entry) -> Result<(), StoreError> {
        self.note(tx, id, entry, Kind::Released, "no peer holds its domain any more".into())?;
        let state = State::Waiting { released: false };
        replace(tx, id, entry, &Entry { state, due: self.at, ..entry.clone() })
    }

    fn note(&self, tx: &mut Tx<'_>, id: QueueId, entry: &Entry, kind: Kind, text: String) -> Result<(), StoreError> {
        let recipient = Some(entry.recipient.to_string());
        let event = Event { recipient, text, entry: Some(id.number), ..Event::new(self.at, kind, ACTOR) };
        trace::record(tx, Subject::Message(id.message), event)
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
        for id in &self.entries {
            let Some(entry) = at_rest(tx, *id)? else { continue };
            if !matches!(entry.state, State::Held { .. }) || entry.due > self.at {
                continue;
            }
            let event = Event {
                recipient: Some(entry.recipient.to_string()),
                text: "the time of the hold is over".into(),
                entry: Some(id.number),
                ..Event::new(self.at, Kind::Released, ACTOR)
            };
            trace::record(tx, Subject::Message(id.message), event)?;
            let state = State::Waiting { released: false };
            replace(tx, *id, &entry, &Entry { state, due: self.at, ..entry.clone() })?;
        }
        tx.announce(Topic(QUEUE_TOPIC, 0));
        Ok(())
    }
}

/// The entry, if it is in no open attempt.
fn at_rest(read: &impl Read, id: QueueId) -> Result<Option<Entry>, StoreError> {
    if read.has(&OPEN, &id)? { Ok(None) } else { read.get(&ENTRIES, &id) }
}
