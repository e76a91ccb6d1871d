use std::fs::{self, DirBuilder};
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::name::{Id, Origin};
use crate::base::Timestamp;
use crate::store::{CopyError, CopyOptions, CopyProgress, Findings, OpenError, Store, StoreError, Tell};

/// What the name of a copy ends in that is being made, and begins with that was made for a reader.
const UNFINISHED: &str = ".part";
const LENT: &str = "lent-now";

/// The folder with the copies of one file.
pub struct Backups {
    pub(super) store: Store,
    /// Where the file itself lies.
    pub(super) data: Option<PathBuf>,
    /// A place for the one restore that may be on its way.
    pub(super) restoring: Arc<Semaphore>,
    /// `None` where the file is in memory.
    folder: Option<PathBuf>,
    /// A place for the one copy that is lent.
    lending: Arc<Semaphore>,
}

/// A copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its id.
    pub id: Id,
    /// Where it is.
    pub path: PathBuf,
    /// Its length in octets.
    pub file_bytes: u64,
    /// Octets that it takes of its disk.
    pub disk_bytes: u64,
    /// Nanoseconds since 1970 when it was written: another one may be put in its place by hand.
    pub written_ns: i128,
}

/// A copy for whoever reads it now: it has no name any more, and is gone when this is dropped.
#[derive(Debug)]
pub struct Lent {
    /// The copy, at its beginning.
    pub file: fs::File,
    /// Its length in octets.
    pub file_bytes: u64,
    _place: OwnedSemaphorePermit,
}

impl io::Read for Lent {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        self.file.read(piece)
    }
}

/// Why nothing could be done about a copy.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file is in memory: there is no folder beside it.
    #[error("a server whose file is in memory keeps no backups")]
    InMemory,
    /// None has that id.
    #[error("there is no backup {0}")]
    NotThere(Id),
    /// Another restore is on its way.
    #[error("another restore is on its way: wait for its end, or cancel its job")]
    Restoring,
    /// Another copy is lent.
    #[error("another copy is being fetched: wait for its end, or fetch a backup that is kept")]
    Lending,
    /// The file can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no copy.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// It can't be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The folder can't be read or written.
    #[error("{path}: {error}")]
    Io {
        /// The folder, or what is in it.
        path: PathBuf,
        /// What the operating system says.
        error: io::Error,
    },
}

impl Backups {
    /// Those of the file at `data`, in a folder beside it: `mail.redb` has `mail.backups`.
    pub fn beside(data: Option<&Path>, store: Store) -> Self {
        let folder = data.map(|data| data.with_extension("backups"));
        let (data, restoring) = (data.map(Path::to_owned), Arc::new(Semaphore::new(1)));
        Self { store, data, restoring, folder, lending: Arc::new(Semaphore::new(1)) }
    }

    /// At start, when no copy is being made: removes what a crash has left of some.
    pub fn sweep(&self) {
        let entries = self.folder.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
        for entry in entries {
            let name = entry.file_name();
            if name.to_str().is_some_and(|name| name.ends_with(UNFINISHED) || name.starts_with("lent-"))
                && let Err(error) = fs::remove_file(entry.path())
            {
                tracing::warn!(event = "backup_not_swept", path = %entry.path().display(), %error);
            }
        }
    }

    /// Whether there can be any.
    pub fn is_on_disk(&self) -> bool {
        self.folder.is_some()
    }

