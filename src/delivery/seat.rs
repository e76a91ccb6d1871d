use std::sync::Arc;
use std::time::Duration;

use super::board::Board;
use crate::base::limits;

/// A session's place: its end is noted when this is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) key: String,
    /// The servers of its destination, once it may speak to them.
    pub(super) site: Option<String>,
    /// It has no place: it waits for somebody to answer.
    pub(super) is_aside: bool,
    /// It was answered, and waits for a place.
    pub(super) is_returning: bool,
    /// The urges that the board had heeded when it began.
    pub(super) urges: u64,
    pub(super) board: Arc<Board>,
}

impl Seat {
    /// For a session that is being counted.
    pub(super) fn new(key: String, board: Arc<Board>, urges: u64) -> Self {
        Self { key, site: None, is_aside: false, is_returning: false, urges, board }
    }

    /// Waits for something that a dead host may take its time for. After a moment another session has the place, so that
    /// however many hosts are dead, those that answer are not kept waiting by them.
    pub(super) async fn wait<T>(&mut self, what: impl Future<Output = T>) -> T {
        let mut what = std::pin::pin!(what);
        if !self.is_aside {
            let soon = Duration::from_millis(limits::PLACE_WAIT_MS);
            if let Ok(done) = tokio::time::timeout(soon, &mut what).await {
                return done;
            }
            self.step_aside();
        }
        what.await
    }

    /// Somebody has answered: waits for a place, where it has none.
    pub(super) async fn speak(&mut self) {
        let board = Arc::clone(&self.board);
        loop {
            let freed = board.place.notified();
            if self.step_back() {
                return;
            }
            freed.await;
        }
    }

    /// Leaves its place to another, where there is room aside.
    pub(super) fn step_aside(&mut self) {
        self.is_aside = self.is_aside || self.board.step_aside();
    }

    /// Takes a place again, if there is one.
    pub(super) fn step_back(&mut self) -> bool {
        if self.is_aside {
            let has_place = self.board.step_back(self.is_returning);
            (self.is_aside, self.is_returning) = (!has_place, !has_place);
        }
        !self.is_aside
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.board.leave(self);
    }
}
