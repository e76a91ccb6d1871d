use std::fmt;

use serde::{Deserialize, Serialize};

use super::entry::replace;
use super::route_change::route;
use super::row::{ENTRIES, Entry};
use crate::base::{Host, QueueId};
use crate::store::{Read, StoreError, Tx};

/// Where servers take mail from others. RFC 5321 §4.5.4.2
const SMTP_PORT: u16 = 25;

/// A way out that an operator has chosen for one entry, whatever routes and peers say.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Via {
    /// The one of a route, whatever mail that is for. Where it is deleted, the entry goes like any other.
    Route(String),
    /// A server, by its addresses and not by its MX records: with TLS where it is offered, and without a login.
    Host {
        /// The server.
        host: Host,
        /// Its port.
        port: u16,
    },
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Route(name) => write!(f, "the route {name}"),
            Self::Host { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

/// What is meant by a text: the route of that name, else a host, as in `relay.example.org`, `relay.example.org:2525` or
/// `[192.0.2.1]`; `None`: neither. A host without a dot or a port would be a route's name with a slip in it.
///
/// # Errors
/// [`StoreError`].
pub fn via(read: &impl Read, text: &str) -> Result<Option<Via>, StoreError> {
    Ok(match route(read, text)? {
        Some(route) => Some(Via::Route(route.name)),
        None => host(text),
    })
}

fn host(text: &str) -> Option<Via> {
    let is_port = |tail: &str| !tail.is_empty() && tail.bytes().all(|byte| byte.is_ascii_digit());
    let (name, port) = match text.rsplit_once(':').filter(|(_, tail)| is_port(tail)) {
        Some((name, port)) => (name, port.parse().ok().filter(|port| *port > 0)?),
        None if text.contains('.') || text.starts_with('[') => (text, SMTP_PORT),
        None => return None,
    };
    Host::parse(name).ok().map(|host| Via::Host { host, port })
}

/// Sends entries that way from now on. The trace is the caller's.
///
/// # Errors
/// [`StoreError`].
pub fn send_via(tx: &mut Tx<'_>, entries: &[QueueId], via: &Via) -> Result<(), StoreError> {
    for id in entries {
        if let Some(entry) = tx.get(&ENTRIES, id)? {
            replace(tx, *id, &entry, &Entry { via: Some(via.clone()), ..entry.clone() })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_a_dot_or_a_port() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(host(text).map(|via| via.to_string()).as_deref(), expected, "{text}");
        };
        check("relay.example.org", Some("relay.example.org:25"));
        check("relay.example.org:2525", Some("relay.example.org:2525"));
        check("relay:2525", Some("relay:2525"));
        check("[192.0.2.1]", Some("[192.0.2.1]:25"));
        check("[IPv6:2001:db8::1]:587", Some("[IPv6:2001:db8::1]:587"));
        check("[IPv6:2001:db8::1]", Some("[IPv6:2001:db8::1]:25"));
        for wrong in ["", "smarthost", "relay.example.org:0", "relay.example.org:65536", "a b.c", "[192.0.2.1", ":25"] {
            check(wrong, None);
        }
    }
}
