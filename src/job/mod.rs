//! Long work that an operator has asked for: a row each, with its progress and what came of it.
//!
//! Floor F3a. The rows; the work itself is run by `jobs`.

use serde::{Deserialize, Serialize};

use crate::base::{JobId, Timestamp};
use crate::postcard_row;
use crate::store::{AnyTable, CrossCheck, Halt, Op, Read, StoreError, Table, Tx};

/// The jobs, by id.
static JOBS: Table<JobId, Job> = Table::new("jobs");
/// The room's tables.
pub const TABLES: &[&dyn AnyTable] = &[&JOBS];
/// What must hold between them.
pub const CHECKS: &[CrossCheck] = &[];

/// A piece of long work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// What it does, as in `turn_session`.
    pub kind: String,
    /// To what, as in the peer's name.
    pub target: String,
    /// Who asked for it.
    pub actor: String,
    /// How it stands.
    pub state: JobState,
    /// How far it is.
    pub progress: Progress,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// What came of it, as JSON.
    pub result: Option<String>,
    /// What went wrong.
    pub problem: Option<String>,
}
postcard_row!(Job, 1);

/// How a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// It waits.
    Queued,
    /// It runs.
    Running,
    /// It has done its work.
    Succeeded,
    /// It has not.
    Failed,
    /// Somebody has ended it.
    Cancelled,
}

/// How far a job is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// So much is done.
    pub done: u64,
    /// Of so much, where that is known.
    pub total: Option<u64>,
    /// Of what, as in `messages`.
    pub unit: String,
}

/// Writes a job's row. The oldest ended ones beyond [`crate::base::limits::JOBS_KEPT`] go.
pub struct PutJob {
    /// Its id.
    pub id: JobId,
    /// The row.
    pub job: Job,
}

impl Op for PutJob {
    type Plan = ();
    type Out = ();
    type Refused = std::convert::Infallible;

    fn name(&self) -> &'static str {
        "job.put"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<Self::Refused>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        tx.put(&JOBS, &self.id, &self.job)
    }
}

/// One job.
///
/// # Errors
/// [`StoreError`].
pub fn job(read: &impl Read, id: JobId) -> Result<Option<Job>, StoreError> {
    read.get(&JOBS, &id)
}
