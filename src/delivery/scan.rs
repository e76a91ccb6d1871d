use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::join_all;

use super::Context;
use super::board::{Board, Due, Wanted};
use super::claims::{Claim, Claims};
use super::courier::ACTOR;
use super::destination::{Offered, Place};
use super::lanes::Turn;
use super::way::{Choice, Way, choose};
use crate::base::{Address, Enhanced, Host, MessageId, QueueId, Timestamp, TlsWish, limits};
use crate::queue::{
    self, Attempt, EndHold, Entry, HoldByRule, Message, Notify, Outcome, Park, Postpone, RuleAction, Rules, Stage,
    State, Verdict, Via, Waiting, Words,
};
use crate::store::{Op, Store, StoreError, View};
use crate::{directory, intake};

/// What is to be looked at.
#[derive(Debug, Clone)]
pub(super) enum Scope {
    /// All that is due and stands behind this.
    From(Option<Place>),
    /// What is due for these destinations, from that place on.
    Of(Wanted, Place),
}

/// An entry that is due, and what is to become of it.
struct Found {
    id: QueueId,
    entry: Entry,
    turn: Turn,
    what: What,
    /// Its end has come, or the sender is to be told that it is late: an attempt that has failed says so.
    is_owed: bool,
}

/// What a look has come to.
#[derive(Debug, Default)]
pub(super) struct Looked {
    /// Behind which place it would go on; `None`: it has come to the end.
    pub(super) left: Option<Place>,
    /// Entries that were looked at.
    seen: usize,
    /// Of these, what will be sent.
    taken: usize,
}

impl Looked {
    /// Whether there is more, and half of what was seen could begin: the rest is not kept waiting.
    pub(super) fn is_worth_going_on(&self) -> bool {
        self.left.is_some() && self.taken > 0 && self.taken * 2 >= self.seen
    }
}

enum What {
    Send(Way),
    /// Its sender wants it to be sent no earlier than this.
    PutOff(Timestamp),
    /// It is for an account here.
    BringHome,
    Park(String),
    /// A rule holds it.
    Hold,
    /// A rule suspends it: it stays where it is.
    Suspended,
    /// Nobody has fetched it.
    Unfetched,
    /// The time of an operator's hold is over.
    Release,
}

/// Looks at what is due, in slices: hands the board what it has room for, parks what is held for peers, postpones what is
/// for destinations that can't be reached, holds what a rule is for, and ends what nobody has fetched and holds whose
/// time is over. After [`limits::SCHEDULE_SLICES`] it ends, so that what it has found can begin.
///
/// # Errors
/// [`StoreError`].
pub(super) async fn scan(context: &Arc<Context>, board: &Board, scope: Scope) -> Result<Looked, StoreError> {
    let (now, spans) = context.due();
    let (start, wanted) = match scope {
        Scope::From(from) => (from, None),
        // What is read stands behind a place: from the first of that moment on, so that this one is among it.
        Scope::Of(wanted, place) => (Some((place.0, FIRST)), Some(wanted)),
    };
    let (mut slices, mut looked) = (0, Looked::default());
    for (from, to) in spans {
        let mut after = start.filter(|start| start.0 >= from).or((from > Timestamp(0)).then_some((from, FIRST)));
        loop {
            if after.is_some_and(|after| after.0 > to) || context.stop.is_cancelled() {
                break;
            }
            if let Some(after) = after.filter(|_| slices == limits::SCHEDULE_SLICES) {
                looked.left = Some(after);
                return Ok(looked);
            }
            slices += 1;
            let slice = read(context, now, to, after).await?;
            let Some(last) = slice.last else { break };
            after = Some(last);
            if slice.is_paused {
                // What was queued behind the beginning of a pause is not sent by whoever looked for one before.
                board.pause(true);
            }
            looked.seen += slice.seen;
            let mut todo = Todo::default();
            for found in slice.found {
                todo.take(found, context, wanted.as_ref());
            }
            looked.taken += todo.offer(context, board, now);
            todo.write(context, now).await;
            let is_sated = wanted.as_ref().is_some_and(|wanted| board.is_sated(wanted));
            if is_sated {
                // Some of what is wanted may stand behind this.
                looked.left = after;
                return Ok(looked);
            }
            if !slice.has_more {
                break;
            }
        }
    }
    Ok(looked)
}

/// Before every id.
pub(super) const FIRST: QueueId = QueueId { message: MessageId(0), number: 0 };

/// Some entries of the schedule that stand together.
struct Slice {
    /// How many they are, with those of which there is nothing to be made.
    seen: usize,
    found: Vec<Found>,
    /// The last that was looked at; `None` when there was none.
    last: Option<Place>,
    /// There may be more behind it.
    has_more: bool,
    /// An operator wants nobody to be dialled.
    is_paused: bool,
}

