use serde::{Deserialize, Serialize};

use super::DIRECTORY_TOPIC;
use super::account::ACCOUNT_NAMES;
use super::change::{Holder, Precondition, Put, Refused, check_text, next_version, place};
use super::domain::domain;
use super::forward::{check_circle, check_targets};
use crate::base::{Address, DomainName, Timestamp, limits};
use crate::store::{Halt, Op, Read, Span, StoreError, Table, Topic, Tx};

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
    /// Who is told its targets by EXPN.
    pub expn: Expn,
}

/// Who is told by EXPN where an alias leads, besides those who run the server or the domain, and the accounts that it leads
/// to. RFC 5321 §3.5.2, §7.3
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expn {
    /// Nobody.
    #[default]
    Private,
    /// Each account of its domain.
    Domain,
    /// Each client that is told anything of names at all.
    Public,
}

impl AliasFields {
    /// Of an alias that leads there, with everything else as it is where nothing is said.
    pub fn leading_to(targets: Vec<Address>) -> Self {
        Self { targets, enabled: true, internal_only: false, note: String::new(), expn: Expn::default() }
    }
}

/// The alias of that address; not by a domain alias or a tag.
///
/// # Errors
/// [`StoreError`].
pub fn alias(read: &impl Read, address: &Address) -> Result<Option<Alias>, StoreError> {
    match place(address) {
        Some(place) => read.get(&ALIASES, &place),
        None => Ok(None),
    }
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
    let rows = read.rows(&ALIASES, page(domain, after), limit)?;
    Ok(rows.into_iter().map(|(_, alias)| alias).collect())
}

/// The places behind `after`, of one domain or of all.
pub(super) fn page(domain: Option<&DomainName>, after: Option<&Address>) -> Span<(String, String)> {
    let span = match domain {
        Some(domain) => Span::prefix(&domain.as_str().to_owned()),
        None => Span::all(),
    };
    match after.and_then(place) {
        Some(after) => span.after(&after),
        None => span,
    }
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

    fn weight_bytes(&self) -> usize {
        256 + 64 * self.fields.targets.len()
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<Option<Alias>, Halt<Refused>> {
        let Some(name) = self.address.host.name() else {
            let message = "an address with a domain name";
            return Err(Halt::Refused(Refused::invalid("/address", "no_domain", message)));
        };
        let old = alias(tx, &self.address)?;
        self.precondition.check(old.as_ref().map(|old| old.version)).map_err(Halt::Refused)?;
        if domain(tx, name)?.is_none() {
            return Err(Halt::Refused(Refused::NoDomain(name.clone())));
        }
        if place(&self.address).map_or(Ok(false), |place| tx.has(&ACCOUNT_NAMES, &place))? {
            return Err(Halt::Refused(Refused::Conflict(Holder::Account)));
        }
        self.check_fields().map_err(Halt::Refused)?;
        check_circle(tx, &self.address, "/targets", &self.fields.targets)?;
        Ok(old)
    }

    fn apply(&self, tx: &mut Tx<'_>, old: Option<Alias>) -> Result<Put<Alias>, StoreError> {
        let row = Alias {
            // The spelling of its first day stays.
            address: old.as_ref().map_or_else(|| self.address.clone(), |old| old.address.clone()),
            fields: self.fields.clone(),
            version: next_version(tx)?,
            created_at: old.as_ref().map_or(self.at, |old| old.created_at),
            changed_at: self.at,
        };
        if let Some(place) = place(&self.address) {
            tx.put(&ALIASES, &place, &row)?;
        }
        tx.announce(Topic(DIRECTORY_TOPIC, 0));
        Ok(Put { row, created: old.is_none() })
    }
}

impl PutAlias {
    fn check_fields(&self) -> Result<(), Refused> {
        check_text("/note", &self.fields.note)?;
        check_targets("/targets", &self.fields.targets, limits::ALIAS_MEMBERS)
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

    fn check(&self, tx: &Tx<'_>) -> Result<(), Halt<Refused>> {
        let old = alias(tx, &self.address)?.ok_or(Halt::Refused(Refused::NotFound))?;
        self.precondition.check(Some(old.version)).map_err(Halt::Refused)
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        if let Some(place) = place(&self.address) {
            tx.remove(&ALIASES, &place)?;
        }
        tx.announce(Topic(DIRECTORY_TOPIC, 0));
        Ok(())
    }
}
