use std::collections::HashMap;

use super::folder::{BackupError, Backups};
use super::name::Id;
use super::restoring::Staged;
use super::schedule::AHEAD_MS;
use super::work::{CHECK, DAILY, MAKE};
use crate::base::Timestamp;
use crate::job::{self, Job, JobState};
use crate::store::{Read, StoreError};

/// Jobs that are looked through: as many as are kept.
const JOBS: usize = 1000;

/// How it stands with the copies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// There is a folder for them.
    pub is_on_disk: bool,
    /// When the newest good one was made.
    pub newest_at: Option<Timestamp>,
    /// When the last one that the schedule wanted was not made, and why.
    pub failed: Option<(Timestamp, String)>,
    /// A copy waits to take the place of the file.
    pub staged: Option<Staged>,
}

/// What came of the last check of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked {
    /// When.
    pub at: Timestamp,
    /// Nothing was wrong.
    pub is_good: bool,
}

impl Backups {
    /// How it stands with them at `now`, by what lies there and by the jobs that are known. What a clock has named that was
    /// ahead says nothing of when it was made.
    ///
    /// # Errors
    /// [`BackupError`].
    pub fn standing(&self, read: &impl Read, now: Timestamp) -> Result<Standing, BackupError> {
        let checks = checks(read)?;
        let is_good = |id: &Id| checks.get(id).is_none_or(|checked| checked.is_good);
        let files = self.list()?;
        let mut told = files.iter().map(|file| file.id).filter(|id| id.at <= now.plus_ms(AHEAD_MS));
        let newest_at = told.find(is_good).map(|id| id.at);
        let is_daily = |(_, job): &&(_, Job)| job.kind == MAKE && job.target == DAILY && job.state.is_ended();
        let jobs = job::jobs(read, None, JOBS)?;
        let failed = jobs.iter().find(is_daily).and_then(|(_, job)| {
            let problem = job.problem.clone().filter(|_| job.state != JobState::Succeeded)?;
            Some((job.ended_at?, problem))
        });
        Ok(Standing { is_on_disk: self.is_on_disk(), newest_at, failed, staged: self.staged()? })
    }
}

/// What came of the last check of each copy, as far as the jobs are still known. A check that did not come to its end says
/// nothing.
///
/// # Errors
/// [`StoreError`].
pub fn checks(read: &impl Read) -> Result<HashMap<Id, Checked>, StoreError> {
    let mut checks = HashMap::new();
    for (_, job) in job::jobs(read, None, JOBS)? {
        let is_good = job.state == JobState::Succeeded;
        let (Some(at), Ok(id)) = (job.ended_at, job.target.parse::<Id>()) else { continue };
        if job.kind == CHECK && (is_good || job.result.is_some()) {
            checks.entry(id).or_insert(Checked { at, is_good });
        }
    }
    Ok(checks)
}
