use super::context::{Context, Enabled};
use super::link::{End, Link};
use super::selected::Selected;
use crate::imap::wire::{Answer, Search};

/// SEARCH and UID SEARCH. RFC 9051 §6.4.4, RFC 4731; the tag stands in an ESEARCH response.
pub(super) async fn search(
    link: &mut Link,
    context: &Context,
    selected: &mut Selected,
    enabled: Enabled,
    tag: &[u8],
    search: &Search<'_>,
) -> Result<Answer, End> {
    let _ = (link, context, selected, enabled, tag, search);
    todo!()
}
