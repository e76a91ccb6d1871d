use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::Arc;

use super::*;
use crate::base::{Clock, MessageIds, Timestamp, TurnedClock};
use crate::job::{self, JobState};
use crate::jobs::tests::ended;
use crate::jobs::{Jobs, Order};
use crate::settings::Live;
use crate::store::{CheckPart, CheckProgress, CopyError, CopyOptions, CopyProgress, Findings, Options, Schema, Store};

static SCHEMA: Schema = Schema { version: 1, tables: job::TABLES, checks: &[], migrations: &[] };

struct Site {
    folder: tempfile::TempDir,
    store: Store,
    backups: Arc<Backups>,
    clock: Arc<TurnedClock>,
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap()
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("mail.redb");
        let clock = Arc::new(TurnedClock::new(at("2026-11-22T12:00:00Z")));
        let options = Options { disk_reserve_bytes: 0, clock: clock.clone(), ..Options::at(&data) };
        let store = Store::open(options, &SCHEMA).unwrap();
        let backups = Arc::new(Backups::beside(Some(&data), store.clone()));
        Self { folder, store, backups, clock }
    }

    fn make(&self, origin: Origin, time: &str) -> Result<File, BackupError> {
        self.backups.make(origin, at(time), CopyOptions::default(), &mut |_| ControlFlow::Continue(()))
    }

    fn ids(&self) -> Vec<String> {
        self.backups.list().unwrap().iter().map(|file| file.id.to_string()).collect()
    }

    fn jobs(&self) -> Arc<Jobs> {
        Jobs::new(self.store.clone(), self.clock.clone(), Arc::new(MessageIds::default()))
    }
}

fn verify(site: &Site, id: Id) -> Result<Option<Findings>, BackupError> {
    site.backups.verify(id, &mut |_| ControlFlow::Continue(()))
}

