use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::Context;
use super::board::Board;
use super::scan::{Scope, scan};
use super::session;
use super::sweep::sweep;
use crate::base::{Timestamp, limits};
use crate::net::Sessions;
use crate::queue::{QUEUE_TOPIC, ROUTE_TOPIC, next_due};
use crate::store::{StoreError, Watch};

/// How many times as long as a look at the schedule has taken nothing is looked at.
const LOOKS_REST: u32 = 9;

/// Delivers until `context.stop` is cancelled, and then until the sessions have ended.
pub async fn run(context: Arc<Context>) {
    let board = Arc::new(Board::new(context.connections_max, context.connections_per_destination_max));
    // Watched before the first look, so that nothing falls between.
    let (queue, routes) = (context.store.bus().watch(QUEUE_TOPIC), context.store.bus().watch(ROUTE_TOPIC));
    let sessions = Sessions::new();
    let mut scheduler = Scheduler {
        context,
        board,
        sessions: sessions.clone(),
        looked_at: None,
        look_whole: true,
        look_new: false,
        has_new_routes: true,
        rests_until: Instant::now(),
    };
    scheduler.run(queue, routes).await;
    sessions.drained().await;
}

struct Scheduler {
    context: Arc<Context>,
    board: Arc<Board>,
    sessions: Sessions,
    /// Up to when the whole schedule was looked at.
    looked_at: Option<Timestamp>,
    /// The whole schedule is to be looked at.
    look_whole: bool,
    /// What has become due since is.
    look_new: bool,
    /// What is parked may have to go, and what is ready may go elsewhere.
    has_new_routes: bool,
    /// Not before this is the schedule looked at again: each change in the queue asks for it.
    rests_until: Instant,
}

impl Scheduler {
    async fn run(&mut self, mut queue: Watch, mut routes: Watch) {
        let context = Arc::clone(&self.context);
        let mut whole_at = Instant::now();
        loop {
            if whole_at.elapsed() >= Duration::from_millis(limits::SCHEDULE_TICK_MS) {
                self.look_whole = true;
            }
            let is_whole = self.look_whole;
            let looked = self.turn().await;
            if let Err(error) = looked {
                match error {
                    StoreError::Closed => return,
                    error => tracing::error!(%error, "the queue can't be read"),
                }
            }
            if is_whole && !self.look_whole {
                whole_at = Instant::now();
            }
            let pause = self.pause();
            tokio::select! {
                biased;
                () = context.stop.cancelled() => return,
                () = context.state.wake.notified() => self.look_whole = true,
                topic = routes.next() => match topic {
                    Some(_) => self.has_new_routes = true,
                    None => return,
                },
                topic = queue.next() => match topic {
                    Some(_) => self.look_new = true,
                    None => return,
                },
                () = self.board.changed.notified() => {}
                () = tokio::time::sleep(pause) => self.look_new = true,
            }
        }
    }

    /// Looks at what is to be looked at, and begins the sessions that there is room for.
    async fn turn(&mut self) -> Result<(), StoreError> {
        if self.context.state.is_urged.swap(false, Ordering::AcqRel) {
            self.board.forgive();
        }
        if std::mem::take(&mut self.has_new_routes) {
            self.board.clear();
            sweep(&self.context).await?;
            self.look_whole = true;
        }
        let began = Instant::now();
        if (self.look_whole || self.look_new) && began >= self.rests_until {
            self.look().await?;
            self.rests_until = Instant::now() + began.elapsed() * LOOKS_REST;
        }
        self.begin();
        while let Some((keys, place)) = self.board.take_hungry(self.context.now()) {
            scan(&self.context, &self.board, Scope::Of(keys, place)).await?;
            self.begin();
            if self.context.stop.is_cancelled() {
                break;
            }
        }
        Ok(())
    }

    async fn look(&mut self) -> Result<(), StoreError> {
        let (now, spans) = self.context.due();
        // In a gap something may become due anywhere; where the wall clock is behind, what comes in is due in the past.
        let is_behind = self.context.clock.now().plus_ms(limits::SCHEDULE_SLACK_MS / 2) < now;
        // First, since it makes the room that an overflow waits for.
        self.board.tidy(now);
        let is_whole = self.look_whole || is_behind || spans.len() > 1 || self.board.take_overflow();
        (self.look_whole, self.look_new) = (false, false);
        let from = self.looked_at.filter(|_| !is_whole);
        scan(&self.context, &self.board, Scope::From(from)).await?;
        self.looked_at = Some(Timestamp(now.0.saturating_sub(limits::SCHEDULE_SLACK_MS)));
        Ok(())
    }

    fn begin(&self) {
        for (seat, way, bundle) in self.board.staff() {
            tracing::debug!(destination = way.name(), message = %bundle.message, "a session begins");
            self.sessions.spawn(session::run(Arc::clone(&self.context), seat, way, bundle));
        }
    }

    /// How long nothing is known to become due.
    fn pause(&self) -> Duration {
        if self.look_whole || self.look_new {
            return self.rests_until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        }
        let (now, spans) = self.context.due();
        let soon_ms = |at: Timestamp| at.ms_since(now).max(1);
        let mut pause_ms = limits::SCHEDULE_TICK_MS;
        if let Some(at) = self.board.next_try() {
            pause_ms = pause_ms.min(soon_ms(at));
        }
        let Ok(view) = self.context.store.view() else { return Duration::from_millis(pause_ms) };
        for (_, to) in spans {
            if let Ok(Some(next)) = next_due(&view, to) {
                // Each stretch ends where time stands in it.
                pause_ms = pause_ms.min(next.ms_since(to).max(1));
            }
        }
        Duration::from_millis(pause_ms)
    }
}
