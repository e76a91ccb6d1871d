use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::QueueId;

/// Entries that somebody is about to send. In memory alone: a crash forgets them, and the open attempts in the file
/// say what may have been sent. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Claims(Arc<Mutex<HashSet<QueueId>>>);

/// An entry that nobody else sends as long as this lives.
#[derive(Debug)]
pub struct Claim {
    id: QueueId,
    claims: Claims,
}

impl Claims {
    /// Whether somebody is about to send it.
    pub fn has(&self, id: QueueId) -> bool {
        self.lock().contains(&id)
    }

    /// Claims an entry; `None` when somebody has.
    pub fn claim(&self, id: QueueId) -> Option<Claim> {
        self.lock().insert(id).then(|| Claim { id, claims: self.clone() })
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<QueueId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claims.lock().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::MessageId;

    #[test]
    fn a_claim_is_held_by_one_and_ends_with_it() {
        let (claims, id) = (Claims::default(), QueueId { message: MessageId(1), number: 0 });
        let claim = claims.claim(id).unwrap();
        assert!(claims.has(id) && claims.clone().claim(id).is_none());
        drop(claim);
        assert!(!claims.has(id) && claims.claim(id).is_some());
    }
}
