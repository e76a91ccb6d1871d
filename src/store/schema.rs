use super::error::StoreError;
use super::key::Key;
use super::row::Row;
use super::table::Table;
use super::view::View;

/// A table whatever its types, for what treats all tables alike: check, copy, migrate.
pub trait AnyTable: Sync {
    /// Its name in the file.
    fn name(&self) -> &'static str;
    /// What is wrong with a row, if anything is.
    fn fault(&self, key: &[u8], value: &[u8]) -> Option<String>;
}

impl<K: Key, V: Row> AnyTable for Table<K, V> {
    fn name(&self) -> &'static str {
        Table::name(self)
    }

    fn fault(&self, mut key: &[u8], value: &[u8]) -> Option<String> {
        if K::read(&mut key).is_none() || !key.is_empty() {
            return Some("the key does not decode".into());
        }
        match value.split_first() {
            None => Some("the row is empty".into()),
            Some((version, bytes)) if V::decode(*version, bytes).is_none() => {
                Some(format!("the row (version {version}) does not decode"))
            }
            Some(_) => None,
        }
    }
}

/// What a check has found.
#[derive(Debug, Default)]
pub struct Findings(Vec<String>);

impl Findings {
    /// Records one.
    pub fn add(&mut self, what: impl Into<String>) {
        self.0.push(what.into());
    }

    /// All of them; empty when all is well.
    pub fn lines(&self) -> &[String] {
        &self.0
    }
}

/// A room's check of its tables against each other and against others.
pub struct CrossCheck {
    /// What it compares.
    pub name: &'static str,
    /// Adds a finding for each disagreement.
    pub run: fn(&View, &mut Findings) -> Result<(), StoreError>,
}

/// What the file holds: passed to [`super::Store::open`] by the floor that knows all rooms.
pub struct Schema {
    /// Rises with every change that older programs can't read.
    pub version: u32,
    /// Every table.
    pub tables: &'static [&'static dyn AnyTable],
    /// Every cross-table check.
    pub checks: &'static [CrossCheck],
}
