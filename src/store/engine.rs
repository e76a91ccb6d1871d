use std::io;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use redb::{Database, DatabaseError, ReadableDatabase, StorageError, TableDefinition, WriteTransaction};

use super::backend::{Backend, Disk, Reading};
use super::bus::Bus;
use super::damage::survive;
use super::error::{OpenError, PAGES, StoreError};
use super::handle::{Medium, Options};
use super::live::Live;
use super::migration;
use super::open_views::OpenViews;
use super::opening::Stage;
use super::own::{self, ALL_CHECKED, LIVE_BYTES, META, Number, SCHEMA_VERSION};
use super::row::encode_bare;
use super::schema::Schema;
use super::sealing::{Layout, Sealing};
use super::tx::{Counters, Tx};
use super::view::{Read, View, encode_key, guarded};

/// The open database and what all threads share of it.
pub(super) struct Engine {
    /// `None` once it is closed. Only the writer begins write transactions: the turn isn't fair.
    database: RwLock<Option<Database>>,
    disk: RwLock<Arc<Disk>>,
    /// Held by every view of the database.
    pin: RwLock<Arc<Pin>>,
    pub(super) cache_bytes: usize,
    pub(super) live: Live,
    pub(super) bus: Bus,
    pub(super) panics: AtomicU64,
    pub(super) chunks_read: Arc<AtomicU64>,
    pub(super) views: Arc<OpenViews>,
    pub(super) failed: AtomicBool,
    pub(super) sealing: Arc<Sealing>,
    /// Every row that is to have a checksum has one.
    all_checked: AtomicBool,
    /// Secrets that are sealed now lay in the file as they are, and may still do in its free pages.
    pub(super) plain_until_compacted: AtomicBool,
    /// A crash now would need no repair.
    pub(super) opens_at_once: AtomicBool,
    /// How long it took to repair the file when it was opened.
    pub(super) repair_took: Option<Duration>,
}

impl Engine {
    pub(super) fn open(options: &Options, schema: &'static Schema) -> Result<Self, OpenError> {
        let path = options.medium.path();
        let disk = open_disk(options, true).map_err(|error| io_error(&path, error))?;
        let (disk, database) = open_database(disk, options, &path)?;
        if !disk.has_its_name().map_err(|error| io_error(&path, error))? {
            return Err(OpenError::Locked(path));
        }
        let engine = Self::over(disk, database, options);
        let found = engine.schema_version(schema, &path)?;
        engine.judge_secrets(schema.of(found), &path)?;
        let upgraded = found.filter(|found| schema.pending(*found).next().is_some());
        if let Some(found) = upgraded {
            engine.keep_before_upgrade(options, schema, found)?;
        }
        // Before anything is written: a file with a table that can't be opened is refused as it is.
        let plan = engine.plan_tables(schema, found).map_err(|error| store_error(&path, error))?;
        let disk = engine.disk();
        // First, for what the opening writes to a disk that is full.
        disk.find_ballast();
        disk.release().map_err(|error| io_error(&path, error))?;
        let made = plan.map(|rows| engine.make_tables(schema, (found, rows), options)).transpose();
        let grown_bytes = made.map_err(|error| match upgraded {
            Some(found) => OpenError::NotUpgraded { path: path.clone(), found, what: error.to_string() },
            None => store_error(&path, error),
        })?;
        engine.read_live().map_err(|error| store_error(&path, error))?;
        engine.live.grow(grown_bytes.unwrap_or_default());
        if let Some(found) = upgraded {
            options.opening.note_upgraded();
            tracing::warn!(event = "upgraded", from = found, to = schema.version, "the file is upgraded");
        }
        engine.seal_secrets(schema).map_err(|error| store_error(&path, error))?;
        disk.name_file().map_err(|error| io_error(&path, error))?;
        disk.remove_successor().map_err(|error| io_error(&path, error))?;
        if let Some(took) = engine.repair_took {
            tracing::warn!(event = "repaired", seconds = took.as_secs_f64(), "the file is repaired");
        }
        Ok(engine)
    }

    /// Opens a file without a check of what is in it; whatever the storage engine writes stays in memory.
    pub(super) fn look(options: &Options, schema: &Schema) -> Result<Self, OpenError> {
        let path = options.medium.path();
        let disk = open_disk(options, false).map_err(|error| io_error(&path, error))?;
        if disk.len() == 0 {
            return Err(OpenError::Damaged { path, what: "it is empty".into() });
        }
        let (disk, database) = open_database(disk, options, &path)?;
        let engine = Self::over(disk, database, options);
        let found = engine.schema_version(schema, &path)?;
        engine.judge_secrets(schema.of(found), &path)?;
        Ok(engine)
    }

