pub(in crate::http) mod restore;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::jobs;
use super::session::{Session, begin_session, not_logged_in};
use crate::audit::Act;
use crate::base::{Address, DomainName, Secret, Timestamp};
use crate::directory::{self, DomainFields, Identity, MakeSetupLink, Refused};
use crate::http::audited::{nothing, write_as};
use crate::http::body::PublicBody;
use crate::http::caller::{Admin, Allowed, act_by, too_many};
use crate::http::context::Context;
use crate::http::cookie;
use crate::http::page::NoQuery;
use crate::http::problem::{Code, Fault, Problem, Refusal};
use crate::mailbox::{SetUp, SetUpRefused};
use crate::net::Listener;
use crate::settings::ChangeRefused;
use crate::store::WriteError;

/// Whether the server is to be set up.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Setup {
    /// There is no enabled account with the role admin yet.
    needs_setup: bool,
    /// The name that the server gives itself so far.
    hostname_guess: String,
    /// The server's release.
    version: &'static str,
    /// The last restore that was begun instead of a set-up, and how far it is; null: none, or the server is set up.
    restore: Option<jobs::Job>,
}

/// The first administrator, and the server's name.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct SetupInput {
    /// What stands at the end of the link.
    #[schema(min_length = 1, max_length = 200, write_only)]
    setup_token: String,
    /// The administrator's address; its domain becomes one of this server's.
    #[schema(min_length = 3, max_length = 320)]
    email: String,
    /// The administrator's password.
    #[schema(min_length = 8, max_length = 1000, write_only, format = Password)]
    password: String,
    /// The name that the server gives itself, as in `mail.example.org`.
    #[schema(min_length = 1, max_length = 255)]
    hostname: String,
    /// The domain of the address, once more: it must be the same. Left out: the domain of the address.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 255)]
    first_domain: Option<String>,
}

/// What the set-up has made.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct SetupDone {
    /// The administrator's address.
    account: String,
    /// The domain that it is in.
    domain: String,
    /// The name that the server is to give itself.
    hostname: String,
    /// The new name is in force after the next start.
    restart_needed: bool,
    /// The session that has begun.
    session: Session,
}

/// A link by which the first administrator is made.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct SetupLink {
    /// The link: good once. What stands behind `#` is never sent in a request line.
    url: String,
    /// Until when.
    expires_at: String,
}

/// Says whether the server is to be set up. What a restore has found wrong with a backup is told to those alone who have the
/// link: it names people and their mail.
#[utoipa::path(
    tag = "setup",
    security(()),
    params(("Pillarbox-Setup-Token" = Option<String>, Header, description = "What stands at the end of the link")),
    responses(
        (status = 200, description = "Whether it is", body = Setup),
        (status = 422, description = "There is no parameter here"),
        (status = 503, description = "A fault of the server: try again"),
    )
)]
#[get("/setup")]
pub(in crate::http) async fn get_setup(
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
) -> Result<web::Json<Setup>, Problem> {
    let view = context.store.view()?;
    let needs_setup = directory::needs_setup(&view)?;
    let has_link = directory::is_setup_token(&view, restore::token_of(&request), context.clock.now())?;
    let last = if needs_setup { restore::last(&view)? } else { None };
    Ok(web::Json(Setup {
        needs_setup,
        restore: if has_link { last } else { last.map(jobs::Job::without_details) },
        hostname_guess: context.hostname.clone(),
        version: env!("CARGO_PKG_VERSION"),
    }))
}

/// Sets the server up with the one-time link: makes the first administrator and its domain, names the server, and logs in.
#[utoipa::path(
    tag = "setup",
    security(()),
    request_body = SetupInput,
    responses(
        (status = 201, description = "Done; Set-Cookie holds the session", body = SetupDone,
            headers(("Set-Cookie" = String, description = "`__Host-pb_session`; `pb_session` on loopback without TLS"))),
        (status = 403, description = "The link is wrong or has ended; or a page elsewhere asks, or the password would travel in the clear"),
        (status = 409, description = "The server is set up already"),
        (status = 422, description = "Understood but wrong: each fault with its pointer"),
        (status = 429, description = "Too many tries of this address: come back after Retry-After"),
        (status = 503, description = "Too many logins at once, or a fault of the server: try again"),
    )
)]
#[post("/setup")]
pub(in crate::http) async fn set_up(
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    body: PublicBody<SetupInput>,
) -> Result<HttpResponse, Problem> {
    cookie::check_same_site(&request, false)?;
    cookie::check_password_channel(&request)?;
    let input = body.0;
    let at = context.clock.now();
    let (needs_setup, is_right) = {
        let view = context.store.view()?;
        (directory::needs_setup(&view)?, directory::is_setup_token(&view, &input.setup_token, at)?)
    };
    if !needs_setup {
        return Err(SetUpRefused::Done.problem());
    }
    if !is_right {
        context.limiter.attempt(request.peer_addr().map(|peer| peer.ip())).map_err(too_many)?;
        return Err(SetUpRefused::Token.problem());
    }
    let Wanted { address, domain, hostname } = input.read()?;
    let password = context.authenticator.hash(Secret::new(input.password)).await.map_err(not_logged_in)?;
    let restart_needed = !hostname.as_str().eq_ignore_ascii_case(&context.hostname);
    let op = SetUp {
        token: input.setup_token,
        address: address.clone(),
        password,
        domain: (domain.clone(), DomainFields::new(&context.live.now())),
        hostname: restart_needed.then(|| hostname.to_string()),
        at,
    };
    let act: Act = act_by(&request, "setup".into());
    let (account, name) = (address.to_string(), hostname.to_string());
    let what = json!({"account": account, "domain": domain.as_str(), "hostname": name});
    let show = move |tx: &crate::store::Tx<'_>| Ok((!directory::needs_setup(tx)?).then(|| what.clone()));
    let made = write_as(&act, &context, &address, op, show).await?.into_inner();
    context.live.refresh(|| context.store.view())?;
    tracing::info!(event = "set_up", account = %made.address, "the server is set up");
    let who = Identity { account: made.id, login: made.address, roles: made.fields.roles, version: made.version };
    let done = |session| SetupDone { account, domain: domain.to_string(), hostname: name, restart_needed, session };
    begin_session(&request, &context, &who, StatusCode::CREATED, done).await
}

