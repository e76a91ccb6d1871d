use super::context::{Context, User};
use super::link::{End, Link};
use super::selected::Selected;
use crate::imap::wire::{Answer, SequenceSet};

/// EXPUNGE and UID EXPUNGE (RFC 9051 §6.4.3, §6.4.9), and CLOSE, which is silent.
pub(super) async fn expunge(
    link: &mut Link,
    context: &Context,
    user: &User,
    selected: &mut Selected,
    uids: Option<&SequenceSet>,
) -> Result<Answer, End> {
    let _ = (link, context, user, selected, uids);
    todo!()
}
