use std::sync::Arc;

use super::row::ChangeKind;
use crate::base::{MailboxId, MessageId, ModSeq, SystemFlags, Timestamp, Uid};
use crate::store::{Read, StoreError};

/// A message's place in a mailbox: all that a listing needs, without its head or body being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Its number in the mailbox.
    pub uid: Uid,
    /// Its system flags.
    pub flags: SystemFlags,
    /// Its keywords: a bit for each of [`Roster::keywords`].
    pub keywords: u128,
    /// Its last change.
    pub modseq: ModSeq,
    /// The message: the same for a copy inside the account.
    pub message: MessageId,
    /// Octets as read.
    pub size_bytes: u64,
    /// When it came in, or what APPEND said.
    pub internal_date: Timestamp,
}

/// A mailbox as it stands, with all its messages.
#[derive(Debug, Clone)]
pub struct Roster {
    /// RFC 9051 §2.3.1.1
    pub uid_validity: u32,
    /// The UID that the next message gets.
    pub uid_next: Uid,
    /// The highest modseq.
    pub modseq: ModSeq,
    /// The names of the keywords that were ever used in it, by their bit.
    pub keywords: Arc<[String]>,
    /// Its messages by UID.
    pub members: Vec<Member>,
}

/// What has changed in a mailbox since a modseq.
#[derive(Debug, Clone)]
pub struct Changes {
    /// The highest modseq now.
    pub modseq: ModSeq,
    /// The UID that the next message gets.
    pub uid_next: Uid,
    /// The names of the keywords.
    pub keywords: Arc<[String]>,
    /// Messages that came or whose flags were changed, as they are now, by UID.
    pub changed: Vec<Member>,
    /// Messages that were removed: first and last UID of each run. A UID may be among them that never was seen.
    pub expunged: Vec<(Uid, Uid)>,
}

/// The mailbox and all its messages; `None` when there is no such mailbox (any more). A long read: use
/// [`crate::store::Store::read`].
///
/// # Errors
/// [`StoreError`]
pub fn roster(read: &impl Read, mailbox: MailboxId) -> Result<Option<Roster>, StoreError> {
    let _ = (read, mailbox, ChangeKind::Added);
    todo!()
}

/// What has changed since `since`, from the log of changes; `None` when the mailbox is gone or the log does not reach
/// back so far: then [`roster`] has to be read again.
///
/// # Errors
/// [`StoreError`]
pub fn changes(read: &impl Read, mailbox: MailboxId, since: ModSeq) -> Result<Option<Changes>, StoreError> {
    let _ = (read, mailbox, since);
    todo!()
}
