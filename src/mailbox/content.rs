use bytes::Bytes;

use super::row::Usage;
use crate::base::{AccountId, MailboxId, MessageId, Timestamp, Uid};
use crate::store::{BlobReader, Read, Store, StoreError};

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

/// The account's INBOX.
///
/// # Errors
/// [`StoreError`].
pub fn inbox(read: &impl Read, account: AccountId) -> Result<Option<MailboxId>, StoreError> {
    let _ = (read, account);
    todo!()
}

/// What the account's mail takes.
///
/// # Errors
/// [`StoreError`].
pub fn usage(read: &impl Read, account: AccountId) -> Result<Usage, StoreError> {
    let _ = (read, account);
    todo!()
}

/// The messages of a mailbox, by UID. A long read: use [`Store::read`].
///
/// # Errors
/// [`StoreError`].
pub fn listing(read: &impl Read, mailbox: MailboxId) -> Result<Vec<Entry>, StoreError> {
    let _ = (read, mailbox);
    todo!()
}

/// A message as read, in pieces. Holds no read transaction between two of them.
pub struct Content {
    front: Option<Bytes>,
    body: Option<BlobReader>,
    size_bytes: u64,
}

/// Begins to read a message; `None` when it is not there (any more).
///
/// # Errors
/// [`StoreError`].
pub fn content(store: &Store, mailbox: MailboxId, uid: Uid) -> Result<Option<Content>, StoreError> {
    let _ = (store, mailbox, uid);
    todo!()
}

impl Content {
    /// Octets in all.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The next piece; `None` at the end. The first ends with the last line of the header block, and the body begins
    /// with the blank line.
    ///
    /// # Errors
    /// [`StoreError`], also when the message was removed meanwhile.
    pub async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        let _ = (&self.front, &self.body);
        todo!()
    }
}
