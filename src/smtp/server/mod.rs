//! SMTP, the server's side of a session: the driver owns the connection, carries out what the machine asks for and feeds
//! the answers back.
//!
//! Floor F4b. Here is the one place where relaying is decided ([`policy`]), and the one where the 250 behind the end of
//! data gets its receipt, which only a commit can make.

mod budget;
mod commit;
mod context;
mod data;
mod listen;
mod names;
mod policy;
mod record;
#[cfg(test)]
mod relay_tests;
mod report;
mod session;
mod submission;
mod swap;
#[cfg(test)]
mod tests;
mod told;

use std::sync::Arc;

pub use crate::smtp::machine::{Profile, Vrfy};
pub use context::{Context, Entropy};
pub use swap::{Ended, Served, Turned};

use crate::net::{Connection, Crowded};
use crate::turn;

/// Runs a session of a listener from the greeting to its end, or to where the roles are swapped. On listeners with TLS
/// from the first byte, the handshake is done before.
pub async fn serve(connection: Connection, context: Arc<Context>, profile: Profile) -> Ended {
    session::Session::new(connection, context, profile).run().await
}

/// Runs a session with a peer that we have dialled and that has swapped roles with us, from our greeting on: it may bring
/// mail for those of its domains that are ours, and do nothing else. Roles are not swapped again.
pub async fn serve_reversed(connection: Connection, context: Arc<Context>, peer: Arc<turn::Peer>) -> Served {
    match session::Session::reversed(connection, context, peer).run().await {
        Ended::Closed(served) | Ended::Swap(_, Turned { served, .. }) => served,
    }
}

/// What a client is told that gets no permit.
pub fn refusal(crowded: Crowded) -> &'static [u8] {
    match crowded {
        Crowded::Total => b"421 4.3.2 Too many connections, try again later\r\n",
        Crowded::Address | Crowded::Network => b"421 4.3.2 Too many connections from your address\r\n",
    }
}

/// What a client is told that comes while the server is not ready for it. RFC 5321 §3.8
pub fn refusal_early(why: &str) -> String {
    format!("421 4.3.2 {why}, try again later\r\n")
}
