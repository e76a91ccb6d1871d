use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio_util::sync::CancellationToken;

use super::view::Views;
use crate::base::{AccountId, Address, Clock, MessageIds};
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
    /// Ids of messages that APPEND brings.
    pub ids: Arc<MessageIds>,
    /// The server's name, for the greeting.
    pub hostname: String,
    /// For STARTTLS; `None` when there is no certificate.
    pub tls: Option<Arc<ServerConfig>>,
    /// The mailboxes that sessions have open. One for all listeners.
    pub views: Views,
    /// Ends every session before its next command.
    pub stop: CancellationToken,
    /// How long a client may be silent.
    pub idle: Duration,
    /// How long a client that idles is left without a line.
    pub keepalive: Duration,
    /// How long the answer to a failed login, or to one error too many, is held back.
    pub refusal_delay: Duration,
    /// Octets of the largest message that APPEND takes.
    pub message_bytes_max: u64,
    /// Capabilities that are not announced and not used, in upper case.
    pub capabilities_disabled: Vec<String>,
}

/// Who has logged in.
#[derive(Debug, Clone)]
pub(super) struct User {
    pub(super) account: AccountId,
    pub(super) login: Address,
}

impl User {
    /// For the trace, as in `imap alice@example.test`.
    pub(super) fn actor(&self) -> String {
        format!("imap {}", self.login)
    }
}

/// What the client has switched on for the session. RFC 5161
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Enabled {
    /// CONDSTORE, by ENABLE or by the first command that needs it (RFC 7162 §3.1): MODSEQ is sent with every FETCH.
    pub(super) condstore: bool,
    /// UTF8=ACCEPT (RFC 6855)
    pub(super) utf8: bool,
}
