use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::context::{Context, Readiness};
use super::limiter::Limiter;
use super::live::Hub;
use super::once::InFlight;
use crate::backup::Backups;
use crate::base::{Clock, Random};
use crate::directory::Authenticator;
use crate::exchange;
use crate::jobs::Jobs;
use crate::settings::{self, Settings};
use crate::store::Store;
use crate::trace::Traffic;

impl Context {
    /// What the handlers need, for tests: nothing is delivered, and no peer can be reached.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub fn in_memory(store: Store, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        let authenticator = Arc::new(Authenticator::new(store.clone(), clock.clone(), random.clone()));
        let exchange = Arc::new(exchange::Context::in_memory(&store, &clock, &random, &authenticator));
        let server = &exchange.server;
        let hub = Hub::new(&store, clock.clone(), Duration::from_millis(50));
        hub.listen(&exchange.live);
        let traffic = Traffic::open(&store).expect("a store in memory can be read");
        Self {
            backups: Arc::new(Backups::beside(None, store.clone())),
            restart: CancellationToken::new(),
            jobs: Jobs::new(store.clone(), clock.clone(), server.ids.clone()),
            limiter: Limiter::new(&Settings::default(), clock.clone()),
            store,
            authenticator,
            settings: Arc::new(Settings::default()),
            live: Arc::new(settings::Live::default()),
            clock,
            random,
            hostname: server.hostname.to_string(),
            readiness: Arc::new(Readiness::default()),
            delivery: exchange.delivery.clone(),
            exchange,
            in_flight: InFlight::default(),
            hub,
            traffic,
        }
    }
}
