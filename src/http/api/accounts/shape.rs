use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{NewPassword, both_passwords, may_set};
use crate::base::{Address, Secret, Timestamp, limits};
use crate::directory::{self, AccountFields, Forward, LastLogin, PasswordHash, Protocol, Role};
use crate::http::api::secret::SecretState;
use crate::http::api::{page_of, parse_all};
use crate::http::caller::Caller;
use crate::http::managed::ManagedBy;
use crate::http::problem::{Fault, Problem};
use crate::mailbox::Usage;

/// A person or a service that can log in and has mail.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Account {
    /// The address, which is also the login name.
    address: String,
    /// The name of the person or service.
    display_name: String,
    /// A disabled account takes no mail and can't log in.
    enabled: bool,
    /// Each of `user`, `domain_admin:DOMAIN`, `operator`, `admin`.
    roles: Vec<String>,
    /// Octets that its mail may take; null: the domain's default.
    quota_bytes: Option<u64>,
    /// Octets that its mail takes.
    used_bytes: u64,
    /// How many messages it has.
    message_count: u64,
    /// Where it may log in: each of `submission`, `pop3`, `imap`, `http`.
    protocols: Vec<String>,
    /// Addresses that it may send as besides its own; `@DOMAIN` stands for every address of a domain.
    send_as: Vec<String>,
    /// Where its mail goes on to; null: nowhere.
    forward: Option<AccountForward>,
    /// Whether it has a password.
    password: SecretState,
    /// The last time that somebody logged in.
    last_login: Option<Login>,
    /// What keeps it as it is: `state` where a desired state that was applied has named it, else null. It can be changed
    /// by hand all the same: the next state that is applied sets it back.
    managed_by: Option<ManagedBy>,
    /// When it was created.
    created_at: String,
    /// When it was last changed.
    changed_at: String,
}

/// Where an account's mail goes on to.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct AccountForward {
    /// The addresses, here or elsewhere. Its senders stay as they are, as with an alias.
    #[schema(min_items = 1, max_items = 100)]
    to: Vec<String>,
    /// Whether the account gets a copy too. Where `to` leads to nobody at all, it gets the mail in any case.
    #[serde(default = "yes")]
    #[schema(default = true)]
    keep: bool,
}

/// A login.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Login {
    /// When, to the minute.
    at: String,
    /// By which protocol.
    protocol: String,
}

/// What is set of an account. What is left out gets its default, except the password, which stays as it is.
#[derive(Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct AccountInput {
    /// The name of the person or service.
    #[serde(default)]
    #[schema(max_length = 256)]
    display_name: String,
    /// A new password; it is kept as an argon2id hash and never shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 8, max_length = 1024, write_only)]
    password: Option<String>,
    /// A hash from another server: argon2id, bcrypt or sha512-crypt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 512, write_only)]
    password_hash: Option<String>,
    /// A disabled account takes no mail and can't log in.
    #[serde(default = "yes")]
    #[schema(default = true)]
    enabled: bool,
    /// Each of `user`, `domain_admin:DOMAIN`, `operator`, `admin`. Default: `user`.
    #[serde(default)]
    #[schema(max_items = 100)]
    roles: Option<Vec<String>>,
    /// Octets that its mail may take; null: the domain's default.
    #[serde(default)]
    #[schema(minimum = 0)]
    quota_bytes: Option<u64>,
    /// Where it may log in: each of `submission`, `pop3`, `imap`, `http`. Default: everywhere.
    #[serde(default)]
    #[schema(max_items = 4)]
    protocols: Option<Vec<String>>,
    /// Addresses that it may send as besides its own; `@DOMAIN` stands for every address of a domain.
    #[serde(default)]
    #[schema(max_items = 100)]
    send_as: Vec<String>,
    /// Where its mail goes on to; null: nowhere. It shows somebody's mail to others: for an account that is there
    /// already, and isn't the caller's own, a new address needs the scope `messages:read` too.
    #[serde(default)]
    forward: Option<AccountForward>,
}

page_of! {
    /// Accounts by domain and name.
    AccountPage of Account
}

