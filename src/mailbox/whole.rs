use std::ops::ControlFlow;

use super::expunge::return_path;
use super::message_row::{HEADS, MESSAGES, OWN_LINES};
use crate::base::{Address, BlobId, MailboxId, MessageId, Uid};
use crate::store::{Read, Span, StoreError};

/// A message as it came in, without what only one copy says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// Its id.
    pub id: MessageId,
    /// The sender of the envelope; `None`: the null sender, or there was no envelope.
    pub sender: Option<Address>,
    /// Our trace fields and its header block.
    pub head: Vec<u8>,
    /// Its body; `None` when nothing stands behind the header block.
    pub blob: Option<BlobId>,
    /// Octets of the body.
    pub body_bytes: u64,
}

/// Whether any mailbox holds the message.
///
/// # Errors
/// [`StoreError`]
pub fn holds(read: &impl Read, id: MessageId) -> Result<bool, StoreError> {
    read.has(&HEADS, &id)
}

/// A place of the message: that of one of its copies. A long read: the messages of all mailboxes may be looked at.
///
/// # Errors
/// [`StoreError`]
pub fn place_of(read: &impl Read, id: MessageId) -> Result<Option<(MailboxId, Uid)>, StoreError> {
    if !holds(read, id)? {
        return Ok(None);
    }
    let mut found = None;
    read.scan(&MESSAGES, Span::all(), |place, message| {
        if message.id != id {
            return ControlFlow::Continue(());
        }
        found = Some(place);
        ControlFlow::Break(())
    })?;
    Ok(found)
}

/// The message at a place; `None` when it is not there (any more).
///
/// # Errors
/// [`StoreError`]
pub fn whole(read: &impl Read, mailbox: MailboxId, uid: Uid) -> Result<Option<Whole>, StoreError> {
    let Some(row) = read.get(&MESSAGES, &(mailbox, uid))? else { return Ok(None) };
    let missing = || StoreError::Damaged { table: HEADS.name(), what: format!("nothing there for message {}", row.id) };
    let head = read.get(&HEADS, &row.id)?.ok_or_else(missing)?.bytes;
    let sender = read.get(&OWN_LINES, &(mailbox, uid))?.and_then(|front| return_path(&front.lines)).flatten();
    Ok(Some(Whole { id: row.id, sender, head, blob: row.blob, body_bytes: row.body_bytes }))
}
