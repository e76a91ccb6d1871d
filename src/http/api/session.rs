use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, delete, get, post, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::base::{Address, DomainName, Secret, Timestamp};
use crate::directory::{
    self, CloseSession, Identity, LoginError, OpenSession, Powers, Protocol, Role, Scope, SessionKey,
};
use crate::http::audited::{nothing, write_as};
use crate::http::body::PublicBody;
use crate::http::caller::{Allowed, Anybody, Caller, act_by, too_many, unauthorized};
use crate::http::context::Context;
use crate::http::cookie;
use crate::http::page::NoQuery;
use crate::http::problem::{Code, Problem};
use crate::store::{StoreError, WriteError};

/// Who is asking, and what they may do.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Session {
    /// How it is known who asks.
    kind: Kind,
    /// The account that has logged in; null for a token and on the unix socket.
    account: Option<String>,
    /// The name of the person, or of the token.
    display_name: String,
    /// The account's roles.
    roles: Vec<String>,
    /// What they let it do, in the words of a token.
    scopes: Vec<String>,
    /// The only domains that it may see and change; empty: all.
    restrict_domains: Vec<String>,
    /// When it ends: a session, if nothing more is done in it; null: by itself never.
    expires_at: Option<String>,
}

/// How it is known who asks.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum Kind {
    /// By the cookie of a login.
    Session,
    /// By a token.
    Token,
    /// It came through the unix socket, which only the owner may open.
    Socket,
}

/// Who wants to log in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct LoginInput {
    /// The account's address.
    #[schema(min_length = 1, max_length = 1000)]
    email: String,
    /// Its password: the account's own, not an app password.
    #[schema(min_length = 1, max_length = 1000, write_only, format = Password)]
    password: String,
}

impl Session {
    fn of(caller: &Caller) -> Self {
        let scopes = caller.scopes().unwrap_or(Scope::ALL);
        let (kind, account, display_name, roles, ends_at) = match caller {
            Caller::Owner => (Kind::Socket, None, "unix socket".to_owned(), &[][..], None),
            Caller::Token(token) => (Kind::Token, None, token.fields.name.clone(), &[][..], token.fields.expires_at),
            Caller::Session(login) => {
                let account = &login.account;
                let name = account.fields.display_name.clone();
                (Kind::Session, Some(account.address.to_string()), name, &account.fields.roles[..], Some(login.ends_at))
            }
        };
        Self {
            kind,
            account,
            display_name,
            roles: roles.iter().map(Role::to_string).collect(),
            scopes: scopes.iter().map(Scope::to_string).collect(),
            restrict_domains: caller.restrict_domains().iter().map(DomainName::to_string).collect(),
            expires_at: ends_at.map(Timestamp::rfc3339),
        }
    }

    fn of_account(account: &directory::Account, ends_at: Timestamp) -> Self {
        let powers = Powers::of(&account.fields.roles);
        Self {
            kind: Kind::Session,
            account: Some(account.address.to_string()),
            display_name: account.fields.display_name.clone(),
            roles: account.fields.roles.iter().map(Role::to_string).collect(),
            scopes: powers.scopes.iter().map(Scope::to_string).collect(),
            restrict_domains: powers.restrict_domains.iter().map(DomainName::to_string).collect(),
            expires_at: Some(ends_at.rfc3339()),
        }
    }
}

/// Says who is asking, and what they may do.
#[utoipa::path(tag = "session", responses((status = 200, description = "Who is asking", body = Session)))]
#[get("/session")]
pub(in crate::http) async fn get_session(allowed: Allowed<Anybody>, _none: NoQuery) -> web::Json<Session> {
    web::Json(Session::of(&allowed.caller))
}

