use std::sync::Arc;

use super::*;
use crate::base::{JobId, SystemClock, Timestamp, limits};
use crate::store::{Options, Schema, Store};

static SCHEMA: Schema = Schema { version: 1, tables: TABLES, checks: CHECKS, migrations: &[] };

fn store() -> Store {
    Store::open(Options::memory(Arc::new(SystemClock)), &SCHEMA).unwrap()
}

fn put(store: &Store, number: u64, state: JobState) {
    let job = Job {
        kind: "test".into(),
        target: String::new(),
        actor: "tester".into(),
        state,
        progress: Progress::default(),
        session: None,
        created_at: Timestamp(number),
        started_at: None,
        ended_at: None,
        result: None,
        problem: None,
    };
    store.write_blocking(PutJob { id: JobId(number), job }).unwrap().into_inner();
}

fn numbers(store: &Store, before: Option<u64>, limit: usize) -> Vec<u64> {
    let view = store.view().unwrap();
    jobs(&view, before.map(JobId), limit).unwrap().into_iter().map(|(id, _)| id.0).collect()
}

#[test]
fn jobs_are_listed_from_the_newest_on() {
    let store = store();
    assert_eq!(newest(&store.view().unwrap()).unwrap(), None);
    (1..=5).for_each(|number| put(&store, number, JobState::Succeeded));
    assert_eq!(numbers(&store, None, 2), [5, 4]);
    assert_eq!(numbers(&store, Some(4), 9), [3, 2, 1]);
    assert_eq!(newest(&store.view().unwrap()).unwrap(), Some(JobId(5)));
}

#[test]
fn the_oldest_ended_ones_are_forgotten_and_no_other() {
    let store = store();
    put(&store, 1, JobState::Running);
    let kept = limits::JOBS_KEPT as u64;
    (2..kept + 4).for_each(|number| put(&store, number, JobState::Succeeded));
    let seen = numbers(&store, None, usize::MAX);
    assert_eq!(seen.len(), limits::JOBS_KEPT + 1);
    assert_eq!(seen[seen.len() - 2..], [4, 1]);
}

#[test]
fn a_report_changes_only_what_runs() {
    let store = store();
    put(&store, 1, JobState::Running);
    put(&store, 2, JobState::Cancelled);
    let progress = Progress { done: 3, total: Some(4), unit: "messages".into() };
    for number in 1..=3 {
        let report = Report { id: JobId(number), progress: progress.clone() };
        store.write_blocking(report).unwrap().into_inner();
    }
    let seen = |number| job(&store.view().unwrap(), JobId(number)).unwrap().map(|job| job.progress);
    assert_eq!(seen(1), Some(progress));
    assert_eq!(seen(2), Some(Progress::default()));
    assert_eq!(seen(3), None);
}

#[test]
fn a_start_ends_what_had_not_ended() {
    let store = store();
    put(&store, 1, JobState::Running);
    put(&store, 2, JobState::Queued);
    put(&store, 3, JobState::Succeeded);
    assert_eq!(store.write_blocking(Interrupt { at: Timestamp(9) }).unwrap().into_inner(), 2);
    let seen = |number| {
        let job = job(&store.view().unwrap(), JobId(number)).unwrap().unwrap();
        (job.state, job.ended_at, job.problem)
    };
    assert_eq!(seen(1), (JobState::Failed, Some(Timestamp(9)), Some("the server stopped".into())));
    assert_eq!(seen(2).0, JobState::Failed);
    assert_eq!(seen(3), (JobState::Succeeded, None, None));
}
