use std::convert::Infallible;
use std::ops::ControlFlow;
use std::sync::{Arc, mpsc};

use super::{Schedule, compact};
use crate::base::{BlobId, MessageIds, Random, SeededRandom, Timestamp, TurnedClock};
use crate::job::{self, JobState};
use crate::jobs::tests::ended;
use crate::jobs::{Jobs, Order};
use crate::settings::Live;
use crate::store::{CopyOptions, Halt, Op, Options, Schema, Store, StoreError, Tx};

static SCHEMA: Schema = Schema { version: 1, tables: job::TABLES, checks: &[], migrations: &[] };

/// Puts so many bodies into the file, or takes those away again.
struct Bodies {
    count: u64,
    are_put: bool,
}

impl Op for Bodies {
    type Plan = ();
    type Out = ();
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "bodies"
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<Infallible>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        for number in 1..=self.count {
            if self.are_put {
                let mut noise = vec![0; 3000];
                SeededRandom::new(number).fill(&mut noise);
                tx.put_small_blob(&noise, 1)?;
            } else {
                tx.release_blob(BlobId(number))?;
            }
        }
        Ok(())
    }
}

struct Site {
    folder: tempfile::TempDir,
    store: Store,
    clock: Arc<TurnedClock>,
    jobs: Arc<Jobs>,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options =
            Options { disk_reserve_bytes: 0, disk_ballast_bytes: 0, ..Options::at(&folder.path().join("mail.redb")) };
        let store = Store::open(options, &SCHEMA).unwrap();
        let clock = Arc::new(TurnedClock::new(at("2026-11-22T03:00:00Z")));
        let jobs = Jobs::new(store.clone(), clock.clone(), Arc::new(MessageIds::default()));
        Self { folder, store, clock, jobs }
    }

    fn write(&self, count: u64, are_put: bool) {
        self.store.write_blocking(Bodies { count, are_put }).unwrap().into_inner();
    }
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap()
}

#[tokio::test]
async fn a_job_compacts_the_file_and_says_what_it_gave_back() {
    let site = Site::new();
    site.write(2000, true);
    site.write(2000, false);
    let order = Order { kind: super::KIND, target: "file".into(), actor: "test".into(), session: None };
    let store = site.store.clone();
    let job = ended(&site.store, site.jobs.start(order, move |task| compact(store, task)).await.unwrap()).await;
    assert_eq!(job.state, JobState::Succeeded, "{job:?}");
    let result: serde_json::Value = serde_json::from_str(&job.result.unwrap()).unwrap();
    let bytes = |name: &str| result[name].as_u64().unwrap();
    assert!(bytes("after_bytes") * 2 < bytes("before_bytes"), "{result}");
    assert!(result["pause_ms"].as_f64().unwrap() > 0.0);
    site.jobs.stop().await;
}

#[tokio::test]
async fn a_file_that_is_mostly_free_is_compacted_at_the_quiet_hour() {
    let site = Site::new();
    let live = Arc::new(Live::default());
    let mut schedule = Schedule::new(site.store.clone(), Arc::clone(&site.jobs), live, site.clock.clone());
    schedule.least_bytes = 1024 * 1024;
    let mut looks = async |time: &str| {
        site.clock.set(at(time));
        // The first look is behind what was written.
        schedule.look().await;
        schedule.look().await
    };
    site.write(2000, true);
    assert_eq!(looks("2026-11-22T04:00:00Z").await, None, "it is full");
    site.write(2000, false);
    assert_eq!(looks("2026-11-22T03:59:00Z").await, None, "it is not yet time");
    // What the first look begins, the second does not begin again.
    site.clock.set(at("2026-11-22T05:00:00Z"));
    let begun = schedule.look().await.expect("it is time, and little was written");
    assert_eq!(ended(&site.store, begun).await.state, JobState::Succeeded);
    site.clock.set(at("2026-11-23T04:00:00Z"));
    assert_eq!(schedule.look().await, None, "nothing is free");
    site.jobs.stop().await;
}

#[tokio::test]
async fn a_copy_that_is_being_made_does_not_cost_the_day() {
    let site = Site::new();
    let mut schedule =
        Schedule::new(site.store.clone(), Arc::clone(&site.jobs), Arc::new(Live::default()), site.clock.clone());
    schedule.least_bytes = 1024 * 1024;
    site.write(2000, true);
    site.write(2000, false);
    site.clock.set(at("2026-11-22T03:59:00Z"));
    assert_eq!(schedule.look().await, None, "it is not yet time");
    let (begin, begun) = tokio::sync::oneshot::channel();
    let (end, wait) = mpsc::channel::<()>();
    let (store, path) = (site.store.clone(), site.folder.path().join("copy"));
    let copying = tokio::task::spawn_blocking(move || {
        let mut begin = Some(begin);
        store.copy_to(&path, CopyOptions::default(), &mut |_| {
            if let Some(begin) = begin.take() {
                let _ = begin.send(());
                let _ = wait.recv();
            }
            ControlFlow::Continue(())
        })
    });
    begun.await.unwrap();
    for minute in ["04:00", "04:01"] {
        site.clock.set(at(&format!("2026-11-22T{minute}:00Z")));
        let tried = schedule.look().await.expect("it is time");
        let job = ended(&site.store, tried).await;
        assert!(job.problem.is_some_and(|problem| problem.contains("a copy of it is being made")), "{minute}");
    }
    drop(end);
    copying.await.unwrap().unwrap();
    site.clock.set(at("2026-11-22T04:02:00Z"));
    let done = schedule.look().await.expect("nothing is in its way any more");
    assert_eq!(ended(&site.store, done).await.state, JobState::Succeeded);
    site.jobs.stop().await;
}
