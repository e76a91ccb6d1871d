use actix_web::{HttpRequest, HttpResponse, delete, post, web};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::shape::{QueueEntry, QueueState, Row};
use super::{entry_id, find};
use crate::base::{Address, Enhanced, QueueId, Timestamp, limits};
use crate::delivery::Claim;
use crate::directory::{self, Resolution, Scope};
use crate::http::body::Body;
use crate::http::caller::{Allowed, Caller, QueueWrite};
use crate::http::context::Context;
use crate::http::etag;
use crate::http::page::{ConfirmSilent, NoQuery};
use crate::http::problem::{Code, Fault, Problem, Refusal};
use crate::intake::Settle;
use crate::queue::{self, Act, Action, Attempt, Outcome, Stage, State, Verdict, Via, Words};
use crate::store::{StoreError, Tx, WriteError};

/// Why an operator holds something, and for how long.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct QueueHold {
    /// For people: it is shown with the entry.
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
    /// When it is released by itself (RFC 3339). Left out: never.
    #[serde(default)]
    #[schema(format = DateTime)]
    until: Option<String>,
}

/// Where an entry is to go instead, or by which way: at least one of the two.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct QueueRedirect {
    /// An address elsewhere. Left out: the recipient stays.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 320)]
    recipient: Option<String>,
    /// The way for this entry alone, whatever routes and peers say: a route's name, or a server as in
    /// `relay.example.org` or `relay.example.org:2525`. Left out: as routes and peers say. Not for tokens that are
    /// restricted to domains.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 320)]
    route: Option<String>,
}

/// Why an operator does something.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct QueueReason {
    /// For people: it is shown with the entry, and in a bounce to the sender.
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
}

/// An entry that was bounced.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct QueueBounced {
    /// Its id; it is not in the queue any more.
    id: String,
    /// The message's id: its trace names the bounce.
    message_id: String,
    /// Where the message did not go.
    recipient: String,
}

/// Makes an entry due at once. What waits for a peer goes out by the ordinary way, for one attempt.
#[utoipa::path(
    tag = "queue",
    params(("qid" = String, Path, description = "The entry's id")),
    responses(
        (status = 202, description = "It is due", body = QueueEntry),
        (status = 404, description = "It is not in the queue; `errors` says where it went"),
        (status = 409, description = "It is being delivered, or held by an operator"),
    )
)]
#[post("/queue/{qid}/retry")]
pub(in crate::http) async fn retry_queue_entry(
    allowed: Allowed<QueueWrite>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let row = find(&context, &allowed.caller, entry_id(&request, &path)?)?;
    if row.state == QueueState::InFlight {
        return Err(queue::Refused::InFlight(row.id).problem());
    }
    let entry = act(&context, &allowed, row, Action::Retry).await?;
    Ok(HttpResponse::Accepted().json(entry))
}

/// Holds an entry until it is released, or until a time: it is not tried and does not expire. One that is held already gets
/// the new reason and time.
#[utoipa::path(
    tag = "queue",
    params(("qid" = String, Path, description = "The entry's id")),
    request_body = QueueHold,
    responses(
        (status = 200, description = "It is held", body = QueueEntry),
        (status = 404, description = "It is not in the queue; `errors` says where it went"),
        (status = 409, description = "It is being delivered"),
    )
)]
#[post("/queue/{qid}/hold")]
pub(in crate::http) async fn hold_queue_entry(
    allowed: Allowed<QueueWrite>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<String>,
    body: Body<QueueHold>,
) -> Result<HttpResponse, Problem> {
    let row = find(&context, &allowed.caller, entry_id(&request, &path)?)?;
    let until = hold_until(&context, body.0.until.as_deref())?;
    let entry = act(&context, &allowed, row, Action::Hold { reason: body.0.reason, until }).await?;
    Ok(HttpResponse::Ok().json(entry))
}

