use std::borrow::Cow;

use serde::{Serialize, Serializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::visible::Seen;
use crate::base::{Enhanced, QueueId, limits};
use crate::store::{Read, StoreError};
use crate::trace::{self, Code, Direction, Event, Kind, Outcome, RecipientVerdict, Subject, Verdict};
use crate::{kept, mailbox, queue};

/// A word of a closed list, as the document knows it.
macro_rules! word_of {
    ($(#[$doc:meta])* $name:ident, $title:literal, $about:literal, $inner:ty, $all:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub(in crate::http) struct $name($inner);

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.0.as_str())
            }
        }

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                words($about, $all)
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                $title.into()
            }
        }
    };
}

word_of!(
    /// How it stands with a message, or with one of its recipients.
    TraceOutcome,
    "TraceOutcome",
    "How it stands with a message, or with one of its recipients: `refused`: it was not taken in; `waiting`: it is in the \
     queue; `held`: an operator holds it; `handed_over`: another server has it; `in_mailbox`: it is in a mailbox here; \
     `removed`: it was in a mailbox here; `bounced`: it was given up, and somebody was told; `dropped`: an operator has \
     removed it from the queue; `uncertain`: it is in the queue, and the other server may have it already; `mixed`: the \
     recipients differ; `unknown`: what is left of the story does not say",
    Outcome,
    Outcome::ALL.iter().map(|value| value.as_str().to_owned())
);
word_of!(
    /// Where a message comes from and goes to.
    TraceWay,
    "TraceDirection",
    "`in`: from elsewhere; `out`: from here, for somebody elsewhere; `local`: from here to here",
    Direction,
    Direction::ALL.iter().map(|value| value.as_str().to_owned())
);
word_of!(
    /// What a verdict says, for programs.
    TraceCode,
    "TraceCode",
    "What a verdict says, for programs. `waiting_…`: it is tried again; `bounced_…`: it was given up; `refused_…`: it was \
     not taken in here; `removed_…`: by what it was deleted. New words may come",
    Code,
    Code::ALL.iter().map(|value| value.as_str().to_owned())
);
word_of!(
    /// What happened.
    TraceKind,
    "TraceKind",
    "What happened. `turned`: a peer has fetched it, in a session whose roles were swapped",
    KindWord,
    Kind::ALL.iter().map(|kind| kind_word(*kind).to_owned()).chain([TURNED.to_owned()])
);

/// The word for what happened.
#[derive(Clone, Copy)]
struct KindWord(&'static str);

impl KindWord {
    fn as_str(self) -> &'static str {
        self.0
    }
}

fn words(about: &str, words: impl Iterator<Item = String>) -> RefOr<Schema> {
    let schema = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).description(Some(about));
    RefOr::T(Schema::Object(schema.build()))
}

/// A message, or a refused transaction, in a list.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct TraceEntry {
    /// Its id: `m_…` for a message, `t_…` for what was refused before there was one: all of a session's refusals, where
    /// nobody had logged in.
    id: String,
    /// When it began.
    at: String,
    /// The sender of the envelope; empty: the null sender; null: none was named.
    sender: Option<String>,
    /// The recipients as they were named, the first 20.
    recipients: Vec<String>,
    /// How many there are.
    recipient_count: u64,
    /// The value of the Message-ID field.
    message_id: Option<String>,
    /// Where it comes from and goes to.
    direction: TraceWay,
    /// How it stands.
    outcome: TraceOutcome,
    /// The same in more detail.
    code: TraceCode,
    /// The same in one sentence, for people.
    sentence: String,
}

/// What became of a message, in one sentence.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct TraceVerdict {
    /// How it stands.
    outcome: TraceOutcome,
    /// The same in more detail.
    code: TraceCode,
    /// The same for people.
    sentence: String,
    /// Who must do what now; also where nothing is to be done.
    next_step: String,
}

/// What became of a message for one recipient.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct TraceRecipient {
    /// The recipient as the sender named it.
    address: String,
    /// How it stands.
    outcome: TraceOutcome,
    /// The same in more detail.
    code: TraceCode,
    /// The same for people.
    sentence: String,
    /// Who must do what now.
    next_step: String,
    /// The id of its queue entry, where it has, or has had, one.
    queue_id: Option<String>,
    /// The mailbox that it is in, or was in last, by the name that it had then.
    mailbox: Option<String>,
    /// The account whose mailbox that is.
    account: Option<String>,
}

