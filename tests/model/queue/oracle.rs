//! What the queue should hold: maps, and the rules once more, written another way.

use std::collections::{BTreeMap, BTreeSet};

use pillarbox::base::{Address, MessageId, QueueId, RcptOptions, Timestamp};
use pillarbox::queue::{
    Action, Attempt, Entry, Fate, Flushed, Notify, OpenRefused, Outcome, Policy, Refused, Selector, Stage, State,
    Verdict, Words,
};
use pillarbox::trace::Kind;

/// When the attempts of the model begin: nothing depends on it.
pub const OPENED_AT: Timestamp = Timestamp(1_795_341_000_000);
/// When what is held is due.
pub const NEVER: Timestamp = Timestamp(u64::MAX);

/// A message, for as long as it has entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    pub sender: Option<Address>,
    pub notify: Notify,
    pub head: Vec<u8>,
    pub body: Vec<u8>,
    pub at: Timestamp,
}

/// The queue.
#[derive(Debug, Clone, Default)]
pub struct Oracle {
    pub now: Timestamp,
    pub entries: BTreeMap<QueueId, Entry>,
    pub open: BTreeSet<QueueId>,
    pub messages: BTreeMap<MessageId, Sent>,
    /// What became of the entries that are gone.
    pub ends: BTreeMap<QueueId, Fate>,
    pub dropped: BTreeSet<QueueId>,
    /// What the trace tells of each message that ever was.
    pub stories: BTreeMap<MessageId, Vec<Kind>>,
    /// The reports that the sender who has an account here was sent, and those that the postmaster was: of whom.
    pub reports: [Vec<BTreeSet<String>>; 2],
}

impl Oracle {
    pub fn enqueue(&mut self, id: MessageId, sent: Sent, recipients: &[Address]) -> Vec<QueueId> {
        let life_s = if sent.sender.is_some() { 3600 } else { 1800 };
        let ids = (0..).zip(recipients).map(|(number, recipient)| {
            let entry = Entry {
                recipient: recipient.clone(),
                original: None,
                state: State::Waiting { released: false },
                due: self.now,
                expires_at: self.now.plus_ms(life_s * 1000),
                attempts: 0,
                delay_told: false,
                last: None,
                via: None,
                options: RcptOptions::default(),
            };
            let id = QueueId { message: id, number };
            self.entries.insert(id, entry);
            id
        });
        let ids = ids.collect();
        self.messages.insert(id, sent);
        self.stories.insert(id, Vec::new());
        ids
    }

    pub fn open(&mut self, ids: &[QueueId]) -> Result<(), OpenRefused> {
        for id in ids {
            if self.open.contains(id) {
                return Err(OpenRefused::InFlight(*id));
            }
            match self.entries.get(id).map(|entry| &entry.state) {
                None | Some(State::Held { .. }) => return Err(OpenRefused::Changed(*id)),
                Some(_) => {}
            }
        }
        self.open.extend(ids);
        Ok(())
    }

    pub fn settle(&mut self, outcomes: &[Outcome], jitter: u32) -> Result<Vec<(QueueId, Fate)>, Refused> {
        for Outcome { entry, .. } in outcomes.iter().filter(|outcome| is_bounce(outcome)) {
            if self.open.contains(entry) {
                return Err(Refused::InFlight(*entry));
            }
            if !self.entries.contains_key(entry) {
                return Err(Refused::Gone(*entry));
            }
        }
        let (mut fates, mut told) = (Vec::new(), BTreeSet::new());
        for outcome in outcomes.iter() {
            let Some(mut entry) = self.entries.remove(&outcome.entry) else { continue };
            let was_open = self.open.remove(&outcome.entry);
            let fate = self.fate(&entry, outcome, jitter);
            let story = self.stories.get_mut(&outcome.entry.message).expect("it has a story");
            let attempt = &outcome.attempt;
            let is_lost = attempt.stage == Stage::End && attempt.words.code.is_none();
            if was_open && is_lost && outcome.verdict == Verdict::Deferred {
                story.push(Kind::Uncertain);
            }
            story.push(match fate {
                Fate::Delivered { .. } => Kind::Relayed,
                Fate::Deferred { .. } => Kind::Deferred,
                Fate::Failed => Kind::Failed,
                Fate::Expired => Kind::Expired,
            });
            if matches!(fate, Fate::Failed | Fate::Expired | Fate::Deferred { tell: true, .. }) {
                told.insert((entry.recipient.to_string(), !matches!(fate, Fate::Deferred { .. })));
            }
            if let Fate::Deferred { until, tell } = fate {
                entry.due = until;
                entry.attempts += u32::from(attempt.stage != Stage::Queue);
                entry.delay_told |= tell;
                entry.last = Some(attempt.clone());
                if entry.state == (State::Waiting { released: true }) {
                    entry.state = State::Waiting { released: false };
                }
                self.entries.insert(outcome.entry, entry);
            } else {
                self.ends.insert(outcome.entry, fate);
            }
            fates.push((outcome.entry, fate));
        }
        if let Some((id, _)) = fates.first() {
            self.report(id.message, told);
        }
        self.forget_empty();
        Ok(fates)
    }

