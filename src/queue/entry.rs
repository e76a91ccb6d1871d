//! One entry with its rows in the indexes and its part in the counts: the only place that writes any of these.

use super::index;
use super::row::{BY_DOMAIN, DUE, ENTRIES, Entry, HEADS, MESSAGES, Message, OPEN, domain_place};
use super::tally;
use crate::base::{MessageId, QueueId, Timestamp};
use crate::kept::{self, Leaving};
use crate::store::{Read, StoreError, Tx};

/// Told to those who hear it ([`crate::store::Bus::hear`]) when a change of an entry is committed.
#[derive(Debug)]
pub struct Changed {
    /// Which entry.
    pub id: QueueId,
    /// The entry as it is now; of one that is gone, as it was.
    pub entry: Entry,
    /// What was done to it.
    pub change: Change,
}

/// What may be done to an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Added,
    /// Its state, its due time or its last attempt is another.
    Replaced,
    /// An attempt is about to send the end of data.
    Opened,
    /// It is gone: delivered, bounced, or dropped.
    Removed,
}

/// Writes a new entry.
pub(super) fn add(tx: &mut Tx<'_>, id: QueueId, entry: &Entry) -> Result<(), StoreError> {
    tx.tell(|| Changed { id, entry: entry.clone(), change: Change::Added });
    tx.put(&ENTRIES, &id, entry)?;
    tx.put(&DUE, &(entry.due, id), &())?;
    tx.put(&BY_DOMAIN, &domain_place(id, entry), &())?;
    index::moved(tx, id, None, Some(entry))?;
    tally::added(tx, entry)
}

/// Writes an entry over what it was, with the same recipient.
pub(super) fn replace(tx: &mut Tx<'_>, id: QueueId, old: &Entry, new: &Entry) -> Result<(), StoreError> {
    tx.tell(|| Changed { id, entry: new.clone(), change: Change::Replaced });
    if old.due != new.due {
        tx.remove(&DUE, &(old.due, id))?;
        tx.put(&DUE, &(new.due, id), &())?;
    }
    index::moved(tx, id, Some(old), Some(new))?;
    tally::replaced(tx, old, new)?;
    tx.put(&ENTRIES, &id, new)
}

/// Removes an entry. The message is the caller's: see [`leave`].
pub(super) fn remove(tx: &mut Tx<'_>, id: QueueId, entry: &Entry) -> Result<(), StoreError> {
    tx.tell(|| Changed { id, entry: entry.clone(), change: Change::Removed });
    tx.remove(&ENTRIES, &id)?;
    tx.remove(&DUE, &(entry.due, id))?;
    tx.remove(&BY_DOMAIN, &domain_place(id, entry))?;
    tx.remove(&OPEN, &id)?;
    index::moved(tx, id, Some(entry), None)?;
    tally::removed(tx, entry)
}

/// Counts `gone` entries off a message; with the last one it goes too, and is kept for a time.
pub(super) fn leave(
    tx: &mut Tx<'_>,
    id: MessageId,
    message: &Message,
    gone: u32,
    at: Timestamp,
) -> Result<(), StoreError> {
    let entries = message.entries.saturating_sub(gone);
    if entries > 0 {
        return if gone == 0 { Ok(()) } else { tx.put(&MESSAGES, &id, &Message { entries, ..message.clone() }) };
    }
    tx.remove(&MESSAGES, &id)?;
    tally::sized(tx, message, false)?;
    index::went(tx, id, message)?;
    let head = tx.remove(&HEADS, &id)?.map(|head| head.0).unwrap_or_default();
    let Message { sender, blob, body_bytes, options, .. } = message;
    let (sender, tls) = (sender.clone(), options.tls);
    kept::keep(tx, Leaving { id, at, sender, head, blob: *blob, body_bytes: *body_bytes, tls })
}

/// The message that an entry belongs to.
pub(super) fn message_of(read: &impl Read, id: QueueId) -> Result<Message, StoreError> {
    let missing = || StoreError::Damaged { table: MESSAGES.name(), what: format!("there is none for {id}") };
    read.get(&MESSAGES, &id.message)?.ok_or_else(missing)
}
