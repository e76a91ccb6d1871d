use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::Clock as _;
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::base::{Clock, Network, Networks, Timestamp, limits};
use crate::settings::Settings;

/// Bits of the network that counts as one address: a /64 is what one customer has.
const IPV6_BITS: u8 = 64;
const IPV4_BITS: u8 = 32;
/// The window of every quota.
const WINDOW: Duration = Duration::from_secs(60);
/// Milliseconds within which a full table is not swept again.
const SWEEP_MS: u64 = 1000;

/// How often somebody may ask. In memory, and bounded: what comes beyond [`limits::LIMITER_KEYS`] callers of a kind
/// shares one rate.
pub struct Limiter {
    requests: Rate<[u8; 16]>,
    addresses: Rate<Network>,
    accounts: Rate<[u8; 16]>,
    /// Of those in `known`: however many strangers there are, they don't share a rate with them.
    friends: Rate<([u8; 16], Network)>,
    /// Where somebody has logged in from who knew the password: an attack from elsewhere does not keep them out.
    known: Mutex<HashMap<([u8; 16], Network), Timestamp>>,
    exempt: Networks,
    clock: Arc<dyn Clock>,
}

/// What is left of a caller's rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Left {
    /// Requests in a minute.
    pub quota: u32,
    /// Requests that may be sent at once.
    pub remaining: u32,
    /// Seconds until all of them may be sent again.
    pub reset_s: u64,
}

/// Too often: come back after so many seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooOften {
    /// Seconds, at least 1.
    pub retry_after_s: u64,
    /// Requests in a minute.
    pub quota: u32,
}

impl Limiter {
    /// With the rates of the settings.
    pub fn new(settings: &Settings, clock: Arc<dyn Clock>) -> Self {
        let requests = u32::try_from(settings.http_requests_per_minute).unwrap_or(u32::MAX);
        Self {
            requests: Rate::new(requests, &clock),
            addresses: Rate::new(limits::HTTP_LOGINS_PER_ADDRESS, &clock),
            accounts: Rate::new(limits::HTTP_LOGINS_PER_ACCOUNT, &clock),
            friends: Rate::new(limits::HTTP_LOGINS_PER_ADDRESS, &clock),
            known: Mutex::default(),
            exempt: settings.limits_exempt_networks.clone(),
            clock,
        }
    }

    /// One request of a caller, named by anything that is its own.
    ///
    /// # Errors
    /// [`TooOften`].
    pub(super) fn request(&self, caller: &[u8]) -> Result<Left, TooOften> {
        self.requests.take(print(caller))
    }

    /// Somebody at that address has shown something that proves nothing, or wants to try.
    ///
    /// # Errors
    /// [`TooOften`].
    pub(super) fn attempt(&self, ip: Option<IpAddr>) -> Result<(), TooOften> {
        match ip.filter(|ip| !self.exempt.contains(*ip)) {
            Some(ip) => self.addresses.take(network_of(ip)).map(drop),
            None => Ok(()),
        }
    }

    /// Somebody wants to log in to an account, which may not be there: that is not looked at.
    ///
    /// # Errors
    /// [`TooOften`].
    pub(super) fn login(&self, ip: Option<IpAddr>, account: &str) -> Result<(), TooOften> {
        let account = print(account.as_bytes());
        // Behind an exempt address, as that of a proxy on this machine, anybody may be.
        let friend = ip.filter(|ip| !self.exempt.contains(*ip)).map(|ip| (account, network_of(ip)));
        if let Some(friend) = friend.filter(|friend| self.known().contains_key(friend)) {
            return self.friends.take(friend).map(drop);
        }
        self.attempt(ip)?;
        self.accounts.take(account).map(drop)
    }

