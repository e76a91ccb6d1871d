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
pub(super) struct Due<'a> {
    pub(super) id: QueueId,
    pub(super) address: &'a Address,
    pub(super) at: Timestamp,
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

    /// Takes an entry in when there is room, and remembers where the first stood that found none.
    pub(super) fn offer(&self, way: &Way, due: &Due<'_>, claims: &Claims, now: Timestamp) -> Offered {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let key = way.key();
        let is_full = inner.entries >= limits::WINDOWS_ENTRIES;
        if inner.destinations.len() >= limits::DESTINATIONS && !inner.destinations.contains_key(&key) {
            let place = (due.at, due.id);
            inner.passed_over = Some(inner.passed_over.map_or(place, |first| first.min(place)));
            return Offered::Later;
        }
        let destination = inner.destinations.entry(key).or_insert_with(|| Destination::new(way.clone()));
        // A route's login or TLS may have changed.
        destination.way.clone_from(way);
        let offered = match destination.judge(due.at, now) {
            Offered::Taken if is_full && destination.entries > 0 => Offered::Later,
            offered => offered,
        };
        match offered {
            Offered::Taken => {
                let Some(claim) = claims.claim(due.id) else { return Offered::Later };
                destination.push(Recipient { id: due.id, address: due.address.clone(), _claim: claim });
                inner.entries += 1;
            }
            Offered::Later => destination.pass_over((due.at, due.id)),
            Offered::Postpone(_) => {}
        }
        offered
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
        needy.min_by_key(|(_, destination)| destination.sessions).map(|(key, _)| key.clone())
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
    pub(super) fn failed(&self, key: &str, attempt: Attempt, policy: &Policy, jitter: u32, now: Timestamp) {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let Some(destination) = inner.destinations.get_mut(key) else { return };
        // Sessions that had begun before the last failure say nothing new.
        let failures = match &destination.trouble {
            Some(trouble) if now < trouble.again_at => trouble.failures,
            Some(trouble) => trouble.failures.saturating_add(1),
            None => 1,
        };
        let pause_ms = policy.next(now, failures, jitter).ms_since(now).min(limits::TROUBLE_MS);
        destination.trouble = Some(Trouble {
            failures,
            at: now,
            again_at: now.plus_ms((pause_ms / 2).min(limits::TROUBLE_PROBE_MS)),
            until: now.plus_ms(pause_ms),
            attempt,
        });
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
        let waiting = inner.destinations.values().filter(|destination| destination.passed_over.is_some());
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
