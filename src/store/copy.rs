use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};

use redb::{Database, TableDefinition};
use rustix::fs::fstatvfs;

use super::backend::Disk;
use super::check::verify_telling;
use super::compact_rows::{Rows, tables};
use super::engine::Engine;
use super::error::{OpenError, StoreError};
use super::findings::Findings;
use super::handle::Options;
use super::own::{ALL_CHECKED, META, Number, PLAIN_UNTIL_COMPACTED};
use super::progress::{CheckProgress, Tell};
use super::queue::Queue;
use super::restore::give_name;
use super::row::encode_row;
use super::schema::Schema;
use super::sealing::Sealing;
use super::view::encode_key;
use super::writer::Errand;

/// Octets between two syncs of the copy: what is dirty there must not make the syncs of the file itself wait long.
const SYNC_EVERY_BYTES: u64 = 16 * 1024 * 1024;
/// Octets of the cache with which the copy is checked.
const CHECK_CACHE_BYTES: usize = 16 * 1024 * 1024;

/// The copies that this process has begun.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// How a copy is wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CopyOptions {
    /// Without the free pages of the file: smaller, and more work.
    pub compact: bool,
}

/// How far a copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyProgress {
    /// Octets that are copied, and of how many.
    Copying {
        /// Copied so far.
        done_bytes: u64,
        /// The file's length at the instant.
        all_bytes: u64,
    },
    /// It is written once more, without free pages.
    Compacting {
        /// Rows that are written.
        done_rows: u64,
        /// All there are.
        all_rows: u64,
    },
    /// It is opened, and everything in it is checked.
    Checking(CheckProgress),
}

/// A copy that was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// Its length in octets.
    pub file_bytes: u64,
    /// Octets that it takes of its disk: holes are not copied.
    pub disk_bytes: u64,
    /// Octets that the writer kept for it, since it was about to overwrite them.
    pub kept_bytes: u64,
}

/// Why there is no copy. Nothing is left of it.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The name is taken.
    #[error("{0} is there already: name another file, or remove it")]
    Exists(PathBuf),
    /// One is being made.
    #[error("another copy of the file is being made, or it is being compacted: wait for its end")]
    Busy,
    /// The disk of the copy has too little room.
    #[error(
        "a copy needs {needed_bytes} octets, and its disk has {free_bytes} to give: make room, or name another disk"
    )]
    NoRoom {
        /// What it would take.
        needed_bytes: u64,
        /// What its disk has, without the reserve where it is the file's own.
        free_bytes: u64,
    },
    /// Whoever wanted it wants it no more.
    #[error("it was given up")]
    GivenUp,
    /// The copy can't be written, or the file can't be read.
    #[error("{0}; check that the copy's folder exists and that this user may write to it")]
    Io(#[from] io::Error),
    /// The copy was made and is not good.
    #[error("the copy is not good, and was thrown away: {0}")]
    NotGood(String),
    /// The store is closed or has failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a copy of the file as it is at one instant between two transactions, opens it, checks all of it, and gives it its
/// name at last: what bears the name is good. Writes go on meanwhile.
pub(super) fn copy(
    engine: &Engine,
    queue: &Queue,
    schema: &'static Schema,
    path: &Path,
    options: CopyOptions,
    tell: &mut dyn FnMut(CopyProgress) -> ControlFlow<()>,
) -> Result<Copied, CopyError> {
    if path.exists() {
        return Err(CopyError::Exists(path.to_owned()));
    }
    let mut part = Part::make(path)?;
    need_room(engine, &part.file)?;
    let kept_bytes = fill(engine, queue, &part, tell)?;
    if options.compact {
        part = rewrite(engine, &part, path, schema, tell)?;
    }
    let findings = verify_copy(&part.path, schema, &mut |progress| tell(CopyProgress::Checking(progress)));
    let findings = findings.map_err(|error| CopyError::NotGood(error.to_string()))?.ok_or(CopyError::GivenUp)?;
    if let Some(first) = findings.lines().first() {
        let more = findings.lines().len() - 1;
        return Err(CopyError::NotGood(if more == 0 { first.clone() } else { format!("{first}, and {more} more") }));
    }
    let there = part.file.metadata()?;
    part.name(path)?;
    Ok(Copied { file_bytes: there.len(), disk_bytes: there.blocks() * 512, kept_bytes })
}

/// Checks a copy that nobody has open.
pub(super) fn verify_copy(path: &Path, schema: &'static Schema, tell: Tell<'_>) -> Result<Option<Findings>, OpenError> {
    verify_copy_sealed(path, schema, Arc::new(Sealing::Untouched), tell)
}

/// The same, of one that is to be opened with these keys.
pub(super) fn verify_copy_sealed(
    path: &Path,
    schema: &'static Schema,
    sealing: Arc<Sealing>,
    tell: Tell<'_>,
) -> Result<Option<Findings>, OpenError> {
    verify_telling(&Options { cache_bytes: CHECK_CACHE_BYTES, sealing, ..Options::at(path) }, schema, tell)
}

/// A copy that is being made, under another name. Removed unless it gets its own.
struct Part {
    file: File,
    path: PathBuf,
}

impl Part {
    fn make(path: &Path) -> Result<Self, CopyError> {
        // Another copy to the same name may be on its way, of this process or of another.
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let mut part = path.as_os_str().to_owned();
        part.push(format!(".{}-{number}.part", std::process::id()));
        let path = PathBuf::from(part);
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self { file, path })
    }

    fn name(self, path: &Path) -> Result<(), CopyError> {
        self.file.sync_all()?;
        // Fails where the name was taken meanwhile; the other name goes when this one ends.
        give_name(&self.path, path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => CopyError::Exists(path.to_owned()),
            _ => error.into(),
        })
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Nothing can be done if it stays.
        let _ = fs::remove_file(&self.path);
    }
}

