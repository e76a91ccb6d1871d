use std::fmt;

use serde::{Deserialize, Serialize};

use crate::base::Networks;

/// Where a setting's value comes from; the later wins. The data file holds one value of a setting: that of the state or
/// that of the page, whichever was set last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Nobody set it.
    Default,
    /// The data file: a desired state that was applied.
    State,
    /// The data file: the admin page, the REST interface or the command line.
    Page,
    /// `PILLARBOX_SET`.
    Environment,
    /// `--set`.
    Flag,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::State => "state",
            Self::Page => "page",
            Self::Environment => "env",
            Self::Flag => "flag",
        })
    }
}

/// Who has put a value into the data file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Setter {
    /// Somebody, by the admin page, the REST interface or the command line.
    Page,
    /// A desired state that was applied.
    State,
}

impl From<Setter> for Source {
    fn from(setter: Setter) -> Self {
        match setter {
            Setter::Page => Self::Page,
            Setter::State => Self::State,
        }
    }
}

/// What a value may be. The unit stands at the end of the key: `_bytes`, `_seconds`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A whole number from 0 on.
    Number,
    /// Any text without control characters.
    Text,
    /// Whole numbers with commas between them, at least one.
    Numbers,
    /// `true` or `false`.
    Flag,
    /// Names with commas between them; none at all is an empty text.
    Names,
    /// Networks with commas between them, as in `192.0.2.0/24,2001:db8::/32`; a single address is a network of one.
    Networks,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Number => "a whole number",
            Self::Numbers => "whole numbers with commas between them, as in 60,300,3600",
            Self::Text => "a text without control characters",
            Self::Flag => "true or false",
            Self::Names => "names with commas between them, as in IDLE,MOVE",
            Self::Networks => "networks with commas between them, as in 192.0.2.0/24,2001:db8::/32",
        })
    }
}

/// What is read anew each time that it is needed. Everything else is read once, at the start.
const LIVE: &[&str] = &[
    "directory.subaddress_separator",
    "backup.daily_at",
    "backup.keep",
    "maintenance.compact_at",
    "dkim.create_keys",
    "delivery.tls_reports_from",
];

/// One entry of the closed list.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// As in `limits.recipients`.
    pub name: &'static str,
    /// What its value may be.
    pub kind: Kind,
    /// The value when nobody sets one.
    pub default: &'static str,
    /// What it means.
    pub doc: &'static str,
}

impl Key {
    /// Whether it is needed before the data file is open, so that it can't be kept there.
    pub fn precedes_file(&self) -> bool {
        self.name.starts_with("store.") || self.name.starts_with("disk.")
    }

    /// Whether a new value comes into force only when the server starts anew.
    pub fn needs_restart(&self) -> bool {
        !LIVE.contains(&self.name)
    }
}

/// Why a setting is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// Not `KEY=VALUE`.
    #[error("setting {0:?} has no value: the form is KEY=VALUE")]
    Form(String),
    /// Not in the list.
    #[error("there is no setting {name:?}; the nearest is {nearest}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// The key that is spelled most like it.
        nearest: &'static str,
    },
    /// The value is not of the key's kind.
    #[error("setting {name}: {value:?} is not {kind}")]
    Value {
        /// The key.
        name: &'static str,
        /// What was given.
        value: String,
        /// What is wanted.
        kind: Kind,
    },
    /// The value is of the key's kind, and means nothing there.
    #[error("setting {name}: {value:?} is not {wanted}")]
    Meaning {
        /// The key.
        name: &'static str,
        /// What was given.
        value: String,
        /// What is wanted.
        wanted: &'static str,
    },
    /// Nothing would work with a 0 there.
    #[error("setting {0} must be at least 1")]
    Zero(&'static str),
    /// The key is needed before the data file is open.
    #[error("setting {0} is needed before the data file is open: give it by --set or PILLARBOX_SET")]
    PrecedesFile(&'static str),
}

impl SettingError {
    /// The key that it is about, as it was given.
    pub fn key(&self) -> &str {
        match self {
            Self::Form(text) => text,
            Self::Unknown { name, .. } => name,
            Self::Value { name, .. } | Self::Meaning { name, .. } | Self::Zero(name) | Self::PrecedesFile(name) => name,
        }
    }
}

/// A type that a setting may have.
pub(super) trait Value: Sized {
    const KIND: Kind;
    fn parse(text: &str) -> Option<Self>;
}

macro_rules! number_value {
    ($($name:ty),*) => {$(
        impl Value for $name {
            const KIND: Kind = Kind::Number;
            fn parse(text: &str) -> Option<Self> {
                // A sign would parse, and is a slip.
                text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
            }
        }
    )*};
}
number_value!(u64, usize);

impl Value for Vec<u64> {
    const KIND: Kind = Kind::Numbers;
    fn parse(text: &str) -> Option<Self> {
        text.split(',').map(|number| u64::parse(number.trim())).collect()
    }
}

impl Value for String {
    const KIND: Kind = Kind::Text;
    fn parse(text: &str) -> Option<Self> {
        (!text.chars().any(char::is_control)).then(|| text.to_owned())
    }
}

impl Value for bool {
    const KIND: Kind = Kind::Flag;
    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Value for Vec<String> {
    const KIND: Kind = Kind::Names;
    fn parse(text: &str) -> Option<Self> {
        let is_name = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic());
        let names = text.split(',').map(str::trim).filter(|_| !text.trim().is_empty());
        names.map(|name| is_name(name).then(|| name.to_owned())).collect()
    }
}

impl Value for Networks {
    const KIND: Kind = Kind::Networks;
    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}
