use super::index;
use super::row::{BY_DOMAIN, DUE, ENTRIES, Entry, HEADS, MESSAGES, Message, NEVER, OPEN, OpenAttempt, State};
use crate::base::{Address, MessageId, QueueId, Timestamp};
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
    let (mut found, mut after) = (Vec::new(), after);
    while found.len() < limit {
        let span = Span::range(..=(now.min(Timestamp(NEVER.0 - 1)), LAST));
        let span = match &after {
            Some(after) => span.after(after),
            None => span,
        };
        // As many again as are damaged, so that these end no slice before its end.
        let places = read.rows(&DUE, span, limit - found.len())?;
        let Some((last, ())) = places.last() else { break };
        after = Some(*last);
        found.extend(read_all(read, places.into_iter().map(|((_, id), ())| id))?);
    }
    Ok(found)
}

/// One entry.
///
/// # Errors
/// [`StoreError`].
pub fn entry(read: &impl Read, id: QueueId) -> Result<Option<Entry>, StoreError> {
    read.get(&ENTRIES, &id)
}

/// The same; `None` also where it is damaged: for what goes on with the others.
///
/// # Errors
/// [`StoreError`].
pub fn entry_if_sound(read: &impl Read, id: QueueId) -> Result<Option<Entry>, StoreError> {
    read.get_if_sound(&ENTRIES, &id)
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
    let (domain, mut found, mut after) = (domain.to_owned(), Vec::new(), after);
    while found.len() < limit {
        let span = match after {
            Some(after) => Span::prefix(&domain).after(&(domain.clone(), after)),
            None => Span::prefix(&domain),
        };
        // As many again as are damaged: fewer than asked for are the last.
        let wanted = limit - found.len();
        let places = read.rows(&BY_DOMAIN, span, wanted)?;
        let is_end = places.len() < wanted;
        after = places.last().map(|((_, id), ())| *id).or(after);
        found.extend(read_all(read, places.into_iter().map(|((_, id), ())| id))?);
        if is_end {
            break;
        }
    }
    Ok(found)
}

/// The same, of the messages of one sender; `None`: the null sender.
///
/// # Errors
/// [`StoreError`].
pub fn entries_of_sender(
    read: &impl Read,
    sender: Option<&Address>,
    after: Option<QueueId>,
    limit: usize,
) -> Result<Vec<Waiting>, StoreError> {
    let rows = index::of_sender(read, &index::sender_key(sender), after, limit)?;
    Ok(rows.into_iter().map(|(id, entry)| Waiting { id, entry }).collect())
}

/// The same, parked for one peer.
///
/// # Errors
/// [`StoreError`].
pub fn entries_of_peer(
    read: &impl Read,
    peer: &str,
    after: Option<QueueId>,
    limit: usize,
) -> Result<Vec<Waiting>, StoreError> {
    let (mut found, mut after) = (Vec::new(), after);
    while found.len() < limit {
        // As many again as are damaged.
        let ids = index::of_peer(read, peer, after, limit - found.len())?;
        let Some(last) = ids.last() else { break };
        after = Some(*last);
        found.extend(read_all(read, ids.into_iter())?);
    }
    Ok(found)
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

/// The same; `None` also where it is damaged: for what goes on with the others.
///
/// # Errors
/// [`StoreError`].
pub fn message_if_sound(read: &impl Read, id: MessageId) -> Result<Option<Message>, StoreError> {
    read.get_if_sound(&MESSAGES, &id)
}

/// Whether an entry may be sent now, whatever its schedule says: no operator holds it, and its sender does not want it to
/// be sent later.
///
/// # Errors
/// [`StoreError`].
pub fn may_go(read: &impl Read, waiting: &Waiting, now: Timestamp) -> Result<bool, StoreError> {
    let Waiting { id, entry } = waiting;
    match entry.state {
        State::Held { .. } => Ok(false),
        // What was put off has never been tried, and is not parked before its time.
        State::Waiting { .. } if entry.attempts == 0 => {
            Ok(message_if_sound(read, id.message)?.is_none_or(|message| !message.is_early(now)))
        }
        State::Waiting { .. } | State::Parked { .. } => Ok(true),
    }
}

/// Whether a message is in the queue, sound or not.
///
/// # Errors
/// [`StoreError`].
pub fn holds(read: &impl Read, id: MessageId) -> Result<bool, StoreError> {
    read.has(&MESSAGES, &id)
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

/// Whether an attempt of this entry is open, its row sound or not.
///
/// # Errors
/// [`StoreError`].
pub fn is_open(read: &impl Read, id: QueueId) -> Result<bool, StoreError> {
    read.has(&OPEN, &id)
}

/// The newest message in the queue.
///
/// # Errors
/// [`StoreError`].
pub fn newest(read: &impl Read) -> Result<Option<MessageId>, StoreError> {
    Ok(read.last(&ENTRIES, Span::all())?.map(|(id, _)| id.message))
}

/// The oldest message in the queue.
///
/// # Errors
/// [`StoreError`].
pub fn oldest(read: &impl Read) -> Result<Option<MessageId>, StoreError> {
    Ok(read.first(&ENTRIES, Span::all())?.map(|(id, _)| id.message))
}

/// The entries of an index. One that it names and that is not there, or does not decode, is damage, for the check to tell;
/// mail goes on.
fn read_all(read: &impl Read, ids: impl Iterator<Item = QueueId>) -> Result<Vec<Waiting>, StoreError> {
    ids.filter_map(|id| {
        read.get_if_sound(&ENTRIES, &id).map(|entry| entry.map(|entry| Waiting { id, entry })).transpose()
    })
    .collect()
}
