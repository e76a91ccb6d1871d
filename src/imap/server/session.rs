use std::sync::Arc;

use super::context::{Context, User};
use super::selected::Selected;
use crate::net::{Connection, Crowded};

/// Where a session stands.
pub(super) enum State {
    NotAuthenticated,
    Authenticated(User),
    Selected(User, Box<Selected>),
}

/// What a client is told that gets no permit.
pub fn refusal(crowded: Crowded) -> &'static [u8] {
    match crowded {
        Crowded::Total => b"* BYE [UNAVAILABLE] too many connections, try again later\r\n",
        Crowded::Address | Crowded::Network => b"* BYE [LIMIT] too many connections from your address\r\n",
    }
}

/// Runs a session from the greeting to the end. On listeners with TLS from the first byte, the handshake is done before.
pub async fn serve(connection: Connection, context: Arc<Context>) {
    let _ = (connection, context, State::NotAuthenticated);
    todo!()
}
