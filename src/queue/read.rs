use super::row::{BY_DOMAIN, DUE, ENTRIES, Entry, HEADS, MESSAGES, Message, NEVER, OPEN, OpenAttempt};
use crate::base::{MessageId, QueueId, Timestamp};
use crate::store::{Read, Span, StoreError};

/// An entry with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its id.
    pub id: QueueId,
    /// The entry.
    pub entry: Entry,
}

/// When the next entry behind `after` is due: for the scheduler's alarm.
///
/// # Errors
/// [`StoreError`].
pub fn next_due(read: &impl Read, after: Timestamp) -> Result<Option<Timestamp>, StoreError> {
    let next = read.first(&DUE, Span::all().after(&(after, LAST)))?;
    Ok(next.map(|((due, _), ())| due).filter(|due| *due != NEVER))
}

/// Behind every id.
const LAST: QueueId = QueueId { message: MessageId(u64::MAX), number: u32::MAX };

/// Entries that are due at `now`, in the order of the schedule, behind `after`: at most `limit`. Also those that are
/// parked and whose end has come.
///
/// # Errors
/// [`StoreError`].
pub fn due(
    read: &impl Read,
    now: Timestamp,
    after: Option<(Timestamp, QueueId)>,
    limit: usize,
) -> Result<Vec<Waiting>, StoreError> {
    // What an operator holds is due never, also when the clock shows the end of time.
    let span = Span::range(..=(now.min(Timestamp(NEVER.0 - 1)), LAST));
    let span = match after {
        Some(after) => span.after(&after),
        None => span,
    };
    let places = read.rows(&DUE, span, limit)?;
    read_all(read, places.into_iter().map(|((_, id), ())| id))
}

/// One entry.
///
/// # Errors
/// [`StoreError`].
pub fn entry(read: &impl Read, id: QueueId) -> Result<Option<Entry>, StoreError> {
    read.get(&ENTRIES, &id)
}

/// The first `limit` entries behind `after`, by id.
///
/// # Errors
/// [`StoreError`].
pub fn entries(read: &impl Read, after: Option<QueueId>, limit: usize) -> Result<Vec<Waiting>, StoreError> {
    let span = match after {
        Some(after) => Span::all().after(&after),
        None => Span::all(),
    };
    Ok(read.rows(&ENTRIES, span, limit)?.into_iter().map(|(id, entry)| Waiting { id, entry }).collect())
}

/// The same, of one recipient domain (as [`crate::base::Host`] writes it).
///
/// # Errors
/// [`StoreError`].
pub fn entries_of_domain(
    read: &impl Read,
    domain: &str,
    after: Option<QueueId>,
    limit: usize,
) -> Result<Vec<Waiting>, StoreError> {
    let domain = domain.to_owned();
    let span = Span::prefix(&domain);
    let span = match after {
        Some(after) => span.after(&(domain, after)),
        None => span,
    };
    let places = read.rows(&BY_DOMAIN, span, limit)?;
    read_all(read, places.into_iter().map(|((_, id), ())| id))
}

/// All entries of a message.
///
/// # Errors
/// [`StoreError`].
pub fn entries_of_message(read: &impl Read, id: MessageId) -> Result<Vec<Waiting>, StoreError> {
    let rows = read.rows(&ENTRIES, Span::prefix(&id), usize::MAX)?;
    Ok(rows.into_iter().map(|(id, entry)| Waiting { id, entry }).collect())
}

/// What the entries of a message share.
///
/// # Errors
/// [`StoreError`].
pub fn message(read: &impl Read, id: MessageId) -> Result<Option<Message>, StoreError> {
    read.get(&MESSAGES, &id)
}

/// The head of a queued message: trace fields and header block, as sent.
///
/// # Errors
/// [`StoreError`].
pub fn head(read: &impl Read, id: MessageId) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(read.get(&HEADS, &id)?.map(|head| head.0))
}

/// The attempt of this entry that is open.
///
/// # Errors
/// [`StoreError`].
pub fn open_attempt(read: &impl Read, id: QueueId) -> Result<Option<OpenAttempt>, StoreError> {
    read.get(&OPEN, &id)
}

/// The newest message in the queue.
///
/// # Errors
/// [`StoreError`].
pub fn newest(read: &impl Read) -> Result<Option<MessageId>, StoreError> {
    Ok(read.last(&ENTRIES, Span::all())?.map(|(id, _)| id.message))
}

/// The entries of an index. One that it names and that is not there is damage, for the check to tell; mail goes on.
fn read_all(read: &impl Read, ids: impl Iterator<Item = QueueId>) -> Result<Vec<Waiting>, StoreError> {
    ids.filter_map(|id| read.get(&ENTRIES, &id).map(|entry| entry.map(|entry| Waiting { id, entry })).transpose())
        .collect()
}
