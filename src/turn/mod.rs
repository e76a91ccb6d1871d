//! Peers that roles are swapped with: who they are, which domains are theirs, and what came of each session.
//!
//! Floor F3d. Functions on a transaction; the sessions themselves are run by `exchange`.

mod peer;
mod session;

pub use peer::{
    DeletePeer, Direction, Peer, PeerFields, PutPeer, Refused, ServerTls, Verb, peer, peer_by_login, peer_holding,
    peers, peers_of_domain,
};
pub use session::{PutSession, Role, Session, SessionState, session, sessions};

use crate::store::{AnyTable, CrossCheck};

/// The room's tables.
pub const TABLES: &[&dyn AnyTable] = &[&peer::PEERS, &peer::PEER_DOMAINS, &peer::PEER_LOGINS, &session::SESSIONS];
/// What must hold between them.
pub const CHECKS: &[CrossCheck] = &[];
