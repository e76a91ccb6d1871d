use std::convert::Infallible;
use std::net::IpAddr;

use super::edit::{Edit, first_messages};
use super::log::ChangeKind;
use super::message_row::{COPIES, Copies, HEADS, Head, MESSAGES, Message, OWN_LINES};
use super::row::MAILBOXES;
use super::runs::{self, Runs, weight_bytes};
use crate::base::{Address, MailboxId, MessageId, ModSeq, SystemFlags, Timestamp, TlsWish, Uid, limits};
use crate::directory;
use crate::kept::{self, Leaving};
use crate::message;
use crate::store::{Halt, Op, Read, Store, StoreError, Tx, WriteError};
use crate::trace::{self, Event, Kind, Subject};

/// Removes messages from a mailbox, so many as one transaction may: one modseq, one row of the log. Those that are not
/// there (any more) are passed over. [`expunge`] removes them all.
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
    /// The first of the messages that it has not come to: there were too many for one transaction.
    pub next: Option<Uid>,
}

/// Removes all messages that the op names, in several transactions where they are many, so that others' ops come between
/// them: what was removed, and what stood in the way of the rest.
// Each message goes on its own: an expunge may fail in the middle (RFC 9051 §6.4.3, RFC 1939 §6), and each part has a
// modseq and a row of the log (RFC 7162 §3.1).
pub async fn expunge(store: &Store, mut op: Expunge) -> (Expunged, Option<WriteError<Infallible>>) {
    let mut all = Expunged::default();
    loop {
        let part = match store.write(op.clone()).await {
            Ok(part) => part.into_inner(),
            Err(error) => return (all, Some(error)),
        };
        all.messages += part.messages;
        all.size_bytes += part.size_bytes;
        all.modseq = part.modseq.or(all.modseq);
        let Some(next) = part.next else { return (all, None) };
        op.uids = runs::from(&op.uids, next);
    }
}

impl Op for Expunge {
    type Plan = bool;
    type Out = Expunged;
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "mailbox.expunge"
    }

    fn weight_bytes(&self) -> usize {
        // With what is kept of each head.
        weight_bytes(&self.uids, 4096).min(limits::EXPUNGED_AT_ONCE * 4096)
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
        let removal = Removal { by: &self.by, peer_ip: self.peer_ip, at: self.at, text: "", is_kept: true };
        let only = if self.only_deleted { SystemFlags::DELETED } else { SystemFlags::NONE };
        remove_messages(tx, self.mailbox, &Runs::new(&self.uids), only, &removal)
    }
}

/// Who removes messages, and why.
#[derive(Clone, Copy)]
pub(super) struct Removal<'a> {
    pub(super) by: &'a str,
    pub(super) peer_ip: Option<IpAddr>,
    pub(super) at: Timestamp,
    pub(super) text: &'a str,
    /// What they held is kept for a time.
    pub(super) is_kept: bool,
}

/// Looks at the first of the messages, as many as one transaction may, and removes those that have these flags, with all
/// that hangs on them.
fn remove_messages(
    tx: &mut Tx<'_>,
    mailbox: MailboxId,
    uids: &Runs,
    only: SystemFlags,
    removal: &Removal<'_>,
) -> Result<Expunged, StoreError> {
    let mut edit = Edit::begin(tx, mailbox, ChangeKind::Expunged)?;
    let owner = directory::account_by_id(tx, edit.row().account)?.map(|account| account.address.to_string());
    let name = edit.row().name.clone();
    let place = (owner.as_deref(), name.as_str());
    let (mut expunged, mut kept_bytes) = (Expunged::default(), 0);
    expunged.next = first_messages(tx, mailbox, uids, limits::EXPUNGED_AT_ONCE, |tx, uid, message| {
        if !message.flags.has(only) {
            return Ok(());
        }
        edit.remove(uid, &message);
        let is_kept = removal.is_kept && kept_bytes < limits::KEPT_AT_ONCE_BYTES;
        kept_bytes += remove_message(tx, (mailbox, uid), &message, place, &Removal { is_kept, ..*removal })?;
        expunged.messages += 1;
        expunged.size_bytes += message.size_bytes();
        Ok(())
    })?;
    expunged.modseq = edit.finish(tx)?;
    Ok(expunged)
}

