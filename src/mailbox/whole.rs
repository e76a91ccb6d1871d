use std::collections::BTreeSet;
use std::ops::ControlFlow;

use super::expunge::return_path;
use super::folder::mailboxes;
use super::going::is_lost;
use super::message_row::{HEADS, MESSAGES, OWN_LINES};
use crate::base::{Address, BlobId, MailboxId, MessageId, Uid};
use crate::directory;
use crate::store::{Read, Span, StoreError};
use crate::trace::{self, Subject};

/// A message as it came in, without what only one copy says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// Its id.
    pub id: MessageId,
    /// The sender of the envelope; `None`: the null sender, or there was no envelope.
    pub sender: Option<Address>,
    /// It came by an envelope; else its owner put it there.
    pub is_mail: bool,
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

/// A place of the message: that of one of its copies. A long read: the mailboxes of those are looked at whom its story
/// names, and only where it is in none of them (a story ends before its message does) all others.
///
/// # Errors
/// [`StoreError`]
pub fn place_of(read: &impl Read, id: MessageId) -> Result<Option<(MailboxId, Uid)>, StoreError> {
    if !holds(read, id)? {
        return Ok(None);
    }
    let story = trace::story(read, Subject::Message(id))?;
    let owners: BTreeSet<&str> = story.iter().filter_map(|event| event.account.as_deref()).collect();
    for owner in owners {
        let Ok(address) = Address::parse(owner) else { continue };
        let Some(account) = directory::account(read, &address)? else { continue };
        for (mailbox, _) in mailboxes(read, account.id)? {
            if let Some(place) = place_in(read, Some(mailbox), id)? {
                return Ok(Some(place));
            }
        }
    }
    place_in(read, None, id)
}

fn place_in(
    read: &impl Read,
    mailbox: Option<MailboxId>,
    id: MessageId,
) -> Result<Option<(MailboxId, Uid)>, StoreError> {
    let all = || mailbox.map_or_else(Span::all, |mailbox| Span::prefix(&mailbox));
    let mut span = all();
    loop {
        let mut found = None;
        read.scan(&MESSAGES, span, |place, message| {
            if message.id != id {
                return ControlFlow::Continue(());
            }
            found = Some(place);
            ControlFlow::Break(())
        })?;
        match found {
            // Its rows are still there, but it is nobody's. What a deleted mailbox held is kept, and can be had till then.
            Some(place) if is_lost(read, place.0)? => span = all().after(&place),
            found => return Ok(found),
        }
    }
}

/// The message at a place; `None` when it is not there (any more).
///
/// # Errors
/// [`StoreError`]
pub fn whole(read: &impl Read, mailbox: MailboxId, uid: Uid) -> Result<Option<Whole>, StoreError> {
    let Some(row) = read.get(&MESSAGES, &(mailbox, uid))? else { return Ok(None) };
    let missing = || StoreError::Damaged { table: HEADS.name(), what: format!("nothing there for message {}", row.id) };
    let head = read.get(&HEADS, &row.id)?.ok_or_else(missing)?.bytes;
    let path = read.get(&OWN_LINES, &(mailbox, uid))?.and_then(|front| return_path(&front.lines));
    let is_mail = path.is_some();
    Ok(Some(Whole { id: row.id, sender: path.flatten(), is_mail, head, blob: row.blob, body_bytes: row.body_bytes }))
}
