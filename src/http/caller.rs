use std::future::{Ready, ready};
use std::marker::PhantomData;
use std::net::IpAddr;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};

use super::context::Context;
use super::cookie::{check_same_site, session_cookie};
use super::document::operation_id;
use super::frame::RequestId;
use super::limiter::TooOften;
use super::problem::{Code, Problem};
use super::via::is_socket;
use crate::audit::Act;
use crate::base::{Address, DomainName, Timestamp, limits};
use crate::directory::{self, Account, Powers, Role, Scope, SessionKey, SessionUsed, Token, TokenFields, TokenUsed};

/// Who asks.
pub(super) enum Caller {
    /// Who may open the unix socket: an administrator.
    Owner,
    /// A program with a token.
    Token(Box<Token>),
    /// Somebody who has logged in with a browser.
    Session(Box<Login>),
}

/// A session of the admin page that is good now.
pub(super) struct Login {
    /// Which.
    pub key: SessionKey,
    /// Whose.
    pub account: Account,
    /// When it ends if nothing more is done in it.
    pub ends_at: Timestamp,
    /// What it may do.
    pub powers: Powers,
}

impl Caller {
    /// What the trace calls them.
    pub fn name(&self) -> String {
        format!("http {}", self.actor())
    }

    /// Who it is, in a word that stays the same: what the audit is searched by.
    pub fn actor(&self) -> String {
        match self {
            Self::Owner => "owner".into(),
            Self::Token(token) => format!("token {}", token.id),
            Self::Session(login) => login.account.address.to_string(),
        }
    }

    /// What it may do; `None`: everything.
    pub fn scopes(&self) -> Option<&[Scope]> {
        match self {
            Self::Owner => None,
            Self::Token(token) => Some(&token.fields.scopes),
            Self::Session(login) => Some(&login.powers.scopes),
        }
    }

    /// The only domains that it may see and change; empty: all.
    pub fn restrict_domains(&self) -> &[DomainName] {
        match self {
            Self::Owner => &[],
            Self::Token(token) => &token.fields.restrict_domains,
            Self::Session(login) => &login.powers.restrict_domains,
        }
    }

    /// Whether it may do what `scope` covers.
    pub fn has(&self, scope: Scope) -> bool {
        self.scopes().is_none_or(|own| own.contains(&scope) || own.contains(&Scope::Admin))
    }

    /// Whether it may see and change that domain.
    pub fn reaches(&self, domain: &DomainName) -> bool {
        !self.is_restricted() || self.restrict_domains().contains(domain)
    }

    /// 403 unless it may see and change that domain.
    pub fn need_domain(&self, domain: &DomainName) -> Result<(), Problem> {
        if self.reaches(domain) {
            return Ok(());
        }
        Err(Problem::new(Code::Forbidden, format!("{} is restricted to other domains than {domain}.", self.subject())))
    }

    /// Whether it may see and change mail between those two: one of them is in a domain that it reaches.
    pub fn reaches_mail(&self, sender: Option<&Address>, recipient: &Address) -> bool {
        let reaches = |address: &Address| address.host.name().is_some_and(|domain| self.reaches(domain));
        !self.is_restricted() || sender.is_some_and(reaches) || reaches(recipient)
    }

    /// Whether it is restricted to some domains.
    pub fn is_restricted(&self) -> bool {
        !self.restrict_domains().is_empty()
    }

    /// 403 where it is restricted to some domains: for what is about all mail.
    pub fn need_unrestricted(&self, what: &str) -> Result<(), Problem> {
        if self.is_restricted() {
            return Err(Problem::new(Code::Forbidden, format!("Who is restricted to domains may not {what}.")));
        }
        Ok(())
    }

    /// 403 unless it may do everything: for what would let it become more than it is.
    pub fn need_admin(&self, what: &str) -> Result<(), Problem> {
        if self.has(Scope::Admin) && !self.is_restricted() {
            return Ok(());
        }
        let who = "Only an administrator, or a token with the scope admin and no restriction,";
        Err(Problem::new(Code::Forbidden, format!("{who} may {what}.")))
    }

    /// Whether a token with those fields could do nothing that the caller can't.
    pub fn covers(&self, fields: &TokenFields) -> bool {
        let is_within = !self.is_restricted()
            || (!fields.restrict_domains.is_empty() && fields.restrict_domains.iter().all(|d| self.reaches(d)));
        is_within && fields.scopes.iter().all(|scope| self.has(*scope)) && self.outlasts(fields)
    }

    /// 403 unless it may do everything that somebody with that role may, whenever and from wherever they ask.
    pub fn need_role(&self, role: &Role) -> Result<(), Problem> {
        let Powers { scopes, restrict_domains } = Powers::of(std::slice::from_ref(role));
        restrict_domains.iter().try_for_each(|domain| self.need_domain(domain))?;
        if self.covers(&TokenFields { scopes, restrict_domains, ..TokenFields::default() }) {
            return Ok(());
        }
        let detail =
            format!("{} may do less than the role {role}, so that it can't give or take it over.", self.subject());
        Err(Problem::new(Code::Forbidden, detail))
    }

