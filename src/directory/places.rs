use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::base::{Network, limits};

/// The network that counts as one: a /24, or a /64, which one customer has.
const NETWORK_BITS: (u8, u8) = (24, 64);

/// Places for passwords that are being hashed or wait for it: a number in all, and once fewer than half of them are free
/// no more than a few for one network, so that nobody who guesses passwords takes them from everybody else.
#[derive(Clone)]
pub(super) struct Places {
    all: Arc<Semaphore>,
    count: usize,
    taken: Arc<Mutex<HashMap<Network, usize>>>,
}

/// One of them, until it is dropped.
pub(super) struct Place {
    _of_all: OwnedSemaphorePermit,
    _of_network: Option<NetworkPlace>,
}

struct NetworkPlace {
    network: Network,
    places: Places,
}

impl Places {
    pub(super) fn new(all: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(all)), count: all, taken: Arc::default() }
    }

    /// A place for somebody who comes from there; this machine itself has as many as there are, and so has `None`: who
    /// has proved already who they are. `None` when there is none.
    pub(super) fn take(&self, from: Option<IpAddr>) -> Option<Place> {
        // An IPv4 client of a listener on all of IPv6 comes as a mapped address.
        let of_network = match from.map(|from| from.to_canonical()).filter(|from| !from.is_loopback()) {
            Some(from) => Some(self.take_of(network_of(from))?),
            None => None,
        };
        let of_all = Arc::clone(&self.all).try_acquire_owned().ok()?;
        Some(Place { _of_all: of_all, _of_network: of_network })
    }

    fn take_of(&self, network: Network) -> Option<NetworkPlace> {
        let mut taken = self.taken();
        let count = taken.entry(network).or_default();
        // An office whose programs all come back at once may have more while most places are free.
        let is_scarce = self.all.available_permits() * 2 < self.count;
        if *count >= limits::PASSWORD_HASHES_OF_NETWORK && is_scarce {
            return None;
        }
        *count += 1;
        drop(taken);
        Some(NetworkPlace { network, places: self.clone() })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<Network, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for NetworkPlace {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        match taken.get_mut(&self.network) {
            Some(count) if *count > 1 => *count -= 1,
            // The map holds only who has a place.
            _ => drop(taken.remove(&self.network)),
        }
    }
}

fn network_of(address: IpAddr) -> Network {
    Network::around(address, if address.is_ipv4() { NETWORK_BITS.0 } else { NETWORK_BITS.1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_network_does_not_take_all_places() {
        let places = Places::new(10);
        let take = |from: &str| places.take(Some(from.parse().unwrap()));
        // While half of them are free, so many as come.
        let mut held: Vec<Place> = (1..=6).map(|n| take(&format!("192.0.2.{n}")).unwrap()).collect();
        assert!(take("192.0.2.200").is_none(), "the same /24");
        held.truncate(4);
        held.extend((1..=4).map(|n| take(&format!("2001:db8::{n}")).unwrap()));
        assert!(take("2001:db8::ffff:0:0:1").is_none(), "the same /64");
        held.push(take("2001:db8:0:1::1").unwrap());
        assert!(take("::ffff:192.0.2.7").is_none(), "the same /24, as a mapped address");
        drop(held.remove(0));
        held.push(take("192.0.2.200").unwrap());
        // There are so many in all, whoever asks; this machine has no network of its own.
        held.push(take("::ffff:127.0.0.1").unwrap());
        assert!(take("198.51.100.1").is_none() && take("::1").is_none() && places.take(None).is_none());
        held.clear();
        assert!(places.taken().is_empty());
        let all: Vec<Place> = (0..10).filter_map(|_| take("127.0.0.1")).collect();
        assert_eq!(all.len(), 10);
    }
}
