use std::net::IpAddr;
use std::ops::ControlFlow;

use super::peer::{PEERS, Peer, Verb, peer_by_login};
use crate::base::Networks;
use crate::store::{Read, Span, StoreError};

/// What a client may hope for because of where it is. It proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Welcome {
    /// There is a peer that might log in from there.
    pub login: bool,
    /// There is a peer that may use ETRN from there without a login.
    pub etrn: bool,
}

/// What a client at `ip` may hope for.
///
/// # Errors
/// [`StoreError`].
pub fn welcome(read: &impl Read, ip: IpAddr) -> Result<Welcome, StoreError> {
    let mut welcome = Welcome::default();
    read.scan(&PEERS, Span::all(), |_, peer| {
        welcome.login |= peer.may_log_in_from(ip);
        welcome.etrn |= peer.may_etrn_from(ip);
        if welcome.login && welcome.etrn { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(welcome)
}

/// The peer with this user name and secret, if it may dial us from `ip`. The time that it takes says nothing of the
/// secret, nor whether there is such a peer.
///
/// # Errors
/// [`StoreError`].
pub fn authenticate(read: &impl Read, user: &str, secret: &str, ip: IpAddr) -> Result<Option<Peer>, StoreError> {
    let peer = peer_by_login(read, user)?;
    let kept = peer.as_ref().and_then(|peer| peer.fields.login.as_ref()).map_or("", |login| login.secret.as_str());
    // Compared by their hashes, whose comparison takes the same time whatever they are.
    let is_right = blake3::hash(secret.as_bytes()) == blake3::hash(kept.as_bytes());
    Ok(peer.filter(|peer| is_right && !secret.is_empty() && peer.may_log_in_from(ip)))
}

impl Peer {
    /// Whether it may dial us from there and log in.
    pub fn may_log_in_from(&self, ip: IpAddr) -> bool {
        let is_near = self.fields.networks == Networks::default() || self.fields.networks.contains(ip);
        self.fields.enabled && self.fields.direction.accepts() && self.fields.login.is_some() && is_near
    }

    /// Whether it may use ETRN from there without a login.
    pub fn may_etrn_from(&self, ip: IpAddr) -> bool {
        let fields = &self.fields;
        fields.enabled
            && fields.direction.accepts()
            && fields.verbs.contains(&Verb::Etrn)
            && fields.networks.contains(ip)
    }
}
