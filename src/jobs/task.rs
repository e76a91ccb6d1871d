use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::decision::Decision;
use crate::base::JobId;
use crate::job::{Progress, Report};
use crate::store::Store;

/// What the work of a job is given.
pub struct Task {
    /// The job.
    pub id: JobId,
    /// Cancelled when the work is to end soon: somebody has cancelled the job, or the server stops.
    pub cancel: CancellationToken,
    /// To be taken right before a step that can't be taken back.
    pub decision: Decision,
    pub(super) store: Store,
    /// What was reported last: the row may be a moment behind.
    pub(super) progress: Arc<Mutex<Progress>>,
}

/// Work that was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// Why, for people.
    pub problem: String,
    /// What is to be said of it all the same, as JSON.
    pub result: Option<Value>,
}

impl Task {
    /// Says how far the work is. It is seen within a second, and costs no commit of its own.
    pub fn report(&self, progress: Progress) {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = progress.clone();
        self.store.ride(Report { id: self.id, progress });
    }
}

impl Failed {
    /// A failure with nothing to show.
    pub fn because(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), result: None }
    }
}
