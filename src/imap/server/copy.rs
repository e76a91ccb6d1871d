use super::context::{Context, Enabled, User};
use super::fault::{disk_full, no_such_number, read_only, unavailable};
use super::flags::runs;
use super::link::{End, Link};
use super::selected::Selected;
use crate::base::MailboxId;
use crate::imap::wire::{Answer, Code, MessageSet, mailbox_name, write_answer};
use crate::mailbox::{self, Copied, CopyMessages, CopyRefused};
use crate::store::{Store, WriteError};

/// COPY, MOVE and their UID forms. RFC 9051 §6.4.7, §6.4.8
#[expect(clippy::too_many_arguments, reason = "a command's surroundings and its arguments")]
pub(super) async fn copy(
    link: &mut Link,
    context: &Context,
    user: &User,
    selected: &mut Selected,
    enabled: Enabled,
    messages: &MessageSet,
    mailbox: &[u8],
    moves: bool,
) -> Result<Answer, End> {
    let Some(targets) = selected.targets(messages) else { return Ok(no_such_number()) };
    if moves && selected.read_only {
        return Ok(read_only());
    }
    let to = match destination(context, user, enabled, mailbox) {
        Ok(to) => to,
        Err(answer) => return Ok(answer),
    };
    let copy = CopyMessages {
        from: selected.mailbox,
        uids: runs(&targets),
        to,
        moves,
        by: user.actor(),
        peer_ip: Some(link.connection.peer().ip()),
        at: context.clock.now(),
    };
    if copy.uids.is_empty() {
        return Ok(Answer::ok("there is no such message"));
    }
    let (mut copied, mut wrong) = transfer(&context.store, copy.clone()).await;
    if matches!(wrong, Some(WriteError::Refused(CopyRefused::TooManyKeywords)))
        && mailbox::free_keywords(&context.store, to).await.is_ok_and(|freed| freed)
    {
        // What was moved is not there any more, and passed over.
        let rest;
        (rest, wrong) = transfer(&context.store, copy).await;
        copied.uid_validity = copied.uid_validity.max(rest.uid_validity);
        copied.uids.extend(rest.uids);
    }
    Ok(done(link.output(), copied, moves, wrong))
}

/// What was done, and what stood in the way of it: a MOVE may be done in part.
async fn transfer(store: &Store, copy: CopyMessages) -> (Copied, Option<WriteError<CopyRefused>>) {
    if copy.moves {
        return mailbox::move_all(store, copy).await;
    }
    match store.write(copy).await {
        Ok(copied) => (copied.into_inner(), None),
        Err(error) => (Copied::default(), Some(error)),
    }
}

/// The mailbox of that name. RFC 9051 §6.3.12, §6.4.7: where there is none, the client may create it.
pub(super) fn destination(
    context: &Context,
    user: &User,
    enabled: Enabled,
    mailbox: &[u8],
) -> Result<MailboxId, Answer> {
    let name = mailbox_name(mailbox, enabled.utf8).map_err(|error| Answer::no(error.to_string()).with(Code::Cannot))?;
    let found = context.store.view().and_then(|view| mailbox::folder(&view, user.account, &name));
    match found {
        Ok(Some((id, _))) => Ok(id),
        Ok(None) => Err(no_such_mailbox()),
        Err(error) => Err(unavailable(&error)),
    }
}

pub(super) fn no_such_mailbox() -> Answer {
    Answer::no("there is no mailbox of that name").with(Code::TryCreate)
}

pub(super) fn over_quota() -> Answer {
    Answer::no("the account has no room for it").with(Code::OverQuota)
}

pub(super) fn too_many_keywords() -> Answer {
    Answer::no("the mailbox has as many keywords as it may have").with(Code::Limit)
}

/// RFC 4315 §3: nothing is said of UIDs where there are none.
fn done(out: &mut Vec<u8>, copied: Copied, moves: bool, wrong: Option<WriteError<CopyRefused>>) -> Answer {
    if copied.uids.is_empty() {
        let removed = || Answer::no("the messages were removed meanwhile").with(Code::ExpungeIssued);
        return wrong.map_or_else(removed, refusal);
    }
    let (from, to) = copied.uids.iter().map(|(from, to)| (from.0, to.0)).unzip();
    let code = Code::CopyUid(copied.uid_validity, from, to);
    if moves {
        // RFC 6851 §4.3: before the messages go.
        write_answer(out, None, &Answer::ok("moved").with(code));
        wrong.map_or_else(|| Answer::ok("MOVE done"), refusal)
    } else {
        Answer::ok("COPY done").with(code)
    }
}

fn refusal(error: WriteError<CopyRefused>) -> Answer {
    match error {
        WriteError::Refused(CopyRefused::Gone) => no_such_mailbox(),
        WriteError::Refused(CopyRefused::OverQuota) => over_quota(),
        WriteError::Refused(CopyRefused::TooManyKeywords) => too_many_keywords(),
        WriteError::Full => disk_full(),
        other => unavailable(&other),
    }
}
