use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::folder::Backups;
use super::name::Origin;
use super::work::{DAILY, MAKE, busy, make};
use crate::base::{Clock, DAY_MS, JobId, Timestamp, limits};
use crate::jobs::{Jobs, Order};
use crate::settings::Live;
use crate::store::CopyOptions;

/// Milliseconds after a start before one that was missed is made up for: others have to do first.
const AFTER_START_MS: u64 = 10 * 60 * 1000;
/// Milliseconds from now behind which a time was told by a clock that was ahead.
pub(super) const AHEAD_MS: u64 = 60 * 60 * 1000;

/// Makes a copy each day at the time that `backup.daily_at` says (UTC). One that was missed, since the server did not
/// run, is made soon after its start; one that fails is tried again the next day, and its job says why. One that was
/// made while the clock was ahead stands for no day.
pub struct Schedule {
    backups: Arc<Backups>,
    jobs: Arc<Jobs>,
    live: Arc<Live>,
    clock: Arc<dyn Clock>,
    /// When it began; where the clock was set back behind that, then.
    started: Timestamp,
    /// When the last one was begun, also one that failed.
    tried: Option<Timestamp>,
    /// It has found another copy or a compaction at work: that was no try.
    was_busy: Arc<AtomicBool>,
}

impl Schedule {
    /// From now on.
    pub fn new(backups: Arc<Backups>, jobs: Arc<Jobs>, live: Arc<Live>, clock: Arc<dyn Clock>) -> Self {
        let started = clock.now();
        Self { backups, jobs, live, clock, started, tried: None, was_busy: Arc::default() }
    }

    /// Looks each minute whether one is due, until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        while stop
            .run_until_cancelled(tokio::time::sleep(Duration::from_secs(limits::SCHEDULES_LOOK_S)))
            .await
            .is_some()
        {
            self.look().await;
        }
    }

    /// Begins one where one is due; its job.
    pub(super) async fn look(&mut self) -> Option<JobId> {
        let settings = self.live.now();
        let daily_at_ms = settings.backup_daily_at_ms()?;
        let now = self.clock.now();
        self.started = self.started.min(now);
        if self.was_busy.swap(false, Ordering::SeqCst) {
            self.tried = None;
        }
        let files = self.backups.list().unwrap_or_default();
        let daily = files.iter().filter(|file| file.id.origin == Origin::Daily).map(|file| file.id.at);
        let newest = daily.chain(self.tried).filter(|at| *at <= now.plus_ms(AHEAD_MS)).max();
        if !is_due(now, self.started, newest, daily_at_ms) {
            return None;
        }
        self.tried = Some(now);
        let order = Order { kind: MAKE, target: DAILY.into(), actor: "schedule".into(), session: None };
        let (backups, keep, was_busy) = (Arc::clone(&self.backups), settings.backup_keep, Arc::clone(&self.was_busy));
        let work = async move |task| {
            let done = make(backups, Origin::Daily, now, CopyOptions::default(), keep, task).await;
            was_busy.store(done == Err(busy()), Ordering::SeqCst);
            done
        };
        match self.jobs.start(order, work).await {
            Ok(id) => Some(id),
            Err(error) => {
                tracing::error!(event = "backup_not_started", %error, "the daily backup was not made");
                None
            }
        }
    }
}

/// Whether the last time of day that has passed has no copy behind it.
fn is_due(now: Timestamp, started: Timestamp, newest: Option<Timestamp>, daily_at_ms: u64) -> bool {
    let into_day_ms = now.ms() % DAY_MS;
    let midnight_ms = now.ms() - into_day_ms;
    let last_ms =
        if into_day_ms >= daily_at_ms { midnight_ms } else { midnight_ms.saturating_sub(DAY_MS) } + daily_at_ms;
    match newest {
        Some(newest) if newest.ms() >= last_ms => false,
        // One that was missed waits a while; one whose time came since the start does not.
        Some(_) => last_ms >= started.ms() || now.ms_since(started) >= AFTER_START_MS,
        // A new server has nothing to lose yet.
        None => last_ms >= started.ms(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_due_once_a_day() {
        let at = |text: &str| Timestamp::parse_rfc3339(&format!("2026-11-{text}:00Z")).unwrap();
        let three = 3 * 60 * 60 * 1000;
        for (now, started, newest, expected) in [
            ("22T02:59", "20T12:00", Some("21T03:00"), false),
            ("22T03:00", "20T12:00", Some("21T03:00"), true),
            ("22T03:01", "20T12:00", Some("22T03:00"), false),
            ("22T12:00", "22T11:55", Some("21T03:00"), false),
            ("22T12:05", "22T11:55", Some("21T03:00"), true),
            ("22T12:05", "22T11:55", Some("22T03:00"), false),
            ("22T12:05", "22T11:55", None, false),
            ("23T03:00", "22T11:55", None, true),
            ("23T03:00", "22T11:55", Some("23T04:00"), false),
        ] {
            let due = is_due(at(now), at(started), newest.map(at), three);
            assert_eq!(due, expected, "{now} {started} {newest:?}");
        }
    }
}
