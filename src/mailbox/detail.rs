use std::ops::ControlFlow;

use crate::base::{MailboxId, Uid};
use crate::message::Summary;
use crate::store::{Read, Store, StoreError};

use super::content::Content;

/// Calls `each` for the summaries of the messages of a run of UIDs, in their order, until it breaks. A message whose
/// summary is not kept (it came in before there were any) is passed over: [`summarise`] reads it.
///
/// # Errors
/// [`StoreError`]
pub fn summaries(
    read: &impl Read,
    mailbox: MailboxId,
    uids: (Uid, Uid),
    each: impl FnMut(Uid, Summary) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let _ = (read, mailbox, uids, each);
    todo!()
}

/// A message's summary, by reading the message where it is not kept; `None` when it is not there (any more).
///
/// # Errors
/// [`StoreError`]
pub async fn summarise(store: &Store, mailbox: MailboxId, uid: Uid) -> Result<Option<Summary>, StoreError> {
    let _ = (store, mailbox, uid);
    todo!()
}

/// A message's header block as read, from its own lines (Return-Path) to its last field, without the blank line; `None`
/// when it is not there (any more).
///
/// # Errors
/// [`StoreError`]
pub fn head(read: &impl Read, mailbox: MailboxId, uid: Uid) -> Result<Option<Vec<u8>>, StoreError> {
    let _ = (read, mailbox, uid);
    todo!()
}

/// Begins to read `count` octets of a message's body from `first` on, where 0 is the blank line behind the header
/// block. Only the chunks that hold them are read. `None` when the message is not there (any more).
///
/// # Errors
/// [`StoreError`]
pub fn body(
    store: &Store,
    mailbox: MailboxId,
    uid: Uid,
    first: u64,
    count: u64,
) -> Result<Option<Content>, StoreError> {
    let _ = (store, mailbox, uid, first, count);
    todo!()
}

/// Begins to read `count` octets of a message as read (own lines, head and body), from `first` on.
///
/// # Errors
/// [`StoreError`]
pub fn content_range(
    store: &Store,
    mailbox: MailboxId,
    uid: Uid,
    first: u64,
    count: u64,
) -> Result<Option<Content>, StoreError> {
    let _ = (store, mailbox, uid, first, count);
    todo!()
}
