use actix_web::{HttpRequest, HttpResponse, get, post, web};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::peers::{PeerVerb, WHAT};
use super::{domain_of, jobs, list, page_of, show, wrong_id};
use crate::base::{DomainName, Host, SessionId, Timestamp, limits};
use crate::exchange::{self, Call, NotBegun};
use crate::http::body::Body;
use crate::http::caller::{Allowed, TurnRead, TurnWrite};
use crate::http::context::Context;
use crate::http::etag;
use crate::http::page::{ListParams, ListQuery, NoQuery};
use crate::http::problem::{Code, Fault, Problem};
use crate::queue::{self, Match, RouteKind};
use crate::store::{Read, StoreError};
use crate::turn::{self, Role, SessionState};

/// A session with a peer.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct TurnSession {
    /// Its id.
    id: String,
    /// The peer's name.
    peer: String,
    /// The verb.
    verb: PeerVerb,
    /// Who we were before the swap: `client` where we have dialled.
    role_before: TurnRole,
    /// Who we were after it; null: the roles were not swapped, or the session runs.
    role_after: Option<TurnRole>,
    /// The peer's address.
    peer_ip: Option<String>,
    /// How it stands.
    state: TurnSessionState,
    /// When it began.
    started_at: String,
    /// When it ended.
    ended_at: Option<String>,
    /// Messages that we sent.
    sent: u64,
    /// Messages that we took.
    received: u64,
    /// Recipients that the peer refused.
    refused: u64,
    /// How it ended, in words.
    outcome: String,
    /// Its dialogue, so far while it runs: secrets masked, message data left out; only where one session is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = "lines")]
    transcript: Option<String>,
}

/// A side of a session.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum TurnRole {
    /// It gives commands.
    Client,
    /// It answers them.
    Server,
}

/// How a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum TurnSessionState {
    /// It runs.
    Running,
    /// The roles were swapped, or ETRN was taken, or there was nothing to fetch.
    Done,
    /// The peer refused the verb.
    Refused,
    /// It broke.
    Failed,
}

page_of! {
    /// Sessions, the newest first.
    TurnSessionPage of TurnSession
}

/// A session that is to be begun.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct TurnSessionInput {
    /// What is asked for. Default: the best of the peer's verbs: ATRN, TURN, ETRN.
    #[serde(default)]
    verb: Option<PeerVerb>,
    /// Connects, logs in, looks, and leaves: nothing is sent and nothing is asked for.
    #[serde(default)]
    #[schema(default = false)]
    dry_run: bool,
}

/// What ETRN or ATRN would release.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct TurnWaiting {
    /// The domain.
    domain: String,
    /// The peer that it is held for; null: it is held for none.
    peer: Option<String>,
    /// Recipients that wait; those that an operator holds do not count.
    count: u64,
    /// Octets of their messages.
    size_bytes: u64,
    /// When the oldest of them came in.
    oldest_at: Option<String>,
}

impl TurnSession {
    /// A session as it is shown in a list.
    pub(super) fn of(id: SessionId, row: &turn::Session) -> Self {
        let (before, after) = match row.role {
            Role::Initiated => (TurnRole::Client, TurnRole::Server),
            Role::Accepted => (TurnRole::Server, TurnRole::Client),
        };
        Self {
            id: id.to_string(),
            peer: row.peer.clone(),
            verb: PeerVerb::of(row.verb),
            role_before: before,
            role_after: row.swapped.then_some(after),
            peer_ip: row.peer_ip.map(|ip| ip.to_string()),
            state: TurnSessionState::of(row.state),
            started_at: row.started_at.rfc3339(),
            ended_at: row.ended_at.map(Timestamp::rfc3339),
            sent: row.sent,
            received: row.received,
            refused: row.refused,
            outcome: row.outcome.clone(),
            transcript: None,
        }
    }
}

impl TurnSessionState {
    fn of(state: SessionState) -> Self {
        match state {
            SessionState::Running => Self::Running,
            SessionState::Done => Self::Done,
            SessionState::Refused => Self::Refused,
            SessionState::Failed => Self::Failed,
        }
    }
}

