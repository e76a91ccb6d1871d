use super::context::{Context, Enabled, User};
use super::fault::{disk_full, no_such_number, read_only, unavailable};
use super::flags::runs;
use super::link::{End, Link};
use super::selected::Selected;
use crate::base::MailboxId;
use crate::imap::wire::{Answer, Code, MessageSet, mailbox_name, write_answer};
use crate::mailbox::{self, Copied, CopyMessages, CopyRefused};
use crate::store::WriteError;

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
    let copied = match context.store.write(copy).await {
        Ok(copied) => copied.into_inner(),
        Err(error) => return Ok(refusal(error)),
    };
    Ok(done(link.output(), copied, moves))
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
fn done(out: &mut Vec<u8>, copied: Copied, moves: bool) -> Answer {
    if copied.uids.is_empty() {
        return Answer::no("the messages were removed meanwhile").with(Code::ExpungeIssued);
    }
    let (from, to) = copied.uids.iter().map(|(from, to)| (from.0, to.0)).unzip();
    let code = Code::CopyUid(copied.uid_validity, from, to);
    if moves {
        // RFC 6851 §4.3: before the messages go.
        write_answer(out, None, &Answer::ok("moved").with(code));
        Answer::ok("MOVE done")
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
