use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Context, Live};
use crate::base::{Clock, DomainName, MessageIds, Networks, Random, limits};
use crate::directory::Authenticator;
use crate::dns::Resolver;
use crate::settings::Settings;
use crate::smtp::client::Patience;
use crate::store::Store;
use crate::tls::{ClientIdentity, Roots};
use crate::{delivery, intake, smtp, turn};

impl Context {
    /// What sessions need, for tests of the rooms above: nothing is delivered, and no peer can be reached.
    ///
    /// # Panics
    /// Never: the defaults fit.
    pub fn in_memory(
        store: &Store,
        clock: &Arc<dyn Clock>,
        random: &Arc<dyn Random>,
        authenticator: &Arc<Authenticator>,
    ) -> Self {
        let hostname = DomainName::parse("mail.example.test").expect("a domain name");
        let identity = ClientIdentity::unkept(&hostname);
        let (ids, stop) = (Arc::new(MessageIds::default()), CancellationToken::new());
        let outbound = intake::Outbound::of(&Settings::default(), hostname.clone(), ids.clone());
        let outbound = Arc::new(outbound.expect("the defaults fit"));
        let server = Arc::new(smtp::server::Context {
            store: store.clone(),
            authenticator: authenticator.clone(),
            clock: clock.clone(),
            ids,
            sessions: intake::Sessions::new(&**random),
            leases: turn::Leases::new(),
            flushes: turn::Flushes::new(),
            entropy: smtp::server::Entropy::new(random.clone()),
            hostname,
            outbound: outbound.clone(),
            tls: None,
            tls_asking: None,
            message_bytes_max: limits::MESSAGE_BYTES,
            recipients_max: limits::RECIPIENTS,
            evidence: None,
            vrfy: smtp::server::Vrfy::Known,
            idle: Duration::from_secs(1),
            refusal_delay: Duration::ZERO,
            stop: stop.clone(),
        });
        let moment = Duration::from_secs(1);
        let delivery = Arc::new(delivery::Context {
            store: store.clone(),
            clock: clock.clone(),
            random: random.clone(),
            resolver: Resolver::new(&["127.0.0.1:1".parse().expect("an address")], moment).expect("a resolver"),
            roots: Roots::public().expect("public CAs"),
            prover: None,
            fetch: None,
            outbound,
            allow_networks: Networks::default(),
            remote_port: 1,
            connections_max: 1,
            connections_per_destination_max: 1,
            messages_per_connection_max: 1,
            connect: moment,
            patience: Patience {
                greeting: moment,
                reply: moment,
                data: moment,
                block: moment,
                end: moment,
                turn: moment,
            },
            claims: delivery::Claims::default(),
            stop,
            state: delivery::State::default(),
        });
        Self { server, delivery, identity, live: Live::default() }
    }
}
