use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// The newest of what came, numbered from 1 on, for readers that follow it. Who writes never waits for who reads: the
/// oldest make room, and a reader that was too slow is told of the gap.
pub struct Ring<T> {
    state: Mutex<State<T>>,
    newest: watch::Sender<u64>,
    entries_max: usize,
    bytes_max: usize,
}

struct State<T> {
    entries: VecDeque<Entry<T>>,
    /// The number of the first that is kept; with none, that of the next.
    first: u64,
    bytes: usize,
}

struct Entry<T> {
    value: Arc<T>,
    bytes: usize,
}

/// What came behind a number.
#[derive(Debug)]
pub enum Since<T> {
    /// These, the oldest first; empty when nothing did.
    Entries(Vec<(u64, Arc<T>)>),
    /// Some of it is not kept any more, or the number was never given.
    Gap {
        /// The newest number.
        newest: u64,
    },
}

impl<T> Ring<T> {
    /// An empty ring of at most so many entries and octets, as the writers weigh them.
    pub fn new(entries_max: usize, bytes_max: usize) -> Self {
        let state = State { entries: VecDeque::new(), first: 1, bytes: 0 };
        Self { state: Mutex::new(state), newest: watch::Sender::new(0), entries_max, bytes_max }
    }

    /// Adds one, and gives its number. An entry that is larger than the ring is kept alone.
    pub fn push(&self, value: T, bytes: usize) -> u64 {
        let newest = {
            let mut state = self.state();
            state.entries.push_back(Entry { value: Arc::new(value), bytes });
            state.bytes += bytes;
            while state.entries.len() > 1 && (state.entries.len() > self.entries_max || state.bytes > self.bytes_max) {
                if let Some(oldest) = state.entries.pop_front() {
                    state.bytes -= oldest.bytes;
                    state.first += 1;
                }
            }
            state.newest()
        };
        // Two writers may come here in another order: readers look at the ring itself.
        self.newest.send_replace(newest);
        newest
    }

    /// At most `limit` of those behind the number `after`.
    pub fn since(&self, after: u64, limit: usize) -> Since<T> {
        let state = self.state();
        let newest = state.newest();
        if after > newest || after.saturating_add(1) < state.first {
            return Since::Gap { newest };
        }
        // Less than the ring's length, which fits.
        let skipped = (after + 1 - state.first) as usize;
        let numbers = after + 1..;
        let values = state.entries.iter().skip(skipped).take(limit).map(|entry| Arc::clone(&entry.value));
        Since::Entries(numbers.zip(values).collect())
    }

    /// All that are kept.
    pub fn oldest(&self) -> Since<T> {
        let state = self.state();
        let values = state.entries.iter().map(|entry| Arc::clone(&entry.value));
        Since::Entries((state.first..).zip(values).collect())
    }

    /// The newest number; 0 before the first.
    pub fn newest(&self) -> u64 {
        self.state().newest()
    }

    /// Forgets everything. Who had read up to here finds a gap: what comes next may not be what comes next.
    pub fn forget(&self) {
        let mut state = self.state();
        state.first = state.newest() + 2;
        state.entries.clear();
        state.bytes = 0;
    }

    /// Changes whenever something comes.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    fn newest(&self) -> u64 {
        self.first + self.entries.len() as u64 - 1
    }
}

impl<T> fmt::Debug for Ring<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Ring").field("entries", &state.entries.len()).field("bytes", &state.bytes).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ring: &Ring<char>, after: u64, expected: Result<&str, u64>) {
        let seen = match ring.since(after, 3) {
            Since::Entries(entries) => {
                let numbers: Vec<u64> = entries.iter().map(|(number, _)| *number).collect();
                assert_eq!(numbers, (after + 1..).take(entries.len()).collect::<Vec<_>>());
                Ok(entries.iter().map(|(_, value)| **value).collect::<String>())
            }
            Since::Gap { newest } => Err(newest),
        };
        assert_eq!(seen, expected.map(str::to_owned), "after {after}");
    }

    #[test]
    fn readers_get_what_is_kept_or_learn_of_the_gap() {
        let ring = Ring::new(4, 1000);
        check(&ring, 0, Ok(""));
        check(&ring, 1, Err(0));
        for letter in "abcdef".chars() {
            ring.push(letter, 1);
        }
        check(&ring, 0, Err(6));
        check(&ring, 1, Err(6));
        check(&ring, 2, Ok("cde"));
        check(&ring, 5, Ok("f"));
        check(&ring, 6, Ok(""));
        check(&ring, 7, Err(6));
        check(&ring, u64::MAX, Err(6));
        ring.forget();
        check(&ring, 6, Err(7));
        check(&ring, 7, Ok(""));
        assert_eq!((ring.push('g', 1), ring.newest()), (8, 8));
        check(&ring, 7, Ok("g"));
        check(&ring, 6, Err(8));
    }

    #[test]
    fn octets_are_bounded_too() {
        let ring = Ring::new(100, 10);
        for letter in "abc".chars() {
            ring.push(letter, 4);
        }
        check(&ring, 1, Ok("bc"));
        check(&ring, 0, Err(3));
        ring.push('x', 1000);
        check(&ring, 3, Ok("x"));
        check(&ring, 2, Err(4));
    }

    #[tokio::test]
    async fn a_reader_is_woken() {
        let ring = Ring::new(4, 100);
        let mut news = ring.watch();
        ring.push('a', 1);
        news.changed().await.unwrap();
        check(&ring, 0, Ok("a"));
    }
}
