use std::collections::HashMap;
use std::sync::Arc;

use super::Context;
use super::board::{Board, Due};
use super::claims::{Claim, Claims};
use super::courier::ACTOR;
use super::destination::{Offered, Place};
use super::way::{Choice, Way, choose};
use crate::base::{Address, Enhanced, Host, MessageId, QueueId, Timestamp, limits};
use crate::intake;
use crate::queue::{
    self, Attempt, EndHold, Entry, Message, Notify, Outcome, Park, Postpone, Stage, State, Verdict, Via, Waiting, Words,
};
use crate::store::{Op, Store, StoreError, View};

/// What is to be looked at.
#[derive(Debug, Clone)]
pub(super) enum Scope {
    /// All that is due and stands behind this.
    From(Option<Timestamp>),
    /// What is due for these destinations, from that place on.
    Of(Vec<String>, Place),
}

/// An entry that is due, and what is to become of it.
struct Found {
    id: QueueId,
    entry: Entry,
    what: What,
    /// Its end has come, or the sender is to be told that it is late: an attempt that has failed says so.
    is_owed: bool,
}

enum What {
    Send(Way),
    Park(String),
    /// Nobody has fetched it.
    Unfetched,
    /// The time of an operator's hold is over.
    Release,
}

/// Looks at what is due, in slices: hands the board what it has room for, parks what is held for peers, postpones what is
/// for destinations that can't be reached, and ends what nobody has fetched and holds whose time is over.
///
/// # Errors
/// [`StoreError`].
pub(super) async fn scan(context: &Arc<Context>, board: &Board, scope: Scope) -> Result<(), StoreError> {
    let (now, spans) = context.due();
    let (start, keys) = match scope {
        Scope::From(from) => (from.map(|from| (from, FIRST)), None),
        // What is read stands behind a place: from the first of that moment on, so that this one is among it.
        Scope::Of(keys, place) => (Some((place.0, FIRST)), Some(keys)),
    };
    for (from, to) in spans {
        let mut after = start.filter(|start| start.0 > from).or((from > Timestamp(0)).then_some((from, FIRST)));
        loop {
            if after.is_some_and(|after| after.0 > to) || context.stop.is_cancelled() {
                break;
            }
            let slice = read(context, now, to, after).await?;
            let Some(last) = slice.last else { break };
            after = Some(last);
            let mut todo = Todo::default();
            for found in slice.found {
                todo.take(found, context, keys.as_deref());
            }
            todo.offer(context, board, now);
            todo.write(context, now).await;
            let is_sated = keys.as_ref().is_some_and(|keys| keys.iter().all(|key| board.is_sated(key)));
            if !slice.has_more || is_sated {
                break;
            }
        }
    }
    Ok(())
}

/// Before every id.
const FIRST: QueueId = QueueId { message: MessageId(0), number: 0 };

/// Some entries of the schedule that stand together.
struct Slice {
    found: Vec<Found>,
    /// The last that was looked at; `None` when there was none.
    last: Option<Place>,
    /// There may be more behind it.
    has_more: bool,
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
        let has_more = due.len() == limits::SCHEDULE_SLICE;
        let last = due.last().map(|waiting| (waiting.entry.due, waiting.id));
        let mut eyes = Eyes { view, claims, now, notice_ms, message: None, choices: HashMap::new() };
        let found = due.into_iter().filter_map(|waiting| eyes.look(waiting).transpose()).collect::<Result<_, _>>()?;
        Ok(Slice { found, last, has_more })
    };
    context.store.read(slice).await
}

/// What a slice is looked at with.
struct Eyes<'a> {
    view: &'a View,
    claims: Claims,
    now: Timestamp,
    notice_ms: u64,
    /// The last message that was looked at: its recipients stand together.
    message: Option<(MessageId, Message)>,
    /// What was found for mail to a host by a chosen way from a sender, released or not.
    choices: HashMap<(Host, Option<Via>, Option<Address>, bool), Choice>,
}

impl Eyes<'_> {
    fn look(&mut self, waiting: Waiting) -> Result<Option<Found>, StoreError> {
        let Waiting { id, entry } = waiting;
        if self.claims.has(id) || queue::open_attempt(self.view, id)?.is_some() {
            return Ok(None);
        }
        let Some(message) = self.message(id.message)? else { return Ok(None) };
        let is_late = self.notice_ms > 0
            && !entry.delay_told
            && message.notify == Notify::Sender
            && self.now >= message.at.plus_ms(self.notice_ms);
        let is_owed = is_late || self.now >= entry.expires_at;
        let what = match entry.state {
            State::Held { .. } => What::Release,
            State::Parked { .. } => What::Unfetched,
            State::Waiting { released } => match self.choose(&entry, message.sender, released)? {
                Choice::Send(way) => What::Send(way),
                Choice::Park(peer) => What::Park(peer),
            },
        };
        Ok(Some(Found { id, entry, what, is_owed }))
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
    postpone: HashMap<Timestamp, Vec<QueueId>>,
    release: Vec<QueueId>,
    settle: HashMap<MessageId, Vec<Outcome>>,
    /// What is settled is nobody else's until that is written.
    claimed: Vec<Claim>,
}

impl Todo {
    fn take(&mut self, found: Found, context: &Context, keys: Option<&[String]>) {
        let id = found.id;
        match found.what {
            What::Park(peer) => self.park.entry(peer).or_default().push(id),
            What::Release => self.release.push(id),
            What::Unfetched => self.settle(id, unfetched(context), &context.claims),
            What::Send(way) => {
                if keys.is_some_and(|keys| !keys.contains(&way.key())) {
                    return;
                }
                let due = Due { id, address: found.entry.recipient, at: found.entry.due };
                self.offers.push((way, due));
                self.owed.push(found.is_owed);
            }
        }
    }

    /// Offers what is to be sent; what is for a destination that can't be reached is postponed.
    fn offer(&mut self, context: &Context, board: &Board, now: Timestamp) {
        let (offers, owed) = (std::mem::take(&mut self.offers), std::mem::take(&mut self.owed));
        let offered = board.offer(&offers, &context.claims, now);
        for (((way, due), is_owed), offered) in offers.into_iter().zip(owed).zip(offered) {
            let Offered::Postpone(until) = offered else { continue };
            match board.trouble(&way.key()).filter(|_| is_owed) {
                Some(attempt) => self.settle(due.id, attempt, &context.claims),
                None => self.postpone.entry(until).or_default().push(due.id),
            }
        }
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
        for (until, entries) in self.postpone {
            put(&context.store, Postpone { entries, until }).await;
        }
        if !self.release.is_empty() {
            put(&context.store, EndHold { entries: self.release, at: now }).await;
        }
        for outcomes in self.settle.into_values() {
            let outbound = Arc::clone(&context.outbound);
            put(&context.store, intake::Settle { outcomes, outbound, at: now, jitter: context.jitter() }).await;
        }
    }
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
