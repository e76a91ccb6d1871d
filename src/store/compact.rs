//! Compaction while the file is in use: all rows are copied into a new file beside it, in slices, then those that were
//! changed meanwhile, in rounds; both are compared; and between two batches of the writer, when only a few are left, the
//! new file gets the name. A crash leaves the old file there, or the new one, and both hold all that was acknowledged.

use std::convert::Infallible;
use std::io;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use redb::Database;

use super::backend::{Backend, Disk};
use super::compact_rows::{Rows, tables};
use super::engine::Engine;
use super::error::{Halt, PAGES, StoreError};
use super::journal::{Journal, Overflowed};
use super::live::PAGES_PERCENT;
use super::op::Op;
use super::own::{ALL_CHECKED, META, Number, PLAIN_UNTIL_COMPACTED};
use super::queue::Queue;
use super::schema::Schema;
use super::tx::Tx;
use super::view::guarded;
use super::writer::{Errand, Writer};

/// Octets of the cache with which the new file is written.
const CACHE_BYTES: usize = 16 * 1024 * 1024;
/// Octets of memory for the rows that are changed meanwhile.
const JOURNAL_BYTES: usize = 16 * 1024 * 1024;
/// Changed rows that are copied at a time.
const ROUND_ROWS: usize = 10_000;
/// Changed rows that are left to the end, when the writer waits.
const LAST_ROWS: usize = 256;
/// Rounds over what was changed, after which it is given up: more is changed than can be copied.
const ROUNDS: usize = 100;
/// Octets that a new file may take beyond what its rows are likely to.
const MARGIN_BYTES: u64 = 16 * 1024 * 1024;

/// How far a compaction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompactProgress {
    /// Rows that are copied, and of about how many.
    Copying {
        /// Copied so far.
        done_rows: u64,
        /// In the file when it was begun.
        all_rows: u64,
    },
    /// Rows of the old file and of the new one that were compared.
    Comparing {
        /// Compared so far.
        done_rows: u64,
        /// In the file when it was begun.
        all_rows: u64,
    },
    /// The rows that were changed meanwhile are copied: how many are left.
    CatchingUp {
        /// Rows that are left.
        rows: u64,
    },
}

/// What a compaction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compacted {
    /// Octets that the file took of its disk.
    pub before_bytes: u64,
    /// Octets that it takes now.
    pub after_bytes: u64,
    /// How long writers waited while the new file took the place of the old one.
    pub pause: Duration,
}

