use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use redb::{Database, DatabaseError, ReadableDatabase, StorageError, TableDefinition, TableHandle, WriteTransaction};

use super::backend::{Backend, Disk};
use super::bus::Bus;
use super::error::{OpenError, StoreError};
use super::handle::{Medium, Options};
use super::own::{self, META, Number, SCHEMA_VERSION};
use super::schema::Schema;
use super::tx::{Counters, Tx};
use super::view::{Read, View};

/// The open database and what all threads share of it.
pub(super) struct Engine {
    /// `None` once it is closed. Only the writer begins write transactions: the turn isn't fair.
    database: RwLock<Option<Database>>,
    pub(super) disk: Arc<Disk>,
    pub(super) bus: Bus,
    pub(super) panics: AtomicU64,
    pub(super) chunks_read: Arc<AtomicU64>,
    pub(super) failed: AtomicBool,
}

impl Engine {
    pub(super) fn open(options: &Options, schema: &Schema) -> Result<Self, OpenError> {
        let path = options.medium.path();
        let disk = open_disk(options, true).map_err(|error| io_error(&path, error))?;
        let (disk, database) = open_database(disk, options.cache_bytes, &path)?;
        let engine = Self::over(disk, database);
        let found = engine.schema_version(schema, &path)?;
        engine.disk.release().map_err(|error| io_error(&path, error))?;
        engine.make_tables(schema, found).map_err(|error| damaged(&path, &error))?;
        engine.disk.name_file().map_err(|error| io_error(&path, error))?;
        Ok(engine)
    }

    /// Opens what is there for a look: whatever the storage engine writes stays in memory.
    /// Says too whether its pages and its record of free pages hold.
    pub(super) fn open_unchanged(options: &Options, schema: &Schema) -> Result<(Self, PathBuf, bool), OpenError> {
        let path = options.medium.path();
        let disk = open_disk(options, false).map_err(|error| io_error(&path, error))?;
        if disk.len() == 0 {
            return Err(OpenError::Damaged { path, what: "it is empty".into() });
        }
        let (disk, mut database) = open_database(disk, options.cache_bytes, &path)?;
        let sound = catch_unwind(AssertUnwindSafe(|| database.check_integrity()));
        let sound = sound.map_err(|_| damaged(&path, &"its pages contradict each other"))?;
        let sound = sound.map_err(|error| database_error(&path, error))?;
        let engine = Self::over(disk, database);
        engine.schema_version(schema, &path)?;
        Ok((engine, path, sound))
    }

    fn over(disk: Arc<Disk>, database: Database) -> Self {
        Self {
            database: RwLock::new(Some(database)),
            disk,
            bus: Bus::default(),
            panics: AtomicU64::new(0),
            chunks_read: Arc::default(),
            failed: AtomicBool::new(false),
        }
    }

    pub(super) fn view(&self) -> Result<View, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let database = database.as_ref().ok_or(StoreError::Closed)?;
        Ok(View::new(database.begin_read()?, Arc::clone(&self.chunks_read)))
    }

    pub(super) fn begin_write(&self) -> Result<WriteTransaction, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        Ok(database.as_ref().ok_or(StoreError::Closed)?.begin_write()?)
    }

    /// Closes the database; a closed file opens without repair.
    pub(super) fn close(&self) {
        let database = self.database.write().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Err(error)) = database.map(Database::close) {
            tracing::warn!(%error, "the file was not closed cleanly; the next start repairs it");
        }
    }

    pub(super) fn count_panic(&self) {
        self.panics.fetch_add(1, Ordering::Relaxed);
    }

    /// The version in the file; `None` when the file is new. One that this program doesn't know is refused.
    fn schema_version(&self, schema: &Schema, path: &Path) -> Result<Option<u32>, OpenError> {
        let read = || {
            let view = self.view()?;
            let version = view.get(&META, &SCHEMA_VERSION.to_owned())?;
            Ok((version, view.transaction().list_tables()?.next().is_some()))
        };
        let (version, tables) = read().map_err(|error: StoreError| damaged(path, &error))?;
        if version.is_none() && tables {
            return Err(damaged(path, &"it is a redb file, but not one of ours"));
        }
        let found = version.map(|version| u32::try_from(version.0).unwrap_or(u32::MAX));
        match found.filter(|found| *found > schema.version) {
            Some(found) => Err(OpenError::Newer { path: path.to_owned(), found, known: schema.version }),
            None => Ok(found),
        }
    }

    /// Makes the tables that are missing, so that readers find them, and notes the schema's version.
    fn make_tables(&self, schema: &Schema, found: Option<u32>) -> Result<(), StoreError> {
        let known = || own::TABLES.iter().chain(schema.tables).map(|table| table.name());
        let there: Vec<String> = {
            let view = self.view()?;
            view.transaction().list_tables()?.map(|table| table.name().to_owned()).collect()
        };
        if found == Some(schema.version) && known().all(|name| there.iter().any(|there| there == name)) {
            return Ok(());
        }
        let transaction = self.begin_write()?;
        for name in known() {
            transaction.open_table(TableDefinition::<&[u8], &[u8]>::new(name))?;
        }
        let mut tx = Tx::new(&transaction, Counters::default(), Arc::default());
        tx.put(&META, &SCHEMA_VERSION.to_owned(), &Number(u64::from(schema.version)))?;
        tx.finish()?;
        Ok(transaction.commit()?)
    }
}

fn open_disk(options: &Options, make: bool) -> io::Result<Disk> {
    match &options.medium {
        Medium::File(path) => Disk::file(path, make, options.disk_reserve_bytes, options.disk_ballast_bytes),
        Medium::Memory => Ok(Disk::memory()),
        Medium::Faulty(disk) => Ok(Disk::faulty(Arc::clone(disk))),
    }
}

/// Opens the database with its writes held back.
fn open_database(disk: Disk, cache_bytes: usize, path: &Path) -> Result<(Arc<Disk>, Database), OpenError> {
    let disk = Arc::new(disk);
    disk.hold().map_err(|error| io_error(path, error))?;
    let backend = Backend(Arc::clone(&disk));
    // A file that was damaged after a clean close is trusted by redb, which may then panic.
    let opened =
        catch_unwind(AssertUnwindSafe(|| Database::builder().set_cache_size(cache_bytes).create_with_backend(backend)));
    let opened = opened.map_err(|_| damaged(path, &"its pages contradict each other"))?;
    Ok((disk, opened.map_err(|error| database_error(path, error))?))
}

fn database_error(path: &Path, error: DatabaseError) -> OpenError {
    match error {
        DatabaseError::DatabaseAlreadyOpen => OpenError::Locked(path.to_owned()),
        DatabaseError::Storage(StorageError::Io(error)) => io_error(path, error),
        error => damaged(path, &error),
    }
}

fn io_error(path: &Path, error: io::Error) -> OpenError {
    match error.kind() {
        // Two that make it at the same time.
        io::ErrorKind::WouldBlock | io::ErrorKind::AlreadyExists => OpenError::Locked(path.to_owned()),
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof => {
            damaged(path, &error)
        }
        _ => OpenError::Io { path: path.to_owned(), error },
    }
}

fn damaged(path: &Path, what: &dyn std::fmt::Display) -> OpenError {
    OpenError::Damaged { path: path.to_owned(), what: what.to_string() }
}

impl Medium {
    fn path(&self) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::Memory => PathBuf::from("(memory)"),
            Self::Faulty(_) => PathBuf::from("(test disk)"),
        }
    }
}
