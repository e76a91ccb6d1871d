use super::{named, not_there};
use crate::base::{MailboxId, SystemFlags};
use crate::imap::server::context::{Context, Enabled, User};
use crate::imap::server::fault::unavailable;
use crate::imap::server::link::Link;
use crate::imap::wire::{Answer, StatusItem, write_mailbox_name, write_number};
use crate::mailbox::{self, Mailbox};
use crate::store::{Read, StoreError};

/// What STATUS says of a mailbox beyond its row.
#[derive(Debug)]
pub(super) struct Facts {
    mailbox: Mailbox,
    /// Octets of the messages with `\Deleted`, where they are asked for.
    deleted_bytes: u64,
    /// Messages that nobody has seen yet, where they are asked for.
    recent: u32,
}

/// STATUS. RFC 9051 §6.3.11. It reads no messages, also where the mailbox is selected.
pub(super) async fn status(
    link: &mut Link,
    context: &Context,
    user: &User,
    enabled: Enabled,
    mailbox: &[u8],
    items: &[StatusItem],
) -> Answer {
    let name = match named(mailbox, enabled) {
        Ok(name) => name,
        Err(answer) => return answer,
    };
    let found = context.store.view().and_then(|view| mailbox::folder(&view, user.account, &name));
    let facts = match found {
        Ok(Some((id, mailbox))) => facts(context, id, mailbox, items).await,
        Ok(None) => return not_there(),
        Err(error) => Err(error),
    };
    match facts {
        Ok(facts) => {
            write_status(link.output(), &name, items, &facts, context.message_bytes_max, enabled);
            Answer::ok("that is all")
        }
        Err(error) => unavailable(&error),
    }
}

/// Looks at a mailbox as far as it is asked for.
pub(super) async fn facts(
    context: &Context,
    id: MailboxId,
    mailbox: Mailbox,
    items: &[StatusItem],
) -> Result<Facts, StoreError> {
    let recent = match items.contains(&StatusItem::Recent) {
        true => context.views.recent(&context.store, id).await?,
        false => 0,
    };
    let deleted_bytes = match items.contains(&StatusItem::DeletedStorage) && mailbox.deleted > 0 {
        true => context.store.read(move |view| deleted_bytes(view, id)).await?,
        false => 0,
    };
    Ok(Facts { mailbox, deleted_bytes, recent })
}

fn deleted_bytes(read: &impl Read, id: MailboxId) -> Result<u64, StoreError> {
    let members = mailbox::roster(read, id)?.map(|roster| roster.members).unwrap_or_default();
    let deleted = members.iter().filter(|member| member.flags.has(SystemFlags::DELETED));
    Ok(deleted.map(|member| member.size_bytes).sum())
}

/// Writes a STATUS response. RFC 9051 §7.3.4
pub(super) fn write_status(
    out: &mut Vec<u8>,
    name: &str,
    items: &[StatusItem],
    facts: &Facts,
    message_bytes_max: u64,
    enabled: Enabled,
) {
    out.extend_from_slice(b"* STATUS ");
    write_mailbox_name(out, name, enabled.utf8);
    out.extend_from_slice(b" (");
    for (place, item) in items.iter().enumerate() {
        let mailbox = &facts.mailbox;
        let (name, number) = match item {
            StatusItem::Messages => ("MESSAGES", u64::from(mailbox.messages)),
            StatusItem::Recent => ("RECENT", u64::from(facts.recent)),
            StatusItem::UidNext => ("UIDNEXT", u64::from(mailbox.uid_next.0)),
            StatusItem::UidValidity => ("UIDVALIDITY", u64::from(mailbox.uid_validity)),
            StatusItem::Unseen => ("UNSEEN", u64::from(mailbox.unseen)),
            StatusItem::Deleted => ("DELETED", u64::from(mailbox.deleted)),
            // RFC 9208 §4.1.4: in octets
            StatusItem::DeletedStorage => ("DELETED-STORAGE", facts.deleted_bytes),
            // RFC 8438 §3
            StatusItem::Size => ("SIZE", mailbox.size_bytes),
            // RFC 7162 §3.1.7
            StatusItem::HighestModSeq => ("HIGHESTMODSEQ", mailbox.modseq.0),
            // RFC 7889 §4
            StatusItem::AppendLimit => ("APPENDLIMIT", message_bytes_max),
        };
        if place > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(name.as_bytes());
        out.push(b' ');
        write_number(out, number);
    }
    out.extend_from_slice(b")\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{AccountId, ModSeq, Uid};

    fn check(items: &[StatusItem], expected: &str) {
        let mailbox = Mailbox {
            account: AccountId(1),
            name: "a".to_owned(),
            uid_validity: 7,
            uid_next: Uid(9),
            modseq: ModSeq(5),
            messages: 3,
            size_bytes: 100,
            unseen: 2,
            deleted: 1,
            special_use: None,
            log_floor: ModSeq(0),
        };
        let facts = Facts { mailbox, deleted_bytes: 30, recent: 4 };
        let mut out = Vec::new();
        write_status(&mut out, "a", items, &facts, 1000, Enabled::default());
        assert_eq!(String::from_utf8(out).unwrap(), format!("* STATUS a ({expected})\r\n"));
    }

    #[test]
    fn items_come_in_the_order_in_which_they_are_asked_for() {
        use StatusItem::*;
        check(&[Unseen, Messages], "UNSEEN 2 MESSAGES 3");
        check(&[Recent, UidNext, UidValidity, Deleted], "RECENT 4 UIDNEXT 9 UIDVALIDITY 7 DELETED 1");
        check(&[Size, DeletedStorage, HighestModSeq], "SIZE 100 DELETED-STORAGE 30 HIGHESTMODSEQ 5");
        check(&[AppendLimit], "APPENDLIMIT 1000");
    }
}
