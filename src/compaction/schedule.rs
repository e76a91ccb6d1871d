use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::work::{KIND, busy, compact};
use crate::base::{Clock, DAY_MS, JobId, Timestamp, limits};
use crate::jobs::{Jobs, Order};
use crate::settings::Live;
use crate::store::{Health, Store};

/// Milliseconds of the hours that begin at `maintenance.compact_at`.
const HOURS_MS: u64 = 3 * 60 * 60 * 1000;
/// Octets that a quiet server writes to the file in a minute, at most.
const QUIET_BYTES: u64 = 16 * 1024 * 1024;

/// Compacts the file by itself, once in the hours that begin at `maintenance.compact_at` (UTC), when the server is quiet
/// and more than half of a large file is free. While a copy is being made, it looks again each minute.
pub struct Schedule {
    store: Store,
    jobs: Arc<Jobs>,
    live: Arc<Live>,
    clock: Arc<dyn Clock>,
    /// Octets of a file that is worth it.
    pub(super) least_bytes: u64,
    /// What was written when it was last looked.
    written_bytes: u64,
    /// When the last one was begun, also one that failed.
    tried: Option<Timestamp>,
    /// It has found that a copy was being made: that was no try.
    was_busy: Arc<AtomicBool>,
}

impl Schedule {
    /// From now on.
    pub fn new(store: Store, jobs: Arc<Jobs>, live: Arc<Live>, clock: Arc<dyn Clock>) -> Self {
        let least_bytes = limits::COMPACTED_FILE_BYTES;
        Self { store, jobs, live, clock, least_bytes, written_bytes: 0, tried: None, was_busy: Arc::default() }
    }

    /// Looks each minute whether there is something to do, until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        while stop
            .run_until_cancelled(tokio::time::sleep(Duration::from_secs(limits::SCHEDULES_LOOK_S)))
            .await
            .is_some()
        {
            self.look().await;
        }
    }

    /// Begins a compaction where one is due; its job.
    pub(super) async fn look(&mut self) -> Option<JobId> {
        let health = self.store.health();
        let written_bytes = health.written_bytes - std::mem::replace(&mut self.written_bytes, health.written_bytes);
        let at_ms = self.live.now().maintenance_compact_at_ms()?;
        let now = self.clock.now();
        if self.was_busy.swap(false, Ordering::SeqCst) {
            self.tried = None;
        }
        let is_wanted = written_bytes <= QUIET_BYTES && is_worth_it(&health, self.least_bytes);
        if !is_wanted || !is_due(now, self.tried, at_ms) {
            return None;
        }
        self.tried = Some(now);
        let order = Order { kind: KIND, target: "file".into(), actor: "schedule".into(), session: None };
        let (store, was_busy) = (self.store.clone(), Arc::clone(&self.was_busy));
        let work = async move |task| {
            let done = compact(store, task).await;
            was_busy.store(done == Err(busy()), Ordering::SeqCst);
            done
        };
        match self.jobs.start(order, work).await {
            Ok(id) => Some(id),
            Err(error) => {
                tracing::error!(event = "compaction_not_started", %error, "the file was not compacted");
                None
            }
        }
    }
}

/// Whether more than half of a large file is free. Where that is not known, it is known after one compaction.
fn is_worth_it(health: &Health, least_bytes: u64) -> bool {
    let free_bytes = health.free_bytes.unwrap_or(health.used_bytes);
    health.used_bytes > least_bytes && free_bytes > health.used_bytes / 2
}

/// Whether its hours have begun, and nothing was tried in them yet.
fn is_due(now: Timestamp, tried: Option<Timestamp>, at_ms: u64) -> bool {
    let into_ms = (now.ms() + DAY_MS - at_ms) % DAY_MS;
    // One of the future was begun while the clock was wrong.
    into_ms < HOURS_MS && tried.is_none_or(|tried| tried > now || now.ms_since(tried) > into_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_due_once_in_its_hours() {
        let at = |text: &str| Timestamp::parse_rfc3339(&format!("2026-11-{text}:00Z")).unwrap();
        let hour = 60 * 60 * 1000;
        for (now, tried, at_hour, expected) in [
            ("22T03:59", None, 4, false),
            ("22T04:00", None, 4, true),
            ("22T06:59", None, 4, true),
            ("22T07:00", None, 4, false),
            ("22T05:00", Some("22T04:00"), 4, false),
            ("23T04:00", Some("22T04:00"), 4, true),
            ("22T05:00", Some("25T04:00"), 4, true),
            ("23T00:30", None, 23, true),
            ("23T00:30", Some("22T23:10"), 23, false),
            ("23T23:00", Some("22T23:10"), 23, true),
        ] {
            assert_eq!(is_due(at(now), tried.map(at), at_hour * hour), expected, "{now} {tried:?} {at_hour}");
        }
    }
}
