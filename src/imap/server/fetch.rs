use super::context::{Context, Enabled};
use super::link::{End, Link};
use super::selected::Selected;
use crate::imap::wire::{Answer, Fetch};

/// FETCH and UID FETCH. RFC 9051 §6.4.5
pub(super) async fn fetch(
    link: &mut Link,
    context: &Context,
    selected: &mut Selected,
    enabled: Enabled,
    fetch: &Fetch<'_>,
) -> Result<Answer, End> {
    let _ = (link, context, selected, enabled, fetch);
    todo!()
}
