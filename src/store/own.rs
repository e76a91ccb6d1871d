//! The store's own tables.

use serde::{Deserialize, Serialize};

use super::frame::Frame;
use super::row::Row;
use super::schema::AnyTable;
use super::table::Table;
use crate::base::BlobId;

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

/// The key of the schema's version in [`META`].
pub(super) const SCHEMA_VERSION: &str = "schema";
/// The counter of the bodies' ids.
pub(super) const BLOB_IDS: &str = "blob";

/// All of them.
pub(super) static TABLES: &[&dyn AnyTable] =
    &[&META, &COUNTERS, &BLOBS, &BLOB_DATA, &BLOB_HASH, &BLOB_PENDING, &BLOB_DEAD];

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
}
crate::postcard_row!(Blob, 1);

/// A piece of the frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunk(pub(super) Vec<u8>);

impl Row for Chunk {
    const VERSION: u8 = 1;
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
    fn decode(version: u8, bytes: &[u8]) -> Option<Self> {
        (version == Self::VERSION).then(|| Self(bytes.to_vec()))
    }
}

/// The row's bytes as they stand in the file.
pub(super) fn encode_row<V: Row>(row: &V) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    out.push(V::VERSION);
    row.encode(&mut out);
    out
}

/// A chunk's bytes as they stand in the file.
pub(super) fn chunk_row(bytes: &[u8]) -> Vec<u8> {
    let mut row = Vec::with_capacity(1 + bytes.len());
    row.push(Chunk::VERSION);
    row.extend_from_slice(bytes);
    row
}
