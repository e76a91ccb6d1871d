use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use rustix::fs::OFlags;
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use super::folder::{BackupError, Backups};
use super::name::Id;
use crate::base::Timestamp;
use crate::job::Progress;
use crate::jobs::{Failed, Task, blocking};
use crate::store::{Incoming, staged_path};

/// Octets that are copied of a backup between two words about it.
const PIECE_BYTES: usize = 1024 * 1024;

/// What a copy is called that was sent.
pub const UPLOAD: &str = "upload";

/// A restore that has begun: one at a time.
pub struct Restoring {
    incoming: Incoming,
    _place: OwnedSemaphorePermit,
}

/// A copy that was checked, and changes places with the data file at the next start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staged {
    /// Where it lies.
    pub path: PathBuf,
    /// When it was staged.
    pub at: Timestamp,
    /// Its length in octets.
    pub file_bytes: u64,
}

/// What is done at the end of a restore.
pub struct LastStep {
    /// Asked right before, when the job can't be cancelled any more: whether it may be done still.
    pub may_stage: Box<dyn FnOnce() -> Result<(), Failed> + Send>,
    /// Is cancelled where the server is to start again at once.
    pub restart: Option<CancellationToken>,
}

impl Restoring {
    /// The next octets of the copy, plain or of a `.zst` file. Blocks.
    ///
    /// # Errors
    /// [`io::ErrorKind::StorageFull`] when the disk has no more room than is kept free, and the operating system's.
    pub fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.incoming.push(bytes)
    }
}

impl Backups {
    /// Begins to take a copy in. Nothing is left of one that is dropped.
    ///
    /// # Errors
    /// [`BackupError::Restoring`] while another one is on its way; [`BackupError::InMemory`], [`BackupError::Io`].
    pub fn begin_restore(&self) -> Result<Restoring, BackupError> {
        let data = self.data.as_deref().ok_or(BackupError::InMemory)?;
        let place = Arc::clone(&self.restoring).try_acquire_owned().map_err(|_| BackupError::Restoring)?;
        let incoming = Incoming::beside(data, self.store.health().disk_reserve_bytes);
        let incoming = incoming.map_err(|error| BackupError::Io { path: data.to_owned(), error })?;
        Ok(Restoring { incoming, _place: place })
    }

    /// The copy that waits for the next start.
    ///
    /// # Errors
    /// [`BackupError::Io`].
    pub fn staged(&self) -> Result<Option<Staged>, BackupError> {
        let Some(path) = self.data.as_deref().map(staged_path) else { return Ok(None) };
        match fs::symlink_metadata(&path) {
            Ok(there) if there.is_file() => {
                let since = there.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
                Ok(Some(Staged { path, at: Timestamp(since.as_millis() as u64), file_bytes: there.size() }))
            }
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(BackupError::Io { path, error }),
        }
    }

    /// Removes the copy that waits; whether there was one.
    ///
    /// # Errors
    /// [`BackupError::Io`].
    pub fn drop_staged(&self) -> Result<bool, BackupError> {
        let Some(Staged { path, .. }) = self.staged()? else { return Ok(false) };
        fs::remove_file(&path).map_err(|error| BackupError::Io { path, error })?;
        Ok(true)
    }

    /// Opens one for whoever reads it.
    ///
    /// # Errors
    /// [`BackupError::NotThere`], [`BackupError::Io`].
    pub fn open(&self, id: Id) -> Result<File, BackupError> {
        let path = self.get(id)?.path;
        // What was a file a moment ago may be a link now.
        let opened = OpenOptions::new().read(true).custom_flags(OFlags::NOFOLLOW.bits() as i32).open(&path);
        opened.map_err(|error| BackupError::Io { path, error })
    }

    /// Takes the octets of one that lies here.
    fn copy_in(
        &self,
        id: Id,
        restoring: &mut Restoring,
        tell: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<(), Failed> {
        let mut source = self.open(id).map_err(failed)?;
        let all_bytes = source.metadata().map_err(failed)?.len();
        let (mut piece, mut done_bytes) = (vec![0; PIECE_BYTES], 0);
        loop {
            let length = source.read(&mut piece).map_err(failed)?;
            if length == 0 {
                return Ok(());
            }
            restoring.push(&piece[..length]).map_err(failed)?;
            done_bytes += length as u64;
            let progress = Progress { done: done_bytes, total: Some(all_bytes), unit: "bytes copied".into() };
            if tell(progress).is_break() {
                return Err(Failed::because("it was given up"));
            }
        }
    }

    fn stage(
        &self,
        mut restoring: Restoring,
        from: Option<Id>,
        may_stage: impl FnOnce() -> Result<(), Failed>,
        tell: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Staged, Failed> {
        if let Some(id) = from {
            self.copy_in(id, &mut restoring, tell)?;
        }
        let data = self.data.as_deref().ok_or(BackupError::InMemory).map_err(failed)?;
        let arrived = restoring.incoming.finish().map_err(failed)?;
        let found = self.store.verify_arrived(&arrived, &mut |progress| tell(progress.into()));
        // What is wrong with it is told without where it lay for the moment.
        match found.map_err(failed)?.as_ref().map(|findings| findings.lines()) {
            None => return Err(Failed::because("it was given up")),
            Some([]) => {}
            Some(lines) => {
                let problem = "the copy is damaged, and was thrown away".into();
                return Err(Failed { problem, result: Some(json!({"findings": lines})) });
            }
        }
        may_stage()?;
        let from = from.map_or_else(|| UPLOAD.to_owned(), |id| id.to_string());
        self.store.stage(arrived, data, &from).map_err(failed)?;
        self.staged().map_err(failed)?.ok_or_else(|| Failed::because("somebody has removed it"))
    }
}

/// The work of a job that stages a copy: what was taken in, or the one with the id `from`. A job that was cancelled stages
/// nothing, and one that stages can't be cancelled any more.
///
/// # Errors
/// [`Failed`], with what is wrong with the copy; the file stays as it is.
pub async fn restore(
    backups: Arc<Backups>,
    restoring: Restoring,
    from: Option<Id>,
    LastStep { may_stage, restart }: LastStep,
    task: Task,
) -> Result<Value, Failed> {
    let decision = task.decision.clone();
    let decide = move || {
        if !decision.take() {
            return Err(Failed::because("it was given up"));
        }
        may_stage()
    };
    let staged = blocking(task, move |tell| backups.stage(restoring, from, decide, tell)).await??;
    tracing::warn!(event = "restore_staged", path = %staged.path.display(), bytes = staged.file_bytes);
    let is_restarting = restart.inspect(CancellationToken::cancel).is_some();
    Ok(json!({ "staged_at": staged.at.rfc3339(), "file_bytes": staged.file_bytes, "restarting": is_restarting }))
}

fn failed(error: impl std::fmt::Display) -> Failed {
    Failed::because(error.to_string())
}
