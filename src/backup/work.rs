use std::sync::Arc;

use serde_json::{Value, json};

use super::folder::{BackupError, Backups};
use super::name::{Id, Origin};
use crate::base::Timestamp;
use crate::job::Progress;
use crate::jobs::{Failed, Task, blocking};
use crate::store::{CopyError, CopyOptions, CopyProgress};

/// The kinds of the jobs here: of one that makes a copy, of one that checks one, and of one that puts one in place.
pub const MAKE: &str = "backup";
/// See [`MAKE`].
pub const CHECK: &str = "backup_check";
/// See [`MAKE`].
pub const RESTORE: &str = "restore";
/// What a job that makes a copy for the schedule is about.
pub const DAILY: &str = "daily";

/// The work of a job that makes a copy: `keep` is how many of the daily ones stay.
///
/// # Errors
/// [`Failed`], with what prevented it.
pub async fn make(
    backups: Arc<Backups>,
    origin: Origin,
    now: Timestamp,
    options: CopyOptions,
    keep: usize,
    task: Task,
) -> Result<Value, Failed> {
    let making = Arc::clone(&backups);
    let made = blocking(task, move |tell| making.make(origin, now, options, &mut |progress| tell(copied(progress))));
    let file = made.await?.map_err(|error| Failed::because(error.to_string()))?;
    if origin == Origin::Daily {
        let gone = backups.keep_daily(keep.max(1), now).map_err(|error| Failed::because(error.to_string()))?;
        tracing::info!(event = "backup_made", id = %file.id, bytes = file.disk_bytes, removed = gone.len());
    }
    Ok(json!({ "id": file.id.to_string(), "file_bytes": file.file_bytes, "disk_bytes": file.disk_bytes }))
}

/// The work of a job that checks a copy once more: its result are the findings, and a copy that has some is a failure.
///
/// # Errors
/// [`Failed`], with what is wrong with the copy.
pub async fn verify(backups: Arc<Backups>, id: Id, task: Task) -> Result<Value, Failed> {
    let found = blocking(task, move |tell| backups.verify(id, &mut |progress| tell(progress.into()))).await?;
    let damaged =
        |lines: &[String]| Failed { problem: "it is damaged".into(), result: Some(json!({"findings": lines})) };
    let found = match found {
        Err(BackupError::Open(error)) => return Err(damaged(&[error.to_string()])),
        found => found.map_err(|error| Failed::because(error.to_string()))?,
    };
    match found.as_ref().map(|findings| findings.lines()) {
        None => Err(Failed::because("it was given up")),
        Some([]) => Ok(json!({"findings": []})),
        Some(lines) => Err(damaged(lines)),
    }
}

/// What ends the making of a copy while another one is being made, or the file is being compacted: it can be tried again
/// soon.
pub(super) fn busy() -> Failed {
    Failed::because(BackupError::Copy(CopyError::Busy).to_string())
}

fn copied(progress: CopyProgress) -> Progress {
    match progress {
        CopyProgress::Copying { done_bytes, all_bytes } => {
            Progress { done: done_bytes, total: Some(all_bytes), unit: "bytes copied".into() }
        }
        CopyProgress::Compacting { done_rows, all_rows } => {
            Progress { done: done_rows, total: Some(all_rows), unit: "rows compacted".into() }
        }
        CopyProgress::Checking(progress) => progress.into(),
    }
}
