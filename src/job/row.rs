use serde::{Deserialize, Serialize};

use crate::base::{JobId, SessionId, Timestamp};
use crate::postcard_row;
use crate::store::{AnyTable, CheckPart, CheckProgress, Read, Span, StoreError, Table};

/// The jobs, by id.
pub(super) static JOBS: Table<JobId, Job> = Table::new("jobs");
/// The room's tables.
pub const TABLES: &[&dyn AnyTable] = &[&JOBS];

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
    /// The session with a peer that it runs, where it runs one: its dialogue belongs to the job.
    pub session: Option<SessionId>,
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
    /// It waits for others to end.
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

impl From<CheckProgress> for Progress {
    fn from(progress: CheckProgress) -> Self {
        let unit = match progress.part {
            CheckPart::Pages => "bytes of pages checked",
            CheckPart::Rows => "rows checked",
            CheckPart::Bodies => "bodies checked",
            CheckPart::Tables => "comparisons of tables made",
        };
        Self { done: progress.done, total: Some(progress.total), unit: unit.into() }
    }
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

impl JobState {
    /// Whether it is over.
    pub fn is_ended(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

/// One job.
///
/// # Errors
/// [`StoreError`].
pub fn job(read: &impl Read, id: JobId) -> Result<Option<Job>, StoreError> {
    read.get(&JOBS, &id)
}

/// The `limit` newest jobs before `before`, the newest first.
///
/// # Errors
/// [`StoreError`].
pub fn jobs(read: &impl Read, before: Option<JobId>, limit: usize) -> Result<Vec<(JobId, Job)>, StoreError> {
    let (mut found, mut end) = (Vec::new(), before);
    while found.len() < limit {
        let span = end.map_or_else(Span::all, |end| Span::range(..end));
        let Some((id, job)) = read.last(&JOBS, span)? else { break };
        found.push((id, job));
        end = Some(id);
    }
    Ok(found)
}

/// The newest job's id: new ones begin above it.
///
/// # Errors
/// [`StoreError`].
pub fn newest(read: &impl Read) -> Result<Option<JobId>, StoreError> {
    Ok(read.last(&JOBS, Span::all())?.map(|(id, _)| id))
}
