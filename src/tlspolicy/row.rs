use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::sts_policy::StsPolicy;
use crate::base::{DomainName, Timestamp};
use crate::postcard_row;
use crate::store::{AnyTable, Read, Span, StoreError, Table};

/// The MTA-STS policies that were fetched, by the domain of the mail.
pub(super) static POLICIES: Table<String, Known> = Table::new("sts_policies");
/// The room's tables.
pub const TABLES: &[&dyn AnyTable] = &[&POLICIES];

/// A policy, and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// By the domain's TXT record when it was fetched.
    pub id: String,
    /// What it says.
    pub policy: StsPolicy,
    /// When it was fetched last.
    pub fetched_at: Timestamp,
    /// Until when it holds, whatever the DNS and the web server say or do not say meanwhile.
    pub expires_at: Timestamp,
    /// When mail last went by it, to the day: one that nobody needs is not fetched any more.
    pub used_at: Timestamp,
}
postcard_row!(Known, 1);

impl Known {
    /// One that was fetched now, for mail.
    pub fn new(id: String, policy: StsPolicy, now: Timestamp) -> Self {
        let expires_at = now.plus_ms(policy.max_age_s.saturating_mul(1000));
        Self { id, policy, fetched_at: now, expires_at, used_at: now }
    }

    /// Whether it is in force.
    // RFC 8461 §3.2: max_age
    pub fn holds(&self, now: Timestamp) -> bool {
        now < self.expires_at
    }
}

/// The policy of a domain, where one is in force.
///
/// # Errors
/// [`StoreError`]; not for a row that is damaged: it is fetched anew.
pub fn policy(read: &impl Read, domain: &DomainName, now: Timestamp) -> Result<Option<Known>, StoreError> {
    Ok(read.get_if_sound(&POLICIES, &domain.to_string())?.filter(|known| known.holds(now)))
}

/// The policies behind a domain, in order, at most so many.
///
/// # Errors
/// [`StoreError`].
pub fn policies(
    read: &impl Read,
    after: Option<&DomainName>,
    limit: usize,
) -> Result<Vec<(DomainName, Known)>, StoreError> {
    let span = match after {
        Some(after) => Span::all().after(&after.to_string()),
        None => Span::all(),
    };
    let mut found = Vec::new();
    read.scan(&POLICIES, span, |domain: String, known| {
        found.extend(DomainName::parse(&domain).ok().map(|domain| (domain, known)));
        if found.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(found)
}
