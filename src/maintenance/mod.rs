//! Looks after the file that is in use.
//!
//! Floor F4c.

use serde_json::{Value, json};

use crate::jobs::{Failed, Task, blocking};
use crate::store::Store;

/// The kind of a job that checks the file.
pub const CHECK: &str = "check";

/// The work of a job that checks the file itself, while it is in use: its result are the findings, and a file that has some
/// is a failure.
///
/// # Errors
/// [`Failed`], with what is wrong with the file.
pub async fn check(store: Store, task: Task) -> Result<Value, Failed> {
    let found = blocking(task, move |tell| store.check_telling(&mut |progress| tell(progress.into()))).await?;
    let found = found.map_err(|error| Failed::because(error.to_string()))?;
    match found {
        None => Err(Failed::because("it was given up")),
        Some(findings) if findings.lines().is_empty() => Ok(json!({"findings": [], "count": 0})),
        Some(findings) => Err(Failed {
            problem: "the file is damaged: stop the server, and mend it with `pillarbox check --repair`".into(),
            result: Some(json!({"findings": findings.lines(), "count": findings.count()})),
        }),
    }
}
