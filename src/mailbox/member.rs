use std::ops::ControlFlow;
use std::sync::Arc;

use super::going::is_going;
use super::log::{ChangeKind, MODSEQ_LOG};
use super::message_row::{MESSAGES, Message};
use super::row::{KEYWORDS, MAILBOXES};
use super::runs::{Runs, join};
use crate::base::{MailboxId, MessageId, ModSeq, SystemFlags, Timestamp, Uid};
use crate::store::{Read, Span, StoreError};

/// A message's place in a mailbox: all that a listing needs, without its head or body being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Its number in the mailbox.
    pub uid: Uid,
    /// Its system flags.
    pub flags: SystemFlags,
    /// Its keywords: a bit for each of [`Roster::keywords`].
    pub keywords: u128,
    /// Its last change.
    pub modseq: ModSeq,
    /// The message: the same for a copy inside the account.
    pub message: MessageId,
    /// Octets as read.
    pub size_bytes: u64,
    /// When it came in, or what APPEND said.
    pub internal_date: Timestamp,
}

/// A mailbox as it stands, with all its messages.
#[derive(Debug, Clone)]
pub struct Roster {
    /// RFC 9051 §2.3.1.1
    pub uid_validity: u32,
    /// The UID that the next message gets.
    pub uid_next: Uid,
    /// The highest modseq.
    pub modseq: ModSeq,
    /// The names of the keywords that were ever used in it, by their bit. An empty one is a bit that is not in use.
    pub keywords: Arc<[String]>,
    /// Its messages by UID.
    pub members: Vec<Member>,
}

/// What has changed in a mailbox since a modseq.
#[derive(Debug, Clone)]
pub struct Changes {
    /// The highest modseq now.
    pub modseq: ModSeq,
    /// The UID that the next message gets.
    pub uid_next: Uid,
    /// The names of the keywords, as in [`Roster::keywords`].
    pub keywords: Arc<[String]>,
    /// Messages that came or whose flags were changed, as they are now, by UID.
    pub changed: Vec<Member>,
    /// Messages that were removed: first and last UID of each run. A UID may be among them that never was seen.
    pub expunged: Vec<(Uid, Uid)>,
}

/// The mailbox and all its messages; `None` when there is no such mailbox (any more). A long read: use
/// [`crate::store::Store::read`].
///
/// # Errors
/// [`StoreError`]
pub fn roster(read: &impl Read, mailbox: MailboxId) -> Result<Option<Roster>, StoreError> {
    let Some(row) = read.get(&MAILBOXES, &mailbox)? else { return Ok(None) };
    let mut members = Vec::with_capacity(row.messages as usize);
    read.scan(&MESSAGES, Span::prefix(&mailbox), |(_, uid), message| {
        members.push(Member::new(uid, &message));
        ControlFlow::Continue(())
    })?;
    Ok(Some(Roster {
        uid_validity: row.uid_validity,
        uid_next: row.uid_next,
        modseq: row.modseq,
        keywords: keywords(read, mailbox)?,
        members,
    }))
}

/// What has changed since `since`, from the log of changes; `None` when the mailbox is gone or the log does not reach
/// back so far: then [`roster`] has to be read again.
///
/// # Errors
/// [`StoreError`]
pub fn changes(read: &impl Read, mailbox: MailboxId, since: ModSeq) -> Result<Option<Changes>, StoreError> {
    let Some(row) = read.get(&MAILBOXES, &mailbox)?.filter(|row| since >= row.log_floor) else { return Ok(None) };
    let (mut touched, mut expunged) = (Vec::new(), Vec::new());
    if since < row.modseq {
        let log = Span::range((mailbox, ModSeq(since.0 + 1))..=(mailbox, row.modseq));
        read.scan(&MODSEQ_LOG, log, |_, change| {
            match change.kind {
                ChangeKind::Added | ChangeKind::Flags => touched.extend(change.uids),
                ChangeKind::Expunged => expunged.extend(change.uids),
            }
            ControlFlow::Continue(())
        })?;
    }
    let mut changed = Vec::new();
    for (first, last) in Runs::new(&touched).spans() {
        read.scan(&MESSAGES, Span::range((mailbox, first)..=(mailbox, last)), |(_, uid), message| {
            // What a row says of itself is as good as the log.
            if message.modseq > since {
                changed.push(Member::new(uid, &message));
            }
            ControlFlow::Continue(())
        })?;
    }
    Ok(Some(Changes {
        modseq: row.modseq,
        uid_next: row.uid_next,
        keywords: keywords(read, mailbox)?,
        changed,
        expunged: join(expunged, 1),
    }))
}

/// The `limit` messages with the highest UIDs below `below`, the highest first; fewer at the end alone.
///
/// # Errors
/// [`StoreError`]
pub fn newest_members(
    read: &impl Read,
    mailbox: MailboxId,
    below: Option<Uid>,
    limit: usize,
) -> Result<Vec<Member>, StoreError> {
    let Some(row) = read.get(&MAILBOXES, &mailbox)? else { return Ok(Vec::new()) };
    let mut end = below.map_or(row.uid_next, |below| below.min(row.uid_next)).0;
    let mut found: Vec<Member> = Vec::with_capacity(limit.min(row.messages as usize));
    // The table is read upwards: in stretches of UIDs, longer ones where there are gaps.
    let mut stretch = u32::try_from(limit).unwrap_or(u32::MAX).max(1);
    while end > 1 && found.len() < limit {
        let begin = end.saturating_sub(stretch).max(1);
        let mut members = Vec::new();
        read.scan(&MESSAGES, Span::range((mailbox, Uid(begin))..=(mailbox, Uid(end - 1))), |(_, uid), message| {
            members.push(Member::new(uid, &message));
            ControlFlow::Continue(())
        })?;
        found.extend(members.into_iter().rev());
        (end, stretch) = (begin, stretch.saturating_mul(4));
    }
    found.truncate(limit);
    Ok(found)
}

/// One message; `None` when it is not there (any more).
///
/// # Errors
/// [`StoreError`]
pub fn member(read: &impl Read, mailbox: MailboxId, uid: Uid) -> Result<Option<Member>, StoreError> {
    let Some(message) = read.get(&MESSAGES, &(mailbox, uid))? else { return Ok(None) };
    Ok(if is_going(read, mailbox)? { None } else { Some(Member::new(uid, &message)) })
}

/// The names of the mailbox's keywords, by their bit, as in [`Roster::keywords`].
///
/// # Errors
/// [`StoreError`]
pub fn keywords(read: &impl Read, mailbox: MailboxId) -> Result<Arc<[String]>, StoreError> {
    Ok(read.get(&KEYWORDS, &mailbox)?.map_or_else(Arc::default, |names| names.0.into()))
}

impl Member {
    fn new(uid: Uid, row: &Message) -> Self {
        Self {
            uid,
            flags: row.flags,
            keywords: row.keywords,
            modseq: row.modseq,
            message: row.id,
            size_bytes: row.size_bytes(),
            internal_date: row.internal_date,
        }
    }
}
