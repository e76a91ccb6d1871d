use super::context::{Context, Enabled};
use super::link::{End, Link};
use super::selected::Selected;
use crate::imap::wire::{Answer, Store};

/// STORE and UID STORE. RFC 9051 §6.4.6, RFC 7162 §3.1.3
pub(super) async fn store(
    link: &mut Link,
    context: &Context,
    selected: &mut Selected,
    enabled: Enabled,
    store: &Store<'_>,
) -> Result<Answer, End> {
    let _ = (link, context, selected, enabled, store);
    todo!()
}
