use std::convert::Infallible;
use std::net::IpAddr;

use super::MAILBOX_TOPIC;
use super::content::usage;
use super::deliver::mailbox_row;
use super::row::{Change, ChangeKind, HEADS, MAILBOXES, MESSAGES, MODSEQ_LOG, Message, OWN_LINES, USAGE, Usage};
use crate::base::{MailboxId, MessageId, ModSeq, Timestamp, Uid};
use crate::directory;
use crate::store::{Halt, Op, Read, StoreError, Topic, Tx};
use crate::trace::{self, Event, Kind, Subject};

/// Removes messages from a mailbox, in one transaction. Those that are not there (any more) are passed over.
#[derive(Debug, Clone)]
pub struct Expunge {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// The messages.
    pub uids: Vec<Uid>,
    /// Who does it, for the trace, as in `pop3 alice@example.test`.
    pub by: String,
    /// From where.
    pub peer_ip: Option<IpAddr>,
    /// Now.
    pub at: Timestamp,
}

/// What an [`Expunge`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Expunged {
    /// How many messages it removed.
    pub messages: usize,
    /// Octets that they took.
    pub size_bytes: u64,
}

impl Op for Expunge {
    type Plan = bool;
    type Out = Expunged;
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "mailbox.expunge"
    }

    fn weight_bytes(&self) -> usize {
        256 + 512 * self.uids.len()
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<bool, Halt<Infallible>> {
        Ok(tx.has(&MAILBOXES, &self.mailbox)?)
    }

    fn apply(&self, tx: &mut Tx<'_>, is_there: bool) -> Result<Expunged, StoreError> {
        if !is_there {
            return Ok(Expunged::default());
        }
        let removal = Removal { by: &self.by, peer_ip: self.peer_ip, at: self.at, text: "" };
        remove_messages(tx, self.mailbox, &self.uids, &removal)
    }
}

/// Who removes messages, and why.
pub(super) struct Removal<'a> {
    pub(super) by: &'a str,
    pub(super) peer_ip: Option<IpAddr>,
    pub(super) at: Timestamp,
    pub(super) text: &'a str,
}

/// Removes those of the messages that are there, with all that hangs on them: one modseq for all of them.
pub(super) fn remove_messages(
    tx: &mut Tx<'_>,
    mailbox: MailboxId,
    uids: &[Uid],
    removal: &Removal<'_>,
) -> Result<Expunged, StoreError> {
    let mut row = mailbox_row(tx, mailbox)?;
    let owner = directory::account_by_id(tx, row.account)?.map(|account| account.address.to_string());
    let mut expunged = Expunged::default();
    let mut gone = Vec::with_capacity(uids.len());
    for uid in uids {
        let Some(message) = remove_message(tx, mailbox, *uid)? else { continue };
        gone.push(*uid);
        expunged.messages += 1;
        expunged.size_bytes += message.size_bytes();
        let event = Event {
            recipient: owner.clone(),
            peer_ip: removal.peer_ip,
            text: removal.text.to_owned(),
            ..Event::new(removal.at, Kind::Expunged, removal.by)
        };
        trace::record(tx, Subject::Message(message.id), event)?;
    }
    if gone.is_empty() {
        return Ok(expunged);
    }
    row.modseq = ModSeq(row.modseq.0 + 1);
    row.messages -= gone.len().min(row.messages as usize) as u32;
    row.size_bytes = row.size_bytes.saturating_sub(expunged.size_bytes);
    tx.put(&MODSEQ_LOG, &(mailbox, row.modseq), &Change { kind: ChangeKind::Expunged, uids: runs(gone) })?;
    tx.put(&MAILBOXES, &mailbox, &row)?;
    let used = usage(tx, row.account)?;
    let left = Usage {
        size_bytes: used.size_bytes.saturating_sub(expunged.size_bytes),
        messages: used.messages.saturating_sub(expunged.messages as u64),
    };
    tx.put(&USAGE, &row.account, &left)?;
    tx.announce(Topic(MAILBOX_TOPIC, u64::from(mailbox.0)));
    Ok(expunged)
}

fn remove_message(tx: &mut Tx<'_>, mailbox: MailboxId, uid: Uid) -> Result<Option<Message>, StoreError> {
    let Some(message) = tx.remove(&MESSAGES, &(mailbox, uid))? else { return Ok(None) };
    tx.remove(&OWN_LINES, &(mailbox, uid))?;
    release_head(tx, message.id)?;
    if let Some(blob) = message.blob {
        tx.release_blob(blob)?;
    }
    Ok(Some(message))
}

fn release_head(tx: &mut Tx<'_>, id: MessageId) -> Result<(), StoreError> {
    match tx.get(&HEADS, &id)? {
        Some(mut head) if head.references > 1 => {
            head.references -= 1;
            tx.put(&HEADS, &id, &head)
        }
        _ => tx.remove(&HEADS, &id).map(drop),
    }
}

/// UIDs as runs of first and last.
fn runs(mut uids: Vec<Uid>) -> Vec<(Uid, Uid)> {
    uids.sort_unstable();
    let mut runs: Vec<(Uid, Uid)> = Vec::new();
    for uid in uids {
        match runs.last_mut() {
            Some((_, last)) if last.0 + 1 == uid.0 => *last = uid,
            _ => runs.push((uid, uid)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(uids: &[u32], expected: &[(u32, u32)]) {
        let seen = runs(uids.iter().copied().map(Uid).collect());
        assert_eq!(seen, expected.iter().map(|(a, b)| (Uid(*a), Uid(*b))).collect::<Vec<_>>(), "{uids:?}");
    }

    #[test]
    fn uids_are_kept_as_runs() {
        check(&[], &[]);
        check(&[7], &[(7, 7)]);
        check(&[3, 1, 2, 9, 5, 4], &[(1, 5), (9, 9)]);
    }
}
