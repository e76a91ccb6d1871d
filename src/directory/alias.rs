use serde::{Deserialize, Serialize};

use super::change::{Precondition, Put, Refused};
use crate::base::{Address, DomainName, Timestamp};
use crate::postcard_row;
use crate::store::{Halt, Op, Read, StoreError, Table, Tx};

/// The aliases, by domain and local part.
pub(super) static ALIASES: Table<(String, String), Alias> = Table::new("aliases");

/// An address that leads to others: an alias with one target, a group with more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alias {
    /// The address.
    pub address: Address,
    /// What an administrator sets.
    pub fields: AliasFields,
    /// Changes with every change of the row, and never comes back.
    pub version: u64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub changed_at: Timestamp,
}
postcard_row!(Alias, 1);

/// What an administrator sets of an alias.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AliasFields {
    /// Where it leads: accounts, other aliases, addresses elsewhere.
    pub targets: Vec<Address>,
    /// A disabled alias takes no mail.
    pub enabled: bool,
    /// Only mail from an authenticated account goes there.
    pub internal_only: bool,
    /// For people.
    pub note: String,
}

/// The alias of that address.
///
/// # Errors
/// [`StoreError`].
pub fn alias(read: &impl Read, address: &Address) -> Result<Option<Alias>, StoreError> {
    let _ = (read, address);
    todo!()
}

/// The first `limit` aliases behind `after`, of one domain or of all, by domain and local part.
///
/// # Errors
/// [`StoreError`].
pub fn aliases(
    read: &impl Read,
    domain: Option<&DomainName>,
    after: Option<&Address>,
    limit: usize,
) -> Result<Vec<Alias>, StoreError> {
    let _ = (read, domain, after, limit);
    todo!()
}

/// Creates or replaces an alias.
#[derive(Debug, Clone)]
pub struct PutAlias {
    /// Its address.
    pub address: Address,
    /// Everything that is set.
    pub fields: AliasFields,
    /// What it depends on.
    pub precondition: Precondition,
    /// Now.
    pub at: Timestamp,
}

impl Op for PutAlias {
    type Plan = Option<Alias>;
    type Out = Put<Alias>;
    type Refused = Refused;

    fn name(&self) -> &'static str {
        "directory.put_alias"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, _tx: &Tx<'_>) -> Result<Option<Alias>, Halt<Refused>> {
        todo!()
    }

    fn apply(&self, _tx: &mut Tx<'_>, _old: Option<Alias>) -> Result<Put<Alias>, StoreError> {
        todo!()
    }
}

/// Deletes an alias.
#[derive(Debug, Clone)]
pub struct DeleteAlias {
    /// Its address.
    pub address: Address,
    /// What it depends on.
    pub precondition: Precondition,
}

impl Op for DeleteAlias {
    type Plan = ();
    type Out = ();
    type Refused = Refused;

    fn name(&self) -> &'static str {
        "directory.delete_alias"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, _tx: &Tx<'_>) -> Result<(), Halt<Refused>> {
        todo!()
    }

    fn apply(&self, _tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        todo!()
    }
}
