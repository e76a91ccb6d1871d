use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::claims::Claims;
use super::destination::{Destination, Offered, Place, Trouble};
use super::lanes::{Bundle, Hungry, Recipient, Turn};
use super::pace::{Entered, Pace};
use super::seat::Seat;
use super::turns::Turns;
use super::way::Way;
use crate::base::{Address, MessageId, QueueId, Timestamp, limits};
use crate::queue::{Attempt, Policy};

/// What is known of all destinations at the moment, and who is dialled next. Bounded: what has no room here waits in the
/// file. Pure but for the lock: the clock is passed in.
#[derive(Debug)]
pub(super) struct Board {
    inner: Mutex<Inner>,
    urges: Urges,
    /// A session has ended, or there is room.
    pub(super) changed: Notify,
    /// There is a place for a session that waits for one.
    pub(super) place: Notify,
    connections_max: usize,
    per_destination_max: usize,
}

/// How often somebody wanted mail tried now, also where nobody could be reached a moment ago. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Urges(Arc<AtomicU64>);

impl Urges {
    /// Once more. From here on nobody acts on what was known before.
    pub(super) fn add(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

#[derive(Debug, Default)]
struct Inner {
    /// The urges that were heeded.
    urges: u64,
    destinations: HashMap<String, Destination>,
    /// Whose turn it is.
    turns: Turns,
    /// Entries in all windows, and of each sender.
    entries: usize,
    senders: HashMap<String, usize>,
    /// Places that are taken, by sessions that speak.
    places: usize,
    /// Sessions without a place: they wait for somebody to answer.
    aside: usize,
    /// Of these, the ones that were answered, and wait for a place.
    returning: usize,
    /// The servers that destinations have been found to have.
    sites: HashMap<String, Pace>,
    /// Servers that are tried last, and until when.
    resting: HashMap<SocketAddr, Timestamp>,
    /// The first entry for which there was no room in all.
    passed_over: Option<Place>,
    /// Nobody is dialled.
    is_paused: bool,
}

/// An entry that is due.
pub(super) struct Due {
    pub(super) id: QueueId,
    pub(super) address: Address,
    pub(super) at: Timestamp,
    pub(super) turn: Turn,
}

/// A session that reached nobody.
pub(super) struct Broken {
    pub(super) attempt: Attempt,
    /// When it began.
    pub(super) began: Timestamp,
    /// The urges that had been heeded then, of its [`Seat`].
    pub(super) urges: u64,
    pub(super) now: Timestamp,
    pub(super) jitter: u32,
}

/// What is looked for in the schedule: for each destination, of whom, and from where on.
pub(super) type Wanted = BTreeMap<String, (Hungry, Place)>;

impl Board {
    pub(super) fn new(connections_max: usize, per_destination_max: usize, urges: Urges) -> Self {
        Self {
            inner: Mutex::default(),
            urges,
            changed: Notify::new(),
            place: Notify::new(),
            connections_max: connections_max.max(1),
            per_destination_max: per_destination_max.max(1),
        }
    }

    /// Whoever looks first behind an urge forgets who could not be reached: mail that was made due with it is never put off
    /// for what was known before.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let urges = self.urges.0.load(Ordering::Acquire);
        if std::mem::replace(&mut inner.urges, urges) != urges {
            inner.forgive();
        }
        inner
    }

    /// Takes entries in where there is room, and remembers where the first stood that found none. All at once: no session
    /// may come between two recipients of a message.
    pub(super) fn offer(&self, offers: &[(Way, Due)], claims: &Claims, now: Timestamp) -> Vec<Offered> {
        let mut inner = self.lock();
        offers.iter().map(|(way, due)| inner.offer(way, due, claims, now)).collect()
    }

    /// The sessions to begin now: destinations that have few go first, among these the sender whose turn it is, and the
    /// last quarter of all places is for destinations that have none, so that some slow ones can't take everything. Where
    /// nobody has answered yet a session begins without a place: dead hosts keep none from those that answer.
    pub(super) fn staff(self: &Arc<Self>, now: Timestamp) -> Vec<(Seat, Way, Bundle)> {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let mut started = Vec::new();
        while let Some(key) = self.neediest(inner, now) {
            let Some(bundle) = inner.pop(&key) else { break };
            let Some(destination) = inner.destinations.get_mut(&key) else { break };
            let is_first = destination.is_first();
            let others = destination.sessions;
            destination.sessions += 1;
            let way = destination.way.clone();
            let mut seat = Seat::new(key, Arc::clone(self), inner.urges);
            if let Some(site) = destination.site.clone()
                && let Some(pace) = inner.sites.get_mut(&site)
                && pace.enter(now) == Entered::Yes
            {
                seat.site = Some(site);
            }
            let is_aside = is_first && self.has_room_aside(inner, others);
            *if is_aside { &mut inner.aside } else { &mut inner.places } += 1;
            seat.is_aside = is_aside;
            started.push((seat, way, bundle));
        }
        started
    }

    fn neediest(&self, inner: &Inner, now: Timestamp) -> Option<String> {
        // Who was answered goes before who has not begun.
        let free = self.connections_max.saturating_sub(inner.places + inner.returning);
        let (has_aside, has_second) = (self.has_room_aside(inner, 0), self.has_room_aside(inner, 1));
        if free == 0 && !has_aside || inner.is_paused {
            return None;
        }
        let needy = inner.destinations.iter().filter(|(_, destination)| {
            let reserved = match (&destination.trouble, destination.sessions) {
                // What may wait for a time-out takes at most half of all places; of those of whom nobody knows anything there
                // may be many, and they take a quarter.
                (Some(_), _) => self.connections_max / 2,
                (None, 0) if !destination.is_known => self.connections_max - self.connections_max / 4,
                (None, _) if !destination.is_known => self.connections_max,
                (None, 0) => 0,
                (None, _) => self.connections_max / 4,
            };
            let site = destination.site.as_ref().and_then(|site| inner.sites.get(site));
            let has_aside = if destination.sessions == 0 { has_aside } else { has_second };
            !destination.ready.is_empty()
                && destination.sessions < destination.limit.min(self.per_destination_max)
                && (free > reserved || has_aside && destination.is_first())
                // Where nobody can be reached, who asks is put off.
                && site.is_none_or(|pace| pace.has_room(now) || pace.is_broken())
        });
        // Among equals, whose turn it is; then whose mail came first.
        let first = |destination: &Destination| destination.ready.first(&inner.turns);
        needy.min_by_key(|(_, destination)| (destination.sessions, first(destination))).map(|(key, _)| key.clone())
    }

    /// Whether a destination that has so many sessions may have one more without a place: not where as many as there are
    /// places were answered and wait for theirs. Half of the room is for first sessions: one finds a dead host as well as two.
    fn has_room_aside(&self, inner: &Inner, others: usize) -> bool {
        let room = if others == 0 { limits::SESSIONS_ASIDE } else { limits::SESSIONS_ASIDE / 2 };
        inner.aside < room && inner.returning < self.connections_max
    }

    /// The next bundle for a session of that destination.
    pub(super) fn next(&self, key: &str) -> Option<Bundle> {
        let mut inner = self.lock();
        if inner.is_paused {
            return None;
        }
        let bundle = inner.pop(key)?;
        let destination = inner.destinations.get(key)?;
        if destination.ready.has_passed_over() && destination.ready.len() <= limits::WINDOW_ENTRIES / 4 {
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
        inner.entries += bundle.recipients.len();
        *inner.senders.entry(bundle.turn.sender.clone()).or_default() += bundle.recipients.len();
        destination.ready.put_back(bundle);
    }

    /// The servers of a destination are known: whether a session with them may begin.
    pub(super) fn enter(&self, seat: &mut Seat, site: String, now: Timestamp) -> Entered {
        let mut inner = self.lock();
        let inner = &mut *inner;
        match seat.site.take() {
            // It was begun for these.
            Some(known) if known == site => {
                seat.site = Some(known);
                return Entered::Yes;
            }
            Some(other) => inner.sites.get_mut(&other).into_iter().for_each(Pace::leave),
            None => {}
        }
        let entered = inner.sites.entry(site.clone()).or_insert_with(Pace::new).enter(now);
        if let Some(destination) = inner.destinations.get_mut(&seat.key) {
            destination.site = Some(site.clone());
        }
        if entered == Entered::Yes {
            seat.site = Some(site);
        }
        entered
    }

    /// Whether nobody of the destination has answered yet, nor was tried in vain.
    pub(super) fn is_first(&self, key: &str) -> bool {
        let inner = self.lock();
        inner.destinations.get(key).is_none_or(Destination::is_first)
    }

    /// A server of the destination has answered: what was wrong is over, and so many more sessions may run.
    pub(super) fn answered(&self, key: &str, delivered: usize) {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let Some(destination) = inner.destinations.get_mut(key) else { return };
        if let Some(pace) = destination.site.as_ref().and_then(|site| inner.sites.get_mut(site)) {
            pace.answered(delivered, self.per_destination_max);
        }
        let is_new = !std::mem::replace(&mut destination.is_known, true);
        let had_trouble = destination.trouble.take().is_some();
        let limit = destination.limit.saturating_add(delivered).min(self.per_destination_max);
        let grew = std::mem::replace(&mut destination.limit, limit) < limit;
        let has_more = is_new && destination.ready.has_passed_over();
        if had_trouble || has_more || grew && !destination.ready.is_empty() {
            self.changed.notify_one();
        }
    }

    /// The destination has put mail off, or was silent for too long: half as many sessions may run.
    pub(super) fn slowed(&self, key: &str) {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let Some(destination) = inner.destinations.get_mut(key) else { return };
        destination.limit = (destination.limit / 2).max(1);
        if let Some(pace) = destination.site.as_ref().and_then(|site| inner.sites.get_mut(site)) {
            pace.slowed();
        }
    }

    /// A server wants to be left alone for a while, or does not answer: it is tried last. `urges`: those that had been heeded
    /// when the session began, or `None` where the server has said so itself; whether it is not forgiven meanwhile.
    pub(super) fn rest(&self, server: SocketAddr, until: Timestamp, now: Timestamp, urges: Option<u64>) -> bool {
        let mut inner = self.lock();
        if urges.is_some_and(|urges| urges != inner.urges) {
            return false;
        }
        if inner.resting.len() >= limits::RESTING_SERVERS {
            inner.resting.retain(|_, until| *until > now);
        }
        if inner.resting.len() < limits::RESTING_SERVERS {
            inner.resting.insert(server, until);
        }
        true
    }

    /// Whether that server is to be tried last.
    pub(super) fn rests(&self, server: SocketAddr, now: Timestamp) -> bool {
        self.lock().resting.get(&server).is_some_and(|until| *until > now)
    }

    /// Nobody at the destination could be reached: what is ready goes back, to be postponed. `site`: the servers that
    /// were tried, where any were.
    pub(super) fn failed(&self, key: &str, site: Option<&str>, broken: Broken, policy: &Policy) {
        let Broken { attempt, began, urges, now, jitter } = broken;
        let mut inner = self.lock();
        let inner = &mut *inner;
        // What it found is forgiven.
        if urges != inner.urges {
            self.changed.notify_one();
            return;
        }
        if let Some(pace) = site.and_then(|site| inner.sites.get_mut(site)) {
            pace.unreached(now, attempt.clone());
        }
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
        let at = destination.trouble.as_ref().map_or(began, |trouble| trouble.at.max(began)).min(now);
        destination.trouble = Some(Trouble { failures, at, again_at, until, attempt });
        destination.limit = 1;
        let ready = std::mem::take(&mut destination.ready);
        if !ready.is_empty() || ready.has_passed_over() {
            // All of them are due: to be looked at again from the first on.
            destination.ready.pass_all_over(FIRST);
        }
        inner.entries -= ready.len();
        for (sender, entries) in ready.counts() {
            count_off(&mut inner.senders, sender, entries);
        }
        self.changed.notify_one();
    }

    /// What happened last at a destination that can't be reached.
    pub(super) fn trouble(&self, key: &str) -> Option<Attempt> {
        self.lock().destinations.get(key)?.trouble.as_ref().map(|trouble| trouble.attempt.clone())
    }

    /// Dials nobody, or goes on: what is being sent goes on to its end.
    pub(super) fn pause(&self, is_paused: bool) {
        self.lock().is_paused = is_paused;
    }

    /// Lets go of what is ready: the routes have changed.
    pub(super) fn clear(&self) {
        let mut inner = self.lock();
        inner.entries = 0;
        inner.senders.clear();
        for destination in inner.destinations.values_mut() {
            destination.ready = Default::default();
            destination.trouble = None;
        }
        inner.destinations.retain(|_, destination| !destination.is_idle());
    }

    /// The destinations with room for what found none, and where the first of that stands; it counts as looked at, and
    /// what comes of it is to be [said](Self::looked).
    pub(super) fn take_hungry(&self, now: Timestamp) -> Option<(Wanted, Place)> {
        let mut inner = self.lock();
        if inner.entries >= limits::WINDOWS_ENTRIES || inner.is_paused {
            return None;
        }
        let inner = &mut *inner;
        let (free, senders) = (limits::WINDOWS_ENTRIES - inner.entries, &inner.senders);
        let has_share = |sender: &str| senders.get(sender).copied().unwrap_or(0) < free;
        let (mut wanted, mut from) = (Wanted::new(), None::<Place>);
        for (key, destination) in &mut inner.destinations {
            if let Some(is_one) = destination.may_try(now)
                && let Some((hungry, place)) = destination.ready.take_hungry(is_one, has_share)
            {
                destination.is_looked_for = true;
                wanted.insert(key.clone(), (hungry, place));
                from = Some(from.map_or(place, |from| from.min(place)));
            }
        }
        Some((wanted, from?))
    }

    /// Whether none of these has room for more.
    pub(super) fn is_sated(&self, wanted: &Wanted) -> bool {
        let inner = self.lock();
        inner.entries >= limits::WINDOWS_ENTRIES
            || wanted.iter().all(|(key, (hungry, _))| {
                inner.destinations.get(key).is_some_and(|destination| destination.ready.is_sated(hungry))
            })
    }

    /// The look for these has ended. `left`: where it came no further than to that place, so that they are to be looked for
    /// behind it, and none of them before where it has been looked at already.
    pub(super) fn looked(&self, wanted: &Wanted, left: Option<Place>) {
        let mut inner = self.lock();
        for (key, (hungry, from)) in wanted {
            let Some(destination) = inner.destinations.get_mut(key) else { continue };
            destination.is_looked_for = false;
            let Some(place) = left.map(|left| left.max(*from)) else { continue };
            match hungry.senders() {
                Some(senders) => senders.iter().for_each(|sender| destination.ready.pass_over(sender, place)),
                None => destination.ready.pass_all_over(place),
            }
        }
    }

    /// Where what found no room in all begins, once there is some.
    pub(super) fn take_overflow(&self) -> Option<Place> {
        let mut inner = self.lock();
        let has_room = inner.destinations.len() < limits::DESTINATIONS / 2
            && inner.entries <= limits::WINDOWS_ENTRIES / 4
            && !inner.is_paused;
        if has_room { inner.passed_over.take() } else { None }
    }

    /// When a destination in trouble may be tried again by what waits for that.
    pub(super) fn next_try(&self) -> Option<Timestamp> {
        let inner = self.lock();
        // While one tries, or waits for its place to try, the end of a session wakes us.
        let waits = |destination: &&Destination| {
            destination.sessions == 0 && destination.ready.is_empty() && destination.ready.has_passed_over()
        };
        let waiting = inner.destinations.values().filter(waits);
        waiting.filter_map(|destination| destination.trouble.as_ref().map(|trouble| trouble.again_at)).min()
    }

    /// Forgets destinations of which there is nothing to know.
    pub(super) fn tidy(&self, now: Timestamp) {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let is_stale = |destination: &Destination| {
            let over =
                destination.trouble.as_ref().is_some_and(|trouble| now > trouble.until.plus_ms(limits::TROUBLE_MS));
            let is_quiet = destination.sessions == 0 && destination.ready.is_empty() && !destination.is_looked_for;
            over && is_quiet && !destination.ready.has_passed_over()
        };
        inner.destinations.retain(|_, destination| !destination.is_idle() && !is_stale(destination));
        if inner.destinations.len() >= limits::DESTINATIONS / 2 {
            // Rather dial one that does not answer once more than have no room for one that does.
            let is_busy = |destination: &Destination| destination.sessions > 0 || !destination.ready.is_empty();
            inner.destinations.retain(|_, destination| is_busy(destination) || destination.is_looked_for);
        }
        let known: HashSet<&str> = inner.destinations.values().filter_map(|one| one.site.as_deref()).collect();
        inner.sites.retain(|site, pace| known.contains(site.as_str()) || !pace.is_idle(now));
        if inner.sites.len() >= limits::DESTINATIONS {
            inner.sites.retain(|_, pace| !pace.is_idle(now));
        }
        inner.resting.retain(|_, until| *until > now);
    }

    /// A session waits for somebody to answer: whether it has given its place to another meanwhile.
    pub(super) fn step_aside(&self) -> bool {
        let mut inner = self.lock();
        if inner.aside >= limits::SESSIONS_ASIDE {
            return false;
        }
        inner.aside += 1;
        inner.places -= 1;
        self.freed(&inner);
        true
    }

    /// It was answered: whether it has a place again. `waits`: it has asked before.
    pub(super) fn step_back(&self, waits: bool) -> bool {
        let mut inner = self.lock();
        if inner.places >= self.connections_max {
            inner.returning += usize::from(!waits);
            return false;
        }
        inner.returning -= usize::from(waits);
        inner.aside -= 1;
        inner.places += 1;
        true
    }

    /// A session has ended.
    pub(super) fn leave(&self, seat: &Seat) {
        let mut inner = self.lock();
        let inner = &mut *inner;
        inner.returning -= usize::from(seat.is_returning);
        *if seat.is_aside { &mut inner.aside } else { &mut inner.places } -= 1;
        if let Some(pace) = seat.site.as_ref().and_then(|site| inner.sites.get_mut(site)) {
            pace.leave();
        }
        if let Some(destination) = inner.destinations.get_mut(&seat.key) {
            destination.sessions -= 1;
            if destination.is_idle() {
                inner.destinations.remove(&seat.key);
            }
        }
        self.freed(inner);
    }

    /// There may be room for somebody.
    fn freed(&self, inner: &Inner) {
        if inner.returning > 0 {
            self.place.notify_one();
        }
        self.changed.notify_one();
    }
}

/// Before every place.
const FIRST: Place = (Timestamp(0), QueueId { message: MessageId(0), number: 0 });

impl Inner {
    /// Forgets who could not be reached.
    fn forgive(&mut self) {
        self.resting.clear();
        self.sites.values_mut().for_each(Pace::forgive);
        for destination in self.destinations.values_mut() {
            destination.trouble = None;
        }
        self.destinations.retain(|_, destination| !destination.is_idle());
    }

    fn offer(&mut self, way: &Way, due: &Due, claims: &Claims, now: Timestamp) -> Offered {
        let (key, place) = (way.key(), (due.at, due.id));
        let is_known = self.destinations.contains_key(&key);
        // As in a window: of all that is ready a sender has at most as much as is free behind it.
        let free = limits::WINDOWS_ENTRIES.saturating_sub(self.entries);
        let has_share = self.senders.get(&due.turn.sender).copied().unwrap_or(0) < free;
        if !is_known && (self.destinations.len() >= limits::DESTINATIONS || !has_share && free > 0) {
            self.passed_over = Some(self.passed_over.map_or(place, |first| first.min(place)));
            return Offered::Later;
        }
        let destination = self.destinations.entry(key).or_insert_with(|| Destination::new(way.clone()));
        // A route's login or TLS may have changed.
        destination.way.clone_from(way);
        let offered = match destination.judge(&due.turn, place, now) {
            Offered::Taken if !has_share && !destination.ready.is_empty() => Offered::Later,
            offered => offered,
        };
        match offered {
            Offered::Taken => {
                let Some(claim) = claims.claim(due.id) else { return Offered::Later };
                let recipient = Recipient { id: due.id, address: due.address.clone(), _claim: claim };
                destination.ready.push(&due.turn, recipient);
                self.entries += 1;
                *self.senders.entry(due.turn.sender.clone()).or_default() += 1;
            }
            Offered::Later => destination.ready.pass_over(&due.turn.sender, place),
            Offered::Postpone(_) => {}
        }
        offered
    }

    fn pop(&mut self, key: &str) -> Option<Bundle> {
        let bundle = self.destinations.get_mut(key)?.ready.pop(&self.turns)?;
        let Turn { sender, priority } = &bundle.turn;
        self.entries -= bundle.recipients.len();
        count_off(&mut self.senders, sender, bundle.recipients.len());
        self.turns.served(sender, bundle.recipients.len(), *priority);
        Some(bundle)
    }
}

/// So many entries of a sender are in no window any more.
fn count_off(senders: &mut HashMap<String, usize>, sender: &str, entries: usize) {
    if let Some(count) = senders.get_mut(sender) {
        *count = count.saturating_sub(entries);
        if *count == 0 {
            senders.remove(sender);
        }
    }
}

#[cfg(test)]
#[path = "board_tests.rs"]
mod tests;