/// Logs in with a browser: the answer sets a cookie, which ends when nothing is done for `http.session_idle_seconds`.
/// Which of address and password is wrong is not said.
#[utoipa::path(
    tag = "session",
    security(()),
    request_body = LoginInput,
    responses(
        (status = 201, description = "Logged in; Set-Cookie holds the session", body = Session,
            headers(("Set-Cookie" = String, description = "`__Host-pb_session`; `pb_session` on loopback without TLS"))),
        (status = 401, description = "Address or password are wrong, or the account may not log in here"),
        (status = 403, description = "A page elsewhere asks for it, or the password would travel in the clear"),
        (status = 422, description = "Understood but wrong: each fault with its pointer"),
        (status = 429, description = "Too many logins of this address, or to this account: come back after Retry-After"),
        (status = 503, description = "Too many logins at once, or a fault of the server: try again"),
    )
)]
#[post("/session")]
pub(in crate::http) async fn create_session(
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    body: PublicBody<LoginInput>,
) -> Result<HttpResponse, Problem> {
    cookie::check_same_site(&request, false)?;
    cookie::check_password_channel(&request)?;
    let ip = request.peer_addr().map(|peer| peer.ip());
    let (email, password) = (body.0.email, Secret::new(body.0.password));
    let name = Address::parse(&email).map_or_else(|_| email.to_lowercase(), |address| address.key());
    context.limiter.login(ip, &name).map_err(too_many)?;
    let verified = context.authenticator.authenticate(&email, &password, Protocol::Http, ip).await;
    let who = verified.map_err(not_logged_in)?;
    context.limiter.logged_in(ip, &name);
    begin_session(&request, &context, &who, StatusCode::CREATED, |session| session).await
}

/// Logs out.
#[utoipa::path(
    tag = "session",
    responses(
        (status = 204, description = "Logged out; Set-Cookie takes the session away"),
        (status = 409, description = "The caller has no session: a token is deleted at /tokens"),
    )
)]
#[delete("/session")]
pub(in crate::http) async fn delete_session(
    allowed: Allowed<Anybody>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
) -> Result<HttpResponse, Problem> {
    let Caller::Session(login) = &allowed.caller else {
        return Err(Problem::new(Code::Conflict, "This is no session by cookie: there is nothing to log out of."));
    };
    let (op, target) = (CloseSession { key: login.key }, login.account.address.to_string());
    allowed.write(&context, target, op, nothing).await?.into_inner();
    Ok(HttpResponse::NoContent().insert_header((header::SET_COOKIE, cookie::end(&request))).finish())
}

/// Begins a session for somebody whose password is right, and answers with what `shape` makes of it.
pub(super) async fn begin_session<T: Serialize>(
    request: &HttpRequest,
    context: &Context,
    who: &Identity,
    status: StatusCode,
    shape: impl FnOnce(Session) -> T,
) -> Result<HttpResponse, Problem> {
    let ip = request.peer_addr().map(|peer| peer.ip());
    let agent = request.headers().get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let replaces = cookie::session_cookie(request).map(SessionKey::of);
    let (idle_ms, now) = (context.session_idle_ms(), context.clock.now());
    let (op, secret) = OpenSession::new(who, ip, agent, replaces, idle_ms, context.random.as_ref(), now);
    let act = act_by(request, who.login.to_string());
    let session = write_as(&act, context, &who.login, op, nothing).await.map_err(|error| match error {
        WriteError::Refused(_) => Problem::new(Code::Unauthorized, "The account was changed meanwhile: log in again."),
        error => error.into(),
    })?;
    let account = directory::account_by_id(&context.store.view()?, who.account)?;
    let account = account.ok_or_else(|| Problem::from(StoreError::Closed))?;
    let body = shape(Session::of_account(&account, session.into_inner().ends_at(idle_ms)));
    let mut response = HttpResponse::build(status);
    response.insert_header((header::SET_COOKIE, cookie::begin(request, &secret)));
    response.insert_header((header::LOCATION, "/api/v1/session"));
    Ok(response.json(body))
}

/// The same words, whatever was wrong.
pub(super) fn not_logged_in(error: LoginError) -> Problem {
    match error {
        LoginError::Refused => unauthorized("", "Address or password are wrong, or the account may not log in here."),
        LoginError::Busy => Problem::new(Code::Busy, "Too many logins at once: try again in a moment."),
        LoginError::Broken(cause) => Problem::internal(cause),
    }
}
