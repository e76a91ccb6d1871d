use std::collections::HashSet;

use super::QUEUE_TOPIC;
use super::entry::{leave, message_of, remove, replace};
use super::outcome::{Attempt, Outcome, Stage, Verdict};
use super::policy::Policy;
use super::row::{ENTRIES, Entry, HEADS, Message, NEVER, Notify, OPEN, State};
use crate::base::{PassedOn, QueueId, Ret, Timestamp, limits};
use crate::store::{Read, StoreError, Topic, Tx};
use crate::trace::{self, Event, Kind, Subject};

/// The mailbox that mail comes into: that of `mailbox`, which is not to be named here.
const INBOX: &str = "INBOX";

/// What [`settle`] did to an entry, for the bounce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The entry.
    pub id: QueueId,
    /// As it was before, with this attempt as its last.
    pub entry: Entry,
    /// What became of it.
    pub fate: Fate,
}

/// What [`settle`] did to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// The message as it was.
    pub message: Message,
    /// Its head.
    pub head: Vec<u8>,
    /// Its body, where something failed of which its sender wants the whole back, and it is not too long.
    pub returned: Option<Vec<u8>>,
    /// Those of its entries that were there.
    pub entries: Vec<Settled>,
}

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is gone: delivered.
    Delivered {
        /// What the next server has taken over: what it has not is ours to tell.
        passed_on: PassedOn,
    },
    /// It waits for its next attempt.
    Deferred {
        /// When that is.
        until: Timestamp,
        /// The sender is to be told of the delay, now.
        tell: bool,
    },
    /// It is gone: the server refused it for good, or an operator did.
    Failed,
    /// It is gone: it was deferred too long.
    Expired,
}

/// Writes the outcomes of one message into the queue: delivered and failed entries go, deferred ones get their next
/// time or expire, open attempts are closed, the trace is told. An entry that is no longer there is passed over; `None`
/// when none was there. When the last entry goes, so does the message, which is kept for a time.
///
/// What an operator held while it was tried stays held, unless it was delivered. What is parked stays so, until its end.
/// A deferred outcome of [`Stage::Queue`] is no attempt: only what is parked expires by it.
///
/// # Errors
/// [`StoreError`].
pub fn settle(
    tx: &mut Tx<'_>,
    outcomes: &[Outcome],
    policy: &Policy,
    now: Timestamp,
    jitter: u32,
) -> Result<Option<Settlement>, StoreError> {
    let there = entries(tx, outcomes)?;
    let Some((first, _)) = there.first() else { return Ok(None) };
    let id = first.entry.message;
    let message = message_of(tx, first.entry)?;
    let head = tx.get_if_sound(&HEADS, &id)?.map(|head| head.0).unwrap_or_default();
    let mut all = Vec::with_capacity(there.len());
    for (outcome, mut entry) in there {
        let opened = tx.has(&OPEN, &outcome.entry)?;
        tx.remove(&OPEN, &outcome.entry)?;
        let fate = fate(&message, &entry, outcome, policy, (now, jitter));
        note(tx, &entry, outcome, fate, opened)?;
        let last = Some(outcome.attempt.clone());
        if let Fate::Deferred { until, tell } = fate {
            replace(tx, outcome.entry, &entry, &deferred(&entry, outcome, until, tell))?;
        } else {
            remove(tx, outcome.entry, &entry)?;
        }
        entry.last = last;
        all.push(Settled { id: outcome.entry, entry, fate });
    }
    // Before the message goes: its body may go with it.
    let returned = if is_returned(&message, &all) { body(tx, &message) } else { None };
    let gone = all.iter().filter(|settled| !matches!(settled.fate, Fate::Deferred { .. })).count();
    leave(tx, id, &message, u32::try_from(gone).unwrap_or(u32::MAX), now)?;
    tx.announce(Topic(QUEUE_TOPIC, 0));
    Ok(Some(Settlement { message, head, returned, entries: all }))
}

/// Whether its sender gets the whole message back.
// RFC 3461 §4.3
fn is_returned(message: &Message, settled: &[Settled]) -> bool {
    message.options.ret == Some(Ret::Full)
        && u64::from(message.head_bytes).saturating_add(message.body_bytes) <= limits::RETURNED_BYTES
        && settled.iter().any(|settled| matches!(settled.fate, Fate::Failed | Fate::Expired))
}

/// The body of a short message; `None` where it can't be read, which the log says: who is to be told is told all the same.
fn body(tx: &Tx<'_>, message: &Message) -> Option<Vec<u8>> {
    let Some(blob) = message.blob else { return Some(Vec::new()) };
    let read = tx.read_small_blob(blob);
    read.inspect_err(|error| tracing::error!(%error, "a body can't be returned with a report")).ok()
}

/// The entries that are there, each once, all of one message.
fn entries<'a>(read: &impl Read, outcomes: &'a [Outcome]) -> Result<Vec<(&'a Outcome, Entry)>, StoreError> {
    let (mut there, mut seen) = (Vec::with_capacity(outcomes.len()), HashSet::new());
    for outcome in outcomes {
        debug_assert_eq!(outcome.entry.message, outcomes[0].entry.message, "outcomes of one message");
        if seen.insert(outcome.entry)
            && let Some(entry) = read.get_if_sound(&ENTRIES, &outcome.entry)?
        {
            there.push((outcome, entry));
        }
    }
    Ok(there)
}

