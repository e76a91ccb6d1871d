use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::outcome::Attempt;
use super::route::{ROUTE_PLACES, ROUTES};
use super::via::Via;
use crate::base::{Address, BlobId, MessageId, QueueId, Timestamp};
use crate::postcard_row;
use crate::store::{AnyTable, Row, Table};

/// Announced (number 0) when an entry has become due, and at every change of an entry by an operator.
pub const QUEUE_TOPIC: &str = "queue";

/// Messages with at least one entry left.
pub(super) static MESSAGES: Table<MessageId, Message> = Table::new("queue_messages");
/// Their heads: trace fields and header block, as sent.
pub(super) static HEADS: Table<MessageId, Lines> = Table::new("queue_heads");
/// The entries.
pub(super) static ENTRIES: Table<QueueId, Entry> = Table::new("queue");
/// The schedule: every entry stands here once, at [`Entry::due`].
pub(super) static DUE: Table<(Timestamp, QueueId), ()> = Table::new("queue_due");
/// The entries of each recipient domain (as [`crate::base::Host`] writes it).
pub(super) static BY_DOMAIN: Table<(String, QueueId), ()> = Table::new("queue_by_domain");
/// Attempts that were about to send the end of data: what is here at start has an uncertain outcome.
pub(super) static OPEN: Table<QueueId, OpenAttempt> = Table::new("attempts_open");
/// The room's tables.
pub const TABLES: &[&dyn AnyTable] = &[&MESSAGES, &HEADS, &ENTRIES, &DUE, &BY_DOMAIN, &OPEN, &ROUTES, &ROUTE_PLACES];

/// When what an operator holds is due: never.
pub const NEVER: Timestamp = Timestamp(u64::MAX);

/// What all entries of a message share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The sender of the envelope; `None`: the null sender.
    pub sender: Option<Address>,
    /// Who is told when it can't be delivered.
    pub notify: Notify,
    /// The body, from the blank line on, with one reference for the whole message.
    pub blob: Option<BlobId>,
    /// Octets of the head.
    pub head_bytes: u32,
    /// Octets of the body.
    pub body_bytes: u64,
    /// It holds octets above 127: the next hop needs 8BITMIME (RFC 6152 §3).
    pub eight_bit: bool,
    /// The envelope or the header needs SMTPUTF8 (RFC 6531 §3.4).
    pub smtputf8: bool,
    /// When it came in.
    pub at: Timestamp,
    /// Entries that are left.
    pub entries: u32,
}
postcard_row!(Message, 1);

/// Who is told when a message can't be delivered. Never a stranger: a forged sender would get mail that it never caused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Notify {
    /// The sender of the envelope, whom we know: it has logged in, or is ourselves.
    Sender,
    /// Our postmaster: the sender is null, or a stranger whose mail an alias forwards.
    Postmaster,
}

/// One recipient of a queued message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Where it goes.
    pub recipient: Address,
    /// The recipient as the sender had named it, where an alias led elsewhere.
    pub original: Option<Address>,
    /// What it waits for.
    pub state: State,
    /// When something is to be done: the next attempt; of what is parked its end; of what is held the end of the hold, or
    /// of time.
    pub due: Timestamp,
    /// When it is given up: by the first attempt that fails from then on, of what is parked without one. Moved to a later
    /// time when it is parked.
    pub expires_at: Timestamp,
    /// Attempts that were made.
    pub attempts: u32,
    /// The sender has been told of the delay.
    pub delay_told: bool,
    /// The last attempt.
    pub last: Option<Attempt>,
    /// The way that an operator has chosen for it.
    pub via: Option<Via>,
}

impl Row for Entry {
    const VERSION: u8 = 2;

    fn encode(&self, out: &mut Vec<u8>) {
        // Writing plain data to memory can't fail; an empty row would be seen as damage.
        if let Ok(bytes) = postcard::to_stdvec(self) {
            out.extend_from_slice(&bytes);
        }
    }

    fn decode(version: u8, bytes: &[u8]) -> Option<Self> {
        let row = match version {
            // It ended before `via`, and what is not there is one zero octet.
            1 => Cow::Owned([bytes, &[0]].concat()),
            2 => Cow::Borrowed(bytes),
            _ => return None,
        };
        let (entry, rest) = postcard::take_from_bytes(&row).ok()?;
        rest.is_empty().then_some(entry)
    }
}

/// What an entry waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Its next attempt, at [`Entry::due`].
    Waiting {
        /// Goes out although its domain is held for a peer: by ETRN or by hand, for one attempt.
        released: bool,
    },
    /// An operator. It never expires.
    Held {
        /// Why.
        reason: String,
    },
    /// A peer that fetches it, or a release; given up at [`Entry::due`].
    Parked {
        /// The peer.
        peer: String,
    },
}

/// An attempt that is about to send the end of data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenAttempt {
    /// When.
    pub at: Timestamp,
    /// To which server: name and address, as in `mx.example.org [192.0.2.1]:25`.
    pub server: String,
    /// By whom, as in `delivery` or `atrn branch`.
    pub actor: String,
}
postcard_row!(OpenAttempt, 1);

/// Header lines, each with its CRLF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lines(pub(super) Vec<u8>);

impl Row for Lines {
    const VERSION: u8 = 1;

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }

    fn decode(version: u8, bytes: &[u8]) -> Option<Self> {
        (version == 1).then(|| Self(bytes.to_vec()))
    }
}

/// Where an entry's domain index row stands.
pub(super) fn domain_place(id: QueueId, entry: &Entry) -> (String, QueueId) {
    (entry.recipient.host.to_string(), id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_of_version_1_reads_without_a_way() {
        let entry = Entry {
            recipient: Address::parse("a@one.test").unwrap(),
            original: None,
            state: State::Held { reason: "look".into() },
            due: NEVER,
            expires_at: Timestamp(9),
            attempts: 3,
            delay_told: true,
            last: None,
            via: None,
        };
        let mut row = Vec::new();
        entry.encode(&mut row);
        assert_eq!(Entry::decode(2, &row).as_ref(), Some(&entry));
        let old = &row[..row.len() - 1];
        assert_eq!(Entry::decode(1, old).as_ref(), Some(&entry));
        assert_eq!((Entry::decode(2, old), Entry::decode(1, &row), Entry::decode(3, &row)), (None, None, None));
        let with_via = Entry { via: Some(Via::Route("smart".into())), ..entry };
        let mut row = Vec::new();
        with_via.encode(&mut row);
        assert_eq!(Entry::decode(2, &row), Some(with_via));
    }
}
