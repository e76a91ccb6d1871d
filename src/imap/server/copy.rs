use super::context::{Context, Enabled, User};
use super::link::{End, Link};
use super::selected::Selected;
use crate::imap::wire::{Answer, MessageSet};

/// COPY, MOVE and their UID forms. RFC 9051 §6.4.7, §6.4.8
#[expect(clippy::too_many_arguments, reason = "to be built")]
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
    let _ = (link, context, user, selected, enabled, messages, mailbox, moves);
    todo!()
}
