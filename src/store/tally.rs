use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::ops::Bound;

/// Counts how often each of very many keys is named, with memory for so many of them only: whoever counts goes through all
/// of them again for the next share of the keys, in the keys' order, until none is left. Few keys need one pass.
#[derive(Debug)]
pub struct Tally<K> {
    limit: usize,
    start: Bound<K>,
    end: Bound<K>,
    counts: HashMap<K, u32>,
}

impl<K: Copy + Ord + Hash> Tally<K> {
    /// For the first pass. Holds `limit` keys at a time; at least two.
    pub fn new(limit: usize) -> Self {
        Self { limit: limit.max(2), start: Bound::Unbounded, end: Bound::Unbounded, counts: HashMap::new() }
    }

    /// Counts a key that is named once more. One that is not among those of this pass is passed over.
    pub fn count(&mut self, key: K) {
        let is_before = matches!(self.start, Bound::Included(start) if key < start);
        if is_before || self.is_behind(key) {
            return;
        }
        let length = self.counts.len();
        match self.counts.entry(key) {
            Entry::Occupied(mut count) => *count.get_mut() += 1,
            Entry::Vacant(place) if length < self.limit => drop(place.insert(1)),
            Entry::Vacant(_) => {
                self.leave_half();
                self.count(key);
            }
        }
    }

    /// The keys of this pass, for a span of a table.
    pub fn range(&self) -> (Bound<K>, Bound<K>) {
        (self.start, self.end)
    }

    /// How often a key of this pass was named.
    pub fn get(&self, key: &K) -> u32 {
        self.counts.get(key).copied().unwrap_or(0)
    }

    /// The same, and forgets it.
    pub fn take(&mut self, key: &K) -> u32 {
        self.counts.remove(key).unwrap_or(0)
    }

    /// The keys of this pass that were named so often at least, and not taken: in their order, with how often.
    pub fn named(&self, least: u32) -> Vec<(K, u32)> {
        let often = self.counts.iter().filter(|(_, count)| **count >= least);
        let mut named: Vec<_> = often.map(|(key, count)| (*key, *count)).collect();
        named.sort_unstable_by_key(|(key, _)| *key);
        named
    }

    /// Begins the pass for the next share of the keys, for which all are to be counted again; `false` when all were
    /// counted.
    pub fn begin_next(&mut self) -> bool {
        let Bound::Excluded(end) = self.end else { return false };
        (self.start, self.end) = (Bound::Included(end), Bound::Unbounded);
        self.counts.clear();
        true
    }

    fn is_behind(&self, key: K) -> bool {
        matches!(self.end, Bound::Excluded(end) if key >= end)
    }

    /// Leaves the upper half to the next pass.
    fn leave_half(&mut self) {
        let mut keys: Vec<K> = self.counts.keys().copied().collect();
        let middle = keys.len() / 2;
        let (_, middle, _) = keys.select_nth_unstable(middle);
        let middle = *middle;
        self.counts.retain(|key, _| *key < middle);
        self.end = Bound::Excluded(middle);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::ops::RangeBounds;

    use super::*;
    use crate::base::{Random, SeededRandom};

    /// All passes come to the same as one that holds all keys, and none holds more than it may: how many it were.
    fn check(keys: &[u64], limit: usize) -> usize {
        let mut expected: BTreeMap<u64, u32> = BTreeMap::new();
        keys.iter().for_each(|key| *expected.entry(*key).or_default() += 1);
        let (mut tally, mut seen, mut passes) = (Tally::new(limit), Vec::new(), 0);
        let mut capacity = 0;
        loop {
            passes += 1;
            for key in keys {
                tally.count(*key);
                assert!(tally.counts.len() <= limit, "{} keys at a time", tally.counts.len());
                capacity = capacity.max(tally.counts.capacity());
            }
            let there = tally.named(1);
            assert!(there.iter().all(|(key, count)| tally.range().contains(key) && tally.get(key) == *count));
            seen.extend(there);
            if !tally.begin_next() {
                break;
            }
        }
        assert!(capacity <= 2 * limit.max(4), "room for {capacity} keys, and {limit} are allowed");
        assert_eq!(seen, expected.into_iter().collect::<Vec<_>>());
        passes
    }

    #[test]
    fn what_is_counted_in_passes_is_what_is_counted_at_once() {
        assert_eq!(check(&[], 2), 1);
        assert_eq!(check(&[7, 7, 7], 2), 1);
        assert_eq!(check(&[1, 2, 3, 2], 3), 1);
        assert_eq!(check(&[0, u64::MAX, 5], 2), 2);
        let random = SeededRandom::new(3);
        let many: Vec<u64> = (0..20_000).map(|_| random.next_u64() % 10_000).collect();
        assert_eq!(check(&many, 10_000), 1);
        assert!((9..=20).contains(&check(&many, 1000)));
        let mut sorted = many.clone();
        sorted.sort_unstable();
        assert!((9..=20).contains(&check(&sorted, 1000)));
        sorted.reverse();
        assert!((9..=20).contains(&check(&sorted, 1000)));
    }

    #[test]
    fn what_was_taken_is_not_left() {
        let mut tally = Tally::new(10);
        [3, 1, 3, 7, 7].into_iter().for_each(|key| tally.count(key));
        assert_eq!(tally.named(2), [(3, 2), (7, 2)]);
        assert_eq!((tally.take(&3), tally.take(&3), tally.take(&7), tally.get(&1)), (2, 0, 2, 1));
        assert_eq!(tally.named(1), [(1, 1)]);
    }
}
