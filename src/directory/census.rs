use std::ops::ControlFlow;

use super::account::{ACCOUNT_ROLES, ACCOUNTS};
use super::domain::DOMAINS;
use super::{Role, account_by_id};
use crate::store::{Read, Span, StoreError, View};

/// How many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Census {
    /// Domains.
    pub domains: u64,
    /// Accounts.
    pub accounts: u64,
    /// Somebody may log in to administer the server.
    pub has_admin: bool,
}

/// Counts domains and accounts, in a moment whatever there is.
///
/// # Errors
/// [`StoreError`].
pub fn census(view: &View) -> Result<Census, StoreError> {
    let mut admins = Vec::new();
    view.scan(&ACCOUNT_ROLES, Span::prefix(&Role::Admin.to_string()), |(_, id), ()| {
        admins.push(id);
        ControlFlow::Continue(())
    })?;
    let mut has_admin = false;
    for id in admins {
        has_admin |= account_by_id(view, id)?.is_some_and(|account| account.fields.enabled);
    }
    Ok(Census { domains: view.count(&DOMAINS)?, accounts: view.count(&ACCOUNTS)?, has_admin })
}
