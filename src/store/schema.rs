use super::error::StoreError;
use super::findings::Findings;
use super::key::Key;
use super::migration::Migration;
use super::row::Row;
use super::sealing::{self, Layout, Lies};
use super::table::Table;
use super::view::{View, damaged};

/// A table whatever its types, for what treats all tables alike: check, copy, migrate.
pub trait AnyTable: Sync {
    /// Its name in the file.
    fn name(&self) -> &'static str;
    /// What is wrong with a row, if anything is.
    fn fault(&self, key: &[u8], value: &[u8], layout: &Layout) -> Option<String>;
    /// What its rows are, where they hold secrets.
    fn holds_secrets(&self) -> Option<&'static str>;
    /// Whether its rows end with checksums.
    fn has_checks(&self) -> bool;
    /// How the secret of a row lies in the file.
    fn secret(&self, key: &[u8], value: &[u8], layout: &Layout) -> Lies;
    /// A row as it is to lie in the file from now on.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    fn recode(&self, key: &[u8], value: &[u8], layout: &Layout) -> Result<Vec<u8>, StoreError>;
}

impl<K: Key, V: Row> AnyTable for Table<K, V> {
    fn name(&self) -> &'static str {
        Table::name(self)
    }

    fn fault(&self, key: &[u8], value: &[u8], layout: &Layout) -> Option<String> {
        let mut rest = key;
        if K::read(&mut rest).is_none() || !rest.is_empty() {
            return Some("the key does not decode".into());
        }
        sealing::decode::<V>(self.name(), key, value, layout).err().map(|fault| fault.to_string())
    }

    fn holds_secrets(&self) -> Option<&'static str> {
        V::HOLDS_SECRET
    }

    fn has_checks(&self) -> bool {
        V::CHECKED
    }

    fn secret(&self, key: &[u8], value: &[u8], layout: &Layout) -> Lies {
        sealing::lies::<V>(self.name(), key, value, layout)
    }

    fn recode(&self, key: &[u8], value: &[u8], layout: &Layout) -> Result<Vec<u8>, StoreError> {
        let row = sealing::decode::<V>(self.name(), key, value, layout);
        let row = row.map_err(|fault| damaged(self.name(), &fault.to_string()))?;
        sealing::encode(self.name(), key, &row, &layout.sealing)
    }
}

/// A room's check of its tables against each other and against others.
#[derive(Debug, Clone, Copy)]
pub struct CrossCheck {
    /// What it compares.
    pub name: &'static str,
    /// Adds a finding for each disagreement, with what mends it, where it can be derived again. What does not decode is not
    /// there for it.
    pub run: fn(&View, &mut Findings) -> Result<(), StoreError>,
}

/// What the file holds: passed to [`super::Store::open`] by the floor that knows all rooms.
pub struct Schema {
    /// Rises with every change that older programs can't read. Files of lower versions open: as they are, where a version
    /// has brought new tables alone, else by a migration.
    pub version: u32,
    /// Every table.
    pub tables: &'static [&'static dyn AnyTable],
    /// Every cross-table check.
    pub checks: &'static [CrossCheck],
    /// What leads here from files of older versions, the oldest first.
    pub migrations: &'static [Migration],
}
