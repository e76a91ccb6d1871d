use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::index::{BY_PEER, BY_SENDER};
use super::outcome::Attempt;
use super::pause::PAUSE;
use super::route::{ROUTE_PLACES, ROUTES};
use super::rule::{RULE_PLACES, RULES};
use super::tally::{DOMAIN_COUNTS, DUE_MINUTES, LARGE_DOMAINS, TALLY};
use super::via::Via;
use crate::base::{Address, BlobId, ByMode, MailOptions, MessageId, QueueId, RcptOptions, Timestamp};
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
pub const TABLES: &[&dyn AnyTable] = &[
    &MESSAGES,
    &HEADS,
    &ENTRIES,
    &DUE,
    &BY_DOMAIN,
    &OPEN,
    &ROUTES,
    &ROUTE_PLACES,
    &RULES,
    &RULE_PLACES,
    &PAUSE,
    &TALLY,
    &DUE_MINUTES,
    &DOMAIN_COUNTS,
    &LARGE_DOMAINS,
    &BY_SENDER,
    &BY_PEER,
];

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
    /// What its sender asks for besides.
    pub options: MailOptions,
    /// The address that it leaves with in the place of its sender: where we forward a stranger's mail.
    pub return_path: Option<Address>,
}

impl Message {
    /// When its way out begins: when it came in, or later where its sender wishes so.
    pub fn begins_at(&self) -> Timestamp {
        self.options.release_at.map_or(self.at, |at| at.max(self.at))
    }

    /// When it is given up at the latest, where its sender wants it back then.
    // RFC 2852 §4.2
    pub fn returns_at(&self) -> Option<Timestamp> {
        self.options.deliver_by.filter(|by| by.mode == ByMode::Return).map(|by| by.at)
    }

    /// Whether it is still too early to send it to anybody.
    pub fn is_early(&self, now: Timestamp) -> bool {
        self.options.release_at.is_some_and(|at| now < at)
    }
}

impl Row for Message {
    const VERSION: u8 = 3;

    fn encode(&self, out: &mut Vec<u8>) {
        encode(self, out);
    }

    fn decode(version: u8, bytes: &[u8]) -> Option<Self> {
        match version {
            // It ended before `options`.
            1 => decode(&[bytes, &encoded(&MailOptions::default()), &[0]].concat()),
            // It ended before `return_path`, and what is not there is one zero octet.
            2 => decode(&[bytes, &[0]].concat()),
            3 => decode(bytes),
            _ => None,
        }
    }
}

// Writing plain data to memory can't fail; an empty row would be seen as damage.
fn encoded<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_stdvec(value).unwrap_or_default()
}

fn encode<T: Serialize>(value: &T, out: &mut Vec<u8>) {
    out.extend_from_slice(&encoded(value));
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let (value, rest) = postcard::take_from_bytes(bytes).ok()?;
    rest.is_empty().then_some(value)
}

/// Who is told when a message can't be delivered. Never a stranger: a forged sender would get mail that it never caused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Notify {
    /// The sender of the envelope, whom we know: it has logged in, has proved to have sent it, or is ourselves.
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
    /// What the sender asks for it.
    pub options: RcptOptions,
}

impl Row for Entry {
    const VERSION: u8 = 3;

    fn encode(&self, out: &mut Vec<u8>) {
        encode(self, out);
    }

    fn decode(version: u8, bytes: &[u8]) -> Option<Self> {
        let options = || encoded(&RcptOptions::default());
        match version {
            // It ended before `via`, and what is not there is one zero octet.
            1 => decode(&[bytes, &[0], &options()].concat()),
            // It ended before `options`.
            2 => decode(&[bytes, &options()].concat()),
            3 => decode(bytes),
            _ => None,
        }
    }
}

/// What an entry waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Its next attempt, at [`Entry::due`].
    Waiting {
        /// Goes out although its domain is held for a peer, or a rule would hold it: by ETRN or by hand, for one attempt.
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
    use crate::base::NotifyOn;

    fn entry() -> Entry {
        Entry {
            recipient: Address::parse("a@one.test").unwrap(),
            original: None,
            state: State::Held { reason: "look".into() },
            due: NEVER,
            expires_at: Timestamp(9),
            attempts: 3,
            delay_told: true,
            last: None,
            via: None,
            options: RcptOptions::default(),
        }
    }

    fn row<T: Row>(value: &T) -> Vec<u8> {
        let mut row = Vec::new();
        value.encode(&mut row);
        row
    }

    #[test]
    fn an_entry_of_an_older_version_reads_without_what_it_did_not_have() {
        let (entry, row_now) = (entry(), row(&entry()));
        assert_eq!(Entry::decode(3, &row_now).as_ref(), Some(&entry));
        // Its two options are nothing: an octet each. Before them stands the way, which is one too.
        let second = &row_now[..row_now.len() - 2];
        assert_eq!(Entry::decode(2, second).as_ref(), Some(&entry));
        let first = &row_now[..row_now.len() - 3];
        assert_eq!(Entry::decode(1, first).as_ref(), Some(&entry));
        assert_eq!(
            (Entry::decode(3, second), Entry::decode(1, &row_now), Entry::decode(4, &row_now)),
            (None, None, None)
        );
        let options = RcptOptions { notify: Some(NotifyOn::NEVER), original: None };
        let full = Entry { via: Some(Via::Route("smart".into())), options, ..entry };
        assert_eq!(Entry::decode(3, &row(&full)), Some(full));
    }

    #[test]
    fn a_message_of_version_1_asks_for_nothing() {
        let message = Message {
            sender: None,
            notify: Notify::Postmaster,
            blob: None,
            head_bytes: 1,
            body_bytes: 2,
            eight_bit: true,
            smtputf8: false,
            at: Timestamp(5),
            entries: 7,
            options: MailOptions::default(),
            return_path: None,
        };
        let row_now = row(&message);
        let second = &row_now[..row_now.len() - 1];
        assert_eq!(Message::decode(2, second).as_ref(), Some(&message));
        let old = &second[..second.len() - encoded(&MailOptions::default()).len()];
        assert_eq!(Message::decode(1, old).as_ref(), Some(&message));
        assert_eq!(
            (Message::decode(2, old), Message::decode(1, &row_now), Message::decode(3, second)),
            (None, None, None)
        );
        let options = MailOptions { priority: -3, envelope_id: Some("x".into()), ..MailOptions::default() };
        let return_path = Some(Address::parse("SRS0=a=b=c=d@x.test").unwrap());
        let full = Message { options, return_path, ..message };
        assert_eq!(Message::decode(3, &row(&full)), Some(full));
    }
}
