use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Context;
use super::board::Board;
use super::destination::Place;
use super::scan::{FIRST, Scope, scan};
use super::session;
use super::sweep::sweep;
use crate::base::{QueueId, Timestamp, limits};
use crate::net::Sessions;
use crate::queue::{self, QUEUE_TOPIC, ROUTE_TOPIC, next_due};
use crate::store::{StoreError, Watch};

/// How many times as long as a look at the schedule has taken nothing is looked at, and for how long at most.
const LOOKS_REST: u32 = 9;
const LOOKS_REST_MAX: Duration = Duration::from_secs(1);

/// Before every place of the schedule.
const START: Place = (Timestamp(0), FIRST);

/// Delivers until `context.stop` is cancelled, and then until the sessions have ended.
pub async fn run(context: Arc<Context>) {
    let board = Arc::new(Board::new(
        context.connections_max,
        context.connections_per_destination_max,
        context.state.urges.clone(),
    ));
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
        rest: None,
        rest_of_new: None,
        sweeping: Some(None),
        sweep_again: false,
        pause_until: None,
        rests_until: Instant::now(),
        new_rests_until: Instant::now(),
    };
    scheduler.run(queue, routes).await;
    sessions.drained().await;
}

struct Scheduler {
    context: Arc<Context>,
    board: Arc<Board>,
    sessions: Sessions,
    /// Up to when the whole schedule was looked at, or is being: what becomes due behind it is new.
    looked_at: Option<Timestamp>,
    /// The whole schedule is to be looked at.
    look_whole: bool,
    /// What has become due since is.
    look_new: bool,
    /// Behind which place a look goes on that was too long for one turn.
    rest: Option<Place>,
    /// The same of a look at what is new: it does not wait for the others.
    rest_of_new: Option<Place>,
    /// What is parked may have to go, what is ready may go elsewhere, and what a clock that was ahead has stamped comes
    /// back: behind which entry this goes on.
    sweeping: Option<Option<QueueId>>,
    /// The same once more in a while: what was stamped before the clock was set back may have been written after.
    sweep_again: bool,
    /// When an operator's pause of everything ends by itself.
    pause_until: Option<Timestamp>,
    /// Not before this is the schedule looked at again.
    rests_until: Instant,
    /// The same of a look at what is new: each change in the queue asks for one.
    new_rests_until: Instant,
}

/// Until when nothing is looked at behind a look that began then.
fn rest_after(began: Instant, goes_on: bool) -> Instant {
    let rest = (began.elapsed() * LOOKS_REST).min(LOOKS_REST_MAX);
    Instant::now() + if goes_on { Duration::ZERO } else { rest }
}

