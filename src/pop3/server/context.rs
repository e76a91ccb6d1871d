use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio_util::sync::CancellationToken;

use super::lease::Leases;
use crate::base::{Clock, MessageIds};
use crate::directory::Authenticator;
use crate::store::Store;

/// What all sessions share.
pub struct Context {
    /// The file.
    pub store: Store,
    /// Verifies passwords.
    pub authenticator: Arc<Authenticator>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Ids of logins that failed.
    pub ids: Arc<MessageIds>,
    /// The server's name, for the greeting.
    pub hostname: String,
    /// For STLS; `None` when there is no certificate.
    pub tls: Option<Arc<ServerConfig>>,
    /// Which accounts have a session. One for all listeners.
    pub leases: Leases,
    /// Ends every session before its next command.
    pub stop: CancellationToken,
    /// Whether a message that was sent whole counts as seen.
    pub retr_sets_seen: bool,
    /// How long a client may be silent.
    pub idle: Duration,
    /// How long the answer to a failed login, or to one error too many, is held back.
    pub refusal_delay: Duration,
}