async fn read(
    context: &Arc<Context>,
    now: Timestamp,
    to: Timestamp,
    after: Option<Place>,
) -> Result<Slice, StoreError> {
    let notice_ms = context.outbound.policy.delay_notice_seconds.saturating_mul(1000);
    let claims = context.claims.clone();
    let slice = move |view: &View| {
        let due = queue::due(view, to, after, limits::SCHEDULE_SLICE)?;
        let (seen, has_more) = (due.len(), due.len() == limits::SCHEDULE_SLICE);
        let last = due.last().map(|waiting| (waiting.entry.due, waiting.id));
        let is_paused = queue::pause(view, now)?.is_some();
        let rules = Rules::at(view, now)?;
        let mut eyes = Eyes { view, claims, now, rules, notice_ms, message: None, choices: HashMap::new() };
        let found = due.into_iter().filter_map(|waiting| match eyes.look(waiting) {
            // What is damaged waits for its repair; the log names it, and the others go out.
            Err(StoreError::Damaged { .. }) => None,
            looked => looked.transpose(),
        });
        let found = found.collect::<Result<_, _>>()?;
        Ok(Slice { seen, found, last, has_more, is_paused })
    };
    context.store.read(slice).await
}

/// What a slice is looked at with.
struct Eyes<'a> {
    view: &'a View,
    claims: Claims,
    now: Timestamp,
    rules: Rules,
    notice_ms: u64,
    /// The last message that was looked at: its recipients stand together.
    message: Option<(MessageId, Message)>,
    /// What was found for mail to a host by a chosen way from a sender, released or not.
    choices: HashMap<(Host, Option<Via>, Option<Address>, bool), Choice>,
}

impl Eyes<'_> {
    fn look(&mut self, waiting: Waiting) -> Result<Option<Found>, StoreError> {
        let Waiting { id, entry } = waiting;
        if self.claims.has(id) || queue::is_open(self.view, id)? {
            return Ok(None);
        }
        let Some(message) = self.message(id.message)? else { return Ok(None) };
        let is_noticed = self.notice_ms > 0 && self.now >= message.begins_at().plus_ms(self.notice_ms);
        let is_overdue = message.options.deliver_by.is_some_and(|by| self.now >= by.at);
        let is_late = (is_noticed || is_overdue)
            && !entry.delay_told
            && entry.options.wants_delay()
            && message.notify == Notify::Sender;
        let turn = turn(&message);
        let is_owed = is_late || self.now >= entry.expires_at;
        let what = match entry.state {
            State::Held { .. } => What::Release,
            State::Parked { .. } => What::Unfetched,
            // RFC 4865 §4: whatever has made it due, it is not sent before its sender wants it to be.
            State::Waiting { .. } if message.is_early(self.now) => What::PutOff(message.begins_at()),
            State::Waiting { .. } if message.options.release_at.is_some() && self.is_home(&entry)? => What::BringHome,
            State::Waiting { released } => self.waiting(&entry, message.sender, message.options.tls, released)?,
        };
        Ok(Some(Found { id, entry, turn, what, is_owed }))
    }

    fn waiting(
        &mut self,
        entry: &Entry,
        sender: Option<Address>,
        tls: TlsWish,
        released: bool,
    ) -> Result<What, StoreError> {
        match self.rules.of(self.view, entry, sender.as_ref(), released)?.map(|rule| rule.fields.action) {
            Some(RuleAction::Hold) => return Ok(What::Hold),
            Some(RuleAction::Suspend) => return Ok(What::Suspended),
            None => {}
        }
        Ok(match self.choose(entry, sender, released)? {
            Choice::Send(to) => What::Send(Way { to, tls }),
            Choice::Park(peer) => What::Park(peer),
        })
    }

    /// Whether the recipient is of a domain here: what was put off for them does not leave, unless an operator sends it.
    fn is_home(&self, entry: &Entry) -> Result<bool, StoreError> {
        match entry.recipient.host.name().filter(|_| entry.via.is_none()) {
            Some(domain) => Ok(directory::local_domain(self.view, domain)?.is_some()),
            None => Ok(false),
        }
    }

    fn choose(&mut self, entry: &Entry, sender: Option<Address>, released: bool) -> Result<Choice, StoreError> {
        let key = (entry.recipient.host.clone(), entry.via.clone(), sender, released);
        if let Some(choice) = self.choices.get(&key) {
            return Ok(choice.clone());
        }
        let choice = choose(self.view, &key.0, key.1.as_ref(), released, key.2.as_ref())?;
        self.choices.insert(key, choice.clone());
        Ok(choice)
    }

    fn message(&mut self, id: MessageId) -> Result<Option<Message>, StoreError> {
        if self.message.as_ref().is_none_or(|(known, _)| *known != id) {
            self.message = queue::message(self.view, id)?.map(|message| (id, message));
        }
        Ok(self.message.as_ref().map(|(_, message)| message.clone()))
    }
}

