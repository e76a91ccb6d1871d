use super::context::{Context, Enabled, User};
use super::link::Link;
use crate::imap::wire::{Answer, Request};

/// GETQUOTA, GETQUOTAROOT and SETQUOTA (RFC 9208). `None` when the request is none of them.
pub(super) fn quota(
    link: &mut Link,
    context: &Context,
    user: &User,
    enabled: Enabled,
    request: &Request<'_>,
) -> Option<Answer> {
    let _ = (link, context, user, enabled, request);
    todo!()
}
