use bytes::Bytes;

use super::row::{Entry, Message, OpenAttempt};
use crate::base::{MessageId, QueueId, Timestamp};
use crate::store::{BlobReader, Read, Store, StoreError};

/// An entry with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its id.
    pub id: QueueId,
    /// The entry.
    pub entry: Entry,
}

/// The queue in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Entries whose time has come.
    pub due: u64,
    /// Entries that wait for their time.
    pub waiting: u64,
    /// Entries with an open attempt.
    pub in_flight: u64,
    /// Entries that an operator holds.
    pub held: u64,
    /// Entries that wait for a peer.
    pub parked: u64,
    /// Octets of all messages.
    pub size_bytes: u64,
    /// When the oldest message came in.
    pub oldest_at: Option<Timestamp>,
    /// The domains with the most entries, the most first, at most ten.
    pub domains: Vec<(String, u64)>,
}

/// When the next entry behind `after` is due: for the scheduler's alarm.
///
/// # Errors
/// [`StoreError`].
pub fn next_due(read: &impl Read, after: Timestamp) -> Result<Option<Timestamp>, StoreError> {
    let _ = (read, after);
    todo!()
}

/// Entries that are due at `now`, in the order of the schedule, behind `after`: at most `limit`. Also those that are
/// held or parked and whose end has come.
///
/// # Errors
/// [`StoreError`].
pub fn due(
    read: &impl Read,
    now: Timestamp,
    after: Option<(Timestamp, QueueId)>,
    limit: usize,
) -> Result<Vec<Waiting>, StoreError> {
    let _ = (read, now, after, limit);
    todo!()
}

/// One entry.
///
/// # Errors
/// [`StoreError`].
pub fn entry(read: &impl Read, id: QueueId) -> Result<Option<Entry>, StoreError> {
    let _ = (read, id);
    todo!()
}

/// The first `limit` entries behind `after`, by id.
///
/// # Errors
/// [`StoreError`].
pub fn entries(read: &impl Read, after: Option<QueueId>, limit: usize) -> Result<Vec<Waiting>, StoreError> {
    let _ = (read, after, limit);
    todo!()
}

/// The same, of one recipient domain.
///
/// # Errors
/// [`StoreError`].
pub fn entries_of_domain(
    read: &impl Read,
    domain: &str,
    after: Option<QueueId>,
    limit: usize,
) -> Result<Vec<Waiting>, StoreError> {
    let _ = (read, domain, after, limit);
    todo!()
}

/// All entries of a message.
///
/// # Errors
/// [`StoreError`].
pub fn entries_of_message(read: &impl Read, id: MessageId) -> Result<Vec<Waiting>, StoreError> {
    let _ = (read, id);
    todo!()
}

/// What the entries of a message share.
///
/// # Errors
/// [`StoreError`].
pub fn message(read: &impl Read, id: MessageId) -> Result<Option<Message>, StoreError> {
    let _ = (read, id);
    todo!()
}

/// The attempt of this entry that is open.
///
/// # Errors
/// [`StoreError`].
pub fn open_attempt(read: &impl Read, id: QueueId) -> Result<Option<OpenAttempt>, StoreError> {
    let _ = (read, id);
    todo!()
}

/// The queue in numbers: a long read, use [`Store::read`].
///
/// # Errors
/// [`StoreError`].
pub fn summary(read: &impl Read, now: Timestamp) -> Result<Summary, StoreError> {
    let _ = (read, now);
    todo!()
}

/// The newest message in the queue.
///
/// # Errors
/// [`StoreError`].
pub fn newest(read: &impl Read) -> Result<Option<MessageId>, StoreError> {
    let _ = read;
    todo!()
}

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
    let _ = (store, id);
    todo!()
}

impl Content {
    /// Octets in all.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The next piece; `None` at the end.
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
