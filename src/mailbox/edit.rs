use super::log::{self, Change, ChangeKind};
use super::message_row::{Front, MESSAGES, Message, OWN_LINES};
use super::row::{MAILBOXES, Mailbox, USAGE, Usage};
use super::runs::{self, Runs};
use super::{MAILBOX_TOPIC, usage};
use crate::base::{MailboxId, ModSeq, SystemFlags, Uid};
use crate::store::{Read, Span, StoreError, Topic, Tx};

/// Messages that are read at a time.
const SLICE: usize = 1000;

/// A mailbox while an op changes it: whatever it does to how many messages, they get one modseq and the log one row, and
/// the counts stay the sums of the messages.
pub(super) struct Edit {
    id: MailboxId,
    row: Mailbox,
    modseq: ModSeq,
    change: Change,
    was: Usage,
}

impl Edit {
    pub(super) fn begin(read: &impl Read, id: MailboxId, kind: ChangeKind) -> Result<Self, StoreError> {
        let row = mailbox_row(read, id)?;
        let modseq = ModSeq(row.modseq.0 + 1);
        let was = Usage { size_bytes: row.size_bytes, messages: u64::from(row.messages) };
        Ok(Self { id, row, modseq, change: Change { kind, uids: Vec::new() }, was })
    }

    pub(super) fn row(&self) -> &Mailbox {
        &self.row
    }

    /// Adds a message, whose modseq it sets; its UID.
    pub(super) fn add(&mut self, tx: &mut Tx<'_>, message: Message, front: &Front) -> Result<Uid, StoreError> {
        let uid = self.row.uid_next;
        let message = Message { modseq: self.modseq, ..message };
        tx.put(&MESSAGES, &(self.id, uid), &message)?;
        tx.put(&OWN_LINES, &(self.id, uid), front)?;
        self.row.uid_next = Uid(uid.0.saturating_add(1));
        self.row.messages += 1;
        self.row.size_bytes += message.size_bytes();
        self.count(message.flags, true);
        runs::push(&mut self.change.uids, uid);
        Ok(uid)
    }

    /// Counts a message out whose rows the caller removes. UIDs must come in their order.
    pub(super) fn remove(&mut self, uid: Uid, message: &Message) {
        self.row.messages = self.row.messages.saturating_sub(1);
        self.row.size_bytes = self.row.size_bytes.saturating_sub(message.size_bytes());
        self.count(message.flags, false);
        runs::push(&mut self.change.uids, uid);
    }

    /// Gives a message other flags and keywords. UIDs must come in their order.
    pub(super) fn set_flags(
        &mut self,
        tx: &mut Tx<'_>,
        uid: Uid,
        message: &Message,
        (flags, keywords): (SystemFlags, u128),
    ) -> Result<(), StoreError> {
        tx.put(&MESSAGES, &(self.id, uid), &Message { modseq: self.modseq, flags, keywords, ..*message })?;
        self.count(message.flags, false);
        self.count(flags, true);
        runs::push(&mut self.change.uids, uid);
        Ok(())
    }

    /// Writes the mailbox, the log and the account's usage, and announces the change; its modseq, or `None` when there
    /// was none.
    pub(super) fn finish(mut self, tx: &mut Tx<'_>) -> Result<Option<ModSeq>, StoreError> {
        if self.change.uids.is_empty() {
            return Ok(None);
        }
        self.row.modseq = self.modseq;
        log::write(tx, self.id, &mut self.row, &self.change)?;
        let is = Usage { size_bytes: self.row.size_bytes, messages: u64::from(self.row.messages) };
        if is != self.was {
            // Before the mailbox is written: it may be counted from these.
            let all = usage(tx, self.row.account)?;
            let all = Usage {
                size_bytes: (all.size_bytes + is.size_bytes).saturating_sub(self.was.size_bytes),
                messages: (all.messages + is.messages).saturating_sub(self.was.messages),
            };
            tx.put(&USAGE, &self.row.account, &all)?;
        }
        tx.put(&MAILBOXES, &self.id, &self.row)?;
        tx.announce(Topic(MAILBOX_TOPIC, u64::from(self.id.0)));
        Ok(Some(self.modseq))
    }

    fn count(&mut self, flags: SystemFlags, is_there: bool) {
        let mut add = |counter: fn(&mut Mailbox) -> &mut u32| {
            let counter = counter(&mut self.row);
            *counter = if is_there { *counter + 1 } else { counter.saturating_sub(1) };
        };
        if !flags.has(SystemFlags::SEEN) {
            add(|row| &mut row.unseen);
        }
        if flags.has(SystemFlags::DELETED) {
            add(|row| &mut row.deleted);
        }
    }
}

pub(super) fn mailbox_row(read: &impl Read, id: MailboxId) -> Result<Mailbox, StoreError> {
    let missing = || StoreError::Damaged { table: "mailboxes", what: format!("mailbox {id} is not there") };
    read.get(&MAILBOXES, &id)?.ok_or_else(missing)
}

/// Calls `act` for the messages of the mailbox that are among `uids`, in their order. They are read in slices, so that it
/// may write, and memory does not grow with the mailbox.
pub(super) fn each_message(
    tx: &mut Tx<'_>,
    mailbox: MailboxId,
    uids: &Runs,
    act: impl FnMut(&mut Tx<'_>, Uid, Message) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    first_messages(tx, mailbox, uids, usize::MAX, act).map(drop)
}

/// The same for the first `limit` of them; gives the first that it has not come to.
pub(super) fn first_messages(
    tx: &mut Tx<'_>,
    mailbox: MailboxId,
    uids: &Runs,
    limit: usize,
    mut act: impl FnMut(&mut Tx<'_>, Uid, Message) -> Result<(), StoreError>,
) -> Result<Option<Uid>, StoreError> {
    let mut left = limit;
    for (first, last) in uids.spans() {
        let mut span = Span::range((mailbox, first)..=(mailbox, last));
        loop {
            let count = SLICE.min(left.saturating_add(1));
            let slice = tx.rows(&MESSAGES, span, count)?;
            let behind = slice.last().map(|(key, _)| *key).filter(|_| slice.len() == count);
            for ((_, uid), message) in slice {
                if !uids.has(uid) {
                    continue;
                }
                let Some(less) = left.checked_sub(1) else { return Ok(Some(uid)) };
                left = less;
                act(tx, uid, message)?;
            }
            let Some(behind) = behind else { break };
            span = Span::range((mailbox, first)..=(mailbox, last)).after(&behind);
        }
    }
    Ok(None)
}