fn yes() -> bool {
    true
}

impl Account {
    pub(super) fn of(
        row: &directory::Account,
        usage: &Usage,
        password_changed_at: Option<Timestamp>,
        last_login: Option<LastLogin>,
        managed_by: Option<ManagedBy>,
    ) -> Self {
        let fields = &row.fields;
        Self {
            address: row.address.to_string(),
            display_name: fields.display_name.clone(),
            enabled: fields.enabled,
            roles: fields.roles.iter().map(Role::to_string).collect(),
            quota_bytes: fields.quota_bytes,
            used_bytes: usage.size_bytes,
            message_count: usage.messages,
            protocols: fields.protocols.iter().map(Protocol::to_string).collect(),
            send_as: fields.send_as.clone(),
            forward: fields.forward.as_ref().map(AccountForward::of),
            password: SecretState::new(password_changed_at.is_some(), password_changed_at),
            last_login: last_login.map(|login| Login { at: login.at.rfc3339(), protocol: login.protocol.to_string() }),
            managed_by,
            created_at: row.created_at.rfc3339(),
            changed_at: row.changed_at.rfc3339(),
        }
    }
}

impl AccountForward {
    fn of(forward: &Forward) -> Self {
        Self { to: forward.to.iter().map(Address::to_string).collect(), keep: forward.keep }
    }

    fn read(self, faults: &mut Vec<Fault>) -> Forward {
        Forward { to: parse_all("/forward/to", &self.to, Address::parse, faults), keep: self.keep }
    }
}

impl AccountInput {
    pub(in crate::http::api) fn of(fields: &AccountFields) -> Self {
        Self {
            display_name: fields.display_name.clone(),
            password: None,
            password_hash: None,
            enabled: fields.enabled,
            roles: Some(fields.roles.iter().map(Role::to_string).collect()),
            quota_bytes: fields.quota_bytes,
            protocols: Some(fields.protocols.iter().map(Protocol::to_string).collect()),
            send_as: fields.send_as.clone(),
            forward: fields.forward.as_ref().map(AccountForward::of),
        }
    }

    /// The fields and the new password, where the caller may set them.
    pub(super) fn read(
        self,
        caller: &Caller,
        old: Option<&directory::Account>,
    ) -> Result<(AccountFields, Option<NewPassword>), Problem> {
        let (fields, password) = self.parse()?;
        may_set(caller, &fields, old)?;
        Ok((fields, password))
    }

    /// The fields and the new password.
    pub(in crate::http::api) fn parse(self) -> Result<(AccountFields, Option<NewPassword>), Problem> {
        let default = AccountFields::default();
        let mut faults = Vec::new();
        let roles = self.roles.map(|texts| parse_all("/roles", &texts, str::parse::<Role>, &mut faults));
        let protocols =
            self.protocols.map(|texts| parse_all("/protocols", &texts, str::parse::<Protocol>, &mut faults));
        let forward = self.forward.map(|forward| forward.read(&mut faults));
        let password = match (self.password, self.password_hash) {
            (Some(_), Some(_)) => return Err(both_passwords()),
            (None, None) => None,
            (Some(plain), None) => {
                if plain.len() > limits::PASSWORD_BYTES {
                    let message = format!("at most {} octets", limits::PASSWORD_BYTES);
                    faults.push(Fault::body("/password", "too_long", message));
                }
                Some(NewPassword::Plain(Secret::new(plain)))
            }
            (None, Some(hash)) => match PasswordHash::import(&hash) {
                Ok(hash) => Some(NewPassword::Hash(hash)),
                Err(error) => {
                    faults.push(Fault::body("/password_hash", "malformed", error.to_string()));
                    None
                }
            },
        };
        if !faults.is_empty() {
            return Err(Problem::invalid(faults));
        }
        let fields = AccountFields {
            display_name: self.display_name,
            enabled: self.enabled,
            roles: roles.unwrap_or(default.roles),
            quota_bytes: self.quota_bytes,
            send_as: self.send_as,
            protocols: protocols.unwrap_or(default.protocols),
            forward,
        };
        Ok((fields, password))
    }
}
