use std::ops::ControlFlow;

use tokio::sync::watch;

use super::task::{Failed, Task};
use crate::job::Progress;

/// Does what blocks, on a thread of its own. What it tells is the job's progress; when the job is to end, it is told so.
///
/// # Errors
/// [`Failed`] when the work panics.
pub async fn blocking<T: Send + 'static>(
    task: Task,
    work: impl FnOnce(&mut dyn FnMut(Progress) -> ControlFlow<()>) -> T + Send + 'static,
) -> Result<T, Failed> {
    let (tell, mut told) = watch::channel(Progress::default());
    let cancel = task.cancel.clone();
    let working = tokio::task::spawn_blocking(move || {
        work(&mut |progress| {
            tell.send_replace(progress);
            if cancel.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
    });
    // Ends when the work does, and drops what it tells by.
    while told.changed().await.is_ok() {
        let progress = told.borrow_and_update().clone();
        task.report(progress);
    }
    working.await.map_err(|error| Failed::because(error.to_string()))
}