/// Something that happened to a message.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct TraceEvent {
    /// When.
    at: String,
    /// What.
    kind: TraceKind,
    /// Who did it: a protocol, and the account where one was logged in, as in `pop3 alice@example.test`.
    actor: String,
    /// The address of the other side.
    peer_ip: Option<String>,
    /// The name that the other side gave itself.
    helo: Option<String>,
    /// TLS version, cipher suite and what is known of the certificate.
    tls: Option<String>,
    /// The sender of the envelope; empty: the null sender.
    sender: Option<String>,
    /// The recipient.
    recipient: Option<String>,
    /// The value of the Message-ID field.
    message_id: Option<String>,
    /// Octets of the message.
    size_bytes: Option<u64>,
    /// The reply code.
    code: Option<u16>,
    /// The enhanced code, as in `4.2.1`.
    enhanced: Option<String>,
    /// What was said, or what else there is to say.
    text: String,
    /// The server that was spoken to.
    server: Option<String>,
    /// How far an attempt came, as in `connect` or `recipient`.
    stage: Option<String>,
    /// The account that it is about.
    account: Option<String>,
    /// The mailbox, by the name that it had then.
    mailbox: Option<String>,
    /// The id of the queue entry.
    queue_id: Option<String>,
    /// How long it took, in milliseconds.
    duration_ms: Option<u64>,
    /// The number of its dialogue: see `/trace/{mid}/transcripts/{n}`.
    transcript_id: Option<u32>,
}

/// The story of a message.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Story {
    /// Its id.
    id: String,
    /// When it began.
    at: String,
    /// Where it comes from and goes to.
    direction: TraceWay,
    /// The sender of the envelope; empty: the null sender; null: none was named.
    sender: Option<String>,
    /// The value of the Message-ID field.
    message_id: Option<String>,
    /// Octets of the message.
    size_bytes: Option<u64>,
    /// What became of it.
    verdict: TraceVerdict,
    /// The same for each recipient.
    recipients: Vec<TraceRecipient>,
    /// What happened, in order.
    events: Vec<TraceEvent>,
    /// Its content is still there: it can be redelivered.
    redeliverable: bool,
    /// Until when its content is kept for that, where no mailbox and no queue holds it any more.
    body_kept_until_at: Option<String>,
}

impl TraceEntry {
    /// A story in a list.
    pub(super) fn of(subject: Subject, events: &[Event], verdict: &Verdict) -> Self {
        let addresses = verdict.recipients.iter().map(|recipient| recipient.address.clone());
        Self {
            id: subject.to_string(),
            at: began(subject, events),
            sender: events.iter().find_map(|event| event.sender.clone()),
            recipients: addresses.take(limits::TRACED_RECIPIENTS).collect(),
            recipient_count: verdict.recipients.len() as u64,
            message_id: events.iter().find_map(|event| event.message_id.clone()),
            direction: TraceWay(verdict.direction),
            outcome: TraceOutcome(verdict.outcome),
            code: TraceCode(verdict.code),
            sentence: verdict.sentence.clone(),
        }
    }
}

impl Story {
    /// The story as far as its reader may see it.
    pub(super) fn of(read: &impl Read, subject: Subject, seen: &Seen) -> Result<Self, StoreError> {
        let (redeliverable, body_kept_until_at) = content(read, subject)?;
        let Seen { events, is_whole } = seen;
        // What its owner has put into a mailbox never was mail to somebody.
        let is_filed = events.iter().any(|event| event.kind == Kind::Accepted && event.mailbox.is_some());
        let verdict = trace::verdict(events);
        let first = |field: fn(&Event) -> Option<String>| events.iter().find_map(field);
        Ok(Self {
            id: subject.to_string(),
            at: began(subject, events),
            direction: TraceWay(verdict.direction),
            sender: first(|event| event.sender.clone()),
            message_id: first(|event| event.message_id.clone()),
            size_bytes: events.iter().find_map(|event| event.size_bytes),
            recipients: verdict.recipients.iter().map(|recipient| TraceRecipient::of(subject, recipient)).collect(),
            verdict: TraceVerdict {
                outcome: TraceOutcome(verdict.outcome),
                code: TraceCode(verdict.code),
                sentence: verdict.sentence,
                next_step: verdict.next_step,
            },
            events: events.iter().map(|event| TraceEvent::of(subject, event, *is_whole)).collect(),
            redeliverable: redeliverable && !is_filed,
            body_kept_until_at,
        })
    }
}

