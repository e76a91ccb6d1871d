use std::ops::ControlFlow;

use bytes::Bytes;

use super::INBOX;
use super::detail::front;
use super::going::is_going;
use super::message_row::{MESSAGES, Message};
use super::row::{MAILBOX_BY_NAME, MAILBOXES, MailboxRef, USAGE, Usage};
use crate::base::{AccountId, MailboxId, MessageId, Timestamp, Uid};
use crate::store::{BlobReader, Read, Span, Store, StoreError};

/// A message in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number in the mailbox.
    pub uid: Uid,
    /// The message.
    pub message: MessageId,
    /// What POP3 calls it (RFC 1939 §7): the message id, and `.n` for a copy inside the account.
    pub uidl: String,
    /// Octets, exactly as [`content`] gives them.
    pub size_bytes: u64,
    /// When it came in.
    pub internal_date: Timestamp,
}

impl Entry {
    fn new(uid: Uid, row: &Message) -> Self {
        let uidl = match row.copy {
            0 => row.id.to_string(),
            copy => format!("{}.{copy}", row.id),
        };
        Self { uid, message: row.id, uidl, size_bytes: row.size_bytes(), internal_date: row.internal_date }
    }
}

/// The account's INBOX.
///
/// # Errors
/// [`StoreError`].
pub fn inbox(read: &impl Read, account: AccountId) -> Result<Option<MailboxId>, StoreError> {
    Ok(read.get(&MAILBOX_BY_NAME, &(account, INBOX.to_owned()))?.map(|MailboxRef(id)| id))
}

/// What the account's mail takes; counted from its mailboxes where its own row is damaged.
///
/// # Errors
/// [`StoreError`].
pub fn usage(read: &impl Read, account: AccountId) -> Result<Usage, StoreError> {
    match read.get(&USAGE, &account) {
        Err(StoreError::Damaged { .. }) => counted(read, account),
        found => Ok(found?.unwrap_or_default()),
    }
}

fn counted(read: &impl Read, account: AccountId) -> Result<Usage, StoreError> {
    let mut usage = Usage::default();
    for (_, MailboxRef(id)) in read.rows(&MAILBOX_BY_NAME, Span::prefix(&account), usize::MAX)? {
        if let Some(mailbox) = read.get_if_sound(&MAILBOXES, &id)? {
            usage.size_bytes += mailbox.size_bytes;
            usage.messages += u64::from(mailbox.messages);
        }
    }
    Ok(usage)
}

/// The messages of a mailbox, by UID. A long read: use [`Store::read`].
///
/// # Errors
/// [`StoreError`].
pub fn listing(read: &impl Read, mailbox: MailboxId) -> Result<Vec<Entry>, StoreError> {
    let mut entries = Vec::new();
    if is_going(read, mailbox)? {
        return Ok(entries);
    }
    read.scan(&MESSAGES, Span::prefix(&mailbox), |(_, uid), row| {
        entries.push(Entry::new(uid, &row));
        ControlFlow::Continue(())
    })?;
    Ok(entries)
}

/// Whether the message is (still) there.
///
/// # Errors
/// [`StoreError`].
pub fn has(read: &impl Read, mailbox: MailboxId, uid: Uid) -> Result<bool, StoreError> {
    Ok(read.has(&MESSAGES, &(mailbox, uid))? && !is_going(read, mailbox)?)
}

/// A message as read, or a part of it, in pieces. Holds no read transaction between two of them.
pub struct Content {
    front: Option<Bytes>,
    body: Option<BlobReader>,
    size_bytes: u64,
    left_bytes: u64,
}

/// Begins to read a message; `None` when it is not there (any more).
///
/// # Errors
/// [`StoreError`].
pub fn content(store: &Store, mailbox: MailboxId, uid: Uid) -> Result<Option<Content>, StoreError> {
    let view = store.view()?;
    let Some(row) = view.get(&MESSAGES, &(mailbox, uid))? else { return Ok(None) };
    if is_going(&view, mailbox)? {
        return Ok(None);
    }
    let front = front(&view, (mailbox, uid), &row)?;
    Ok(Some(Content::new(front, row.blob.map(|blob| store.blob_reader(blob)), row.size_bytes())))
}

impl Content {
    /// The octets of `front`, and behind them so many of `body` that they are `size_bytes`.
    pub(super) fn new(front: Vec<u8>, body: Option<BlobReader>, size_bytes: u64) -> Self {
        let front = Some(front).filter(|front| !front.is_empty()).map(Bytes::from);
        Self { front, body, size_bytes, left_bytes: size_bytes }
    }

    /// Octets in all.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The next piece; `None` at the end. Of a whole message, the first ends with the last line of the header block, and
    /// the body begins with the blank line.
    ///
    /// # Errors
    /// [`StoreError`], also when the message was removed meanwhile.
    pub async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        if self.left_bytes == 0 {
            return Ok(None);
        }
        let piece = match (self.front.take(), &mut self.body) {
            (Some(front), _) => Some(front),
            (None, Some(body)) => body.next().await?,
            (None, None) => None,
        };
        let Some(mut piece) = piece else { return Ok(None) };
        piece.truncate(usize::try_from(self.left_bytes).unwrap_or(usize::MAX));
        self.left_bytes -= piece.len() as u64;
        Ok(Some(piece))
    }
}
