use actix_web::{HttpRequest, HttpResponse, get, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::queue_rules::QueuePause;
use super::{list, show, wrong_id};
use crate::base::{MessageId, QueueId, TlsWish};
use crate::http::caller::{Allowed, Caller, QueueRead};
use crate::http::context::Context;
use crate::http::document;
use crate::http::etag;
use crate::http::page::{ListParams, ListQuery, NoQuery};
use crate::http::problem::{Code, Problem};
use crate::queue;
use crate::store::{StoreError, View};

pub(in crate::http) mod act;
pub(in crate::http) mod bulk;
pub(in crate::http) mod content;
mod filter;
pub(in crate::http) mod flush;
mod gone;
mod shape;

pub(super) use act::route_to;
use filter::Wanted;
use shape::{QueueEntry, QueueEntryPage, QueueState, Row};

/// The queue in numbers.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct QueueSummary {
    /// Recipients whose time has come.
    due: u64,
    /// Recipients that wait for their next attempt.
    waiting: u64,
    /// Recipients whose message is being sent at this moment.
    in_flight: u64,
    /// Recipients that an operator holds, or that wait for a peer.
    held: u64,
    /// Of those, the ones that wait for a peer.
    held_for_peers: u64,
    /// Octets of all queued messages.
    size_bytes: u64,
    /// When the oldest message came in.
    oldest_at: Option<String>,
    /// How long ago that is.
    oldest_age_seconds: Option<u64>,
    /// Nothing goes out, because an operator has paused it; null: mail goes out.
    pause: Option<QueuePause>,
    /// The domains with the most recipients, at most ten.
    domains: Vec<QueueDomain>,
}

/// How much waits for a domain.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct QueueDomain {
    /// The domain, or an address literal.
    domain: String,
    /// Recipients that wait.
    count: u64,
}

/// A queued message.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct QueueMessage {
    /// Its id.
    id: String,
    /// The sender of the envelope; null: the null sender.
    sender: Option<String>,
    /// Octets.
    size_bytes: u64,
    /// It holds octets above 127.
    eight_bit: bool,
    /// It needs SMTPUTF8.
    smtputf8: bool,
    /// When it came in.
    queued_at: String,
    /// The sender's own name for it, which a report names (RFC 3461).
    envelope_id: Option<String>,
    /// It is sent to nobody before this; null: it was to go at once (RFC 4865).
    send_at: Option<String>,
    /// By when its sender wants it to be delivered (RFC 2852).
    deliver_by_at: Option<String>,
    /// From -9 to 9; 0 where its sender says nothing (RFC 6710).
    priority: i8,
    /// No server gets it without TLS, nor one that would not ask the next one for it (RFC 8689).
    require_tls: bool,
    /// Its recipients that are left in the queue.
    recipients: Vec<QueueEntry>,
}

/// Lists the recipients that wait, the oldest message first: one entry for each. A token that is restricted to domains
/// sees the entries whose sender or recipient is in one of them.
#[utoipa::path(
    tag = "queue",
    params(
        ListParams,
        ("state" = Option<QueueState>, Query, description = "Only entries in this state"),
        ("domain" = Option<String>, Query, description = "Only recipients of this domain, or of an address literal as `[192.0.2.1]`"),
        ("sender" = Option<String>, Query, description = "Only from this address; `<>` is the null sender"),
        ("recipient" = Option<String>, Query, description = "Only for this address"),
        ("before" = Option<String>, Query, description = "Only what came in before this time (RFC 3339)"),
        ("after" = Option<String>, Query, description = "Only what came in at this time or later (RFC 3339)"),
    ),
    responses((status = 200, description = "A page of entries", body = QueueEntryPage))
)]
#[get("/queue")]
pub(in crate::http) async fn list_queue(
    allowed: Allowed<QueueRead>,
    request: HttpRequest,
    context: web::Data<Context>,
    query: ListQuery,
) -> Result<HttpResponse, Problem> {
    let query = query.allow(&["state", "domain", "sender", "recipient", "before", "after"])?;
    let after = query.after_key(str::parse::<QueueId>)?;
    let wanted = Wanted::of_query(&query)?;
    let (claims, now) = (context.delivery.claims.clone(), context.delivery.now());
    let found = context
        .store
        .read(move |view| {
            let fetch = |after: Option<&QueueId>, limit| wanted.fetch(view, &claims, now, after.copied(), limit);
            let keep = |row: &Row| row.is_reached_by(&allowed.caller) && wanted.takes(row);
            let listed = list(&query, after, fetch, keep, |row: &Row| row.id)?;
            listed.try_map(|row| QueueEntry::of(view, &row))
        })
        .await?;
    Ok(found.answer_as::<QueueEntryPage>(&request))
}

/// The queue in numbers. Not for tokens that are restricted to domains: it is about all mail.
#[utoipa::path(tag = "queue", responses((status = 200, description = "The numbers", body = QueueSummary)))]
#[get("/queue/summary")]
pub(in crate::http) async fn get_queue_summary(
    allowed: Allowed<QueueRead>,
    _none: NoQuery,
    context: web::Data<Context>,
) -> Result<web::Json<QueueSummary>, Problem> {
    allowed.caller.need_unrestricted("see the whole queue")?;
    let now = context.delivery.now();
    let read = move |view: &View| Ok::<_, StoreError>((queue::summary(view, now)?, queue::pause(view, now)?));
    let (summary, pause) = context.store.read(read).await?;
    let domain = |(domain, count)| QueueDomain { domain, count };
    Ok(web::Json(QueueSummary {
        due: summary.due,
        waiting: summary.waiting,
        in_flight: summary.in_flight,
        held: summary.held + summary.parked,
        held_for_peers: summary.parked,
        size_bytes: summary.size_bytes,
        oldest_at: summary.oldest_at.map(|at| at.rfc3339()),
        oldest_age_seconds: summary.oldest_at.map(|at| now.ms_since(at) / 1000),
        pause: pause.as_ref().map(QueuePause::of),
        domains: summary.domains.into_iter().map(domain).collect(),
    }))
}

