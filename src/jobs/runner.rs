use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::decision::Decision;
use super::task::{Failed, Task};
use crate::base::{Clock, JobId, MessageIds, SessionId, limits};
use crate::job::{Interrupt, Job, JobState, Progress, PutJob};
use crate::store::{Store, WriteError};

/// Runs jobs. One for the whole server.
pub struct Jobs {
    store: Store,
    clock: Arc<dyn Clock>,
    ids: Arc<MessageIds>,
    /// Where the work runs: who orders a job may live on another, smaller runtime.
    runtime: Handle,
    stop: CancellationToken,
    alive: Mutex<HashMap<JobId, Alive>>,
    places: Arc<Semaphore>,
    tracker: TaskTracker,
    /// How long cancelled work gets to end by itself.
    pub(super) grace: Duration,
}

/// What is to be done, and for whom.
#[derive(Debug, Clone)]
pub struct Order {
    /// What it does, as in `turn_session`.
    pub kind: &'static str,
    /// To what, as in the peer's name.
    pub target: String,
    /// Who asks for it.
    pub actor: String,
    /// The session with a peer that it will run.
    pub session: Option<SessionId>,
}

/// Why a job was not started.
#[derive(Debug, thiserror::Error)]
pub enum NotStarted {
    /// The server stops.
    #[error("the server is stopping")]
    Stopping,
    /// As many wait as may wait.
    #[error("{} jobs wait already", limits::JOBS_WAITING)]
    Crowded,
    /// Its row could not be written.
    #[error("{0}")]
    Store(WriteError<Infallible>),
}

/// Why a job was not cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotCancelled {
    /// It has ended, or never was.
    #[error("it has ended already")]
    Ended,
    /// Its last step has begun, which is not taken back.
    #[error("it is at its last step, which can't be taken back")]
    Decided,
}

#[derive(Clone)]
struct Alive {
    cancel: CancellationToken,
    decision: Decision,
}

