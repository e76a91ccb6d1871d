use std::convert::Infallible;
use std::net::IpAddr;

use super::edit::{Edit, each_message};
use super::log::ChangeKind;
use super::message_row::{COPIES, Copies, HEADS, Head, Message};
use super::row::MAILBOXES;
use super::runs::{Runs, weight_bytes};
use crate::base::{MailboxId, MessageId, ModSeq, SystemFlags, Timestamp, Uid};
use crate::directory;
use crate::store::{Halt, Op, Read, StoreError, Tx};
use crate::trace::{self, Event, Kind, Subject};

/// Removes messages from a mailbox, in one transaction: one modseq, one row of the log. Those that are not there (any
/// more) are passed over.
#[derive(Debug, Clone)]
pub struct Expunge {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// The messages: first and last UID of each run.
    pub uids: Vec<(Uid, Uid)>,
    /// Only those of them that have `\Deleted` when it happens (RFC 9051 §6.4.3).
    pub only_deleted: bool,
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
    /// The modseq of the change; `None`: there was nothing to remove.
    pub modseq: Option<ModSeq>,
}

impl Op for Expunge {
    type Plan = bool;
    type Out = Expunged;
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "mailbox.expunge"
    }

    fn weight_bytes(&self) -> usize {
        weight_bytes(&self.uids, 512)
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
        let only = if self.only_deleted { SystemFlags::DELETED } else { SystemFlags::NONE };
        remove_messages(tx, self.mailbox, &Runs::new(&self.uids), only, &removal)
    }
}

/// Who removes messages, and why.
pub(super) struct Removal<'a> {
    pub(super) by: &'a str,
    pub(super) peer_ip: Option<IpAddr>,
    pub(super) at: Timestamp,
    pub(super) text: &'a str,
}

/// Removes those of the messages that are there and have these flags, with all that hangs on them.
pub(super) fn remove_messages(
    tx: &mut Tx<'_>,
    mailbox: MailboxId,
    uids: &Runs,
    only: SystemFlags,
    removal: &Removal<'_>,
) -> Result<Expunged, StoreError> {
    let mut edit = Edit::begin(tx, mailbox, ChangeKind::Expunged)?;
    let owner = directory::account_by_id(tx, edit.row().account)?.map(|account| account.address.to_string());
    let name = edit.row().name.clone();
    let mut expunged = Expunged::default();
    each_message(tx, mailbox, uids, |tx, uid, message| {
        if !message.flags.has(only) {
            return Ok(());
        }
        edit.remove(tx, uid, &message)?;
        release(tx, &message)?;
        expunged.messages += 1;
        expunged.size_bytes += message.size_bytes();
        let event = Event {
            recipient: owner.clone(),
            account: owner.clone(),
            mailbox: Some(name.clone()),
            peer_ip: removal.peer_ip,
            text: removal.text.to_owned(),
            ..Event::new(removal.at, Kind::Expunged, removal.by)
        };
        trace::record(tx, Subject::Message(message.id), event)
    })?;
    expunged.modseq = edit.finish(tx)?;
    Ok(expunged)
}

/// Takes a message's references off its head and its body.
fn release(tx: &mut Tx<'_>, message: &Message) -> Result<(), StoreError> {
    if let Some(blob) = message.blob {
        tx.release_blob(blob)?;
    }
    let copies = tx.get(&COPIES, &message.id)?;
    match copies {
        Some(copies) if copies.references > 0 => {
            tx.put(&COPIES, &message.id, &Copies { references: copies.references - 1, ..copies })
        }
        _ => release_head(tx, message.id, copies.is_some()),
    }
}

fn release_head(tx: &mut Tx<'_>, id: MessageId, was_copied: bool) -> Result<(), StoreError> {
    // Removed first: a head that others share is the rarer one.
    match tx.remove(&HEADS, &id)? {
        Some(head) if head.references > 1 => tx.put(&HEADS, &id, &Head { references: head.references - 1, ..head }),
        _ if was_copied => tx.remove(&COPIES, &id).map(drop),
        _ => Ok(()),
    }
}
