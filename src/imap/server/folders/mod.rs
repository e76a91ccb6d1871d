//! The commands about mailboxes as such.

mod change;
mod list;
mod select;
mod status;

use std::borrow::Cow;

use super::context::{Context, Enabled, User};
use super::link::{End, Link};
use crate::imap::wire::{Answer, Code, NameError, Request, mailbox_name};

/// The commands about mailboxes as such: LIST, LSUB, STATUS, CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE, NAMESPACE.
/// `None` when the request is none of them.
pub(super) async fn folders(
    link: &mut Link,
    context: &Context,
    user: &User,
    enabled: Enabled,
    request: &Request<'_>,
) -> Result<Option<Answer>, End> {
    Ok(Some(match request {
        Request::List(list) => list::list(link, context, user, enabled, list).await?,
        Request::Lsub { reference, pattern } => list::lsub(link, context, user, enabled, reference, pattern).await?,
        Request::Status { mailbox, items } => status::status(link, context, user, enabled, mailbox, items).await,
        Request::Create { mailbox, special_uses } => {
            change::create(context, user, enabled, mailbox, special_uses).await
        }
        Request::Delete(mailbox) => change::delete(context, user, enabled, mailbox).await,
        Request::Rename { from, to } => change::rename(context, user, enabled, from, to).await,
        Request::Subscribe(mailbox) => change::subscribe(context, user, enabled, mailbox, true).await,
        Request::Unsubscribe(mailbox) => change::subscribe(context, user, enabled, mailbox, false).await,
        // RFC 2342 §5: one personal namespace, none of others and none that is shared.
        Request::Namespace => {
            link.output().extend_from_slice(b"* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n");
            Answer::ok("that is all")
        }
        _ => return Ok(None),
    }))
}

/// The mailbox that a client names, where it has to be there already.
pub(super) fn named(sent: &[u8], enabled: Enabled) -> Result<String, Answer> {
    read_name(sent, enabled).map_err(|error| match error {
        NameError::Form => not_there(),
        NameError::Utf7 | NameError::Utf8 => Answer::no(error.to_string()).with(Code::Cannot),
    })
}

/// The name that a client gives to a mailbox.
fn given(sent: &[u8], enabled: Enabled) -> Result<String, Answer> {
    read_name(sent, enabled).map_err(|error| {
        let text: Cow<'static, str> = match error {
            NameError::Form => "a mailbox can't have that name".into(),
            NameError::Utf7 | NameError::Utf8 => error.to_string().into(),
        };
        Answer::no(text).with(Code::Cannot)
    })
}

fn read_name(sent: &[u8], enabled: Enabled) -> Result<String, NameError> {
    // RFC 9051 §6.3.4: the separator at the end only says that there will be mailboxes below.
    mailbox_name(sent.strip_suffix(b"/").unwrap_or(sent), enabled.utf8)
}

/// There is no such mailbox.
pub(super) fn not_there() -> Answer {
    Answer::no("there is no mailbox of that name").with(Code::NonExistent)
}