/// What becomes of an entry.
fn fate(message: &Message, entry: &Entry, outcome: &Outcome, policy: &Policy, (now, jitter): (Timestamp, u32)) -> Fate {
    let is_real = outcome.attempt.is_real();
    let is_held = matches!(entry.state, State::Held { .. });
    match (outcome.verdict, &entry.state) {
        (Verdict::Delivered, _) => return Fate::Delivered { passed_on: outcome.passed_on },
        // The operator was first: what a server said of it while it was being held can be seen, and tried again.
        (Verdict::Failed, _) if !is_held || !is_real => return Fate::Failed,
        (_, State::Held { .. }) => return Fate::Deferred { until: entry.due, tell: false },
        (_, State::Parked { .. }) if now >= entry.due => return Fate::Expired,
        // That it waits for its peer is no delay.
        (_, State::Parked { .. }) => return Fate::Deferred { until: entry.due, tell: false },
        // After a jump of the clock there is one real attempt before the end.
        (_, State::Waiting { .. }) if is_real && now >= entry.expires_at => return Fate::Expired,
        (_, State::Waiting { .. }) => {}
    }
    let until = policy.next(now, entry.attempts.saturating_add(u32::from(is_real)), jitter);
    // RFC 2852 §4.1.1: one more attempt when the time has come; what comes of it says whether the message was late.
    let deadline = message.options.deliver_by;
    let until = deadline.filter(|by| now < by.at).map_or(until, |by| until.min(by.at));
    let is_late = deadline.is_some_and(|by| now >= by.at) || policy.tells_delay(message.begins_at(), now);
    let tell = is_real
        && !entry.delay_told
        && message.notify == Notify::Sender
        && message.sender.is_some()
        && entry.options.wants_delay()
        && is_late;
    Fate::Deferred { until, tell }
}

/// The entry after an attempt that has failed for now.
fn deferred(entry: &Entry, outcome: &Outcome, until: Timestamp, tell: bool) -> Entry {
    let state = match &entry.state {
        // For one attempt: where its domain is held for a peer, it is parked again.
        State::Waiting { .. } => State::Waiting { released: false },
        other => other.clone(),
    };
    Entry {
        state,
        due: until,
        attempts: entry.attempts.saturating_add(u32::from(outcome.attempt.is_real())),
        delay_told: entry.delay_told || tell,
        last: Some(outcome.attempt.clone()),
        ..entry.clone()
    }
}

/// Tells the trace.
fn note(tx: &mut Tx<'_>, entry: &Entry, outcome: &Outcome, fate: Fate, opened: bool) -> Result<(), StoreError> {
    let subject = Subject::Message(outcome.entry.message);
    let transcript = trace::keep_transcript(tx, subject, &outcome.dialogue)?;
    if opened && is_uncertain(outcome) {
        let text = "the answer to the end of the message was lost: the server may have it, and will be sent it again";
        let event = Event { text: text.into(), ..event(entry, outcome, Kind::Uncertain) };
        trace::record(tx, subject, event)?;
    }
    let (kind, until) = match fate {
        Fate::Delivered { .. } if outcome.attempt.stage == Stage::Mailbox => (Kind::Delivered, None),
        Fate::Delivered { .. } => (Kind::Relayed, None),
        Fate::Deferred { until, .. } => (Kind::Deferred, Some(until).filter(|until| *until != NEVER)),
        Fate::Failed => (Kind::Failed, None),
        Fate::Expired => (Kind::Expired, None),
    };
    let mut event = Event { transcript, ..event(entry, outcome, kind) };
    if kind == Kind::Delivered {
        // As of what is put into a mailbox when it comes in.
        event.account = Some(entry.recipient.to_string());
        event.mailbox = Some(INBOX.to_owned());
        event.recipient = entry.original.as_ref().or(Some(&entry.recipient)).map(ToString::to_string);
        (event.stage, event.enhanced) = (None, None);
    }
    if let (Some(until), State::Waiting { .. }) = (until, &entry.state) {
        event.text = format!("{} (next attempt at {until})", event.text);
    }
    trace::record(tx, subject, event)
}

/// The end was sent, and nothing came back.
fn is_uncertain(outcome: &Outcome) -> bool {
    let Attempt { stage, words, .. } = &outcome.attempt;
    outcome.verdict == Verdict::Deferred && *stage == Stage::End && words.code.is_none()
}

fn event(entry: &Entry, outcome: &Outcome, kind: Kind) -> Event {
    let attempt = &outcome.attempt;
    Event {
        entry: Some(outcome.entry.number),
        peer_ip: attempt.server_ip,
        tls: attempt.tls.clone(),
        recipient: Some(entry.recipient.to_string()),
        code: attempt.words.code,
        enhanced: attempt.words.enhanced,
        text: attempt.words.text.clone(),
        server: attempt.server.clone(),
        stage: Some(attempt.stage.to_string()),
        duration_ms: Some(attempt.duration_ms),
        ..Event::new(attempt.at, kind, attempt.actor.as_str())
    }
}
