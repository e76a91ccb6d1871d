use std::net::IpAddr;
use std::ops::ControlFlow;

use super::deliver::has_room;
use super::edit::{Edit, each_message, mailbox_row};
use super::keywords::Names;
use super::log::ChangeKind;
use super::message_row::{COPIES, Copies, MESSAGES, Message, OWN_LINES};
use super::row::MAILBOXES;
use super::runs::{Runs, weight_bytes};
use crate::base::{MailboxId, MessageId, Timestamp, Uid, limits};
use crate::directory;
use crate::store::{Halt, Op, Read, Span, Store, StoreError, Tx, WriteError};
use crate::trace::{self, Event, Kind, Subject};

/// Copies messages into a mailbox of the same account in one transaction, however many they are (RFC 9051 §6.4.7: all, or
/// none), or moves so many of them there as one transaction may; [`move_all`] moves them all. They keep flags, keywords and
/// internal date. Those that are not there (any more) are passed over.
#[derive(Debug, Clone)]
pub struct CopyMessages {
    /// From where.
    pub from: MailboxId,
    /// The messages: first and last UID of each run.
    pub uids: Vec<(Uid, Uid)>,
    /// To where. May be the same.
    pub to: MailboxId,
    /// They are removed where they were: MOVE.
    pub moves: bool,
    /// Who does it, for the trace, as in `imap alice@example.test`.
    pub by: String,
    /// From where.
    pub peer_ip: Option<IpAddr>,
    /// Now.
    pub at: Timestamp,
}

/// What a [`CopyMessages`] did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Copied {
    /// UIDVALIDITY of the target.
    pub uid_validity: u32,
    /// Each message's UID there and here, by the former.
    pub uids: Vec<(Uid, Uid)>,
    /// Those that it has not come to, as runs: there were too many to be moved in one transaction.
    pub left: Vec<(Uid, Uid)>,
}

/// Moves all messages that the op names, in several transactions where they are many, so that others' ops come between
/// them: what was moved, and what stood in the way of the rest.
// RFC 6851 §3.3: a move may fail in the middle, and each message is moved or left as it was.
pub async fn move_all(store: &Store, mut op: CopyMessages) -> (Copied, Option<WriteError<CopyRefused>>) {
    let mut all = Copied::default();
    loop {
        let part = match store.write(op.clone()).await {
            Ok(part) => part.into_inner(),
            Err(error) => return (all, Some(error)),
        };
        all.uid_validity = part.uid_validity;
        all.uids.extend(part.uids);
        if part.left.is_empty() {
            return (all, None);
        }
        op.uids = part.left;
    }
}

/// Why messages are not copied. Nothing is, then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CopyRefused {
    /// A mailbox is gone: `NO [TRYCREATE]` for the target.
    #[error("the mailbox was deleted")]
    Gone,
    /// `NO [OVERQUOTA]`
    #[error("the account is over quota")]
    OverQuota,
    /// `NO [LIMIT]`
    #[error("the mailbox has as many keywords as it may have")]
    TooManyKeywords,
}

/// What [`CopyMessages`] needs beyond itself.
#[derive(Debug)]
pub struct CopyPlan {
    uids: Runs,
    /// Those that are left to the next transaction.
    left: Vec<(Uid, Uid)>,
    keywords: Translation,
    /// The keywords of the target.
    names: Names,
}

/// Which bit of a keyword here is which there.
#[derive(Debug, Default)]
pub(super) struct Translation(Vec<(u128, u128)>);

impl Op for CopyMessages {
    type Plan = CopyPlan;
    type Out = Copied;
    type Refused = CopyRefused;