/// Why a file was not compacted. It is as it was, and in use.
#[derive(Debug, thiserror::Error)]
pub enum CompactError {
    /// One thing at a time.
    #[error("the file is being compacted already, or a copy of it is being made: wait for the end of that")]
    Busy,
    /// The disk has too little room for a second file beside it.
    #[error("the new file needs {needed_bytes} octets beside the old one, and the disk has {free_bytes} to give")]
    NoRoom {
        /// What it would take.
        needed_bytes: u64,
        /// What the disk has, without the reserve.
        free_bytes: u64,
    },
    /// Whoever wanted it wants it no more.
    #[error("it was given up")]
    GivenUp,
    /// More was changed than could be copied.
    #[error("too much is changed meanwhile: try again when there is less to do")]
    Restless,
    /// The old file is not the one of its name any more.
    #[error("another file has the data file's name, or none has: stop the server, and put the right one there")]
    Displaced,
    /// The new file is not what the old one is.
    #[error("the new file is not what the old one is, and was thrown away: {0}")]
    NotGood(String),
    /// The new file can't be made or can't take the place of the old one.
    #[error("the new file beside the old one: {0}")]
    Io(#[from] io::Error),
    /// The old file can't be read, or the new one can't be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Overflowed> for CompactError {
    fn from(_: Overflowed) -> Self {
        Self::Restless
    }
}

type Tell<'a> = &'a mut dyn FnMut(CompactProgress) -> ControlFlow<()>;

/// Compacts the file while it is in use. Blocks for as long as that takes.
pub(super) fn compact(
    engine: &Engine,
    queue: &Queue,
    schema: &'static Schema,
    tell: Tell<'_>,
) -> Result<Compacted, CompactError> {
    let journal = begin(queue)?;
    let old = engine.disk();
    let before_bytes = old.used_bytes();
    need_room(engine, &old)?;
    let (tables, all_rows) = tables(engine)?;
    let mut new = NewFile::make(&old, schema)?;
    new.copy(engine, &journal, &tables, all_rows, tell)?;
    // Opened once more as it will be used; what it has laid by is given back.
    new.reopen(engine.cache_bytes)?;
    new.compare(engine, queue, &journal, &tables, all_rows, tell)?;
    let pause = new.take_over(engine, queue, &journal, tell)?;
    queue.ride(Rewritten);
    engine.plain_until_compacted.store(false, Ordering::SeqCst);
    let after_bytes = engine.disk().used_bytes();
    tracing::info!(event = "compacted", before_bytes, after_bytes, pause_us = pause.as_micros() as u64);
    Ok(Compacted { before_bytes, after_bytes, pause })
}

/// Whether a compaction could begin now.
pub(super) fn can_compact(engine: &Engine, queue: &Queue) -> Result<(), CompactError> {
    let is_busy = errand(queue, |writer| Ok(writer.is_compacting() || writer.disk().is_copying()))?;
    if is_busy { Err(CompactError::Busy) } else { need_room(engine, &engine.disk()) }
}

/// Notes that the file has no free pages any more that may hold secrets from before they were sealed, and no row without a
/// checksum.
struct Rewritten;

impl Op for Rewritten {
    type Plan = ();
    type Out = ();
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "note that every row was rewritten"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<Infallible>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        tx.put(&META, &ALL_CHECKED.to_owned(), &Number(1))?;
        tx.remove(&META, &PLAIN_UNTIL_COMPACTED.to_owned()).map(drop)
    }
}

/// From here on the writer notes what it changes.
fn begin(queue: &Queue) -> Result<Arc<Journal>, CompactError> {
    errand(queue, |writer| {
        if writer.is_compacting() || writer.disk().is_copying() {
            return Ok(Err(CompactError::Busy));
        }
        let journal = Arc::new(Journal::new(JOURNAL_BYTES));
        writer.keep_journal(&journal);
        Ok(Ok(journal))
    })?
}

/// Has the writer do something between two batches, and waits for what comes of it.
fn errand<T: Send + 'static>(
    queue: &Queue,
    run: impl FnOnce(&mut Writer) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let (tell, told) = mpsc::channel();
    let errand: Errand = Box::new(move |writer| {
        let done = run(writer)?;
        // Whoever asked may have gone.
        let _ = tell.send(done);
        Ok(())
    });
    queue.send(errand)?;
    told.recv().map_err(|_| StoreError::Closed)
}

/// The new file must not be what fills the disk on which mail arrives.
fn need_room(engine: &Engine, old: &Disk) -> Result<(), CompactError> {
    let Some(free_bytes) = old.room().free_bytes else { return Ok(()) };
    let free_bytes = free_bytes.saturating_sub(old.reserve_bytes());
    let all = engine.live.bytes().map_or(u64::MAX, |live| live / 100 * PAGES_PERCENT + MARGIN_BYTES);
    let needed_bytes = all.min(old.used_bytes());
    if free_bytes < needed_bytes { Err(CompactError::NoRoom { needed_bytes, free_bytes }) } else { Ok(()) }
}

/// The file that is being made. Removed unless it takes the place of the old one.
struct NewFile {
    old: Arc<Disk>,
    disk: Arc<Disk>,
    /// `None` once it is handed over.
    database: Option<Database>,
    schema: &'static Schema,
    live_bytes: u64,
    has_the_name: bool,
}