/// Takes the instant, and copies.
fn fill(
    engine: &Engine,
    queue: &Queue,
    part: &Part,
    tell: &mut dyn FnMut(CopyProgress) -> ControlFlow<()>,
) -> Result<u64, CopyError> {
    let target = part.file.try_clone()?;
    let (begun, beginning) = mpsc::channel();
    let errand: Errand = Box::new(move |writer| {
        // A copy of a file that opens without repair opens without repair.
        writer.settle()?;
        // Whoever asked may have gone.
        let (disk, is_compacting) = (writer.disk(), writer.is_compacting());
        let snapshot = if is_compacting { Ok(None) } else { disk.begin_snapshot(target) };
        let _ = begun.send(snapshot.map(|snapshot| snapshot.map(|snapshot| (disk, snapshot))));
        Ok(())
    });
    queue.send(errand)?;
    let (disk, snapshot) = beginning.recv().map_err(|_| StoreError::Closed)??.ok_or(CopyError::Busy)?;
    // A compaction may put another in its place meanwhile.
    let _end = End(Arc::clone(&disk));
    let (mut buffer, mut synced_bytes) = (Vec::new(), 0);
    let all_bytes = snapshot.len();
    while let Some(done_bytes) = disk.copy_next(&snapshot, &mut buffer)? {
        if done_bytes - synced_bytes >= SYNC_EVERY_BYTES {
            synced_bytes = done_bytes;
            part.file.sync_data()?;
            if disk.room().full {
                need_room(engine, &part.file)?;
            }
        }
        go_on(tell(CopyProgress::Copying { done_bytes, all_bytes }))?;
    }
    part.file.sync_data()?;
    Ok(snapshot.kept_bytes())
}

/// Ends the snapshot however the copying ends.
struct End(Arc<Disk>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.end_snapshot();
    }
}

/// The copy must not be what fills the disk on which mail arrives.
fn need_room(engine: &Engine, copy: &File) -> Result<(), CopyError> {
    let there = copy.metadata()?;
    let disk = engine.disk();
    let missing_bytes = disk.allocated_bytes().saturating_sub(there.blocks() * 512);
    let room = fstatvfs(copy).map_err(io::Error::from)?;
    let reserve_bytes = if disk.is_on(there.dev()) { disk.reserve_bytes() } else { 0 };
    let free_bytes = room.f_bavail.saturating_mul(room.f_frsize).saturating_sub(reserve_bytes);
    if free_bytes < missing_bytes || (reserve_bytes > 0 && free_bytes == 0) {
        return Err(CopyError::NoRoom { needed_bytes: missing_bytes, free_bytes });
    }
    Ok(())
}

/// The same rows in a fresh file, which has no free pages and nothing of what was removed.
fn rewrite(
    engine: &Engine,
    old: &Part,
    path: &Path,
    schema: &'static Schema,
    tell: &mut dyn FnMut(CopyProgress) -> ControlFlow<()>,
) -> Result<Part, CopyError> {
    let new = Part::make(path)?;
    need_room(engine, &new.file)?;
    let not_good = |error: &dyn std::fmt::Display| CopyError::NotGood(error.to_string());
    let options = Options { cache_bytes: CHECK_CACHE_BYTES, ..Options::at(&old.path) };
    let old = Engine::look(&options, schema).map_err(|error| not_good(&error))?;
    let database = Database::builder().set_cache_size(CHECK_CACHE_BYTES).create(&new.path);
    let database = database.map_err(|error| not_good(&error))?;
    let ((tables, all_rows), mut done_rows) = (tables(&old)?, 0);
    let mut rows = Rows { engine: &old, new: &database, schema, live_bytes: &mut 0 };
    for table in &tables {
        let mut after = None;
        loop {
            go_on(tell(CopyProgress::Compacting { done_rows, all_rows }))?;
            let slice = rows.copy_slice(table, after.as_deref())?;
            done_rows += slice.rows;
            match slice.last {
                Some(last) => after = Some(last),
                None => break,
            }
        }
    }
    let mut transaction = database.begin_write().map_err(StoreError::from)?;
    transaction.set_quick_repair(true);
    let meta = TableDefinition::<&[u8], &[u8]>::new(META.name());
    {
        let mut meta = transaction.open_table(meta).map_err(StoreError::from)?;
        // No secret lies in its free pages: there are none.
        meta.remove(&*encode_key(&PLAIN_UNTIL_COMPACTED.to_owned())).map_err(StoreError::from)?;
        let checked = encode_key(&ALL_CHECKED.to_owned());
        meta.insert(&*checked, &*encode_row(META.name(), &checked, &Number(1))).map_err(StoreError::from)?;
    }
    transaction.commit().map_err(StoreError::from)?;
    database.close().map_err(|error| not_good(&error))?;
    Ok(new)
}

fn go_on(flow: ControlFlow<()>) -> Result<(), CopyError> {
    if flow.is_break() { Err(CopyError::GivenUp) } else { Ok(()) }
}