    fn name(&self) -> &'static str {
        "mailbox.copy"
    }

    fn weight_bytes(&self) -> usize {
        let weight_bytes = weight_bytes(&self.uids, 2048);
        if self.moves { weight_bytes.min(limits::MOVED_AT_ONCE * 2048) } else { weight_bytes }
    }

    fn runs_when_full(&self) -> bool {
        // It is how mail programs delete. It writes before it frees, but no more at a time than fits the reserve.
        self.moves
    }

    fn check(&self, tx: &Tx<'_>) -> Result<CopyPlan, Halt<CopyRefused>> {
        let gone = || Halt::Refused(CopyRefused::Gone);
        let from = tx.get(&MAILBOXES, &self.from)?.ok_or_else(gone)?;
        tx.get(&MAILBOXES, &self.to)?.filter(|to| to.account == from.account).ok_or_else(gone)?;
        let mut uids = Runs::new(&self.uids).below(from.uid_next);
        let mut left = Vec::new();
        if self.moves
            && let Some(next) = self.behind_first(tx, &uids, limits::MOVED_AT_ONCE)?
        {
            left = uids.from(next);
            uids = uids.below(next);
        }
        let (size_bytes, used) = self.survey(tx, &uids)?;
        if !self.moves && !has_room(tx, from.account, size_bytes)? {
            return Err(Halt::Refused(CopyRefused::OverQuota));
        }
        let here = Names::read(tx, self.from)?;
        let there = Names::with(tx, self.to, here.of(used))?;
        let names = there.ok_or(Halt::Refused(CopyRefused::TooManyKeywords))?;
        Ok(CopyPlan { uids, left, keywords: Translation::between(&here, &names, used), names })
    }

    fn apply(&self, tx: &mut Tx<'_>, plan: CopyPlan) -> Result<Copied, StoreError> {
        let (uid_validity, uids) = if self.moves {
            let event = self.event(tx, Kind::Moved)?;
            move_messages(tx, (self.from, self.to), &plan.uids, &plan.keywords, &event)?
        } else {
            self.copy(tx, &plan.uids, &plan.keywords)?
        };
        if !uids.is_empty() {
            plan.names.write(tx)?;
        }
        Ok(Copied { uid_validity, uids, left: plan.left })
    }
}

