//! TURN, ETRN and ATRN: the one room that runs a connection as server and as client.
//!
//! Floor F4c.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::base::SessionId;
use crate::delivery;
use crate::net::Connection;
use crate::smtp;
use crate::turn::Verb;

/// What the room needs. One for the whole server.
pub struct Context {
    /// The server's side of SMTP.
    pub server: Arc<smtp::server::Context>,
    /// The way out.
    pub delivery: Arc<delivery::Context>,
}

/// Why a session with a peer could not be begun.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotBegun {
    /// There is no such peer.
    #[error("there is no such peer")]
    Unknown,
    /// It is disabled, we may not dial it, it has no host, no login, or no domain for that verb: what to do.
    #[error("{0}")]
    Unfit(String),
    /// A session with it runs.
    #[error("a session with this peer runs already")]
    Busy,
    /// A fault of ours.
    #[error("{0}")]
    Broken(String),
}

/// Serves a connection of a listener that speaks SMTP, whatever roles are swapped in it.
pub async fn serve(connection: Connection, context: Arc<Context>, profile: smtp::server::Profile) {
    let _ = (connection, context, profile);
    todo!()
}

/// Dials a peer, sends it what waits for it, asks for a swap (`None`: the best of its verbs: ATRN, TURN, ETRN) and takes
/// its mail. `dry_run`: connects, logs in and looks. The caller names the session, so that it can be followed while it
/// runs; [`crate::turn::session`] finds under `id` what came of it, also where it did not end as
/// [`crate::turn::SessionState::Done`].
///
/// # Errors
/// [`NotBegun`].
pub async fn call(
    context: Arc<Context>,
    id: SessionId,
    peer: String,
    verb: Option<Verb>,
    dry_run: bool,
    cancel: CancellationToken,
) -> Result<(), NotBegun> {
    let _ = (context, id, peer, verb, dry_run, cancel);
    todo!()
}

/// Ends a session with a peer, whoever dialled, between two messages; whether there is one of that id.
pub fn abort(context: &Context, id: SessionId) -> bool {
    let _ = (context, id);
    todo!()
}

/// The dialogue so far of a session with a peer that runs: masked and cut as [`crate::turn::Session::transcript`] will be.
pub fn dialogue(context: &Context, id: SessionId) -> Option<String> {
    let _ = (context, id);
    todo!()
}