/// What a slice asks to be written.
#[derive(Default)]
struct Todo {
    offers: Vec<(Way, Due)>,
    /// Of each offer, whether an attempt that has failed is to be told.
    owed: Vec<bool>,
    park: HashMap<String, Vec<QueueId>>,
    /// Until when, and when each was due.
    postpone: HashMap<Timestamp, Vec<(QueueId, Timestamp)>>,
    release: Vec<QueueId>,
    hold: Vec<QueueId>,
    home: Vec<QueueId>,
    settle: HashMap<MessageId, Vec<Outcome>>,
    /// What is settled is nobody else's until that is written.
    claimed: Vec<Claim>,
}

impl Todo {
    fn take(&mut self, found: Found, context: &Context, wanted: Option<&Wanted>) {
        let id = found.id;
        match found.what {
            What::Park(peer) => self.park.entry(peer).or_default().push(id),
            What::Hold => self.hold.push(id),
            What::Suspended => {}
            What::Release => self.release.push(id),
            What::PutOff(until) => self.postpone.entry(until).or_default().push((id, found.entry.due)),
            What::BringHome => self.home.push(id),
            What::Unfetched => self.settle(id, unfetched(context), &context.claims),
            What::Send(way) => {
                let is_of =
                    |wanted: &Wanted| wanted.get(&way.key()).is_some_and(|(of, _)| of.wants(&found.turn.sender));
                if wanted.is_some_and(|wanted| !is_of(wanted)) {
                    return;
                }
                let due = Due { id, address: found.entry.recipient, at: found.entry.due, turn: found.turn };
                self.offers.push((way, due));
                self.owed.push(found.is_owed);
            }
        }
    }

    /// Offers what is to be sent; what is for a destination that can't be reached is postponed. How many will be sent.
    fn offer(&mut self, context: &Context, board: &Board, now: Timestamp) -> usize {
        let (offers, owed) = (std::mem::take(&mut self.offers), std::mem::take(&mut self.owed));
        let offered = board.offer(&offers, &context.claims, now);
        let taken = offered.iter().filter(|offered| **offered == Offered::Taken).count();
        for (((way, due), is_owed), offered) in offers.into_iter().zip(owed).zip(offered) {
            let Offered::Postpone(until) = offered else { continue };
            match board.trouble(&way.key()).filter(|_| is_owed) {
                Some(attempt) => self.settle(due.id, attempt, &context.claims),
                None => self.postpone.entry(until).or_default().push((due.id, due.at)),
            }
        }
        taken
    }

    fn settle(&mut self, id: QueueId, attempt: Attempt, claims: &Claims) {
        // A session with its peer may have taken it since it was read.
        let Some(claim) = claims.claim(id) else { return };
        self.claimed.push(claim);
        let outcome = Outcome::new(id, Verdict::Deferred, attempt);
        self.settle.entry(id.message).or_default().push(outcome);
    }

    async fn write(self, context: &Arc<Context>, now: Timestamp) {
        let policy = &context.outbound.policy;
        for (peer, entries) in self.park {
            let hold_expiry_seconds = policy.hold_expiry_seconds;
            put(&context.store, Park { entries, peer: Some(peer), hold_expiry_seconds, at: now }).await;
        }
        // Together, so that they share a commit: each destination has its own time.
        let postpone = self.postpone.into_iter();
        join_all(postpone.map(|(until, entries)| put(&context.store, Postpone { entries, until }))).await;
        if !self.release.is_empty() {
            put(&context.store, EndHold { entries: self.release, at: now }).await;
        }
        if !self.hold.is_empty() {
            put(&context.store, HoldByRule { entries: self.hold, at: now }).await;
        }
        for id in self.home {
            let Some(_claim) = context.claims.claim(id) else { continue };
            let outbound = Arc::clone(&context.outbound);
            match intake::BringHome::prepare(&context.store, id, outbound, context.now(), context.jitter()).await {
                Ok(Some(home)) => put(&context.store, home).await,
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, queue_id = %id, "a message can't be brought home"),
            }
        }
        for outcomes in self.settle.into_values() {
            let outbound = Arc::clone(&context.outbound);
            put(&context.store, intake::Settle { outcomes, outbound, at: now, jitter: context.jitter() }).await;
        }
    }
}

/// Whose turn a message takes: that of the sender of its envelope.
fn turn(message: &Message) -> Turn {
    let sender = message.sender.as_ref().map(Address::key).unwrap_or_default();
    Turn { sender, priority: message.options.priority }
}

/// Writes what is of no harm when it is not written: the next look finds it again.
pub(super) async fn put<O: Op>(store: &Store, op: O)
where
    O::Refused: std::fmt::Debug + Send,
{
    let name = op.name();
    if let Err(error) = store.write(op).await {
        tracing::warn!(op = name, ?error, "the schedule could not be changed");
    }
}

fn unfetched(context: &Context) -> Attempt {
    Attempt {
        at: context.clock.now(),
        actor: ACTOR.to_owned(),
        server: None,
        server_ip: None,
        tls: None,
        stage: Stage::Queue,
        // RFC 3463 §3.5: delivery time expired
        words: Words::own(Enhanced(5, 4, 7), "the peer that it was held for has not fetched it in time"),
        duration_ms: 0,
    }
}