    /// Opens what is there for a look: whatever the storage engine writes stays in memory.
    /// Says too whether its pages and its record of free pages hold.
    pub(super) fn open_unchanged(
        options: &Options,
        schema: &Schema,
        reading: Arc<Reading>,
    ) -> Result<(Self, PathBuf, bool), OpenError> {
        let path = options.medium.path();
        let disk = open_disk(options, false).map_err(|error| io_error(&path, error))?.read_under(reading);
        if disk.len() == 0 {
            return Err(OpenError::Damaged { path, what: "it is empty".into() });
        }
        disk.share();
        let (disk, mut database) = open_database(disk, options, &path)?;
        let sound = survive(|| database.check_integrity());
        let sound = sound.ok_or_else(|| damaged(&path, &"its pages contradict each other"))?;
        let sound = sound.map_err(|error| database_error(&path, error))?;
        let engine = Self::over(disk, database, options);
        let found = engine.schema_version(schema, &path)?;
        engine.judge_secrets(schema.of(found), &path)?;
        Ok((engine, path, sound))
    }

    /// The same without a look at every page: for a copy that was checked when it was made.
    pub(super) fn open_archive(options: &Options, schema: &Schema) -> Result<Self, OpenError> {
        let path = options.medium.path();
        let disk = open_disk(options, false).map_err(|error| io_error(&path, error))?;
        if disk.len() == 0 {
            return Err(OpenError::Damaged { path, what: "it is empty".into() });
        }
        disk.share();
        let (disk, database) = open_database(disk, options, &path)?;
        let engine = Self::over(disk, database, options);
        match engine.schema_version(schema, &path)? {
            Some(found) if schema.rewrites(found) => Err(OpenError::Older { path, found, known: schema.version }),
            Some(_) => Ok(engine),
            None => Err(damaged(&path, &"it holds nothing")),
        }
    }

    /// Opens a file to mend it: the record of its free pages is made anew where it does not hold.
    pub(super) fn open_to_mend(options: &Options, schema: &'static Schema) -> Result<Self, OpenError> {
        let path = options.medium.path();
        let engine = Self::open(options, schema)?;
        let mut place = engine.database.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(database) = place.as_mut() {
            let sound = survive(|| database.check_integrity());
            let sound = sound.ok_or_else(|| damaged(&path, &"its pages contradict each other"))?;
            sound.map_err(|error| database_error(&path, error))?;
        }
        drop(place);
        Ok(engine)
    }

    fn over(disk: Arc<Disk>, database: Database, options: &Options) -> Self {
        Self {
            database: RwLock::new(Some(database)),
            disk: RwLock::new(disk),
            pin: RwLock::default(),
            live: Live::default(),
            cache_bytes: options.cache_bytes,
            bus: Bus::default(),
            panics: AtomicU64::new(0),
            chunks_read: Arc::default(),
            views: Arc::default(),
            failed: AtomicBool::new(false),
            sealing: Arc::clone(&options.sealing),
            all_checked: AtomicBool::new(false),
            plain_until_compacted: AtomicBool::new(false),
            // Neither a repair nor what opening the file may write records which pages are free.
            opens_at_once: AtomicBool::new(false),
            repair_took: options.opening.repair_took(),
        }
    }

    #[track_caller]
    pub(super) fn view(&self) -> Result<View, StoreError> {
        self.view_for(Location::caller())
    }

