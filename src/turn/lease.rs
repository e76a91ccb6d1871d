use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The peers with which a session swaps roles at the moment: one session a peer. In memory alone, since a crash ends
/// every session. Cheap to clone: all clones are one register.
#[derive(Debug, Clone, Default)]
pub struct Leases(Arc<Mutex<BTreeSet<String>>>);

/// The right to swap roles with a peer; given back when it is dropped.
#[derive(Debug)]
pub struct Lease {
    leases: Leases,
    peer: String,
}

impl Leases {
    /// Nobody's.
    pub fn new() -> Self {
        Self::default()
    }

    /// The right to swap roles with that peer; `None` while another session has it.
    pub fn take(&self, peer: &str) -> Option<Lease> {
        let is_free = self.taken().insert(peer.to_owned());
        is_free.then(|| Lease { leases: self.clone(), peer: peer.to_owned() })
    }

    fn taken(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.leases.taken().remove(&self.peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_session_a_peer() {
        let leases = Leases::new();
        let first = leases.take("a");
        assert!(first.is_some() && leases.clone().take("a").is_none() && leases.take("b").is_some());
        drop(first);
        assert!(leases.take("a").is_some());
    }
}
