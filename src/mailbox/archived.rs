use std::collections::HashSet;
use std::ops::ControlFlow;

use super::folder::{mailboxes, row};
use super::keywords::Names;
use super::message_row::{Front, HEADS, MESSAGES, Message, OWN_LINES};
use crate::base::{AccountId, BlobId, MailboxId, MessageId, SystemFlags, Timestamp, Uid};
use crate::store::{Read, Span, StoreError};

/// What tells a message of an account from its others, wherever it was moved to: its id, and the number of the copy
/// (0: the message as it came).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    /// Its id.
    pub message: MessageId,
    /// The number of the copy inside the account.
    pub copy: u32,
}

/// A message's place in a mailbox, as far as it is needed to choose it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// Its number in the mailbox.
    pub uid: Uid,
    /// Which message it is.
    pub identity: Identity,
    /// Octets as read.
    pub size_bytes: u64,
    /// When it came in.
    pub internal_date: Timestamp,
}

impl Listed {
    fn new(uid: Uid, row: &Message) -> Self {
        let identity = Identity { message: row.id, copy: row.copy };
        Self { uid, identity, size_bytes: row.size_bytes(), internal_date: row.internal_date }
    }
}

/// A message with all that makes it the same message elsewhere, but for its body.
#[derive(Debug, Clone)]
pub struct Archived {
    /// Which message it is.
    pub identity: Identity,
    /// Our trace fields and its header block.
    pub head: Vec<u8>,
    /// Its body in the file that it was read from; `None` when nothing stands behind the header block.
    pub blob: Option<BlobId>,
    /// Octets of the body.
    pub body_bytes: u64,
    /// Its internal date.
    pub internal_date: Timestamp,
    /// Its system flags.
    pub flags: SystemFlags,
    /// Its keywords.
    pub keywords: Vec<String>,
    /// Its own lines and its summary.
    pub(super) front: Front,
}

impl Archived {
    /// Octets that its rows take, roughly.
    pub fn weight_bytes(&self) -> usize {
        1024 + 2 * self.head.len() + self.front.lines.len()
    }

    /// Octets of the message as read.
    pub fn size_bytes(&self) -> u64 {
        (self.front.lines.len() + self.head.len()) as u64 + self.body_bytes
    }
}

/// The first `limit` messages of a mailbox behind a UID.
///
/// # Errors
/// [`StoreError`]
pub fn list_behind(read: &impl Read, mailbox: MailboxId, behind: Uid, limit: usize) -> Result<Vec<Listed>, StoreError> {
    let span = Span::prefix(&mailbox).after(&(mailbox, behind));
    let rows = read.rows(&MESSAGES, span, limit)?;
    Ok(rows.into_iter().map(|((_, uid), row)| Listed::new(uid, &row)).collect())
}

/// Those of these messages of a mailbox that are there.
///
/// # Errors
/// [`StoreError`]
pub fn list_these(
    read: &impl Read,
    mailbox: MailboxId,
    uids: impl IntoIterator<Item = Uid>,
) -> Result<Vec<Listed>, StoreError> {
    let mut listed = Vec::new();
    for uid in uids {
        listed.extend(read.get_if_sound(&MESSAGES, &(mailbox, uid))?.map(|row| Listed::new(uid, &row)));
    }
    Ok(listed)
}

/// Which message lies at a place; `None` when none does.
///
/// # Errors
/// [`StoreError`]
pub fn identity(read: &impl Read, mailbox: MailboxId, uid: Uid) -> Result<Option<Identity>, StoreError> {
    let row = read.get(&MESSAGES, &(mailbox, uid))?;
    Ok(row.map(|row| Identity { message: row.id, copy: row.copy }))
}

/// Which of the messages of a mailbox of a copy some mailbox of the account holds here. Most still lie where they lay;
/// where others may be there, all rows of the account are looked at: a long read, of which memory does not grow.
///
/// # Errors
/// [`StoreError`]
pub fn still_there(
    read: &impl Read,
    account: AccountId,
    mailbox: MailboxId,
    wanted: impl IntoIterator<Item = (Uid, Identity)>,
) -> Result<HashSet<Identity>, StoreError> {
    let is_own = row(read, mailbox)?.is_some_and(|row| row.account == account);
    let (mut possible, mut found) = (HashSet::new(), HashSet::new());
    for (uid, wanted) in wanted {
        if is_own && identity(read, mailbox, uid)? == Some(wanted) {
            found.insert(wanted);
        } else if read.has(&HEADS, &wanted.message)? {
            possible.insert(wanted);
        }
    }
    possible.retain(|identity| !found.contains(identity));
    for (mailbox, _) in mailboxes(read, account)? {
        if possible.is_empty() {
            break;
        }
        read.scan(&MESSAGES, Span::prefix(&mailbox), |_, row| {
            let identity = Identity { message: row.id, copy: row.copy };
            found.extend(possible.take(&identity));
            if possible.is_empty() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
    }
    Ok(found)
}

/// A message as it lies in a mailbox; `None` when it is not there.
///
/// # Errors
/// [`StoreError`]
pub fn archived(read: &impl Read, mailbox: MailboxId, uid: Uid) -> Result<Option<Archived>, StoreError> {
    let Some(row) = read.get(&MESSAGES, &(mailbox, uid))? else { return Ok(None) };
    let missing = |table| StoreError::Damaged { table, what: format!("nothing there for message {}", row.id) };
    let head = read.get(&HEADS, &row.id)?.ok_or_else(|| missing(HEADS.name()))?.bytes;
    let front = read.get(&OWN_LINES, &(mailbox, uid))?.ok_or_else(|| missing(OWN_LINES.name()))?;
    let names = Names::read(read, mailbox)?;
    Ok(Some(Archived {
        identity: Identity { message: row.id, copy: row.copy },
        head,
        blob: row.blob,
        body_bytes: row.body_bytes,
        internal_date: row.internal_date,
        flags: row.flags,
        keywords: names.of(row.keywords).map(str::to_owned).collect(),
        front,
    }))
}
