use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::base::{Enhanced, MessageId, Reply, Timestamp, TraceId};
use crate::store::{Key, Row};

/// What an event is about. Sorts by time, since both kinds of id come from one rising sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A message that was taken in.
    Message(MessageId),
    /// A transaction that was refused before there was a message.
    Refused(TraceId),
}

impl Subject {
    pub(super) const FIRST: Self = Self::Message(MessageId(0));
    pub(super) const LAST: Self = Self::Refused(TraceId(u64::MAX));

    /// The first that an id of that moment could name.
    pub fn first_at(at: Timestamp) -> Self {
        Self::Message(MessageId(at.ms().saturating_mul(1 << 16)))
    }

    /// When the id was made.
    pub fn at(self) -> Timestamp {
        match self {
            Self::Message(id) => id.at(),
            Self::Refused(id) => id.at(),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(id) => id.fmt(f),
            Self::Refused(id) => id.fmt(f),
        }
    }
}

impl Key for Subject {
    fn write(&self, out: &mut Vec<u8>) {
        let (id, kind) = match self {
            Self::Message(id) => (id.0, 0u8),
            Self::Refused(id) => (id.0, 1),
        };
        id.write(out);
        kind.write(out);
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let id = u64::read(bytes)?;
        match u8::read(bytes)? {
            0 => Some(Self::Message(MessageId(id))),
            1 => Some(Self::Refused(TraceId(id))),
            _ => None,
        }
    }
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A message was taken in: it is on disk, and its sender was told so.
    Accepted,
    /// A command or a message was refused.
    Rejected,
    /// A copy was put into an account's mailbox.
    Delivered,
    /// The sender had missed our answer and sent the message again; it was not stored twice.
    Repeated,
    /// A copy was removed from a mailbox.
    Expunged,
    /// A recipient elsewhere was queued.
    Queued,
    /// The next server has taken responsibility for a recipient; where the actor is a verb and a peer, as in
    /// `atrn branch`, in a session whose roles were swapped.
    Relayed,
    /// An attempt has failed for now.
    Deferred,
    /// A recipient was refused for good, by the next server or by an operator.
    Failed,
    /// A recipient was given up after it had been deferred too long.
    Expired,
    /// The sender, or the postmaster, was told by a message of ours; the text names it.
    Bounced,
    /// The sender was told that the message is delayed.
    Delayed,
    /// An operator holds it back.
    Held,
    /// A hold was ended.
    Released,
    /// An operator has made it due at once.
    Retried,
    /// An operator has removed it from the queue, and nobody was told.
    Dropped,
    /// It waits for a peer that fetches it.
    Parked,
    /// The server stopped while the other side was about to take the message: it may have it, and will be sent it again.
    Uncertain,
    /// Somebody tried to log in and was refused.
    LoginFailed,
    /// The sender went away, or was too slow, before the end of a message.
    Aborted,
    /// A copy was fetched from a mailbox, by POP3 RETR.
    Fetched,
    /// A copy was moved to another mailbox of its account.
    Moved,
    /// One more copy was put into a mailbox of its account.
    Copied,
    /// An operator has sent it elsewhere: to another recipient, or another way.
    Redirected,
    /// An operator has sent it once more, from the copy that was kept.
    Redelivered,
    /// An operator has brought a copy back into a mailbox, from a backup; the text names that.
    Restored,
    /// The sender was told that it was delivered, as they had asked; the text names the report.
    Reported,
    /// SPF, DKIM and DMARC were evaluated; the text says what came of them.
    Checked,
}

impl Kind {
    /// All of them, in their order.
    pub const ALL: &[Self] = &[
        Self::Accepted,
        Self::Rejected,
        Self::Delivered,
        Self::Repeated,
        Self::Expunged,
        Self::Queued,
        Self::Relayed,
        Self::Deferred,
        Self::Failed,
        Self::Expired,
        Self::Bounced,
        Self::Delayed,
        Self::Held,
        Self::Released,
        Self::Retried,
        Self::Dropped,
        Self::Parked,
        Self::Uncertain,
        Self::LoginFailed,
        Self::Aborted,
        Self::Fetched,
        Self::Moved,
        Self::Copied,
        Self::Redirected,
        Self::Redelivered,
        Self::Restored,
        Self::Reported,
        Self::Checked,
    ];
}