/// Removes a message's rows in a mailbox and its references, and tells the trace of it, which knows account and mailbox
/// by `place`. Gives the octets of the head that is kept. What the mailbox counts is the caller's.
pub(super) fn remove_message(
    tx: &mut Tx<'_>,
    at: (MailboxId, Uid),
    message: &Message,
    place: (Option<&str>, &str),
    removal: &Removal<'_>,
) -> Result<usize, StoreError> {
    tx.remove(&MESSAGES, &at)?;
    let own_lines = tx.remove(&OWN_LINES, &at)?.map(|front| front.lines).unwrap_or_default();
    let kept_bytes = release(tx, message, &own_lines, (removal.is_kept, removal.at))?;
    let owner = place.0.map(str::to_owned);
    let event = Event {
        recipient: owner.clone(),
        account: owner,
        mailbox: Some(place.1.to_owned()),
        peer_ip: removal.peer_ip,
        text: removal.text.to_owned(),
        ..Event::new(removal.at, Kind::Expunged, removal.by)
    };
    // A story that was pruned long ago does not begin anew with its end.
    trace::follow(tx, Subject::Message(message.id), &event)?;
    Ok(kept_bytes)
}

/// Takes a message's references off its head and its body. With its last use, what came by an envelope is kept for a
/// time; what its owner put there (every draft, each time it is saved) is not. Gives the octets of the head that is kept.
fn release(
    tx: &mut Tx<'_>,
    message: &Message,
    own_lines: &[u8],
    (is_kept, at): (bool, Timestamp),
) -> Result<usize, StoreError> {
    let head = take_head(tx, message.id)?;
    let sender = return_path(own_lines).filter(|_| is_kept);
    match (head, sender) {
        (Some(head), Some(sender)) => {
            let (Message { id, blob, body_bytes, .. }, head_bytes) = (*message, head.len());
            kept::keep(tx, Leaving { id, at, sender, head, blob, body_bytes, tls: TlsWish::Policy })
                .map(|()| head_bytes)
        }
        _ => message.blob.map_or(Ok(()), |blob| tx.release_blob(blob)).map(|()| 0),
    }
}

/// Takes one reference off a head; the head itself, when it was the last.
fn take_head(tx: &mut Tx<'_>, id: MessageId) -> Result<Option<Vec<u8>>, StoreError> {
    let copies = tx.get(&COPIES, &id)?;
    if let Some(copies) = copies.filter(|copies| copies.references > 0) {
        tx.put(&COPIES, &id, &Copies { references: copies.references - 1, ..copies })?;
        return Ok(None);
    }
    // Removed first: a head that others share is the rarer one.
    match tx.remove(&HEADS, &id)? {
        Some(head) if head.references > 1 => {
            tx.put(&HEADS, &id, &Head { references: head.references - 1, ..head })?;
            Ok(None)
        }
        head => {
            if copies.is_some() {
                tx.remove(&COPIES, &id)?;
            }
            Ok(head.map(|head| head.bytes))
        }
    }
}

/// The sender of the envelope that a copy came by (`None`: the null sender), as its first own line says; `None` when it
/// came by no envelope.
pub(super) fn return_path(own_lines: &[u8]) -> Option<Option<Address>> {
    let field = message::fields(own_lines).next().filter(|field| field.is("Return-Path"))?;
    let path = std::str::from_utf8(field.value).ok()?.trim();
    let sender = path.strip_prefix('<')?.strip_suffix('>')?;
    Some(Address::parse(sender).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sender_is_read_from_the_return_path() {
        let check = |lines: &str, expected: Option<Option<&str>>| {
            let seen = return_path(lines.as_bytes()).map(|sender| sender.map(|sender| sender.to_string()));
            assert_eq!(seen, expected.map(|sender| sender.map(str::to_owned)), "{lines}");
        };
        check("Return-Path: <a@x.test>\r\nDelivered-To: b@x.test\r\n", Some(Some("a@x.test")));
        check("Return-Path: <\"a b\"@x.test>\r\n", Some(Some("\"a b\"@x.test")));
        check("Return-Path: <>\r\nDelivered-To: b@x.test\r\n", Some(None));
        check("Delivered-To: b@x.test\r\n", None);
        check("", None);
    }
}
