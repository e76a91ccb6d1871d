use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::base::{Address, DomainName, Host};
use crate::http::api::page_of;
use crate::http::api::secret::SecretState;
use crate::http::managed::ManagedBy;
use crate::http::problem::{Fault, Problem};
use crate::queue::{self, Login, Match, RouteFields, RouteKind, TlsUse};

/// The port of a smarthost (RFC 5321), and with implicit TLS (RFC 8314).
const PORTS: (u16, u16) = (25, 465);

/// Where some mail goes, instead of to the servers that the DNS names for its domain.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Route {
    /// Its name.
    name: String,
    /// Which mail: a route for a domain goes before one for a sender, that before the default.
    #[serde(rename = "match")]
    matches: RouteMatch,
    /// Where to.
    kind: RouteKindName,
    /// `relay`: the smarthost.
    host: Option<String>,
    /// `relay`: its port.
    port: Option<u16>,
    /// `hold`: the peer that fetches it.
    peer: Option<String>,
    /// `relay`: how to log in there.
    auth: Option<RouteAuth>,
    /// `relay`: what is asked of TLS.
    tls: Option<RouteTls>,
    /// For people.
    note: String,
    /// What keeps it as it is: `state` where a desired state that was applied has named it, else null. It can be changed
    /// by hand all the same: the next state that is applied sets it back.
    managed_by: Option<ManagedBy>,
    /// When it was created.
    created_at: String,
    /// When it was last changed.
    changed_at: String,
}

/// What is set of a route.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct RouteInput {
    /// Which mail: a route for a domain goes before one for a sender, that before the default.
    #[serde(rename = "match")]
    matches: RouteMatch,
    /// Where to.
    kind: RouteKindName,
    /// `relay`: the smarthost, a name or an address literal as `[192.0.2.1]`. Its MX records do not count.
    #[serde(default)]
    #[schema(max_length = 255)]
    host: Option<String>,
    /// `relay`: its port. Default: 25, with implicit TLS 465.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 65535)]
    port: Option<u16>,
    /// `hold`: the peer that fetches it.
    #[serde(default)]
    #[schema(max_length = 100)]
    peer: Option<String>,
    /// `relay`: how to log in there.
    #[serde(default)]
    auth: Option<RouteAuthInput>,
    /// `relay`: what is asked of TLS. Default: `opportunistic`, with `auth` `verified`.
    #[serde(default)]
    tls: Option<RouteTls>,
    /// For people.
    #[serde(default)]
    #[schema(max_length = 1000)]
    note: String,
}

/// Which mail takes a route: exactly one of these.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct RouteMatch {
    /// Mail to this domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 255)]
    domain: Option<String>,
    /// Mail from this address; `@DOMAIN` stands for every address of a domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 320)]
    sender: Option<String>,
    /// `true`: all other mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default: Option<bool>,
}

/// Where a route leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum RouteKindName {
    /// To the servers that the DNS names for the domain.
    Mx,
    /// To a smarthost.
    Relay,
    /// Nowhere: it waits for a peer that fetches it.
    Hold,
}

/// What is asked of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum RouteTls {
    /// Where it is offered, whatever the certificate. Not with `auth`.
    Opportunistic,
    /// Not without it, whatever the certificate.
    Required,
    /// Not without it and a certificate for the host's name from a public CA.
    Verified,
    /// From the first octet (port 465), with such a certificate.
    Implicit,
}

/// A login at a smarthost.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct RouteAuth {
    /// The user name.
    user: String,
    /// Whether there is a secret.
    secret: SecretState,
}

/// A login at a smarthost.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct RouteAuthInput {
    /// The user name.
    #[schema(min_length = 1, max_length = 1024)]
    user: String,
    /// The password; it is kept as it is, since it has to be sent, and never shown. Without it, the one that is there
    /// stays.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 1024, write_only)]
    secret: Option<String>,
}

page_of! {
    /// Routes by name.
    RoutePage of Route
}

impl Route {
    pub(in crate::http::api) fn of(row: &queue::Route, managed_by: Option<ManagedBy>) -> Self {
        let mut route = Self {
            name: row.name.clone(),
            matches: RouteMatch::of(&row.fields.matches),
            kind: RouteKindName::Mx,
            host: None,
            port: None,
            peer: None,
            auth: None,
            tls: None,
            note: row.fields.note.clone(),
            managed_by,
            created_at: row.created_at.rfc3339(),
            changed_at: row.changed_at.rfc3339(),
        };
        match &row.fields.kind {
            RouteKind::Mx => {}
            RouteKind::Hold { peer } => (route.kind, route.peer) = (RouteKindName::Hold, Some(peer.clone())),
            RouteKind::Relay { host, port, tls, login } => {
                route.kind = RouteKindName::Relay;
                (route.host, route.port) = (Some(host.to_string()), Some(*port));
                route.tls = Some(RouteTls::of(*tls));
                let auth = |login: &Login| RouteAuth {
                    user: login.user.clone(),
                    secret: SecretState::new(!login.secret.is_empty(), None),
                };
                route.auth = login.as_ref().map(auth);
            }
        }
        route
    }
}

