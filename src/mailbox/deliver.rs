use super::MAILBOX_TOPIC;
use super::content::usage;
use super::row::{
    Change, ChangeKind, HEADS, Head, Lines, MAILBOXES, MESSAGES, MODSEQ_LOG, Mailbox, Message, OWN_LINES, USAGE, Usage,
};
use crate::base::{AccountId, BlobId, MailboxId, MessageId, ModSeq, Timestamp, Uid};
use crate::directory::{self, Account};
use crate::store::{Read, StoreError, Topic, Tx};

/// A message that comes in, the same for all its recipients.
#[derive(Debug, Clone, Copy)]
pub struct Incoming<'a> {
    /// Its id.
    pub id: MessageId,
    /// Our trace fields and its header block.
    pub head: &'a [u8],
    /// Its body, with a reference for each copy; `None` when nothing stands behind the header block.
    pub blob: Option<BlobId>,
    /// Octets of the body.
    pub body_bytes: u64,
    /// When it came in.
    pub at: Timestamp,
}

/// One recipient's copy.
#[derive(Debug, Clone, Copy)]
pub struct Placement<'a> {
    /// Where it goes.
    pub mailbox: MailboxId,
    /// The lines that only this copy has: Return-Path and Delivered-To.
    pub own_lines: &'a [u8],
}

/// Puts the copies of a message into mailboxes; their UIDs, in the order of `copies`. The caller has made sure that
/// the mailboxes are there and have room.
///
/// # Errors
/// [`StoreError`].
pub fn deliver(tx: &mut Tx<'_>, message: &Incoming<'_>, copies: &[Placement<'_>]) -> Result<Vec<Uid>, StoreError> {
    let references = u32::try_from(copies.len()).unwrap_or(u32::MAX);
    if references > 0 {
        tx.put(&HEADS, &message.id, &Head { references, bytes: message.head.to_vec() })?;
    }
    copies.iter().map(|copy| place(tx, message, copy)).collect()
}

fn place(tx: &mut Tx<'_>, message: &Incoming<'_>, copy: &Placement<'_>) -> Result<Uid, StoreError> {
    let mut mailbox = mailbox_row(tx, copy.mailbox)?;
    let uid = mailbox.uid_next;
    let modseq = ModSeq(mailbox.modseq.0 + 1);
    let row = Message {
        id: message.id,
        blob: message.blob,
        own_bytes: octets(copy.own_lines),
        head_bytes: octets(message.head),
        body_bytes: message.body_bytes,
        internal_date: message.at,
        modseq,
        flags: 0,
        copy: 0,
    };
    tx.put(&MESSAGES, &(copy.mailbox, uid), &row)?;
    tx.put(&OWN_LINES, &(copy.mailbox, uid), &Lines(copy.own_lines.to_vec()))?;
    tx.put(&MODSEQ_LOG, &(copy.mailbox, modseq), &Change { kind: ChangeKind::Added, uids: vec![(uid, uid)] })?;
    mailbox.uid_next = Uid(uid.0 + 1);
    mailbox.modseq = modseq;
    mailbox.messages += 1;
    mailbox.size_bytes += row.size_bytes();
    tx.put(&MAILBOXES, &copy.mailbox, &mailbox)?;
    let used = usage(tx, mailbox.account)?;
    let used = Usage { size_bytes: used.size_bytes + row.size_bytes(), messages: used.messages + 1 };
    tx.put(&USAGE, &mailbox.account, &used)?;
    tx.announce(Topic(MAILBOX_TOPIC, u64::from(copy.mailbox.0)));
    Ok(uid)
}

pub(super) fn mailbox_row(read: &impl Read, id: MailboxId) -> Result<Mailbox, StoreError> {
    let missing = || StoreError::Damaged { table: "mailboxes", what: format!("mailbox {id} is not there") };
    read.get(&MAILBOXES, &id)?.ok_or_else(missing)
}

fn octets(lines: &[u8]) -> u32 {
    // A head is bounded by limits::HEADER_BYTES.
    u32::try_from(lines.len()).unwrap_or(u32::MAX)
}

/// Whether `size_bytes` more fit under the account's quota; not when there is no such account.
///
/// # Errors
/// [`StoreError`].
pub fn has_room(read: &impl Read, account: AccountId, size_bytes: u64) -> Result<bool, StoreError> {
    match directory::account_by_id(read, account)? {
        Some(account) => fits(read, &account, size_bytes),
        None => Ok(false),
    }
}

/// The same for an account that was read already.
///
/// # Errors
/// [`StoreError`].
pub fn fits(read: &impl Read, account: &Account, size_bytes: u64) -> Result<bool, StoreError> {
    match directory::quota_bytes(read, account)? {
        Some(quota_bytes) => Ok(usage(read, account.id)?.size_bytes.saturating_add(size_bytes) <= quota_bytes),
        None => Ok(true),
    }
}
