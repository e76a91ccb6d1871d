use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::base::AccountId;

/// The bus topic of a login that is good no more: the account was disabled or deleted, may log in by fewer protocols, has
/// another password, or was logged out. Its number is the [`AccountId`].
pub(super) const LOGIN_TOPIC: &str = "login";

/// The sessions of mail programs that have logged in, by account. In memory alone. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Presences(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    last: u64,
    sessions: HashMap<AccountId, Vec<(u64, CancellationToken)>>,
}

/// One session of a mail program, as long as this lives.
#[derive(Debug)]
pub struct Presence {
    account: AccountId,
    number: u64,
    presences: Presences,
    stop: CancellationToken,
    server: CancellationToken,
}

impl Presences {
    /// A session begins, which ends with `stop` at the latest.
    pub(super) fn enter(&self, account: AccountId, stop: &CancellationToken) -> Presence {
        let (stop, server) = (stop.child_token(), stop.clone());
        let mut inner = self.lock();
        inner.last += 1;
        let number = inner.last;
        inner.sessions.entry(account).or_default().push((number, stop.clone()));
        drop(inner);
        Presence { account, number, presences: self.clone(), stop, server }
    }

    /// Ends the sessions of an account.
    pub(super) fn end(&self, account: AccountId) {
        let sessions = self.lock().sessions.remove(&account).unwrap_or_default();
        sessions.iter().for_each(|(_, stop)| stop.cancel());
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Presence {
    /// Cancelled when the session has to end: at once where it waits, else before its next command.
    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// The session has to end.
    pub fn has_ended(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// It has to end because all have to, whatever their login.
    pub fn is_stopping(&self) -> bool {
        self.server.is_cancelled()
    }

    pub(super) fn end(&self) {
        self.stop.cancel();
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let mut inner = self.presences.lock();
        if let Some(sessions) = inner.sessions.get_mut(&self.account) {
            sessions.retain(|(number, _)| *number != self.number);
            if sessions.is_empty() {
                inner.sessions.remove(&self.account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sessions_of_one_account_end_and_are_forgotten() {
        let (presences, stop) = (Presences::default(), CancellationToken::new());
        let (one, two) = (presences.enter(AccountId(1), &stop), presences.enter(AccountId(1), &stop));
        let other = presences.enter(AccountId(2), &stop);
        drop(one);
        presences.end(AccountId(1));
        assert_eq!((two.has_ended(), other.has_ended(), stop.is_cancelled()), (true, false, false));
        let again = presences.enter(AccountId(1), &stop);
        drop(two);
        assert!(!again.has_ended());
        presences.end(AccountId(1));
        assert!(again.has_ended());
        stop.cancel();
        assert!(other.has_ended());
        drop((again, other));
        assert!(presences.lock().sessions.is_empty());
    }
}