    /// Sends a report, of everybody of whom there is something to tell, with whether it is the end.
    fn report(&mut self, id: MessageId, told: BTreeSet<(String, bool)>) {
        if told.is_empty() {
            return;
        }
        let reader = usize::from(self.messages[&id].notify == Notify::Postmaster);
        let story = self.stories.get_mut(&id).expect("it has a story");
        if told.iter().any(|(_, is_end)| !is_end) {
            story.push(Kind::Delayed);
        }
        if told.iter().any(|(_, is_end)| *is_end) {
            story.push(Kind::Bounced);
        }
        self.reports[reader].push(told.into_iter().map(|(recipient, _)| recipient).collect());
    }

    fn fate(&self, entry: &Entry, outcome: &Outcome, jitter: u32) -> Fate {
        let was_tried = outcome.attempt.stage != Stage::Queue;
        if outcome.verdict == Verdict::Delivered {
            return Fate::Delivered { passed_on: outcome.passed_on };
        }
        if let State::Held { .. } = entry.state {
            return if is_bounce(outcome) { Fate::Failed } else { Fate::Deferred { until: entry.due, tell: false } };
        }
        if outcome.verdict == Verdict::Failed {
            return Fate::Failed;
        }
        if let State::Parked { .. } = entry.state {
            let is_over = self.now >= entry.due;
            return if is_over { Fate::Expired } else { Fate::Deferred { until: entry.due, tell: false } };
        }
        if was_tried && self.now >= entry.expires_at {
            return Fate::Expired;
        }
        let failed = entry.attempts + u32::from(was_tried);
        let pause_s = if failed <= 1 { 60 } else { 600 };
        let until = self.now.plus_ms(pause_s * 1000 * u64::from(9000 + jitter) / 10_000);
        let sent = &self.messages[&outcome.entry.message];
        let is_late = self.now.ms() >= sent.at.ms() + 700_000;
        Fate::Deferred { until, tell: was_tried && is_late && !entry.delay_told && sent.notify == Notify::Sender }
    }

    pub fn act(&mut self, ids: &[QueueId], action: &Action) -> Result<(), Refused> {
        for id in ids {
            let Some(entry) = self.entries.get(id) else { return Err(Refused::Gone(*id)) };
            if self.open.contains(id) {
                return Err(Refused::InFlight(*id));
            }
            let is_held = matches!(entry.state, State::Held { .. });
            if (is_held && *action == Action::Retry) || (!is_held && *action == Action::Release) {
                return Err(Refused::State(*id));
            }
        }
        for id in ids {
            let entry = self.entries.get_mut(id).expect("it was there");
            let kind = match action {
                Action::Retry => {
                    (entry.state, entry.due) = (State::Waiting { released: true }, self.now);
                    Kind::Retried
                }
                Action::Hold { reason, until } => {
                    let due = until.unwrap_or(NEVER);
                    (entry.state, entry.due) = (State::Held { reason: reason.clone() }, due);
                    Kind::Held
                }
                Action::Redirect { to, via } => {
                    if let Some(to) = to {
                        let was = std::mem::replace(&mut entry.recipient, to.clone());
                        entry.original.get_or_insert(was);
                    }
                    entry.via.clone_from(via);
                    if !is_held_now(entry) {
                        (entry.state, entry.due) = (State::Waiting { released: false }, self.now);
                    }
                    Kind::Redirected
                }
                Action::Release => {
                    (entry.state, entry.due) = (State::Waiting { released: false }, self.now);
                    Kind::Released
                }
                Action::Drop => {
                    self.entries.remove(id);
                    self.dropped.insert(*id);
                    Kind::Dropped
                }
            };
            self.tell(*id, kind);
        }
        self.forget_empty();
        Ok(())
    }

