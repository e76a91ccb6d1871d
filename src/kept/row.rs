use serde::{Deserialize, Serialize};

use super::policy::KEPT_FOR;
use crate::base::{Address, BlobId, MessageId, Timestamp};
use crate::postcard_row;
use crate::store::{AnyTable, Read, Span, StoreError, Table};

/// The messages that are kept.
pub(super) static KEPT: Table<MessageId, Kept> = Table::new("kept");
/// The same by the time at which their last user let them go.
pub(super) static BY_TIME: Table<(Timestamp, MessageId), ()> = Table::new("kept_by_time");
/// The room's tables.
pub const TABLES: &[&dyn AnyTable] = &[&KEPT, &BY_TIME, &KEPT_FOR];

/// A message that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// When its last user let it go.
    pub at: Timestamp,
    /// The sender of the envelope; `None`: the null sender, or there was no envelope.
    pub sender: Option<Address>,
    /// Our trace fields and its header block.
    pub head: Vec<u8>,
    /// Its body, with one reference; `None` when nothing stands behind the header block.
    pub blob: Option<BlobId>,
    /// Octets of the body.
    pub body_bytes: u64,
}
postcard_row!(Kept, 1);

/// A message, where it is kept.
///
/// # Errors
/// [`StoreError`]
pub fn kept(read: &impl Read, id: MessageId) -> Result<Option<Kept>, StoreError> {
    read.get(&KEPT, &id)
}

/// The newest message that is kept.
///
/// # Errors
/// [`StoreError`]
pub fn newest(read: &impl Read) -> Result<Option<MessageId>, StoreError> {
    Ok(read.last(&KEPT, Span::all())?.map(|(id, _)| id))
}
