use serde::{Deserialize, Serialize};

use crate::base::{AccountId, BlobId, MailboxId, MessageId, ModSeq, Timestamp, Uid};
use crate::postcard_row;
use crate::store::{Row, Table};

/// The mailboxes.
pub(super) static MAILBOXES: Table<MailboxId, Mailbox> = Table::new("mailboxes");
/// The mailboxes of each account, by name.
pub(super) static MAILBOX_BY_NAME: Table<(AccountId, String), MailboxRef> = Table::new("mailbox_by_name");
/// The messages of each mailbox.
pub(super) static MESSAGES: Table<(MailboxId, Uid), Message> = Table::new("messages");
/// The lines that stand before a message's head in this mailbox alone.
pub(super) static OWN_LINES: Table<(MailboxId, Uid), Lines> = Table::new("own_lines");
/// The heads of messages, shared by their recipients.
pub(super) static HEADS: Table<MessageId, Head> = Table::new("heads");
/// What each account's mail takes.
pub(super) static USAGE: Table<AccountId, Usage> = Table::new("usage");
/// What changed in each mailbox, by its change counter.
pub(super) static MODSEQ_LOG: Table<(MailboxId, ModSeq), Change> = Table::new("modseq_log");

/// A mailbox (folder) of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mailbox {
    /// Whose it is.
    pub account: AccountId,
    /// Its name, UTF-8 in NFC, levels separated by `/`; INBOX is in upper case.
    pub name: String,
    /// RFC 9051 §2.3.1.1
    pub uid_validity: u32,
    /// The UID that the next message gets.
    pub uid_next: Uid,
    /// The highest change counter that was given out (RFC 7162 §3.1).
    pub modseq: ModSeq,
    /// How many messages it holds.
    pub messages: u32,
    /// Octets of its messages.
    pub size_bytes: u64,
}
postcard_row!(Mailbox, 1);

/// The mailbox behind a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MailboxRef(pub(super) MailboxId);
postcard_row!(MailboxRef, 1);

/// What an account's mail takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Octets of its messages.
    pub size_bytes: u64,
    /// How many they are.
    pub messages: u64,
}
postcard_row!(Usage, 1);

/// One change of a mailbox: one modseq, one row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What was done.
    pub kind: ChangeKind,
    /// To which messages: first and last UID of each run.
    pub uids: Vec<(Uid, Uid)>,
}
postcard_row!(Change, 1);

/// What was done to messages of a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChangeKind {
    /// They came in.
    Added,
    /// They were removed.
    Expunged,
}

/// A message's row: all that a listing needs, of fixed size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) id: MessageId,
    /// `None`: there is nothing behind the header block.
    pub(super) blob: Option<BlobId>,
    pub(super) own_bytes: u32,
    pub(super) head_bytes: u32,
    pub(super) body_bytes: u64,
    pub(super) internal_date: Timestamp,
    pub(super) modseq: ModSeq,
    /// System flags, one bit each; none are set today.
    pub(super) flags: u32,
    /// 0: the message itself; else the number of a copy inside the account, which makes its UIDL unique.
    pub(super) copy: u32,
}

impl Message {
    pub(super) fn size_bytes(&self) -> u64 {
        u64::from(self.own_bytes) + u64::from(self.head_bytes) + self.body_bytes
    }
}

impl Row for Message {
    const VERSION: u8 = 1;

    fn encode(&self, out: &mut Vec<u8>) {
        for wide in
            [self.id.0, self.blob.map_or(0, |blob| blob.0), self.body_bytes, self.internal_date.0, self.modseq.0]
        {
            out.extend_from_slice(&wide.to_be_bytes());
        }
        for narrow in [self.own_bytes, self.head_bytes, self.flags, self.copy] {
            out.extend_from_slice(&narrow.to_be_bytes());
        }
    }

    fn decode(version: u8, bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; 56] = bytes.try_into().ok().filter(|_| version == 1)?;
        let wide = |place: usize| bytes[place * 8..].first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        let narrow = |place: usize| bytes[40 + place * 4..].first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
        Some(Self {
            id: MessageId(wide(0)),
            blob: Some(BlobId(wide(1))).filter(|blob| blob.0 != 0),
            body_bytes: wide(2),
            internal_date: Timestamp(wide(3)),
            modseq: ModSeq(wide(4)),
            own_bytes: narrow(0),
            head_bytes: narrow(1),
            flags: narrow(2),
            copy: narrow(3),
        })
    }
}

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

/// A message's trace fields and header block, and how many mailboxes it lies in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) references: u32,
    pub(super) bytes: Vec<u8>,
}

impl Row for Head {
    const VERSION: u8 = 1;

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.references.to_be_bytes());
        out.extend_from_slice(&self.bytes);
    }

    fn decode(version: u8, bytes: &[u8]) -> Option<Self> {
        let (references, bytes) = bytes.split_first_chunk().filter(|_| version == 1)?;
        Some(Self { references: u32::from_be_bytes(*references), bytes: bytes.to_vec() })
    }
}