impl Scheduler {
    async fn run(&mut self, mut queue: Watch, mut routes: Watch) {
        let context = Arc::clone(&self.context);
        let mut whole_at = Instant::now();
        loop {
            if whole_at.elapsed() >= Duration::from_millis(limits::SCHEDULE_TICK_MS) {
                self.look_whole = true;
                if std::mem::take(&mut self.sweep_again) {
                    self.sweeping = Some(None);
                }
            }
            let is_whole = self.look_whole;
            let looked = self.turn().await;
            if let Err(error) = looked {
                match error {
                    StoreError::Closed => return,
                    error => tracing::error!(%error, "the queue can't be read"),
                }
                // Whatever it was about to look at.
                self.look_whole = true;
                self.rests_until = Instant::now() + LOOKS_REST_MAX;
                self.new_rests_until = self.rests_until;
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
                    Some(_) => self.begin_sweep(),
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
        if self.context.take_back() {
            // Until when it knows something of somebody is by the other time.
            self.context.state.urges.add();
            self.begin_sweep();
            self.sweep_again = true;
        }
        self.heed_pause()?;
        if let Some(after) = self.sweeping.take() {
            self.sweeping = sweep(&self.context, after).await?.map(Some);
        }
        let began = Instant::now();
        // What is new first, however much of the schedule is still to be looked at.
        if self.has_new() && began >= self.new_rests_until {
            let goes_on = self.look_at_new().await?;
            self.new_rests_until = rest_after(began, goes_on);
            self.begin();
        }
        if let Some(place) = self.board.take_overflow() {
            let from = (place.0, FIRST);
            self.rest = Some(self.rest.map_or(from, |rest| rest.min(from)));
        }
        let began = Instant::now();
        if self.has_old() && began >= self.rests_until {
            let goes_on = self.look_at_all().await?;
            self.rests_until = rest_after(began, goes_on);
        }
        self.begin();
        if let Some((wanted, place)) = self.board.take_hungry(self.context.now()) {
            let looked = scan(&self.context, &self.board, Scope::Of(wanted.clone(), place)).await;
            // What was not found may stand further behind; what could not be read is read again.
            let left = looked.as_ref().map_or(Some(place), |looked| looked.left);
            self.board.looked(&wanted, left);
            if looked?.left.is_some() {
                self.board.changed.notify_one();
            }
            self.begin();
        }
        Ok(())
    }

    /// The routes, the rules or the time are others: everything is looked at, and what is ready is judged anew.
    fn begin_sweep(&mut self) {
        self.board.clear();
        self.sweeping = Some(None);
        self.look_whole = true;
    }

    /// Whether an operator wants nobody to be dialled.
    fn heed_pause(&mut self) -> Result<(), StoreError> {
        let pause = queue::pause(&self.context.store.view()?, self.context.now())?;
        self.board.pause(pause.is_some());
        self.pause_until = pause.and_then(|pause| pause.until);
        Ok(())
    }

    fn has_new(&self) -> bool {
        self.look_new || self.rest_of_new.is_some()
    }

    fn has_old(&self) -> bool {
        self.look_whole || self.rest.is_some()
    }

    /// What came in is looked for again from a while before on: it was stamped before it was written.
    fn looked_at(now: Timestamp) -> Timestamp {
        Timestamp(now.0.saturating_sub(limits::SCHEDULE_SLACK_MS))
    }

    /// Looks at what has become due since the last look. Whether it is to go on at once.
    async fn look_at_new(&mut self) -> Result<bool, StoreError> {
        let (now, spans) = self.context.due();
        // First, since it makes the room that an overflow waits for.
        self.board.tidy(now);
        // In a gap something may become due anywhere.
        self.look_whole |= spans.len() > 1;
        // A look that is under way comes to its end first, else it never would.
        let from = match self.rest_of_new.take() {
            Some(rest) => rest,
            None => {
                self.look_new = false;
                let Some(from) = self.looked_at.replace(Self::looked_at(now)) else { return Ok(false) };
                (from, FIRST)
            }
        };
        let looked = scan(&self.context, &self.board, Scope::From(Some(from))).await?;
        self.rest_of_new = looked.left;
        Ok(looked.is_worth_going_on())
    }

    /// Looks at the whole schedule, or at what there was no room for. Whether it is to go on at once.
    async fn look_at_all(&mut self) -> Result<bool, StoreError> {
        let (now, _) = self.context.due();
        self.board.tidy(now);
        if self.look_whole && self.rest.is_none() {
            (self.rest, self.look_whole) = (Some(START), false);
            // The next look at what is new begins no later than it would have, and no later than now: a clock may be set back.
            let looked_at = Self::looked_at(now);
            self.looked_at = Some(self.looked_at.map_or(looked_at, |before| before.min(looked_at)));
        }
        let Some(rest) = self.rest.take() else { return Ok(false) };
        let looked = scan(&self.context, &self.board, Scope::From(Some(rest))).await?;
        self.rest = looked.left;
        Ok(looked.is_worth_going_on())
    }

    fn begin(&self) {
        for (seat, way, bundle) in self.board.staff(self.context.now()) {
            tracing::debug!(destination = way.name(), message = %bundle.message, "a session begins");
            self.sessions.spawn(session::run(Arc::clone(&self.context), seat, way, bundle));
        }
    }

    /// How long nothing is known to become due.
    fn pause(&self) -> Duration {
        if self.sweeping.is_some() {
            return Duration::from_millis(1);
        }
        let looks = [(self.has_new(), self.new_rests_until), (self.has_old(), self.rests_until)];
        if let Some(at) = looks.into_iter().filter(|(is_to, _)| *is_to).map(|(_, at)| at).min() {
            return at.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        }
        let (now, spans) = self.context.due();
        let soon_ms = |at: Timestamp| at.ms_since(now).max(1);
        let mut pause_ms = limits::SCHEDULE_TICK_MS;
        if let Some(at) = self.board.next_try() {
            pause_ms = pause_ms.min(soon_ms(at));
        }
        if let Some(at) = self.pause_until {
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
