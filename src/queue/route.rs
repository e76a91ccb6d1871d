use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use crate::base::{Address, DomainName, Host, Timestamp};
use crate::postcard_row;
use crate::store::{HoldsSecret, Read, Span, StoreError, Table};

/// Announced (number 0) when a route or a peer has changed: what is parked may have to go, and the other way round.
pub const ROUTE_TOPIC: &str = "route";

/// The counter of the routes' versions.
pub(super) const ROUTE_VERSION: &str = "queue.route_version";

/// The routes, by name.
pub(super) static ROUTES: Table<String, Route> = Table::new("routes");
/// The route for each kind of mail: see [`Match::place`].
pub(super) static ROUTE_PLACES: Table<(u8, String), RouteName> = Table::new("route_places");

/// A route's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RouteName(pub(super) String);
postcard_row!(RouteName, 1);

/// Where some mail goes, instead of to the domain's own servers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Its name.
    pub name: String,
    /// What an administrator sets.
    pub fields: RouteFields,
    /// Changes with every change of the row, and never comes back.
    pub version: u64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub changed_at: Timestamp,
}
postcard_row!(Route, 1, secret);

/// What an administrator sets of a route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteFields {
    /// Which mail.
    pub matches: Match,
    /// Where to.
    pub kind: RouteKind,
    /// For people.
    pub note: String,
}

/// Which mail takes a route. One for a domain goes before one for a sender, that before the default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Match {
    /// Mail to this domain.
    Domain(DomainName),
    /// Mail from this address.
    Sender(Address),
    /// Mail from any address of this domain.
    SenderDomain(DomainName),
    /// All other mail.
    Default,
}

/// Where a route leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RouteKind {
    /// To the servers that the DNS names for the domain.
    Mx,
    /// To a smarthost, by its addresses and not by its MX records.
    Relay {
        /// The smarthost.
        host: Host,
        /// Its port.
        port: u16,
        /// Whether TLS is needed.
        tls: TlsUse,
        /// How to log in there.
        login: Option<Login>,
    },
    /// Nowhere: it waits for a peer that fetches it.
    Hold {
        /// The peer.
        peer: String,
    },
}

/// What is asked of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TlsUse {
    /// Where it is offered, whatever the certificate.
    Opportunistic,
    /// Not without it, whatever the certificate.
    Required,
    /// Not without it and a certificate for the host's name from a public CA.
    Verified,
    /// From the first octet (port 465), with such a certificate.
    Implicit,
}

/// A login at another server. It has to be sent, so its secret can't be kept as a hash.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// The user name.
    pub user: String,
    /// The password: not to be shown. Empty: it was sealed, and dropped with the key.
    pub secret: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

impl Login {
    /// Puts another secret in its place; `None`: it is no text.
    pub fn set_secret(&mut self, secret: &[u8]) -> Option<()> {
        self.secret = String::from_utf8(secret.to_vec()).ok()?;
        Some(())
    }
}

impl HoldsSecret for Route {
    const WHAT: &'static str = "route";

    fn secret(&self) -> Option<&[u8]> {
        match &self.fields.kind {
            RouteKind::Relay { login, .. } => login.as_ref().map(|login| login.secret.as_bytes()),
            RouteKind::Mx | RouteKind::Hold { .. } => None,
        }
    }

    fn set_secret(&mut self, secret: &[u8]) -> Option<()> {
        match &mut self.fields.kind {
            RouteKind::Relay { login: Some(login), .. } => login.set_secret(secret),
            _ => None,
        }
    }
}

impl Match {
    /// Where a route for this mail is found.
    pub(super) fn place(&self) -> (u8, String) {
        match self {
            Self::Domain(domain) => (0, domain.to_string()),
            Self::Sender(address) => (1, address.key()),
            Self::SenderDomain(domain) => (2, domain.to_string()),
            Self::Default => (3, String::new()),
        }
    }
}

/// The highest version that a route has.
pub(super) fn highest_version(read: &impl Read) -> Result<u64, StoreError> {
    let mut highest = 0;
    read.scan(&ROUTES, Span::all(), |_, route| {
        highest = highest.max(route.version);
        ControlFlow::Continue(())
    })?;
    Ok(highest)
}
