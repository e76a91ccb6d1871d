use actix_web::{HttpRequest, HttpResponse, delete, get, patch, put, web};
use serde_json::Value;

use super::state::Section;
use super::{Guard, audit_row, list, show, stored};
use crate::http::body::{Body, Patch};
use crate::http::caller::{Allowed, TurnRead, TurnWrite};
use crate::http::context::Context;
use crate::http::etag;
use crate::http::page::{ListParams, ListQuery, NoQuery};
use crate::http::problem::{Code, Fault, Problem, Refusal};
use crate::store::{Read, StoreError, Tx};
use crate::tls;
use crate::turn::{self, DeletePeer, PutPeer, Refused};

mod auth;
mod shape;

pub(super) use shape::PeerInput;
pub(in crate::http::api) use shape::PeerVerb;
use shape::{Peer, PeerPage};

/// What only a token for all domains may do: a peer is about other domains' mail.
pub(super) const WHAT: &str = "see or change peers and their sessions";

/// Lists the peers, by name. Not for tokens that are restricted to domains.
#[utoipa::path(
    tag = "turn",
    params(ListParams),
    responses((status = 200, description = "A page of peers", body = PeerPage))
)]
#[get("/turn/peers")]
pub(in crate::http) async fn list_peers(
    allowed: Allowed<TurnRead>,
    request: HttpRequest,
    context: web::Data<Context>,
    query: ListQuery,
) -> Result<HttpResponse, Problem> {
    allowed.caller.need_unrestricted(WHAT)?;
    let query = query.allow(&[])?;
    let after = query.after_key(|name| Ok::<_, std::convert::Infallible>(name.to_owned()))?;
    let found = context
        .store
        .read(move |view| {
            let fetch = |after: Option<&String>, limit| turn::peers(view, after.map(String::as_str), limit);
            let listed = list(&query, after, fetch, |_| true, |row: &turn::Peer| row.name.clone())?;
            listed.try_map(|row| Ok(seen(view, &row)?.0))
        })
        .await?;
    Ok(found.answer_as::<PeerPage>(&request))
}

/// Shows a peer.
#[utoipa::path(
    tag = "turn",
    params(("name" = String, Path, description = "The peer's name")),
    responses((status = 200, description = "The peer", body = Peer), (status = 304, description = "The client has it"))
)]
#[get("/turn/peers/{name}")]
pub(in crate::http) async fn get_peer(
    allowed: Allowed<TurnRead>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    allowed.caller.need_unrestricted(WHAT)?;
    let row = find(&context, &path)?.ok_or_else(|| Problem::not_found("peer", &path))?;
    let (peer, etag) = seen(&context.store.view()?, &row)?;
    Ok(show(&request, etag, &peer))
}

/// Creates or replaces a peer. Without `auth.secret` the secret that is there stays, as long as it goes to the same user
/// at the same host and port.
#[utoipa::path(
    tag = "turn",
    params(("name" = String, Path, description = "The peer's name: letters, digits, `.`, `_`, `-`")),
    request_body = PeerInput,
    responses(
        (status = 200, description = "Replaced", body = Peer),
        (status = 201, description = "Created", body = Peer),
        (status = 409, description = "Somebody changed it at the same moment"),
    )
)]
#[put("/turn/peers/{name}")]
pub(in crate::http) async fn put_peer(
    allowed: Allowed<TurnWrite>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<String>,
    body: Body<PeerInput>,
) -> Result<HttpResponse, Problem> {
    allowed.caller.need_unrestricted(WHAT)?;
    let name = path.into_inner();
    let old = find(&context, &name)?;
    let guard = Guard::read(&request, old.as_ref().map(|peer| peer.version))?;
    write(&context, &allowed, name, body.0, old.as_ref(), guard).await
}

/// Changes some fields of a peer (RFC 7396).
#[utoipa::path(
    tag = "turn",
    params(("name" = String, Path, description = "The peer's name")),
    request_body(content = PeerInput, content_type = "application/merge-patch+json"),
    responses(
        (status = 200, description = "Changed", body = Peer),
        (status = 409, description = "Somebody changed it at the same moment"),
    )
)]
#[patch("/turn/peers/{name}")]
pub(in crate::http) async fn patch_peer(
    allowed: Allowed<TurnWrite>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<String>,
    patch: Patch,
) -> Result<HttpResponse, Problem> {
    allowed.caller.need_unrestricted(WHAT)?;
    let name = path.into_inner();
    let old = find(&context, &name)?;
    let guard = Guard::read(&request, old.as_ref().map(|peer| peer.version))?;
    let old = old.ok_or_else(|| Problem::not_found("peer", &name))?;
    let input = patch.apply(&PeerInput::of(&old.fields))?;
    write(&context, &allowed, name, input, Some(&old), guard).await
}

