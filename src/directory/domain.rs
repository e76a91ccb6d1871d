use serde::{Deserialize, Serialize};

use super::DIRECTORY_TOPIC;
use super::account::ACCOUNT_NAMES;
use super::alias::ALIASES;
use super::change::{Holder, Precondition, Put, Refused, check_length, next_version};
use crate::base::{Address, DomainName, Timestamp, limits};
use crate::postcard_row;
use crate::settings::Settings;
use crate::store::{Halt, Op, Read, Span, StoreError, Table, Topic, Tx};
use crate::tlspolicy::Mode;

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
    /// How much the MTA-STS policy that is published for it is in earnest; `None`: none is published. RFC 8461.
    pub mta_sts_mode: Option<Mode>,
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
            mta_sts_mode: None,
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
    read.get(&DOMAINS, &name.as_str().to_owned())
}

/// The domain that `name` reaches, by its own name or by a domain alias.
///
/// # Errors
/// [`StoreError`].
pub fn local_domain(read: &impl Read, name: &DomainName) -> Result<Option<Domain>, StoreError> {
    match domain(read, name)? {
        Some(domain) => Ok(Some(domain)),
        None => match read.get(&DOMAIN_ALIASES, &name.as_str().to_owned())? {
            Some(AliasOf(name)) => domain(read, &name),
            None => Ok(None),
        },
    }
}

/// The first `limit` domains behind `after`, by name.
///
/// # Errors
/// [`StoreError`].
pub fn domains(read: &impl Read, after: Option<&DomainName>, limit: usize) -> Result<Vec<Domain>, StoreError> {
    let span = match after {
        Some(name) => Span::all().after(&name.as_str().to_owned()),
        None => Span::all(),
    };
    Ok(read.rows(&DOMAINS, span, limit)?.into_iter().map(|(_, domain)| domain).collect())
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

    fn check(&self, tx: &Tx<'_>) -> Result<Option<Domain>, Halt<Refused>> {
        let old = domain(tx, &self.name)?;
        self.precondition.check(old.as_ref().map(|old| old.version)).map_err(Halt::Refused)?;
        if tx.has(&DOMAIN_ALIASES, &self.name.as_str().to_owned())? {
            return Err(Halt::Refused(Refused::Conflict(Holder::DomainAlias)));
        }
        check_fields(&self.fields).map_err(Halt::Refused)?;
        for (place, alias) in self.fields.aliases.iter().enumerate() {
            let taken = |by| Refused::invalid(format!("/aliases/{place}"), "taken", format!("{alias} is {by}"));
            if *alias == self.name || domain(tx, alias)?.is_some() {
                return Err(Halt::Refused(taken(Holder::Domain)));
            }
            let elsewhere = tx.get(&DOMAIN_ALIASES, &alias.as_str().to_owned())?.filter(|of| of.0 != self.name);
            if elsewhere.is_some() || self.fields.aliases[..place].contains(alias) {
                return Err(Halt::Refused(taken(Holder::DomainAlias)));
            }
        }
        Ok(old)
    }

    fn apply(&self, tx: &mut Tx<'_>, old: Option<Domain>) -> Result<Put<Domain>, StoreError> {
        for gone in old.iter().flat_map(|old| &old.fields.aliases) {
            tx.remove(&DOMAIN_ALIASES, &gone.as_str().to_owned())?;
        }
        for alias in &self.fields.aliases {
            tx.put(&DOMAIN_ALIASES, &alias.as_str().to_owned(), &AliasOf(self.name.clone()))?;
        }
        let row = Domain {
            name: self.name.clone(),
            fields: self.fields.clone(),
            version: next_version(tx)?,
            created_at: old.as_ref().map_or(self.at, |old| old.created_at),
            changed_at: self.at,
        };
        tx.put(&DOMAINS, &self.name.as_str().to_owned(), &row)?;
        tx.announce(Topic(DIRECTORY_TOPIC, 0));
        Ok(Put { row, created: old.is_none() })
    }
}

fn check_fields(fields: &DomainFields) -> Result<(), Refused> {
    check_length("/aliases", fields.aliases.len(), limits::LIST_ENTRIES)?;
    // A letter or a dot could not be told from the name's own.
    let separates = |c: char| c.is_ascii_punctuation() && !"@.\"\\(),:;<>[]".contains(c);
    let mut separator = fields.subaddress_sep.chars();
    if separator.next().is_some_and(|c| !separates(c)) || separator.next().is_some() {
        let message = "one of !#$%&'*+-/=?^_`{|}~, or empty for none";
        return Err(Refused::invalid("/subaddress_sep", "not_a_separator", message));
    }
    if fields.catch_all.as_ref().is_some_and(|address| address.host.name().is_none()) {
        return Err(Refused::invalid("/catch_all", "no_domain", "an address with a domain name"));
    }
    Ok(())
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

    fn check(&self, tx: &Tx<'_>) -> Result<Domain, Halt<Refused>> {
        let old = domain(tx, &self.name)?.ok_or(Halt::Refused(Refused::NotFound))?;
        self.precondition.check(Some(old.version)).map_err(Halt::Refused)?;
        let name = self.name.as_str().to_owned();
        let has_accounts = tx.first(&ACCOUNT_NAMES, Span::prefix(&name))?.is_some();
        if has_accounts || tx.first(&ALIASES, Span::prefix(&name))?.is_some() {
            return Err(Halt::Refused(Refused::NotEmpty));
        }
        Ok(old)
    }

    fn apply(&self, tx: &mut Tx<'_>, old: Domain) -> Result<(), StoreError> {
        for alias in &old.fields.aliases {
            tx.remove(&DOMAIN_ALIASES, &alias.as_str().to_owned())?;
        }
        tx.remove(&DOMAINS, &self.name.as_str().to_owned())?;
        tx.announce(Topic(DIRECTORY_TOPIC, 0));
        Ok(())
    }
}
