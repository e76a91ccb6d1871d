use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::Bound;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::backends::{FileBackend, InMemoryBackend};
use redb::{BackendError, StorageBackend};
use rustix::fs::{CWD, FallocateFlags, RenameFlags, fallocate, fstatvfs, renameat_with};
use rustix::io::Errno;

use super::fault::FaultDisk;
use super::held::{Change, Held};

/// What lies under redb: the file, with what it may not run out of. Knows how much room the disk has, and keeps a
/// ballast past the end of the file (allocated, not part of its length) that it gives back when the disk is full, so
/// that the transaction in flight still commits: redb takes nothing more after a failed write.
#[derive(Debug)]
pub(super) struct Disk {
    medium: Box<dyn StorageBackend>,
    /// The same open file as the medium's.
    file: Option<File>,
    /// The name that a new file does not have yet.
    unnamed: Option<PathBuf>,
    reserve_bytes: u64,
    ballast_bytes: u64,
    ballast_laid: AtomicBool,
    ballast_refused: AtomicBool,
    /// What redb writes while the file is being opened.
    held: Mutex<Option<Held>>,
    holding: AtomicBool,
    /// Octets that the file has to give before it needs new ones from the disk, as far as is known.
    reusable_bytes: AtomicU64,
    written_bytes: AtomicU64,
    syncs: AtomicU64,
}