    /// A view for who asked at that place.
    pub(super) fn view_for(&self, asked_at: &'static Location<'static>) -> Result<View, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let database = database.as_ref().ok_or(StoreError::Closed)?;
        let pin = Arc::clone(&self.pin.read().unwrap_or_else(PoisonError::into_inner));
        let place = self.views.enter(asked_at);
        let transaction = guarded(PAGES, || Ok(database.begin_read()?))?;
        Ok(View::new(transaction, Arc::clone(&self.chunks_read), self.layout(), pin, place))
    }

    /// How rows lie in the file.
    pub(super) fn layout(&self) -> Layout {
        Layout { sealing: Arc::clone(&self.sealing), all_checked: self.all_checked.load(Ordering::SeqCst) }
    }

    /// What lies under the database now.
    pub(super) fn disk(&self) -> Arc<Disk> {
        Arc::clone(&self.disk.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Goes on with another database, in which every row was rewritten. Views of the one before it stay as they are; the
    /// last of them closes it. Only the writer does this, between two transactions.
    pub(super) fn replace(&self, disk: Arc<Disk>, database: Database) {
        // A view begins under this lock, so it pins the database that it is a view of.
        let mut place = self.database.write().unwrap_or_else(PoisonError::into_inner);
        let before = place.replace(database);
        self.all_checked.store(true, Ordering::SeqCst);
        let pin = std::mem::take(&mut *self.pin.write().unwrap_or_else(PoisonError::into_inner));
        let mut place_of_disk = self.disk.write().unwrap_or_else(PoisonError::into_inner);
        disk.count_on(&place_of_disk);
        *place_of_disk = disk;
        drop((place, place_of_disk));
        *pin.0.lock().unwrap_or_else(PoisonError::into_inner) = before;
    }

    pub(super) fn begin_write(&self) -> Result<WriteTransaction, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let database = database.as_ref().ok_or(StoreError::Closed)?;
        guarded(PAGES, || Ok(database.begin_write()?))
    }

    /// Closes the database; a closed file opens without repair.
    pub(super) fn close(&self) {
        let Some(database) = self.database.write().unwrap_or_else(PoisonError::into_inner).take() else { return };
        // It writes what it has put off, and panics where the pages for that contradict each other. Nothing that was
        // acknowledged waits for it.
        match survive(|| database.close()) {
            Some(Ok(())) => {}
            Some(Err(error)) => tracing::warn!(%error, "the file was not closed cleanly; the next start repairs it"),
            None => tracing::error!("the file is damaged and was not closed cleanly; see `pillarbox check`"),
        }
    }

    pub(super) fn count_panic(&self) {
        self.panics.fetch_add(1, Ordering::Relaxed);
    }

    /// The version in the file; `None` when the file is new. One that this program doesn't know is refused. Looks, too,
    /// whether every row has a checksum.
    fn schema_version(&self, schema: &Schema, path: &Path) -> Result<Option<u32>, OpenError> {
        let read = || {
            let view = self.view()?;
            let version = view.get(&META, &SCHEMA_VERSION.to_owned())?;
            if view.get_if_sound(&META, &ALL_CHECKED.to_owned())?.is_some() {
                self.all_checked.store(true, Ordering::SeqCst);
            }
            Ok((version, view.tables()?))
        };
        let (version, tables) = read().map_err(|error| store_error(path, error))?;
        if version.is_none() && !tables.is_empty() {
            return Err(damaged(path, &"it is a redb file, but not one of ours"));
        }
        let found = version.map(|version| u32::try_from(version.0).unwrap_or(u32::MAX));
        match found.filter(|found| *found > schema.version) {
            Some(found) => Err(OpenError::Newer { path: path.to_owned(), found, known: schema.version }),
            None => Ok(found),
        }
    }

    /// The schema by which the file is read as it is: where it is of an older version, that one's.
    pub(super) fn own_schema(&self, schema: &'static Schema) -> Result<&'static Schema, StoreError> {
        let version = self.view()?.get(&META, &SCHEMA_VERSION.to_owned())?;
        Ok(schema.of(version.and_then(|version| u32::try_from(version.0).ok())))
    }

    fn read_live(&self) -> Result<(), StoreError> {
        // A mere figure: where it can't be read, the next compaction counts anew.
        let live_bytes = self.view()?.get_if_sound(&META, &LIVE_BYTES.to_owned())?;
        self.live.read(live_bytes.map(|row| row.0));
        Ok(())
    }

    /// How many rows a file has that is to be upgraded or has not all tables; `None` where there is nothing to do.
    fn plan_tables(&self, schema: &Schema, found: Option<u32>) -> Result<Option<u64>, StoreError> {
        if found.is_none() {
            return Ok(Some(0));
        }
        let there = self.view()?.tables()?;
        let has_all = known(schema).all(|name| there.iter().any(|there| there == name));
        if found == Some(schema.version) && has_all { Ok(None) } else { self.rows().map(Some) }
    }

    /// Upgrades a file of an older version, makes the tables that are missing, so that readers find them, and notes the
    /// schema's version: all in one transaction. Says by how many octets its rows have grown.
    fn make_tables(
        &self,
        schema: &Schema,
        (found, rows): (Option<u32>, u64),
        options: &Options,
    ) -> Result<i64, StoreError> {
        let transaction = self.begin_write()?;
        let mut tx = Tx::new(&transaction, Counters::default(), Arc::default(), self.layout());
        let gone = match found {
            Some(found) => migration::run(&mut tx, schema, found, (rows, &options.opening, options.clock.now()), self)?,
            None => Vec::new(),
        };
        // Without a checksum, which the first programs can't read: they too are to say that the file is newer.
        let version = encode_bare(&Number(u64::from(schema.version)));
        tx.put_bytes(META.name(), &encode_key(&SCHEMA_VERSION.to_owned()), &version)?;
        if found.is_none() {
            tx.put(&META, &LIVE_BYTES.to_owned(), &Number(0))?;
            tx.put(&META, &ALL_CHECKED.to_owned(), &Number(1))?;
        }
        let written = tx.finish()?;
        for name in gone {
            guarded(name, || Ok(transaction.delete_table(TableDefinition::<&[u8], &[u8]>::new(name))?))?;
        }
        for name in known(schema) {
            guarded(name, || Ok(transaction.open_table(TableDefinition::<&[u8], &[u8]>::new(name)).map(drop)?))?;
        }
        commit(transaction)?;
        if found.is_some() {
            return Ok(written.grown_bytes);
        }
        // A new file begins at what is written from here on.
        self.all_checked.store(true, Ordering::SeqCst);
        Ok(0)
    }
}

/// What the storage engine writes then may contradict what it finds.
pub(super) fn commit(transaction: WriteTransaction) -> Result<(), StoreError> {
    guarded(PAGES, || Ok(transaction.commit()?))
}

/// The names of all tables that a file has.
fn known(schema: &Schema) -> impl Iterator<Item = &'static str> {
    own::TABLES.iter().chain(schema.tables).map(|table| table.name())
}