    /// They knew the password.
    pub(super) fn logged_in(&self, ip: Option<IpAddr>, account: &str) {
        let Some(ip) = ip else { return };
        let mut known = self.known();
        if known.len() >= limits::LIMITER_KEYS
            && let Some(oldest) = known.iter().min_by_key(|(_, at)| **at).map(|(key, _)| *key)
        {
            known.remove(&oldest);
        }
        known.insert((print(account.as_bytes()), network_of(ip)), self.clock.now());
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<([u8; 16], Network), Timestamp>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn network_of(ip: IpAddr) -> Network {
    let ip = ip.to_canonical();
    Network::around(ip, if ip.is_ipv4() { IPV4_BITS } else { IPV6_BITS })
}

/// A name of any length in a few octets.
fn print(name: &[u8]) -> [u8; 16] {
    let mut print = [0; 16];
    print.copy_from_slice(&blake3::hash(name).as_bytes()[..16]);
    print
}

/// The server's clock as governor reads it.
#[derive(Clone)]
struct Monotonic(Arc<dyn Clock>);

impl governor::clock::Clock for Monotonic {
    type Instant = Duration;

    fn now(&self) -> Duration {
        Duration::from_millis(self.0.monotonic_ms())
    }
}

type Buckets<K> = RateLimiter<Option<K>, HashMapStateStore<Option<K>>, Monotonic, StateInformationMiddleware>;

/// The same quota for each key; those that find no place share the key `None`.
struct Rate<K: Hash + Eq + Clone> {
    buckets: Buckets<K>,
    quota: u32,
    clock: Monotonic,
    swept_ms: AtomicU64,
}

impl<K: Hash + Eq + Clone> Rate<K> {
    fn new(quota: u32, clock: &Arc<dyn Clock>) -> Self {
        let clock = Monotonic(Arc::clone(clock));
        let quota = NonZeroU32::new(quota).unwrap_or(NonZeroU32::MIN);
        let per_minute = Quota::per_minute(quota);
        let buckets = RateLimiter::new(per_minute, HashMapStateStore::default(), clock.clone());
        Self { buckets, quota: quota.get(), clock, swept_ms: AtomicU64::new(0) }
    }

    fn take(&self, key: K) -> Result<Left, TooOften> {
        let key = if self.has_room() { Some(key) } else { None };
        match self.buckets.check_key(&key) {
            Ok(state) => {
                let remaining = state.remaining_burst_capacity();
                let used_ms = u64::from(self.quota.saturating_sub(remaining)) * WINDOW.as_millis() as u64;
                let reset_s = (used_ms / u64::from(self.quota)).div_ceil(1000);
                Ok(Left { quota: self.quota, remaining, reset_s })
            }
            Err(until) => {
                let wait_ms = until.wait_time_from(self.clock.now()).as_millis() as u64;
                Err(TooOften { retry_after_s: wait_ms.div_ceil(1000).max(1), quota: self.quota })
            }
        }
    }

    /// Whether there is place for one more; those whose rate is whole again are forgotten to make some.
    fn has_room(&self) -> bool {
        if self.buckets.len() < limits::LIMITER_KEYS {
            return true;
        }
        let now_ms = self.clock.0.monotonic_ms();
        if now_ms.saturating_sub(self.swept_ms.swap(now_ms, Ordering::Relaxed)) >= SWEEP_MS {
            self.buckets.retain_recent();
            self.buckets.shrink_to_fit();
        }
        self.buckets.len() < limits::LIMITER_KEYS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::TurnedClock;

    fn limiter() -> (Limiter, Arc<TurnedClock>) {
        let clock = Arc::new(TurnedClock::new(Timestamp(1_000_000)));
        let settings = Settings::gather(&[], "", &["http.requests_per_minute=6".into()]).expect("settings");
        clock.advance_ms(10_000);
        (Limiter::new(&settings, clock.clone()), clock)
    }

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().expect("an address"))
    }

    #[test]
    fn a_caller_has_its_own_rate() {
        let (limiter, clock) = limiter();
        for remaining in (0..6).rev() {
            let left = limiter.request(b"one").expect("there is some left");
            assert_eq!((left.quota, left.remaining, left.reset_s), (6, remaining, u64::from(6 - remaining) * 10));
        }
        assert_eq!(limiter.request(b"one"), Err(TooOften { retry_after_s: 10, quota: 6 }));
        assert!(limiter.request(b"two").is_ok());
        clock.advance_ms(9_500);
        assert_eq!(limiter.request(b"one"), Err(TooOften { retry_after_s: 1, quota: 6 }));
        clock.advance_ms(500);
        assert_eq!(limiter.request(b"one").map(|left| left.remaining), Ok(0));
    }

    #[test]
    fn an_address_counts_as_its_network() {
        let (limiter, clock) = limiter();
        for host in 0..limits::HTTP_LOGINS_PER_ADDRESS {
            assert!(limiter.attempt(ip(&format!("2001:db8::{host:x}"))).is_ok());
        }
        assert!(limiter.attempt(ip("2001:db8::ffff")).is_err());
        assert!(limiter.attempt(ip("2001:db8:0:1::1")).is_ok());
        for _ in 0..100 {
            assert!(limiter.attempt(ip("127.0.0.1")).is_ok(), "it is exempt");
            assert!(limiter.attempt(ip("::ffff:127.0.0.1")).is_ok());
            assert!(limiter.attempt(None).is_ok());
        }
        clock.advance_ms(60_000);
        assert!(limiter.attempt(ip("2001:db8::ffff")).is_ok());
    }

    #[test]
    fn an_attack_from_elsewhere_keeps_nobody_out() {
        let (limiter, _) = limiter();
        limiter.logged_in(ip("192.0.2.1"), "a@x.test");
        let tries = (0..=limits::HTTP_LOGINS_PER_ACCOUNT)
            .map(|host| limiter.login(ip(&format!("198.51.100.{host}")), "a@x.test"));
        assert!(tries.collect::<Vec<_>>().last().is_some_and(Result::is_err));
        assert!(limiter.login(ip("192.0.2.1"), "a@x.test").is_ok());
        assert!(limiter.login(ip("192.0.2.1"), "b@x.test").is_ok());
        assert!(limiter.login(ip("192.0.2.9"), "a@x.test").is_err());
    }

    #[test]
    fn an_attack_from_everywhere_keeps_nobody_out_who_was_here_before() {
        let (limiter, clock) = limiter();
        limiter.logged_in(ip("192.0.2.1"), "a@x.test");
        for network in 0..2 * limits::LIMITER_KEYS {
            let _ = limiter.login(ip(&format!("2001:db8:{:x}:{:x}::1", network >> 8, network & 0xff)), "b@x.test");
        }
        assert!(limiter.login(ip("192.0.2.9"), "c@x.test").is_err(), "a stranger is not let in");
        for _ in 0..limits::HTTP_LOGINS_PER_ADDRESS {
            assert!(limiter.login(ip("192.0.2.1"), "a@x.test").is_ok());
        }
        assert!(limiter.login(ip("192.0.2.1"), "a@x.test").is_err(), "nor may they guess for ever");
        clock.advance_ms(61_000);
        assert!(limiter.login(ip("192.0.2.1"), "a@x.test").is_ok());
    }

    #[test]
    fn memory_is_bounded() {
        let (limiter, clock) = limiter();
        for number in 0..2 * limits::LIMITER_KEYS as u64 {
            let _ = limiter.request(&number.to_be_bytes());
        }
        assert!(limiter.requests.buckets.len() <= limits::LIMITER_KEYS + 1);
        assert!(limiter.request(b"a new one").is_err(), "those beyond share one rate");
        clock.advance_ms(61_000);
        assert!(limiter.request(b"a new one").is_ok());
        assert!(limiter.requests.buckets.len() < 10);
    }
}
