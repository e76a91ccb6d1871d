use crate::base::{AccountId, BlobId, MailboxId, MessageId, Timestamp, Uid};
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
    /// When it came in.
    pub at: Timestamp,
}

/// One recipient's copy.
#[derive(Debug, Clone, Copy)]
pub struct Copy<'a> {
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
pub fn deliver(tx: &mut Tx<'_>, message: &Incoming<'_>, copies: &[Copy<'_>]) -> Result<Vec<Uid>, StoreError> {
    let _ = (tx, message, copies);
    todo!()
}

/// Whether `size_bytes` more fit under the account's quota.
///
/// # Errors
/// [`StoreError`].
pub fn has_room(read: &impl Read, account: AccountId, size_bytes: u64) -> Result<bool, StoreError> {
    let _ = (read, account, size_bytes);
    todo!()
}
