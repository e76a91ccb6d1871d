use actix_web::{HttpRequest, HttpResponse, delete, get, post, web};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::schema::{Array, ArrayBuilder, ObjectBuilder, Type};

use super::{Guard, list, page_of, parse_all, show, stored};
use crate::base::{DomainName, Network, Timestamp};
use crate::directory::{self, CreateToken, DeleteToken, Scope, TokenFields};
use crate::http::audited::shown;
use crate::http::body::Body;
use crate::http::caller::{Allowed, TokensWrite};
use crate::http::context::Context;
use crate::http::etag;
use crate::http::page::{ListParams, ListQuery, NoQuery};
use crate::http::problem::{Code, Fault, Problem};
use crate::store::{StoreError, Tx};

/// An API token; its secret is shown once, when it is created.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Token {
    /// The part of the secret between `pbx_` and the next `_`.
    id: String,
    /// For people.
    name: String,
    /// What it may do.
    #[schema(schema_with = scopes_schema)]
    scopes: Vec<String>,
    /// What it is restricted to.
    restrict: Restrict,
    /// When it ends; null: never.
    expires_at: Option<String>,
    /// The only networks that it may come from; empty: all.
    allow_ips: Vec<String>,
    /// When it was created.
    created_at: String,
    /// When it was last used, to the minute.
    last_used_at: Option<String>,
    /// From where it was last used; null: through the unix socket, or never.
    last_used_ip: Option<String>,
    /// What to send behind `Bearer`: only in the answer to its creation, and kept nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    secret: Option<String>,
}

/// What a token is restricted to.
#[derive(Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Restrict {
    /// The only domains that it may see and change; empty: all.
    #[serde(default)]
    #[schema(max_items = 100)]
    domains: Vec<String>,
}

/// What is set of a token.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct TokenInput {
    /// For people.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// What it may do, as in `domains:read`; `admin` is everything.
    #[schema(schema_with = scopes_schema)]
    scopes: Vec<String>,
    /// What it is restricted to.
    #[serde(default)]
    restrict: Restrict,
    /// When it ends (RFC 3339); null: never.
    #[serde(default)]
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// The only networks that it may come from, as in `192.0.2.0/24`; empty: all.
    #[serde(default)]
    #[schema(max_items = 100)]
    allow_ips: Vec<String>,
}

page_of! {
    /// Tokens by id.
    TokenPage of Token
}

/// The closed list of scopes, as the directory has it.
fn scopes_schema() -> Array {
    let names = Scope::ALL.iter().map(|scope| scope.as_str());
    let scope = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names));
    ArrayBuilder::new()
        .items(scope)
        .min_items(Some(1))
        .max_items(Some(Scope::ALL.len()))
        .description(Some("What it may do; `admin` is everything."))
        .build()
}

impl Token {
    fn of(row: &directory::Token) -> Self {
        let fields = &row.fields;
        Self {
            id: row.id.clone(),
            name: fields.name.clone(),
            scopes: fields.scopes.iter().map(Scope::to_string).collect(),
            restrict: Restrict { domains: fields.restrict_domains.iter().map(DomainName::to_string).collect() },
            expires_at: fields.expires_at.map(Timestamp::rfc3339),
            allow_ips: fields.allow_ips.iter().map(Network::to_string).collect(),
            created_at: row.created_at.rfc3339(),
            last_used_at: row.last_used_at.map(Timestamp::rfc3339),
            last_used_ip: row.last_used_ip.map(|ip| ip.to_string()),
            secret: None,
        }
    }
}

impl TokenInput {
    fn fields(self, now: Timestamp) -> Result<TokenFields, Problem> {
        let mut faults = Vec::new();
        let scopes = parse_all("/scopes", &self.scopes, str::parse::<Scope>, &mut faults);
        let restrict_domains = parse_all("/restrict/domains", &self.restrict.domains, DomainName::parse, &mut faults);
        let allow_ips = parse_all("/allow_ips", &self.allow_ips, str::parse::<Network>, &mut faults);
        let expires_at = self.expires_at.as_deref().map(Timestamp::parse_rfc3339);
        match expires_at {
            Some(None) => {
                let message = "not a time as in 2027-01-31T00:00:00Z (RFC 3339)";
                faults.push(Fault::body("/expires_at", "malformed", message));
            }
            Some(Some(at)) if at <= now => faults.push(Fault::body("/expires_at", "past", "this time is over")),
            _ => {}
        }
        if !faults.is_empty() {
            return Err(Problem::invalid(faults));
        }
        Ok(TokenFields { name: self.name, scopes, restrict_domains, expires_at: expires_at.flatten(), allow_ips })
    }
}

