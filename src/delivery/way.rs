use crate::base::{Address, Host, TlsWish};
use crate::queue::{self, Login, Match, RouteKind, TlsUse, Via};
use crate::store::{Read, StoreError};
use crate::turn::{self, Peer, ServerTls};

/// How a message for somebody gets there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) to: To,
    /// What its sender says of TLS: what is asked of a server for one message is nothing that the others need.
    pub(super) tls: TlsWish,
}

/// Where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum To {
    /// To the servers that the DNS names for the domain, or to the address itself.
    Mx(Host),
    /// To a server that an administrator has named.
    Relay { host: Host, port: u16, tls: TlsUse, login: Option<Login> },
    /// To the host of a peer that has asked for what is held for it.
    Peer { host: Host, port: u16, pinned: Option<[u8; 32]> },
}

/// What is to be done with an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Choice {
    /// It is sent.
    Send(To),
    /// It waits for that peer.
    Park(String),
}

impl Way {
    /// What sets it apart from other ways: mail with the same key shares connections.
    pub(super) fn key(&self) -> String {
        let to = self.to.key();
        match self.tls {
            TlsWish::Policy => to,
            TlsWish::Required => format!("{to} requiretls"),
            TlsWish::Optional => format!("{to} any tls"),
        }
    }

    /// For people.
    pub(super) fn name(&self) -> String {
        match &self.to {
            To::Mx(host) | To::Relay { host, .. } | To::Peer { host, .. } => host.to_string(),
        }
    }
}

impl To {
    fn key(&self) -> String {
        match self {
            Self::Mx(host) => format!("mx {host}"),
            Self::Relay { host, port, tls, login } => {
                let user = login.as_ref().map_or("", |login| login.user.as_str());
                format!("relay {host}:{port} {tls:?} {user}")
            }
            Self::Peer { host, port, pinned } => format!("peer {host}:{port} {pinned:?}"),
        }
    }
}

/// What is to be done with mail to that host. The first that fits: the way that an operator has chosen, a route for its
/// domain, the peer that the domain is held for, a route for its sender, the default route, the DNS. `released`: it goes
/// although it is held for a peer.
///
/// # Errors
/// [`StoreError`].
pub(super) fn choose(
    read: &impl Read,
    host: &Host,
    via: Option<&Via>,
    released: bool,
    sender: Option<&Address>,
) -> Result<Choice, StoreError> {
    let chosen = match via {
        Some(Via::Host { host, port }) => {
            let way = To::Relay { host: host.clone(), port: *port, tls: TlsUse::Opportunistic, login: None };
            return Ok(Choice::Send(way));
        }
        Some(Via::Route(name)) => queue::route(read, name)?,
        None => None,
    };
    if let Some(chosen) = chosen {
        return by_route(read, host, chosen.fields.kind, released);
    }
    let route = queue::route_for(read, host, sender)?;
    let is_of_domain = route.as_ref().is_some_and(|route| matches!(route.fields.matches, Match::Domain(_)));
    if !is_of_domain && let Some(peer) = holder(read, host)? {
        return Ok(held(peer.name.clone(), Some(&peer), released, host));
    }
    by_route(read, host, route.map_or(RouteKind::Mx, |route| route.fields.kind), released)
}

fn by_route(read: &impl Read, host: &Host, kind: RouteKind, released: bool) -> Result<Choice, StoreError> {
    Ok(match kind {
        RouteKind::Mx => Choice::Send(To::Mx(host.clone())),
        RouteKind::Relay { host, port, tls, login } => Choice::Send(To::Relay { host, port, tls, login }),
        RouteKind::Hold { peer: name } => {
            let peer = turn::peer(read, &name)?;
            held(name, peer.as_ref(), released, host)
        }
    })
}

fn holder(read: &impl Read, host: &Host) -> Result<Option<Peer>, StoreError> {
    match host.name() {
        Some(domain) => turn::peer_holding(read, domain),
        None => Ok(None),
    }
}

/// What is released goes where the peer says that it is, for one attempt.
fn held(name: String, peer: Option<&Peer>, released: bool, to: &Host) -> Choice {
    if !released {
        return Choice::Park(name);
    }
    Choice::Send(match peer.and_then(|peer| Some((peer, peer.fields.host.clone()?))) {
        Some((peer, host)) => {
            let pinned = match peer.fields.tls {
                ServerTls::Pinned(sha256) => Some(sha256),
                ServerTls::Verified => None,
            };
            To::Peer { host, port: peer.fields.port, pinned }
        }
        None => To::Mx(to.clone()),
    })
}
