use serde::{Deserialize, Serialize};

use crate::base::{Address, DomainName, Host, Timestamp};
use crate::directory::Precondition;
use crate::postcard_row;
use crate::store::{Halt, Op, Read, StoreError, Table, Tx};

/// Announced (number 0) when a route or a peer has changed: what is parked may have to go, and the other way round.
pub const ROUTE_TOPIC: &str = "route";

/// The routes, by name.
pub(super) static ROUTES: Table<String, Route> = Table::new("routes");

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
postcard_row!(Route, 1);

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

/// A login at another server. Kept in the file as it is: it has to be sent.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// The user name.
    pub user: String,
    /// The password: not to be shown.
    pub secret: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Why a route is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteRefused {
    /// The precondition does not hold.
    #[error("the route was changed meanwhile")]
    Precondition(Option<u64>),
    /// Another route is for the same mail.
    #[error("the route {0} is for the same mail")]
    Taken(String),
    /// No such route.
    #[error("there is no such route")]
    Unknown,
    /// A field has a value that it can't have; the first is its name.
    #[error("{0}: {1}")]
    Field(&'static str, String),
}

/// Creates or replaces a route; `Out` says whether it is new.
pub struct PutRoute {
    /// Its name.
    pub name: String,
    /// What is set.
    pub fields: RouteFields,
    /// What must hold.
    pub precondition: Precondition,
    /// Now.
    pub at: Timestamp,
}

impl Op for PutRoute {
    type Plan = ();
    type Out = crate::directory::Put<Route>;
    type Refused = RouteRefused;

    fn name(&self) -> &'static str {
        "queue.put_route"
    }

    fn check(&self, tx: &Tx<'_>) -> Result<(), Halt<RouteRefused>> {
        let _ = tx;
        todo!()
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<Self::Out, StoreError> {
        let _ = tx;
        todo!()
    }
}

/// Deletes a route.
pub struct DeleteRoute {
    /// Its name.
    pub name: String,
    /// What must hold.
    pub precondition: Precondition,
}

impl Op for DeleteRoute {
    type Plan = ();
    type Out = ();
    type Refused = RouteRefused;

    fn name(&self) -> &'static str {
        "queue.delete_route"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<(), Halt<RouteRefused>> {
        let _ = tx;
        todo!()
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        let _ = tx;
        todo!()
    }
}

/// The route of that name.
///
/// # Errors
/// [`StoreError`].
pub fn route(read: &impl Read, name: &str) -> Result<Option<Route>, StoreError> {
    let _ = (read, name);
    todo!()
}

/// The first `limit` routes behind `after`, by name.
///
/// # Errors
/// [`StoreError`].
pub fn routes(read: &impl Read, after: Option<&str>, limit: usize) -> Result<Vec<Route>, StoreError> {
    let _ = (read, after, limit);
    todo!()
}

/// The route for a recipient's domain and a sender: for the domain, else for the sender's address, its domain, else the
/// default one. (A peer's claim on the domain goes behind the first of these and before the others: see `delivery`.)
///
/// # Errors
/// [`StoreError`].
pub fn route_for(read: &impl Read, to: &Host, sender: Option<&Address>) -> Result<Option<Route>, StoreError> {
    let _ = (read, to, sender);
    todo!()
}
