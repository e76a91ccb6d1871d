use super::content::usage;
use super::edit::Edit;
use super::keywords::Names;
use super::log::ChangeKind;
use super::message_row::{Front, HEADS, Head, Message};
use crate::base::{AccountId, BlobId, MailboxId, MessageId, ModSeq, SystemFlags, Timestamp, Uid, limits};
use crate::directory::{self, Account};
use crate::message::Summary;
use crate::store::{Read, StoreError, Tx};

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
    /// What mail programs ask of it; where it is not known, it is made when one asks.
    pub summary: Option<&'a Summary>,
    /// Now.
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

/// A message that its owner puts into a mailbox.
#[derive(Debug, Clone, Copy)]
pub struct Filed<'a> {
    /// The message.
    pub message: Incoming<'a>,
    /// Its system flags.
    pub flags: SystemFlags,
    /// Its keywords.
    pub keywords: &'a [String],
    /// Its internal date.
    pub internal_date: Timestamp,
}

impl<'a> Incoming<'a> {
    /// The summary, unless it is far longer than the header that it was made from (`From: a,a,a,…`): the quota counts the
    /// message, and the summary is soon made again.
    fn kept_summary(&self) -> Option<&'a Summary> {
        self.summary.filter(|summary| summary.envelope.len() <= (4 * self.head.len()).max(limits::FREE_SUMMARY_BYTES))
    }
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
    let mut front = Front::new(&[], message.kept_summary());
    let mut uids = Vec::with_capacity(copies.len());
    for copy in copies {
        front.lines = copy.own_lines.to_vec();
        let mut edit = Edit::begin(tx, copy.mailbox, ChangeKind::Added)?;
        uids.push(edit.add(tx, row(message, copy.own_lines), &front)?);
        edit.finish(tx)?;
    }
    Ok(uids)
}

/// Puts messages into one mailbox, each with one reference to its body; their UIDs. The caller has made sure that it is
/// there, and has room also for the keywords.
///
/// # Errors
/// [`StoreError`].
pub fn file(tx: &mut Tx<'_>, mailbox: MailboxId, messages: &[Filed<'_>]) -> Result<Vec<Uid>, StoreError> {
    let Some(names) = Names::with(tx, mailbox, keywords(messages))? else {
        return Err(StoreError::Damaged { table: "keywords", what: "there is no room for what had room".into() });
    };
    let mut edit = Edit::begin(tx, mailbox, ChangeKind::Added)?;
    let mut uids = Vec::with_capacity(messages.len());
    for filed in messages {
        let Filed { message, flags, internal_date, .. } = *filed;
        tx.put(&HEADS, &message.id, &Head { references: 1, bytes: message.head.to_vec() })?;
        let keywords = names.bits(filed.keywords.iter().map(String::as_str));
        let row = Message { flags, keywords, internal_date, ..row(&message, &[]) };
        uids.push(edit.add(tx, row, &Front::new(&[], message.kept_summary()))?);
    }
    names.write(tx)?;
    edit.finish(tx)?;
    Ok(uids)
}

/// Whether the mailbox has room for these keywords.
///
/// # Errors
/// [`StoreError`].
pub fn takes_keywords<'a>(
    read: &impl Read,
    mailbox: MailboxId,
    keywords: impl Iterator<Item = &'a str> + Clone,
) -> Result<bool, StoreError> {
    Ok(Names::with(read, mailbox, keywords)?.is_some())
}

fn keywords<'a>(messages: &'a [Filed<'a>]) -> impl Iterator<Item = &'a str> + Clone {
    messages.iter().flat_map(|filed| filed.keywords).map(String::as_str)
}

fn row(message: &Incoming<'_>, own_lines: &[u8]) -> Message {
    Message {
        id: message.id,
        blob: message.blob,
        own_bytes: octets(own_lines),
        head_bytes: octets(message.head),
        body_bytes: message.body_bytes,
        internal_date: message.at,
        saved_at: message.at,
        // Set where it is added.
        modseq: ModSeq(0),
        flags: SystemFlags::NONE,
        keywords: 0,
        copy: 0,
    }
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