impl CopyMessages {
    /// The first of the messages that is behind `limit` others.
    fn behind_first(&self, tx: &Tx<'_>, uids: &Runs, limit: usize) -> Result<Option<Uid>, StoreError> {
        let (mut left, mut behind) = (limit, None);
        for (first, last) in uids.spans() {
            tx.scan(&MESSAGES, Span::range((self.from, first)..=(self.from, last)), |(_, uid), _| {
                if uids.has(uid) {
                    match left.checked_sub(1) {
                        Some(less) => left = less,
                        None => behind = Some(uid),
                    }
                }
                if behind.is_none() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
            if behind.is_some() {
                break;
            }
        }
        Ok(behind)
    }

    /// What the messages take, and which keywords they have.
    fn survey(&self, tx: &Tx<'_>, uids: &Runs) -> Result<(u64, u128), StoreError> {
        let (mut size_bytes, mut keywords) = (0, 0);
        for (first, last) in uids.spans() {
            tx.scan(&MESSAGES, Span::range((self.from, first)..=(self.from, last)), |(_, uid), message| {
                if uids.has(uid) {
                    size_bytes += message.size_bytes();
                    keywords |= message.keywords;
                }
                ControlFlow::Continue(())
            })?;
        }
        Ok((size_bytes, keywords))
    }

    /// What the trace is told.
    fn event(&self, tx: &Tx<'_>, kind: Kind) -> Result<Event, StoreError> {
        moving(tx, (self.from, self.to), Event::new(self.at, kind, self.by.as_str()))
    }

    fn copy(&self, tx: &mut Tx<'_>, uids: &Runs, keywords: &Translation) -> Result<Places, StoreError> {
        let event = self.event(tx, Kind::Copied)?;
        let mut edit = Edit::begin(tx, self.to, ChangeKind::Added)?;
        let mut places = Vec::new();
        each_message(tx, self.from, uids, |tx, uid, message| {
            if let Some(blob) = message.blob {
                tx.retain_blob(blob, 1)?;
            }
            let copy = next_copy(tx, message.id)?;
            let message = Message { copy, saved_at: self.at, keywords: keywords.of(message.keywords), ..message };
            places.push((uid, put_beside(tx, &mut edit, (self.from, uid), message)?));
            trace::follow(tx, Subject::Message(message.id), &event).map(drop)
        })?;
        let uid_validity = edit.row().uid_validity;
        edit.finish(tx)?;
        Ok((uid_validity, places))
    }
}

/// UIDVALIDITY of the target, and each message's UID there and here.
type Places = (u32, Vec<(Uid, Uid)>);

/// An event on messages that come from one mailbox into another of its account.
pub(super) fn moving(read: &impl Read, (from, to): (MailboxId, MailboxId), event: Event) -> Result<Event, StoreError> {
    let (from, to) = (mailbox_row(read, from)?, mailbox_row(read, to)?);
    let owner = directory::account_by_id(read, to.account)?.map(|account| account.address.to_string());
    Ok(Event { account: owner, mailbox: Some(to.name), text: format!("from {}", from.name), ..event })
}

/// Moves messages, which must be below the mailbox's next UID, with all that hangs on them, and tells the trace of each
/// by that event.
pub(super) fn move_messages(
    tx: &mut Tx<'_>,
    (from, to): (MailboxId, MailboxId),
    uids: &Runs,
    keywords: &Translation,
    event: &Event,
) -> Result<Places, StoreError> {
    // One behind the other: it may be the same mailbox.
    let mut edit = Edit::begin(tx, to, ChangeKind::Added)?;
    let (mut moved, mut places) = (Vec::new(), Vec::new());
    each_message(tx, from, uids, |tx, uid, message| {
        trace::follow(tx, Subject::Message(message.id), event)?;
        let there = Message { saved_at: event.at, keywords: keywords.of(message.keywords), ..message };
        places.push((uid, put_beside(tx, &mut edit, (from, uid), there)?));
        moved.push((uid, message));
        Ok(())
    })?;
    let uid_validity = edit.row().uid_validity;
    edit.finish(tx)?;
    let mut edit = Edit::begin(tx, from, ChangeKind::Expunged)?;
    for (uid, message) in &moved {
        tx.remove(&MESSAGES, &(from, *uid))?;
        tx.remove(&OWN_LINES, &(from, *uid))?;
        edit.remove(*uid, message);
    }
    edit.finish(tx)?;
    Ok((uid_validity, places))
}

/// Adds a message with the lines and the summary of the one at `origin`.
fn put_beside(tx: &mut Tx<'_>, edit: &mut Edit, origin: (MailboxId, Uid), message: Message) -> Result<Uid, StoreError> {
    let missing = || StoreError::Damaged { table: OWN_LINES.name(), what: format!("none for message {}", message.id) };
    let front = tx.get(&OWN_LINES, &origin)?.ok_or_else(missing)?;
    edit.add(tx, message, &front)
}

/// Counts one more copy of a message; its number.
fn next_copy(tx: &mut Tx<'_>, id: MessageId) -> Result<u32, StoreError> {
    let Copies { references, last } = tx.get(&COPIES, &id)?.unwrap_or_default();
    let copies = Copies { references: references + 1, last: last + 1 };
    tx.put(&COPIES, &id, &copies)?;
    Ok(copies.last)
}

impl Translation {
    fn between(here: &Names, there: &Names, used: u128) -> Self {
        let bits = (0..u128::BITS).map(|at| 1u128 << at).filter(|bit| used & bit != 0);
        Self(bits.map(|bit| (bit, there.bits(here.of(bit)))).collect())
    }

    /// All of them stay what they are.
    pub(super) fn none() -> Self {
        Self((0..u128::BITS).map(|at| (1 << at, 1 << at)).collect())
    }

    fn of(&self, keywords: u128) -> u128 {
        if keywords == 0 {
            return 0;
        }
        self.0.iter().filter(|(here, _)| keywords & here != 0).fold(0, |bits, (_, there)| bits | there)
    }
}
