use serde_json::{Value, json};

use crate::job::Progress;
use crate::jobs::{Failed, Task, blocking};
use crate::store::{CompactError, CompactProgress, Store};

/// The kind of the job.
pub const KIND: &str = "compact";

/// The work of a job that compacts the file. Mail goes on meanwhile.
///
/// # Errors
/// [`Failed`], with what prevented it: the file is as it was.
pub async fn compact(store: Store, task: Task) -> Result<Value, Failed> {
    let done = blocking(task, move |tell| store.compact(&mut |progress| tell(shown(progress)))).await?;
    let done = done.map_err(|error| Failed::because(error.to_string()))?;
    Ok(json!({
        "before_bytes": done.before_bytes,
        "after_bytes": done.after_bytes,
        "pause_ms": done.pause.as_secs_f64() * 1000.0,
    }))
}

/// What ends a compaction while a copy is being made, or another compaction: it can be tried again soon.
pub(super) fn busy() -> Failed {
    Failed::because(CompactError::Busy.to_string())
}

fn shown(progress: CompactProgress) -> Progress {
    let of = |done, all: u64, unit: &str| Progress { done, total: Some(all.max(done)), unit: unit.into() };
    match progress {
        CompactProgress::Copying { done_rows, all_rows } => of(done_rows, all_rows, "rows copied"),
        CompactProgress::Comparing { done_rows, all_rows } => of(done_rows, all_rows, "rows compared"),
        CompactProgress::CatchingUp { rows } => Progress { done: rows, total: None, unit: "changed rows left".into() },
    }
}
