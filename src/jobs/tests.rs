use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::*;
use crate::base::{JobId, MessageIds, SystemClock, limits};
use crate::job::{self, Job, JobState, Progress};
use crate::store::{Options, Schema, Store};

static SCHEMA: Schema = Schema { version: 1, tables: job::TABLES, checks: job::CHECKS, migrations: &[] };

fn open() -> (Store, Arc<Jobs>) {
    let store = Store::open(Options::memory(Arc::new(SystemClock)), &SCHEMA).unwrap();
    let jobs = Jobs::new(store.clone(), Arc::new(SystemClock), Arc::new(MessageIds::default()));
    (store, jobs)
}

fn order() -> Order {
    Order { kind: "test", target: "x".into(), actor: "tester".into(), session: None }
}

/// The job's row, when it has ended: within a minute, or it hangs.
pub(crate) async fn ended(store: &Store, id: JobId) -> Job {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let row = job::job(&store.view().unwrap(), id).unwrap().unwrap();
        if row.state.is_ended() {
            return row;
        }
        assert!(Instant::now() < deadline, "a job that ends: {row:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Work that ends when it is cancelled.
async fn until_cancelled(task: Task) -> Result<Value, Failed> {
    task.cancel.cancelled().await;
    Err(Failed { problem: "half done".into(), result: Some(json!({"done": 1})) })
}

#[tokio::test]
async fn a_job_leaves_its_result_and_its_progress() {
    let (store, jobs) = open();
    let progress = Progress { done: 2, total: Some(2), unit: "things".into() };
    let reported = progress.clone();
    let id = jobs
        .start(order(), async move |task: Task| {
            task.report(reported);
            Ok(json!({"n": 7}))
        })
        .await
        .unwrap();
    let row = ended(&store, id).await;
    assert_eq!((row.state, row.result.as_deref(), row.problem), (JobState::Succeeded, Some("{\"n\":7}"), None));
    assert!(row.started_at >= Some(row.created_at) && row.ended_at >= row.started_at);
    assert_eq!((row.kind.as_str(), row.target.as_str(), row.actor.as_str()), ("test", "x", "tester"));
    assert_eq!(row.progress, progress);
    assert_eq!(jobs.cancel(id), Err(NotCancelled::Ended));
}

#[tokio::test]
async fn what_fails_says_why() {
    let (store, jobs) = open();
    let id = jobs.start(order(), async |_| Err(Failed::because("no way"))).await.unwrap();
    let row = ended(&store, id).await;
    assert_eq!((row.state, row.problem.as_deref()), (JobState::Failed, Some("no way")));
    let id = jobs.start(order(), async |task: Task| if task.id.0 > 0 { panic!("a test") } else { Ok(json!(1)) }).await;
    let row = ended(&store, id.unwrap()).await;
    assert_eq!(row.state, JobState::Failed);
    assert!(row.problem.unwrap().contains("fault of the server"));
    jobs.stop().await;
}

#[tokio::test]
async fn a_job_is_cancelled_by_whoever_asks() {
    let (store, jobs) = open();
    let (begin, begun) = oneshot::channel();
    let work = async move |task| {
        let _ = begin.send(());
        until_cancelled(task).await
    };
    let id = jobs.start(order(), work).await.unwrap();
    begun.await.unwrap();
    assert_eq!(jobs.cancel(id), Ok(()));
    let row = ended(&store, id).await;
    assert_eq!(
        (row.state, row.problem.as_deref(), row.result.as_deref()),
        (JobState::Cancelled, Some("half done"), Some("{\"done\":1}"))
    );
    assert_eq!(jobs.cancel(JobId(1)), Err(NotCancelled::Ended), "nobody knows it");
}

#[tokio::test]
async fn work_that_does_not_listen_is_cut_off() {
    let (store, mut jobs) = open();
    Arc::get_mut(&mut jobs).unwrap().grace = Duration::from_millis(5);
    let (begin, begun) = oneshot::channel();
    let work = async move |_| {
        let _ = begin.send(());
        std::future::pending().await
    };
    let id = jobs.start(order(), work).await.unwrap();
    begun.await.unwrap();
    assert_eq!(jobs.cancel(id), Ok(()));
    let row = ended(&store, id).await;
    assert_eq!(row.state, JobState::Cancelled);
    assert!(row.problem.unwrap().contains("cut off"));
}

#[tokio::test]
async fn a_job_is_cancelled_or_does_its_last_step_and_never_both() {
    let (store, mut jobs) = open();
    Arc::get_mut(&mut jobs).unwrap().grace = Duration::from_millis(5);
    // Cancelled behind its last look.
    let (begin, begun) = oneshot::channel();
    let work = async move |task: Task| {
        let _ = begin.send(());
        task.cancel.cancelled().await;
        Ok(json!({"was_done": task.decision.take()}))
    };
    let id = jobs.start(order(), work).await.unwrap();
    begun.await.unwrap();
    assert_eq!(jobs.cancel(id), Ok(()));
    assert_eq!(ended(&store, id).await.result.as_deref(), Some("{\"was_done\":false}"));
    // At its last step, which takes longer than cancelled work gets: what comes of it is not lost, not even by a stop.
    let (begin, begun) = oneshot::channel();
    let (go, gone) = oneshot::channel::<()>();
    let work = async move |task: Task| {
        let _ = begin.send(task.decision.take());
        let _ = gone.await;
        Ok(json!(1))
    };
    let id = jobs.start(order(), work).await.unwrap();
    assert!(begun.await.unwrap());
    assert_eq!(jobs.cancel(id), Err(NotCancelled::Decided));
    let stopping = tokio::spawn({
        let jobs = Arc::clone(&jobs);
        async move { jobs.stop().await }
    });
    tokio::time::sleep(Duration::from_millis(20)).await;
    go.send(()).unwrap();
    stopping.await.unwrap();
    assert_eq!(ended(&store, id).await.state, JobState::Succeeded);
}

#[tokio::test]
async fn a_stop_ends_what_runs_and_waits_for_it() {
    let (store, jobs) = open();
    let mut ids = Vec::new();
    for _ in 0..limits::JOBS_RUNNING + 1 {
        ids.push(jobs.start(order(), until_cancelled).await.unwrap());
    }
    jobs.stop().await;
    for id in ids {
        let row = job::job(&store.view().unwrap(), id).unwrap().unwrap();
        assert_eq!(row.state, JobState::Failed);
        assert!(row.problem.unwrap().starts_with("the server stopped"));
    }
    assert!(matches!(jobs.start(order(), until_cancelled).await, Err(NotStarted::Stopping)));
}

#[tokio::test]
async fn jobs_wait_for_a_place_and_not_without_end() {
    let (store, jobs) = open();
    let (go, gone) = oneshot::channel::<()>();
    let first = jobs.start(order(), async move |_| gone.await.map(|()| json!(null)).map_err(|_| Failed::because("")));
    let first = first.await.unwrap();
    for _ in 1..limits::JOBS_RUNNING + limits::JOBS_WAITING {
        jobs.start(order(), until_cancelled).await.unwrap();
    }
    assert!(matches!(jobs.start(order(), until_cancelled).await, Err(NotStarted::Crowded)));
    let waiting = job::newest(&store.view().unwrap()).unwrap().unwrap();
    assert_eq!(job::job(&store.view().unwrap(), waiting).unwrap().unwrap().state, JobState::Queued);
    go.send(()).unwrap();
    assert_eq!(ended(&store, first).await.state, JobState::Succeeded);
    // One that waits is cancelled without ever running.
    assert_eq!(jobs.cancel(waiting), Ok(()));
    let row = ended(&store, waiting).await;
    assert_eq!((row.state, row.started_at), (JobState::Cancelled, None));
    jobs.stop().await;
}