/// One thing that happened. Build it from [`Event::new`] with the fields that apply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: Kind,
    /// Who did it: a protocol, and the account where one was logged in, as in `pop3 alice@example.test`.
    pub actor: String,
    /// The address of the other side.
    pub peer_ip: Option<IpAddr>,
    /// The name that the other side gave itself in HELO or EHLO.
    pub helo: Option<String>,
    /// TLS version and cipher suite.
    pub tls: Option<String>,
    /// The sender of the envelope; empty for the null sender.
    pub sender: Option<String>,
    /// The recipient as the other side gave it.
    pub recipient: Option<String>,
    /// The value of the Message-ID field.
    pub message_id: Option<String>,
    /// Octets of the message as received.
    pub size_bytes: Option<u64>,
    /// The reply code that was given.
    pub code: Option<u16>,
    /// The enhanced code that was given.
    pub enhanced: Option<(u8, u16, u16)>,
    /// The reply's text, or what else there is to say.
    pub text: String,
    /// The server that was spoken to, as in `mx.example.org`.
    pub server: Option<String>,
    /// How far an attempt came, as in `recipient`.
    pub stage: Option<String>,
    /// How long an attempt took.
    pub duration_ms: Option<u64>,
    /// The account that it is about: whose mailbox it is, or who it was that could not log in.
    pub account: Option<String>,
    /// The mailbox, as in `INBOX`: where a copy was put, or where it was taken from.
    pub mailbox: Option<String>,
    /// The number of the queue entry in its message: that of its [`crate::base::QueueId`].
    pub entry: Option<u32>,
    /// The number of the dialogue that belongs to it, among those of its subject.
    pub transcript: Option<u32>,
    /// How often the like has happened besides, before it, where the story does not tell of each.
    pub more: u32,
}

impl Row for Event {
    const VERSION: u8 = 4;

    fn encode(&self, out: &mut Vec<u8>) {
        // Writing plain data to memory can't fail; an empty row would be seen as damage.
        if let Ok(bytes) = postcard::to_stdvec(self) {
            out.extend_from_slice(&bytes);
        }
    }

    fn decode(version: u8, bytes: &[u8]) -> Option<Self> {
        let row = match version {
            // They ended before `server`, before `account` and before `more`. Fields stand one behind the other, and what
            // is not there is one zero octet.
            1 => Cow::Owned([bytes, &[0; 8]].concat()),
            2 => Cow::Owned([bytes, &[0; 5]].concat()),
            3 => Cow::Owned([bytes, &[0; 1]].concat()),
            4 => Cow::Borrowed(bytes),
            _ => return None,
        };
        let (event, rest) = postcard::take_from_bytes(&row).ok()?;
        rest.is_empty().then_some(event)
    }
}

impl Event {
    /// An event with nothing but its time, kind and actor.
    pub fn new(at: Timestamp, kind: Kind, actor: impl Into<String>) -> Self {
        Self {
            at,
            kind,
            actor: actor.into(),
            peer_ip: None,
            helo: None,
            tls: None,
            sender: None,
            recipient: None,
            message_id: None,
            size_bytes: None,
            code: None,
            enhanced: None,
            text: String::new(),
            server: None,
            stage: None,
            duration_ms: None,
            account: None,
            mailbox: None,
            entry: None,
            transcript: None,
            more: 0,
        }
    }

    /// How many of its like it stands for, itself included.
    pub fn times(&self) -> u64 {
        1 + u64::from(self.more)
    }

    /// The same, with the codes and the text of `reply`; its private cause, where it has one, in brackets.
    #[must_use]
    pub fn with_reply(mut self, reply: &Reply) -> Self {
        self.code = Some(reply.code());
        self.enhanced = reply.enhanced().map(|Enhanced(class, subject, detail)| (class, subject, detail));
        self.text = match reply.cause() {
            Some(cause) => format!("{} ({cause})", reply.text()),
            None => reply.text().to_owned(),
        };
        self
    }
}
