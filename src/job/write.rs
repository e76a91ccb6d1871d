use std::convert::Infallible;
use std::ops::ControlFlow;

use super::row::{JOBS, Job, JobState, Progress};
use crate::base::{JobId, Timestamp, limits};
use crate::store::{Halt, Op, Read, Span, StoreError, Tx};

/// Writes a job's row. With a new one, the oldest ended ones beyond [`limits::JOBS_KEPT`] go.
pub struct PutJob {
    /// Its id.
    pub id: JobId,
    /// The row.
    pub job: Job,
}

impl Op for PutJob {
    type Plan = ();
    type Out = ();
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "job.put"
    }

    fn weight_bytes(&self) -> usize {
        256 + self.job.result.as_ref().map_or(0, String::len)
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<Infallible>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        let is_new = !tx.has(&JOBS, &self.id)?;
        put(tx, self.id, &self.job)?;
        if is_new {
            forget_oldest(tx)?;
        }
        Ok(())
    }
}

/// Notes how far a job that runs has come; nothing happens when it has ended meanwhile. Made to ride.
pub struct Report {
    /// Which job.
    pub id: JobId,
    /// How far it is.
    pub progress: Progress,
}

impl Op for Report {
    type Plan = Option<Job>;
    type Out = ();
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "job.report"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn is_expendable(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<Self::Plan, Halt<Infallible>> {
        Ok(tx.get(&JOBS, &self.id)?.filter(|job| !job.state.is_ended()))
    }

    fn apply(&self, tx: &mut Tx<'_>, job: Self::Plan) -> Result<(), StoreError> {
        let Some(job) = job else { return Ok(()) };
        put(tx, self.id, &Job { progress: self.progress.clone(), ..job })
    }
}

/// Told to those who hear it ([`crate::store::Bus::hear`]) when a change of a job is committed.
#[derive(Debug)]
pub struct Changed {
    /// Which job.
    pub id: JobId,
    /// How it is now.
    pub job: Job,
}

fn put(tx: &mut Tx<'_>, id: JobId, job: &Job) -> Result<(), StoreError> {
    tx.tell(|| Changed { id, job: job.clone() });
    tx.put(&JOBS, &id, job)
}

/// At start: what the file says of jobs that wait or run is not true any more; they have failed. Gives how many.
pub struct Interrupt {
    /// Now.
    pub at: Timestamp,
}

impl Op for Interrupt {
    type Plan = Vec<(JobId, Job)>;
    type Out = usize;
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "job.interrupt"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<Self::Plan, Halt<Infallible>> {
        let mut alive = Vec::new();
        tx.scan(&JOBS, Span::all(), |id, job| {
            if !job.state.is_ended() {
                alive.push((id, job));
            }
            ControlFlow::Continue(())
        })?;
        Ok(alive)
    }

    fn apply(&self, tx: &mut Tx<'_>, alive: Self::Plan) -> Result<usize, StoreError> {
        let count = alive.len();
        for (id, job) in alive {
            let problem = Some(STOPPED.to_owned());
            tx.put(&JOBS, &id, &Job { state: JobState::Failed, ended_at: Some(self.at), problem, ..job })?;
        }
        Ok(count)
    }
}

/// What is said of a job that the server's stop has ended.
const STOPPED: &str = "the server stopped";

fn forget_oldest(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    let mut ended = Vec::new();
    tx.scan(&JOBS, Span::all(), |id, job| {
        if job.state.is_ended() {
            ended.push(id);
        }
        ControlFlow::Continue(())
    })?;
    let surplus = ended.len().saturating_sub(limits::JOBS_KEPT);
    for id in &ended[..surplus] {
        tx.remove(&JOBS, id)?;
    }
    Ok(())
}