/// What became of the attempt to take over.
enum TakeOver {
    Done(Duration),
    /// Too much was changed: once more.
    Again(Box<NewFile>),
    Failed(Box<NewFile>, CompactError),
}

impl NewFile {
    fn make(old: &Arc<Disk>, schema: &'static Schema) -> Result<Self, CompactError> {
        let disk = Arc::new(old.make_successor()?);
        let mut new = Self { old: Arc::clone(old), disk, database: None, schema, live_bytes: 0, has_the_name: false };
        new.database = Some(open(&new.disk, CACHE_BYTES)?);
        Ok(new)
    }

    fn reopen(&mut self, cache_bytes: usize) -> Result<(), CompactError> {
        if let Some(database) = self.database.take() {
            database.close().map_err(|error| StoreError::Storage(error.to_string()))?;
        }
        self.database = Some(open(&self.disk, cache_bytes)?);
        Ok(())
    }

    /// All rows, and now and then those that were changed behind the copy.
    fn copy(
        &mut self,
        engine: &Engine,
        journal: &Journal,
        tables: &[String],
        all_rows: u64,
        tell: Tell<'_>,
    ) -> Result<(), CompactError> {
        let mut done_rows = 0;
        for table in tables {
            let mut last: Option<Vec<u8>> = None;
            loop {
                journal.begin(table);
                let slice = self.rows(engine)?.copy_slice(table, last.as_deref())?;
                journal.end(table, slice.last.as_deref());
                done_rows += slice.rows;
                go_on(tell(CompactProgress::Copying { done_rows, all_rows }))?;
                if self.old.room().full {
                    need_room(engine, &self.old)?;
                }
                if journal.len()? > ROUND_ROWS {
                    self.catch_up(engine, journal)?;
                }
                last = slice.last;
                if last.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Every row of both. What differs is what the writer has noted, or nothing is good.
    fn compare(
        &mut self,
        engine: &Engine,
        queue: &Queue,
        journal: &Arc<Journal>,
        tables: &[String],
        all_rows: u64,
        tell: Tell<'_>,
    ) -> Result<(), CompactError> {
        journal.note_everything();
        // What is noted from here on is not taken before the end, so it may not be much now.
        self.settle_down(engine, journal, tell)?;
        let mut done_rows = 0;
        for table in tables {
            let mut last: Option<Vec<u8>> = None;
            loop {
                let mut different = Vec::new();
                let rows = self.rows(engine)?;
                let slice = rows.compare_slice(table, last.as_deref(), &mut different)?;
                done_rows += slice.rows;
                go_on(tell(CompactProgress::Comparing { done_rows, all_rows }))?;
                expect_noted(queue, journal, table, &different)?;
                if journal.len()? > ROUND_ROWS {
                    self.catch_up(engine, journal)?;
                }
                last = slice.last;
                if last.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Copies what was changed until it is so little that the rest can be done while the writer waits.
    fn settle_down(&mut self, engine: &Engine, journal: &Journal, tell: Tell<'_>) -> Result<(), CompactError> {
        for _ in 0..ROUNDS {
            let rows = journal.len()?;
            go_on(tell(CompactProgress::CatchingUp { rows: rows as u64 }))?;
            if rows <= LAST_ROWS {
                return Ok(());
            }
            self.catch_up(engine, journal)?;
        }
        Err(CompactError::Restless)
    }

    fn catch_up(&mut self, engine: &Engine, journal: &Journal) -> Result<(), CompactError> {
        for changed in journal.take()?.chunks(ROUND_ROWS / 10) {
            self.rows(engine)?.copy_changed(changed, false)?;
        }
        Ok(())
    }

    /// The last rows, and the name, while the writer waits.
    fn take_over(
        self,
        engine: &Engine,
        queue: &Queue,
        journal: &Arc<Journal>,
        tell: Tell<'_>,
    ) -> Result<Duration, CompactError> {
        let mut new = Box::new(self);
        for _ in 0..ROUNDS {
            new.settle_down(engine, journal, tell)?;
            let journal = Arc::clone(journal);
            match errand(queue, move |writer| new.replace_old(writer, &journal))? {
                TakeOver::Done(pause) => return Ok(pause),
                TakeOver::Again(again) => new = again,
                TakeOver::Failed(_new, error) => return Err(error),
            }
        }
        Err(CompactError::Restless)
    }

    /// Fails only where nothing may be acknowledged any more: when it is not known which file has the name.
    fn replace_old(mut self: Box<Self>, writer: &mut Writer, journal: &Journal) -> Result<TakeOver, StoreError> {
        let began = Instant::now();
        // The old file may be damaged: that is no reason to stop.
        match guarded(PAGES, || Ok(self.make_equal(writer, journal))).unwrap_or_else(|error| Err(error.into())) {
            Ok(true) => {}
            Ok(false) => return Ok(TakeOver::Again(self)),
            Err(error) => return Ok(TakeOver::Failed(self, error)),
        }
        // What somebody has put in its place is not ours to replace.
        match self.old.has_its_name() {
            Ok(true) => {}
            Ok(false) => return Ok(TakeOver::Failed(self, CompactError::Displaced)),
            Err(error) => return Ok(TakeOver::Failed(self, error.into())),
        }
        if let Err(error) = self.old.hand_over() {
            // A network's file system may say so of a name that was given all the same.
            let is_as_it_was = self.old.has_its_name()?;
            return if is_as_it_was { Ok(TakeOver::Failed(self, error.into())) } else { Err(error.into()) };
        }
        self.has_the_name = true;
        self.old.sync_name()?;
        let database = self.database.take().ok_or(StoreError::Closed)?;
        writer.go_on_with(Arc::clone(&self.disk), database, self.live_bytes);
        Ok(TakeOver::Done(began.elapsed()))
    }

    /// Copies the last rows; `false` when there are too many.
    fn make_equal(&mut self, writer: &Writer, journal: &Journal) -> Result<bool, CompactError> {
        if journal.len()? > LAST_ROWS {
            return Ok(false);
        }
        let changed = journal.take()?;
        let mut rows = self.rows(writer.engine())?;
        rows.copy_changed(&changed, true)?;
        match rows.uneven_table()? {
            None => Ok(true),
            Some(table) => Err(CompactError::NotGood(format!("table {table} has another number of rows"))),
        }
    }

    fn rows<'a>(&'a mut self, engine: &'a Engine) -> Result<Rows<'a>, StoreError> {
        let new = self.database.as_ref().ok_or(StoreError::Closed)?;
        Ok(Rows { engine, new, schema: self.schema, live_bytes: &mut self.live_bytes })
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.has_the_name {
            drop(self.database.take());
            if let Err(error) = self.old.remove_successor() {
                tracing::warn!(%error, "what was left of a compaction stays beside the file");
            }
        }
    }
}

/// What differs was changed since what was noted was last copied.
fn expect_noted(queue: &Queue, journal: &Journal, table: &str, different: &[Vec<u8>]) -> Result<(), CompactError> {
    if different.is_empty() {
        return Ok(());
    }
    // A change is seen when it is committed, and noted a moment later: between two batches all are.
    errand(queue, |_| Ok(()))?;
    let is_noted = different.iter().all(|key| journal.has(table, key));
    // One that overflowed has none.
    journal.len()?;
    if is_noted { Ok(()) } else { Err(CompactError::NotGood(format!("a row of table {table} differs"))) }
}

fn open(disk: &Arc<Disk>, cache_bytes: usize) -> Result<Database, StoreError> {
    let opened = Database::builder().set_cache_size(cache_bytes).create_with_backend(Backend(Arc::clone(disk)));
    opened.map_err(|error| StoreError::Storage(error.to_string()))
}

fn go_on(flow: ControlFlow<()>) -> Result<(), CompactError> {
    if flow.is_break() { Err(CompactError::GivenUp) } else { Ok(()) }
}
