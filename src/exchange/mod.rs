//! TURN, ETRN and ATRN: the one room that runs a connection as server and as client.
//!
//! Floor F4c. A session that a peer begins comes from a listener: [`serve`] runs it, and when the roles are swapped sends
//! over the same connection what waits for the peer. A session that we begin is a [`call`]: it sends first, asks for the
//! swap, and serves the peer on the connection that it has dialled. Nothing is taken from the queue by either: what is
//! sent is settled message by message, so that a session may break at any moment.

mod answer;
mod call;
mod courier;
mod journal;
#[cfg(test)]
mod memory;
mod schedule;
#[cfg(test)]
mod tests;
mod words;
mod work;

use std::sync::Arc;

pub use journal::{Live, Spoken};
pub use schedule::Schedule;
pub use work::{order, work};

use crate::base::SessionId;
use crate::net::Connection;
use crate::tls::ClientIdentity;
use crate::turn::Verb;
use crate::{delivery, smtp};

/// What the room needs. One for the whole server.
pub struct Context {
    /// The server's side of SMTP.
    pub server: Arc<smtp::server::Context>,
    /// The way out.
    pub delivery: Arc<delivery::Context>,
    /// What we show where we dial a peer that knows us by a certificate.
    pub identity: ClientIdentity,
    /// The sessions that run: begin with the default.
    pub live: Live,
}

/// A session with a peer that we are to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Its id, under which [`crate::turn::session`] finds it from the beginning.
    pub session: SessionId,
    /// The peer.
    pub peer: String,
    /// What is asked for; `None`: the best of its verbs: ATRN, TURN, ETRN.
    pub verb: Option<Verb>,
    /// Connects, logs in, looks, and leaves.
    pub dry_run: bool,
}

/// Why a session with a peer could not be begun.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotBegun {
    /// There is no such peer.
    #[error("there is no such peer")]
    Unknown,
    /// It is disabled, we may not dial it, or it has no domain for that verb: what to do.
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
    match smtp::server::serve(connection, Arc::clone(&context.server), profile).await {
        smtp::server::Ended::Closed(_) => {}
        smtp::server::Ended::Swap(connection, turned) => answer::answer(*connection, turned, &context).await,
    }
}

/// Whether a call could be begun now: the same errors, before there is a job for it.
///
/// # Errors
/// [`NotBegun`].
pub fn check(context: &Context, peer: &str, verb: Option<Verb>) -> Result<(), NotBegun> {
    call::fit(context, peer, verb).map(drop)
}

/// The dialogue of a session that runs, so far; `None` when it does not run.
pub fn dialogue(context: &Context, session: SessionId) -> Option<String> {
    context.live.dialogue(session)
}

/// Ends a session that runs, between two messages; whether there was one.
pub fn abort(context: &Context, session: SessionId) -> bool {
    context.live.abort(session)
}
