use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ACCOUNT_TOPIC;
use super::alias::{ALIASES, page};
use super::app_password::remove_all;
use super::change::{Holder, Precondition, Put, Refused, check_length, check_text, next_version, place};
use super::domain::domain;
use super::forward::Forward;
use super::password::{CREDENTIALS, Credential, MAIN_PASSWORD, PasswordHash};
use super::presence::LOGIN_TOPIC;
use super::web_session::end_sessions;
use crate::base::{AccountId, Address, DomainName, Timestamp, limits};
use crate::postcard_row;
use crate::store::{Halt, Op, Read, Span, StoreError, Table, Topic, Tx};

/// The counter of the accounts' numbers.
pub(super) const NUMBERS: &str = "directory.account";

/// The accounts.
pub(super) static ACCOUNTS: Table<AccountId, Account> = Table::new("accounts");
/// The accounts by domain and local part.
pub(super) static ACCOUNT_NAMES: Table<(String, String), AccountRef> = Table::new("account_names");
/// The accounts that are more than users, by role.
pub(super) static ACCOUNT_ROLES: Table<(String, AccountId), ()> = Table::new("account_roles");
/// The last login of each account: apart, so that a login is no change of the account.
pub(super) static LAST_LOGINS: Table<AccountId, LastLogin> = Table::new("last_logins");

/// The account behind a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AccountRef(pub(super) AccountId);
postcard_row!(AccountRef, 1);

/// A person or a service that can log in and has mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// For ever its own.
    pub id: AccountId,
    /// The address, which is also the login name.
    pub address: Address,
    /// What an administrator sets.
    pub fields: AccountFields,
    /// Changes with every change of the row, and never comes back.
    pub version: u64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub changed_at: Timestamp,
}

/// What an administrator sets of an account; the password is apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountFields {
    /// The name of the person or service.
    pub display_name: String,
    /// A disabled account takes no mail and can't log in.
    pub enabled: bool,
    /// What it may do.
    pub roles: Vec<Role>,
    /// Octets that its mail may take; `None`: the domain's default.
    pub quota_bytes: Option<u64>,
    /// Addresses that it may send as besides its own: each an address, or `@domain` for every address of a domain.
    pub send_as: Vec<String>,
    /// Where it may log in.
    pub protocols: Vec<Protocol>,
    /// Where its mail goes on to.
    pub forward: Option<Forward>,
}

impl Default for AccountFields {
    /// The fields of a new account: an enabled user, on every protocol.
    fn default() -> Self {
        Self {
            display_name: String::new(),
            enabled: true,
            roles: vec![Role::User],
            quota_bytes: None,
            send_as: Vec::new(),
            protocols: Protocol::ALL.to_vec(),
            forward: None,
        }
    }
}

/// What an account may do. As text: `user`, `domain_admin:example.test`, `operator`, `admin`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// Its own mail.
    User,
    /// The accounts and aliases of one domain.
    DomainAdmin(DomainName),
    /// Everything that is not a person's: queue, trace, settings.
    Operator,
    /// Everything.
    Admin,
}

/// Not a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a role is one of user, domain_admin:DOMAIN, operator, admin")]
pub struct RoleError;

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User => f.write_str("user"),
            Self::DomainAdmin(domain) => write!(f, "domain_admin:{domain}"),
            Self::Operator => f.write_str("operator"),
            Self::Admin => f.write_str("admin"),
        }
    }
}

impl FromStr for Role {
    type Err = RoleError;
    fn from_str(text: &str) -> Result<Self, RoleError> {
        match text {
            "user" => Ok(Self::User),
            "operator" => Ok(Self::Operator),
            "admin" => Ok(Self::Admin),
            _ => {
                let domain = text.strip_prefix("domain_admin:").ok_or(RoleError)?;
                DomainName::parse(domain).map(Self::DomainAdmin).map_err(|_| RoleError)
            }
        }
    }
}

