use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::base::{Address, Enhanced, Host, QueueId, Timestamp};
use crate::delivery::Claims;
use crate::http::api::page_of;
use crate::http::caller::Caller;
use crate::queue::{self, Entry, Match, Message, Route, RouteKind, State, Via, Waiting};
use crate::store::{Read, StoreError};
use crate::trace::{self, Event, Kind, Subject};
use crate::turn;

/// One recipient of a queued message.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct QueueEntry {
    /// Its id.
    id: String,
    /// The message's id: that of the 250 and of the trace.
    message_id: String,
    /// How it stands.
    state: QueueState,
    /// The sender of the envelope; null: the null sender.
    sender: Option<String>,
    /// Where it goes.
    recipient: String,
    /// The recipient as the sender had named it, where an alias led elsewhere.
    original_recipient: Option<String>,
    /// The recipient's domain, or an address literal.
    domain: String,
    /// Octets of the message.
    size_bytes: u64,
    /// Attempts that were made.
    attempts: u32,
    /// When it came in.
    queued_at: String,
    /// When it is tried next; null: it is held, or is being tried at this moment.
    next_attempt_at: Option<String>,
    /// When it is given up: not before an attempt behind that time, unless it waits for a peer. Null: never, an operator
    /// holds it.
    expires_at: Option<String>,
    /// The last attempt.
    last: Option<QueueAttempt>,
    /// Why it is held.
    hold_reason: Option<String>,
    /// When an operator's hold ends by itself; null: it does not.
    hold_until_at: Option<String>,
    /// What the sender wants to be told of it, as NOTIFY says it, as in `SUCCESS,FAILURE` or `NEVER`; null: they did not say
    /// (RFC 3461).
    notify: Option<String>,
    /// Where it goes out, as routes and peers are now.
    route: QueueRoute,
    /// What has happened to it so far; only where one entry is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    history: Option<Vec<QueueEvent>>,
}

/// How an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum QueueState {
    /// Its time has come.
    Due,
    /// It waits for its next attempt.
    Waiting,
    /// Its message is being sent at this moment.
    InFlight,
    /// An operator holds it, or it waits for a peer.
    Held,
}

/// An attempt to deliver.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct QueueAttempt {
    /// When it ended.
    at: String,
    /// By whom, as in `delivery` or `atrn branch`.
    actor: String,
    /// The reply code of the server; null: the text is our own.
    code: Option<u16>,
    /// The enhanced code, as in `4.2.1`.
    enhanced: Option<String>,
    /// What was said.
    text: String,
    /// The server that was spoken to.
    mx: Option<String>,
    /// Its address.
    ip: Option<String>,
    /// TLS version, cipher suite and what is known of the certificate.
    tls: Option<String>,
    /// How far it came, as in `connect` or `recipient`.
    stage: String,
    /// How long it took, in milliseconds.
    duration_ms: u64,
}

/// Something that happened to an entry.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct QueueEvent {
    /// When.
    at: String,
    /// What: `queued`, `deferred`, `held`, `released`, `retried`, `parked`, `uncertain`, …
    kind: String,
    /// By whom.
    actor: String,
    /// The reply code of the server.
    code: Option<u16>,
    /// The enhanced code.
    enhanced: Option<String>,
    /// What was said.
    text: String,
    /// The server that was spoken to.
    mx: Option<String>,
    /// Its address.
    ip: Option<String>,
    /// TLS version, cipher suite and what is known of the certificate.
    tls: Option<String>,
    /// How far an attempt came.
    stage: Option<String>,
    /// How long it took, in milliseconds.
    duration_ms: Option<u64>,
}

/// Where mail goes out.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct QueueRoute {
    /// `mx`: by the DNS; `relay`: to a smarthost; `hold`: to a peer that fetches it; `damaged`: nowhere, the row that says
    /// so can't be read.
    kind: QueueRouteKind,
    /// The route that says so; null: nothing does, or the peer's own domains do.
    name: Option<String>,
    /// The smarthost.
    host: Option<String>,
    /// Its port.
    port: Option<u16>,
    /// The peer.
    peer: Option<String>,
    /// An operator has chosen it for this entry alone.
    chosen: bool,
}