impl RouteMatch {
    fn of(matches: &Match) -> Self {
        let (domain, sender, default) = match matches {
            Match::Domain(domain) => (Some(domain.to_string()), None, None),
            Match::Sender(address) => (None, Some(address.to_string()), None),
            Match::SenderDomain(domain) => (None, Some(format!("@{domain}")), None),
            Match::Default => (None, None, Some(true)),
        };
        Self { domain, sender, default }
    }

    fn read(self) -> Result<Match, Fault> {
        let wrong = |place: &str, error: &dyn std::fmt::Display| {
            Fault::body(format!("/match/{place}"), "malformed", error.to_string())
        };
        match (self.domain, self.sender, self.default) {
            (Some(domain), None, None) => {
                DomainName::parse(&domain).map(Match::Domain).map_err(|error| wrong("domain", &error))
            }
            (None, Some(sender), None) => match sender.strip_prefix('@') {
                Some(domain) => DomainName::parse(domain).map(Match::SenderDomain),
                None => Address::parse(&sender).map(Match::Sender),
            }
            .map_err(|error| wrong("sender", &error)),
            (None, None, Some(true)) => Ok(Match::Default),
            _ => Err(Fault::body("/match", "not_one", "exactly one of domain, sender and \"default\": true")),
        }
    }
}

impl RouteTls {
    fn of(tls: TlsUse) -> Self {
        match tls {
            TlsUse::Opportunistic => Self::Opportunistic,
            TlsUse::Required => Self::Required,
            TlsUse::Verified => Self::Verified,
            TlsUse::Implicit => Self::Implicit,
        }
    }

    fn read(self) -> TlsUse {
        match self {
            Self::Opportunistic => TlsUse::Opportunistic,
            Self::Required => TlsUse::Required,
            Self::Verified => TlsUse::Verified,
            Self::Implicit => TlsUse::Implicit,
        }
    }
}

impl RouteInput {
    /// The fields; a secret that is left out is taken from `old`.
    pub(in crate::http::api) fn fields(self, old: Option<&queue::Route>) -> Result<RouteFields, Problem> {
        let mut faults = Vec::new();
        let given = [
            ("host", self.host.is_some(), RouteKindName::Relay),
            ("port", self.port.is_some(), RouteKindName::Relay),
            ("auth", self.auth.is_some(), RouteKindName::Relay),
            ("tls", self.tls.is_some(), RouteKindName::Relay),
            ("peer", self.peer.is_some(), RouteKindName::Hold),
        ];
        for (name, is_given, kind) in given {
            if is_given && kind != self.kind {
                faults.push(Fault::body(
                    format!("/{name}"),
                    "excluded",
                    format!("only a route of the kind {kind:?} has it").to_lowercase(),
                ));
            }
        }
        let kind = match self.kind {
            RouteKindName::Mx => Some(RouteKind::Mx),
            RouteKindName::Hold => Some(RouteKind::Hold { peer: self.peer.unwrap_or_default() }),
            RouteKindName::Relay => {
                let tls = self.tls.unwrap_or(match self.auth {
                    Some(_) => RouteTls::Verified,
                    None => RouteTls::Opportunistic,
                });
                let port = self.port.unwrap_or(if tls == RouteTls::Implicit { PORTS.1 } else { PORTS.0 });
                let host = host(self.host.as_deref(), &mut faults);
                host.map(|host| {
                    let login = self.auth.map(|auth| auth.read(&host, port, old, &mut faults));
                    RouteKind::Relay { host, port, tls: tls.read(), login }
                })
            }
        };
        let matches = self.matches.read().map_err(|fault| faults.push(fault)).ok();
        match (matches, kind) {
            (Some(matches), Some(kind)) if faults.is_empty() => Ok(RouteFields { matches, kind, note: self.note }),
            _ => Err(Problem::invalid(faults)),
        }
    }
}

fn host(text: Option<&str>, faults: &mut Vec<Fault>) -> Option<Host> {
    let Some(text) = text else {
        faults.push(Fault::body("/host", "required", "a relay has a host"));
        return None;
    };
    Host::parse(text).map_err(|error| faults.push(Fault::body("/host", "malformed", error.to_string()))).ok()
}

impl RouteAuthInput {
    /// The login. The old secret goes only where it went: who may change a route could else have it sent to themselves.
    fn read(self, host: &Host, port: u16, old: Option<&queue::Route>, faults: &mut Vec<Fault>) -> Login {
        let kept = match old.map(|old| &old.fields.kind) {
            Some(RouteKind::Relay { host: known, port: same, login: Some(login), .. })
                if known == host && *same == port && login.user == self.user =>
            {
                Some(login.secret.clone())
            }
            _ => None,
        };
        let secret = self.secret.or(kept).unwrap_or_else(|| {
            let message = "a new user, host or port needs its secret";
            faults.push(Fault::body("/auth/secret", "required", message));
            String::new()
        });
        Login { user: self.user, secret }
    }
}