/// Where an account may log in. As text: `submission`, `pop3`, `imap`, `http`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Protocol {
    /// Sending mail by SMTP.
    Submission,
    /// Reading mail by POP3.
    Pop3,
    /// Reading mail by IMAP.
    Imap,
    /// The REST interface and the admin page.
    Http,
}

/// Not a protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a protocol is one of submission, pop3, imap, http")]
pub struct ProtocolError;

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Submission, Self::Pop3, Self::Imap, Self::Http];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Submission => "submission",
            Self::Pop3 => "pop3",
            Self::Imap => "imap",
            Self::Http => "http",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Protocol {
    type Err = ProtocolError;
    fn from_str(text: &str) -> Result<Self, ProtocolError> {
        Self::ALL.into_iter().find(|protocol| protocol.as_str() == text).ok_or(ProtocolError)
    }
}

/// The last time that somebody logged in to an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastLogin {
    /// When, to the minute.
    pub at: Timestamp,
    /// By which protocol.
    pub protocol: Protocol,
}
postcard_row!(LastLogin, 1);

/// The account of that address; not by a domain alias, a tag or an alias.
///
/// # Errors
/// [`StoreError`].
pub fn account(read: &impl Read, address: &Address) -> Result<Option<Account>, StoreError> {
    match place(address) {
        Some(place) => account_at(read, &place),
        None => Ok(None),
    }
}

pub(super) fn account_at(read: &impl Read, place: &(String, String)) -> Result<Option<Account>, StoreError> {
    match read.get(&ACCOUNT_NAMES, place)? {
        Some(AccountRef(id)) => account_by_id(read, id),
        None => Ok(None),
    }
}

/// The account of that number.
///
/// # Errors
/// [`StoreError`].
pub fn account_by_id(read: &impl Read, id: AccountId) -> Result<Option<Account>, StoreError> {
    read.get(&ACCOUNTS, &id)
}

/// The first `limit` accounts behind `after`, of one domain or of all, by domain and local part.
///
/// # Errors
/// [`StoreError`].
pub fn accounts(
    read: &impl Read,
    domain: Option<&DomainName>,
    after: Option<&Address>,
    limit: usize,
) -> Result<Vec<Account>, StoreError> {
    let (mut found, mut after) = (Vec::new(), after.and_then(place));
    while found.len() < limit {
        let span = match &after {
            Some(after) => page(domain, None).after(after),
            None => page(domain, None),
        };
        let names = read.rows(&ACCOUNT_NAMES, span, limit - found.len())?;
        let Some((last, _)) = names.last() else { break };
        after = Some(last.clone());
        for (_, AccountRef(id)) in &names {
            // One whose row is damaged costs the list none of the others.
            found.extend(read.get_if_sound(&ACCOUNTS, id)?);
        }
    }
    Ok(found)
}

/// Octets that the account's mail may take: its own quota, else its domain's default; `None`: any number.
///
/// # Errors
/// [`StoreError`].
pub fn quota_bytes(read: &impl Read, account: &Account) -> Result<Option<u64>, StoreError> {
    match (account.fields.quota_bytes, account.address.host.name()) {
        (Some(own), _) => Ok(Some(own)),
        (None, Some(name)) => Ok(domain(read, name)?.and_then(|domain| domain.fields.default_quota_bytes)),
        (None, None) => Ok(None),
    }
}

/// When the account's password was set; `None` when it has none.
///
/// # Errors
/// [`StoreError`].
pub fn password_changed_at(read: &impl Read, id: AccountId) -> Result<Option<Timestamp>, StoreError> {
    Ok(read.get_if_sound(&CREDENTIALS, &(id, MAIN_PASSWORD))?.map(|credential| credential.changed_at))
}

/// The hash of its main password; `None`: it has none.
///
/// # Errors
/// [`StoreError`].
pub fn password(read: &impl Read, id: AccountId) -> Result<Option<PasswordHash>, StoreError> {
    Ok(read.get(&CREDENTIALS, &(id, MAIN_PASSWORD))?.map(|credential| credential.hash))
}

