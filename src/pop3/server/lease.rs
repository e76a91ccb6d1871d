use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::AccountId;

/// Which accounts have a POP3 session. RFC 1939 §4 asks for an exclusive lock; delivery and other protocols go on
/// regardless, since a session works on what was there at its login. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Leases(Arc<Mutex<HashSet<AccountId>>>);

/// One session's hold on an account, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Lease {
    leases: Leases,
    account: AccountId,
}

impl Leases {
    /// Nobody has a session.
    pub fn new() -> Self {
        Self::default()
    }

    /// The account for one session; `None` when another has it.
    pub(super) fn take(&self, account: AccountId) -> Option<Lease> {
        let is_free = self.accounts().insert(account);
        is_free.then(|| Lease { leases: self.clone(), account })
    }

    fn accounts(&self) -> MutexGuard<'_, HashSet<AccountId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.leases.accounts().remove(&self.account);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_leased_once_at_a_time() {
        let leases = Leases::new();
        let first = leases.take(AccountId(1));
        assert!(first.is_some() && leases.take(AccountId(2)).is_some());
        assert!(leases.clone().take(AccountId(1)).is_none());
        drop(first);
        assert!(leases.take(AccountId(1)).is_some());
    }
}
