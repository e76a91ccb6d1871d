use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::openapi::{ObjectBuilder, OneOfBuilder, Ref, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::base::Timestamp;
use crate::http::managed::ManagedBy;
use crate::http::problem::{Fault, Problem};
use crate::http::validate::below;
use crate::settings::{Key, Kind, Live, Setter, SettingError, SettingRow, Source};

/// A setting.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Setting {
    /// Its key, as in `limits.recipients`; a unit stands at its end.
    pub key: String,
    /// Its value, by all that sets it: what is in force now, or from the next start on.
    value: SettingValue,
    /// Its value when nobody sets it.
    default: SettingValue,
    /// Where the value comes from.
    source: SettingSource,
    /// What a value may be.
    kind: SettingKind,
    /// What it means.
    doc: String,
    /// Whether a new value comes into force only when the server starts anew.
    needs_restart: bool,
    /// Whether the server works with `value` already; false: from its next start on.
    in_force: bool,
    /// What the data file holds; null: nothing.
    stored_value: Option<SettingValue>,
    /// Whether the environment or a flag is in force over what the data file holds.
    overridden: bool,
    /// What keeps the value in the data file as it is: `state` where a desired state that was applied has set it, else
    /// null. It can be changed by hand all the same: the next state that is applied sets it back.
    managed_by: Option<ManagedBy>,
    /// When the value in the data file was set.
    changed_at: Option<String>,
}

/// The settings, in the order of the documentation.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct SettingList {
    /// Each.
    pub items: Vec<Setting>,
}

/// A setting's value, in the form of its kind. A text in the form that `--set` takes is understood for every kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub(in crate::http) enum SettingValue {
    /// `flag`
    Flag(bool),
    /// `number`
    Number(u64),
    /// `text`
    Text(String),
    /// `numbers`, `names`, `networks`
    List(Vec<SettingItem>),
}

/// One of several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub(in crate::http) enum SettingItem {
    /// `numbers`
    Number(u64),
    /// `names`, `networks`
    Text(String),
}

/// What is to be set, as the document describes it; [`SettingsPatch::read`] reads it.
pub(in crate::http) struct SettingsPatchDocument;

impl PartialSchema for SettingsPatchDocument {
    fn schema() -> RefOr<Schema> {
        let null = ObjectBuilder::new().schema_type(Type::Null);
        let value = OneOfBuilder::new().item(null).item(Ref::from_schema_name(SettingValue::name())).build();
        let text = "Keys with their values; null takes one back to its default.";
        let example = serde_json::json!({"limits.recipients": 500, "queue.retry_seconds": null});
        let object = ObjectBuilder::new().schema_type(Type::Object).description(Some(text)).examples([example]);
        object.additional_properties(Some(Schema::OneOf(value))).into()
    }
}

impl ToSchema for SettingsPatchDocument {
    fn name() -> std::borrow::Cow<'static, str> {
        "SettingsPatch".into()
    }
}

/// Where a setting's value comes from; the later wins.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum SettingSource {
    /// Nobody set it.
    Default,
    /// A desired state that was applied.
    State,
    /// The admin page, this interface or the command line.
    Page,
    /// `PILLARBOX_SET`.
    Env,
    /// `--set`.
    Flag,
}

/// What a setting's value may be.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum SettingKind {
    /// A whole number from 0 on.
    Number,
    /// Any text without control characters.
    Text,
    /// Whole numbers, at least one.
    Numbers,
    /// True or false.
    Flag,
    /// Names.
    Names,
    /// Networks, as in `192.0.2.0/24`; a single address is a network of one.
    Networks,
}