/// Ends an operator's hold: due at once.
#[utoipa::path(
    tag = "queue",
    params(("qid" = String, Path, description = "The entry's id")),
    responses(
        (status = 200, description = "It is due", body = QueueEntry),
        (status = 404, description = "It is not in the queue; `errors` says where it went"),
        (status = 409, description = "No operator holds it"),
    )
)]
#[post("/queue/{qid}/release")]
pub(in crate::http) async fn release_queue_entry(
    allowed: Allowed<QueueWrite>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let row = find(&context, &allowed.caller, entry_id(&request, &path)?)?;
    let entry = act(&context, &allowed, row, Action::Release).await?;
    Ok(HttpResponse::Ok().json(entry))
}

/// Sends an entry to another address elsewhere or by another way, due at once; what is held stays held. For an address
/// here, redeliver the message instead. To send it to another domain needs the scope `messages:read` besides.
#[utoipa::path(
    tag = "queue",
    params(("qid" = String, Path, description = "The entry's id")),
    request_body = QueueRedirect,
    responses(
        (status = 200, description = "It goes there", body = QueueEntry),
        (status = 404, description = "It is not in the queue; `errors` says where it went"),
        (status = 409, description = "It is being delivered"),
    )
)]
#[post("/queue/{qid}/redirect")]
pub(in crate::http) async fn redirect_queue_entry(
    allowed: Allowed<QueueWrite>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<String>,
    body: Body<QueueRedirect>,
) -> Result<HttpResponse, Problem> {
    let row = find(&context, &allowed.caller, entry_id(&request, &path)?)?;
    let QueueRedirect { recipient, route } = body.0;
    let action = redirection(&context, &allowed.caller, recipient.as_deref(), route.as_deref())?;
    may_redirect(&allowed.caller, &row)?;
    if let Action::Redirect { to: Some(to), .. } = &action
        && to.host != row.entry.recipient.host
    {
        may_read(&allowed.caller, to)?;
    }
    let entry = act(&context, &allowed, row, action).await?;
    Ok(HttpResponse::Ok().json(entry))
}

/// The end of a hold.
pub(in crate::http::api) fn hold_until(context: &Context, until: Option<&str>) -> Result<Option<Timestamp>, Problem> {
    let Some(text) = until else { return Ok(None) };
    let fault = |code, message| Problem::invalid(vec![Fault::body("/until", code, message)]);
    let until = Timestamp::parse_rfc3339(text);
    let until = until.ok_or_else(|| fault("malformed", "not a time as in 2027-01-31T00:00:00Z (RFC 3339)"))?;
    if until <= context.delivery.now() {
        return Err(fault("out_of_range", "this time has passed: leave the hold out, or release it"));
    }
    Ok(Some(until))
}

/// A redirection to that address, by that way, or both.
pub(super) fn redirection(
    context: &Context,
    caller: &Caller,
    recipient: Option<&str>,
    route: Option<&str>,
) -> Result<Action, Problem> {
    if recipient.is_none() && route.is_none() {
        let message = "where are they to go? Say a recipient, a route, or both";
        return Err(Problem::invalid(vec![Fault::body("/recipient", "required", message)]));
    }
    let to = recipient.map(|text| redirect_to(context, "/recipient", text)).transpose()?;
    let via = route.map(|text| route_to(context, caller, text)).transpose()?;
    Ok(Action::Redirect { to, via })
}

/// The way that a caller has chosen for some mail.
pub(in crate::http::api) fn route_to(context: &Context, caller: &Caller, text: &str) -> Result<Via, Problem> {
    caller.need_unrestricted("choose by which way mail goes")?;
    let fault = || {
        let message = format!("there is no route {text}, and it is no server as in relay.example.org:25");
        Problem::invalid(vec![Fault::body("/route", "no_such_route", message)])
    };
    let via = queue::via(&context.store.view()?, text)?.ok_or_else(fault)?;
    // A server that no route names would read what was not for it.
    if matches!(via, Via::Host { .. }) && !caller.has(Scope::MessagesRead) {
        let detail = format!("No route leads to {text}: to send mail there needs the scope {}.", Scope::MessagesRead);
        return Err(Problem::new(Code::Forbidden, detail));
    }
    Ok(via)
}

