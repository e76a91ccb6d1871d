use serde::{Deserialize, Serialize};

use super::change::{Precondition, Put, Refused};
use crate::base::{Address, DomainName, Timestamp};
use crate::postcard_row;
use crate::settings::Settings;
use crate::store::{Halt, Op, Read, StoreError, Table, Tx};

/// The domains, by name.
pub(super) static DOMAINS: Table<String, Domain> = Table::new("domains");
/// The other names of domains.
pub(super) static DOMAIN_ALIASES: Table<String, AliasOf> = Table::new("domain_aliases");

/// A domain that this server takes mail for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Domain {
    /// Its name.
    pub name: DomainName,
    /// What an administrator sets.
    pub fields: DomainFields,
    /// Changes with every change of the row, and never comes back.
    pub version: u64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub changed_at: Timestamp,
}
postcard_row!(Domain, 1);

/// What an administrator sets of a domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainFields {
    /// Other names of the domain: every address in them is the same address in the domain.
    pub aliases: Vec<DomainName>,
    /// A disabled domain takes no mail.
    pub enabled: bool,
    /// Where mail goes whose local part nobody has.
    pub catch_all: Option<Address>,
    /// What separates a name from its tag, as in `alice+tag`; empty: nothing.
    pub subaddress_sep: String,
    /// The quota of accounts that have none of their own; `None`: none.
    pub default_quota_bytes: Option<u64>,
    /// How many accounts it may have; `None`: any number.
    pub max_accounts: Option<u32>,
}

impl DomainFields {
    /// The fields of a new domain.
    pub fn new(settings: &Settings) -> Self {
        Self {
            aliases: Vec::new(),
            enabled: true,
            catch_all: None,
            subaddress_sep: settings.directory_subaddress_separator.clone(),
            default_quota_bytes: None,
            max_accounts: None,
        }
    }
}

/// The domain that another name stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AliasOf(pub(super) DomainName);
postcard_row!(AliasOf, 1);

/// The domain of that name; not by a domain alias.
///
/// # Errors
/// [`StoreError`].
pub fn domain(read: &impl Read, name: &DomainName) -> Result<Option<Domain>, StoreError> {
    let _ = (read, name);
    todo!()
}

/// The domain that `name` reaches, by its own name or by a domain alias.
///
/// # Errors
/// [`StoreError`].
pub fn local_domain(read: &impl Read, name: &DomainName) -> Result<Option<Domain>, StoreError> {
    let _ = (read, name);
    todo!()
}

/// The first `limit` domains behind `after`, by name.
///
/// # Errors
/// [`StoreError`].
pub fn domains(read: &impl Read, after: Option<&DomainName>, limit: usize) -> Result<Vec<Domain>, StoreError> {
    let _ = (read, after, limit);
    todo!()
}

/// Creates or replaces a domain.
#[derive(Debug, Clone)]
pub struct PutDomain {
    /// Its name.
    pub name: DomainName,
    /// Everything that is set.
    pub fields: DomainFields,
    /// What it depends on.
    pub precondition: Precondition,
    /// Now.
    pub at: Timestamp,
}

impl Op for PutDomain {
    type Plan = Option<Domain>;
    type Out = Put<Domain>;
    type Refused = Refused;

    fn name(&self) -> &'static str {
        "directory.put_domain"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, _tx: &Tx<'_>) -> Result<Option<Domain>, Halt<Refused>> {
        todo!()
    }

    fn apply(&self, _tx: &mut Tx<'_>, _old: Option<Domain>) -> Result<Put<Domain>, StoreError> {
        todo!()
    }
}

/// Deletes a domain that has no accounts and no aliases.
#[derive(Debug, Clone)]
pub struct DeleteDomain {
    /// Its name.
    pub name: DomainName,
    /// What it depends on.
    pub precondition: Precondition,
}

impl Op for DeleteDomain {
    type Plan = Domain;
    type Out = ();
    type Refused = Refused;

    fn name(&self) -> &'static str {
        "directory.delete_domain"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, _tx: &Tx<'_>) -> Result<Domain, Halt<Refused>> {
        todo!()
    }

    fn apply(&self, _tx: &mut Tx<'_>, _old: Domain) -> Result<(), StoreError> {
        todo!()
    }
}