/// The schema by which that file is read as it is.
pub(super) fn own_schema(options: &Options, schema: &'static Schema) -> Result<&'static Schema, OpenError> {
    if schema.migrations.is_empty() {
        return Ok(schema);
    }
    let engine = Engine::look(options, schema)?;
    engine.own_schema(schema).map_err(|error| damaged(&options.medium.path(), &error))
}

impl Drop for Engine {
    /// Also where it was opened to be refused: a panic at the close is not to hide why.
    fn drop(&mut self) {
        self.close();
    }
}

/// Keeps a database open that was replaced, for the views of it that are left.
#[derive(Default)]
pub(super) struct Pin(Mutex<Option<Database>>);

impl Drop for Pin {
    fn drop(&mut self) {
        let database = self.0.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(database) = database {
            // It has no name any more, but is written and synced once more: nobody is to wait for that.
            let closing = std::thread::Builder::new().name("closing".into()).spawn(move || drop(database));
            if let Err(error) = closing {
                tracing::warn!(%error, "no thread closes the old file");
            }
        }
    }
}

fn open_disk(options: &Options, make: bool) -> io::Result<Disk> {
    match &options.medium {
        Medium::File(path) => Disk::file(path, make, options.disk_reserve_bytes, options.disk_ballast_bytes),
        Medium::Memory => Ok(Disk::memory()),
        Medium::Faulty(disk) => Ok(Disk::faulty(Arc::clone(disk))),
    }
}

/// Opens the database with its writes held back. What was not closed is repaired first: that reads all of it, and
/// writes little.
fn open_database(disk: Disk, options: &Options, path: &Path) -> Result<(Arc<Disk>, Database), OpenError> {
    let disk = Arc::new(disk);
    disk.hold(&options.opening).map_err(|error| io_error(path, error))?;
    let backend = Backend(Arc::clone(&disk));
    let (opening, data_bytes) = (Arc::clone(&options.opening), disk.used_bytes());
    let file = path.to_owned();
    let mut builder = Database::builder();
    builder.set_cache_size(options.cache_bytes).set_repair_callback(move |session| {
        if opening.stage() == Stage::Reading {
            let file = file.display();
            tracing::warn!(event = "repair_begun", %file, bytes = data_bytes, "the file was not closed: it is repaired");
        }
        if !opening.note_repair(session.progress(), data_bytes) {
            session.abort();
        }
    });
    // A file that was damaged after a clean close is trusted by redb, which may then panic.
    let opened = survive(|| builder.create_with_backend(backend));
    let opened = opened.ok_or_else(|| damaged(path, &"its pages contradict each other"))?;
    let database = opened.map_err(|error| database_error(path, error))?;
    options.opening.note_end();
    Ok((disk, database))
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

/// Damage is the file's, all else the disk's.
pub(super) fn store_error(path: &Path, error: StoreError) -> OpenError {
    match error {
        StoreError::Damaged { .. } => damaged(path, &error),
        error => OpenError::Io { path: path.to_owned(), error: io::Error::other(error) },
    }
}

pub(super) fn damaged(path: &Path, what: &dyn std::fmt::Display) -> OpenError {
    OpenError::Damaged { path: path.to_owned(), what: what.to_string() }
}

impl Medium {
    pub(super) fn path(&self) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::Memory => PathBuf::from("(memory)"),
            Self::Faulty(_) => PathBuf::from("(test disk)"),
        }
    }
}
