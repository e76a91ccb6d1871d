use std::ops::ControlFlow;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::archive::Archive;
use super::blob_check::Bodies;
use super::blob_read::BlobReader;
use super::blob_rows::AbandonAll;
use super::blob_write::BlobWriter;
use super::bus::Bus;
use super::check::check;
use super::committed::Committed;
use super::compact::{CompactError, CompactProgress, Compacted, can_compact, compact};
use super::copy::{Copied, CopyError, CopyOptions, CopyProgress, copy, verify_copy, verify_copy_sealed};
use super::damage::EXIT_DAMAGED;
use super::engine::Engine;
use super::error::{OpenError, StoreError, WriteError};
use super::fault::FaultDisk;
use super::findings::Findings;
use super::op::Op;
use super::open_views::OldestView;
use super::opening::Opening;
use super::own::COUNTERS;
use super::progress::{Tell, Teller};
use super::queue::{Queue, block_on};
use super::readers::Readers;
use super::restored;
use super::schema::Schema;
use super::sealing::Sealing;
use super::secrets::Secrets;
use super::span::Span;
use super::staged::Arrived;
use super::view::{Read, View};
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
    /// How secrets lie in the file.
    pub sealing: Arc<Sealing>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Hears how far the opening is, and may end it.
    pub opening: Arc<Opening>,
    /// Called once when a write or sync failed, or the file is so damaged that none can be made: acknowledge nothing more,
    /// end the process, with exit code 74 or 65.
    pub on_failure: Box<dyn Fn(&StoreError) + Send + Sync>,
}

/// The exit code of a process whose file failed (EX_IOERR of sysexits.h).
const EXIT_IO_ERROR: i32 = 74;
/// Milliseconds that sessions get to hand their temporary errors out.
const LAST_WORDS_MS: u64 = 500;