#[test]
fn copies_are_listed_kept_and_removed() {
    let site = Site::new();
    assert!(site.backups.list().unwrap().is_empty());
    for day in ["20", "21", "22"] {
        site.make(Origin::Daily, &format!("2026-11-{day}T03:00:00Z")).unwrap();
    }
    let manual = site.make(Origin::Manual, "2026-11-21T10:00:00Z").unwrap();
    let again = site.make(Origin::Manual, "2026-11-21T10:00:00.500Z").unwrap();
    assert_eq!(again.id.to_string(), "manual-20261121T100001Z", "the second of them in one second");
    site.backups.remove(again.id).unwrap();
    assert_eq!(
        site.ids(),
        ["daily-20261122T030000Z", "manual-20261121T100000Z", "daily-20261121T030000Z", "daily-20261120T030000Z"]
    );
    assert_eq!(site.backups.get(manual.id).unwrap(), manual);
    assert!(verify(&site, manual.id).unwrap().unwrap().lines().is_empty());
    let gone = site.backups.keep_daily(1, at("2026-11-22T03:00:05Z")).unwrap();
    assert_eq!(
        gone.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["daily-20261121T030000Z", "daily-20261120T030000Z"]
    );
    site.backups.remove(manual.id).unwrap();
    assert!(matches!(site.backups.remove(manual.id), Err(BackupError::NotThere(_))));
    assert!(matches!(verify(&site, manual.id), Err(BackupError::NotThere(_))));
    assert_eq!(site.ids(), ["daily-20261122T030000Z"]);
    let folder = site.folder.path().join("mail.backups");
    assert_eq!(fs::metadata(folder).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn what_is_no_copy_is_passed_by_and_what_a_crash_left_is_swept() {
    let site = Site::new();
    let kept = site.make(Origin::Daily, "2026-11-22T03:00:00Z").unwrap();
    let folder = site.folder.path().join("mail.backups");
    fs::write(folder.join("notes.txt"), "by hand").unwrap();
    fs::write(folder.join("daily-20261123T030000Z.redb.7-1.part"), "half").unwrap();
    fs::write(folder.join("lent-3"), "read by nobody any more").unwrap();
    symlink("/etc/passwd", folder.join("manual-20261123T030000Z.redb")).unwrap();
    assert_eq!(site.ids(), [kept.id.to_string()]);
    let linked = Id { at: at("2026-11-23T03:00:00Z"), origin: Origin::Manual };
    assert!(matches!(site.backups.remove(linked), Err(BackupError::NotThere(_))));
    site.backups.sweep();
    let mut left: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["daily-20261122T030000Z.redb", "manual-20261123T030000Z.redb", "notes.txt"]);
}

#[test]
fn damage_is_found() {
    let site = Site::new();
    let file = site.make(Origin::Manual, "2026-11-22T03:00:00Z").unwrap();
    let mut bytes = fs::read(&file.path).unwrap();
    bytes[..64].fill(0);
    fs::write(&file.path, bytes).unwrap();
    assert!(matches!(verify(&site, file.id), Err(BackupError::Open(_))));
}

#[test]
fn what_a_clock_has_named_that_was_ahead_is_not_the_newest() {
    let site = Site::new();
    let newest = || site.backups.standing(&site.store.view().unwrap(), site.clock.now()).unwrap().newest_at;
    site.make(Origin::Daily, "2036-01-01T03:00:00Z").unwrap();
    assert_eq!(newest(), None);
    site.make(Origin::Daily, "2026-11-22T03:00:00Z").unwrap();
    assert_eq!(newest(), Some(at("2026-11-22T03:00:00Z")));
}

#[test]
fn what_is_lent_is_gone_when_it_was_read() {
    let site = Site::new();
    let lend = || site.backups.lend(CopyOptions { compact: true }, &mut |_| ControlFlow::Continue(()));
    let lent = lend().unwrap();
    assert_eq!(lent.file.metadata().unwrap().len(), lent.file_bytes);
    assert_eq!(fs::read_dir(site.folder.path().join("mail.backups")).unwrap().count(), 0);
    assert!(matches!(lend(), Err(BackupError::Lending)));
    drop(lent);
    assert!(lend().is_ok());
    let in_memory = Store::open(Options::memory(site.clock.clone()), &SCHEMA).unwrap();
    let none = Backups::beside(None, in_memory);
    assert!(matches!(
        none.lend(CopyOptions::default(), &mut |_| ControlFlow::Continue(())),
        Err(BackupError::InMemory)
    ));
    assert!(none.list().unwrap().is_empty());
}

#[tokio::test]
async fn a_job_makes_one_and_can_be_cancelled() {
    let site = Site::new();
    let jobs = site.jobs();
    let order = || Order { kind: "backup", target: "daily".into(), actor: "schedule".into(), session: None };
    for time in ["2026-11-21T03:00:00Z", "2026-11-22T03:00:00Z"] {
        let backups = Arc::clone(&site.backups);
        let id =
            jobs.start(order(), move |task| make(backups, Origin::Daily, at(time), CopyOptions::default(), 1, task));
        assert_eq!(ended(&site.store, id.await.unwrap()).await.state, JobState::Succeeded);
    }
    assert_eq!(site.ids(), ["daily-20261122T030000Z"]);
    jobs.stop().await;
}

fn is_at_the_bodies(progress: CopyProgress) -> bool {
    matches!(progress, CopyProgress::Checking(CheckProgress { part: CheckPart::Bodies, .. }))
}

#[test]
fn progress_is_told_until_it_is_given_up() {
    let site = Site::new();
    let mut told = Vec::new();
    let given_up =
        site.backups.make(Origin::Manual, site.clock.now(), CopyOptions { compact: true }, &mut |progress| {
            told.push(progress);
            if is_at_the_bodies(progress) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
    assert!(matches!(given_up, Err(BackupError::Copy(CopyError::GivenUp))));
    assert!(matches!(told.first(), Some(CopyProgress::Copying { .. })), "{told:?}");
    assert!(told.iter().any(|told| matches!(told, CopyProgress::Compacting { .. })), "{told:?}");
    let parts: Vec<CheckPart> = told
        .iter()
        .filter_map(|progress| match progress {
            CopyProgress::Checking(CheckProgress { part, .. }) => Some(*part),
            _ => None,
        })
        .collect();
    assert!(parts.is_sorted_by_key(|part| *part as u8) && parts.contains(&CheckPart::Rows), "{parts:?}");
    assert_eq!(parts.iter().filter(|part| **part == CheckPart::Bodies).count(), 1, "{parts:?}");
    assert!(site.ids().is_empty());
}

#[tokio::test]
async fn the_schedule_makes_one_when_its_time_comes() {
    let site = Site::new();
    let jobs = site.jobs();
    let mut schedule = Schedule::new(site.backups.clone(), jobs.clone(), Arc::new(Live::default()), site.clock.clone());
    for (time, expected) in [
        ("2026-11-22T23:59:59Z", None),
        ("2026-11-23T03:00:30Z", Some("daily-20261123T030030Z")),
        ("2026-11-23T12:00:00Z", None),
        ("2026-11-24T03:00:00Z", Some("daily-20261124T030000Z")),
        ("2026-11-24T03:01:00Z", None),
    ] {
        site.clock.set(at(time));
        let begun = schedule.look().await;
        assert_eq!(begun.is_some(), expected.is_some(), "{time}");
        if let Some(id) = begun {
            assert_eq!(ended(&site.store, id).await.state, JobState::Succeeded);
            // The new one first; then the old one goes.
            assert_eq!(site.ids(), [expected.unwrap_or_default()]);
        }
    }
    jobs.stop().await;
}

#[tokio::test]
async fn a_clock_that_was_ahead_stops_no_later_copy() {
    let site = Site::new();
    let jobs = site.jobs();
    let live = Arc::new(Live::default());
    site.make(Origin::Daily, "2026-11-22T03:00:00Z").unwrap();
    let mut schedule = Schedule::new(site.backups.clone(), jobs.clone(), live, site.clock.clone());
    for (time, expected) in [
        ("2026-11-22T12:01:00Z", None),
        // Ten years ahead: one is made, and no second.
        ("2036-11-22T12:01:00Z", Some("daily-20361122T120100Z")),
        ("2036-11-22T12:02:00Z", None),
        // And back. The one of that day is gone: this is the first that counts.
        ("2026-11-22T12:03:00Z", None),
        ("2026-11-23T03:00:00Z", Some("daily-20261123T030000Z")),
        ("2026-11-23T03:01:00Z", None),
        ("2026-11-24T03:00:00Z", Some("daily-20261124T030000Z")),
        // A few seconds back are no other day.
        ("2026-11-24T02:59:58Z", None),
        ("2026-11-24T03:00:01Z", None),
        // Behind the start, and for good.
        ("2016-11-22T12:00:00Z", None),
        ("2016-11-23T03:00:00Z", Some("daily-20161123T030000Z")),
        ("2016-11-23T03:01:00Z", None),
        ("2016-11-24T03:00:00Z", Some("daily-20161124T030000Z")),
    ] {
        site.clock.set(at(time));
        let begun = schedule.look().await;
        assert_eq!(begun.is_some(), expected.is_some(), "{time}");
        if let Some(id) = begun {
            assert_eq!(ended(&site.store, id).await.state, JobState::Succeeded);
            assert_eq!(site.ids(), [expected.unwrap_or_default()], "the new one stays");
        }
    }
    jobs.stop().await;
}

#[test]
fn a_copy_of_the_future_goes_before_all_others() {
    let site = Site::new();
    for time in ["2036-11-22T03:00:00Z", "2036-11-23T03:00:00Z", "2026-11-21T03:00:00Z", "2026-11-22T03:00:00Z"] {
        site.make(Origin::Daily, time).unwrap();
    }
    let keep = |keep| {
        let gone = site.backups.keep_daily(keep, at("2026-11-22T12:00:00Z")).unwrap();
        gone.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(keep(4), [""; 0]);
    assert_eq!(keep(3), ["daily-20361122T030000Z"]);
    assert_eq!(keep(1), ["daily-20261121T030000Z", "daily-20361123T030000Z"]);
}

#[tokio::test]
async fn another_copy_does_not_cost_the_daily_one() {
    let site = Site::new();
    let jobs = site.jobs();
    let mut schedule = Schedule::new(site.backups.clone(), jobs.clone(), Arc::new(Live::default()), site.clock.clone());
    let (begin, begun) = tokio::sync::oneshot::channel();
    let (end, wait) = std::sync::mpsc::channel::<()>();
    let backups = site.backups.clone();
    let another = tokio::task::spawn_blocking(move || {
        let mut begin = Some(begin);
        backups.make(Origin::Manual, at("2026-11-23T02:59:00Z"), CopyOptions::default(), &mut |_| {
            if let Some(begin) = begin.take() {
                let _ = begin.send(());
                let _ = wait.recv();
            }
            ControlFlow::Continue(())
        })
    });
    begun.await.unwrap();
    for minute in ["03:00", "03:01"] {
        site.clock.set(at(&format!("2026-11-23T{minute}:00Z")));
        let tried = schedule.look().await.expect("it is time");
        let job = ended(&site.store, tried).await;
        assert!(
            job.problem.is_some_and(|problem| problem.contains("another copy of the file is being made")),
            "{minute}"
        );
    }
    drop(end);
    another.await.unwrap().unwrap();
    for (minute, is_due) in [("03:02", true), ("03:03", false)] {
        site.clock.set(at(&format!("2026-11-23T{minute}:00Z")));
        let begun = schedule.look().await;
        assert_eq!(begun.is_some(), is_due, "{minute}");
        if let Some(id) = begun {
            assert_eq!(ended(&site.store, id).await.state, JobState::Succeeded);
        }
    }
    assert_eq!(site.ids(), ["daily-20261123T030200Z", "manual-20261123T025900Z"]);
    jobs.stop().await;
}
