use serde::{Deserialize, Serialize};

use crate::base::{DomainName, Host, Networks, Timestamp};
use crate::directory::{Precondition, Put};
use crate::postcard_row;
use crate::queue::Login;
use crate::store::{Halt, Op, Read, StoreError, Table, Tx};

/// The peers, by name.
pub(super) static PEERS: Table<String, Peer> = Table::new("turn_peers");
/// The peers of each domain.
pub(super) static PEER_DOMAINS: Table<(String, String), ()> = Table::new("turn_peer_domains");
/// The peer behind a user name.
pub(super) static PEER_LOGINS: Table<String, PeerName> = Table::new("turn_peer_logins");

/// A peer's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PeerName(pub(super) String);
postcard_row!(PeerName, 1);

/// Another server with which roles may be swapped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Its name.
    pub name: String,
    /// What an administrator sets.
    pub fields: PeerFields,
    /// When the secret was last set.
    pub secret_changed_at: Timestamp,
    /// Changes with every change of the row, and never comes back.
    pub version: u64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub changed_at: Timestamp,
}
postcard_row!(Peer, 1);

/// What an administrator sets of a peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerFields {
    /// Which verbs it may use, or we at its side.
    pub verbs: Vec<Verb>,
    /// Who dials.
    pub direction: Direction,
    /// Where we dial it; also where its mail is sent when it is released. `None`: by the DNS.
    pub host: Option<Host>,
    /// The port there.
    pub port: u16,
    /// Its domains. Those that are not ours are held for it: never dialled, fetched by TURN or ATRN, or released by ETRN
    /// or by hand. Those that are ours are what we ask it for, and take from it in a swapped session.
    pub domains: Vec<DomainName>,
    /// The user name and the secret, at both sides. `None`: it can only use ETRN, from its networks.
    pub login: Option<Login>,
    /// TLS at its side, when we dial.
    pub tls: ServerTls,
    /// Where it dials us from; empty: from anywhere. For ETRN, being here is enough; for TURN and ATRN never.
    pub networks: Networks,
    /// A disabled peer is as good as none, but its mail stays held.
    pub enabled: bool,
    /// For people.
    pub note: String,
}

/// A verb of the TURN family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// RFC 821 §3.8
    Turn,
    /// RFC 1985
    Etrn,
    /// RFC 2645
    Atrn,
}

/// Who dials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// We dial it.
    Initiate,
    /// It dials us.
    Accept,
    /// Either.
    Both,
}

/// How a peer that we dial proves who it is. There is no dialling without TLS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServerTls {
    /// By a certificate for its host name from a public CA.
    Verified,
    /// By this certificate: the SHA-256 of its DER form.
    Pinned([u8; 32]),
}

/// Why a peer is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The precondition does not hold.
    #[error("the peer was changed meanwhile")]
    Precondition(Option<u64>),
    /// No such peer.
    #[error("there is no such peer")]
    Unknown,
    /// A field has a value that it can't have; the first is its name.
    #[error("{0}: {1}")]
    Field(&'static str, String),
}

/// Creates or replaces a peer. Announces [`crate::queue::ROUTE_TOPIC`].
pub struct PutPeer {
    /// Its name.
    pub name: String,
    /// What is set.
    pub fields: PeerFields,
    /// Keeps the secret that is there: `fields.login` then has an empty one.
    pub keep_secret: bool,
    /// What must hold.
    pub precondition: Precondition,
    /// Now.
    pub at: Timestamp,
}

impl Op for PutPeer {
    type Plan = ();
    type Out = Put<Peer>;
    type Refused = Refused;

    fn name(&self) -> &'static str {
        "turn.put_peer"
    }

    fn check(&self, tx: &Tx<'_>) -> Result<(), Halt<Refused>> {
        let _ = tx;
        todo!()
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<Self::Out, StoreError> {
        let _ = tx;
        todo!()
    }
}

/// Deletes a peer. What was parked for it goes out by the ordinary way.
pub struct DeletePeer {
    /// Its name.
    pub name: String,
    /// What must hold.
    pub precondition: Precondition,
}

impl Op for DeletePeer {
    type Plan = ();
    type Out = ();
    type Refused = Refused;

    fn name(&self) -> &'static str {
        "turn.delete_peer"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<(), Halt<Refused>> {
        let _ = tx;
        todo!()
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        let _ = tx;
        todo!()
    }
}

/// The peer of that name.
///
/// # Errors
/// [`StoreError`].
pub fn peer(read: &impl Read, name: &str) -> Result<Option<Peer>, StoreError> {
    let _ = (read, name);
    todo!()
}

/// The first `limit` peers behind `after`, by name.
///
/// # Errors
/// [`StoreError`].
pub fn peers(read: &impl Read, after: Option<&str>, limit: usize) -> Result<Vec<Peer>, StoreError> {
    let _ = (read, after, limit);
    todo!()
}

/// The enabled peer that may dial us with this user name.
///
/// # Errors
/// [`StoreError`].
pub fn peer_by_login(read: &impl Read, user: &str) -> Result<Option<Peer>, StoreError> {
    let _ = (read, user);
    todo!()
}

/// Every peer that names this domain.
///
/// # Errors
/// [`StoreError`].
pub fn peers_of_domain(read: &impl Read, domain: &DomainName) -> Result<Vec<Peer>, StoreError> {
    let _ = (read, domain);
    todo!()
}

/// The peer for whom mail to this domain is held: the first by name that names it, when the domain is not ours.
///
/// # Errors
/// [`StoreError`].
pub fn peer_holding(read: &impl Read, domain: &DomainName) -> Result<Option<Peer>, StoreError> {
    let _ = (read, domain);
    todo!()
}