/// The last login, if there ever was one.
///
/// # Errors
/// [`StoreError`].
pub fn last_login(read: &impl Read, id: AccountId) -> Result<Option<LastLogin>, StoreError> {
    // A damaged one costs no more than itself: it is written anew at the next login.
    read.get_if_sound(&LAST_LOGINS, &id)
}

/// Notes a login; rides.
#[derive(Debug, Clone)]
pub(super) struct NoteLogin {
    pub(super) account: AccountId,
    pub(super) login: LastLogin,
}

impl Op for NoteLogin {
    type Plan = bool;
    type Out = ();
    type Refused = std::convert::Infallible;

    fn name(&self) -> &'static str {
        "directory.note_login"
    }

    fn is_expendable(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<bool, Halt<std::convert::Infallible>> {
        Ok(tx.has(&ACCOUNTS, &self.account)?)
    }

    fn apply(&self, tx: &mut Tx<'_>, is_there: bool) -> Result<(), StoreError> {
        if is_there { tx.put(&LAST_LOGINS, &self.account, &self.login) } else { Ok(()) }
    }
}

/// A create or replace of an account, for the op in `mailbox` that also makes its INBOX.
#[derive(Clone)]
pub struct AccountChange {
    /// Its address.
    pub address: Address,
    /// Everything that is set.
    pub fields: AccountFields,
    /// A new password; `None` keeps the one that is there, and a new account without one can't log in.
    pub password: Option<PasswordHash>,
    /// What it depends on.
    pub precondition: Precondition,
    /// Now.
    pub at: Timestamp,
}

/// What [`plan_account`] found out.
#[derive(Debug)]
pub struct AccountPlan {
    old: Option<Account>,
}

/// Looks whether an account may be put.
///
/// # Errors
/// The [`Refused`] reason, or [`StoreError`].
pub fn plan_account(read: &impl Read, change: &AccountChange) -> Result<AccountPlan, Halt<Refused>> {
    let (Some(name), Some(place)) = (change.address.host.name(), place(&change.address)) else {
        let message = "an address with a domain name";
        return Err(Halt::Refused(Refused::invalid("/address", "no_domain", message)));
    };
    let old = account_at(read, &place)?;
    change.precondition.check(old.as_ref().map(|old| old.version)).map_err(Halt::Refused)?;
    let domain = domain(read, name)?.ok_or_else(|| Halt::Refused(Refused::NoDomain(name.clone())))?;
    if read.has(&ALIASES, &place)? {
        return Err(Halt::Refused(Refused::Conflict(Holder::Alias)));
    }
    if let (None, Some(accounts_max)) = (&old, domain.fields.max_accounts) {
        let wanted = accounts_max as usize;
        let there = read.rows(&ACCOUNT_NAMES, Span::prefix(&place.0), wanted)?.len();
        if there >= wanted {
            return Err(Halt::Refused(Refused::TooManyAccounts(accounts_max)));
        }
    }
    check_fields(&change.fields).map_err(Halt::Refused)?;
    if let Some(forward) = &change.fields.forward {
        forward.check(read, &change.address)?;
    }
    Ok(AccountPlan { old })
}

fn check_fields(fields: &AccountFields) -> Result<(), Refused> {
    check_text("/display_name", &fields.display_name)?;
    check_length("/roles", fields.roles.len(), limits::LIST_ENTRIES)?;
    check_length("/send_as", fields.send_as.len(), limits::LIST_ENTRIES)?;
    check_length("/protocols", fields.protocols.len(), Protocol::ALL.len())?;
    for (number, entry) in fields.send_as.iter().enumerate() {
        let is_good = match entry.strip_prefix('@') {
            Some(domain) => DomainName::parse(domain).is_ok(),
            None => Address::parse(entry).is_ok(),
        };
        if !is_good {
            let message = "an address, or @domain for every address of a domain";
            return Err(Refused::invalid(format!("/send_as/{number}"), "not_an_address", message));
        }
    }
    Ok(())
}