/// Begins a session with a peer now, as a job: dials, logs in, sends what waits for it, asks for a swap, and takes its
/// mail. The job's result says `session`, `state`, `outcome`, `sent`, `received` and `refused`.
#[utoipa::path(
    tag = "turn",
    params(("name" = String, Path, description = "The peer's name")),
    request_body = TurnSessionInput,
    responses(
        (status = 202, description = "The job is started", body = jobs::Job),
        (status = 404, description = "There is no such peer"),
        (status = 409, description = "The peer can't be dialled, as it is set; or a session with it runs"),
    )
)]
#[post("/turn/peers/{name}/sessions")]
pub(in crate::http) async fn start_turn_session(
    allowed: Allowed<TurnWrite>,
    _none: NoQuery,
    context: web::Data<Context>,
    path: web::Path<String>,
    body: Body<TurnSessionInput>,
) -> Result<HttpResponse, Problem> {
    allowed.caller.need_unrestricted(WHAT)?;
    let (peer, verb) = (path.into_inner(), body.0.verb.map(PeerVerb::read));
    exchange::check(&context.exchange, &peer, verb).map_err(|error| not_begun(error, &peer))?;
    let session = context.exchange.server.ids.session(context.clock.now());
    let call = Call { session, peer, verb, dry_run: body.0.dry_run };
    let what = json!({"session": session.to_string(), "dry_run": call.dry_run});
    allowed.note(&context, &call.peer, Some(what)).await?;
    let (order, exchange) = (exchange::order(&call, allowed.caller.name()), context.exchange.clone());
    let work = async move |task| exchange::work(exchange, call, task).await;
    let id = context.jobs.start(order, work).await.map_err(jobs::not_started)?;
    jobs::started(&context, id)
}

/// Lists the sessions with peers, the newest first. The thousand newest are kept.
#[utoipa::path(
    tag = "turn",
    params(ListParams, ("peer" = Option<String>, Query, description = "Only sessions with this peer")),
    responses((status = 200, description = "A page of sessions", body = TurnSessionPage))
)]
#[get("/turn/sessions")]
pub(in crate::http) async fn list_turn_sessions(
    allowed: Allowed<TurnRead>,
    request: HttpRequest,
    context: web::Data<Context>,
    query: ListQuery,
) -> Result<HttpResponse, Problem> {
    allowed.caller.need_unrestricted(WHAT)?;
    let query = query.allow(&["peer"])?;
    let after = query.after_key(str::parse::<SessionId>)?;
    let peer = query.filter("peer").map(str::to_owned);
    let found = context
        .store
        .read(move |view| {
            let fetch =
                |before: Option<&SessionId>, limit| turn::sessions(view, peer.as_deref(), before.copied(), limit);
            list(&query, after, fetch, |_| true, |(id, _): &(SessionId, turn::Session)| *id)
        })
        .await?;
    Ok(found.answer::<TurnSessionPage, _>(&request, |(id, row)| TurnSession::of(*id, row)))
}

/// Shows a session with its dialogue.
#[utoipa::path(
    tag = "turn",
    params(("id" = String, Path, description = "The session's id")),
    responses(
        (status = 200, description = "The session", body = TurnSession),
        (status = 304, description = "The client has it"),
    )
)]
#[get("/turn/sessions/{id}")]
pub(in crate::http) async fn get_turn_session(
    allowed: Allowed<TurnRead>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    allowed.caller.need_unrestricted(WHAT)?;
    let session = find(&context, &path)?.1;
    Ok(show(&request, etag::of_content(&session), &session))
}