/// Where mail is redirected to: the queue holds mail for elsewhere alone.
fn redirect_to(context: &Context, pointer: &str, text: &str) -> Result<Address, Problem> {
    let fault = |code, message: String| Problem::invalid(vec![Fault::body(pointer, code, message)]);
    let to = Address::parse(text).map_err(|error| fault("malformed", error.to_string()))?;
    if directory::resolve(&context.store.view()?, &to)? != Resolution::NotLocal {
        let message = format!("{to} is an address here: redeliver the message to it, then drop the entry");
        return Err(fault("local", message));
    }
    if context.delivery.outbound.capture_to.is_some() {
        return Err(fault("captured", "mail for other domains stays here (setting delivery.capture_to)".into()));
    }
    Ok(to)
}

/// Who is given a message reads it: to send one to another domain than its own needs the scope for that.
pub(super) fn may_read(caller: &Caller, to: &Address) -> Result<(), Problem> {
    if caller.has(Scope::MessagesRead) {
        return Ok(());
    }
    let scope = Scope::MessagesRead;
    let detail =
        format!("{to} is in another domain, and would read what was not for it: this needs the scope {scope}.");
    Err(Problem::new(Code::Forbidden, detail))
}

/// Who is restricted to domains sends only its own users' mail to others: a stranger's message is not theirs to hand on.
pub(super) fn may_redirect(caller: &Caller, row: &Row) -> Result<(), Problem> {
    match row.message.sender.as_ref().and_then(|sender| sender.host.name()) {
        _ if !caller.is_restricted() => Ok(()),
        Some(domain) => caller.need_domain(domain),
        None => caller.need_unrestricted("redirect mail without a sender"),
    }
}

/// Gives an entry up now and tells its sender so, by a bounce with the reason.
#[utoipa::path(
    tag = "queue",
    params(("qid" = String, Path, description = "The entry's id")),
    request_body = QueueReason,
    responses(
        (status = 200, description = "It was bounced", body = QueueBounced),
        (status = 404, description = "It is not in the queue; `errors` says where it went"),
        (status = 409, description = "It is being delivered"),
    )
)]
#[post("/queue/{qid}/bounce")]
pub(in crate::http) async fn bounce_queue_entry(
    allowed: Allowed<QueueWrite>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<String>,
    body: Body<QueueReason>,
) -> Result<HttpResponse, Problem> {
    let row = find(&context, &allowed.caller, entry_id(&request, &path)?)?;
    let settle = bounce(&context, &allowed.caller.name(), vec![row.id], &body.0.reason);
    allowed.write(&context, row.id, settle, shows(row.id)).await?.into_inner();
    let (id, message_id) = (row.id.to_string(), row.id.message.to_string());
    Ok(HttpResponse::Ok().json(QueueBounced { id, message_id, recipient: row.entry.recipient.to_string() }))
}

