use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::claims::Claims;
use super::destination::{Bundle, Destination, Offered, Place, Recipient, Trouble};
use super::way::Way;
use crate::base::{Address, QueueId, Timestamp, limits};
use crate::queue::{Attempt, Policy};

/// What is known of all destinations at the moment. Bounded: what has no room here waits in the file.
#[derive(Debug)]
pub(super) struct Board {
    inner: Mutex<Inner>,
    /// A session has ended, or there is room.
    pub(super) changed: Notify,
    connections_max: usize,
    per_destination_max: usize,
}

#[derive(Debug, Default)]
struct Inner {
    destinations: HashMap<String, Destination>,
    /// Entries in all windows.
    entries: usize,
    /// Sessions that run.
    sessions: usize,
    /// Servers that are tried last, and until when.
    resting: HashMap<SocketAddr, Timestamp>,
    /// The first entry for a destination that itself had no room here.
    passed_over: Option<Place>,
}

/// An entry that is due.
pub(super) struct Due {
    pub(super) id: QueueId,
    pub(super) address: Address,
    pub(super) at: Timestamp,
}

/// A session that reached nobody.
pub(super) struct Broken {
    pub(super) attempt: Attempt,
    /// When it began.
    pub(super) began: Timestamp,
    pub(super) now: Timestamp,
    pub(super) jitter: u32,
}

/// A session's place: its end is noted when this is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) key: String,
    pub(super) board: Arc<Board>,
}

