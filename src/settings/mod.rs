//! One closed list of settings: every key with its type, default, unit and meaning, and where its value comes from.
//!
//! Floor F3a. A value comes from the default, the data file (a state that was applied, or the page), the environment
//! (`PILLARBOX_SET`, one `KEY=VALUE` a line) or a flag (`--set KEY=VALUE`); the later wins.

mod change;
mod list;
mod live;
mod stored;
mod value;

pub use change::{Change, ChangeRefused, SETTINGS_TOPIC};
pub use list::{KEYS, Settings, key};
pub use live::Live;
pub use stored::{SETTINGS, SettingRow, TABLES, stored};
pub use value::{Key, Kind, Setter, SettingError, Source};
