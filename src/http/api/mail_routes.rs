use actix_web::{HttpRequest, HttpResponse, delete, get, put, web};
use serde_json::Value;

use super::state::Section;
use super::{Guard, audit_row, list, show, stored};
use crate::http::body::Body;
use crate::http::caller::{Allowed, QueueRead, QueueWrite};
use crate::http::context::Context;
use crate::http::etag;
use crate::http::page::{ListParams, ListQuery, NoQuery};
use crate::http::problem::{Code, Fault, Problem, Refusal};
use crate::queue::{self, DeleteRoute, PutRoute, RouteRefused};
use crate::store::{Read, StoreError, Tx};

mod shape;

use shape::RoutePage;
pub(super) use shape::{Route, RouteInput};

const WHAT: &str = "see or change routes";

/// Lists the routes, by name. Not for tokens that are restricted to domains: a route is about other domains' mail.
#[utoipa::path(
    tag = "queue",
    params(ListParams),
    responses((status = 200, description = "A page of routes", body = RoutePage))
)]
#[get("/routes")]
pub(in crate::http) async fn list_routes(
    allowed: Allowed<QueueRead>,
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
            let fetch = |after: Option<&String>, limit| queue::routes(view, after.map(String::as_str), limit);
            let listed = list(&query, after, fetch, |_| true, |row: &queue::Route| row.name.clone())?;
            listed.try_map(|row| Ok(seen(view, &row)?.0))
        })
        .await?;
    Ok(found.answer_as::<RoutePage>(&request))
}

/// Shows a route.
#[utoipa::path(
    tag = "queue",
    params(("name" = String, Path, description = "The route's name")),
    responses((status = 200, description = "The route", body = Route), (status = 304, description = "The client has it"))
)]
#[get("/routes/{name}")]
pub(in crate::http) async fn get_route(
    allowed: Allowed<QueueRead>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    allowed.caller.need_unrestricted(WHAT)?;
    let view = context.store.view()?;
    let row = queue::route(&view, &path)?.ok_or_else(|| Problem::not_found("route", &path))?;
    let (route, etag) = seen(&view, &row)?;
    Ok(show(&request, etag, &route))
}

/// Creates or replaces a route. Without `auth.secret` the secret that is there stays, as long as it goes to the same user
/// at the same host and port.
#[utoipa::path(
    tag = "queue",
    params(("name" = String, Path, description = "The route's name: a-z, 0-9, `.`, `_`, `-`")),
    request_body = RouteInput,
    responses(
        (status = 200, description = "Replaced", body = Route),
        (status = 201, description = "Created", body = Route),
        (status = 409, description = "Another route is for the same mail, or somebody changed it at the same moment"),
    )
)]
#[put("/routes/{name}")]
pub(in crate::http) async fn put_route(
    allowed: Allowed<QueueWrite>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<String>,
    body: Body<RouteInput>,
) -> Result<HttpResponse, Problem> {
    allowed.caller.need_unrestricted(WHAT)?;
    let name = path.into_inner();
    let old = find(&context, &name)?;
    let guard = Guard::read(&request, old.as_ref().map(|route| route.version))?;
    let fields = body.0.fields(old.as_ref())?;
    let op = PutRoute { name: name.clone(), fields, precondition: guard.as_read, at: context.clock.now() };
    let put = allowed.write(&context, &name, op, shows(&name)).await;
    let put = put.map_err(|error| guard.problem(error))?.into_inner();
    let (route, etag) = seen(&context.store.view()?, &put.row)?;
    Ok(stored(put.created, "routes", &put.row.name, etag, &route))
}

/// Deletes a route: its mail goes by the other routes, or by the DNS.
#[utoipa::path(
    tag = "queue",
    params(("name" = String, Path, description = "The route's name")),
    responses((status = 204, description = "Deleted"))
)]
#[delete("/routes/{name}")]
pub(in crate::http) async fn delete_route(
    allowed: Allowed<QueueWrite>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    allowed.caller.need_unrestricted(WHAT)?;
    let name = path.into_inner();
    let guard = Guard::read(&request, find(&context, &name)?.map(|route| route.version))?;
    let op = DeleteRoute { name: name.clone(), precondition: guard.asked };
    allowed.write(&context, &name, op, shows(&name)).await?.into_inner();
    Ok(HttpResponse::NoContent().finish())
}

/// The route as it is shown, and its ETag.
fn seen(read: &impl Read, row: &queue::Route) -> Result<(Route, String), StoreError> {
    let managed_by = Section::Routes.managed_by(read, &row.name, row.created_at)?;
    Ok((Route::of(row, managed_by), etag::managed(row.version, managed_by)))
}

/// Shows the route, for the audit.
fn shows(name: &str) -> impl Fn(&Tx<'_>) -> Result<Option<Value>, StoreError> + use<> {
    let name = name.to_owned();
    move |tx| audit_row(queue::route(tx, &name)?, |row| seen(tx, row))
}

fn find(context: &Context, name: &str) -> Result<Option<queue::Route>, Problem> {
    Ok(queue::route(&context.store.view()?, name)?)
}

impl Refusal for RouteRefused {
    fn is_precondition(&self) -> bool {
        matches!(self, Self::Precondition(_))
    }

    fn problem(self) -> Problem {
        let detail = self.to_string();
        match self {
            Self::Precondition(_) => Problem::new(Code::PreconditionFailed, "It was changed meanwhile: read it again."),
            Self::Taken(_) => Problem::new(Code::Conflict, format!("{detail}: change that one, or delete it.")),
            Self::Unknown => Problem::new(Code::NotFound, "There is no such route."),
            Self::Field(name @ "name", what) => Problem::invalid(vec![Fault::parameter(name, "malformed", what)]),
            Self::Field(name @ ("user" | "secret"), what) => {
                Problem::invalid(vec![Fault::body(format!("/auth/{name}"), "not_allowed", what)])
            }
            Self::Field(name, what) => Problem::invalid(vec![Fault::body(format!("/{name}"), "not_allowed", what)]),
        }
    }
}
