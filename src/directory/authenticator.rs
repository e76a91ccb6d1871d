use std::sync::Arc;

use super::account::{Protocol, Role};
use super::password::PasswordHash;
use crate::base::{AccountId, Address, Clock, Random, Secret};
use crate::store::Store;

/// Who has logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The account.
    pub account: AccountId,
    /// Its address.
    pub login: Address,
    /// What it may do.
    pub roles: Vec<Role>,
}

/// Why a login failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// Name or password are wrong, or the account may not log in here: which, is not said.
    #[error("authentication failed")]
    Refused,
    /// Too many logins are being verified at the moment: `454 4.7.0`.
    #[error("too many logins at a time")]
    Busy,
    /// A fault of ours.
    #[error("authentication is not possible at the moment: {0}")]
    Broken(String),
}

/// Verifies passwords, a bounded number at a time.
pub struct Authenticator {}

impl Authenticator {
    /// An authenticator on the accounts of `store`.
    pub fn new(store: Store, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        let _ = (store, clock, random);
        todo!()
    }

    /// Verifies a password. The work is the same for an unknown name as for a known one.
    ///
    /// # Errors
    /// [`LoginError`].
    pub async fn authenticate(
        &self,
        login: &str,
        password: &Secret<String>,
        protocol: Protocol,
    ) -> Result<Identity, LoginError> {
        let _ = (login, password, protocol);
        todo!()
    }

    /// Hashes a new password, under the same bound.
    ///
    /// # Errors
    /// [`LoginError::Busy`] or [`LoginError::Broken`].
    pub async fn hash(&self, password: Secret<String>) -> Result<PasswordHash, LoginError> {
        let _ = password;
        todo!()
    }
}
