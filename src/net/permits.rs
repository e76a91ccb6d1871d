use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::base::limits;
use crate::base::{Network, Networks};

/// Bits of the network that [`PermitLimits::per_network`] counts: a /24, or a /64, which one customer has.
const IPV4_NETWORK_BITS: u8 = 24;
const IPV6_NETWORK_BITS: u8 = 64;

/// How many connections there may be at a time.
#[derive(Debug, Clone)]
pub struct PermitLimits {
    /// In all.
    pub total: usize,
    /// Of one address.
    pub per_address: usize,
    /// Of one /24 or /64.
    pub per_network: usize,
    /// Networks that count only in the total.
    pub exempt: Networks,
}

impl Default for PermitLimits {
    fn default() -> Self {
        Self {
            total: limits::CONNECTIONS_TOTAL,
            per_address: limits::CONNECTIONS_PER_ADDRESS,
            per_network: limits::CONNECTIONS_PER_NETWORK,
            exempt: Networks::loopback(),
        }
    }
}

/// Why there was no permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crowded {
    /// The server has all the connections that it takes.
    Total,
    /// The address has.
    Address,
    /// The address's network has.
    Network,
}

/// Counts the connections. Cheap to clone: all clones count together.
#[derive(Debug, Clone)]
pub struct Permits(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limits: PermitLimits,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    total: usize,
    addresses: HashMap<IpAddr, usize>,
    networks: HashMap<Network, usize>,
}

/// One connection's place; given back when it is dropped.
#[derive(Debug)]
pub struct Permit {
    permits: Permits,
    /// What it counts against, until the client has shown who it is.
    counted: Option<(IpAddr, Network)>,
}

impl Permits {
    /// No connections yet.
    pub fn new(limits: PermitLimits) -> Self {
        Self(Arc::new(Inner { limits, counts: Mutex::default() }))
    }

    /// A place for a connection from `address`.
    ///
    /// # Errors
    /// [`Crowded`]: which limit is reached.
    pub fn acquire(&self, address: IpAddr) -> Result<Permit, Crowded> {
        let address = address.to_canonical();
        let limits = &self.0.limits;
        let mut counts = self.counts();
        if counts.total >= limits.total {
            return Err(Crowded::Total);
        }
        let counted = (!limits.exempt.contains(address)).then(|| (address, network_of(address)));
        if let Some((address, network)) = counted {
            if counts.addresses.get(&address).is_some_and(|count| *count >= limits.per_address) {
                return Err(Crowded::Address);
            }
            if counts.networks.get(&network).is_some_and(|count| *count >= limits.per_network) {
                return Err(Crowded::Network);
            }
            *counts.addresses.entry(address).or_default() += 1;
            *counts.networks.entry(network).or_default() += 1;
        }
        counts.total += 1;
        Ok(Permit { permits: self.clone(), counted })
    }

    /// Connections at the moment.
    pub fn in_use(&self) -> usize {
        self.counts().total
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// The client has authenticated: from now on it counts only in the total.
    pub fn exempt(&mut self) {
        if let Some((address, network)) = self.counted.take() {
            let mut counts = self.permits.counts();
            give_back(&mut counts.addresses, address);
            give_back(&mut counts.networks, network);
        }
    }
}

impl Permit {
    /// How long a client that has not authenticated may be silent now: `idle`, or less when the server is nearly full.
    pub fn patience(&self, idle: Duration) -> Duration {
        let percent = self.permits.in_use().saturating_mul(100) / self.permits.0.limits.total.max(1);
        let most = match percent {
            limits::STRESS_PERCENT.. => Duration::from_secs(limits::STRESSED_IDLE_S),
            limits::PRESSURE_PERCENT.. => Duration::from_secs(limits::PRESSED_IDLE_S),
            _ => idle,
        };
        idle.min(most)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.exempt();
        self.permits.counts().total -= 1;
    }
}

fn network_of(address: IpAddr) -> Network {
    Network::around(address, if address.is_ipv4() { IPV4_NETWORK_BITS } else { IPV6_NETWORK_BITS })
}

/// Counts one off, and forgets who has none left: the maps hold only who is connected.
fn give_back<K: Hash + Eq>(counts: &mut HashMap<K, usize>, key: K) {
    if let Entry::Occupied(mut entry) = counts.entry(key) {
        *entry.get_mut() -= 1;
        if *entry.get() == 0 {
            entry.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permits(total: usize, per_address: usize, per_network: usize) -> Permits {
        Permits::new(PermitLimits { total, per_address, per_network, exempt: Networks::loopback() })
    }

    /// Takes a permit for each address in turn and keeps it.
    fn check(permits: &Permits, steps: &[(&str, Result<(), Crowded>)]) {
        let mut held = Vec::new();
        for (address, expected) in steps {
            let permit = permits.acquire(address.parse().unwrap());
            assert_eq!(permit.as_ref().map(|_| ()).map_err(|crowded| *crowded), *expected, "{address}");
            held.extend(permit);
        }
        assert_eq!(permits.in_use(), held.len());
        drop(held);
        assert_eq!(permits.in_use(), 0);
        let counts = permits.counts();
        assert!(counts.addresses.is_empty() && counts.networks.is_empty());
    }

    #[test]
    fn each_limit_holds_and_is_given_back() {
        let by_address = [("192.0.2.1", Ok(())), ("192.0.2.1", Ok(())), ("192.0.2.1", Err(Crowded::Address))];
        check(&permits(10, 2, 3), &by_address);
        check(
            &permits(10, 2, 3),
            &[("192.0.2.1", Ok(())), ("::ffff:192.0.2.1", Ok(())), ("192.0.2.1", Err(Crowded::Address))],
        );
        let by_network = [
            ("2001:db8::1", Ok(())),
            ("2001:db8::2", Ok(())),
            ("2001:db8::3", Ok(())),
            ("2001:db8::4", Err(Crowded::Network)),
            ("2001:db8:0:1::4", Ok(())),
        ];
        check(&permits(10, 2, 3), &by_network);
        check(&permits(1, 2, 3), &[("192.0.2.1", Ok(())), ("198.51.100.1", Err(Crowded::Total))]);
        check(
            &permits(3, 1, 1),
            &[("127.0.0.1", Ok(())), ("127.0.0.1", Ok(())), ("::1", Ok(())), ("::1", Err(Crowded::Total))],
        );
    }

    #[test]
    fn an_authenticated_client_counts_only_in_the_total() {
        let permits = permits(2, 1, 1);
        let address = "192.0.2.1".parse().unwrap();
        let mut first = permits.acquire(address).unwrap();
        first.exempt();
        first.exempt();
        let second = permits.acquire(address).unwrap();
        assert_eq!(permits.acquire(address).unwrap_err(), Crowded::Total);
        drop((first, second));
        assert_eq!(permits.in_use(), 0);
    }

    #[test]
    fn patience_wears_thin_as_the_server_fills() {
        let permits = permits(20, 100, 100);
        let idle = Duration::from_secs(300);
        let mut held = Vec::new();
        for expected in [vec![300; 15], vec![60; 3], vec![10; 2]].concat() {
            held.extend(permits.acquire("192.0.2.1".parse().unwrap()));
            assert_eq!(held[0].patience(idle).as_secs(), expected, "{} of 20", held.len());
        }
        assert_eq!(held[0].patience(Duration::from_secs(5)).as_secs(), 5);
        held.truncate(1);
        assert_eq!(held[0].patience(idle), idle);
    }
}
