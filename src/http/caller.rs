use std::future::{Ready, ready};
use std::marker::PhantomData;
use std::net::IpAddr;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};

use super::context::Context;
use super::problem::{Code, Problem};
use super::via::is_socket;
use crate::base::{Address, DomainName, limits};
use crate::directory::{self, Scope, Token, TokenFields, TokenUsed};

/// Who asks.
pub(super) enum Caller {
    /// Who may open the unix socket: an administrator.
    Owner,
    /// A program with a token.
    Token(Box<Token>),
}

impl Caller {
    /// What the trace calls them.
    pub fn name(&self) -> String {
        match self {
            Self::Owner => "http owner".into(),
            Self::Token(token) => format!("http token {}", token.id),
        }
    }

    /// Whether it may do what `scope` covers.
    pub fn has(&self, scope: Scope) -> bool {
        match self {
            Self::Owner => true,
            Self::Token(token) => token.has(scope),
        }
    }

    /// Whether it may see and change that domain.
    pub fn reaches(&self, domain: &DomainName) -> bool {
        match self {
            Self::Owner => true,
            Self::Token(token) => token.reaches(domain),
        }
    }

    /// 403 unless it may see and change that domain.
    pub fn need_domain(&self, domain: &DomainName) -> Result<(), Problem> {
        if self.reaches(domain) {
            return Ok(());
        }
        Err(Problem::new(Code::Forbidden, format!("The token is restricted to other domains than {domain}.")))
    }

    /// Whether it may see and change mail between those two: one of them is in a domain that it reaches.
    pub fn reaches_mail(&self, sender: Option<&Address>, recipient: &Address) -> bool {
        let reaches = |address: &Address| address.host.name().is_some_and(|domain| self.reaches(domain));
        !self.is_restricted() || sender.is_some_and(reaches) || reaches(recipient)
    }

    /// Whether it is restricted to some domains.
    pub fn is_restricted(&self) -> bool {
        match self {
            Self::Owner => false,
            Self::Token(token) => !token.fields.restrict_domains.is_empty(),
        }
    }

    /// 403 where it is restricted to some domains: for what is about all mail.
    pub fn need_unrestricted(&self, what: &str) -> Result<(), Problem> {
        if self.is_restricted() {
            return Err(Problem::new(
                Code::Forbidden,
                format!("A token that is restricted to domains may not {what}."),
            ));
        }
        Ok(())
    }

    /// 403 unless it may do everything: for what would let it become more than it is.
    pub fn need_admin(&self, what: &str) -> Result<(), Problem> {
        let is_whole = match self {
            Self::Owner => true,
            Self::Token(token) => token.has(Scope::Admin) && token.fields.restrict_domains.is_empty(),
        };
        if is_whole {
            return Ok(());
        }
        Err(Problem::new(Code::Forbidden, format!("Only a token with the scope admin and no restriction may {what}.")))
    }

    /// Whether a token with those fields could do nothing that the caller can't.
    pub fn covers(&self, fields: &TokenFields) -> bool {
        let Self::Token(own) = self else { return true };
        let restrict = &own.fields.restrict_domains;
        let is_within = restrict.is_empty()
            || (!fields.restrict_domains.is_empty() && fields.restrict_domains.iter().all(|d| restrict.contains(d)));
        let ends = own.fields.expires_at.is_none_or(|own| fields.expires_at.is_some_and(|end| end <= own));
        let (from, own_from) = (&fields.allow_ips, &own.fields.allow_ips);
        let comes_from_there = own_from.is_empty()
            || (!from.is_empty() && from.iter().all(|network| own_from.iter().any(|own| own.covers(network))));
        is_within && ends && comes_from_there && fields.scopes.iter().all(|scope| own.has(*scope))
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
    MessagesRead,
    SettingsRead,
    SettingsWrite,
    MessagesSend,
    MessagesWrite,
    TokensWrite,
    JobsRead,
    JobsWrite,
    EventsRead
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
    permission: PhantomData<P>,
}

impl<P: Permission + 'static> FromRequest for Allowed<P> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(allow(request, P::SCOPE).map(|caller| Self { caller, permission: PhantomData }))
    }
}

/// The name of who called, for the log: a token's id, or `socket`.
#[derive(Clone)]
pub(super) struct CallerName(pub String);

fn allow(request: &HttpRequest, scope: Option<Scope>) -> Result<Caller, Problem> {
    let caller = identify(request)?;
    let name = match &caller {
        Caller::Owner => "socket".to_owned(),
        Caller::Token(token) => token.id.clone(),
    };
    request.extensions_mut().insert(CallerName(name));
    match scope.filter(|scope| !caller.has(*scope)) {
        None => Ok(caller),
        Some(scope) => Err(Problem::new(Code::Forbidden, format!("This needs a token with the scope {scope}."))),
    }
}

fn identify(request: &HttpRequest) -> Result<Caller, Problem> {
    let Some(field) = request.headers().get(header::AUTHORIZATION) else {
        return if is_socket(request) {
            Ok(Caller::Owner)
        } else {
            Err(unauthorized("", "Send a token: `Authorization: Bearer pbx_…`."))
        };
    };
    // RFC 6750 §2.1
    let text = field.to_str().ok().and_then(|field| {
        let (scheme, text) = field.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| text.trim())
    });
    let Some(text) = text else {
        return Err(unauthorized("", "Authorization must be `Bearer pbx_…`."));
    };
    let context = request.app_data::<web::Data<Context>>().ok_or_else(|| Problem::internal("no context"))?;
    let (now, ip) = (context.clock.now(), request.peer_addr().map(|peer| peer.ip()));
    let token = directory::find_token(&context.store.view()?, text)?.filter(|token| token.admits(now, ip));
    let Some(token) = token else {
        // Which of these it is, is not said: that would tell a stranger that a token exists.
        let detail = "The token is not known, has ended, or may not be used from this address.";
        return Err(unauthorized(", error=\"invalid_token\"", detail));
    };
    note_use(context, &token, ip);
    Ok(Caller::Token(Box::new(token)))
}

fn note_use(context: &Context, token: &Token, ip: Option<IpAddr>) {
    let at = context.clock.now();
    let is_noted =
        token.last_used_ip == ip && token.last_used_at.is_some_and(|last| at.ms_since(last) < limits::LAST_USE_MS);
    if !is_noted {
        context.store.ride(TokenUsed { id: token.id.clone(), ip, at });
    }
}

// RFC 6750 §3
fn unauthorized(error: &str, detail: &str) -> Problem {
    Problem::new(Code::Unauthorized, detail)
        .with_header(header::WWW_AUTHENTICATE, &format!("Bearer realm=\"pillarbox\"{error}"))
}
