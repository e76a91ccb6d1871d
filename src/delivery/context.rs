use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::anchor::{Anchor, due_spans};
use super::board::Urges;
use super::claims::Claims;
use super::sts::Failures;
use crate::base::{Clock, Networks, Random, Timestamp, limits};
use crate::dns::{Prover, Resolver};
use crate::fetch;
use crate::intake::Outbound;
use crate::queue::{Flush, Selector};
use crate::smtp::client::Patience;
use crate::store::{Store, WriteError};
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
    /// The DNS with its signatures verified; `None`: DANE is not looked for.
    pub prover: Option<Prover>,
    /// The CAs whose word counts where a server's certificate is verified.
    pub roots: Roots,
    /// Fetches the MTA-STS policies of other domains; `None`: they are not looked for.
    pub fetch: Option<fetch::Client>,
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
    /// What changes while it runs: begin with the default.
    pub state: State,
}

/// What changes while the server runs.
#[derive(Debug, Default)]
pub struct State {
    anchor: Mutex<Option<Anchor>>,
    listeners: OnceLock<Vec<SocketAddr>>,
    pub(super) wake: Notify,
    pub(super) urges: Urges,
    /// MTA-STS policies that can't be fetched at the moment.
    pub(super) sts_failures: Failures,
    /// What sessions show of TLS is noted, for reports.
    notes_tls: AtomicBool,
}

impl State {
    /// Where we take mail: no mail for others is sent there. Once known, it stays.
    pub(super) fn listeners(&self) -> &[SocketAddr] {
        self.listeners.get().map_or(&[], Vec::as_slice)
    }

    pub(super) fn notes_tls(&self) -> bool {
        self.notes_tls.load(Ordering::Acquire)
    }

    fn anchor(&self) -> MutexGuard<'_, Option<Anchor>> {
        self.anchor.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Context {
    /// Says where this server takes mail from other servers, every address of its own, once: mail that the DNS sends
    /// there is in a loop.
    pub fn listens_at(&self, addresses: Vec<SocketAddr>) {
        let _ = self.state.listeners.set(addresses);
    }

    /// Says whether what sessions show of TLS is noted: begins with no.
    pub fn set_notes_tls(&self, notes: bool) {
        self.state.notes_tls.store(notes, Ordering::Release);
    }

    /// Looks at the whole schedule now.
    pub fn wake(&self) {
        self.state.wake.notify_one();
    }

    /// Makes all mail that the selector names due, and tries it now, also where nobody could be reached a moment ago.
    /// Gives how many entries.
    ///
    /// # Errors
    /// As [`Store::write`]: what was made due before stays so.
    pub async fn flush(&self, selector: Selector, actor: &str) -> Result<u64, WriteError<Infallible>> {
        self.urge();
        let (mut count, mut after) = (0, None);
        loop {
            let (limit, actor) = (limits::QUEUE_SLICE, actor.to_owned());
            let flush = Flush { selector: selector.clone(), after, limit, actor, at: self.clock.now() };
            let flushed = self.store.write(flush).await?.into_inner();
            count += flushed.count;
            after = flushed.next;
            if after.is_none() {
                break;
            }
        }
        self.wake();
        Ok(count)
    }

    /// An operator makes mail due: destinations that could not be reached are tried again, now. To be said before it is
    /// due: what is for a destination in trouble is postponed at once.
    pub fn urge(&self) {
        self.state.urges.add();
        self.wake();
    }

    /// What time it is by the schedule: as the wall clock, but what a jump of that has passed over is not due by it.
    pub fn now(&self) -> Timestamp {
        let mut anchor = self.state.anchor();
        anchor.get_or_insert_with(|| Anchor::new(&*self.clock)).now(&*self.clock)
    }

    /// What is due: now, and the stretches of the schedule up to it.
    pub(super) fn due(&self) -> (Timestamp, Vec<(Timestamp, Timestamp)>) {
        let mut anchor = self.state.anchor();
        let anchor = anchor.get_or_insert_with(|| Anchor::new(&*self.clock));
        let now = anchor.now(&*self.clock);
        (now, due_spans(now, anchor.gaps()))
    }

    /// Whether the wall clock was set back since this was last asked: what was stamped before is to be recalled.
    pub(super) fn take_back(&self) -> bool {
        let mut anchor = self.state.anchor();
        let anchor = anchor.get_or_insert_with(|| Anchor::new(&*self.clock));
        anchor.now(&*self.clock);
        anchor.take_back()
    }

    /// For the time of a next attempt: 0..=2000, as [`crate::queue::Policy::next`] takes it.
    pub(super) fn jitter(&self) -> u32 {
        u32::try_from(self.random.next_u64() % 2001).unwrap_or(1000)
    }
}
