use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::blob_read::BlobReader;
use super::blob_rows::AbandonAll;
use super::blob_write::BlobWriter;
use super::bus::Bus;
use super::check::{Bodies, check};
use super::committed::Committed;
use super::engine::Engine;
use super::error::{OpenError, StoreError, WriteError};
use super::fault::FaultDisk;
use super::op::Op;
use super::queue::{Queue, block_on};
use super::readers::Readers;
use super::schema::{Findings, Schema};
use super::view::View;
use super::writer::{self, Writer};
use crate::base::{BlobId, Clock, SystemClock, limits};

/// Where the file lies.
pub enum Medium {
    /// On disk.
    File(PathBuf),
    /// In memory, for tests: gone with the store.
    Memory,
    /// On a disk that fails as a test wants it to.
    Faulty(Arc<FaultDisk>),
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

/// The exit code of a process whose file failed (EX_IOERR of sysexits.h).
const EXIT_IO_ERROR: i32 = 74;
/// Milliseconds that sessions get to hand their temporary errors out.
const LAST_WORDS_MS: u64 = 500;

impl Options {
    /// The defaults, for a file at `path`; a failure ends the process with exit code 74.
    pub fn at(path: &Path) -> Self {
        Self {
            medium: Medium::File(path.to_owned()),
            cache_bytes: 64 * 1024 * 1024,
            disk_reserve_bytes: 256 * 1024 * 1024,
            disk_ballast_bytes: 8 * 1024 * 1024,
            bodies_in_memory_bytes: limits::BODIES_IN_MEMORY_BYTES,
            clock: Arc::new(SystemClock),
            on_failure: Box::new(|_| {
                std::thread::sleep(Duration::from_millis(LAST_WORDS_MS));
                std::process::exit(EXIT_IO_ERROR);
            }),
        }
    }

    /// A store in memory, for tests; a failure panics the writer thread.
    pub fn memory(clock: Arc<dyn Clock>) -> Self {
        Self {
            medium: Medium::Memory,
            cache_bytes: 16 * 1024 * 1024,
            disk_reserve_bytes: 0,
            disk_ballast_bytes: 0,
            clock,
            on_failure: Box::new(|error| panic!("the store in memory failed: {error}")),
            ..Self::at(Path::new(""))
        }
    }

    /// A store on a test's disk; a failure is only told to `on_failure`.
    pub fn faulty(disk: Arc<FaultDisk>, on_failure: impl Fn(&StoreError) + Send + Sync + 'static) -> Self {
        Self { medium: Medium::Faulty(disk), on_failure: Box::new(on_failure), ..Self::memory(Arc::new(SystemClock)) }
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
    /// Octets of free disk space below which it counts as full.
    pub disk_reserve_bytes: u64,
    /// Octets of the file.
    pub file_bytes: u64,
    /// Octets written to the file since the start.
    pub written_bytes: u64,
    /// Syncs of the file since the start.
    pub syncs: u64,
    /// Panics of ops since the start.
    pub panics: u64,
    /// Chunks of bodies read since the start.
    pub chunks_read: u64,
}

/// The open file. Cheap to clone; the last clone closes it.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    engine: Arc<Engine>,
    queue: Arc<Queue>,
    readers: Arc<Readers>,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// What is left of the octets that bodies may hold in memory.
    bodies: Arc<Semaphore>,
    schema: &'static Schema,
}

impl Store {
    /// Opens the file, makes it where there is none (mode 0600), and starts the writer and the readers.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(options: Options, schema: &'static Schema) -> Result<Self, OpenError> {
        let engine = Arc::new(Engine::open(&options, schema)?);
        let no_thread = |error| OpenError::Io { path: PathBuf::from("a thread"), error };
        let readers = Arc::new(Readers::start(&engine).map_err(no_thread)?);
        let queue = Arc::new(Queue::new());
        // First in the queue, so that it meets no body of this run.
        queue.ride(AbandonAll);
        let bodies = Arc::new(Semaphore::new(options.bodies_in_memory_bytes.min(Semaphore::MAX_PERMITS)));
        let writer = {
            let (writer, queue) = (Writer::new(Arc::clone(&engine)), Arc::clone(&queue));
            let thread = std::thread::Builder::new().name("writer".into());
            thread.spawn(move || writer::run(writer, &queue, &*options.on_failure)).map_err(no_thread)?
        };
        Ok(Self(Arc::new(Inner { engine, queue, readers, writer: Mutex::new(Some(writer)), bodies, schema })))
    }

    /// Runs an op in the next batch; comes back when the batch is committed and synced, or the op refused. Dropping
    /// the future does not take the op back.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn write<O: Op>(&self, op: O) -> Result<Committed<O::Out>, WriteError<O::Refused>> {
        self.0.queue.write(op).await
    }

    /// The same from a thread that may block: start-up and the command line.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn write_blocking<O: Op>(&self, op: O) -> Result<Committed<O::Out>, WriteError<O::Refused>> {
        block_on(self.write(op))
    }

    /// Runs an op with the next batch that somebody waits for, or within a second; nobody learns whether it refused.
    pub fn ride<O: Op>(&self, op: O) {
        self.0.queue.ride(op);
    }

    /// A view for bounded point reads, to be dropped before the next await.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn view(&self) -> Result<View, StoreError> {
        self.0.engine.view()
    }

    /// Runs a longer read on a reader thread.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&View) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.0.readers.read(read).await
    }

    /// Begins to take a body in.
    pub fn blob_writer(&self) -> BlobWriter {
        BlobWriter::new(Arc::clone(&self.0.queue), Arc::clone(&self.0.bodies))
    }

    /// Begins to hand a body out.
    pub fn blob_reader(&self, blob: BlobId) -> BlobReader {
        BlobReader::new(Arc::clone(&self.0.engine), Arc::clone(&self.0.readers), blob)
    }

    /// What was committed.
    pub fn bus(&self) -> &Bus {
        &self.0.engine.bus
    }

    /// How it does.
    pub fn health(&self) -> Health {
        let engine = &self.0.engine;
        let room = engine.disk.room();
        Health {
            writable: self.0.queue.is_open() && !engine.failed.load(Ordering::SeqCst),
            full: room.full,
            disk_free_bytes: room.free_bytes,
            disk_reserve_bytes: engine.disk.reserve_bytes(),
            file_bytes: engine.disk.len(),
            written_bytes: engine.disk.written_bytes(),
            syncs: engine.disk.syncs(),
            panics: engine.panics.load(Ordering::Relaxed),
            chunks_read: engine.chunks_read.load(Ordering::Relaxed),
        }
    }

    /// Checks every row of every table, every body's chunks, and runs every cross-check, on one view. It takes long on
    /// a large file, and blocks: [`super::verify`] looks closer, at a file that no server has open.
    ///
    /// # Errors
    /// [`StoreError`] when the file can't be read at all.
    pub fn check(&self) -> Result<Findings, StoreError> {
        let mut findings = Findings::default();
        check(&self.view()?, self.0.schema, Bodies::Counted, &mut findings)?;
        Ok(findings)
    }

    /// Finishes what was asked for, makes the file open at once next time, and closes it. What comes later is refused.
    /// Blocks for as long as that takes.
    pub fn close(&self) {
        self.0.close();
    }
}

impl Inner {
    fn close(&self) {
        self.queue.finish();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer.filter(|writer| writer.thread().id() != std::thread::current().id())
            && writer.join().is_err()
        {
            tracing::error!("the writer ended with a panic");
        }
        self.readers.close();
        self.engine.close();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}