/// How mail goes out.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum QueueRouteKind {
    /// By the DNS.
    Mx,
    /// To a smarthost.
    Relay,
    /// To a peer that fetches it.
    Hold,
    /// Nowhere: the route or the peer that says so is damaged in the file, and it waits until that is mended.
    Damaged,
}

page_of! {
    /// Entries by message, the oldest first.
    QueueEntryPage of QueueEntry
}

/// An entry with what belongs to it.
pub(super) struct Row {
    pub id: QueueId,
    pub entry: Entry,
    pub message: Message,
    pub state: QueueState,
}

impl Row {
    /// Adds to each entry its message and how it stands. What has lost its message, or one that is
    /// damaged, is passed over: the check tells of it.
    pub fn gather(
        read: &impl Read,
        claims: &Claims,
        now: Timestamp,
        entries: Vec<Waiting>,
    ) -> Result<Vec<Self>, StoreError> {
        let mut rows: Vec<Self> = Vec::with_capacity(entries.len());
        for Waiting { id, entry } in entries {
            // The entries of a message stand side by side.
            let known = rows.last().filter(|row| row.id.message == id.message).map(|row| row.message.clone());
            let message = match known {
                Some(message) => Some(message),
                None => queue::message_if_sound(read, id.message)?,
            };
            let Some(message) = message else { continue };
            let state = match &entry.state {
                _ if claims.has(id) || queue::is_open(read, id)? => QueueState::InFlight,
                State::Held { .. } | State::Parked { .. } => QueueState::Held,
                State::Waiting { .. } if entry.due <= now => QueueState::Due,
                State::Waiting { .. } => QueueState::Waiting,
            };
            rows.push(Self { id, entry, message, state });
        }
        Ok(rows)
    }

    /// Whether the caller may see and change it.
    pub fn is_reached_by(&self, caller: &Caller) -> bool {
        caller.reaches_mail(self.message.sender.as_ref(), &self.entry.recipient)
    }
}

impl QueueEntry {
    /// The entry as it is shown in a list.
    pub(super) fn of(read: &impl Read, row: &Row) -> Result<Self, StoreError> {
        let (entry, message) = (&row.entry, &row.message);
        let (hold_reason, never_expires) = match &entry.state {
            State::Held { reason } => (Some(reason.clone()), true),
            State::Parked { peer } => (Some(format!("waits for peer {peer}")), false),
            State::Waiting { .. } => (None, false),
        };
        let is_awaited = matches!(row.state, QueueState::Due | QueueState::Waiting);
        Ok(Self {
            id: row.id.to_string(),
            message_id: row.id.message.to_string(),
            state: row.state,
            sender: message.sender.as_ref().map(Address::to_string),
            recipient: entry.recipient.to_string(),
            original_recipient: entry.original.as_ref().map(Address::to_string),
            domain: entry.recipient.host.to_string(),
            size_bytes: u64::from(message.head_bytes) + message.body_bytes,
            attempts: entry.attempts,
            queued_at: message.at.rfc3339(),
            next_attempt_at: is_awaited.then(|| entry.due.rfc3339()),
            expires_at: (!never_expires).then(|| entry.expires_at.rfc3339()),
            last: entry.last.as_ref().map(QueueAttempt::of),
            hold_reason,
            hold_until_at: (never_expires && entry.due != queue::NEVER).then(|| entry.due.rfc3339()),
            notify: entry.options.notify.map(|notify| notify.to_string()),
            route: QueueRoute::of(read, row)?,
            history: None,
        })
    }

    /// The same with what has happened so far.
    pub(super) fn with_history(self, read: &impl Read, row: &Row) -> Result<Self, StoreError> {
        let names = [Some(&row.entry.recipient), row.entry.original.as_ref()];
        let names: Vec<String> = names.into_iter().flatten().map(Address::to_string).collect();
        let is_own = |event: &Event| {
            let by_name = || event.recipient.as_ref().is_some_and(|recipient| names.contains(recipient));
            let named = event.entry.map_or_else(by_name, |entry| entry == row.id.number);
            named && !matches!(event.kind, Kind::Accepted | Kind::Rejected | Kind::Delivered | Kind::Expunged)
        };
        let story = trace::story(read, Subject::Message(row.id.message))?;
        let history = story.iter().filter(|event| is_own(event)).map(QueueEvent::of).collect();
        Ok(Self { history: Some(history), ..self })
    }
}