impl Board {
    pub(super) fn new(connections_max: usize, per_destination_max: usize) -> Self {
        Self {
            inner: Mutex::default(),
            changed: Notify::new(),
            connections_max: connections_max.max(1),
            per_destination_max: per_destination_max.max(1),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes entries in where there is room, and remembers where the first stood that found none. All at once: no session
    /// may come between two recipients of a message.
    pub(super) fn offer(&self, offers: &[(Way, Due)], claims: &Claims, now: Timestamp) -> Vec<Offered> {
        let mut inner = self.lock();
        offers.iter().map(|(way, due)| inner.offer(way, due, claims, now)).collect()
    }

    /// The sessions to begin now: destinations that have few go first, and the last quarter of all places is for those
    /// that have none, so that some slow ones can't take everything.
    pub(super) fn staff(self: &Arc<Self>) -> Vec<(Seat, Way, Bundle)> {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let mut started = Vec::new();
        while let Some(key) = self.neediest(inner) {
            let Some(destination) = inner.destinations.get_mut(&key) else { break };
            let Some(bundle) = destination.pop() else { break };
            destination.sessions += 1;
            inner.entries -= bundle.recipients.len();
            inner.sessions += 1;
            started.push((Seat { key, board: Arc::clone(self) }, destination.way.clone(), bundle));
        }
        started
    }

    fn neediest(&self, inner: &Inner) -> Option<String> {
        let free = self.connections_max.saturating_sub(inner.sessions);
        let needy = inner.destinations.iter().filter(|(_, destination)| {
            let reserved = match (&destination.trouble, destination.sessions) {
                // What is likely to wait for a time-out takes at most half of all places.
                (Some(_), _) => self.connections_max / 2,
                (None, 0) => 0,
                (None, _) => self.connections_max / 4,
            };
            !destination.ready.is_empty()
                && destination.sessions < destination.limit.min(self.per_destination_max)
                && free > reserved
        });
        // Among equals, whose mail came first.
        let first = |destination: &Destination| destination.ready.front().map(|bundle| bundle.message);
        needy.min_by_key(|(_, destination)| (destination.sessions, first(destination))).map(|(key, _)| key.clone())
    }

    /// The next bundle for a session of that destination.
    pub(super) fn next(&self, key: &str) -> Option<Bundle> {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let destination = inner.destinations.get_mut(key)?;
        let bundle = destination.pop()?;
        inner.entries -= bundle.recipients.len();
        if destination.passed_over.is_some() && destination.entries <= limits::WINDOW_ENTRIES / 4 {
            self.changed.notify_one();
        }
        Some(bundle)
    }

    /// Takes back what a session could not send after all.
    pub(super) fn give_back(&self, key: &str, bundle: Bundle) {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let Some(destination) = inner.destinations.get_mut(key).filter(|_| !bundle.recipients.is_empty()) else {
            return;
        };
        destination.entries += bundle.recipients.len();
        inner.entries += bundle.recipients.len();
        destination.ready.push_front(bundle);
    }

    /// A server of the destination has answered: what was wrong is over, and so many more sessions may run.
    pub(super) fn answered(&self, key: &str, delivered: usize) {
        let mut inner = self.lock();
        let Some(destination) = inner.destinations.get_mut(key) else { return };
        let had_trouble = destination.trouble.take().is_some();
        let limit = destination.limit.saturating_add(delivered).min(self.per_destination_max);
        let grew = std::mem::replace(&mut destination.limit, limit) < limit;
        if had_trouble || grew && !destination.ready.is_empty() {
            self.changed.notify_one();
        }
    }

    /// A connection broke, or was asked to come back later: half as many sessions may run, and that server is tried
    /// last for a while.
    pub(super) fn broke(&self, key: &str, server: SocketAddr, until: Timestamp, now: Timestamp) {
        let mut inner = self.lock();
        if let Some(destination) = inner.destinations.get_mut(key) {
            destination.limit = (destination.limit / 2).max(1);
        }
        if inner.resting.len() >= limits::RESTING_SERVERS {
            inner.resting.retain(|_, until| *until > now);
        }
        if inner.resting.len() < limits::RESTING_SERVERS {
            inner.resting.insert(server, until);
        }
    }

    /// Whether that server is to be tried last.
    pub(super) fn rests(&self, server: SocketAddr, now: Timestamp) -> bool {
        self.lock().resting.get(&server).is_some_and(|until| *until > now)
    }

    /// Nobody at the destination could be reached: what is ready goes back, to be postponed.
    pub(super) fn failed(&self, key: &str, broken: Broken, policy: &Policy) {
        let Broken { attempt, began, now, jitter } = broken;
        let mut inner = self.lock();
        let inner = &mut *inner;
        let Some(destination) = inner.destinations.get_mut(key) else { return };
        // A try within the pause makes it no longer.
        let (failures, until) = match &destination.trouble {
            Some(trouble) if now < trouble.until => (trouble.failures, trouble.until),
            trouble => {
                let failures = trouble.as_ref().map_or(1, |trouble| trouble.failures.saturating_add(1));
                let pause_ms = policy.next(now, failures, jitter).ms_since(now).min(limits::TROUBLE_MS);
                (failures, now.plus_ms(pause_ms))
            }
        };
        let again_at = now.plus_ms((until.ms_since(now) / 2).min(limits::TROUBLE_PROBE_MS));
        // What has become due since the session began was not meant by it.
        let at = destination.trouble.as_ref().map_or(began, |trouble| trouble.at.max(began));
        destination.trouble = Some(Trouble { failures, at, again_at, until, attempt });
        destination.limit = 1;
        if let Some(first) = destination.ready.front().and_then(|bundle| bundle.recipients.first()) {
            // All of them are due: to be looked at again from the first on.
            destination.passed_over = Some((Timestamp(0), first.id));
        }
        inner.entries -= std::mem::take(&mut destination.entries);
        destination.ready.clear();
        self.changed.notify_one();
    }

    /// What happened last at a destination that can't be reached.
    pub(super) fn trouble(&self, key: &str) -> Option<Attempt> {
        self.lock().destinations.get(key)?.trouble.as_ref().map(|trouble| trouble.attempt.clone())
    }

    /// Forgets who could not be reached.
    pub(super) fn forgive(&self) {
        let mut inner = self.lock();
        inner.resting.clear();
        for destination in inner.destinations.values_mut() {
            destination.trouble = None;
        }
        inner.destinations.retain(|_, destination| !destination.is_idle());
    }

    /// Lets go of what is ready: the routes have changed.
    pub(super) fn clear(&self) {
        let mut inner = self.lock();
        inner.entries = 0;
        for destination in inner.destinations.values_mut() {
            destination.ready.clear();
            destination.entries = 0;
            destination.passed_over = None;
            destination.trouble = None;
        }
        inner.destinations.retain(|_, destination| !destination.is_idle());
    }

    /// The destinations with room for what found none, and where the first of that stands; it counts as looked at.
    pub(super) fn take_hungry(&self, now: Timestamp) -> Option<(Vec<String>, Place)> {
        let mut inner = self.lock();
        if inner.entries >= limits::WINDOWS_ENTRIES {
            return None;
        }
        let mut hungry = Vec::new();
        let mut from: Option<Place> = None;
        for (key, destination) in &mut inner.destinations {
            if destination.is_hungry(now) {
                hungry.push(key.clone());
                from = from.min(destination.passed_over).or(destination.passed_over);
                destination.passed_over = None;
            }
        }
        Some((hungry, from?))
    }

    /// Whether a destination has no room for more.
    pub(super) fn is_sated(&self, key: &str) -> bool {
        let inner = self.lock();
        inner.entries >= limits::WINDOWS_ENTRIES
            || inner.destinations.get(key).is_some_and(|destination| destination.passed_over.is_some())
    }

    /// Whether there is room for destinations that had none.
    pub(super) fn take_overflow(&self) -> bool {
        let mut inner = self.lock();
        inner.destinations.len() < limits::DESTINATIONS / 2 && inner.passed_over.take().is_some()
    }

    /// When a destination in trouble may be tried again by what waits for that.
    pub(super) fn next_try(&self) -> Option<Timestamp> {
        let inner = self.lock();
        // While one tries, or waits for its place to try, the end of a session wakes us.
        let is_idle = |destination: &&Destination| destination.sessions == 0 && destination.ready.is_empty();
        let waiting =
            inner.destinations.values().filter(|destination| destination.passed_over.is_some()).filter(is_idle);
        waiting.filter_map(|destination| destination.trouble.as_ref().map(|trouble| trouble.again_at)).min()
    }

    /// Forgets destinations of which there is nothing to know.
    pub(super) fn tidy(&self, now: Timestamp) {
        let mut inner = self.lock();
        let is_stale = |destination: &Destination| {
            let over =
                destination.trouble.as_ref().is_some_and(|trouble| now > trouble.until.plus_ms(limits::TROUBLE_MS));
            over && destination.sessions == 0 && destination.ready.is_empty() && destination.passed_over.is_none()
        };
        inner.destinations.retain(|_, destination| !destination.is_idle() && !is_stale(destination));
        if inner.destinations.len() >= limits::DESTINATIONS / 2 {
            // Rather dial one that does not answer once more than have no room for one that does.
            inner.destinations.retain(|_, destination| destination.sessions > 0 || !destination.ready.is_empty());
        }
        inner.resting.retain(|_, until| *until > now);
    }
}

impl Inner {
    fn offer(&mut self, way: &Way, due: &Due, claims: &Claims, now: Timestamp) -> Offered {
        let (key, place) = (way.key(), (due.at, due.id));
        let is_full = self.entries >= limits::WINDOWS_ENTRIES;
        if self.destinations.len() >= limits::DESTINATIONS && !self.destinations.contains_key(&key) {
            self.passed_over = Some(self.passed_over.map_or(place, |first| first.min(place)));
            return Offered::Later;
        }
        let destination = self.destinations.entry(key).or_insert_with(|| Destination::new(way.clone()));
        // A route's login or TLS may have changed.
        destination.way.clone_from(way);
        let offered = match destination.judge(place, now) {
            Offered::Taken if is_full && destination.entries > 0 => Offered::Later,
            offered => offered,
        };
        match offered {
            Offered::Taken => {
                let Some(claim) = claims.claim(due.id) else { return Offered::Later };
                destination.push(Recipient { id: due.id, address: due.address.clone(), _claim: claim });
                self.entries += 1;
            }
            Offered::Later => destination.pass_over(place),
            Offered::Postpone(_) => {}
        }
        offered
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut inner = self.board.lock();
        inner.sessions -= 1;
        if let Some(destination) = inner.destinations.get_mut(&self.key) {
            destination.sessions -= 1;
            if destination.is_idle() {
                inner.destinations.remove(&self.key);
            }
        }
        drop(inner);
        self.board.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Enhanced, MessageId};
    use crate::queue::{Stage, Words};

    const NOW: Timestamp = Timestamp(1_000_000);

    struct Scene {
        board: Arc<Board>,
        claims: Claims,
        seats: Vec<(Seat, Bundle)>,
        ids: u64,
    }

    impl Scene {
        fn new(connections_max: usize, per_destination_max: usize) -> Self {
            let board = Arc::new(Board::new(connections_max, per_destination_max));
            Self { board, claims: Claims::default(), seats: Vec::new(), ids: 0 }
        }

        /// Offers messages that are due at `at`, each with one recipient; says what becomes of the last.
        fn offer(&mut self, domain: &str, count: u64, at: u64) -> Offered {
            self.offer_at(domain, count, at, NOW)
        }

        fn offer_at(&mut self, domain: &str, count: u64, at: u64, now: Timestamp) -> Offered {
            let address: Address = format!("b@{domain}").parse().unwrap();
            let way = Way::Mx(address.host.clone());
            let mut last = Offered::Later;
            for _ in 0..count {
                self.ids += 1;
                let id = QueueId { message: MessageId(self.ids), number: 0 };
                let due = Due { id, address: address.clone(), at: Timestamp(at) };
                last = self.board.offer(&[(way.clone(), due)], &self.claims, now).remove(0);
            }
            last
        }

        /// Begins the sessions that there is room for; says how many each destination has.
        fn staff(&mut self) -> Vec<(String, usize)> {
            self.seats.extend(self.board.staff().into_iter().map(|(seat, _, bundle)| (seat, bundle)));
            let mut counts: HashMap<String, usize> = HashMap::new();
            for (seat, _) in &self.seats {
                *counts.entry(seat.key.trim_start_matches("mx ").to_owned()).or_default() += 1;
            }
            let mut counts: Vec<_> = counts.into_iter().collect();
            counts.sort();
            counts
        }

        fn fail(&self, domain: &str, now: Timestamp) {
            let policy = Policy {
                retry_seconds: vec![60, 120],
                expiry_seconds: 1,
                bounce_expiry_seconds: 1,
                hold_expiry_seconds: 1,
                delay_notice_seconds: 0,
            };
            let attempt = Attempt {
                at: now,
                actor: "test".into(),
                server: None,
                server_ip: None,
                tls: None,
                stage: Stage::Connect,
                words: Words::own(Enhanced(4, 4, 1), "refused"),
                duration_ms: 0,
            };
            let broken = Broken { attempt, began: now, now, jitter: 1000 };
            self.board.failed(&format!("mx {domain}"), broken, &policy);
        }
    }

    #[test]
    fn sessions_rise_with_success_up_to_the_limit_of_a_destination() {
        let mut scene = Scene::new(100, 5);
        scene.offer("a.test", 100, 0);
        assert_eq!(scene.staff(), [("a.test".into(), limits::SESSIONS_AT_FIRST)]);
        scene.board.answered("mx a.test", 1);
        assert_eq!(scene.staff(), [("a.test".into(), 3)]);
        scene.board.answered("mx a.test", 50);
        assert_eq!(scene.staff(), [("a.test".into(), 5)]);
        scene.board.broke("mx a.test", "192.0.2.1:25".parse().unwrap(), NOW.plus_ms(5), NOW);
        scene.seats.clear();
        assert_eq!(scene.staff(), [("a.test".into(), 2)]);
        assert!(scene.board.rests("192.0.2.1:25".parse().unwrap(), NOW));
        assert!(!scene.board.rests("192.0.2.1:25".parse().unwrap(), NOW.plus_ms(5)));
    }

    #[test]
    fn some_large_destinations_leave_room_for_others() {
        let mut scene = Scene::new(8, 8);
        for domain in ["a.test", "b.test"] {
            scene.offer(domain, 100, 0);
            scene.board.answered(&format!("mx {domain}"), 100);
        }
        assert_eq!(scene.staff(), [("a.test".into(), 3), ("b.test".into(), 3)]);
        scene.offer("c.test", 1, 0);
        scene.offer("d.test", 1, 0);
        scene.offer("e.test", 1, 0);
        let seen = scene.staff();
        assert_eq!((seen.len(), scene.seats.len()), (4, 8), "{seen:?}");
    }

    #[test]
    fn a_window_is_bounded_and_asks_for_more_when_it_is_nearly_empty() {
        let mut scene = Scene::new(8, 1);
        let window = limits::WINDOW_ENTRIES as u64;
        assert_eq!(scene.offer("a.test", window, 7), Offered::Taken);
        assert_eq!(scene.offer("a.test", 3, 8), Offered::Later);
        assert_eq!(scene.board.take_hungry(NOW), None);
        for _ in 0..window {
            scene.board.next("mx a.test");
        }
        let first = QueueId { message: MessageId(window + 1), number: 0 };
        assert_eq!(scene.board.take_hungry(NOW), Some((vec!["mx a.test".into()], (Timestamp(8), first))));
        assert_eq!(scene.board.take_hungry(NOW), None);
    }

    #[test]
    fn a_destination_in_trouble_postpones_what_was_due_and_is_tried_by_one_at_a_time() {
        let mut scene = Scene::new(8, 8);
        scene.offer("a.test", 10, NOW.0);
        scene.staff();
        scene.fail("a.test", NOW);
        scene.seats.clear();
        assert_eq!(scene.staff(), [], "what was ready is given back");
        let until = NOW.plus_ms(60_000);
        assert_eq!(scene.offer("a.test", 1, NOW.0), Offered::Postpone(until));
        // What has become due since may try again, soon, alone.
        let soon = NOW.plus_ms(limits::TROUBLE_PROBE_MS);
        assert_eq!(scene.offer_at("a.test", 1, NOW.0 + 1, NOW.plus_ms(2)), Offered::Later);
        assert_eq!(scene.offer_at("a.test", 1, NOW.0 + 1, soon), Offered::Taken);
        assert_eq!(scene.offer_at("a.test", 1, NOW.0 + 1, soon), Offered::Later);
        assert_eq!(scene.staff(), [("a.test".into(), 1)]);
        // A failure within the pause does not make it longer; one behind it does.
        scene.fail("a.test", soon);
        scene.seats.clear();
        assert_eq!(scene.offer_at("a.test", 1, NOW.0, soon), Offered::Postpone(until));
        assert_eq!(scene.offer_at("a.test", 1, NOW.0, until), Offered::Taken);
        scene.staff();
        scene.fail("a.test", until);
        assert_eq!(scene.offer_at("a.test", 1, until.0, until), Offered::Postpone(until.plus_ms(120_000)));
        // An answer ends it.
        scene.board.answered("mx a.test", 0);
        scene.seats.clear();
        assert_eq!(scene.offer_at("a.test", 5, until.0, until), Offered::Taken);
    }

    #[test]
    fn recipients_of_a_message_go_together_up_to_what_every_server_takes() {
        let (board, claims) = (Arc::new(Board::new(8, 8)), Claims::default());
        let address: Address = "b@a.test".parse().unwrap();
        let way = Way::Mx(address.host.clone());
        for number in 0..250 {
            let id = QueueId { message: MessageId(1), number };
            let offer = || [(way.clone(), Due { id, address: address.clone(), at: NOW })];
            assert_eq!(board.offer(&offer(), &claims, NOW), [Offered::Taken]);
            assert_eq!(board.offer(&offer(), &claims, NOW), [Offered::Later]);
        }
        let sizes: Vec<usize> =
            std::iter::from_fn(|| board.next("mx a.test")).map(|bundle| bundle.recipients.len()).collect();
        assert_eq!(sizes, [100, 100, 50]);
        assert!(!claims.has(QueueId { message: MessageId(1), number: 0 }), "what is dropped is free");
    }
}