/// Ends a session that runs, between two messages.
#[utoipa::path(
    tag = "turn",
    params(("id" = String, Path, description = "The session's id")),
    responses(
        (status = 202, description = "It is being ended", body = TurnSession),
        (status = 404, description = "There is no such session"),
        (status = 409, description = "It has ended already"),
    )
)]
#[post("/turn/sessions/{id}/abort")]
pub(in crate::http) async fn abort_turn_session(
    allowed: Allowed<TurnWrite>,
    _none: NoQuery,
    context: web::Data<Context>,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    allowed.caller.need_unrestricted(WHAT)?;
    let (id, session) = find(&context, &path)?;
    if !exchange::abort(&context.exchange, id) {
        return Err(Problem::new(Code::Conflict, format!("The session {id} has ended already.")));
    }
    allowed.note(&context, id, None).await?;
    Ok(HttpResponse::Accepted().json(session))
}

/// Says what waits for a domain: what ETRN or ATRN would release.
#[utoipa::path(
    tag = "turn",
    params(("domain" = String, Path, description = "The domain's name")),
    responses((status = 200, description = "What waits", body = TurnWaiting))
)]
#[get("/turn/domains/{domain}/waiting")]
pub(in crate::http) async fn get_turn_waiting(
    allowed: Allowed<TurnRead>,
    _none: NoQuery,
    context: web::Data<Context>,
    path: web::Path<String>,
) -> Result<web::Json<TurnWaiting>, Problem> {
    let domain = domain_of(&path)?;
    allowed.caller.need_domain(&domain)?;
    let now = context.clock.now();
    Ok(web::Json(context.store.read(move |view| waiting(view, &domain, now)).await?))
}

/// The peer that the domain's mail is kept for: by a route for the domain, else by the peer's own domains.
fn holder(read: &impl Read, domain: &DomainName) -> Result<Option<String>, StoreError> {
    let route = queue::route_for(read, &Host::Name(domain.clone()), None)?;
    Ok(match route.map(|route| (route.fields.matches, route.fields.kind)) {
        Some((Match::Domain(_), RouteKind::Hold { peer })) => Some(peer),
        Some((Match::Domain(_), _)) => None,
        _ => turn::peer_holding(read, domain)?.map(|peer| peer.name),
    })
}

fn waiting(read: &impl Read, domain: &DomainName, now: Timestamp) -> Result<TurnWaiting, StoreError> {
    let peer = holder(read, domain)?;
    let (mut count, mut size_bytes, mut oldest_at, mut after) = (0, 0, None::<Timestamp>, None);
    loop {
        let slice = queue::entries_of_domain(read, domain.as_str(), after, limits::QUEUE_SLICE)?;
        for one in &slice {
            if !queue::may_go(read, one, now)? {
                continue;
            }
            let Some(message) = queue::message_if_sound(read, one.id.message)? else { continue };
            count += 1;
            size_bytes += u64::from(message.head_bytes) + message.body_bytes;
            oldest_at = Some(oldest_at.map_or(message.at, |oldest| oldest.min(message.at)));
        }
        match slice.last() {
            Some(last) if slice.len() == limits::QUEUE_SLICE => after = Some(last.id),
            _ => break,
        }
    }
    let (domain, oldest_at) = (domain.to_string(), oldest_at.map(Timestamp::rfc3339));
    Ok(TurnWaiting { domain, peer, count, size_bytes, oldest_at })
}

fn find(context: &Context, path: &str) -> Result<(SessionId, TurnSession), Problem> {
    let id: SessionId = path.parse().map_err(|error| wrong_id("id", error))?;
    let view = context.store.view()?;
    let row = turn::session(&view, id)?.ok_or_else(|| Problem::not_found("session", id))?;
    let transcript = jobs::dialogue(context, &view, id)?;
    Ok((id, TurnSession { transcript, ..TurnSession::of(id, &row) }))
}

fn not_begun(error: NotBegun, peer: &str) -> Problem {
    match error {
        NotBegun::Unknown => Problem::not_found("peer", peer),
        NotBegun::Unfit(what) => {
            let fault = Fault::reason("unfit", what.clone());
            Problem::new(Code::Conflict, format!("The peer {peer} can't be called: {what}.")).with_faults(vec![fault])
        }
        NotBegun::Busy => Problem::new(Code::Conflict, format!("A session with {peer} runs already.")),
        NotBegun::Broken(cause) => Problem::internal(cause),
    }
}