/// Deletes a peer: what waits for it goes out by the ordinary way.
#[utoipa::path(
    tag = "turn",
    params(("name" = String, Path, description = "The peer's name")),
    responses((status = 204, description = "Deleted"))
)]
#[delete("/turn/peers/{name}")]
pub(in crate::http) async fn delete_peer(
    allowed: Allowed<TurnWrite>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    allowed.caller.need_unrestricted(WHAT)?;
    let name = path.into_inner();
    let guard = Guard::read(&request, find(&context, &name)?.map(|peer| peer.version))?;
    let op = DeletePeer { name: name.clone(), precondition: guard.asked };
    allowed.write(&context, &name, op, shows(&name)).await?.into_inner();
    Ok(HttpResponse::NoContent().finish())
}

/// The peer of that name.
fn find(context: &Context, name: &str) -> Result<Option<turn::Peer>, Problem> {
    Ok(turn::peer(&context.store.view()?, name)?)
}

/// The peer as it is shown, and its ETag: a session moves it without anybody having edited it.
fn seen(read: &impl Read, row: &turn::Peer) -> Result<(Peer, String), StoreError> {
    let last = turn::sessions(read, Some(&row.name), None, 1)?.pop();
    let ended_at = last.as_ref().and_then(|(_, session)| session.ended_at).map_or(0, |at| at.ms());
    let managed_by = Section::Peers.managed_by(read, &row.name, row.created_at)?;
    let called_at = turn::last_call(read, &row.name)?;
    let next_call = row.next_call(called_at.map_or(row.changed_at, |at| at.max(row.changed_at)));
    let certificate = match row.fields.is_certified() && row.fields.direction.initiates() {
        true => tls::client_fingerprint(read)?,
        false => None,
    };
    let figures = [last.as_ref().map_or(0, |(id, _)| id.0), ended_at, managed_by.is_some().into()];
    Ok((Peer::of(row, last, next_call, managed_by, certificate), etag::moving(row.version, &figures)))
}

/// Shows the peer, for the audit.
fn shows(name: &str) -> impl Fn(&Tx<'_>) -> Result<Option<Value>, StoreError> + use<> {
    let name = name.to_owned();
    move |tx| audit_row(turn::peer(tx, &name)?, |row| seen(tx, row))
}

async fn write(
    context: &Context,
    allowed: &Allowed<TurnWrite>,
    name: String,
    input: PeerInput,
    old: Option<&turn::Peer>,
    guard: Guard,
) -> Result<HttpResponse, Problem> {
    let (fields, keep_secret) = input.fields(old)?;
    let precondition = guard.as_read;
    let op = PutPeer { name: name.clone(), fields, keep_secret, precondition, at: context.clock.now() };
    let put = allowed.write(context, &name, op, shows(&name)).await;
    let put = put.map_err(|error| guard.problem(error))?.into_inner();
    let (peer, etag) = seen(&context.store.view()?, &put.row)?;
    Ok(stored(put.created, "turn/peers", &put.row.name, etag, &peer))
}

impl Refusal for Refused {
    fn is_precondition(&self) -> bool {
        matches!(self, Self::Precondition(_))
    }

    fn problem(self) -> Problem {
        match self {
            Self::Precondition(_) => Problem::new(Code::PreconditionFailed, "It was changed meanwhile: read it again."),
            Self::Unknown => Problem::new(Code::NotFound, "There is no such peer."),
            Self::Field("name", what) => Problem::invalid(vec![Fault::parameter("name", "malformed", what)]),
            Self::Field(name, what) => {
                let pointer = match name {
                    "login" => "/auth".to_owned(),
                    "mechanisms" => "/auth/mechanisms".to_owned(),
                    "client_certificate" => "/auth/client_cert_sha256".to_owned(),
                    "in_clear" => "/tls/required".to_owned(),
                    "login.user" => "/auth/sasl_user".to_owned(),
                    "login.secret" => "/auth/secret".to_owned(),
                    "limits.messages" => "/limits/messages".to_owned(),
                    "limits.size_bytes" => "/limits/size_bytes".to_owned(),
                    "limits.duration_seconds" => "/limits/duration_seconds".to_owned(),
                    name => format!("/{name}"),
                };
                Problem::invalid(vec![Fault::body(pointer, "not_allowed", what)])
            }
        }
    }
}