/// Writes an account as planned.
///
/// # Errors
/// [`StoreError`].
pub fn write_account(tx: &mut Tx<'_>, change: &AccountChange, plan: AccountPlan) -> Result<Put<Account>, StoreError> {
    let AccountPlan { old } = plan;
    let id = match &old {
        Some(old) => old.id,
        None => {
            let number = tx.next(NUMBERS, highest_number)?;
            // Four thousand million accounts: no server gets there, and a reused number would be worse than none.
            AccountId(u32::try_from(number).map_err(|_| StoreError::Damaged {
                table: "counters",
                what: format!("account number {number} does not fit"),
            })?)
        }
    };
    let row = Account {
        id,
        // The spelling of its first day stays.
        address: old.as_ref().map_or_else(|| change.address.clone(), |old| old.address.clone()),
        fields: change.fields.clone(),
        version: next_version(tx)?,
        created_at: old.as_ref().map_or(change.at, |old| old.created_at),
        changed_at: change.at,
    };
    tx.put(&ACCOUNTS, &id, &row)?;
    if let Some(place) = place(&row.address) {
        tx.put(&ACCOUNT_NAMES, &place, &AccountRef(id))?;
    }
    for gone in old.iter().flat_map(|old| &old.fields.roles) {
        tx.remove(&ACCOUNT_ROLES, &(gone.to_string(), id))?;
    }
    for role in row.fields.roles.iter().filter(|role| **role != Role::User) {
        tx.put(&ACCOUNT_ROLES, &(role.to_string(), id), &())?;
    }
    // Whoever is logged in does so again: with the new password, for what the account may do now.
    let is_same = |old: &Account| {
        old.fields.roles == row.fields.roles && row.fields.enabled && row.fields.protocols.contains(&Protocol::Http)
    };
    if change.password.is_some() || !old.as_ref().is_none_or(is_same) {
        end_sessions(tx, id)?;
    }
    let keeps_logins = |old: &Account| {
        row.fields.enabled && old.fields.protocols.iter().all(|protocol| row.fields.protocols.contains(protocol))
    };
    if change.password.is_some() || !old.as_ref().is_none_or(keeps_logins) {
        tx.announce(Topic(LOGIN_TOPIC, u64::from(id.0)));
    }
    if let Some(hash) = &change.password {
        tx.put(&CREDENTIALS, &(id, MAIN_PASSWORD), &Credential { hash: hash.clone(), changed_at: change.at })?;
    }
    tx.announce(Topic(ACCOUNT_TOPIC, u64::from(id.0)));
    Ok(Put { row, created: old.is_none() })
}

/// Removes an account with its credentials. Its mail is the caller's.
///
/// # Errors
/// [`StoreError`].
pub fn remove_account(tx: &mut Tx<'_>, account: &Account) -> Result<(), StoreError> {
    let id = account.id;
    if let Some(place) = place(&account.address) {
        tx.remove(&ACCOUNT_NAMES, &place)?;
    }
    for role in &account.fields.roles {
        tx.remove(&ACCOUNT_ROLES, &(role.to_string(), id))?;
    }
    for (key, _) in tx.rows(&CREDENTIALS, Span::prefix(&id), usize::MAX)? {
        tx.remove(&CREDENTIALS, &key)?;
    }
    remove_all(tx, id)?;
    end_sessions(tx, id)?;
    tx.remove(&LAST_LOGINS, &id)?;
    tx.remove(&ACCOUNTS, &id)?;
    tx.announce(Topic(LOGIN_TOPIC, u64::from(id.0)));
    tx.announce(Topic(ACCOUNT_TOPIC, u64::from(id.0)));
    Ok(())
}

/// The highest number that an account has.
pub(super) fn highest_number(read: &impl Read) -> Result<u64, StoreError> {
    Ok(read.last_key(&ACCOUNTS)?.map_or(0, |id| u64::from(id.0)))
}