    /// All of them, the newest first. What else lies in the folder is passed by, links too.
    ///
    /// # Errors
    /// [`BackupError::Io`].
    pub fn list(&self) -> Result<Vec<File>, BackupError> {
        let Some(folder) = &self.folder else { return Ok(Vec::new()) };
        let failed = |error| BackupError::Io { path: folder.clone(), error };
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let Some(id) = entry.file_name().to_str().and_then(Id::of_file_name) else { continue };
            files.extend(look(id, entry.path())?);
        }
        files.sort_by_key(|file| std::cmp::Reverse(file.id));
        Ok(files)
    }

    /// The one with this id.
    ///
    /// # Errors
    /// [`BackupError::NotThere`], [`BackupError::Io`].
    pub fn get(&self, id: Id) -> Result<File, BackupError> {
        let path = self.folder.as_ref().ok_or(BackupError::NotThere(id))?.join(id.file_name());
        look(id, path)?.ok_or(BackupError::NotThere(id))
    }

    /// Makes one, and checks all of it before it gets its name. Blocks.
    ///
    /// # Errors
    /// [`BackupError`]; nothing is left of a copy that failed.
    pub fn make(
        &self,
        origin: Origin,
        now: Timestamp,
        options: CopyOptions,
        tell: &mut dyn FnMut(CopyProgress) -> ControlFlow<()>,
    ) -> Result<File, BackupError> {
        let folder = self.made_folder()?;
        // Two may be asked for in one second.
        let mut id = Id::new(origin, now);
        while folder.join(id.file_name()).symlink_metadata().is_ok() {
            id = id.next();
        }
        self.store.copy_to(&folder.join(id.file_name()), options, tell)?;
        self.get(id)
    }

    /// Makes one for whoever reads it now: one at a time, since who reads slowly keeps as much of the disk as the file takes.
    /// Blocks.
    ///
    /// # Errors
    /// [`BackupError::Lending`] while another one is read; [`BackupError`].
    pub fn lend(
        &self,
        options: CopyOptions,
        tell: &mut dyn FnMut(CopyProgress) -> ControlFlow<()>,
    ) -> Result<Lent, BackupError> {
        let folder = self.made_folder()?;
        let place = Arc::clone(&self.lending).try_acquire_owned().map_err(|_| BackupError::Lending)?;
        // No id: nobody lists it.
        let path = folder.join(LENT);
        let failed = |error| BackupError::Io { path: path.clone(), error };
        let copied = self.store.copy_to(&path, options, tell)?;
        let file = fs::File::open(&path).map_err(failed)?;
        fs::remove_file(&path).map_err(failed)?;
        Ok(Lent { file, file_bytes: copied.file_bytes, _place: place })
    }

    /// Removes the oldest of the daily ones, down to so many. Those that a clock that was ahead of `now` has named
    /// count as older than all others: else each new one would go at once.
    ///
    /// # Errors
    /// [`BackupError::Io`].
    pub fn keep_daily(&self, keep: usize, now: Timestamp) -> Result<Vec<Id>, BackupError> {
        let mut daily: Vec<_> =
            self.list()?.into_iter().map(|file| file.id).filter(|id| id.origin == Origin::Daily).collect();
        // Otherwise they stay as they are: the newest first.
        daily.sort_by_key(|id| id.at > now);
        daily.into_iter().skip(keep).map(|id| self.remove(id).map(|()| id)).collect()
    }

    /// Removes one.
    ///
    /// # Errors
    /// [`BackupError::NotThere`], [`BackupError::Io`].
    pub fn remove(&self, id: Id) -> Result<(), BackupError> {
        let path = self.get(id)?.path;
        fs::remove_file(&path).map_err(|error| BackupError::Io { path, error })
    }

    /// Opens one and checks all of it once more: the disk may have lost some of it since. `None` where `tell` has ended
    /// it. Blocks.
    ///
    /// # Errors
    /// [`BackupError::NotThere`]; [`BackupError::Open`] when it doesn't open at all.
    pub fn verify(&self, id: Id, tell: Tell<'_>) -> Result<Option<Findings>, BackupError> {
        Ok(self.store.verify_copy(&self.get(id)?.path, tell)?)
    }

    /// What could not be read or written there.
    pub fn failed(&self, error: io::Error) -> BackupError {
        BackupError::Io { path: self.folder.clone().unwrap_or_default(), error }
    }

    fn made_folder(&self) -> Result<&Path, BackupError> {
        let folder = self.folder.as_ref().ok_or(BackupError::InMemory)?;
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|error| BackupError::Io { path: folder.clone(), error })?;
        Ok(folder)
    }
}

/// What lies there; `None` when nothing does, or no plain file.
fn look(id: Id, path: PathBuf) -> Result<Option<File>, BackupError> {
    match fs::symlink_metadata(&path) {
        Ok(there) if there.is_file() => {
            let (file_bytes, disk_bytes) = (there.len(), there.blocks() * 512);
            let written_ns = i128::from(there.mtime()) * 1_000_000_000 + i128::from(there.mtime_nsec());
            Ok(Some(File { id, path, file_bytes, disk_bytes, written_ns }))
        }
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(BackupError::Io { path, error }),
    }
}