impl Jobs {
    /// Runs jobs on the runtime that this is called on.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub fn new(store: Store, clock: Arc<dyn Clock>, ids: Arc<MessageIds>) -> Arc<Self> {
        Arc::new(Self {
            store,
            clock,
            ids,
            runtime: Handle::current(),
            stop: CancellationToken::new(),
            alive: Mutex::default(),
            places: Arc::new(Semaphore::new(limits::JOBS_RUNNING)),
            tracker: TaskTracker::new(),
            grace: Duration::from_secs(limits::JOB_CANCEL_S),
        })
    }

    /// At start: writes down as failed what the last run of the server has left unfinished.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn recover(&self) -> Result<(), WriteError<Infallible>> {
        let interrupted = self.store.write(Interrupt { at: self.clock.now() }).await?.into_inner();
        if interrupted > 0 {
            tracing::warn!(event = "jobs_interrupted", interrupted, "jobs were ended by the server's last stop");
        }
        Ok(())
    }

    /// Starts a job; it waits while [`limits::JOBS_RUNNING`] others run. Its row is on disk when this returns.
    ///
    /// # Errors
    /// [`NotStarted`].
    pub async fn start<W, F>(self: &Arc<Self>, order: Order, work: W) -> Result<JobId, NotStarted>
    where
        W: FnOnce(Task) -> F + Send + 'static,
        F: Future<Output = Result<Value, Failed>> + Send + 'static,
    {
        let now = self.clock.now();
        let id = self.ids.job(now);
        let alive = self.enter(id)?;
        let job = Job {
            kind: order.kind.into(),
            target: order.target,
            actor: order.actor,
            state: JobState::Queued,
            progress: Progress::default(),
            session: order.session,
            created_at: now,
            started_at: None,
            ended_at: None,
            result: None,
            problem: None,
        };
        if let Err(error) = self.store.write(PutJob { id, job: job.clone() }).await {
            lock(&self.alive).remove(&id);
            return Err(NotStarted::Store(error));
        }
        let jobs = Arc::clone(self);
        self.tracker.spawn_on(async move { jobs.run(id, job, alive, work).await }, &self.runtime);
        Ok(id)
    }

    /// Does something short on the server's main runtime, for somebody on another one; `None`: it panicked, or the runtime
    /// is going.
    pub async fn aside<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
        self.runtime.spawn(work).await.ok()
    }

    /// Ends a job that waits or runs. Its work gets [`limits::JOB_CANCEL_S`] to end by itself, and does not do its last
    /// step ([`Decision`]) any more.
    ///
    /// # Errors
    /// [`NotCancelled`].
    pub fn cancel(&self, id: JobId) -> Result<(), NotCancelled> {
        let alive = lock(&self.alive);
        let job = alive.get(&id).ok_or(NotCancelled::Ended)?;
        if !job.decision.cancel() {
            return Err(NotCancelled::Decided);
        }
        job.cancel.cancel();
        Ok(())
    }

    /// Takes no more jobs, cancels those that run, and comes back when they have ended.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }

    fn enter(&self, id: JobId) -> Result<Alive, NotStarted> {
        let mut alive = lock(&self.alive);
        if self.stop.is_cancelled() {
            return Err(NotStarted::Stopping);
        }
        if alive.len() >= limits::JOBS_RUNNING + limits::JOBS_WAITING {
            return Err(NotStarted::Crowded);
        }
        let job = Alive { cancel: self.stop.child_token(), decision: Decision::new(self.stop.clone()) };
        alive.insert(id, job.clone());
        Ok(job)
    }

    async fn run<W, F>(&self, id: JobId, mut job: Job, alive: Alive, work: W)
    where
        W: FnOnce(Task) -> F + Send + 'static,
        F: Future<Output = Result<Value, Failed>> + Send + 'static,
    {
        let Alive { cancel, decision } = alive;
        let place = tokio::select! {
            biased;
            () = cancel.cancelled() => None,
            place = Arc::clone(&self.places).acquire_owned() => place.ok(),
        };
        let progress = Arc::new(Mutex::default());
        let ended = match place {
            Some(_place) => {
                (job.state, job.started_at) = (JobState::Running, Some(self.clock.now()));
                self.put(id, job.clone()).await;
                let (store, progress) = (self.store.clone(), Arc::clone(&progress));
                let task = Task { id, cancel, decision: decision.clone(), store, progress };
                self.perform(task, work).await
            }
            None => Err(Failed::because("it had not begun")),
        };
        lock(&self.alive).remove(&id);
        job.progress = lock(&progress).clone();
        job.ended_at = Some(self.clock.now());
        let (state, result, problem) = match ended {
            Ok(result) => (JobState::Succeeded, Some(result), None),
            Err(failed) if decision.is_cancelled() => (JobState::Cancelled, failed.result, Some(failed.problem)),
            Err(failed) if self.stop.is_cancelled() => {
                (JobState::Failed, failed.result, Some(format!("the server stopped: {}", failed.problem)))
            }
            Err(failed) => (JobState::Failed, failed.result, Some(failed.problem)),
        };
        (job.state, job.result, job.problem) = (state, result.map(|value| value.to_string()), problem);
        tracing::info!(event = "job_ended", %id, kind = job.kind, target = job.target, state = ?job.state, problem = job.problem);
        self.put(id, job).await;
    }

    /// Does the work, in a task of its own, so that a panic ends nothing but the job.
    async fn perform<W, F>(&self, task: Task, work: W) -> Result<Value, Failed>
    where
        W: FnOnce(Task) -> F + Send + 'static,
        F: Future<Output = Result<Value, Failed>> + Send + 'static,
    {
        let (id, cancel, decision) = (task.id, task.cancel.clone(), task.decision.clone());
        let mut running = self.runtime.spawn(async move { work(task).await });
        let overdue = async {
            cancel.cancelled().await;
            tokio::time::sleep(self.grace).await;
        };
        let ended = tokio::select! {
            ended = &mut running => ended,
            () = overdue => {
                // What is at its last step is soon done, and what came of it must not be lost.
                if decision.is_taken() {
                    return running.await.unwrap_or_else(|error| panicked(id, &error));
                }
                running.abort();
                return Err(Failed::because("it did not end by itself and was cut off"));
            }
        };
        ended.unwrap_or_else(|error| panicked(id, &error))
    }

    async fn put(&self, id: JobId, job: Job) {
        if let Err(error) = self.store.write(PutJob { id, job }).await {
            tracing::error!(event = "job_unwritten", %id, %error, "a job's row could not be written");
        }
    }
}

fn panicked(id: JobId, error: &JoinError) -> Result<Value, Failed> {
    tracing::error!(event = "job_panicked", %id, %error, "a job panicked");
    Err(Failed::because("a fault of the server: it is in the server's log"))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