/// Removes an entry. Nobody is told: the message is lost for this recipient, and only the trace knows.
#[utoipa::path(
    tag = "queue",
    params(
        ("qid" = String, Path, description = "The entry's id"),
        ("confirm" = String, Query, description = "`silent`: the sender is not told"),
    ),
    responses(
        (status = 204, description = "Removed"),
        (status = 404, description = "It is not in the queue; `errors` says where it went"),
        (status = 409, description = "It is being delivered"),
    )
)]
#[delete("/queue/{qid}")]
pub(in crate::http) async fn drop_queue_entry(
    allowed: Allowed<QueueWrite>,
    _silent: ConfirmSilent,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let row = find(&context, &allowed.caller, entry_id(&request, &path)?)?;
    let view = context.store.view()?;
    let seen = QueueEntry::of(&view, &row)?.with_history(&view, &row)?;
    drop(view);
    etag::expect_content(&request, &etag::of_content(&seen))?;
    write(&context, &allowed, row.id, Action::Drop).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Does something to an entry, and shows it as it is then: as it was, when it has gone on its way meanwhile.
async fn act(
    context: &Context,
    allowed: &Allowed<QueueWrite>,
    row: Row,
    action: Action,
) -> Result<QueueEntry, Problem> {
    write(context, allowed, row.id, action).await?;
    let row = find(context, &allowed.caller, row.id).unwrap_or(row);
    Ok(QueueEntry::of(&context.store.view()?, &row)?)
}

/// Does something to an entry, and writes down who did.
async fn write(
    context: &Context,
    allowed: &Allowed<QueueWrite>,
    id: QueueId,
    action: Action,
) -> Result<(), WriteError<queue::Refused>> {
    let is_urgent = is_urgent(&action);
    let claims = claims(context, &[id], &action)?;
    if is_urgent {
        context.delivery.urge();
    }
    let act = Act { entries: vec![id], action, actor: allowed.caller.name(), at: context.clock.now() };
    allowed.write(context, id, act, shows(id)).await?.into_inner();
    drop(claims);
    if is_urgent {
        context.delivery.wake();
    }
    Ok(())
}

/// Whether an action makes something due at once.
pub(super) fn is_urgent(action: &Action) -> bool {
    matches!(action, Action::Retry | Action::Release | Action::Redirect { .. })
}

/// What has to be held while an action is written: no courier picks the entries then, and none has them under their old
/// address.
pub(super) fn claims(
    context: &Context,
    entries: &[QueueId],
    action: &Action,
) -> Result<Vec<Claim>, WriteError<queue::Refused>> {
    if !matches!(action, Action::Redirect { .. }) {
        return Ok(Vec::new());
    }
    let claim = |id: &QueueId| {
        let claim = context.delivery.claims.claim(*id);
        claim.ok_or(WriteError::Refused(queue::Refused::InFlight(*id)))
    };
    entries.iter().map(claim).collect()
}

/// Shows an entry, for the audit; `None` where it is not in the queue any more.
fn shows(id: QueueId) -> impl Fn(&Tx<'_>) -> Result<Option<Value>, StoreError> {
    move |tx| {
        let Some(entry) = queue::entry(tx, id)? else { return Ok(None) };
        let (state, reason) = match &entry.state {
            State::Waiting { .. } => ("waiting", None),
            State::Held { reason } => ("held", Some(reason)),
            State::Parked { .. } => ("parked", None),
        };
        let (recipient, due_at) = (entry.recipient.to_string(), entry.due.rfc3339());
        let route = entry.via.as_ref().map(Via::to_string);
        Ok(Some(json!({
            "recipient": recipient, "state": state, "due_at": due_at, "hold_reason": reason, "route": route,
        })))
    }
}

/// What gives entries of one message up, all or none, and tells the sender.
pub(super) fn bounce(context: &Context, actor: &str, entries: Vec<QueueId>, reason: &str) -> Settle {
    let at = context.clock.now();
    let words: String = reason.chars().take(limits::WORDS_CHARS).collect();
    let attempt = Attempt {
        at,
        actor: actor.to_owned(),
        server: None,
        server_ip: None,
        tls: None,
        stage: Stage::Queue,
        // RFC 3463 §3.1: no other code says that a person has decided so.
        words: Words::own(Enhanced(5, 0, 0), words),
        duration_ms: 0,
    };
    let outcome = |entry| Outcome::new(entry, Verdict::Failed, attempt.clone());
    let outcomes: Vec<Outcome> = entries.into_iter().map(outcome).collect();
    let outbound = context.delivery.outbound.clone();
    Settle { outcomes, outbound, at, jitter: 0 }
}
