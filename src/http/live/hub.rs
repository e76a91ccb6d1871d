use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::news::{Mail, News};
use crate::audit;
use crate::base::{Clock, Timestamp, limits};
use crate::exchange::{Live, Spoken};
use crate::job;
use crate::queue;
use crate::store::Store;
use crate::telemetry::Ring;
use crate::trace;
use crate::turn;

/// Where everything comes together that readers follow. While nobody does, nothing is kept.
pub struct Hub {
    pub(super) ring: Ring<Happened>,
    /// In every id: the numbers begin anew with every start of the server.
    boot: u64,
    clock: Arc<dyn Clock>,
    /// Between two comments in a stream.
    pub(super) ping: Duration,
    seats: Mutex<Seats>,
    /// Until when, by the clock that nobody sets, it goes on keeping what happens: who reads may come back.
    awake_until_ms: AtomicU64,
    connections: AtomicU64,
}

pub(super) struct Happened {
    pub(super) at: Timestamp,
    pub(super) news: News,
}

/// The readers of each caller.
#[derive(Default)]
struct Seats(BTreeMap<String, usize>);

/// A reader's place.
pub(in crate::http) struct Seat {
    hub: Arc<Hub>,
    caller: String,
}

impl Hub {
    /// Hears from now on what is committed to the file. Every `ping`, readers are told that they still may follow.
    pub fn new(store: &Store, clock: Arc<dyn Clock>, ping: Duration) -> Arc<Self> {
        let hub = Arc::new(Self {
            ring: Ring::new(limits::EVENTS_KEPT, limits::EVENTS_KEPT_BYTES),
            boot: clock.now().ms(),
            clock,
            ping,
            seats: Mutex::default(),
            awake_until_ms: AtomicU64::new(0),
            connections: AtomicU64::new(0),
        });
        hub.hear(store, News::Queue as fn(Arc<queue::Changed>) -> News);
        hub.hear(store, News::Delivery as fn(Arc<trace::Recorded>) -> News);
        hub.hear(store, News::Turn as fn(Arc<turn::SessionChanged>) -> News);
        hub.hear(store, News::Job as fn(Arc<job::Changed>) -> News);
        hub.hear(store, News::Audit as fn(Arc<audit::Recorded>) -> News);
        hub
    }

    /// Follows the dialogues of sessions with peers too.
    pub fn listen(self: &Arc<Self>, live: &Live) {
        let hub = Arc::clone(self);
        live.listen(move |Spoken { session, peer, mark, line }| {
            if hub.is_awake() {
                hub.tell(News::Line { session, peer: peer.to_owned(), mark, line: line.to_owned() });
            }
        });
    }

    /// Tells those who follow.
    pub fn tell(&self, news: News) {
        if self.is_awake() {
            let bytes = news.weight_bytes();
            self.ring.push(Happened { at: self.clock.now(), news }, bytes);
        }
    }

    /// When the server was started.
    pub fn started_at(&self) -> Timestamp {
        Timestamp(self.boot)
    }