impl Setting {
    /// The setting of that key; `rows`: what the data file holds.
    pub(super) fn of(key: &Key, live: &Live, rows: &[(String, SettingRow)]) -> Result<Self, SettingError> {
        let now = live.now();
        let ((source, value), (_, at_start)) = (now.origin(key.name)?, live.at_start().origin(key.name)?);
        let row = rows.iter().find(|(name, _)| name == key.name).map(|(_, row)| row);
        Ok(Self {
            key: key.name.to_owned(),
            value: SettingValue::of(key.kind, value),
            default: SettingValue::of(key.kind, key.default),
            source: source.into(),
            kind: key.kind.into(),
            doc: key.doc.trim().to_owned(),
            needs_restart: key.needs_restart(),
            in_force: !key.needs_restart() || at_start == value,
            stored_value: row.map(|row| SettingValue::of(key.kind, &row.value)),
            managed_by: row.filter(|row| row.setter == Setter::State).map(|_| ManagedBy::State),
            overridden: row.is_some() && source > Source::Page,
            changed_at: row.map(|row| Timestamp::rfc3339(row.changed_at)),
        })
    }
}

impl SettingValue {
    /// The value in the form of its kind.
    pub fn of(kind: Kind, text: &str) -> Self {
        let parts = || text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let names = || Self::List(parts().map(|part| SettingItem::Text(part.to_owned())).collect());
        let whole = || Self::Text(text.to_owned());
        match kind {
            Kind::Flag => text.parse().map_or_else(|_| whole(), Self::Flag),
            Kind::Number => text.parse().map_or_else(|_| whole(), Self::Number),
            Kind::Numbers => {
                let numbers = parts().map(|part| part.parse().map(SettingItem::Number)).collect::<Result<_, _>>();
                numbers.map_or_else(|_| whole(), Self::List)
            }
            Kind::Text => whole(),
            Kind::Names | Kind::Networks => names(),
        }
    }

    /// The same in the form that `--set` takes.
    pub fn text(&self) -> String {
        let item = |item: &SettingItem| match item {
            SettingItem::Number(number) => number.to_string(),
            SettingItem::Text(text) => text.clone(),
        };
        match self {
            Self::Flag(flag) => flag.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
            Self::List(items) => items.iter().map(item).collect::<Vec<_>>().join(","),
        }
    }
}

/// What is to be set, as read: each key with its value as text; `None` takes it back to its default.
pub(in crate::http) struct SettingsPatch(pub Vec<(String, Option<String>)>);

impl SettingsPatch {
    /// What that key is set to; `None`: it is not, or back to its default.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == key).and_then(|(_, value)| value.as_deref())
    }

    /// Reads the object of a body.
    pub fn read(patch: Value) -> Result<Self, Problem> {
        let (mut values, mut faults) = (Vec::new(), Vec::new());
        for (name, value) in patch.as_object().into_iter().flatten() {
            match serde_json::from_value::<Option<SettingValue>>(value.clone()) {
                Ok(value) => values.push((name.clone(), value.map(|value| value.text()))),
                Err(_) => {
                    let message = "a text, a whole number, true, false, a list of these, or null";
                    faults.push(Fault::body(below("", name), "wrong_type", message));
                }
            }
        }
        if faults.is_empty() { Ok(Self(values)) } else { Err(Problem::invalid(faults)) }
    }
}

impl From<Source> for SettingSource {
    fn from(source: Source) -> Self {
        match source {
            Source::Default => Self::Default,
            Source::State => Self::State,
            Source::Page => Self::Page,
            Source::Environment => Self::Env,
            Source::Flag => Self::Flag,
        }
    }
}

impl From<Kind> for SettingKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Number => Self::Number,
            Kind::Text => Self::Text,
            Kind::Numbers => Self::Numbers,
            Kind::Flag => Self::Flag,
            Kind::Names => Self::Names,
            Kind::Networks => Self::Networks,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_go_there_and_back() {
        for (kind, text, shown) in [
            (Kind::Number, "7", json!(7)),
            (Kind::Flag, "true", json!(true)),
            (Kind::Text, "a,b", json!("a,b")),
            (Kind::Numbers, "60,300", json!([60, 300])),
            (Kind::Names, "", json!([])),
            (Kind::Networks, "127.0.0.0/8,::1/128", json!(["127.0.0.0/8", "::1/128"])),
        ] {
            let value = SettingValue::of(kind, text);
            assert_eq!((serde_json::to_value(&value).unwrap(), value.text()), (shown, text.to_owned()));
        }
    }
}
