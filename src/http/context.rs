use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use super::live::Hub;
use crate::base::{Clock, Random};
use crate::directory::Authenticator;
use crate::jobs::Jobs;
use crate::settings::{self, Settings};
use crate::store::Store;
use crate::{delivery, exchange};

/// What the handlers need.
pub struct Context {
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
    /// Where it comes together what happens.
    pub hub: Arc<Hub>,
}

/// How far the server has come: begins as starting, and is told when it is ready and when it stops.
#[derive(Debug, Default)]
pub struct Readiness(AtomicU8);

const STARTING: u8 = 0;
const READY: u8 = 1;
const STOPPING: u8 = 2;

impl Readiness {
    /// Every listener is bound and served.
    pub fn set_ready(&self) {
        self.0.store(READY, Ordering::SeqCst);
    }

    /// No new work is taken.
    pub fn set_stopping(&self) {
        self.0.store(STOPPING, Ordering::SeqCst);
    }

    pub(super) fn is_starting(&self) -> bool {
        self.0.load(Ordering::SeqCst) == STARTING
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.0.load(Ordering::SeqCst) == STOPPING
    }
}
