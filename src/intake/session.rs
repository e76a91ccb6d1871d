use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use crate::base::Random;

/// The sessions that live in this process. A message whose 250 may have been missed is taken for a retransmission only
/// when the session that it first came by has ended, or belonged to a process that did.
#[derive(Debug, Clone)]
pub struct Sessions(Arc<Mutex<Live>>);

#[derive(Debug)]
struct Live {
    next: u64,
    ids: HashSet<u64>,
}

/// A session's entry; it ends when this is dropped.
#[derive(Debug)]
pub struct Session {
    id: u64,
    sessions: Sessions,
}

impl Sessions {
    /// No session yet. The numbers begin at a random place, so that they don't meet those of an earlier process.
    pub fn new(random: &dyn Random) -> Self {
        Self(Arc::new(Mutex::new(Live { next: random.next_u64(), ids: HashSet::new() })))
    }

    /// A session begins.
    pub fn open(&self) -> Session {
        let id = self.with(|live| {
            live.next = live.next.wrapping_add(1);
            live.ids.insert(live.next);
            live.next
        });
        Session { id, sessions: self.clone() }
    }

    /// Whether the session of that number lives in this process.
    pub(super) fn is_live(&self, id: u64) -> bool {
        self.with(|live| live.ids.contains(&id))
    }

    fn with<T>(&self, f: impl FnOnce(&mut Live) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }
}

impl Session {
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn sessions(&self) -> &Sessions {
        &self.sessions
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.sessions.with(|live| live.ids.remove(&self.id));
    }
}
