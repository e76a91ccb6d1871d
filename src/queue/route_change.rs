use super::route::{
    Match, ROUTE_PLACES, ROUTE_TOPIC, ROUTE_VERSION, ROUTES, Route, RouteFields, RouteKind, RouteName, TlsUse,
    highest_version,
};
use crate::base::{Address, Host, Timestamp, limits};
use crate::directory::{Precondition, Put};
use crate::store::{Halt, Op, Read, Span, StoreError, Topic, Tx};

/// Why a route is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteRefused {
    /// The precondition does not hold; the version that is there.
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

/// Creates or replaces a route; `Out` says whether it is new. Announces [`ROUTE_TOPIC`].
pub struct PutRoute {
    /// Its name: 1 to 64 of `a-z`, `0-9`, `.`, `_` and `-`, a letter or digit first.
    pub name: String,
    /// What is set.
    pub fields: RouteFields,
    /// What must hold.
    pub precondition: Precondition,
    /// Now.
    pub at: Timestamp,
}

impl Op for PutRoute {
    type Plan = Option<Route>;
    type Out = Put<Route>;
    type Refused = RouteRefused;

    fn name(&self) -> &'static str {
        "queue.put_route"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<Option<Route>, Halt<RouteRefused>> {
        let old = route(tx, &self.name)?;
        check_precondition(self.precondition, old.as_ref()).map_err(Halt::Refused)?;
        check_name(&self.name).and_then(|()| check_fields(&self.fields)).map_err(Halt::Refused)?;
        match tx.get(&ROUTE_PLACES, &self.fields.matches.place())? {
            Some(RouteName(holder)) if holder != self.name => Err(Halt::Refused(RouteRefused::Taken(holder))),
            _ => Ok(old),
        }
    }

    fn apply(&self, tx: &mut Tx<'_>, old: Option<Route>) -> Result<Put<Route>, StoreError> {
        if let Some(old) = &old {
            tx.remove(&ROUTE_PLACES, &old.fields.matches.place())?;
        }
        let row = Route {
            name: self.name.clone(),
            fields: self.fields.clone(),
            version: tx.next(ROUTE_VERSION, highest_version)?,
            created_at: old.as_ref().map_or(self.at, |old| old.created_at),
            changed_at: self.at,
        };
        tx.put(&ROUTES, &self.name, &row)?;
        tx.put(&ROUTE_PLACES, &row.fields.matches.place(), &RouteName(self.name.clone()))?;
        tx.announce(Topic(ROUTE_TOPIC, 0));
        Ok(Put { row, created: old.is_none() })
    }
}

/// Deletes a route. Announces [`ROUTE_TOPIC`].
pub struct DeleteRoute {
    /// Its name.
    pub name: String,
    /// What must hold.
    pub precondition: Precondition,
}

impl Op for DeleteRoute {
    type Plan = Route;
    type Out = ();
    type Refused = RouteRefused;

    fn name(&self) -> &'static str {
        "queue.delete_route"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<Route, Halt<RouteRefused>> {
        let old = route(tx, &self.name)?.ok_or(Halt::Refused(RouteRefused::Unknown))?;
        check_precondition(self.precondition, Some(&old)).map_err(Halt::Refused)?;
        Ok(old)
    }

    fn apply(&self, tx: &mut Tx<'_>, old: Route) -> Result<(), StoreError> {
        tx.remove(&ROUTES, &self.name)?;
        tx.remove(&ROUTE_PLACES, &old.fields.matches.place())?;
        tx.announce(Topic(ROUTE_TOPIC, 0));
        Ok(())
    }
}

/// The route of that name.
///
/// # Errors
/// [`StoreError`].
pub fn route(read: &impl Read, name: &str) -> Result<Option<Route>, StoreError> {
    read.get(&ROUTES, &name.to_owned())
}

/// The first `limit` routes behind `after`, by name.
///
/// # Errors
/// [`StoreError`].
pub fn routes(read: &impl Read, after: Option<&str>, limit: usize) -> Result<Vec<Route>, StoreError> {
    let span = match after {
        Some(after) => Span::all().after(&after.to_owned()),
        None => Span::all(),
    };
    Ok(read.rows(&ROUTES, span, limit)?.into_iter().map(|(_, route)| route).collect())
}

/// The route for a recipient's domain and a sender: for the domain, else for the sender's address, its domain, else the
/// default one. (A peer's claim on the domain goes behind the first of these and before the others: see `delivery`.)
///
/// # Errors
/// [`StoreError`].
pub fn route_for(read: &impl Read, to: &Host, sender: Option<&Address>) -> Result<Option<Route>, StoreError> {
    let places = [
        to.name().cloned().map(Match::Domain),
        sender.cloned().map(Match::Sender),
        sender.and_then(|sender| sender.host.name()).cloned().map(Match::SenderDomain),
        Some(Match::Default),
    ];
    for place in places.into_iter().flatten() {
        if let Some(RouteName(name)) = read.get(&ROUTE_PLACES, &place.place())? {
            return route(read, &name);
        }
    }
    Ok(None)
}

fn check_precondition(precondition: Precondition, old: Option<&Route>) -> Result<(), RouteRefused> {
    let version = old.map(|old| old.version);
    precondition.check(version).map_err(|_| RouteRefused::Precondition(version))
}

pub(super) fn check_name(name: &str) -> Result<(), RouteRefused> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let fits = name.len() <= limits::ROUTE_NAME_BYTES
        && name.bytes().next().is_some_and(is_plain)
        && name.bytes().all(|byte| is_plain(byte) || b"._-".contains(&byte));
    let wanted = || format!("1 to {} of a-z, 0-9, '.', '_' and '-', a letter or digit first", limits::ROUTE_NAME_BYTES);
    if fits { Ok(()) } else { Err(RouteRefused::Field("name", wanted())) }
}

fn check_fields(fields: &RouteFields) -> Result<(), RouteRefused> {
    check_text("note", &fields.note, limits::NOTE_BYTES)?;
    match &fields.kind {
        RouteKind::Mx => Ok(()),
        RouteKind::Hold { peer } if peer.is_empty() => Err(RouteRefused::Field("peer", "the name of a peer".into())),
        RouteKind::Hold { peer } => check_text("peer", peer, limits::NOTE_BYTES),
        RouteKind::Relay { port: 0, .. } => Err(RouteRefused::Field("port", "1 to 65535".into())),
        // Who can take TLS away would get the password.
        RouteKind::Relay { tls: TlsUse::Opportunistic, login: Some(_), .. } => {
            Err(RouteRefused::Field("tls", "a login needs TLS: required, verified or implicit".into()))
        }
        RouteKind::Relay { login: Some(login), .. } => {
            for (field, text) in [("user", &login.user), ("secret", &login.secret)] {
                if text.is_empty() {
                    return Err(RouteRefused::Field(field, "not empty".into()));
                }
                check_text(field, text, limits::PASSWORD_BYTES)?;
            }
            Ok(())
        }
        RouteKind::Relay { login: None, .. } => Ok(()),
    }
}

pub(super) fn check_text(field: &'static str, text: &str, bytes_max: usize) -> Result<(), RouteRefused> {
    if text.len() > bytes_max {
        return Err(RouteRefused::Field(field, format!("at most {bytes_max} octets")));
    }
    if text.chars().any(char::is_control) {
        return Err(RouteRefused::Field(field, "control characters are not allowed".into()));
    }
    Ok(())
}
