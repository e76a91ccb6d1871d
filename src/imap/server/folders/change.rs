use super::{given, named};
use crate::imap::server::context::{Context, Enabled, User};
use crate::imap::server::fault::{disk_full, unavailable};
use crate::imap::wire::{Answer, Code};
use crate::mailbox::{CreateMailbox, DeleteMailbox, FolderRefused, RenameMailbox, SpecialUse, Subscribe};
use crate::store::{Op, WriteError};

/// CREATE. RFC 9051 §6.3.4, RFC 6154 §3
pub(super) async fn create(
    context: &Context,
    user: &User,
    enabled: Enabled,
    mailbox: &[u8],
    special_uses: &[&[u8]],
) -> Answer {
    let name = match given(mailbox, enabled) {
        Ok(name) => name,
        Err(answer) => return answer,
    };
    let special_use = match special_uses {
        [] => None,
        [named] => match special_use(named) {
            Some(special_use) => Some(special_use),
            None => return no_such_use("mailboxes are not for that here"),
        },
        _ => return no_such_use("a mailbox is for one thing"),
    };
    let op = CreateMailbox { account: user.account, name, special_use, at: context.clock.now() };
    let answer = write(context, op, "created").await;
    // RFC 5530 §3: also INBOX is there already.
    if answer.code == Some(Code::Cannot) { answer.with(Code::AlreadyExists) } else { answer }
}

/// DELETE. RFC 9051 §6.3.5
pub(super) async fn delete(context: &Context, user: &User, enabled: Enabled, mailbox: &[u8]) -> Answer {
    let name = match named(mailbox, enabled) {
        Ok(name) => name,
        Err(answer) => return answer,
    };
    let op = DeleteMailbox { account: user.account, name, by: user.actor(), at: context.clock.now() };
    write(context, op, "deleted").await
}

/// RENAME. RFC 9051 §6.3.6
pub(super) async fn rename(context: &Context, user: &User, enabled: Enabled, from: &[u8], to: &[u8]) -> Answer {
    let (from, to) = match named(from, enabled).and_then(|from| Ok((from, given(to, enabled)?))) {
        Ok(names) => names,
        Err(answer) => return answer,
    };
    let op = RenameMailbox { account: user.account, from, to, at: context.clock.now() };
    write(context, op, "renamed").await
}

/// SUBSCRIBE and UNSUBSCRIBE. RFC 9051 §6.3.7, §6.3.8
pub(super) async fn subscribe(
    context: &Context,
    user: &User,
    enabled: Enabled,
    mailbox: &[u8],
    subscribed: bool,
) -> Answer {
    let name = match given(mailbox, enabled) {
        Ok(name) => name,
        Err(answer) => return answer,
    };
    let text = if subscribed { "subscribed" } else { "no longer subscribed" };
    write(context, Subscribe { account: user.account, name, subscribed }, text).await
}

// RFC 6154 §3
fn special_use(named: &[u8]) -> Option<SpecialUse> {
    let known = SpecialUse::ALL.into_iter().find(|(_, name, _)| named.eq_ignore_ascii_case(name.as_bytes()));
    known.map(|(special_use, ..)| special_use)
}

fn no_such_use(text: &'static str) -> Answer {
    Answer::no(text).with(Code::UseAttr)
}

async fn write<O: Op<Refused = FolderRefused>>(context: &Context, op: O, text: &'static str) -> Answer {
    match context.store.write(op).await {
        Ok(_) => Answer::ok(text),
        Err(WriteError::Refused(refused)) => refusal(refused),
        Err(WriteError::Full) => disk_full(),
        Err(error @ (WriteError::Panicked | WriteError::Damaged(_) | WriteError::Closed(_))) => unavailable(&error),
    }
}

// RFC 5530 §3
fn refusal(refused: FolderRefused) -> Answer {
    let code = match refused {
        FolderRefused::Exists => Code::AlreadyExists,
        FolderRefused::NotFound => Code::NonExistent,
        FolderRefused::Inbox | FolderRefused::BelowItself | FolderRefused::TooLong => Code::Cannot,
        FolderRefused::TooMany => Code::Limit,
        FolderRefused::SpecialUse => Code::UseAttr,
    };
    Answer::no(refused.to_string()).with(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_uses_are_known_by_name() {
        let check = |named: &[u8], expected| assert_eq!(special_use(named), expected, "{named:?}");
        check(b"\\Sent", Some(SpecialUse::Sent));
        check(b"\\JUNK", Some(SpecialUse::Junk));
        check(b"Sent", None);
        check(b"\\All", None);
    }

    #[test]
    fn each_refusal_has_a_code_of_its_own_kind() {
        let check = |refused, expected| assert_eq!(refusal(refused).code, Some(expected), "{refused:?}");
        check(FolderRefused::Exists, Code::AlreadyExists);
        check(FolderRefused::NotFound, Code::NonExistent);
        check(FolderRefused::Inbox, Code::Cannot);
        check(FolderRefused::BelowItself, Code::Cannot);
        check(FolderRefused::TooLong, Code::Cannot);
        check(FolderRefused::TooMany, Code::Limit);
        check(FolderRefused::SpecialUse, Code::UseAttr);
    }
}
