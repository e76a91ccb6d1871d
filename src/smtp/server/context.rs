use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio_util::sync::CancellationToken;

use crate::base::{Clock, DomainName, MessageIds, Random, Secret};
use crate::directory::Authenticator;
use crate::dns::Evidence;
use crate::intake::{Outbound, Sessions};
use crate::sasl::Seeds;
use crate::smtp::machine::Vrfy;
use crate::store::Store;
use crate::turn::{Flushes, Leases};

/// Where a session gets from what nobody can foresee. One for the whole server.
// No Debug: it holds a key.
#[derive(Clone)]
pub struct Entropy {
    random: Arc<dyn Random>,
    salts: Secret<[u8; 32]>,
}

impl Entropy {
    /// From that randomness, with salts of its own.
    pub fn new(random: Arc<dyn Random>) -> Self {
        let salts = drawn(&*random);
        Self { random, salts }
    }

    /// What one session needs.
    pub(super) fn seeds(&self) -> Seeds {
        Seeds { nonces: drawn(&*self.random), salts: self.salts.clone() }
    }
}

fn drawn(random: &dyn Random) -> Secret<[u8; 32]> {
    let mut octets = Secret::new([0; 32]);
    random.fill(octets.expose_mut());
    octets
}

/// What all sessions share.
#[derive(Clone)]
pub struct Context {
    /// The file.
    pub store: Store,
    /// Verifies passwords.
    pub authenticator: Arc<Authenticator>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Where the ids of messages and of refused transactions come from. One for the whole server.
    pub ids: Arc<MessageIds>,
    /// The sessions that live, for the rule of the missed 250. One for the whole server.
    pub sessions: Sessions,
    /// Who swaps roles at the moment. One for the whole server.
    pub leases: Leases,
    /// What was released by ETRN of late. One for the whole server.
    pub flushes: Flushes,
    /// The server's name.
    pub hostname: DomainName,
    /// What the server knows of its way out.
    pub outbound: Arc<Outbound>,
    /// For STARTTLS; `None` when there is no certificate.
    pub tls: Option<Arc<ServerConfig>>,
    /// The same where a peer might log in by a certificate: the client is asked for one.
    pub tls_asking: Option<Arc<ServerConfig>>,
    /// Octets of the largest message.
    pub message_bytes_max: u64,
    /// Recipients of one message.
    pub recipients_max: usize,
    /// Says who strangers' messages are from; `None`: nobody asks.
    pub evidence: Option<Evidence>,
    /// What logins begin with in which the password itself is not sent.
    pub entropy: Entropy,
    /// What VRFY and EXPN tell whom.
    pub vrfy: Vrfy,
    /// How long a client may be silent.
    pub idle: Duration,
    /// How long a refusal is held back behind a soft limit.
    pub refusal_delay: Duration,
    /// Ends every session before its next command. Data that is being received is received to its end.
    pub stop: CancellationToken,
}
