//! The way out: finds out what is due and where it goes, keeps connections within their limits, hands messages to the
//! SMTP client, and settles what comes of them. Also the courier of swapped sessions.
//!
//! Floor F4c.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::base::{Clock, DomainName, Networks, QueueId, Random};
use crate::dns::Resolver;
use crate::intake::Outbound;
use crate::smtp::client::{Courier, Mail, NotOpened, Patience};
use crate::store::Store;
use crate::tls::Roots;

/// What delivery needs. One for the whole server.
pub struct Context {
    /// The file.
    pub store: Store,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// For the order of equal MX records and the jitter of the schedule.
    pub random: Arc<dyn Random>,
    /// The DNS.
    pub resolver: Resolver,
    /// The CAs whose word counts where a server's certificate is verified.
    pub roots: Roots,
    /// The server's name, and how long mail is tried.
    pub outbound: Arc<Outbound>,
    /// `delivery.allow_networks`: of addresses that are not global, those that may be dialled all the same.
    pub allow_networks: Networks,
    /// `--remote-port`: where the servers of the DNS listen: 25.
    pub remote_port: u16,
    /// Connections at a time.
    pub connections_max: usize,
    /// Connections to one destination at a time.
    pub connections_per_destination_max: usize,
    /// Messages over one connection.
    pub messages_per_connection_max: usize,
    /// How long a connection may take to be made.
    pub connect: Duration,
    /// How long the other side may take.
    pub patience: Patience,
    /// Entries that somebody is about to send: nobody else picks them.
    pub claims: Claims,
    /// Ends all sessions between two messages.
    pub stop: CancellationToken,
}

/// Entries that somebody is about to send. In memory alone: a crash forgets them, and the open attempts in the file
/// say what may have been sent.
#[derive(Debug, Clone, Default)]
pub struct Claims {
    _private: (),
}

impl Claims {
    /// Whether somebody is about to send it.
    pub fn has(&self, id: QueueId) -> bool {
        let _ = id;
        todo!()
    }
}

/// Delivers until `context.stop` is cancelled, and then until the sessions have ended.
pub async fn run(context: Arc<Context>) {
    let _ = context;
    todo!()
}

/// The mail that waits for some domains, for a session with a peer: what the schedule says is passed over, what is held
/// by an operator is not sent.
pub struct PeerCourier {
    _private: (),
}

impl PeerCourier {
    /// A courier for what waits for `domains`. `actor` is for the trace, as in `atrn branch`.
    pub fn new(context: Arc<Context>, domains: Vec<DomainName>, actor: String) -> Self {
        let _ = (context, domains, actor);
        todo!()
    }

    /// Whether anything waits.
    pub fn has_mail(context: &Context, domains: &[DomainName]) -> Result<bool, crate::store::StoreError> {
        let _ = (context, domains);
        todo!()
    }
}

impl Courier for PeerCourier {
    async fn next(&mut self) -> Option<Mail> {
        todo!()
    }

    async fn open(&mut self, recipients: &[QueueId]) -> Result<(), NotOpened> {
        let _ = recipients;
        todo!()
    }

    async fn settle(&mut self, outcomes: Vec<crate::queue::Outcome>) {
        let _ = outcomes;
        todo!()
    }
}
