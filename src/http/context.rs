use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

use super::limiter::Limiter;
use super::live::Hub;
use super::once::InFlight;
use crate::backup::Backups;
use crate::base::{Clock, Random};
use crate::directory::Authenticator;
use crate::jobs::Jobs;
use crate::net::Listener;
use crate::settings::{self, Settings};
use crate::store::Store;
use crate::trace::Traffic;
use crate::{delivery, exchange};

/// What the handlers need.
pub struct Context {
    /// How often each caller may ask.
    pub limiter: Limiter,
    /// The file.
    pub store: Store,
    /// Hashes new passwords, under the bound that logins share.
    pub authenticator: Arc<Authenticator>,
    /// The settings, as gathered at start.
    pub settings: Arc<Settings>,
    /// The same as they are now, for what needs no restart.
    pub live: Arc<settings::Live>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Where secrets of new tokens and request ids come from.
    pub random: Arc<dyn Random>,
    /// The name that the server gives itself.
    pub hostname: String,
    /// Whether the whole server takes work; the same value that the wiring sets.
    pub readiness: Arc<Readiness>,
    /// The way out: what is being sent, and how bounces are made.
    pub delivery: Arc<delivery::Context>,
    /// Sessions with peers.
    pub exchange: Arc<exchange::Context>,
    /// Runs long work.
    pub jobs: Arc<Jobs>,
    /// The copies of the file.
    pub backups: Arc<Backups>,
    /// Cancelled when the server is to start again, with a file that was restored.
    pub restart: CancellationToken,
    /// What is being done for an `Idempotency-Key`.
    pub in_flight: InFlight,
    /// Where it comes together what happens.
    pub hub: Arc<Hub>,
    /// What came and went in each hour.
    pub traffic: Arc<Traffic>,
}

impl Context {
    /// Milliseconds after which a session ends in which nothing was done.
    pub(super) fn session_idle_ms(&self) -> u64 {
        self.settings.http_session_idle_seconds.saturating_mul(1000)
    }
}

/// How far the server has come: begins as starting, and is told when it is ready and when it stops.
#[derive(Debug, Default)]
pub struct Readiness {
    stage: AtomicU8,
    listeners: OnceLock<Vec<(Listener, SocketAddr)>>,
}

const STARTING: u8 = 0;
const READY: u8 = 1;
const STOPPING: u8 = 2;

impl Readiness {
    /// Says where the server listens, once.
    pub fn set_listeners(&self, bound: Vec<(Listener, SocketAddr)>) {
        let _ = self.listeners.set(bound);
    }

    /// Every listener is bound and served.
    pub fn set_ready(&self) {
        self.stage.store(READY, Ordering::SeqCst);
    }

    /// No new work is taken.
    pub fn set_stopping(&self) {
        self.stage.store(STOPPING, Ordering::SeqCst);
    }

    pub(super) fn listeners(&self) -> &[(Listener, SocketAddr)] {
        self.listeners.get().map_or(&[], Vec::as_slice)
    }

    pub(super) fn is_starting(&self) -> bool {
        self.stage.load(Ordering::SeqCst) == STARTING
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stage.load(Ordering::SeqCst) == STOPPING
    }
}
