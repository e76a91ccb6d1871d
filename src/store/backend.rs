use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::{Bound, Range};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::backends::{FileBackend, InMemoryBackend};
use redb::{BackendError, StorageBackend};
use rustix::fs::{CWD, RenameFlags, SeekFrom, renameat_with, seek};
use rustix::io::Errno;

use super::fault::FaultDisk;
use super::held::{Change, Held};
use super::opening::Opening;
use super::restore::bears_name;
use super::snapshot::Snapshot;
use super::space::{Room, Space};
use super::staged::sync_folder;

/// What lies under redb: the file, with the room that it has to grow ([`Space`]).
#[derive(Debug)]
pub(super) struct Disk {
    medium: Box<dyn StorageBackend>,
    /// The same open file as the medium's.
    file: Option<Arc<File>>,
    place: Place,
    /// The name that a new file does not have yet.
    unnamed: Mutex<Option<PathBuf>>,
    space: Space,
    /// What redb writes while the file is being opened.
    held: Mutex<Option<Held>>,
    holding: AtomicBool,
    /// It is only read: others may read it at the same time.
    is_shared: AtomicBool,
    /// The copy that is being made of the file.
    snapshot: Mutex<Option<Arc<Snapshot>>>,
    copying: AtomicBool,
    written_bytes: AtomicU64,
    syncs: AtomicU64,
    reading: Arc<Reading>,
}

/// How much was read of a file, for whoever waits for the end of it, and may want it no more.
#[derive(Debug, Default)]
pub(super) struct Reading {
    bytes: AtomicU64,
    is_given_up: AtomicBool,
}

/// Where it lies.
#[derive(Debug, Clone)]
enum Place {
    Memory,
    /// On disk, under this name: when it is another's successor, once it has taken its place.
    File(PathBuf),
    /// On a test's disk.
    Test(Arc<FaultDisk>),
}

/// The disk as redb takes it.
#[derive(Debug)]
pub(super) struct Backend(pub(super) Arc<Disk>);

impl Disk {
    /// The file at `path`. Where there is none, and `make` says so, one is made (mode 0600) under another name, which
    /// [`Disk::name_file`] ends: a crash before that leaves no half-made file at `path`.
    pub(super) fn file(path: &Path, make: bool, reserve_bytes: u64, ballast_bytes: u64) -> io::Result<Self> {
        let mut unnamed = None;
        let file = match OpenOptions::new().read(true).write(true).open(path) {
            Err(error) if make && error.kind() == io::ErrorKind::NotFound => {
                unnamed = Some(path.to_owned());
                new_file(path)?
            }
            opened => opened?,
        };
        let medium = FileBackend::new(file.try_clone()?).map_err(|error| io::Error::other(error.to_string()))?;
        // A successor takes the place of the file, not of a link that leads to it.
        let place = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let file = Arc::new(file);
        let space = Space::around(&file, &place, reserve_bytes, ballast_bytes);
        Ok(Self {
            file: Some(file),
            place: Place::File(place),
            unnamed: Mutex::new(unnamed),
            space,
            ..Self::over(Box::new(medium))
        })
    }

    /// Gives a file that was just made its name.
    pub(super) fn name_file(&self) -> io::Result<()> {
        let mut unnamed = self.unnamed();
        let Some(path) = unnamed.as_ref() else { return Ok(()) };
        match renameat_with(CWD, unfinished(path), CWD, path, RenameFlags::NOREPLACE) {
            // Not every file system can promise to replace nothing.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => fs::rename(unfinished(path), path)?,
            done => done?,
        }
        // The name too must outlive a power cut.
        sync_folder(path)?;
        *unnamed = None;
        Ok(())
    }

    /// Whether the file still bears its name: a program that was about to open it may come too late, and would change one
    /// that is gone.
    pub(super) fn has_its_name(&self) -> io::Result<bool> {
        match (&self.place, &self.file, &*self.unnamed()) {
            (Place::File(path), Some(file), None) => bears_name(file, path),
            (Place::Test(disk), ..) => Ok(!disk.is_handed_over()),
            _ => Ok(true),
        }
    }