/// Whether the content of a message is still there, and until when where it is only kept.
fn content(read: &impl Read, subject: Subject) -> Result<(bool, Option<String>), StoreError> {
    let Subject::Message(id) = subject else { return Ok((false, None)) };
    if mailbox::holds(read, id)? || queue::message_if_sound(read, id)?.is_some() {
        return Ok((true, None));
    }
    let Some(kept) = kept::kept(read, id)? else { return Ok((false, None)) };
    Ok((true, Some(kept.at.plus_ms(kept::kept_for_ms(read)?).rfc3339())))
}

impl TraceRecipient {
    fn of(subject: Subject, verdict: &RecipientVerdict) -> Self {
        Self {
            address: verdict.address.clone(),
            outcome: TraceOutcome(verdict.outcome),
            code: TraceCode(verdict.code),
            sentence: verdict.sentence.clone(),
            next_step: verdict.next_step.clone(),
            queue_id: queue_id(subject, verdict.entry),
            mailbox: verdict.mailbox.clone(),
            account: verdict.account.clone(),
        }
    }
}

impl TraceEvent {
    fn of(subject: Subject, event: &Event, has_transcripts: bool) -> Self {
        Self {
            at: event.at.rfc3339(),
            kind: TraceKind(KindWord(kind(event))),
            actor: event.actor.clone(),
            peer_ip: event.peer_ip.map(|ip| ip.to_string()),
            helo: event.helo.clone(),
            tls: event.tls.clone(),
            sender: event.sender.clone(),
            recipient: event.recipient.clone(),
            message_id: event.message_id.clone(),
            size_bytes: event.size_bytes,
            code: event.code,
            enhanced: event.enhanced.map(|(class, subject, detail)| Enhanced(class, subject, detail).to_string()),
            text: text(event),
            server: event.server.clone(),
            stage: event.stage.clone(),
            account: event.account.clone(),
            mailbox: event.mailbox.clone(),
            queue_id: queue_id(subject, event.entry),
            duration_ms: event.duration_ms,
            transcript_id: event.transcript.filter(|_| has_transcripts),
        }
    }
}

/// What was said; and how often, where the story tells of the first ones and the last.
fn text(event: &Event) -> String {
    match (event.kind, event.more) {
        // It says so itself.
        (_, 0) | (Kind::Rejected, _) => event.text.clone(),
        (_, more) => format!("{} (and {more} times more before)", event.text).trim_start().to_owned(),
    }
}

/// A peer has fetched it, in a session whose roles were swapped.
const TURNED: &str = "turned";

/// The word for what happened.
fn kind(event: &Event) -> &'static str {
    // By a verb and a peer, as in `atrn branch`.
    let is_swap = ["atrn ", "turn ", "etrn "].iter().any(|verb| event.actor.starts_with(verb));
    if event.kind == Kind::Relayed && is_swap { TURNED } else { kind_word(event.kind) }
}

fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Accepted => "accepted",
        Kind::Rejected => "rejected",
        Kind::Delivered => "delivered",
        Kind::Repeated => "repeated",
        Kind::Expunged => "expunged",
        Kind::Queued => "queued",
        Kind::Relayed => "relayed",
        Kind::Deferred => "deferred",
        Kind::Failed => "failed",
        Kind::Expired => "expired",
        Kind::Bounced => "bounced",
        Kind::Delayed => "delayed",
        Kind::Held => "held",
        Kind::Released => "released",
        Kind::Retried => "retried",
        Kind::Dropped => "dropped",
        Kind::Parked => "parked",
        Kind::Uncertain => "uncertain",
        Kind::LoginFailed => "login_failed",
        Kind::Aborted => "aborted",
        Kind::Fetched => "fetched",
        Kind::Moved => "moved",
        Kind::Copied => "copied",
        Kind::Redirected => "redirected",
        Kind::Redelivered => "redelivered",
        Kind::Restored => "restored",
        Kind::Reported => "reported",
        Kind::Checked => "checked",
    }
}

fn queue_id(subject: Subject, entry: Option<u32>) -> Option<String> {
    match (subject, entry) {
        (Subject::Message(message), Some(number)) => Some(QueueId { message, number }.to_string()),
        _ => None,
    }
}

/// When the first thing happened that is still known.
fn began(subject: Subject, events: &[Event]) -> String {
    events.first().map_or(subject.at(), |event| event.at).rfc3339()
}
