//! When a commit also records which pages are free, so that a crash after it needs no repair that reads the whole file.

use std::time::Duration;

/// Octets of a file up to which a repair is so short that the record isn't worth a second sync.
const SHORT_REPAIR_BYTES: u64 = 256 * 1024 * 1024;
/// Octets that the record adds to a commit for each GiB of the file, as measured.
const RECORD_BYTES_PER_GIB: u64 = 130 * 1024;
/// The part of a batch's octets that the record may add.
const RECORD_PART: u64 = 10;
/// Octets of records per second.
const BUDGET_BYTES_PER_S: u64 = 16 * 1024 * 1024;

/// Decides for each commit whether it records the free pages. One that does is a two-phase commit (two syncs) and
/// rewrites the record, whose size grows with the file.
#[derive(Debug)]
pub(super) struct QuickRepair {
    budget_bytes: u64,
    recorded: bool,
}

impl QuickRepair {
    pub(super) fn new() -> Self {
        Self { budget_bytes: BUDGET_BYTES_PER_S, recorded: true }
    }

    /// Whether the commit of a batch of `batch_bytes`, `since` after the last one, is to record them.
    pub(super) fn wanted(&mut self, file_bytes: u64, batch_bytes: u64, since: Duration) -> bool {
        let earned = u128::from(BUDGET_BYTES_PER_S) * since.as_millis() / 1000;
        let earned = u64::try_from(earned).unwrap_or(u64::MAX);
        self.budget_bytes = self.budget_bytes.saturating_add(earned).min(BUDGET_BYTES_PER_S);
        let cost_bytes = file_bytes.saturating_mul(RECORD_BYTES_PER_GIB) >> 30;
        self.recorded = file_bytes > SHORT_REPAIR_BYTES
            && cost_bytes <= batch_bytes / RECORD_PART
            && cost_bytes <= self.budget_bytes;
        if self.recorded {
            self.budget_bytes -= cost_bytes;
        }
        self.recorded
    }

    /// Whether the last commit did not record them: an idle writer then makes one that does.
    pub(super) fn due(&self) -> bool {
        !self.recorded
    }

    /// The idle writer made it.
    pub(super) fn done(&mut self) {
        self.recorded = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    fn check(file_mib: u64, batch_bytes: u64, expected: bool) {
        let mut repair = QuickRepair::new();
        let wanted = repair.wanted(file_mib * MIB, batch_bytes, Duration::ZERO);
        assert_eq!(wanted, expected, "{file_mib} MiB, batch of {batch_bytes}");
        assert_eq!(repair.due(), !expected);
    }

    #[test]
    fn only_a_batch_that_dwarfs_the_record_pays_for_it() {
        check(1, 16 * MIB, false);
        check(1024, 4096, false);
        check(1024, MIB, false);
        check(1024, 2 * MIB, true);
        check(50 * 1024, 16 * MIB, false);
    }

    #[test]
    fn records_stay_inside_their_budget_per_second() {
        let mut repair = QuickRepair::new();
        let mut taken = |since| (0..200).filter(|_| repair.wanted(4096 * MIB, 8 * MIB, since)).count();
        // 520 KiB each: a second's budget pays for 31 at once, and the next only with time.
        assert_eq!(taken(Duration::ZERO), 31);
        assert_eq!(taken(Duration::from_secs(1)), 200);
    }
}