    pub fn flush(&mut self, selector: &Selector, after: Option<QueueId>, limit: usize) -> Flushed {
        let is_looked_at = |(id, entry): &(&QueueId, &Entry)| {
            let is_behind = after.is_none_or(|after| **id > after);
            let is_there = match selector {
                Selector::All => true,
                Selector::Domain(domain) => entry.recipient.host.to_string() == domain.as_str(),
                Selector::Sender(wanted) => self.messages[&id.message].sender == *wanted,
                Selector::Peer(wanted) => matches!(&entry.state, State::Parked { peer } if peer == wanted),
            };
            is_behind && is_there
        };
        let slice: Vec<QueueId> = self.entries.iter().filter(is_looked_at).map(|(id, _)| *id).take(limit).collect();
        let next = slice.last().copied().filter(|_| slice.len() == limit);
        let mut count = 0;
        let mut messages: Vec<MessageId> = after.iter().map(|after| after.message).collect();
        let told = messages.len();
        for id in slice {
            let entry = self.entries.get_mut(&id).expect("it was there");
            let before = entry.clone();
            let frees = match (&entry.state, selector) {
                (State::Parked { peer }, Selector::Peer(wanted)) => peer == wanted,
                (State::Waiting { .. } | State::Parked { .. }, Selector::Domain(_)) => true,
                _ => false,
            };
            let hurries = matches!(entry.state, State::Waiting { .. }) && !matches!(selector, Selector::Peer(_));
            if self.open.contains(&id) || !(frees || hurries) {
                continue;
            }
            count += 1;
            messages.push(id.message);
            if frees {
                entry.state = State::Waiting { released: true };
            }
            entry.due = self.now;
            if *entry != before {
                self.tell(id, Kind::Retried);
            }
        }
        messages.dedup();
        Flushed { count, messages: (messages.len() - told) as u64, next }
    }

    /// When an entry is due; now where there is none.
    pub fn due_of(&self, id: QueueId) -> Timestamp {
        self.entries.get(&id).map_or(self.now, |entry| entry.due)
    }

    pub fn postpone(&mut self, seen: &[(QueueId, Timestamp)], until: Timestamp) {
        for (id, due) in seen.iter().filter(|(id, _)| !self.open.contains(id)) {
            if let Some(entry) = self.entries.get_mut(id).filter(|entry| entry.due == *due)
                && matches!(entry.state, State::Waiting { .. })
            {
                entry.due = entry.due.max(until);
            }
        }
    }

    pub fn hold_by_rule(&mut self, id: QueueId, reason: &str) {
        let Some(entry) = self.entries.get_mut(&id).filter(|_| !self.open.contains(&id)) else { return };
        if entry.state == (State::Waiting { released: false }) {
            (entry.state, entry.due) = (State::Held { reason: reason.to_owned() }, NEVER);
            self.tell(id, Kind::Held);
        }
    }

    pub fn park(&mut self, ids: &[QueueId], peer: Option<&str>) {
        for id in ids.iter().filter(|id| !self.open.contains(id)).copied().collect::<Vec<_>>() {
            let Some(entry) = self.entries.get_mut(&id) else { continue };
            match (&entry.state, peer) {
                (State::Waiting { released: false }, Some(peer)) => {
                    let end = self.messages[&id.message].at.plus_ms(7_200_000);
                    (entry.state, entry.due) = (State::Parked { peer: peer.into() }, end);
                    entry.expires_at = entry.expires_at.max(end);
                    self.tell(id, Kind::Parked);
                }
                (State::Parked { .. }, None) => {
                    (entry.state, entry.due) = (State::Waiting { released: false }, self.now);
                    self.tell(id, Kind::Released);
                }
                _ => {}
            }
        }
    }

