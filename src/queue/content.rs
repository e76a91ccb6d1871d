use bytes::Bytes;

use super::row::{HEADS, MESSAGES};
use crate::base::MessageId;
use crate::store::{BlobReader, Read, Store, StoreError};

/// A queued message as it is sent, in pieces: head, then body, canonical CRLF, not dot-stuffed. Holds no read transaction
/// between two of them.
pub struct Content {
    front: Option<Bytes>,
    body: Option<BlobReader>,
    size_bytes: u64,
}

/// Begins to read a queued message; `None` when it is not there (any more).
///
/// # Errors
/// [`StoreError`].
pub fn content(store: &Store, id: MessageId) -> Result<Option<Content>, StoreError> {
    let view = store.view()?;
    let Some(message) = view.get(&MESSAGES, &id)? else { return Ok(None) };
    let missing = || StoreError::Damaged { table: HEADS.name(), what: format!("nothing there for message {id}") };
    let head = view.get(&HEADS, &id)?.ok_or_else(missing)?.0;
    Ok(Some(Content {
        size_bytes: head.len() as u64 + message.body_bytes,
        front: Some(Bytes::from(head)),
        body: message.blob.map(|blob| store.blob_reader(blob)),
    }))
}

/// A message that is in memory: one that was converted.
impl From<Bytes> for Content {
    fn from(message: Bytes) -> Self {
        Self { size_bytes: message.len() as u64, front: Some(message), body: None }
    }
}

impl Content {
    /// Octets in all.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The next piece; `None` at the end. The first is the whole head.
    ///
    /// # Errors
    /// [`StoreError`], also when the message was removed meanwhile.
    pub async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        if let Some(front) = self.front.take() {
            return Ok(Some(front));
        }
        match &mut self.body {
            Some(body) => body.next().await,
            None => Ok(None),
        }
    }
}