/// Makes a new link to set the server up, in place of the one before: good for an hour, and once.
#[utoipa::path(
    tag = "setup",
    responses(
        (status = 201, description = "The link", body = SetupLink),
        (status = 409, description = "The server is set up already: log in"),
    )
)]
#[post("/setup/link")]
pub(in crate::http) async fn create_setup_link(
    allowed: Allowed<Admin>,
    _none: NoQuery,
    context: web::Data<Context>,
) -> Result<HttpResponse, Problem> {
    allowed.caller.need_admin("make a link to set the server up")?;
    let (op, token, ends_at) = MakeSetupLink::new(context.random.as_ref(), context.clock.now());
    let made = allowed.write(&context, "setup", op, nothing).await.map_err(|error| match error {
        WriteError::Refused(Refused::Precondition) => SetUpRefused::Done.problem(),
        error => Problem::from(error),
    })?;
    made.into_inner();
    let url = format!("{}#/setup/{}", context.page_url(), token.expose());
    Ok(HttpResponse::Created().json(SetupLink { url, expires_at: ends_at.rfc3339() }))
}

/// A set-up as it is asked for, read.
struct Wanted {
    address: Address,
    domain: DomainName,
    hostname: DomainName,
}

impl SetupInput {
    fn read(&self) -> Result<Wanted, Problem> {
        let fault = |pointer: &str, code: &str, message: String| Fault::body(pointer, code, message);
        let malformed =
            |pointer: &str, error: crate::base::AddressError| fault(pointer, "malformed", error.to_string());
        let mut faults = Vec::new();
        let address = Address::parse(&self.email).map_err(|error| faults.push(malformed("/email", error))).ok();
        let hostname =
            DomainName::parse(&self.hostname).map_err(|error| faults.push(malformed("/hostname", error))).ok();
        let first = self.first_domain.as_deref().map(DomainName::parse);
        let first = first.transpose().map_err(|error| faults.push(malformed("/first_domain", error))).ok().flatten();
        let own = address.as_ref().and_then(|address| address.host.name().cloned());
        match (&own, &first) {
            (None, _) if address.is_some() => {
                faults.push(fault("/email", "no_domain", "an address with a domain name".into()))
            }
            (Some(own), Some(first)) if own != first => {
                let message = format!("the domain of {}: mail for it comes to this server, and no other", self.email);
                faults.push(fault("/first_domain", "not_the_same", message));
            }
            _ => {}
        }
        match (address, own, hostname, faults.is_empty()) {
            (Some(address), Some(domain), Some(hostname), true) => Ok(Wanted { address, domain, hostname }),
            _ => Err(Problem::invalid(faults)),
        }
    }
}

impl Refusal for SetUpRefused {
    fn is_precondition(&self) -> bool {
        false
    }

    fn problem(self) -> Problem {
        match self {
            Self::Done => Problem::new(Code::Conflict, "The server is set up already: log in."),
            Self::Token => Problem::new(
                Code::Forbidden,
                "The link is wrong, was used, or has ended: `pillarbox admin link` on the server makes a new one.",
            ),
            Self::Directory(Refused::Invalid { code, message, .. }) => {
                Problem::invalid(vec![Fault::body("/email", code, message)])
            }
            Self::Directory(refused) => Problem::invalid(vec![Fault::body("/email", "taken", refused.to_string())]),
            Self::Hostname(ChangeRefused::Values(_)) => {
                Problem::invalid(vec![Fault::body("/hostname", "not_allowed", "not a name that a server can have")])
            }
            Self::Hostname(ChangeRefused::Precondition) => Problem::new(Code::Conflict, "Send the request again."),
        }
    }
}

/// At the start of the server: a new link, where there is nobody yet who administers it; `None` where there is.
pub(in crate::http) async fn invitation(context: &Context) -> Result<Option<(String, Timestamp)>, Problem> {
    if !directory::needs_setup(&context.store.view()?)? {
        return Ok(None);
    }
    let (op, token, ends_at) = MakeSetupLink::new(context.random.as_ref(), context.clock.now());
    context.store.write(op).await?.into_inner();
    Ok(Some((format!("{}#/setup/{}", context.page_url(), token.expose()), ends_at)))
}

impl Context {
    /// Where a browser finds the page: by the server's name over TLS, else on this machine.
    fn page_url(&self) -> String {
        let of = |wanted: Listener| self.readiness.listeners().iter().find(|(listener, _)| *listener == wanted);
        let with_port = |port: u16, usual: u16| if port == usual { String::new() } else { format!(":{port}") };
        match (of(Listener::Https), of(Listener::Http)) {
            (Some((_, https)), _) => format!("https://{}{}/admin/", self.hostname, with_port(https.port(), 443)),
            (None, Some((_, http))) if http.ip().is_unspecified() || http.ip().is_loopback() => {
                format!("http://127.0.0.1{}/admin/", with_port(http.port(), 80))
            }
            (None, Some((_, http))) => format!("http://{http}/admin/"),
            (None, None) => format!("https://{}/admin/", self.hostname),
        }
    }
}
