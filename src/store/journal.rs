use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::tx::Place;

/// Octets that a key takes here beyond its own.
const KEY_EXTRA_BYTES: usize = 64;

/// The rows that were changed since a compaction has copied them: the writer notes them when they are committed. What the
/// compaction has yet to come to is not noted.
#[derive(Debug)]
pub(super) struct Journal {
    state: Mutex<State>,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct State {
    tables: HashMap<&'static str, Noted>,
    /// How far the copy is in each table; it has not come to the others.
    reached: HashMap<String, Reached>,
    /// It has come to the end of all.
    everything: bool,
    bytes: usize,
    /// There was more than could be noted: the journal is worth nothing.
    overflowed: bool,
}

type Noted = BTreeSet<Vec<u8>>;

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reached {
    /// This key is copied, and none behind it.
    Key(Vec<u8>),
    /// The copy may be anywhere in the table, or is through.
    Anywhere,
}

/// More was changed than a journal takes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Overflowed;

impl Journal {
    /// One that takes so many octets of memory.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { state: Mutex::default(), bytes_max }
    }

    /// These rows were changed, and that is committed.
    pub(super) fn note(&self, changed: Vec<Place>) {
        let mut state = self.lock();
        for (table, key) in changed {
            if state.overflowed || !state.covers(table, &key) {
                continue;
            }
            let bytes = key.len() + KEY_EXTRA_BYTES;
            if state.tables.entry(table).or_default().insert(key) {
                state.bytes += bytes;
            }
            if state.bytes > self.bytes_max {
                *state = State { overflowed: true, ..State::default() };
            }
        }
    }

    /// The copy goes on in this table with a view that is opened after this.
    pub(super) fn begin(&self, table: &str) {
        self.lock().reached.insert(table.to_owned(), Reached::Anywhere);
    }

    /// The copy has come to this key, on a view that was opened after [`Journal::begin`], or to the table's end. What was
    /// noted behind the key is seen by the next view.
    pub(super) fn end(&self, table: &str, last: Option<&[u8]>) {
        let mut state = self.lock();
        let Some(last) = last else { return };
        state.reached.insert(table.to_owned(), Reached::Key(last.to_vec()));
        let Some(noted) = state.tables.get_mut(table) else { return };
        let mut behind = last.to_vec();
        behind.push(0);
        let forgotten = noted.split_off(&behind);
        state.bytes -= forgotten.iter().map(|key| key.len() + KEY_EXTRA_BYTES).sum::<usize>();
    }

    /// From here on every change is noted.
    pub(super) fn note_everything(&self) {
        self.lock().everything = true;
    }

    /// How many rows are noted.
    pub(super) fn len(&self) -> Result<usize, Overflowed> {
        let state = self.lock();
        if state.overflowed { Err(Overflowed) } else { Ok(state.tables.values().map(BTreeSet::len).sum()) }
    }

    /// Whether this row is noted.
    pub(super) fn has(&self, table: &str, key: &[u8]) -> bool {
        self.lock().tables.get(table).is_some_and(|noted| noted.contains(key))
    }

    /// What is noted, in the order of tables and keys; a view that is opened after this sees it.
    pub(super) fn take(&self) -> Result<Vec<Place>, Overflowed> {
        let mut state = self.lock();
        if state.overflowed {
            return Err(Overflowed);
        }
        state.bytes = 0;
        let tables = std::mem::take(&mut state.tables);
        Ok(tables.into_iter().flat_map(|(table, keys)| keys.into_iter().map(move |key| (table, key))).collect())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether the copy may have come by this row already.
    fn covers(&self, table: &str, key: &[u8]) -> bool {
        self.everything
            || match self.reached.get(table) {
                None => false,
                Some(Reached::Key(last)) => key <= last.as_slice(),
                Some(Reached::Anywhere) => true,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(journal: &Journal, table: &'static str, keys: &[&str]) {
        journal.note(keys.iter().map(|key| (table, key.as_bytes().to_vec())).collect());
    }

    fn check(journal: &Journal, expected: &[(&str, &str)]) {
        assert_eq!(journal.len(), Ok(expected.len()));
        let taken = journal.take().unwrap();
        let taken: Vec<_> = taken.iter().map(|(table, key)| (*table, str::from_utf8(key).unwrap())).collect();
        assert_eq!(taken, expected);
        assert_eq!(journal.lock().bytes, 0);
    }

    #[test]
    fn only_what_the_copy_may_have_come_by_is_noted() {
        let journal = Journal::new(10_000);
        note(&journal, "a", &["x"]);
        journal.begin("a");
        note(&journal, "a", &["k", "n", "m", "m0"]);
        note(&journal, "b", &["k"]);
        journal.end("a", Some(b"m"));
        note(&journal, "a", &["l", "z"]);
        check(&journal, &[("a", "k"), ("a", "l"), ("a", "m")]);
        journal.begin("a");
        journal.end("a", None);
        note(&journal, "a", &["z"]);
        check(&journal, &[("a", "z")]);
        journal.note_everything();
        note(&journal, "b", &["k", "k"]);
        assert!(journal.has("b", b"k") && !journal.has("b", b"l"));
        check(&journal, &[("b", "k")]);
    }

    #[test]
    fn too_much_is_said() {
        let journal = Journal::new(3 * (1 + KEY_EXTRA_BYTES));
        journal.note_everything();
        note(&journal, "a", &["1", "2", "3", "3", "2"]);
        assert_eq!(journal.len(), Ok(3));
        note(&journal, "a", &["4"]);
        assert_eq!((journal.len(), journal.take()), (Err(Overflowed), Err(Overflowed)));
        note(&journal, "a", &["5"]);
        assert_eq!(journal.len(), Err(Overflowed));
    }
}
