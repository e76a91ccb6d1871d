use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::change::{Precondition, Put, Refused};
use super::password::PasswordHash;
use crate::base::{AccountId, Address, DomainName, Timestamp};
use crate::postcard_row;
use crate::store::{Halt, Read, StoreError, Table, Tx};

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
postcard_row!(Account, 1);

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
    let _ = (read, address);
    todo!()
}

/// The account of that number.
///
/// # Errors
/// [`StoreError`].
pub fn account_by_id(read: &impl Read, id: AccountId) -> Result<Option<Account>, StoreError> {
    let _ = (read, id);
    todo!()
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
    let _ = (read, domain, after, limit);
    todo!()
}

/// Octets that the account's mail may take: its own quota, else its domain's default; `None`: any number.
///
/// # Errors
/// [`StoreError`].
pub fn quota_bytes(read: &impl Read, account: &Account) -> Result<Option<u64>, StoreError> {
    let _ = (read, account);
    todo!()
}

/// When the account's password was set; `None` when it has none.
///
/// # Errors
/// [`StoreError`].
pub fn password_changed_at(read: &impl Read, id: AccountId) -> Result<Option<Timestamp>, StoreError> {
    let _ = (read, id);
    todo!()
}

/// The last login, if there ever was one.
///
/// # Errors
/// [`StoreError`].
pub fn last_login(read: &impl Read, id: AccountId) -> Result<Option<LastLogin>, StoreError> {
    let _ = (read, id);
    todo!()
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
    let _ = (read, change);
    todo!()
}

/// Writes an account as planned.
///
/// # Errors
/// [`StoreError`].
pub fn write_account(tx: &mut Tx<'_>, change: &AccountChange, plan: AccountPlan) -> Result<Put<Account>, StoreError> {
    let _ = (tx, change, plan.old);
    todo!()
}

/// Removes an account with its credentials. Its mail is the caller's.
///
/// # Errors
/// [`StoreError`].
pub fn remove_account(tx: &mut Tx<'_>, account: &Account) -> Result<(), StoreError> {
    let _ = (tx, account);
    todo!()
}