    /// What came in later than now came in now; what waits for too long waits for its pause.
    pub fn recall(&mut self, id: MessageId) {
        let (now, open) = (self.now, &self.open);
        let Some(sent) = self.messages.get_mut(&id) else { return };
        let came = sent.at;
        sent.at = came.min(now);
        let sooner = |at: Timestamp| Timestamp(at.ms() - came.ms().saturating_sub(now.ms()));
        for (id, entry) in self.entries.iter_mut().filter(|(entry, _)| entry.message == id) {
            entry.expires_at = sooner(entry.expires_at);
            let (pause_s, longest_s) = match entry.attempts {
                0 => (0, 600),
                1 => (60, 600),
                _ => (600, 660),
            };
            match entry.state {
                State::Parked { .. } => entry.due = sooner(entry.due),
                State::Waiting { .. } if !open.contains(id) && entry.due > now.plus_ms(longest_s * 1000) => {
                    entry.due = now.plus_ms(pause_s * 1000);
                }
                _ => {}
            }
        }
    }

    pub fn end_hold(&mut self, ids: &[QueueId]) {
        for id in ids {
            let Some(entry) = self.entries.get_mut(id) else { continue };
            if is_held_now(entry) && entry.due <= self.now && !self.open.contains(id) {
                (entry.state, entry.due) = (State::Waiting { released: false }, self.now);
                self.tell(*id, Kind::Released);
            }
        }
    }

    /// Closes the first `limit` open attempts.
    pub fn recover(&mut self, limit: usize) -> usize {
        let left: Vec<QueueId> = self.open.iter().copied().take(limit).collect();
        for id in &left {
            self.open.remove(id);
            let entry = self.entries.get_mut(id).expect("an open attempt has an entry");
            entry.attempts += 1;
            entry.last = Some(attempt(OPENED_AT, Stage::End, None));
            if matches!(entry.state, State::Waiting { .. }) {
                entry.due = self.now;
            }
            self.tell(*id, Kind::Uncertain);
        }
        left.len()
    }

    /// Entries whose time has come, in their order.
    pub fn due(&self) -> Vec<QueueId> {
        let mut due: Vec<_> = self.entries.iter().map(|(id, entry)| (entry.due, *id)).collect();
        due.retain(|(at, _)| *at <= self.now);
        due.sort_unstable();
        due.into_iter().map(|(_, id)| id).collect()
    }

    fn tell(&mut self, id: QueueId, kind: Kind) {
        self.stories.get_mut(&id.message).expect("it has a story").push(kind);
    }

    fn forget_empty(&mut self) {
        self.messages.retain(|id, _| self.entries.keys().any(|entry| entry.message == *id));
    }
}

fn is_held_now(entry: &Entry) -> bool {
    matches!(entry.state, State::Held { .. })
}

/// Whether an operator has decided it.
fn is_bounce(outcome: &Outcome) -> bool {
    outcome.verdict == Verdict::Failed && outcome.attempt.stage == Stage::Queue
}

/// What is compared of an entry: the last attempt by when and how it was.
pub fn shape(entry: &Entry) -> (Entry, Option<(Timestamp, Stage)>) {
    let last = entry.last.as_ref().map(|Attempt { at, stage, .. }| (*at, *stage));
    (Entry { last: None, ..entry.clone() }, last)
}

/// The policy of the model: all that takes long takes hours at most.
pub fn policy() -> Policy {
    Policy {
        retry_seconds: vec![60, 600],
        expiry_seconds: 3600,
        bounce_expiry_seconds: 1800,
        hold_expiry_seconds: 7200,
        delay_notice_seconds: 700,
    }
}

/// An attempt that came so far, and the reply code.
pub fn attempt(at: Timestamp, stage: Stage, code: Option<u16>) -> Attempt {
    Attempt {
        at,
        actor: "model".into(),
        server: None,
        server_ip: None,
        tls: None,
        stage,
        words: Words { code, enhanced: None, text: String::new() },
        duration_ms: 1,
    }
}
