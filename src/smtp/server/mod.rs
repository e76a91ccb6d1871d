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
mod policy;
mod report;
mod session;
mod submission;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use crate::smtp::machine::Profile;
pub use context::Context;

use crate::net::{Connection, Crowded};

/// Runs a session from the greeting to the end. On listeners with TLS from the first byte, the handshake is done before.
pub async fn serve(connection: Connection, context: Arc<Context>, profile: Profile) {
    session::Session::new(connection, context, profile).run().await;
}

/// What a client is told that gets no permit.
pub fn refusal(crowded: Crowded) -> &'static [u8] {
    match crowded {
        Crowded::Total => b"421 4.3.2 Too many connections, try again later\r\n",
        Crowded::Address | Crowded::Network => b"421 4.3.2 Too many connections from your address\r\n",
    }
}
