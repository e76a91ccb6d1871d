use std::sync::{Mutex, MutexGuard, PoisonError};

/// What pages take for so many octets of rows, in hundredths, when the file was just compacted: measured on mail.
pub(super) const PAGES_PERCENT: u64 = 115;

/// How many octets the keys and rows of the file have, free pages and what pages waste not counted. Kept by the writer
/// with each commit, and in the file whenever it comes to rest: after a crash it may be off by what was changed just before.
#[derive(Debug, Default)]
pub(super) struct Live(Mutex<Count>);

#[derive(Debug, Default)]
struct Count {
    /// `None` for a file that was made before they were counted, until it is compacted.
    bytes: Option<u64>,
    /// What the file says.
    kept_bytes: Option<u64>,
}

impl Live {
    /// What the file says.
    pub(super) fn read(&self, bytes: Option<u64>) {
        *self.lock() = Count { bytes, kept_bytes: bytes };
    }

    /// They were counted anew.
    pub(super) fn count(&self, bytes: u64) {
        self.lock().bytes = Some(bytes);
    }

    /// A commit has changed them.
    pub(super) fn grow(&self, by_bytes: i64) {
        let mut count = self.lock();
        count.bytes = count.bytes.map(|bytes| bytes.saturating_add_signed(by_bytes));
    }

    pub(super) fn bytes(&self) -> Option<u64> {
        self.lock().bytes
    }

    /// Of so many octets that the file takes, those that a compaction would give back, roughly.
    pub(super) fn free_bytes(&self, used_bytes: u64) -> Option<u64> {
        Some(used_bytes.saturating_sub(self.bytes()? / 100 * PAGES_PERCENT))
    }

    /// Whether the file says something else.
    pub(super) fn is_changed(&self) -> bool {
        let count = self.lock();
        count.bytes.is_some() && count.bytes != count.kept_bytes
    }

    /// What is to be written to the file, if it says something else.
    pub(super) fn changed(&self) -> Option<u64> {
        let mut count = self.lock();
        let changed = count.bytes.filter(|_| count.bytes != count.kept_bytes);
        count.kept_bytes = count.bytes;
        changed
    }

    fn lock(&self) -> MutexGuard<'_, Count> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_are_counted_once_they_are_known() {
        let live = Live::default();
        live.grow(5);
        assert_eq!((live.bytes(), live.changed()), (None, None));
        live.read(Some(100));
        assert_eq!(live.changed(), None);
        live.grow(-30);
        assert!(live.is_changed());
        assert_eq!((live.bytes(), live.changed(), live.changed()), (Some(70), Some(70), None));
        assert!(!live.is_changed());
        live.grow(-100);
        assert_eq!((live.bytes(), live.free_bytes(7)), (Some(0), Some(7)));
        live.count(1000);
        assert_eq!((live.free_bytes(1000), live.free_bytes(3000)), (Some(0), Some(3000 - 10 * PAGES_PERCENT)));
        live.count(9);
        assert_eq!(live.changed(), Some(9));
    }
}
