use crate::base::Uid;

/// UIDs between two runs up to which both are read in one go: passing a row over costs less than finding another.
const NEAR: u32 = 64;

/// UIDs, in any order, as runs of first and last.
pub fn runs(uids: impl IntoIterator<Item = Uid>) -> Vec<(Uid, Uid)> {
    join(uids.into_iter().map(|uid| (uid, uid)).collect(), 1)
}

/// Some UIDs, for finding out which of a mailbox's messages are among them.
#[derive(Debug, Clone)]
pub(super) struct Runs(Vec<(Uid, Uid)>);

impl Runs {
    /// Runs in any order; one whose last is below its first is empty.
    pub(super) fn new(runs: &[(Uid, Uid)]) -> Self {
        Self(join(runs.iter().copied().filter(|(first, last)| first <= last).collect(), 1))
    }

    /// Whether the UID is among them.
    pub(super) fn has(&self, uid: Uid) -> bool {
        let behind = self.0.partition_point(|(first, _)| *first <= uid);
        behind.checked_sub(1).and_then(|at| self.0.get(at)).is_some_and(|(_, last)| *last >= uid)
    }

    /// Those of them that are below `end`.
    pub(super) fn below(mut self, end: Uid) -> Self {
        let last = Uid(end.0.saturating_sub(1));
        self.0.retain(|run| run.0 <= last);
        self.0.iter_mut().for_each(|run| run.1 = run.1.min(last));
        self
    }

    /// Those of them from `begin` on.
    pub(super) fn from(&self, begin: Uid) -> Vec<(Uid, Uid)> {
        from(&self.0, begin)
    }

    /// What to read to see them all: few spans, with UIDs in them that are not among them.
    pub(super) fn spans(&self) -> Vec<(Uid, Uid)> {
        join(self.0.clone(), NEAR)
    }
}

/// What an op on these messages adds to the file, roughly, at `each` octets a message. How many there are is not known
/// here: a run is no longer than a mailbox is.
pub(super) fn weight_bytes(runs: &[(Uid, Uid)], each: usize) -> usize {
    const RUN_MAX: u32 = 10_000;
    let count = |(first, last): &(Uid, Uid)| last.0.saturating_sub(first.0).saturating_add(1).min(RUN_MAX) as usize;
    runs.iter().map(count).fold(256usize, |sum, count| sum.saturating_add(each.saturating_mul(count)))
}

/// What is left of some runs from a UID on.
pub(super) fn from(runs: &[(Uid, Uid)], begin: Uid) -> Vec<(Uid, Uid)> {
    let left = runs.iter().filter(|(first, last)| first <= last && *last >= begin);
    left.map(|(first, last)| ((*first).max(begin), *last)).collect()
}

/// Appends a UID that is above all others.
pub(super) fn push(runs: &mut Vec<(Uid, Uid)>, uid: Uid) {
    match runs.last_mut() {
        Some((_, last)) if last.0.checked_add(1) == Some(uid.0) => *last = uid,
        _ => runs.push((uid, uid)),
    }
}

/// Sorts runs and joins those whose distance is no larger than `gap`.
pub(super) fn join(mut runs: Vec<(Uid, Uid)>, gap: u32) -> Vec<(Uid, Uid)> {
    runs.sort_unstable();
    runs.dedup_by(|next, run| {
        let is_near = next.0.0 <= run.1.0.saturating_add(gap);
        if is_near {
            run.1 = run.1.max(next.1);
        }
        is_near
    });
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(uids: &[u32], expected: &[(u32, u32)]) {
        let expected: Vec<_> = expected.iter().map(|(a, b)| (Uid(*a), Uid(*b))).collect();
        assert_eq!(runs(uids.iter().copied().map(Uid)), expected, "{uids:?}");
        let mut sorted = uids.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let mut pushed = Vec::new();
        sorted.iter().for_each(|uid| push(&mut pushed, Uid(*uid)));
        assert_eq!(pushed, expected, "{uids:?}");
        let runs = Runs::new(&expected);
        for uid in 0..12 {
            assert_eq!(runs.has(Uid(uid)), uids.contains(&uid), "{uid} in {uids:?}");
        }
    }

    #[test]
    fn uids_are_kept_as_runs() {
        check(&[], &[]);
        check(&[7], &[(7, 7)]);
        check(&[3, 1, 2, 9, 5, 4, 3], &[(1, 5), (9, 9)]);
        check(&[u32::MAX, u32::MAX - 1], &[(u32::MAX - 1, u32::MAX)]);
    }

    #[test]
    fn what_is_left_begins_inside_a_run() {
        let runs = [(Uid(1), Uid(5)), (Uid(9), Uid(12)), (Uid(7), Uid(6))];
        assert_eq!(from(&runs, Uid(4)), [(Uid(4), Uid(5)), (Uid(9), Uid(12))]);
        assert_eq!(from(&runs, Uid(6)), [(Uid(9), Uid(12))]);
        assert_eq!(from(&runs, Uid(13)), []);
    }

    #[test]
    fn what_is_near_is_read_together() {
        let runs = Runs::new(&[(Uid(9), Uid(12)), (Uid(3), Uid(20)), (Uid(80), Uid(81)), (Uid(500), Uid(400))]);
        assert_eq!(runs.0, [(Uid(3), Uid(20)), (Uid(80), Uid(81))]);
        assert_eq!(runs.spans(), [(Uid(3), Uid(81))]);
        assert_eq!(Runs::new(&[(Uid(1), Uid(1)), (Uid(66), Uid(66))]).spans().len(), 2);
    }
}