/// The room on the disk before a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Room {
    /// `None` in memory.
    pub(super) free_bytes: Option<u64>,
    /// Below the reserve.
    pub(super) full: bool,
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
        Ok(Self { file: Some(file), unnamed, reserve_bytes, ballast_bytes, ..Self::over(Box::new(medium)) })
    }

    /// Gives a file that was just made its name.
    pub(super) fn name_file(&self) -> io::Result<()> {
        let Some(path) = &self.unnamed else { return Ok(()) };
        match renameat_with(CWD, unfinished(path), CWD, path, RenameFlags::NOREPLACE) {
            // Not every file system can promise to replace nothing.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => fs::rename(unfinished(path), path)?,
            done => done?,
        }
        // The name too must outlive a power cut.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }

    /// In memory.
    pub(super) fn memory() -> Self {
        Self::over(Box::new(InMemoryBackend::new()))
    }

    /// A test's disk.
    pub(super) fn faulty(disk: Arc<FaultDisk>) -> Self {
        Self::over(Box::new(disk.plug()))
    }

    fn over(medium: Box<dyn StorageBackend>) -> Self {
        Self {
            medium,
            file: None,
            unnamed: None,
            reserve_bytes: 0,
            ballast_bytes: 0,
            ballast_laid: AtomicBool::new(false),
            ballast_refused: AtomicBool::new(false),
            held: Mutex::new(None),
            holding: AtomicBool::new(false),
            reusable_bytes: AtomicU64::new(0),
            written_bytes: AtomicU64::new(0),
            syncs: AtomicU64::new(0),
        }
    }

    /// From here on nothing is written, until [`Disk::release`].
    pub(super) fn hold(&self) -> io::Result<()> {
        *self.held() = Some(Held::over(self.medium.len()?));
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

    /// Looks at the room. What was removed from the file since the start counts for half: a disk that is full takes
    /// mail again once enough is deleted, although the file doesn't get shorter.
    pub(super) fn room(&self) -> Room {
        let free_bytes = self.free_bytes();
        let reusable_bytes = self.reusable_bytes.load(Ordering::Relaxed) / 2;
        Room {
            free_bytes,
            full: free_bytes.is_some_and(|free| free.saturating_add(reusable_bytes) < self.reserve_bytes),
        }
    }

    /// A commit has made `freed_bytes` reusable, and used `used_bytes`.
    pub(super) fn note_reusable(&self, freed_bytes: u64, used_bytes: u64) {
        let before = self.reusable_bytes.load(Ordering::Relaxed);
        self.reusable_bytes.store((before + freed_bytes).saturating_sub(used_bytes), Ordering::Relaxed);
    }

    /// Lays the ballast (again) when it isn't there and the disk has room for it. Only the writer does.
    pub(super) fn keep_ballast(&self, room: Room) {
        let enough = room.free_bytes.is_some_and(|free| free >= self.reserve_bytes.saturating_add(self.ballast_bytes));
        if enough && !self.ballast_laid.load(Ordering::Relaxed) {
            self.lay_ballast();
        }
    }

    /// Octets free for us on the file's disk; `None` when it isn't on one, or doesn't say.
    fn free_bytes(&self) -> Option<u64> {
        let room = fstatvfs(self.file.as_ref()?).ok()?;
        Some(room.f_bavail.saturating_mul(room.f_frsize))
    }

    pub(super) fn reserve_bytes(&self) -> u64 {
        self.reserve_bytes
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

    fn lay_ballast(&self) {
        let Some(file) = self.file.as_ref().filter(|_| self.ballast_bytes > 0) else { return };
        match self.medium.len().map(|len| fallocate(file, FallocateFlags::KEEP_SIZE, len, self.ballast_bytes)) {
            Ok(Ok(())) => self.ballast_laid.store(true, Ordering::Relaxed),
            Ok(Err(error)) => {
                if !self.ballast_refused.swap(true, Ordering::Relaxed) {
                    tracing::warn!(%error, "the file system can't lay room by for a full disk");
                }
            }
            Err(_) => {}
        }
    }

    /// Gives the ballast back; whether there was one.
    fn drop_ballast(&self) -> bool {
        let Some(file) = self.file.as_ref().filter(|_| self.ballast_laid.swap(false, Ordering::Relaxed)) else {
            return false;
        };
        tracing::error!("the disk is full: the room laid by is given to the file");
        // Truncating to the length that it has frees what is allocated behind it.
        self.medium.len().and_then(|len| file.set_len(len)).is_ok()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.written_bytes.fetch_add(data.len() as u64, Ordering::Relaxed);
        match self.medium.write(offset, data) {
            Err(error) if is_full(&error) && self.drop_ballast() => self.medium.write(offset, data),
            done => done,
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let done = match self.medium.set_len(len) {
            Err(error) if is_full(&error) && self.drop_ballast() => self.medium.set_len(len),
            done => done,
        };
        // What lay past the old end is now inside the file, or gone.
        self.ballast_laid.store(false, Ordering::Relaxed);
        done
    }

    fn sync(&self) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        match self.medium.sync_data() {
            Err(error) if is_full(&error) && self.drop_ballast() => self.medium.sync_data(),
            done => done,
        }
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

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.0.with_held(|held| held.len()).map_or_else(|| self.0.medium.len(), Ok)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
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
        self.0.medium.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.medium.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
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
    use std::os::unix::fs::MetadataExt;

    use super::super::fault::{Fault, Operation};
    use super::*;

    const ENOSPC: i32 = 28;
    const KIB: u64 = 1024;

    fn allocated_bytes(file: &File) -> u64 {
        file.metadata().unwrap().blocks() * 512
    }

    #[test]
    fn the_ballast_lies_past_the_end_and_is_given_back() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::file(&folder.path().join("mail.pbx"), true, 0, 1024 * KIB).unwrap();
        disk.set_len(64 * KIB).unwrap();
        let file = disk.file.as_ref().unwrap();
        let without = allocated_bytes(file);
        disk.keep_ballast(disk.room());
        assert!(disk.ballast_laid.load(Ordering::Relaxed), "the test's file system can lay room by");
        assert_eq!((disk.len(), allocated_bytes(file)), (64 * KIB, without + 1024 * KIB));
        assert!(disk.drop_ballast());
        assert_eq!((disk.len(), allocated_bytes(file)), (64 * KIB, without));
        assert!(!disk.drop_ballast(), "it is given back once");
        disk.keep_ballast(disk.room());
        disk.set_len(128 * KIB).unwrap();
        assert!(!disk.ballast_laid.load(Ordering::Relaxed), "a file that grew needs another");
    }

    #[test]
    fn a_write_on_a_full_disk_takes_the_ballast_and_succeeds() {
        for (operation, full) in
            [(Operation::Write, true), (Operation::Sync, true), (Operation::SetLen, true), (Operation::Write, false)]
        {
            let folder = tempfile::tempdir().unwrap();
            let file = Disk::file(&folder.path().join("mail.pbx"), true, 0, 64 * KIB).unwrap();
            let fault = FaultDisk::new();
            let disk = Disk { medium: Box::new(Arc::clone(&fault).plug()), ..file };
            disk.set_len(64 * KIB).unwrap();
            disk.keep_ballast(disk.room());
            let errno = if full { ENOSPC } else { 5 };
            fault.fail(Fault { operation, number: 1, lasting: false, errno });
            let run = || match operation {
                Operation::SetLen => disk.set_len(128 * KIB),
                Operation::Sync => disk.sync(),
                _ => disk.write(0, b"octets"),
            };
            assert_eq!(run().is_ok(), full, "{operation:?}, errno {errno}");
            assert_eq!(disk.ballast_laid.load(Ordering::Relaxed), !full);
            fault.fail(Fault { operation, number: 1, lasting: true, errno });
            assert!(run().is_err(), "a disk that stays full fails");
        }
    }
}
