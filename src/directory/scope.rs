use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! scopes {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal;)*) => {
        /// What an API token may do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Scope {
            $($(#[doc = $doc])+ $name,)*
        }

        impl Scope {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its name in the interface.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

scopes! {
    /// See domains, DNS records and DKIM keys.
    DomainsRead = "domains:read";
    /// Change them.
    DomainsWrite = "domains:write";
    /// See accounts, aliases, mailboxes and app passwords.
    AccountsRead = "accounts:read";
    /// Change them.
    AccountsWrite = "accounts:write";
    /// See the queue, routes, lists and suppressions.
    QueueRead = "queue:read";
    /// Change them.
    QueueWrite = "queue:write";
    /// See TURN peers and sessions.
    TurnRead = "turn:read";
    /// Change them.
    TurnWrite = "turn:write";
    /// See what happened to messages.
    TraceRead = "trace:read";
    /// Send messages.
    MessagesSend = "messages:send";
    /// See what messages hold.
    MessagesRead = "messages:read";
    /// Change and remove messages.
    MessagesWrite = "messages:write";
    /// Apply a desired state.
    StateWrite = "state:write";
    /// Fetch backups.
    BackupRead = "backup:read";
    /// Restore backups.
    RestoreWrite = "restore:write";
    /// See settings, alerts, maintenance and the log filter.
    SettingsRead = "settings:read";
    /// Change them.
    SettingsWrite = "settings:write";
    /// See certificates.
    CertsRead = "certs:read";
    /// Change them.
    CertsWrite = "certs:write";
    /// See webhooks.
    WebhooksRead = "webhooks:read";
    /// Change them.
    WebhooksWrite = "webhooks:write";
    /// See, create and delete tokens.
    TokensWrite = "tokens:write";
    /// See sessions and blocks.
    SessionsRead = "sessions:read";
    /// End sessions, change blocks.
    SessionsWrite = "sessions:write";
    /// See jobs.
    JobsRead = "jobs:read";
    /// Start and cancel jobs.
    JobsWrite = "jobs:write";
    /// See who changed what.
    AuditRead = "audit:read";
    /// Follow events and logs.
    EventsRead = "events:read";
    /// Read metrics.
    MetricsRead = "metrics:read";
    /// Everything.
    Admin = "admin";
}

/// Not a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a scope of this interface")]
pub struct ScopeError;

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = ScopeError;
    fn from_str(text: &str) -> Result<Self, ScopeError> {
        Self::ALL.iter().copied().find(|scope| scope.as_str() == text).ok_or(ScopeError)
    }
}
