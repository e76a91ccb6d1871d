use super::QUEUE_TOPIC;
use super::entry::replace;
use super::read::{Waiting, entries, entries_of_domain, entries_of_peer, entries_of_sender};
use super::row::{Entry, MESSAGES, Message, OPEN, State};
use crate::base::{Address, DomainName, QueueId, Timestamp};
use crate::store::{Halt, Op, Read, StoreError, Topic, Tx};
use crate::trace::{self, Event, Kind, Subject};

/// Which entries a flush is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// All that wait.
    All,
    /// Those for a domain.
    Domain(DomainName),
    /// Those from a sender; `None`: the null sender.
    Sender(Option<Address>),
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
    /// The first `limit` entries that it names, behind `after`. What is held or in flight is among them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn slice(&self, read: &impl Read, after: Option<QueueId>, limit: usize) -> Result<Slice, StoreError> {
        let entries = match self {
            Self::All => entries(read, after, limit)?,
            Self::Domain(domain) => entries_of_domain(read, domain.as_str(), after, limit)?,
            Self::Sender(sender) => entries_of_sender(read, sender.as_ref(), after, limit)?,
            Self::Peer(peer) => entries_of_peer(read, peer, after, limit)?,
        };
        let next = entries.last().filter(|_| entries.len() == limit).map(|last| last.id);
        Ok(Slice { entries, next })
    }
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
    /// The messages that they are of; one that the slice before ended with is not counted again.
    pub messages: u64,
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
        let (mut count, mut messages) = (0, 0);
        let mut last = self.after.map(|after| after.message);
        for Waiting { id, entry } in slice.entries {
            if tx.has(&OPEN, &id)? {
                continue;
            }
            // RFC 4865 §4: what its sender has put off is not sent earlier by whoever fetches mail.
            let may_be_early = entry.attempts == 0 && entry.due > self.at;
            let is_early = |message: Message| message.is_early(self.at);
            if may_be_early && tx.get_if_sound(&MESSAGES, &id.message)?.is_some_and(is_early) {
                continue;
            }
            let Some(flushed) = self.flushed(&entry) else { continue };
            count += 1;
            messages += u64::from(last.replace(id.message) != Some(id.message));
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
        Ok(Flushed { count, messages, next: slice.next })
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
        // Also of what is due already: where its destination is in trouble, only what has become due since may try again.
        Some(Entry { state: State::Waiting { released }, due: self.at, ..entry.clone() })
    }
}
