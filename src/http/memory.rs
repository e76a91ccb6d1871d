use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::context::{Context, Readiness};
use crate::base::{Clock, DomainName, MessageIds, Networks, Random, limits};
use crate::directory::Authenticator;
use crate::dns::Resolver;
use crate::jobs::Jobs;
use crate::settings::Settings;
use crate::smtp::client::Patience;
use crate::store::Store;
use crate::tls::Roots;
use crate::{delivery, exchange, intake, smtp, turn};

impl Context {
    /// What the handlers need, for tests: nothing is delivered, and no peer can be reached.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub fn in_memory(store: Store, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        let settings = Arc::new(Settings::default());
        let hostname = DomainName::parse("mail.example.test").expect("a domain name");
        let (ids, stop) = (Arc::new(MessageIds::default()), CancellationToken::new());
        let authenticator = Arc::new(Authenticator::new(store.clone(), clock.clone(), random.clone()));
        let outbound = intake::Outbound::of(&settings, hostname.clone(), ids.clone()).expect("the defaults fit");
        let outbound = Arc::new(outbound);
        let server = Arc::new(smtp::server::Context {
            store: store.clone(),
            authenticator: authenticator.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
            sessions: intake::Sessions::new(&*random),
            leases: turn::Leases::new(),
            flushes: turn::Flushes::new(),
            hostname: hostname.clone(),
            outbound: outbound.clone(),
            tls: None,
            message_bytes_max: limits::MESSAGE_BYTES,
            recipients_max: limits::RECIPIENTS,
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
        let exchange = exchange::Context { server, delivery: delivery.clone(), live: exchange::Live::default() };
        let readiness = Arc::new(Readiness::default());
        Self {
            jobs: Jobs::new(store.clone(), clock.clone(), ids),
            store,
            authenticator,
            settings,
            clock,
            random,
            hostname: hostname.to_string(),
            readiness,
            delivery,
            exchange: Arc::new(exchange),
        }
    }
}
