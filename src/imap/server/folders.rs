use super::context::{Context, Enabled, User};
use super::link::{End, Link};
use crate::imap::wire::{Answer, Request};

/// The commands about mailboxes as such: LIST, LSUB, STATUS, CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE, NAMESPACE.
/// `None` when the request is none of them.
pub(super) async fn folders(
    link: &mut Link,
    context: &Context,
    user: &User,
    enabled: Enabled,
    request: &Request<'_>,
) -> Result<Option<Answer>, End> {
    let _ = (link, context, user, enabled, request);
    todo!()
}
