//! For tests: a disk that loses power and fails as a test wants it to.

use std::sync::Arc;

use redb::StorageBackend;
use redb::backends::InMemoryBackend;

/// A disk in memory.
#[derive(Debug, Default)]
pub struct FaultDisk {}

impl FaultDisk {
    /// The disk as the storage engine takes it.
    pub(super) fn plug(self: Arc<Self>) -> impl StorageBackend {
        InMemoryBackend::new()
    }
}