    /// Whether a token with those fields is good only when and where the caller is. Somebody who has logged in is
    /// good for as long as the account is.
    fn outlasts(&self, fields: &TokenFields) -> bool {
        let Self::Token(own) = self else { return true };
        let ends = own.fields.expires_at.is_none_or(|own| fields.expires_at.is_some_and(|end| end <= own));
        let (from, own_from) = (&fields.allow_ips, &own.fields.allow_ips);
        let comes_from_there = own_from.is_empty()
            || (!from.is_empty() && from.iter().all(|network| own_from.iter().any(|own| own.covers(network))));
        ends && comes_from_there
    }

    /// The beginning of a sentence about it.
    fn subject(&self) -> &'static str {
        match self {
            Self::Owner => "The owner",
            Self::Token(_) => "The token",
            Self::Session(_) => "The account",
        }
    }

    /// What its rate is kept by; `None`: it has none.
    fn rate_key(&self) -> Option<&[u8]> {
        match self {
            Self::Owner => None,
            Self::Token(token) => Some(token.id.as_bytes()),
            Self::Session(login) => Some(login.key.as_bytes()),
        }
    }
}

/// What a handler asks of its caller.
pub(super) trait Permission {
    /// The scope; `None`: none, but it must be known who calls.
    const SCOPE: Option<Scope>;
}

macro_rules! permissions {
    ($($name:ident),*) => {$(
        #[doc = concat!("A caller with the scope `", stringify!($name), "`.")]
        #[allow(dead_code, reason = "each scope has its word; some wait for their operations")]
        pub(super) struct $name;
        impl Permission for $name {
            const SCOPE: Option<Scope> = Some(Scope::$name);
        }
    )*};
}
permissions!(
    DomainsRead,
    DomainsWrite,
    AccountsRead,
    AccountsWrite,
    QueueRead,
    QueueWrite,
    TurnRead,
    TurnWrite,
    TraceRead,
    MessagesSend,
    MessagesRead,
    MessagesWrite,
    StateWrite,
    BackupRead,
    RestoreWrite,
    SettingsRead,
    SettingsWrite,
    CertsRead,
    CertsWrite,
    WebhooksRead,
    WebhooksWrite,
    TokensWrite,
    SessionsRead,
    SessionsWrite,
    JobsRead,
    JobsWrite,
    AuditRead,
    EventsRead,
    MetricsRead,
    Admin
);

/// Any caller who is known, whatever it may do.
pub(super) struct Anybody;

impl Permission for Anybody {
    const SCOPE: Option<Scope> = None;
}

/// A caller who has the permission. It stands first among a handler's arguments and is ready at once, so that 401 and
/// 403 win over whatever else is wrong with the request.
pub(super) struct Allowed<P> {
    /// Who it is.
    pub caller: Caller,
    /// The same for the audit, with what they do.
    pub act: Act,
    permission: PhantomData<P>,
}

impl<P: Permission + 'static> FromRequest for Allowed<P> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(allow(request, P::SCOPE).map(|caller| {
            let act = act_of(request, &caller);
            Self { caller, act, permission: PhantomData }
        }))
    }
}

/// The name of who called, for the log: a token's id, `socket`, or the account that has logged in.
#[derive(Clone)]
pub(super) struct CallerName(pub String);

fn allow(request: &HttpRequest, scope: Option<Scope>) -> Result<Caller, Problem> {
    let context = context_of(request)?;
    let caller = identify(request, context, Manner::Use)?;
    let name = match &caller {
        Caller::Owner => "socket".to_owned(),
        Caller::Token(token) => token.id.clone(),
        Caller::Session(login) => login.account.address.to_string(),
    };
    request.extensions_mut().insert(CallerName(name));
    if let Some(key) = caller.rate_key() {
        let left = context.limiter.request(key).map_err(too_many)?;
        request.extensions_mut().insert(left);
    }
    match scope.filter(|scope| !caller.has(*scope)) {
        None => Ok(caller),
        Some(scope) => Err(Problem::new(Code::Forbidden, lack(&caller, scope))),
    }
}

/// Who asks, in a word that stays the same; `None`: nobody who is known.
pub(super) fn actor(request: &HttpRequest) -> Option<String> {
    Some(identify(request, context_of(request).ok()?, Manner::Use).ok()?.actor())
}

/// Who it is that asked some time ago, as long as they still may. It is no request of theirs: neither their rate nor their
/// session is used up by it, nor kept alive.
pub(super) fn look<P: Permission>(request: &HttpRequest) -> Option<Caller> {
    let caller = identify(request, context_of(request).ok()?, Manner::Look).ok()?;
    P::SCOPE.is_none_or(|scope| caller.has(scope)).then_some(caller)
}

