use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::key::Algorithm;
use super::record::DnsState;
use crate::base::{DomainName, Timestamp};
use crate::postcard_row;
use crate::store::{HoldsSecret, Read, Span, StoreError, Table};

/// Announced (number 0) when a domain's keys have changed.
pub const DKIM_TOPIC: &str = "dkim";

/// The counter of the rows' versions.
pub(super) const VERSIONS: &str = "dkim.version";

/// The keys, by their domain and their selector.
pub(super) static KEYS: Table<(String, String), DkimKey> = Table::new("dkim_keys");

/// A key that a domain's mail is signed with.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DkimKey {
    /// Whose it is.
    pub domain: DomainName,
    /// Where its record stands in the DNS: before `._domainkey.` and the domain.
    pub selector: String,
    /// How it signs.
    pub algorithm: Algorithm,
    /// The key: not to be shown. Empty: it was sealed, and dropped with the key file; it can't sign any more.
    pub private: Vec<u8>,
    /// What its record says of it: [`super::KeyPair::public`].
    pub public: Vec<u8>,
    /// Where it is on its way.
    pub state: KeyState,
    /// What the DNS said of it last, under the domain's own name.
    pub dns: DnsState,
    /// Since when it has said so; `None`: it was not asked yet.
    pub dns_since: Option<Timestamp>,
    /// The names of the domain, its own and its other ones, that the record was found under: mail from these is signed in
    /// their name.
    pub seen_in: Vec<DomainName>,
    /// Changes with every change of the row, and never comes back.
    pub version: u64,
    /// When it was created.
    pub created_at: Timestamp,
}
postcard_row!(DkimKey, 1, secret);

/// Where a key is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyState {
    /// Its record is to be published. It does not sign.
    Pending,
    /// It signs.
    Active {
        /// Since then.
        since: Timestamp,
    },
    /// Another has taken its place. Its record has to stay: there may be mail on its way that it has signed.
    Retiring {
        /// Since then.
        since: Timestamp,
    },
}

impl KeyState {
    /// Whether it signs.
    pub fn is_active(self) -> bool {
        matches!(self, Self::Active { .. })
    }
}

impl DkimKey {
    /// Whether it signs: it is to, and its private key is there.
    pub fn signs(&self) -> bool {
        self.state.is_active() && !self.private.is_empty()
    }
}

impl std::fmt::Debug for DkimKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DkimKey")
            .field("domain", &self.domain)
            .field("selector", &self.selector)
            .field("algorithm", &self.algorithm)
            .field("state", &self.state)
            .field("dns", &self.dns)
            .finish_non_exhaustive()
    }
}

impl HoldsSecret for DkimKey {
    const WHAT: &'static str = "DKIM key of";

    fn secret(&self) -> Option<&[u8]> {
        Some(&self.private)
    }

    fn set_secret(&mut self, secret: &[u8]) -> Option<()> {
        self.private = secret.to_vec();
        Some(())
    }
}

/// Where a key is found.
pub(super) fn place(domain: &DomainName, selector: &str) -> (String, String) {
    (domain.as_str().to_owned(), selector.to_owned())
}

/// The key of that domain and selector.
///
/// # Errors
/// [`StoreError`]
pub fn key(read: &impl Read, domain: &DomainName, selector: &str) -> Result<Option<DkimKey>, StoreError> {
    read.get(&KEYS, &place(domain, selector))
}

/// The keys of a domain, by selector.
///
/// # Errors
/// [`StoreError`]
pub fn keys(read: &impl Read, domain: &DomainName) -> Result<Vec<DkimKey>, StoreError> {
    let rows = read.rows(&KEYS, Span::prefix(&domain.as_str().to_owned()), usize::MAX)?;
    Ok(rows.into_iter().map(|(_, key)| key).collect())
}

/// The first `limit` keys of all domains behind `after`, by domain and selector.
///
/// # Errors
/// [`StoreError`]
pub fn all_keys(read: &impl Read, after: Option<&DkimKey>, limit: usize) -> Result<Vec<DkimKey>, StoreError> {
    let span = match after {
        Some(after) => Span::all().after(&place(&after.domain, &after.selector)),
        None => Span::all(),
    };
    Ok(read.rows(&KEYS, span, limit)?.into_iter().map(|(_, key)| key).collect())
}

/// The highest version that a row has.
pub(super) fn last_version(read: &impl Read) -> Result<u64, StoreError> {
    let mut highest = 0;
    read.scan(&KEYS, Span::all(), |_, key| {
        highest = highest.max(key.version);
        ControlFlow::Continue(())
    })?;
    Ok(highest)
}