impl QueueAttempt {
    fn of(attempt: &queue::Attempt) -> Self {
        Self {
            at: attempt.at.rfc3339(),
            actor: attempt.actor.clone(),
            code: attempt.words.code,
            enhanced: attempt.words.enhanced.map(enhanced),
            text: attempt.words.text.clone(),
            mx: attempt.server.clone(),
            ip: attempt.server_ip.map(|ip| ip.to_string()),
            tls: attempt.tls.clone(),
            stage: attempt.stage.to_string(),
            duration_ms: attempt.duration_ms,
        }
    }
}

impl QueueEvent {
    fn of(event: &Event) -> Self {
        Self {
            at: event.at.rfc3339(),
            kind: word(&event.kind),
            actor: event.actor.clone(),
            code: event.code,
            enhanced: event.enhanced.map(enhanced),
            text: event.text.clone(),
            mx: event.server.clone(),
            ip: event.peer_ip.map(|ip| ip.to_string()),
            tls: event.tls.clone(),
            stage: event.stage.clone(),
            duration_ms: event.duration_ms,
        }
    }
}

impl QueueRoute {
    /// Where an entry goes out: by the way that an operator has chosen, else by a route for its domain, else to the peer
    /// that its domain is held for, else by a route for its sender or for all mail, else by the DNS.
    fn of(read: &impl Read, row: &Row) -> Result<Self, StoreError> {
        match Self::chosen_for(read, row) {
            Err(StoreError::Damaged { .. }) => Ok(Self::plain(QueueRouteKind::Damaged, None)),
            found => found,
        }
    }

    fn chosen_for(read: &impl Read, row: &Row) -> Result<Self, StoreError> {
        let host = &row.entry.recipient.host;
        if let State::Parked { peer } = &row.entry.state {
            return Ok(Self::hold(None, peer));
        }
        match &row.entry.via {
            Some(Via::Host { host, port }) => return Ok(Self::server(None, host, *port).chosen()),
            Some(Via::Route(name)) => {
                if let Some(route) = queue::route(read, name)? {
                    return Ok(Self::by(route).chosen());
                }
            }
            None => {}
        }
        let route = queue::route_for(read, host, row.message.sender.as_ref())?;
        if !route.as_ref().is_some_and(|route| matches!(route.fields.matches, Match::Domain(_)))
            && let Some(domain) = host.name()
            && let Some(peer) = turn::peer_holding(read, domain)?
        {
            return Ok(Self::hold(None, &peer.name));
        }
        Ok(route.map_or_else(|| Self::plain(QueueRouteKind::Mx, None), Self::by))
    }

    fn by(route: Route) -> Self {
        match route.fields.kind {
            RouteKind::Mx => Self::plain(QueueRouteKind::Mx, Some(route.name)),
            RouteKind::Hold { peer } => Self::hold(Some(route.name), &peer),
            RouteKind::Relay { host, port, .. } => Self::server(Some(route.name), &host, port),
        }
    }

    fn chosen(self) -> Self {
        Self { chosen: true, ..self }
    }

    fn server(name: Option<String>, host: &Host, port: u16) -> Self {
        let (host, port) = (Some(host.to_string()), Some(port));
        Self { host, port, ..Self::plain(QueueRouteKind::Relay, name) }
    }

    fn hold(name: Option<String>, peer: &str) -> Self {
        Self { peer: Some(peer.to_owned()), ..Self::plain(QueueRouteKind::Hold, name) }
    }

    fn plain(kind: QueueRouteKind, name: Option<String>) -> Self {
        Self { kind, name, host: None, port: None, peer: None, chosen: false }
    }
}

fn enhanced((class, subject, detail): (u8, u16, u16)) -> String {
    Enhanced(class, subject, detail).to_string()
}

/// The word that stands for a value of a closed list.
pub(super) fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
