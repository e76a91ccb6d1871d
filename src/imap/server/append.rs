use super::context::{Context, Enabled, User};
use super::link::{End, Link};
use crate::imap::wire::{Answer, Framer};

/// APPEND (RFC 9051 §6.3.12, RFC 3502, RFC 6855 §4), from the moment when the framer has found the announcement of the
/// first message's literal ([`crate::imap::wire::append`] has read it) to the end of the command. The messages stream
/// into the store.
pub(super) async fn append(
    link: &mut Link,
    framer: &mut Framer,
    context: &Context,
    user: &User,
    enabled: Enabled,
) -> Result<Answer, End> {
    let _ = (link, framer, context, user, enabled);
    todo!()
}
