use serde::{Deserialize, Serialize};

use super::list::{Settings, key};
use super::value::SettingError;
use crate::base::Timestamp;
use crate::postcard_row;
use crate::store::{AnyTable, Halt, Op, Read, Span, StoreError, Table, Tx};

/// The settings that the file holds.
pub static SETTINGS: Table<String, SettingRow> = Table::new("settings");
/// The room's tables.
pub const TABLES: &[&dyn AnyTable] = &[&SETTINGS];

/// A setting's value in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingRow {
    /// The value as text.
    pub value: String,
    /// When it was set.
    pub changed_at: Timestamp,
}
postcard_row!(SettingRow, 1);

/// What the file sets, for [`Settings::gather`].
///
/// # Errors
/// [`StoreError`].
pub fn stored(read: &impl Read) -> Result<Vec<(String, String)>, StoreError> {
    let rows = read.rows(&SETTINGS, Span::all(), usize::MAX)?;
    Ok(rows.into_iter().map(|(name, row)| (name, row.value)).collect())
}

/// Keeps a setting in the file, or forgets it. It is in force from the next start on.
#[derive(Debug, Clone)]
pub struct Put {
    /// The key.
    pub name: String,
    /// The value; `None` to go back to the default.
    pub value: Option<String>,
    /// Now.
    pub at: Timestamp,
}

impl Op for Put {
    type Plan = ();
    type Out = ();
    type Refused = SettingError;

    fn name(&self) -> &'static str {
        "settings.put"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<SettingError>> {
        let key = key(&self.name).map_err(Halt::Refused)?;
        if key.precedes_file() {
            return Err(Halt::Refused(SettingError::PrecedesFile(key.name)));
        }
        let value = self.value.iter().map(|value| (self.name.clone(), value.clone())).collect::<Vec<_>>();
        Settings::gather(&value, "", &[]).map_err(Halt::Refused)?;
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        match &self.value {
            Some(value) => tx.put(&SETTINGS, &self.name, &SettingRow { value: value.clone(), changed_at: self.at }),
            None => tx.remove(&SETTINGS, &self.name).map(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::base::SystemClock;
    use crate::settings::Source;
    use crate::store::{Options, Schema, Store, WriteError};

    static SCHEMA: Schema = Schema { version: 1, tables: TABLES, checks: &[] };

    fn check(name: &str, value: Option<&str>, expected: Result<(), SettingError>) {
        let store = Store::open(Options::memory(Arc::new(SystemClock)), &SCHEMA).unwrap();
        let put = |value: Option<&str>| {
            let value = value.map(str::to_owned);
            store.write_blocking(Put { name: name.into(), value, at: Timestamp(1) }).map(|done| done.into_inner())
        };
        assert_eq!(put(value), expected.clone().map_err(WriteError::Refused), "{name}");
        let kept = stored(&store.view().unwrap()).unwrap();
        let settings = Settings::gather(&kept, "", &[]).unwrap();
        match (expected, value) {
            (Ok(()), Some(value)) => assert_eq!(settings.origin(name).unwrap(), (Source::File, value)),
            _ => assert_eq!(kept, []),
        }
        if kept.len() == 1 {
            put(None).unwrap();
            assert_eq!(stored(&store.view().unwrap()).unwrap(), []);
        }
    }

    #[test]
    fn the_file_keeps_what_fits_the_list() {
        check("limits.recipients", Some("7"), Ok(()));
        check("limits.recipients", None, Ok(()));
        check("store.cache_bytes", Some("7"), Err(SettingError::PrecedesFile("store.cache_bytes")));
        let unknown = SettingError::Unknown { name: "limits.rcpt".into(), nearest: "limits.recipients" };
        check("limits.rcpt", Some("7"), Err(unknown));
        let kind = crate::settings::Kind::Number;
        let wrong = SettingError::Value { name: "limits.recipients", value: "x".into(), kind };
        check("limits.recipients", Some("x"), Err(wrong));
    }
}
