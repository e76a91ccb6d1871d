use serde_json::{Map, Value};

use super::shape::secret_seen;
use crate::base::{Address, DomainName, Timestamp};
use crate::http::api::accounts::AccountInput;
use crate::http::api::aliases::AliasInput;
use crate::http::api::domains::DomainInput;
use crate::http::api::mail_routes::Route;
use crate::http::api::peers::PeerInput;
use crate::http::api::settings::SettingValue;
use crate::http::managed::{self, ManagedBy};
use crate::settings::{self, SETTINGS};
use crate::store::{Read, StoreError};
use crate::{directory, queue, turn};

/// A part of the state: one kind of thing. The order is that in which they are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::http::api) enum Section {
    Settings,
    Domains,
    Accounts,
    Aliases,
    Peers,
    Routes,
}

/// A thing as it is.
pub(super) struct Seen {
    /// Its name, as it is spelled.
    pub name: String,
    /// The name in the form by which names are compared.
    pub key: String,
    /// What is set of it.
    pub value: Value,
    /// When it was created.
    pub created_at: Timestamp,
    /// Changes with every change of it.
    version: u64,
}

impl Section {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Settings, Self::Domains, Self::Accounts, Self::Aliases, Self::Peers, Self::Routes];

    /// What keeps a thing of the section as it is; settings say it by their setter.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn managed_by(
        self,
        read: &impl Read,
        key: &str,
        created_at: Timestamp,
    ) -> Result<Option<ManagedBy>, StoreError> {
        managed::managed_by(read, self.name(), key, created_at)
    }

    /// Its name in the document.
    pub fn name(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Domains => "domains",
            Self::Accounts => "accounts",
            Self::Aliases => "aliases",
            Self::Peers => "peers",
            Self::Routes => "routes",
        }
    }

    /// The form of a name by which it is compared.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn key(self, name: &str) -> Result<String, String> {
        match self {
            Self::Domains => DomainName::parse(name).map(|name| name.to_string()).map_err(|error| error.to_string()),
            Self::Accounts | Self::Aliases => match Address::parse(name) {
                Ok(address) if address.host.name().is_some() => Ok(address.key()),
                Ok(_) => Err("an address with a domain name".into()),
                Err(error) => Err(error.to_string()),
            },
            Self::Settings | Self::Peers | Self::Routes => Ok(name.to_owned()),
        }
    }

    /// The thing of that name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) fn find(self, read: &impl Read, name: &str) -> Result<Option<Seen>, StoreError> {
        Ok(match self {
            Self::Settings => read.get(&SETTINGS, &name.to_owned())?.and_then(|row| setting(name.to_owned(), &row)),
            Self::Domains => match DomainName::parse(name) {
                Ok(name) => directory::domain(read, &name)?.map(|row| domain(&row)),
                Err(_) => None,
            },
            Self::Accounts => match Address::parse(name) {
                Ok(address) => directory::account(read, &address)?.map(|row| account(read, &row)).transpose()?,
                Err(_) => None,
            },
            Self::Aliases => match Address::parse(name) {
                Ok(address) => directory::alias(read, &address)?.map(|row| alias(&row)),
                Err(_) => None,
            },
            Self::Peers => turn::peer(read, name)?.map(|row| peer(&row)),
            Self::Routes => queue::route(read, name)?.map(|row| route(&row)),
        })
    }

    /// All things of the section.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) fn all(self, read: &impl Read) -> Result<Vec<Seen>, StoreError> {
        Ok(match self {
            Self::Settings => {
                let rows = settings::stored(read)?;
                rows.into_iter().filter_map(|(name, row)| setting(name, &row)).collect()
            }
            Self::Domains => directory::domains(read, None, usize::MAX)?.iter().map(domain).collect(),
            Self::Accounts => {
                let rows = directory::accounts(read, None, None, usize::MAX)?;
                rows.iter().map(|row| account(read, row)).collect::<Result<_, _>>()?
            }
            Self::Aliases => directory::aliases(read, None, None, usize::MAX)?.iter().map(alias).collect(),
            Self::Peers => turn::peers(read, None, usize::MAX)?.iter().map(peer).collect(),
            Self::Routes => queue::routes(read, None, usize::MAX)?.iter().map(route).collect(),
        })
    }
}