/// Lists the tokens that can do no more than the caller.
#[utoipa::path(
    tag = "tokens",
    params(ListParams),
    responses((status = 200, description = "A page of tokens", body = TokenPage))
)]
#[get("/tokens")]
pub(in crate::http) async fn list_tokens(
    allowed: Allowed<TokensWrite>,
    request: HttpRequest,
    context: web::Data<Context>,
    query: ListQuery,
) -> Result<HttpResponse, Problem> {
    let query = query.allow(&[])?;
    let after = query.after_key(|id| Ok::<_, std::convert::Infallible>(id.to_owned()))?;
    let found = context
        .store
        .read(move |view| {
            let fetch = |after: Option<&String>, limit| directory::tokens(view, after.map(String::as_str), limit);
            let keep = |row: &directory::Token| allowed.caller.covers(&row.fields);
            let key = |row: &directory::Token| row.id.clone();
            list(&query, after, fetch, keep, key)
        })
        .await?;
    Ok(found.answer::<TokenPage, _>(&request, Token::of))
}

/// Shows a token, without its secret.
#[utoipa::path(
    tag = "tokens",
    params(("id" = String, Path, description = "The token's id")),
    responses((status = 200, description = "The token", body = Token), (status = 304, description = "The client has it"))
)]
#[get("/tokens/{id}")]
pub(in crate::http) async fn get_token(
    allowed: Allowed<TokensWrite>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let token = find(&context, &allowed, &path)?;
    Ok(show(&request, etag_of(&token), &Token::of(&token)))
}

/// Creates a token. It can't do more than its creator.
#[utoipa::path(
    tag = "tokens",
    request_body = TokenInput,
    responses((status = 201, description = "Created; the secret is shown this once", body = Token))
)]
#[post("/tokens")]
pub(in crate::http) async fn create_token(
    allowed: Allowed<TokensWrite>,
    _none: NoQuery,
    context: web::Data<Context>,
    body: Body<TokenInput>,
) -> Result<HttpResponse, Problem> {
    let now = context.clock.now();
    let fields = body.0.fields(now)?;
    if !allowed.caller.covers(&fields) {
        let detail = "A token can't create one that can do more: it has only its own scopes and domains to give.";
        return Err(Problem::new(Code::Forbidden, detail));
    }
    let (op, secret) = CreateToken::new(fields, context.random.as_ref(), now);
    let id = op.id().to_owned();
    let token = allowed.write(&context, &id, op, shows(&id)).await?.into_inner();
    let body = Token { secret: Some(secret.expose().clone()), ..Token::of(&token) };
    Ok(stored(true, "tokens", &token.id, etag_of(&token), &body))
}

/// Deletes a token; it is not valid any more from then on.
#[utoipa::path(
    tag = "tokens",
    params(("id" = String, Path, description = "The token's id")),
    responses((status = 204, description = "Deleted"))
)]
#[delete("/tokens/{id}")]
pub(in crate::http) async fn delete_token(
    allowed: Allowed<TokensWrite>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let token = find(&context, &allowed, &path)?;
    Guard::read(&request, Some(version(&token)))?;
    let id = token.id;
    allowed.write(&context, &id, DeleteToken { id: id.clone() }, shows(&id)).await?.into_inner();
    Ok(HttpResponse::NoContent().finish())
}

/// Shows the token, for the audit; its secret is shown nowhere.
fn shows(id: &str) -> impl Fn(&Tx<'_>) -> Result<Option<Value>, StoreError> + use<> {
    let id = id.to_owned();
    move |tx| Ok(shown(directory::token(tx, &id)?.map(|row| Token::of(&row))))
}

/// A token is never changed, so its creation is its version.
fn version(token: &directory::Token) -> u64 {
    token.created_at.ms()
}

fn etag_of(token: &directory::Token) -> String {
    etag::moving(version(token), &[token.last_used_at.map_or(0, Timestamp::ms)])
}

/// The token of that id; one that could do more than the caller is not shown to it.
fn find(context: &Context, allowed: &Allowed<TokensWrite>, id: &str) -> Result<directory::Token, Problem> {
    directory::token(&context.store.view()?, id)?
        .filter(|token| allowed.caller.covers(&token.fields))
        .ok_or_else(|| Problem::not_found("token", id))
}
