//! When a commit also records which pages are free, so that a crash after it needs no repair that reads the whole file.

use std::time::{Duration, Instant};

/// Octets of a file up to which a repair is so short that the record isn't worth a second sync.
const SHORT_REPAIR_BYTES: u64 = 256 * 1024 * 1024;
/// Octets that the record adds to a commit for each GiB of the file, as measured.
const RECORD_BYTES_PER_GIB: u64 = 130 * 1024;
/// The part of a batch's octets that the record may add.
const RECORD_PART: u64 = 10;
/// Octets of such records per second.
const BUDGET_BYTES_PER_S: u64 = 16 * 1024 * 1024;
/// Octets of records per second while the load is light: 31 commits a second with a file of 10 GiB.
const LIGHT_BYTES_PER_S: f64 = 40.0 * 1024.0 * 1024.0;
/// Octets of one record that a lone change waits for: those of a file of 30 GiB.
const LIGHT_RECORD_BYTES: u64 = 4 * 1024 * 1024;
/// The part of the time up to which commits are a light load. A client that sends its next message as soon as the last
/// one is taken keeps the writer busier than that, and should not wait for second syncs.
const LIGHT_PART: f64 = 0.5;
/// What "lately" means for the load.
const LATELY_S: f64 = 2.0;

/// Decides for each commit whether it records the free pages. One that does is a two-phase commit (two syncs) and
/// rewrites the record, whose size grows with the file.
#[derive(Debug)]
pub(super) struct QuickRepair {
    load: Load,
    budget_bytes: u64,
    last_wanted: Instant,
}

impl QuickRepair {
    pub(super) fn new(now: Instant) -> Self {
        let load = Load { commits_per_s: 0.0, busy: 0.0, at: now };
        Self { load, budget_bytes: BUDGET_BYTES_PER_S, last_wanted: now }
    }

    /// Whether the commit of a batch of `batch_bytes` is to record them. While the load is light each is; a burst of
    /// small ones does without, since recording some of them would make none of the others safe; what dwarfs the
    /// record pays for it in any case.
    pub(super) fn wanted(&mut self, file_bytes: u64, batch_bytes: u64, now: Instant) -> bool {
        let since = now.saturating_duration_since(std::mem::replace(&mut self.last_wanted, now));
        let earned = u64::try_from(u128::from(BUDGET_BYTES_PER_S) * since.as_millis() / 1000).unwrap_or(u64::MAX);
        self.budget_bytes = self.budget_bytes.saturating_add(earned).min(BUDGET_BYTES_PER_S);
        let record_bytes = file_bytes.saturating_mul(RECORD_BYTES_PER_GIB) >> 30;
        let is_dwarfed = record_bytes <= batch_bytes / RECORD_PART && record_bytes <= self.budget_bytes;
        let is_wanted = file_bytes > SHORT_REPAIR_BYTES && (is_dwarfed || self.load.is_light(record_bytes, now));
        if is_wanted {
            self.budget_bytes = self.budget_bytes.saturating_sub(record_bytes);
        }
        is_wanted
    }

    /// A commit was made, with all that it took.
    pub(super) fn committed(&mut self, began: Instant, ended: Instant) {
        self.load.note(began, ended);
    }
}

/// How often commits were made lately, and the part of the time that they took; what is longer ago counts for less.
#[derive(Debug)]
struct Load {
    commits_per_s: f64,
    busy: f64,
    at: Instant,
}

impl Load {
    fn is_light(&self, record_bytes: u64, now: Instant) -> bool {
        let faded = faded(now.saturating_duration_since(self.at));
        let bytes_per_s = record_bytes as f64 * self.commits_per_s * faded;
        record_bytes <= LIGHT_RECORD_BYTES && bytes_per_s <= LIGHT_BYTES_PER_S && self.busy * faded <= LIGHT_PART
    }

    fn note(&mut self, began: Instant, ended: Instant) {
        let faded_since = faded(ended.saturating_duration_since(self.at));
        self.commits_per_s = self.commits_per_s * faded_since + 1.0 / LATELY_S;
        self.busy = self.busy * faded_since + 1.0 - faded(ended.saturating_duration_since(began));
        self.at = ended;
    }
}

/// What is left of the weight of something after so long.
fn faded(after: Duration) -> f64 {
    (-after.as_secs_f64() / LATELY_S).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;
    const GIB: u64 = 1024 * MIB;

    /// Commits of 64 KiB at this pace for 20 seconds, each of `took`: of those of the last ten, the part that is recorded.
    fn recorded_part(file_bytes: u64, per_s: u32, took: Duration) -> f64 {
        let start = Instant::now();
        let mut repair = QuickRepair::new(start);
        let commits = 20 * per_s;
        let recorded = (0..commits).filter(|number| {
            let began = start + Duration::from_secs(1) * *number / per_s;
            let recorded = repair.wanted(file_bytes, 64 * 1024, began);
            repair.committed(began, began + took);
            recorded && *number >= commits / 2
        });
        recorded.count() as f64 / f64::from(commits / 2)
    }

    #[test]
    fn under_a_light_load_every_commit_is_recorded_and_in_a_burst_none() {
        let check = |file_gib: u64, per_s, took_ms, expected: f64| {
            let part = recorded_part(file_gib * GIB, per_s, Duration::from_millis(took_ms));
            assert_eq!(part, expected, "{file_gib} GiB, {per_s} a second, each {took_ms} ms");
        };
        check(1, 1, 10, 1.0);
        check(10, 1, 100, 1.0);
        check(10, 20, 5, 1.0);
        check(10, 20, 20, 1.0);
        check(10, 20, 45, 0.0);
        check(10, 50, 1, 0.0);
        check(1, 200, 1, 1.0);
        check(1, 200, 4, 0.0);
        check(50, 1, 10, 0.0);
        // A repair of what is that small takes no second.
        assert_eq!(recorded_part(200 * MIB, 1, Duration::ZERO), 0.0);
    }

    /// A batch in the middle of a burst.
    fn in_a_burst(file_bytes: u64, batch_bytes: u64, expected: bool) {
        let start = Instant::now();
        let mut repair = QuickRepair::new(start);
        let began = start + Duration::from_secs(10);
        repair.committed(start, began);
        assert_eq!(repair.wanted(file_bytes, batch_bytes, began), expected, "{file_bytes}, batch of {batch_bytes}");
    }

    #[test]
    fn only_a_batch_that_dwarfs_the_record_pays_for_it_in_a_burst() {
        in_a_burst(MIB, 16 * MIB, false);
        in_a_burst(GIB, 4096, false);
        in_a_burst(GIB, MIB, false);
        in_a_burst(GIB, 2 * MIB, true);
        in_a_burst(50 * GIB, 16 * MIB, false);
    }

    #[test]
    fn records_in_a_burst_stay_inside_their_budget_per_second() {
        let start = Instant::now();
        let mut repair = QuickRepair::new(start);
        let mut taken = |now| {
            repair.committed(start, now + Duration::from_secs(60));
            (0..200).filter(|_| repair.wanted(4 * GIB, 8 * MIB, now)).count()
        };
        // 520 KiB each: a second's budget pays for 31 at once, and the next only with time.
        assert_eq!(taken(start), 31);
        assert_eq!(taken(start), 0);
        assert_eq!(taken(start + Duration::from_millis(500)), 16);
    }
}