/// Whether to ask who it is counts: as a try, and as a use of the token or the session.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    Use,
    Look,
}

fn lack(caller: &Caller, scope: Scope) -> String {
    match caller {
        Caller::Session(_) => format!("This needs a role with the scope {scope}."),
        _ => format!("This needs a token with the scope {scope}."),
    }
}

/// The context that every request of the interface has.
pub(super) fn context_of(request: &HttpRequest) -> Result<&web::Data<Context>, Problem> {
    request.app_data::<web::Data<Context>>().ok_or_else(|| Problem::internal("no context"))
}

fn identify(request: &HttpRequest, context: &Context, manner: Manner) -> Result<Caller, Problem> {
    if let Some(field) = request.headers().get(header::AUTHORIZATION) {
        // RFC 6750 §2.1
        let text = field.to_str().ok().and_then(|field| {
            let (scheme, text) = field.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| text.trim())
        });
        let text = text.ok_or_else(|| unauthorized("", "Authorization must be `Bearer pbx_…`."))?;
        return by_token(request, context, text, manner);
    }
    if is_socket(request) {
        return Ok(Caller::Owner);
    }
    match session_cookie(request) {
        Some(cookie) => by_cookie(request, context, cookie, manner),
        None => Err(unauthorized("", "Log in, or send a token: `Authorization: Bearer pbx_…`.")),
    }
}

fn by_token(request: &HttpRequest, context: &Context, text: &str, manner: Manner) -> Result<Caller, Problem> {
    let (now, ip) = (context.clock.now(), request.peer_addr().map(|peer| peer.ip()));
    let token = directory::find_token(&context.store.view()?, text)?.filter(|token| token.admits(now, ip));
    let Some(token) = token else {
        if manner == Manner::Use {
            context.limiter.attempt(ip).map_err(too_many)?;
        }
        // Which of these it is, is not said: that would tell a stranger that a token exists.
        let detail = "The token is not known, has ended, or may not be used from this address.";
        return Err(unauthorized(", error=\"invalid_token\"", detail));
    };
    if manner == Manner::Use {
        note_use(context, &token, ip);
    }
    Ok(Caller::Token(Box::new(token)))
}

fn by_cookie(request: &HttpRequest, context: &Context, cookie: &str, manner: Manner) -> Result<Caller, Problem> {
    let key = SessionKey::of(cookie);
    let (now, idle_ms) = (context.clock.now(), context.session_idle_ms());
    let Some((session, account)) = directory::find_session(&context.store.view()?, key, now, idle_ms)? else {
        return Err(unauthorized("", "The session has ended: log in again."));
    };
    // RFC 9110 §9.2.1: what only reads may be asked for by any page, which then can't see the answer.
    if !request.method().is_safe() {
        check_same_site(request, true)?;
    }
    let mut ends_at = session.ends_at(idle_ms);
    if manner == Manner::Use && now.ms_since(session.last_used_at) >= limits::LAST_USE_MS {
        context.store.ride(SessionUsed { key, at: now });
        ends_at = now.plus_ms(idle_ms);
    }
    let powers = Powers::of(&session.roles);
    Ok(Caller::Session(Box::new(Login { key, account, ends_at, powers })))
}

fn note_use(context: &Context, token: &Token, ip: Option<IpAddr>) {
    let at = context.clock.now();
    let is_noted =
        token.last_used_ip == ip && token.last_used_at.is_some_and(|last| at.ms_since(last) < limits::LAST_USE_MS);
    if !is_noted {
        context.store.ride(TokenUsed { id: token.id.clone(), ip, at });
    }
}

fn act_of(request: &HttpRequest, caller: &Caller) -> Act {
    let token_id = match caller {
        Caller::Token(token) => Some(token.id.clone()),
        _ => None,
    };
    Act { token_id, ..act_by(request, caller.actor()) }
}

/// What a request does, by whom it says.
pub(super) fn act_by(request: &HttpRequest, actor: String) -> Act {
    Act {
        actor,
        token_id: None,
        ip: request.peer_addr().map(|peer| peer.ip()),
        action: operation_id(request).unwrap_or_default().to_owned(),
        request_id: request.extensions().get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default(),
    }
}

/// 429 (RFC 6585 §4).
pub(super) fn too_many(often: TooOften) -> Problem {
    let detail = format!("Too many requests: at most {} in a minute.", often.quota);
    Problem::new(Code::TooMany, detail).with_header(header::RETRY_AFTER, &often.retry_after_s.to_string())
}

// RFC 6750 §3
pub(super) fn unauthorized(error: &str, detail: &str) -> Problem {
    Problem::new(Code::Unauthorized, detail)
        .with_header(header::WWW_AUTHENTICATE, &format!("Bearer realm=\"pillarbox\"{error}"))
}
