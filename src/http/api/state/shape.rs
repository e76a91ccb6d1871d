use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::section::Section;
use crate::base::{Address, limits};
use crate::http::api::accounts::AccountInput;
use crate::http::api::aliases::AliasInput;
use crate::http::api::domains::DomainInput;
use crate::http::api::mail_routes::RouteInput;
use crate::http::api::peers::PeerInput;
use crate::http::api::settings::SettingValue;
use crate::http::problem::{Fault, Problem};
use crate::http::validate::below;

/// The form of the document.
const VERSION: u64 = 1;

/// A desired state: of each section, things by their names, each with the fields that its own PUT takes. A section that
/// is left out is left alone.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it describes, and the body is held to it; Wanted::read reads")]
pub(in crate::http) struct StateInput {
    /// The form of this document.
    #[schema(minimum = 1, maximum = 1, default = 1, required = false)]
    version: u64,
    /// Domains by name.
    #[schema(required = false, nullable = false)]
    domains: BTreeMap<String, DomainInput>,
    /// Accounts by address.
    #[schema(required = false, nullable = false)]
    accounts: BTreeMap<String, AccountInput>,
    /// Aliases by address.
    #[schema(required = false, nullable = false)]
    aliases: BTreeMap<String, AliasInput>,
    /// Routes by name.
    #[schema(required = false, nullable = false)]
    routes: BTreeMap<String, RouteInput>,
    /// TURN peers by name.
    #[schema(required = false, nullable = false)]
    peers: BTreeMap<String, PeerInput>,
    /// Settings by key.
    #[schema(required = false, nullable = false)]
    settings: BTreeMap<String, SettingValue>,
    /// With `prune=true`: accounts that may be removed with all their mail.
    #[schema(required = false, nullable = false, max_items = 10_000)]
    allow_data_loss: Vec<String>,
}

/// The state as it is: of each section, things by their names, in the form that PUT takes.
#[derive(Serialize, ToSchema)]
#[schema(as = State, value_type = StateDocument)]
pub(in crate::http) struct StateSeen(pub Map<String, Value>);

/// What was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(in crate::http) struct StateDone {
    /// Whether it was; false for a dry run.
    pub applied: bool,
    /// Each change, in the order of the sections and names. None: everything was so already.
    pub changes: Vec<StateChange>,
    /// What there is to know besides.
    pub warnings: Vec<String>,
}

/// A change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(in crate::http) struct StateChange {
    /// What kind of change.
    pub op: StateOp,
    /// What is changed, as a pointer into the state (RFC 6901): a thing, or a field of it.
    pub path: String,
    /// What was there; null when nothing was. A secret is shown as `{"set": true}`.
    pub before: Value,
    /// What is there then; null when nothing is. A new secret is shown as `{"set": true, "new": true}`.
    pub after: Value,
}

/// A kind of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum StateOp {
    /// The thing is new.
    Add,
    /// A field gets another value.
    Change,
    /// The thing goes.
    Remove,
}

/// A thing that a state names.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// As the state names it.
    pub name: String,
    /// The same in the one form by which names are compared.
    pub key: String,
    /// What is set of it.
    pub value: Value,
}

/// A state as read.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    sections: BTreeMap<Section, Vec<Item>>,
    /// The keys of the accounts that may go with their mail.
    pub allow_data_loss: HashSet<String>,
}

impl Wanted {
    /// Reads a body that fits the schema.
    ///
    /// # Errors
    /// 422 with what is wrong with the names, and when there are too many.
    pub fn read(mut body: Value) -> Result<Self, Problem> {
        let (mut wanted, mut faults, mut count) = (Self::default(), Vec::new(), 0);
        if body["version"].as_u64().is_some_and(|version| version != VERSION) {
            faults.push(Fault::body("/version", "not_allowed", "the only version is 1"));
        }
        for section in Section::ALL {
            let Some(Value::Object(fields)) = body.get_mut(section.name()).map(Value::take) else { continue };
            count += fields.len();
            let items = read_section(section, fields, &mut faults);
            wanted.sections.insert(section, items);
        }
        for (place, address) in body["allow_data_loss"].as_array().into_iter().flatten().enumerate() {
            match address.as_str().map(Address::parse) {
                Some(Ok(address)) => drop(wanted.allow_data_loss.insert(address.key())),
                _ => faults.push(Fault::body(format!("/allow_data_loss/{place}"), "malformed", "not an address")),
            }
        }
        if count > limits::STATE_OBJECTS {
            faults = vec![Fault::body("", "too_many", format!("at most {} things in all", limits::STATE_OBJECTS))];
        }
        if faults.is_empty() { Ok(wanted) } else { Err(Problem::invalid(faults)) }
    }

    /// What a section names; `None` when the state leaves the section out.
    pub fn section(&self, section: Section) -> Option<&[Item]> {
        self.sections.get(&section).map(Vec::as_slice)
    }

    /// What a setting is to be, as text.
    pub fn setting(&self, key: &str) -> Option<String> {
        let item = self.section(Section::Settings)?.iter().find(|item| item.name == key)?;
        Some(SettingValue::deserialize(&item.value).ok()?.text())
    }

    /// The accounts with a password in the clear.
    pub fn passwords(&self) -> impl Iterator<Item = (&Item, &str)> {
        let accounts = self.section(Section::Accounts).unwrap_or_default().iter();
        accounts.filter_map(|item| Some((item, item.value["password"].as_str()?)))
    }

    /// Whether there are any.
    pub fn has_passwords(&self) -> bool {
        self.passwords().next().is_some()
    }
}

fn read_section(section: Section, fields: Map<String, Value>, faults: &mut Vec<Fault>) -> Vec<Item> {
    let (mut items, mut keys) = (Vec::with_capacity(fields.len()), HashSet::new());
    for (name, value) in fields {
        let pointer = below(&below("", section.name()), &name);
        match section.key(&name) {
            Ok(key) if !keys.insert(key.clone()) => {
                faults.push(Fault::body(pointer, "twice", format!("{key} is named twice")));
            }
            Ok(key) => items.push(Item { name, key, value }),
            Err(error) => faults.push(Fault::body(pointer, "malformed", error)),
        }
    }
    items
}

/// Takes out of a body what GET shows of secrets: an object with `set` in the place of a text.
pub(super) fn drop_seen_secrets(body: &mut Value) {
    let is_seen = |value: &Value| value.as_object().is_some_and(|fields| fields.contains_key("set"));
    for (section, place, field) in
        [("accounts", "", "password"), ("routes", "/auth", "secret"), ("peers", "/auth", "secret")]
    {
        for thing in body.get_mut(section).and_then(Value::as_object_mut).into_iter().flat_map(|all| all.values_mut()) {
            if let Some(fields) = thing.pointer_mut(place).and_then(Value::as_object_mut)
                && fields.get(field).is_some_and(is_seen)
            {
                fields.remove(field);
            }
        }
    }
}

/// What is shown of a secret.
pub(super) fn secret_seen(set: bool) -> Value {
    json!({ "set": set })
}

/// The state, for the document.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes StateSeen")]
pub(in crate::http) struct StateDocument {
    /// The form of this document.
    version: u64,
    /// Domains by name.
    domains: BTreeMap<String, Value>,
    /// Accounts by address.
    accounts: BTreeMap<String, Value>,
    /// Aliases by address.
    aliases: BTreeMap<String, Value>,
    /// Routes by name.
    routes: BTreeMap<String, Value>,
    /// TURN peers by name.
    peers: BTreeMap<String, Value>,
    /// Settings by key, as far as the data file holds them.
    settings: BTreeMap<String, Value>,
}
