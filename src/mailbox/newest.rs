use super::message_row::HEADS;
use crate::base::MessageId;
use crate::store::{Read, Span, StoreError};

/// The newest message that any mailbox holds.
///
/// # Errors
/// [`StoreError`].
pub fn newest(read: &impl Read) -> Result<Option<MessageId>, StoreError> {
    Ok(read.last(&HEADS, Span::all())?.map(|(id, _)| id))
}
