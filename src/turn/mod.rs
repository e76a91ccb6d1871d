//! Peers that roles are swapped with: who they are, which domains are theirs, who may be served now, and what came of
//! each session.
//!
//! Floor F3d. Functions on a transaction, and two small registers in memory; the sessions themselves are run by
//! `exchange`.

mod check;
mod flushes;
mod lease;
mod login;
mod peer;
mod peer_row;
mod schedule;
mod secret;
mod session;
#[cfg(test)]
mod tests;
mod validate;

pub use check::{CHECKS, TABLES};
pub use flushes::Flushes;
pub use lease::{Lease, Leases};
pub use login::{Known, Way, Welcome, authenticate, welcome};
pub use peer::{
    DeletePeer, Direction, Peer, PeerFields, PutPeer, Refused, ServerTls, SessionLimits, Verb, domains_held,
    domains_ours, has_mail, peer, peer_by_login, peer_holding, peers, peers_by_network, peers_of_domain,
};
pub use schedule::{BadSchedule, Schedule, last_call};
pub use secret::{is_machine_made, make_secret};
pub use session::{EndRunning, PutSession, Role, Session, SessionChanged, SessionState, newest, session, sessions};
