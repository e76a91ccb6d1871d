//! The store's own tables.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::frame::Frame;
use super::row::Row;
use super::schema::AnyTable;
use super::table::Table;
use super::view::encode_key;
use crate::base::{BlobId, Timestamp};

/// Facts of the file as a whole.
pub(super) static META: Table<String, Number> = Table::new("meta");
/// The last number that each counter gave.
pub(super) static COUNTERS: Table<String, Number> = Table::new("counters");
/// The bodies.
pub(super) static BLOBS: Table<BlobId, Blob> = Table::new("blobs");
/// Their frames, one behind the other, cut by the ladder.
pub(super) static BLOB_DATA: Table<(BlobId, u32), Chunk> = Table::new("blob_data");
/// The first half of the hash of each longer body, to find it when it comes again.
pub(super) static BLOB_HASH: Table<[u8; 16], Number> = Table::new("blob_hash");
/// Bodies of which chunks are written, but which nothing refers to yet.
pub(super) static BLOB_PENDING: Table<BlobId, ()> = Table::new("blob_pending");
/// Bodies that nothing refers to any more, and of which chunks are left.
pub(super) static BLOB_DEAD: Table<BlobId, ()> = Table::new("blob_dead");
/// Where the file comes from that was put in the place of another, until that was seen to.
pub(super) static RESTORED_FROM: Table<u8, RestoredFrom> = Table::new("restored_from");
/// Rows that were taken out of their tables by a repair, numbered in each, so that nothing is lost by it.
pub(super) static DAMAGED: Table<(String, u64), SetAside> = Table::new("damaged");

/// The key of the schema's version in [`META`].
pub(super) const SCHEMA_VERSION: &str = "schema";
/// The key of the row in [`META`] that is there while free pages may still hold secrets that are sealed by now.
pub(super) const PLAIN_UNTIL_COMPACTED: &str = "plain_until_compacted";
/// The key of the row in [`META`] that is there since the file was put in the place of another, until it was seen to.
pub(super) const RESTORED: &str = "restored";
/// The key of the row in [`META`] that is there when every row of the file that is to have a checksum has one: in files
/// that were made by a program that writes them, and in those of older ones once they were compacted.
pub(super) const ALL_CHECKED: &str = "all_checked";
/// The key of the octets of all keys and rows in [`META`], as they were when the file last came to rest.
pub(super) const LIVE_BYTES: &str = "live_bytes";
/// The counter of the bodies' ids.
pub(super) const BLOB_IDS: &str = "blob";

/// The one row that never has a checksum: the schema's version, which the first programs read too, and can't otherwise.
pub(super) fn is_for_the_first_programs(table: &str, key: &[u8]) -> bool {
    table == META.name() && key == encode_key(&SCHEMA_VERSION.to_owned())
}

/// All of them.
pub(super) static TABLES: &[&dyn AnyTable] =
    &[&META, &COUNTERS, &BLOBS, &BLOB_DATA, &BLOB_HASH, &BLOB_PENDING, &BLOB_DEAD, &DAMAGED, &RESTORED_FROM];

/// A copy that was put in the place of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoredFrom {
    /// When it was found good.
    pub at: Timestamp,
    /// Which one: a backup's id or path, or that it was uploaded.
    pub copy: String,
}
crate::postcard_row!(RestoredFrom, 1);

/// A row that was set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SetAside {
    /// When.
    pub(super) at: Timestamp,
    /// Its key and itself, as they stood in the file.
    pub(super) key: Vec<u8>,
    pub(super) row: Vec<u8>,
    /// Why.
    pub(super) why: String,
}
crate::postcard_row!(SetAside, 1);

/// A row that is a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Number(pub(super) u64);
crate::postcard_row!(Number, 1);

/// A body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Blob {
    /// How many rows of other rooms refer to it.
    pub(super) references: u32,
    /// Octets of the body.
    pub(super) size_bytes: u64,
    /// The body's blake3 hash.
    pub(super) hash: [u8; 32],
    /// Octets of each run of frames that was cut by the ladder; one, unless memory was short while the body came.
    pub(super) runs: Vec<u64>,
    /// The frames, in the body's order.
    pub(super) frames: Vec<Frame>,
    /// The beginning of each frame's blake3 hash, so that a part of the body is compared too. None where there is but one
    /// frame, whose hash is the body's, and in rows of version 1.
    pub(super) checks: Vec<[u8; CHECK_BYTES]>,
}

/// Octets of a frame's hash that are kept.
pub(super) const CHECK_BYTES: usize = 8;

impl Row for Blob {
    const VERSION: u8 = 2;

    fn encode(&self, out: &mut Vec<u8>) {
        // Writing plain data to memory can't fail; an empty row would be seen as damage.
        if let Ok(bytes) = postcard::to_stdvec(self) {
            out.extend_from_slice(&bytes);
        }
    }

    fn decode(version: u8, bytes: &[u8]) -> Option<Self> {
        let row = match version {
            // It ended before the checks, and none of them is one zero octet.
            1 => Cow::Owned([bytes, &[0]].concat()),
            2 => Cow::Borrowed(bytes),
            _ => return None,
        };
        let (blob, rest) = postcard::take_from_bytes(&row).ok()?;
        rest.is_empty().then_some(blob)
    }
}

/// A piece of the frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunk(pub(super) Vec<u8>);

impl Row for Chunk {
    const VERSION: u8 = 1;
    /// The frames that are cut into it are proven by the body's row.
    const CHECKED: bool = false;
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
    fn decode(version: u8, bytes: &[u8]) -> Option<Self> {
        (version == Self::VERSION).then(|| Self(bytes.to_vec()))
    }
}

/// A chunk's bytes as they stand in the file.
pub(super) fn chunk_row(bytes: &[u8]) -> Vec<u8> {
    let mut row = Vec::with_capacity(1 + bytes.len());
    row.push(Chunk::VERSION);
    row.extend_from_slice(bytes);
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_of_version_1_reads_without_checks() {
        let frames = vec![Frame { raw_bytes: 9, stored_bytes: 5 }];
        let blob = Blob { references: 1, size_bytes: 9, hash: [7; 32], runs: vec![5], frames, checks: Vec::new() };
        let mut row = Vec::new();
        blob.encode(&mut row);
        let old = &row[..row.len() - 1];
        assert_eq!((Blob::decode(2, &row), Blob::decode(1, old)), (Some(blob.clone()), Some(blob.clone())));
        assert_eq!((Blob::decode(1, &row), Blob::decode(2, old), Blob::decode(3, &row)), (None, None, None));
        let checked = Blob { checks: vec![[1; CHECK_BYTES], [2; CHECK_BYTES]], ..blob };
        let mut row = Vec::new();
        checked.encode(&mut row);
        assert_eq!(Blob::decode(2, &row), Some(checked));
    }
}
