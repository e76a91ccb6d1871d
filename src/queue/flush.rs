use super::QUEUE_TOPIC;
use super::entry::replace;
use super::read::{Waiting, entries, entries_of_domain, message};
use super::row::{Entry, OPEN, State};
use crate::base::{Address, DomainName, MessageId, QueueId, Timestamp};
use crate::store::{Halt, Op, Read, StoreError, Topic, Tx};
use crate::trace::{self, Event, Kind, Subject};

/// Which entries a flush is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// All that wait.
    All,
    /// Those for a domain.
    Domain(DomainName),
    /// Those from a sender; empty for the null sender.
    Sender(String),
    /// Those parked for a peer.
    Peer(String),
}

/// A slice of what a selector names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    /// The entries.
    pub entries: Vec<Waiting>,
    /// Where to go on; `None` at the end.
    pub next: Option<QueueId>,
}

impl Selector {
    /// The entries that it names among the `limit` behind `after`: of its domain where it names one, else of all. What
    /// is held or in flight is among them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn slice(&self, read: &impl Read, after: Option<QueueId>, limit: usize) -> Result<Slice, StoreError> {
        let mut looked_at = match self {
            Self::Domain(domain) => entries_of_domain(read, domain.as_str(), after, limit)?,
            Self::All | Self::Sender(_) | Self::Peer(_) => entries(read, after, limit)?,
        };
        let next = looked_at.last().filter(|_| looked_at.len() == limit).map(|last| last.id);
        match self {
            Self::All | Self::Domain(_) => {}
            Self::Sender(sender) => keep_sender(read, sender, &mut looked_at)?,
            Self::Peer(name) => {
                looked_at.retain(|one| matches!(&one.entry.state, State::Parked { peer } if peer == name));
            }
        }
        Ok(Slice { entries: looked_at, next })
    }
}

/// Keeps those from the sender. The entries of a message stand side by side, so that each message is read once.
fn keep_sender(read: &impl Read, sender: &str, entries: &mut Vec<Waiting>) -> Result<(), StoreError> {
    let key = |sender: Option<&Address>| sender.map_or_else(String::new, Address::key);
    let wanted = Address::parse(sender).map_or_else(|_| sender.to_lowercase(), |sender| sender.key());
    let (mut last, mut error) = (None::<(MessageId, bool)>, None);
    entries.retain(|one| {
        let id = one.id.message;
        let fits = match last {
            Some((known, fits)) if known == id => fits,
            _ => match message(read, id) {
                Ok(message) => message.is_some_and(|message| key(message.sender.as_ref()) == wanted),
                Err(failure) => {
                    error = Some(failure);
                    false
                }
            },
        };
        last = Some((id, fits));
        fits
    });
    error.map_or(Ok(()), Err)
}

/// Makes entries due at once, and releases those that are parked for one attempt where the selector names a domain or a
/// peer. What is held stays so, and what is in flight is left alone. A slice at a time: call again with what it gave
/// until it gives no more.
pub struct Flush {
    /// Which.
    pub selector: Selector,
    /// Behind this one.
    pub after: Option<QueueId>,
    /// Entries looked at in one slice.
    pub limit: usize,
    /// Who, for the trace.
    pub actor: String,
    /// Now.
    pub at: Timestamp,
}

/// What a slice of a flush did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flushed {
    /// Entries that are due now and were not, or were due already.
    pub count: u64,
    /// Where to go on; `None` at the end.
    pub next: Option<QueueId>,
}

impl Op for Flush {
    type Plan = Slice;
    type Out = Flushed;
    type Refused = std::convert::Infallible;

    fn name(&self) -> &'static str {
        "queue.flush"
    }

    fn weight_bytes(&self) -> usize {
        512 * (self.limit + 1)
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<Slice, Halt<Self::Refused>> {
        Ok(self.selector.slice(tx, self.after, self.limit)?)
    }

    fn apply(&self, tx: &mut Tx<'_>, slice: Slice) -> Result<Flushed, StoreError> {
        let mut count = 0;
        for Waiting { id, entry } in slice.entries {
            if tx.has(&OPEN, &id)? {
                continue;
            }
            let Some(flushed) = self.flushed(&entry) else { continue };
            count += 1;
            if flushed != entry {
                replace(tx, id, &entry, &flushed)?;
                let event = Event {
                    recipient: Some(entry.recipient.to_string()),
                    entry: Some(id.number),
                    ..Event::new(self.at, Kind::Retried, self.actor.as_str())
                };
                trace::record(tx, Subject::Message(id.message), event)?;
            }
        }
        if count > 0 {
            tx.announce(Topic(QUEUE_TOPIC, 0));
        }
        Ok(Flushed { count, next: slice.next })
    }
}

impl Flush {
    /// The entry as it is behind it; `None` where it is none of its business.
    fn flushed(&self, entry: &Entry) -> Option<Entry> {
        // Also of what waits: a released attempt that has failed, or a new entry, is not parked yet.
        let releases = matches!(self.selector, Selector::Domain(_) | Selector::Peer(_));
        let released = match entry.state {
            State::Waiting { released } => released || releases,
            State::Parked { .. } if releases => true,
            State::Parked { .. } | State::Held { .. } => return None,
        };
        let due = match entry.state {
            State::Waiting { .. } => entry.due.min(self.at),
            _ => self.at,
        };
        Some(Entry { state: State::Waiting { released }, due, ..entry.clone() })
    }
}
