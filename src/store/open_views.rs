use std::collections::BTreeMap;
use std::panic::Location;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The views that are open. One that stays open keeps every page that is changed meanwhile: it must be found.
#[derive(Debug, Default)]
pub(super) struct OpenViews(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    opened: u64,
    open: BTreeMap<u64, (Instant, &'static Location<'static>)>,
}

/// Keeps a view's place among them.
#[derive(Debug)]
pub(super) struct Place {
    views: Arc<OpenViews>,
    number: u64,
}

/// The view that has been open for longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OldestView {
    /// Its number: no other has it.
    pub number: u64,
    /// For how long.
    pub age: Duration,
    /// Where in the source it was asked for.
    pub asked_at: &'static Location<'static>,
}

impl OpenViews {
    /// A view is opened.
    pub(super) fn enter(self: &Arc<Self>, asked_at: &'static Location<'static>) -> Place {
        let mut state = self.lock();
        state.opened += 1;
        let number = state.opened;
        state.open.insert(number, (Instant::now(), asked_at));
        Place { views: Arc::clone(self), number }
    }

    pub(super) fn oldest(&self) -> Option<OldestView> {
        let state = self.lock();
        let (number, (since, asked_at)) = state.open.first_key_value()?;
        Some(OldestView { number: *number, age: since.elapsed(), asked_at })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.views.lock().open.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::memory;

    #[test]
    fn the_view_that_is_open_for_longest_is_found_with_its_place() {
        let store = memory();
        assert_eq!(store.oldest_view(), None);
        let (first, line) = (store.view().unwrap(), line!());
        let second = store.view().unwrap();
        let seen = store.oldest_view().unwrap();
        assert_eq!((seen.asked_at.file(), seen.asked_at.line()), (file!(), line));
        drop(first);
        assert!(store.oldest_view().unwrap().number > seen.number);
        drop(second);
        assert_eq!(store.oldest_view(), None);
    }

    #[tokio::test]
    async fn a_longer_read_is_named_by_who_asked_for_it() {
        let store = memory();
        let asked = store.clone();
        let (seen, line) = (store.read(move |_| Ok(asked.oldest_view())).await.unwrap(), line!());
        let seen = seen.expect("it is open while it is read");
        assert_eq!((seen.asked_at.file(), seen.asked_at.line()), (file!(), line));
    }
}
