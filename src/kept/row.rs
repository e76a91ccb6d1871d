use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::policy::KEPT_FOR;
use crate::base::{Address, BlobId, MessageId, Timestamp, TlsWish};
use crate::store::{AnyTable, Read, Row, Span, StoreError, Table};

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
    /// What its sender has said of TLS.
    pub tls: TlsWish,
}

impl Row for Kept {
    const VERSION: u8 = 2;

    fn encode(&self, out: &mut Vec<u8>) {
        // Writing plain data to memory can't fail; an empty row would be seen as damage.
        out.extend_from_slice(&postcard::to_stdvec(self).unwrap_or_default());
    }

    fn decode(version: u8, bytes: &[u8]) -> Option<Self> {
        let row = match version {
            // It ended before `tls`; nothing said is a zero octet.
            1 => Cow::Owned([bytes, &[0]].concat()),
            2 => Cow::Borrowed(bytes),
            _ => return None,
        };
        let (kept, rest) = postcard::take_from_bytes(&row).ok()?;
        rest.is_empty().then_some(kept)
    }
}

/// A message, where it is kept.
///
/// # Errors
/// [`StoreError`]
pub fn kept(read: &impl Read, id: MessageId) -> Result<Option<Kept>, StoreError> {
    read.get(&KEPT, &id)
}

/// Whether a message is kept, its row sound or not.
///
/// # Errors
/// [`StoreError`]
pub fn holds(read: &impl Read, id: MessageId) -> Result<bool, StoreError> {
    read.has(&KEPT, &id)
}

/// The newest message that is kept.
///
/// # Errors
/// [`StoreError`]
pub fn newest(read: &impl Read) -> Result<Option<MessageId>, StoreError> {
    Ok(read.last(&KEPT, Span::all())?.map(|(id, _)| id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_version_1_says_nothing_of_tls() {
        let kept = Kept {
            at: Timestamp(5),
            sender: Some(Address::parse("a@one.test").unwrap()),
            head: b"A: 1\r\n".to_vec(),
            blob: None,
            body_bytes: 7,
            tls: TlsWish::Policy,
        };
        let mut row = Vec::new();
        kept.encode(&mut row);
        let old = &row[..row.len() - 1];
        assert_eq!(Kept::decode(1, old).as_ref(), Some(&kept));
        assert_eq!((Kept::decode(2, old), Kept::decode(1, &row), Kept::decode(3, &row)), (None, None, None));
        let required = Kept { tls: TlsWish::Required, ..kept };
        let mut row = Vec::new();
        required.encode(&mut row);
        assert_eq!(Kept::decode(2, &row), Some(required));
    }
}
