use std::ops::ControlFlow;

use super::account::ACCOUNTS;
use super::alias::ALIASES;
use super::domain::DOMAINS;
use crate::base::{Address, DomainName, limits};
use crate::store::{Key, Read, Row, Span, StoreError, Table, Tx};

/// What a change may depend on. The version is that of the row, the `ETag` of the REST interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precondition {
    /// Create or replace, whatever is there.
    #[default]
    None,
    /// Create only (`If-None-Match: *`).
    Absent,
    /// Replace only (`If-Match: *`).
    Present,
    /// Replace only what is at this version (`If-Match`).
    Version(u64),
}

/// Why a change of the directory is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is nothing of that name.
    #[error("not found")]
    NotFound,
    /// The precondition does not hold.
    #[error("it is not at the expected version")]
    Precondition,
    /// The name is taken by something else.
    #[error("the name is taken by {0}")]
    Conflict(Holder),
    /// The domain still has accounts or aliases.
    #[error("the domain still has accounts or aliases")]
    NotEmpty,
    /// The domain of the address is not one of ours. Domain aliases don't count: create the address in their domain.
    #[error("{0} is not a domain of this server")]
    NoDomain(DomainName),
    /// The domain has as many accounts as it may have.
    #[error("the domain has its maximum of {0} accounts")]
    TooManyAccounts(u32),
    /// The account has as many app passwords as it may have.
    #[error("the account has its maximum of {} app passwords", limits::APP_PASSWORDS_PER_ACCOUNT)]
    TooManyAppPasswords,
    /// A field's value can't be taken.
    #[error("{pointer}: {message}")]
    Invalid {
        /// The field, as a JSON pointer (RFC 6901).
        pointer: String,
        /// What is wrong, as a stable word.
        code: &'static str,
        /// What is wrong, as a sentence.
        message: String,
    },
}

/// What holds a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// A domain.
    Domain,
    /// A domain's other name.
    DomainAlias,
    /// An account.
    Account,
    /// An alias.
    Alias,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Domain => "a domain",
            Self::DomainAlias => "a domain alias",
            Self::Account => "an account",
            Self::Alias => "an alias",
        })
    }
}

/// What a create-or-replace did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put<T> {
    /// The row as it is now.
    pub row: T,
    /// It was not there before.
    pub created: bool,
}

impl Precondition {
    /// Whether it holds for what is there: the version of the row, or nothing.
    ///
    /// # Errors
    /// [`Refused::Precondition`].
    pub fn check(self, version: Option<u64>) -> Result<(), Refused> {
        let holds = match self {
            Self::None => true,
            Self::Absent => version.is_none(),
            Self::Present => version.is_some(),
            Self::Version(wanted) => version == Some(wanted),
        };
        if holds { Ok(()) } else { Err(Refused::Precondition) }
    }
}

impl Refused {
    pub(super) fn invalid(pointer: impl Into<String>, code: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid { pointer: pointer.into(), code, message: message.into() }
    }
}

/// The counter of the rows' versions.
pub(super) const VERSIONS: &str = "directory.version";

/// A version that no row of the directory has had.
pub(super) fn next_version(tx: &mut Tx<'_>) -> Result<u64, StoreError> {
    tx.next(VERSIONS, highest_version)
}

/// The highest version that a row of the directory has.
pub(super) fn highest_version(read: &impl Read) -> Result<u64, StoreError> {
    let accounts = highest(read, &ACCOUNTS, |account| account.version)?;
    let domains = highest(read, &DOMAINS, |domain| domain.version)?;
    let aliases = highest(read, &ALIASES, |alias| alias.version)?;
    Ok(accounts.max(domains).max(aliases))
}

fn highest<K: Key, V: Row>(
    read: &impl Read,
    table: &Table<K, V>,
    version: impl Fn(&V) -> u64,
) -> Result<u64, StoreError> {
    let mut highest = 0;
    read.scan(table, Span::all(), |_, row| {
        highest = highest.max(version(&row));
        ControlFlow::Continue(())
    })?;
    Ok(highest)
}

/// What an address of ours is kept by: its domain and its local part, normalised. `None` for an address literal.
pub(super) fn place(address: &Address) -> Option<(String, String)> {
    let domain = address.host.name()?;
    Some((domain.as_str().to_owned(), address.local.key()))
}

/// A text for people: any length that fits on a page, no control characters.
pub(super) fn check_text(pointer: &str, text: &str) -> Result<(), Refused> {
    if text.len() > limits::NOTE_BYTES {
        return Err(Refused::invalid(pointer, "too_long", format!("at most {} octets", limits::NOTE_BYTES)));
    }
    if text.chars().any(char::is_control) {
        return Err(Refused::invalid(pointer, "control_character", "control characters are not allowed"));
    }
    Ok(())
}

/// A list that an administrator sets.
pub(super) fn check_length(pointer: &str, length: usize, length_max: usize) -> Result<(), Refused> {
    if length > length_max {
        return Err(Refused::invalid(pointer, "too_many", format!("at most {length_max} entries")));
    }
    Ok(())
}