impl Options {
    /// The defaults, for a file at `path`; a failure ends the process.
    pub fn at(path: &Path) -> Self {
        Self {
            medium: Medium::File(path.to_owned()),
            cache_bytes: 64 * 1024 * 1024,
            disk_reserve_bytes: 256 * 1024 * 1024,
            disk_ballast_bytes: 8 * 1024 * 1024,
            bodies_in_memory_bytes: limits::BODIES_IN_MEMORY_BYTES,
            sealing: Arc::new(Sealing::Untouched),
            clock: Arc::new(SystemClock),
            opening: Arc::default(),
            on_failure: Box::new(|error| {
                std::thread::sleep(Duration::from_millis(LAST_WORDS_MS));
                std::process::exit(match error {
                    StoreError::Damaged { .. } => EXIT_DAMAGED,
                    _ => EXIT_IO_ERROR,
                });
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
    /// Octets that the file takes of its disk; holes in it take none.
    pub used_bytes: u64,
    /// Octets of all keys and rows. `None` where they are not known: in a file of an older version that was not compacted yet.
    pub live_bytes: Option<u64>,
    /// Octets of it, roughly, that a compaction would give back: free pages, and what pages waste. `None` where
    /// the live ones are not known.
    pub free_bytes: Option<u64>,
    /// The permission bits of the file; `None` in memory.
    pub file_mode: Option<u32>,
    /// Octets written to the file since the start.
    pub written_bytes: u64,
    /// Syncs of the file since the start.
    pub syncs: u64,
    /// Panics of ops since the start.
    pub panics: u64,
    /// Chunks of bodies read since the start.
    pub chunks_read: u64,
    /// How long the file was repaired at the start; `None` when it needed no repair.
    pub repair_took: Option<Duration>,
    /// A crash now would need no repair.
    pub opens_at_once: bool,
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
    #[track_caller]
    pub fn view(&self) -> Result<View, StoreError> {
        self.0.engine.view()
    }

    /// Runs a longer read on a reader thread.
    ///
    /// # Errors
    /// [`StoreError`].
    #[track_caller]
    pub fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&View) -> Result<T, StoreError> + Send + 'static,
    ) -> impl Future<Output = Result<T, StoreError>> + Send {
        self.0.readers.read(Location::caller(), read)
    }

    /// The view that has been open for longest, if one is.
    pub fn oldest_view(&self) -> Option<OldestView> {
        self.0.engine.views.oldest()
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
        let disk = engine.disk();
        let room = disk.room();
        Health {
            writable: self.0.queue.is_open() && !engine.failed.load(Ordering::SeqCst),
            full: room.full,
            disk_free_bytes: room.free_bytes,
            disk_reserve_bytes: disk.reserve_bytes(),
            file_bytes: disk.len(),
            file_mode: disk.mode(),
            used_bytes: disk.used_bytes(),
            live_bytes: engine.live.bytes(),
            free_bytes: engine.live.free_bytes(disk.used_bytes()),
            written_bytes: disk.written_bytes(),
            syncs: disk.syncs(),
            panics: engine.panics.load(Ordering::Relaxed),
            chunks_read: engine.chunks_read.load(Ordering::Relaxed),
            repair_took: engine.repair_took,
            opens_at_once: engine.opens_at_once.load(Ordering::Relaxed),
        }
    }

    /// How the secrets lie in the file.
    pub fn secrets(&self) -> Secrets {
        self.0.engine.secrets()
    }

    /// With what they are sealed: whether another file opens with it is said by [`super::verify`].
    pub fn sealing(&self) -> Arc<Sealing> {
        Arc::clone(&self.0.engine.sealing)
    }

    /// Makes a copy of the file at `path` (mode 0600), as it is at one instant between two transactions, opens it and
    /// checks all of it; what bears the name is good, and opens without repair. The writer goes on meanwhile. Blocks for
    /// as long as that takes; `tell` hears how far it is, and may end it.
    ///
    /// # Errors
    /// [`CopyError`]; nothing is left of a copy that failed.
    pub fn copy_to(
        &self,
        path: &Path,
        options: CopyOptions,
        tell: &mut dyn FnMut(CopyProgress) -> ControlFlow<()>,
    ) -> Result<Copied, CopyError> {
        copy(&self.0.engine, &self.0.queue, self.0.schema, path, options, tell)
    }

    /// Compacts the file: a new one with all rows and no free pages takes its place, while reads and writes go on; writers
    /// wait for a moment at the end. Blocks for as long as that takes; `tell` hears how far it is, and may end it.
    ///
    /// # Errors
    /// [`CompactError`]; the file is as it was.
    pub fn compact(&self, tell: &mut dyn FnMut(CompactProgress) -> ControlFlow<()>) -> Result<Compacted, CompactError> {
        compact(&self.0.engine, &self.0.queue, self.0.schema, tell)
    }

    /// Whether [`Store::compact`] could begin now: nothing else is done to the file, and the disk has room. Waits for the
    /// writer's batch.
    ///
    /// # Errors
    /// [`CompactError`].
    pub fn can_compact(&self) -> Result<(), CompactError> {
        can_compact(&self.0.engine, &self.0.queue)
    }

    /// Checks a copy of the file that no server has open, and leaves it as it is: what [`super::verify`] does, by this
    /// file's schema. `None` where `tell` has ended it. Blocks.
    ///
    /// # Errors
    /// [`OpenError`] when it can't be opened at all.
    pub fn verify_copy(&self, path: &Path, tell: Tell<'_>) -> Result<Option<Findings>, OpenError> {
        verify_copy(path, self.0.schema, tell)
    }

    /// Opens a copy of the file that no server has open, to read it. Blocks.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_copy(&self, path: &Path) -> Result<Archive, OpenError> {
        Archive::open(path, self.0.schema)
    }

    /// Checks a copy that has come in. `None` where `tell` has ended it. Blocks.
    ///
    /// # Errors
    /// [`OpenError`] when it doesn't open at all.
    pub fn verify_arrived(&self, copy: &Arrived, tell: Tell<'_>) -> Result<Option<Findings>, OpenError> {
        verify_copy_sealed(copy.path(), self.0.schema, self.sealing(), tell)
    }

    /// Stages a copy that was checked: at the next start it changes places with the file at `data`
    /// ([`super::put_in_place`]), and gives no number again that this one has given. `from` says which one it is. Blocks.
    ///
    /// # Errors
    /// [`OpenError`]; nothing is left of the copy.
    pub fn stage(&self, copy: Arrived, data: &Path, from: &str) -> Result<(), OpenError> {
        // What can't be read of a damaged file is no reason not to restore it.
        let given = self.view().and_then(|view| view.rows(&COUNTERS, Span::all(), usize::MAX)).unwrap_or_default();
        restored::mark(copy.path(), self.0.schema, Some(from), &given)?;
        copy.stage(data).map_err(|error| OpenError::Io { path: data.to_owned(), error })
    }

    /// Checks every row of every table, every body's chunks, and runs every cross-check, on one view. It takes long on
    /// a large file, and blocks: [`super::verify`] looks closer, at a file that no server has open.
    ///
    /// # Errors
    /// [`StoreError`] when the file can't be read at all.
    pub fn check(&self) -> Result<Findings, StoreError> {
        Ok(self.check_telling(&mut |_| ControlFlow::Continue(()))?.unwrap_or_default())
    }

    /// The same, with a word now and then about how far it is. `None` where `tell` has ended it.
    ///
    /// # Errors
    /// As [`Store::check`].
    pub fn check_telling(&self, tell: Tell<'_>) -> Result<Option<Findings>, StoreError> {
        let (mut findings, mut teller) = (Findings::default(), Teller::new(tell));
        let checked = check(&self.view()?.for_check(), self.0.schema, Bodies::Counted, &mut findings, &mut teller);
        if teller.is_given_up() { Ok(None) } else { checked.map(|()| Some(findings)) }
    }

    /// Mends what a check finds, as a repair does, while nothing else is written.
    ///
    /// # Errors
    /// [`StoreError`].
    #[cfg(test)]
    pub fn mend(&self) -> Result<Vec<String>, StoreError> {
        super::mend::mend_all(&self.0.engine, self.0.schema, crate::base::Timestamp(7))
    }

    /// Does damage to the file; then as [`Store::is_mended_of`].
    #[cfg(test)]
    pub fn is_mended(
        &self,
        damage: impl Fn(&mut super::Tx<'_>) -> Result<(), StoreError> + Send + 'static,
        expected: &str,
    ) {
        self.write_blocking(super::tests::run(damage)).expect("the test's store works").into_inner();
        self.is_mended_of(expected);
    }

    /// A check finds what is expected, a repair mends it, and nothing is found behind it.
    #[cfg(test)]
    pub fn is_mended_of(&self, expected: &str) {
        let found = self.check().expect("it can be checked");
        assert!(found.lines().iter().any(|line| line.contains(expected)), "{expected}: {:?}", found.lines());
        let mended = self.mend().expect("it can be mended");
        assert!(mended.iter().any(|what| what.contains(expected)), "{expected}: {mended:?}");
        assert_eq!(self.check().expect("it can be checked").lines(), [] as [&str; 0], "{expected}");
    }

    /// Flips a bit in the first row of a table.
    #[cfg(test)]
    pub fn spoil(&self, table: &'static str) {
        let op = super::tests::run(move |tx| {
            let key = tx.raw_keys(table, &super::Span::<String>::all(), 1)?.pop().expect("there is a row");
            let mut row = tx.bytes(table, &key)?.unwrap_or_default();
            let middle = row.len() / 2;
            row[middle] ^= 4;
            tx.put_bytes(table, &key, &row)
        });
        self.write_blocking(op).expect("the test's store works").into_inner();
    }

    /// Lets the file forget a counter.
    #[cfg(test)]
    pub fn forget_counter(&self, counter: &'static str) {
        let op = super::tests::run(move |tx| tx.remove(&super::own::COUNTERS, &counter.to_owned()).map(drop));
        self.write_blocking(op).expect("the test's store works").into_inner();
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