    /// Removes what a crash has left of a successor.
    pub(super) fn remove_successor(&self) -> io::Result<()> {
        let Place::File(path) = &self.place else { return Ok(()) };
        match fs::remove_file(successor_of(path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    /// An empty one beside this one, which may take its place.
    pub(super) fn make_successor(&self) -> io::Result<Self> {
        let path = match &self.place {
            Place::Memory => return Ok(Self::memory()),
            Place::Test(disk) => return Ok(Self::faulty(disk.successor())),
            Place::File(path) => path,
        };
        self.remove_successor()?;
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(successor_of(path))?;
        if let Some(there) = self.file.as_ref().map(|file| file.metadata()).transpose()? {
            let made = file.metadata()?;
            // Whoever compacts it may be another than who serves it.
            if (made.uid(), made.gid()) != (there.uid(), there.gid()) {
                fchown(&file, Some(there.uid()), Some(there.gid()))?;
            }
            file.set_permissions(there.permissions())?;
        }
        let medium = FileBackend::new(file.try_clone()?).map_err(|error| io::Error::other(error.to_string()))?;
        let file = Arc::new(file);
        let space = self.space.of_successor(&file, path);
        Ok(Self { file: Some(file), place: self.place.clone(), space, ..Self::over(Box::new(medium)) })
    }

    /// Gives the successor the name of this one. A crash leaves the one or the other there until
    /// [`Disk::sync_name`] has made sure which.
    pub(super) fn hand_over(&self) -> io::Result<()> {
        match &self.place {
            Place::Memory => Ok(()),
            Place::Test(disk) => disk.hand_over(),
            Place::File(path) => fs::rename(successor_of(path), path),
        }
    }

    /// Makes sure that the name outlives a power cut.
    pub(super) fn sync_name(&self) -> io::Result<()> {
        match &self.place {
            Place::File(path) => sync_folder(path),
            Place::Memory | Place::Test(_) => Ok(()),
        }
    }

    /// Counts on from where the one before it was.
    pub(super) fn count_on(&self, before: &Self) {
        self.written_bytes.fetch_add(before.written_bytes(), Ordering::Relaxed);
        self.syncs.fetch_add(before.syncs(), Ordering::Relaxed);
    }

    /// In memory.
    pub(super) fn memory() -> Self {
        Self::over(Box::new(InMemoryBackend::new()))
    }

    /// A test's disk.
    pub(super) fn faulty(disk: Arc<FaultDisk>) -> Self {
        Self { place: Place::Test(Arc::clone(&disk)), ..Self::over(Box::new(disk.plug())) }
    }

    fn over(medium: Box<dyn StorageBackend>) -> Self {
        Self {
            medium,
            file: None,
            place: Place::Memory,
            unnamed: Mutex::default(),
            space: Space::endless(),
            held: Mutex::new(None),
            holding: AtomicBool::new(false),
            is_shared: AtomicBool::new(false),
            snapshot: Mutex::new(None),
            copying: AtomicBool::new(false),
            written_bytes: AtomicU64::new(0),
            syncs: AtomicU64::new(0),
            reading: Arc::default(),
        }
    }

    /// What is read is counted there.
    pub(super) fn read_under(self, reading: Arc<Reading>) -> Self {
        Self { reading, ..self }
    }

    /// Before it is opened for a look, in which all writes are held for good: others may look at the same time. Whoever
    /// has it open to write keeps all of them out, as they do him.
    pub(super) fn share(&self) {
        self.is_shared.store(true, Ordering::SeqCst);
    }

    /// From here on nothing is written, until [`Disk::release`].
    pub(super) fn hold(&self, opening: &Arc<Opening>) -> io::Result<()> {
        *self.held() = Some(Held::over(self.medium.len()?, opening));
        self.holding.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// Writes what was held back, in its order and with its syncs.
    pub(super) fn release(&self) -> io::Result<()> {
        let mut held = self.held();
        let changes = held.take().map(Held::into_changes).unwrap_or_default();
        self.holding.store(false, Ordering::SeqCst);
        for change in changes {
            match change {
                Change::Write(offset, bytes) => self.write(offset, &bytes)?,
                Change::SetLen(len) => self.set_len(len)?,
                Change::Sync => self.sync()?,
            }
        }
        Ok(())
    }

    /// The room that the disk has.
    pub(super) fn room(&self) -> Room {
        self.space.room()
    }

    /// A commit has made `freed_bytes` reusable, and used `used_bytes`.
    pub(super) fn note_reusable(&self, freed_bytes: u64, used_bytes: u64) {
        self.space.note_reusable(freed_bytes, used_bytes);
    }

    /// Lays the ballast (again) where there is room for it. Only the writer does.
    pub(super) fn keep_ballast(&self, room: Room) {
        self.space.keep_ballast(&*self.medium, room);
    }

    /// Lays the ballast that an earlier run has left, which takes no room, or else one where there is room.
    pub(super) fn find_ballast(&self) {
        self.space.lay_ballast(&*self.medium, u64::MAX);
    }

    pub(super) fn reserve_bytes(&self) -> u64 {
        self.space.reserve_bytes()
    }

    /// The permission bits of the file; `None` in memory.
    pub(super) fn mode(&self) -> Option<u32> {
        let there = self.file.as_ref().and_then(|file| file.metadata().ok());
        there.map(|there| there.mode() & 0o777)
    }

    /// Octets that the file takes of its disk, the ballast included; its length where it lies on none.
    pub(super) fn allocated_bytes(&self) -> u64 {
        let there = self.file.as_ref().and_then(|file| file.metadata().ok());
        there.map_or_else(|| self.len(), |there| there.blocks() * 512)
    }

    /// Octets that the file takes of its disk, without the ballast.
    pub(super) fn used_bytes(&self) -> u64 {
        self.allocated_bytes().saturating_sub(self.space.behind_bytes())
    }

    /// Whether a copy is being made.
    pub(super) fn is_copying(&self) -> bool {
        self.copying.load(Ordering::SeqCst)
    }

    /// Whether the file lies on this device.
    pub(super) fn is_on(&self, device: u64) -> bool {
        let there = self.file.as_ref().and_then(|file| file.metadata().ok());
        there.is_some_and(|there| there.dev() == device)
    }

    pub(super) fn len(&self) -> u64 {
        self.medium.len().unwrap_or_default()
    }

    /// Octets written since the start.
    pub(super) fn written_bytes(&self) -> u64 {
        self.written_bytes.load(Ordering::Relaxed)
    }

    /// Syncs since the start.
    pub(super) fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }

    /// From here on the target gets the file as it is now, whatever is written. Only the writer begins one, between two
    /// transactions. `None` where one is being made already.
    pub(super) fn begin_snapshot(&self, target: File) -> io::Result<Option<Arc<Snapshot>>> {
        let mut place = self.snapshot_place();
        if place.is_some() {
            return Ok(None);
        }
        let snapshot = Arc::new(Snapshot::into_target(target, self.medium.len()?)?);
        *place = Some(Arc::clone(&snapshot));
        self.copying.store(true, Ordering::SeqCst);
        Ok(Some(snapshot))
    }

    /// Copies the next piece; says how far it has come, and `None` at the end.
    pub(super) fn copy_next(&self, snapshot: &Snapshot, buffer: &mut Vec<u8>) -> io::Result<Option<u64>> {
        snapshot.copy_next(&*self.medium, |offset| self.data_from(offset), buffer)
    }

    /// The copy is made, or given up.
    pub(super) fn end_snapshot(&self) {
        self.copying.store(false, Ordering::SeqCst);
        *self.snapshot_place() = None;
    }

    /// Where on the file has more than holes, from there on.
    fn data_from(&self, offset: u64) -> u64 {
        let Some(file) = &self.file else { return offset };
        match seek(file, SeekFrom::Data(offset)) {
            Ok(data) => data,
            // None up to the end of the file.
            Err(Errno::NXIO) => u64::MAX,
            Err(_) => offset,
        }
    }

    fn snapshot_place(&self) -> MutexGuard<'_, Option<Arc<Snapshot>>> {
        self.snapshot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is about to be changed is kept where a copy needs it.
    fn before_change(&self, changed: Range<u64>) {
        if self.copying.load(Ordering::SeqCst)
            && let Some(snapshot) = &*self.snapshot_place()
        {
            snapshot.before_change(&*self.medium, changed);
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.before_change(offset..offset + data.len() as u64);
        self.written_bytes.fetch_add(data.len() as u64, Ordering::Relaxed);
        self.space.absorb(&*self.medium, || self.medium.write(offset, data))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.before_change(len..u64::MAX);
        self.space.set_len(&*self.medium, len)
    }

    fn sync(&self) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        self.space.absorb(&*self.medium, || self.medium.sync_data())
    }

    fn unnamed(&self) -> MutexGuard<'_, Option<PathBuf>> {
        self.unnamed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn held(&self) -> MutexGuard<'_, Option<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `change` on what is held, if anything is.
    fn with_held<T>(&self, change: impl FnOnce(&mut Held) -> T) -> Option<T> {
        if !self.holding.load(Ordering::SeqCst) {
            return None;
        }
        self.held().as_mut().map(change)
    }
}

impl Reading {
    /// Octets so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// From here on every read fails: what reads ends soon.
    pub(super) fn give_up(&self) {
        self.is_given_up.store(true, Ordering::Relaxed);
    }

    fn count(&self, bytes: usize) -> io::Result<()> {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        if self.is_given_up.load(Ordering::Relaxed) { Err(io::Error::other("it was given up")) } else { Ok(()) }
    }
}

/// An empty file beside `path`, locked against another process that makes the same.
fn new_file(path: &Path) -> io::Result<File> {
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(unfinished(path))?;
    file.try_lock()?;
    file.set_len(0)?;
    Ok(file)
}

/// The name of a file that is being made for `path`.
fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

/// The name of the file that is to take the place of the one at `path`.
fn successor_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".compact");
    PathBuf::from(name)
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.0.with_held(|held| held.len()).map_or_else(|| self.0.medium.len(), Ok)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.reading.count(out.len())?;
        match self.0.with_held(|held| held.read(&*self.0.medium, offset, out)) {
            Some(done) => done,
            None => self.0.medium.read(offset, out),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.with_held(|held| held.set_len(len)).map_or_else(|| self.0.set_len(len), Ok)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.with_held(|held| held.sync()).map_or_else(|| self.0.sync(), Ok)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.with_held(|held| held.write(offset, data)).map_or_else(|| self.0.write(offset, data), Ok)
    }

    fn close(&self) -> io::Result<()> {
        self.0.medium.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        if self.0.is_shared.load(Ordering::SeqCst) {
            return self.0.medium.try_lock_shared_range(start, end);
        }
        self.0.medium.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.medium.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        if self.0.is_shared.load(Ordering::SeqCst) {
            return self.0.medium.lock_shared_range(start, end);
        }
        self.0.medium.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.medium.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.medium.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.medium.query_lock_range(start, end)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fault::{Fault, Operation};
    use super::*;

    const ENOSPC: i32 = 28;
    const KIB: u64 = 1024;

    #[test]
    fn a_write_on_a_full_disk_takes_the_ballast_and_succeeds() {
        for (operation, full) in [(Operation::Write, true), (Operation::Sync, true), (Operation::Write, false)] {
            let folder = tempfile::tempdir().unwrap();
            let file = Disk::file(&folder.path().join("mail.pbx"), true, 0, 64 * KIB).unwrap();
            let fault = FaultDisk::new();
            let disk = Disk { medium: Box::new(Arc::clone(&fault).plug()), ..file };
            disk.set_len(64 * KIB).unwrap();
            disk.keep_ballast(disk.room());
            let errno = if full { ENOSPC } else { 5 };
            fault.fail(Fault { operation, number: 1, lasting: false, errno });
            let run = || match operation {
                Operation::Sync => disk.sync(),
                _ => disk.write(0, b"octets"),
            };
            assert_eq!(run().is_ok(), full, "{operation:?}, errno {errno}");
            assert_eq!(disk.space.laid_bytes() > 0, !full, "{operation:?}");
            fault.fail(Fault { operation, number: 1, lasting: true, errno });
            assert!(run().is_err(), "a disk that stays full fails");
        }
    }
}
