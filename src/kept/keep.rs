use super::policy::kept_for_ms;
use super::row::{BY_TIME, KEPT, Kept};
use crate::base::{Address, BlobId, MessageId, Timestamp, TlsWish};
use crate::store::{Read, StoreError, Tx};

/// A message that its last user lets go.
#[derive(Debug)]
pub struct Leaving {
    /// The message.
    pub id: MessageId,
    /// Now.
    pub at: Timestamp,
    /// The sender of the envelope; `None`: the null sender, or there was no envelope.
    pub sender: Option<Address>,
    /// Our trace fields and its header block.
    pub head: Vec<u8>,
    /// Its body, with the reference that the user had.
    pub blob: Option<BlobId>,
    /// Octets of the body.
    pub body_bytes: u64,
    /// What its sender has said of TLS, as far as the user knows.
    pub tls: TlsWish,
}

/// Keeps a message, with the reference to its body; releases that where nothing is kept, while the disk is full, or where
/// the message is kept already because it had another home: its time begins anew then.
///
/// # Errors
/// [`StoreError`]
pub fn keep(tx: &mut Tx<'_>, leaving: Leaving) -> Result<(), StoreError> {
    let Leaving { id, at, sender, head, blob, body_bytes, tls } = leaving;
    // To delete must make room, and not take some.
    if tx.is_full() || kept_for_ms(tx)? == 0 {
        return release(tx, blob);
    }
    if let Some(old) = tx.get(&KEPT, &id)? {
        // A clock that was set back makes nothing older.
        let at = at.max(old.at);
        tx.remove(&BY_TIME, &(old.at, id))?;
        tx.put(&BY_TIME, &(at, id), &())?;
        // A mailbox does not know what the queue does.
        let tls = if tls == TlsWish::Policy { old.tls } else { tls };
        tx.put(&KEPT, &id, &Kept { at, tls, ..old })?;
        return release(tx, blob);
    }
    tx.put(&BY_TIME, &(at, id), &())?;
    tx.put(&KEPT, &id, &Kept { at, sender, head, blob, body_bytes, tls })
}

/// Forgets a message, and releases its body.
pub(super) fn forget(tx: &mut Tx<'_>, at: Timestamp, id: MessageId) -> Result<(), StoreError> {
    tx.remove(&BY_TIME, &(at, id))?;
    match tx.remove(&KEPT, &id)? {
        Some(kept) => release(tx, kept.blob),
        None => Ok(()),
    }
}

fn release(tx: &mut Tx<'_>, blob: Option<BlobId>) -> Result<(), StoreError> {
    blob.map_or(Ok(()), |blob| tx.release_blob(blob))
}