/// Shows one recipient of a queued message, with the history of its attempts. When it is not in the queue any more, the
/// refusal says what became of it, where that is known.
#[utoipa::path(
    tag = "queue",
    params(("qid" = String, Path, description = "The entry's id")),
    responses(
        (status = 200, description = "The entry", body = QueueEntry),
        (status = 304, description = "The client has it"),
        (status = 404, description = "It is not in the queue; `errors` says where it went"),
    )
)]
#[get("/queue/{qid}")]
pub(in crate::http) async fn get_queue_entry(
    allowed: Allowed<QueueRead>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let id = entry_id(&request, &path)?;
    let row = find(&context, &allowed.caller, id)?;
    let entry = QueueEntry::of(&context.store.view()?, &row)?.with_history(&context.store.view()?, &row)?;
    Ok(show(&request, etag::of_content(&entry), &entry))
}

/// Shows a queued message with the recipients that are left.
#[utoipa::path(
    tag = "queue",
    params(("mid" = String, Path, description = "The message's id")),
    responses(
        (status = 200, description = "The message", body = QueueMessage),
        (status = 304, description = "The client has it"),
    )
)]
#[get("/queue/messages/{mid}")]
pub(in crate::http) async fn get_queue_message(
    allowed: Allowed<QueueRead>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let id: MessageId = path.parse().map_err(|error| wrong_id("mid", error))?;
    let rows = rows_of_message(&context, &allowed.caller, id)?;
    let view = context.store.view()?;
    let recipients = rows.iter().map(|row| QueueEntry::of(&view, row)).collect::<Result<Vec<_>, _>>()?;
    let message = rows.first().map(|row| &row.message).ok_or_else(|| no_message(id))?;
    let message = QueueMessage {
        id: id.to_string(),
        sender: message.sender.as_ref().map(ToString::to_string),
        size_bytes: u64::from(message.head_bytes) + message.body_bytes,
        eight_bit: message.eight_bit,
        smtputf8: message.smtputf8,
        queued_at: message.at.rfc3339(),
        envelope_id: message.options.envelope_id.clone(),
        send_at: message.options.release_at.map(|at| at.rfc3339()),
        deliver_by_at: message.options.deliver_by.map(|by| by.at.rfc3339()),
        priority: message.options.priority,
        require_tls: message.options.tls == TlsWish::Required,
        recipients,
    };
    Ok(show(&request, etag::of_content(&message), &message))
}

fn no_message(id: MessageId) -> Problem {
    Problem::not_found("message in the queue with the id", id)
}

/// The entries of a message that the caller reaches; at least one.
fn rows_of_message(context: &Context, caller: &Caller, id: MessageId) -> Result<Vec<Row>, Problem> {
    let view = context.store.view()?;
    let entries = queue::entries_of_message(&view, id)?;
    let mut rows = Row::gather(&view, &context.delivery.claims, context.delivery.now(), entries)?;
    rows.retain(|row| row.is_reached_by(caller));
    if rows.is_empty() { Err(no_message(id)) } else { Ok(rows) }
}

/// The entry of that id, where the caller reaches it.
fn find(context: &Context, caller: &Caller, id: QueueId) -> Result<Row, Problem> {
    let view = context.store.view()?;
    let entry = queue::entry(&view, id)?.map(|entry| queue::Waiting { id, entry });
    let rows = Row::gather(&view, &context.delivery.claims, context.delivery.now(), entry.into_iter().collect())?;
    match rows.into_iter().find(|row| row.is_reached_by(caller)) {
        Some(row) => Ok(row),
        None => Err(gone::problem(&view, caller, id)?),
    }
}

/// The id of the path. A word at its place is another operation's, asked with a method that it does not have.
fn entry_id(request: &HttpRequest, path: &str) -> Result<QueueId, Problem> {
    path.parse().map_err(|error| {
        let methods = document::methods(request.path()).unwrap_or_default();
        if methods.iter().any(|method| method == request.method().as_str()) {
            return wrong_id("qid", error);
        }
        document::wrong_method(&methods)
    })
}

impl crate::http::problem::Refusal for queue::Refused {
    fn is_precondition(&self) -> bool {
        false
    }

    fn problem(self) -> Problem {
        match self {
            Self::Gone(id) => Problem::new(Code::NotFound, format!("{id} is not in the queue.")),
            Self::InFlight(id) => {
                Problem::new(Code::Conflict, format!("{id} is being delivered at this moment: try again in a moment."))
            }
            Self::Damaged(id) => {
                Problem::new(Code::Unavailable, format!("{id} is damaged in the file: `pillarbox check` tells how."))
            }
            Self::State(id) => Problem::new(
                Code::Conflict,
                format!("{id} is not in a state for that: what is held can only be released, and only what is held."),
            ),
        }
    }
}