    /// The number of a new mail connection.
    pub fn connection(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A mail connection has begun; to be told again when it ends.
    pub fn opened(&self, mail: &Mail) {
        self.tell(News::Connection(mail.clone(), None));
    }

    /// It has ended.
    pub fn closed(&self, mail: Mail, duration_ms: u64) {
        self.tell(News::Connection(mail, Some(duration_ms)));
    }

    /// Whether somebody follows, or did a moment ago.
    pub fn is_awake(&self) -> bool {
        self.clock.monotonic_ms() < self.awake_until_ms.load(Ordering::Relaxed)
    }

    /// A place for a reader; `None` when there are no more, in all or for this caller.
    pub(in crate::http) fn sit(self: &Arc<Self>, caller: &str) -> Option<Seat> {
        let mut seats = self.seats();
        let (all, own) = (seats.0.values().sum::<usize>(), seats.0.get(caller).copied().unwrap_or_default());
        if all >= limits::EVENT_STREAMS || own >= limits::EVENT_STREAMS_PER_CALLER {
            return None;
        }
        if !self.is_awake() {
            // What has happened while nobody followed is not there.
            self.ring.forget();
        }
        self.awake_until_ms.store(u64::MAX, Ordering::Relaxed);
        seats.0.insert(caller.to_owned(), own + 1);
        Some(Seat { hub: Arc::clone(self), caller: caller.to_owned() })
    }

    /// The id of an event.
    pub(super) fn id(&self, number: u64) -> String {
        format!("{:x}-{number}", self.boot)
    }

    /// The number that an id of this run of the server names.
    pub(super) fn number(&self, id: &str) -> Option<u64> {
        let (boot, number) = id.split_once('-')?;
        let number = number.parse().ok()?;
        (u64::from_str_radix(boot, 16) == Ok(self.boot)).then_some(number)
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn hear<T: Send + Sync + 'static>(self: &Arc<Self>, store: &Store, news: fn(Arc<T>) -> News) {
        let (awake, hub) = (Arc::clone(self), Arc::clone(self));
        store.bus().hear(move || awake.is_awake(), move |value| hub.tell(news(value)));
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.hub.seats();
        if let Some(own) = seats.0.get_mut(&self.caller) {
            *own -= 1;
            if *own == 0 {
                seats.0.remove(&self.caller);
            }
        }
        if seats.0.is_empty() {
            let until = self.hub.clock.monotonic_ms() + limits::EVENTS_KEPT_MS;
            self.hub.awake_until_ms.store(until, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::base::TurnedClock;
    use crate::store::{Options, Schema};
    use crate::telemetry::Since;

    const PING: Duration = Duration::from_secs(1);
    /// A hub hears the store and reads nothing of it.
    static SCHEMA: Schema = Schema { version: 1, tables: &[], checks: &[], migrations: &[] };

    #[test]
    fn nothing_is_kept_while_nobody_follows() {
        let clock = Arc::new(TurnedClock::new(Timestamp(1_000_000)));
        let store = Store::open(Options::memory(clock.clone()), &SCHEMA).unwrap();
        let hub = Hub::new(&store, clock.clone(), PING);
        let tell = || hub.tell(News::Health(json!({})));
        tell();
        assert_eq!(hub.ring.newest(), 0);
        let first = hub.sit("a").unwrap();
        let begin = hub.ring.newest();
        tell();
        drop(first);
        clock.advance_ms(limits::EVENTS_KEPT_MS - 1);
        tell();
        // Who comes back soon has missed nothing.
        let second = hub.sit("a").unwrap();
        assert!(matches!(hub.ring.since(begin, 9), Since::Entries(entries) if entries.len() == 2));
        drop(second);
        clock.advance_ms(limits::EVENTS_KEPT_MS);
        tell();
        let _third = hub.sit("a").unwrap();
        assert!(matches!(hub.ring.since(begin + 2, 9), Since::Gap { .. }));
    }

    #[test]
    fn places_are_bounded_and_given_back() {
        let clock = Arc::new(TurnedClock::new(Timestamp(1_000_000)));
        let store = Store::open(Options::memory(clock.clone()), &SCHEMA).unwrap();
        let hub = Hub::new(&store, clock, PING);
        let mut own: Vec<_> = (0..limits::EVENT_STREAMS_PER_CALLER).map(|_| hub.sit("a").unwrap()).collect();
        assert!(hub.sit("a").is_none());
        own.pop();
        own.push(hub.sit("a").unwrap());
        let left = limits::EVENT_STREAMS - own.len();
        let others: Vec<_> = (0..left).map(|number| hub.sit(&number.to_string()).unwrap()).collect();
        assert!(hub.sit("one more").is_none());
        drop((own, others));
        assert!(hub.seats().0.is_empty());
    }

    #[test]
    fn an_id_names_its_run() {
        let clock = Arc::new(TurnedClock::new(Timestamp(1_000_000)));
        let store = Store::open(Options::memory(clock.clone()), &SCHEMA).unwrap();
        let hub = Hub::new(&store, clock, PING);
        assert_eq!((hub.id(7).as_str(), hub.number(&hub.id(7))), ("f4240-7", Some(7)));
        for other in ["", "7", "f4241-7", "f4240-", "f4240-x", "-7"] {
            assert_eq!(hub.number(other), None, "{other}");
        }
    }
}
