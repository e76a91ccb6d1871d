use super::list::{Settings, key};
use super::stored::{SETTINGS, SettingRow, stored};
use super::value::{Setter, SettingError};
use crate::base::Timestamp;
use crate::store::{Halt, Op, Read, StoreError, Topic, Tx};

/// The bus topic of changed settings.
pub const SETTINGS_TOPIC: &str = "settings";

/// Keeps values in the file, or forgets them: all of them, or none when one of them can't be.
#[derive(Debug, Clone)]
pub struct Change {
    /// Each key with its value; `None` to go back to the default.
    pub values: Vec<(String, Option<String>)>,
    /// Who sets them.
    pub setter: Setter,
    /// What the file must still hold, where that matters: as [`stored`] has given it.
    pub expected: Option<Vec<(String, SettingRow)>>,
    /// Now.
    pub at: Timestamp,
}

/// Why settings are not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeRefused {
    /// The file holds something else than expected.
    #[error("the settings were changed meanwhile")]
    Precondition,
    /// What is wrong with each value that can't be taken.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Values(Vec<SettingError>),
}

impl Change {
    /// What is wrong with a value for that key.
    ///
    /// # Errors
    /// [`SettingError`].
    pub fn check_value(&self, name: &str, value: Option<&str>) -> Result<(), SettingError> {
        let key = key(name)?;
        let Some(value) = value else { return Ok(()) };
        if key.precedes_file() {
            return Err(SettingError::PrecedesFile(key.name));
        }
        Settings::gather(&[(name.to_owned(), self.row(value))], "", &[])?.check_meaning()
    }

    fn row(&self, value: &str) -> SettingRow {
        SettingRow { value: value.to_owned(), changed_at: self.at, setter: self.setter }
    }
}

impl Op for Change {
    type Plan = ();
    type Out = ();
    type Refused = ChangeRefused;

    fn name(&self) -> &'static str {
        "settings.change"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<(), Halt<ChangeRefused>> {
        if let Some(expected) = &self.expected
            && *expected != stored(tx)?
        {
            return Err(Halt::Refused(ChangeRefused::Precondition));
        }
        let faults = self.values.iter().filter_map(|(name, value)| self.check_value(name, value.as_deref()).err());
        let faults: Vec<SettingError> = faults.collect();
        if faults.is_empty() { Ok(()) } else { Err(Halt::Refused(ChangeRefused::Values(faults))) }
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        for (name, value) in &self.values {
            let old = tx.get(&SETTINGS, name)?;
            match value {
                // What is there already has not changed.
                Some(value) if old.is_some_and(|old| old.value == *value && old.setter == self.setter) => {}
                Some(value) => tx.put(&SETTINGS, name, &self.row(value))?,
                None => drop(tx.remove(&SETTINGS, name)?),
            }
        }
        tx.announce(Topic(SETTINGS_TOPIC, 0));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::base::SystemClock;
    use crate::settings::{Source, TABLES};
    use crate::store::{Options, Schema, Store, WriteError};

    static SCHEMA: Schema = Schema { version: 1, tables: TABLES, checks: &[], migrations: &[] };

    fn store() -> Store {
        Store::open(Options::memory(Arc::new(SystemClock)), &SCHEMA).unwrap()
    }

    fn put(store: &Store, values: &[(&str, Option<&str>)], setter: Setter, at: u64) -> Result<(), ChangeRefused> {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned))).collect();
        let change = Change { values, setter, expected: None, at: Timestamp(at) };
        store.write_blocking(change).map(drop).map_err(|error| match error {
            WriteError::Refused(refused) => refused,
            error => panic!("{error:?}"),
        })
    }

    fn check(name: &str, value: &str, expected: Result<(), SettingError>) {
        let store = store();
        let seen = put(&store, &[(name, Some(value))], Setter::Page, 1);
        assert_eq!(seen, expected.clone().map_err(|fault| ChangeRefused::Values(vec![fault])), "{name}");
        let kept = stored(&store.view().unwrap()).unwrap();
        let settings = Settings::gather(&kept, "", &[]).unwrap();
        match expected {
            Ok(()) => assert_eq!(settings.origin(name).unwrap(), (Source::Page, value)),
            Err(_) => assert_eq!(kept, []),
        }
        put(&store, &[("limits.recipients", None)], Setter::Page, 2).unwrap();
    }

    #[test]
    fn the_file_keeps_what_fits_the_list() {
        check("limits.recipients", "7", Ok(()));
        check("store.cache_bytes", "7", Err(SettingError::PrecedesFile("store.cache_bytes")));
        let unknown = SettingError::Unknown { name: "limits.rcpt".into(), nearest: "limits.recipients" };
        check("limits.rcpt", "7", Err(unknown));
        let kind = crate::settings::Kind::Number;
        let wrong = SettingError::Value { name: "limits.recipients", value: "x".into(), kind };
        check("limits.recipients", "x", Err(wrong));
        check("queue.expiry_seconds", "0", Err(SettingError::Zero("queue.expiry_seconds")));
    }

    #[test]
    fn no_value_keeps_the_server_from_starting_again() {
        let refused = |name: &str, value: &str| {
            let Err(ChangeRefused::Values(faults)) = put(&store(), &[(name, Some(value))], Setter::Page, 1) else {
                panic!("{name}={value} is taken")
            };
            assert_eq!(faults[0].key(), name);
        };
        refused("smtp.hostname", "no host name");
        refused("delivery.capture_to", "nobody");
        refused("directory.subaddress_separator", "ab");
        refused("directory.subaddress_separator", ".");
        check("smtp.hostname", "mail.example.test", Ok(()));
        check("directory.subaddress_separator", "-", Ok(()));
        check("directory.subaddress_separator", "", Ok(()));
    }

    #[test]
    fn all_are_kept_or_none() {
        let store = store();
        let both = [("limits.recipients", Some("7")), ("smtp.idle_seconds", Some("x")), ("nothing", None)];
        let Err(ChangeRefused::Values(faults)) = put(&store, &both, Setter::Page, 1) else { panic!("taken") };
        assert_eq!(faults.iter().map(SettingError::key).collect::<Vec<_>>(), ["smtp.idle_seconds", "nothing"]);
        assert_eq!(stored(&store.view().unwrap()).unwrap(), []);
        put(&store, &both[..1], Setter::State, 2).unwrap();
        put(&store, &both[..1], Setter::State, 3).unwrap();
        let kept = stored(&store.view().unwrap()).unwrap();
        assert_eq!(kept[0].1.changed_at, Timestamp(2), "the same again is no change");
        let change = |expected| Change {
            values: vec![("limits.recipients".into(), None)],
            setter: Setter::Page,
            expected: Some(expected),
            at: Timestamp(4),
        };
        let late = store.write_blocking(change(Vec::new())).map(drop);
        assert_eq!(late, Err(WriteError::Refused(ChangeRefused::Precondition)));
        store.write_blocking(change(kept)).map(drop).unwrap();
        assert_eq!(stored(&store.view().unwrap()).unwrap(), []);
    }
}
