use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::blob::{BlobReader, BlobWriter};
use super::bus::Bus;
use super::committed::Committed;
use super::error::{OpenError, StoreError, WriteError};
use super::op::Op;
use super::schema::{Findings, Schema};
use super::tx::View;
use crate::base::{BlobId, Clock};

/// Where the file lies.
pub enum Medium {
    /// On disk.
    File(PathBuf),
    /// In memory, for tests: gone with the store.
    Memory,
}

/// How to open the file.
pub struct Options {
    /// Where it lies.
    pub medium: Medium,
    /// Octets of the page cache.
    pub cache_bytes: usize,
    /// Octets of free disk space below which only [`Op::runs_when_full`] runs.
    pub disk_reserve_bytes: u64,
    /// Octets laid by past the end of the file, given back when the disk is full.
    pub disk_ballast_bytes: u64,
    /// Octets that all bodies on their way in may hold in memory.
    pub bodies_in_memory_bytes: usize,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Called once when a write or sync failed: acknowledge nothing more, end the process with exit code 74.
    pub on_failure: Box<dyn Fn(&StoreError) + Send + Sync>,
}

impl Options {
    /// The defaults, for a file at `path`; a failure ends the process with exit code 74.
    pub fn at(path: &Path) -> Self {
        let _ = path;
        todo!()
    }

    /// A store in memory, for tests; a failure panics the writer thread.
    pub fn memory(clock: Arc<dyn Clock>) -> Self {
        let _ = clock;
        todo!()
    }
}

/// Whether the file can be written, and the room that it has.
#[derive(Debug, Clone)]
pub struct Health {
    /// Writes are taken.
    pub writable: bool,
    /// The disk is below the reserve.
    pub full: bool,
    /// Octets free on the disk; `None` in memory.
    pub disk_free_bytes: Option<u64>,
    /// Octets of the file.
    pub file_bytes: u64,
    /// Panics of ops since the start.
    pub panics: u64,
}

/// The open file. Cheap to clone; the last clone closes it.
#[derive(Clone)]
pub struct Store {}

impl Store {
    /// Opens the file, makes it where there is none (mode 0600), and starts the writer and the readers.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(_options: Options, _schema: &'static Schema) -> Result<Self, OpenError> {
        todo!()
    }

    /// Runs an op in the next batch; comes back when the batch is committed and synced, or the op refused.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn write<O: Op>(&self, _op: O) -> Result<Committed<O::Out>, WriteError<O::Refused>> {
        todo!()
    }

    /// The same from a thread that may block: start-up and the command line.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn write_blocking<O: Op>(&self, _op: O) -> Result<Committed<O::Out>, WriteError<O::Refused>> {
        todo!()
    }

    /// Runs an op with the next batch that somebody waits for, or within a second; nobody learns whether it refused.
    pub fn ride<O: Op>(&self, _op: O) {
        todo!()
    }

    /// A view for bounded point reads, to be dropped before the next await.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn view(&self) -> Result<View, StoreError> {
        todo!()
    }

    /// Runs a longer read on a reader thread.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn read<T: Send + 'static>(
        &self,
        _read: impl FnOnce(&View) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        todo!()
    }

    /// Begins to take a body in.
    pub fn blob_writer(&self) -> BlobWriter {
        todo!()
    }

    /// Begins to hand a body out.
    pub fn blob_reader(&self, _blob: BlobId) -> BlobReader {
        todo!()
    }

    /// What was committed.
    pub fn bus(&self) -> &Bus {
        todo!()
    }

    /// How it does.
    pub fn health(&self) -> Health {
        todo!()
    }

    /// Checks every row of every table and runs every cross-check on one view.
    ///
    /// # Errors
    /// [`StoreError`] when the file can't be read at all.
    pub fn check(&self) -> Result<Findings, StoreError> {
        todo!()
    }

    /// Finishes what was asked for, makes the file open at once next time, and closes it. What comes later is refused.
    pub fn close(&self) {
        todo!()
    }
}