/// The whole state as it is.
///
/// # Errors
/// [`StoreError`].
pub(super) fn seen(read: &impl Read) -> Result<Map<String, Value>, StoreError> {
    let mut state = Map::new();
    state.insert("version".into(), 1.into());
    for section in Section::ALL {
        let things: Map<String, Value> =
            section.all(read)?.into_iter().map(|thing| (thing.name, thing.value)).collect();
        state.insert(section.name().into(), things.into());
    }
    Ok(state)
}

/// The ETag of the whole state: it changes with every change of any part.
///
/// # Errors
/// [`StoreError`].
pub(super) fn version(read: &impl Read) -> Result<String, StoreError> {
    let mut hasher = blake3::Hasher::new();
    for section in Section::ALL {
        hasher.update(section.name().as_bytes());
        for thing in section.all(read)? {
            hasher.update(&(thing.key.len() as u64).to_be_bytes());
            hasher.update(thing.key.as_bytes());
            hasher.update(&thing.version.to_be_bytes());
            if section == Section::Settings {
                hasher.update(thing.value.to_string().as_bytes());
            }
        }
    }
    Ok(format!("\"s{}\"", &hasher.finalize().to_hex()[..16]))
}

fn setting(name: String, row: &settings::SettingRow) -> Option<Seen> {
    let key = settings::key(&name).ok()?;
    let value = plain(SettingValue::of(key.kind, &row.value));
    Some(Seen { key: name.clone(), name, value, created_at: row.changed_at, version: row.changed_at.ms() })
}

fn domain(row: &directory::Domain) -> Seen {
    let name = row.name.to_string();
    let value = plain(DomainInput::of(&row.fields));
    Seen { key: name.clone(), name, value, created_at: row.created_at, version: row.version }
}

fn account(read: &impl Read, row: &directory::Account) -> Result<Seen, StoreError> {
    let mut value = plain(AccountInput::of(&row.fields));
    value["password"] = secret_seen(directory::password(read, row.id)?.is_some());
    let (name, key) = (row.address.to_string(), row.address.key());
    Ok(Seen { name, key, value, created_at: row.created_at, version: row.version })
}

fn alias(row: &directory::Alias) -> Seen {
    let value = plain(AliasInput::of(&row.fields));
    let (name, key) = (row.address.to_string(), row.address.key());
    Seen { name, key, value, created_at: row.created_at, version: row.version }
}

fn peer(row: &turn::Peer) -> Seen {
    let mut value = plain(PeerInput::of(&row.fields));
    if row.fields.login.is_some() {
        show_secret(&mut value);
    }
    let name = row.name.clone();
    Seen { key: name.clone(), name, value, created_at: row.created_at, version: row.version }
}

fn route(row: &queue::Route) -> Seen {
    let mut value = plain(Route::of(row, None));
    for field in ["name", "created_at", "changed_at", "managed_by"] {
        value.as_object_mut().and_then(|fields| fields.remove(field));
    }
    show_secret(&mut value);
    let name = row.name.clone();
    Seen { key: name.clone(), name, value, created_at: row.created_at, version: row.version }
}

fn show_secret(value: &mut Value) {
    if let Some(auth) = value.get_mut("auth").and_then(Value::as_object_mut) {
        auth.insert("secret".into(), secret_seen(true));
    }
}

/// As JSON, without the fields that are null: those are at their defaults.
fn plain(thing: impl serde::Serialize) -> Value {
    let mut value = serde_json::to_value(thing).unwrap_or_default();
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    value
}
