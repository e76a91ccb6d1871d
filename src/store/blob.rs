use bytes::Bytes;

use super::error::{StoreError, WriteError};
use std::convert::Infallible;

/// Takes a body in as it comes: hashed (blake3), compressed in frames (zstd), cut into ladder chunks. What is above
/// 1 MiB goes to the file as pending while it comes.
pub struct BlobWriter {}

impl BlobWriter {
    /// Takes the next bytes. Waits while the bodies in memory are over their budget.
    ///
    /// # Errors
    /// As any write.
    pub async fn write(&mut self, _bytes: &[u8]) -> Result<(), WriteError<Infallible>> {
        todo!()
    }

    /// The whole body, ready for [`super::Tx::adopt_blob`].
    ///
    /// # Errors
    /// As any write.
    pub async fn finish(self) -> Result<StagedBlob, WriteError<Infallible>> {
        todo!()
    }
}

/// A body that is not yet part of the file. Dropped without being adopted, its pending chunks are collected.
pub struct StagedBlob {}

impl StagedBlob {
    /// The blake3 hash of the body's bytes.
    pub fn hash(&self) -> [u8; 32] {
        todo!()
    }
    /// Octets of the body, uncompressed.
    pub fn size_bytes(&self) -> u64 {
        todo!()
    }
    /// Octets that adopting it will write.
    pub fn weight_bytes(&self) -> usize {
        todo!()
    }
}

/// Hands a body out in pieces of at most 128 KiB; holds no read transaction between two of them.
pub struct BlobReader {}

impl BlobReader {
    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// [`StoreError`], also when the body was removed meanwhile.
    pub async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        todo!()
    }
}
