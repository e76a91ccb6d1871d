//! One closed list of settings: every key with its type, default, unit and meaning, and where its value comes from.
//!
//! Floor F3a. A value comes from the default, the data file, the environment (`PILLARBOX_SET`, one `KEY=VALUE` a
//! line) or a flag (`--set KEY=VALUE`); the later wins.

mod list;
mod stored;
mod value;

pub use list::{KEYS, Settings};
pub use stored::{Put, SETTINGS, SettingRow, TABLES, stored};
pub use value::{Key, Kind, SettingError, Source};
