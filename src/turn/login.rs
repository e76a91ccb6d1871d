use std::net::IpAddr;
use std::ops::ControlFlow;

use super::peer::{PEERS, Peer, Verb, peer_by_certificate, peer_by_login};
use super::secret::is_machine_made;
use crate::base::Networks;
use crate::sasl::{Claim, Credentials, Mechanism};
use crate::store::{Read, Span, StoreError};

/// What a client may hope for because of where it is. It proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Welcome {
    /// There is a peer that might log in from there by a secret.
    pub login: bool,
    /// There is a peer that might do so by a certificate.
    pub certificate: bool,
    /// There is a peer that might do so by CRAM-MD5.
    pub cram: bool,
    /// There is one that might do so without TLS.
    pub cram_in_clear: bool,
    /// There is a peer that may use ETRN from there without a login.
    pub etrn: bool,
}

/// How a client has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// From where.
    pub ip: IpAddr,
    /// Nobody listens in: over TLS, or on this machine.
    pub is_private: bool,
}

/// What a client at `ip` may hope for.
///
/// # Errors
/// [`StoreError`].
pub fn welcome(read: &impl Read, ip: IpAddr) -> Result<Welcome, StoreError> {
    let mut welcome = Welcome::default();
    read.scan(&PEERS, Span::all(), |_, peer| {
        let may_log_in = peer.may_log_in_from(ip);
        let has_cram = may_log_in && peer.fields.mechanisms.contains(&Mechanism::CramMd5);
        let is_certified = peer.fields.is_certified();
        welcome.login |= may_log_in && !is_certified;
        welcome.certificate |= may_log_in && is_certified;
        welcome.cram |= has_cram;
        welcome.cram_in_clear |= has_cram && peer.may_come_in_clear_from(ip);
        welcome.etrn |= peer.may_etrn_from(ip);
        ControlFlow::Continue(())
    })?;
    Ok(welcome)
}

/// A peer that has proved who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The peer.
    pub peer: Peer,
    /// What proves to it that we know its secret, in base64, where its mechanism has that.
    pub proof: Option<String>,
}

/// The peer that this is true of, if it may dial us that way and log in by that mechanism. The time that it takes says
/// nothing of the secret or the certificate, nor whether there is such a peer.
///
/// # Errors
/// [`StoreError`].
pub fn authenticate(
    read: &impl Read,
    mechanism: Mechanism,
    claim: &Claim,
    way: Way,
) -> Result<Option<Known>, StoreError> {
    let found = match claim {
        Claim::Certificate(shown) => peer_by_certificate(read, shown.certificate())?,
        Claim::Password(_) | Claim::Scram(_) | Claim::Cram(_) => peer_by_login(read, claim.login())?,
    };
    let kept = found.as_ref().and_then(|peer| peer.fields.login.as_ref()).map_or("", |login| login.secret.as_str());
    let (is_right, proof) = match claim {
        // Compared by their hashes, whose comparison takes the same time whatever they are.
        Claim::Password(Credentials { password, .. }) => {
            (blake3::hash(password.expose().as_bytes()) == blake3::hash(kept.as_bytes()), None)
        }
        Claim::Scram(shown) => {
            let proof = shown.verify(kept);
            (proof.is_some(), proof)
        }
        // Who listens to it can try out secrets: only one that no trying finds will do.
        Claim::Cram(shown) => (shown.verify(kept) && is_machine_made(kept), None),
        // That the client holds its key, TLS has proved.
        Claim::Certificate(shown) => (found.as_ref().is_some_and(|peer| shown.acts_as(&peer.name)), None),
    };
    let is_right = is_right && (!kept.is_empty() || mechanism == Mechanism::External);
    let may = |peer: &Peer| {
        let is_near = way.is_private || (mechanism == Mechanism::CramMd5 && peer.may_come_in_clear_from(way.ip));
        peer.may_log_in_from(way.ip) && is_near && peer.fields.mechanisms.contains(&mechanism)
    };
    let peer = found.filter(|peer| is_right && may(peer));
    Ok(peer.map(|peer| Known { peer, proof }))
}

impl Peer {
    /// Whether it may dial us from there and log in.
    pub fn may_log_in_from(&self, ip: IpAddr) -> bool {
        let is_near = self.fields.networks == Networks::default() || self.fields.networks.contains(ip);
        let has_login = self.fields.login.is_some() || self.fields.client_certificate.is_some();
        self.fields.enabled && self.fields.direction.accepts() && has_login && is_near
    }

    /// Whether it may come from there without TLS.
    fn may_come_in_clear_from(&self, ip: IpAddr) -> bool {
        self.fields.in_clear && self.fields.networks.contains(ip)
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
