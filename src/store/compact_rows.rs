use std::borrow::Cow;
use std::ops::Bound;

use redb::{Database, ReadableDatabase, ReadableTableMetadata, TableDefinition};

use super::engine::Engine;
use super::error::StoreError;
use super::own::{self, BLOB_DATA, is_for_the_first_programs};
use super::row::{has_check, with_check};
use super::schema::{AnyTable, Schema};
use super::sealing::Layout;
use super::span::Bounds;
use super::tx::Place;

/// Octets and rows that are copied or compared on one view: a view that lives long keeps pages from being used again.
const SLICE_BYTES: usize = 4 * 1024 * 1024;
const SLICE_ROWS: u64 = 20_000;

/// The rows of the file and of the new one, as bytes: what is damaged is carried over. Rows of the first releases get the
/// checksum that they lack.
pub(super) struct Rows<'a> {
    pub(super) engine: &'a Engine,
    pub(super) new: &'a Database,
    pub(super) schema: &'static Schema,
    /// Octets of all keys and rows in the new one.
    pub(super) live_bytes: &'a mut u64,
}

/// What was done on one view.
pub(super) struct Slice {
    pub(super) rows: u64,
    /// The last key; `None` at the end of the table.
    pub(super) last: Option<Vec<u8>>,
}

/// The tables of the file, the largest first: what is copied early is changed behind the copy. And how many rows there are.
pub(super) fn tables(engine: &Engine) -> Result<(Vec<String>, u64), StoreError> {
    let view = engine.view()?;
    let mut tables = view.tables()?;
    tables.sort_by_key(|name| name != BLOB_DATA.name());
    let mut rows = 0;
    for table in &tables {
        rows += view.raw(table)?.len()?;
    }
    Ok((tables, rows))
}

impl Rows<'_> {
    fn carried(&self, table: &str) -> Carried {
        let layout = self.engine.layout();
        let known = || own::TABLES.iter().chain(self.schema.tables).find(|known| known.name() == table);
        let to_check = if layout.all_checked { None } else { known().filter(|known| known.has_checks()).copied() };
        Carried { to_check, layout }
    }

    /// Copies rows of a table from behind `after` on: all of a table is copied in the order of its keys.
    pub(super) fn copy_slice(&mut self, table: &str, after: Option<&[u8]>) -> Result<Slice, StoreError> {
        let view = self.engine.view()?;
        let from = view.raw(table)?;
        let transaction = self.new.begin_write()?;
        let mut slice = Slice { rows: 0, last: None };
        let carried = self.carried(table);
        {
            let mut into = transaction.open_table(raw(table))?;
            let mut cursor = into.upper_bound_mut(Bound::<&[u8]>::Unbounded)?;
            let mut bytes = 0;
            for row in from.range::<&[u8]>(behind(after))? {
                let (key, row) = row?;
                let row = carried.row(key.value(), row.value());
                cursor.insert_before(key.value(), &*row).map_err(|error| StoreError::Storage(error.to_string()))?;
                slice.rows += 1;
                bytes += key.value().len() + row.len();
                if bytes >= SLICE_BYTES || slice.rows >= SLICE_ROWS {
                    slice.last = Some(key.value().to_vec());
                    break;
                }
            }
            cursor.close()?;
            *self.live_bytes += bytes as u64;
        }
        // Synced each time: what is dirty must not make the syncs of the file itself wait long.
        transaction.commit()?;
        Ok(slice)
    }

    /// Copies these rows as they are now, also those that are gone. With `opens_at_once` the new file then opens without
    /// repair.
    pub(super) fn copy_changed(&mut self, changed: &[Place], opens_at_once: bool) -> Result<(), StoreError> {
        let view = self.engine.view()?;
        let mut transaction = self.new.begin_write()?;
        transaction.set_quick_repair(opens_at_once);
        for of_table in changed.chunk_by(|one, next| one.0 == next.0) {
            let Some((table, _)) = of_table.first() else { continue };
            let (from, carried) = (view.raw(table)?, self.carried(table));
            let mut into = transaction.open_table(raw(table))?;
            for (_, key) in of_table {
                let (old, new_bytes) = match from.get(key.as_slice())? {
                    Some(row) => {
                        let row = carried.row(key, row.value());
                        (into.insert(key.as_slice(), &*row)?, key.len() + row.len())
                    }
                    None => (into.remove(key.as_slice())?, 0),
                };
                let gone_bytes = old.map_or(0, |old| key.len() + old.value().len());
                *self.live_bytes = (*self.live_bytes + new_bytes as u64).saturating_sub(gone_bytes as u64);
            }
        }
        Ok(transaction.commit()?)
    }

    /// Compares rows of a table from behind `after` on, and adds the keys of those that differ.
    pub(super) fn compare_slice(
        &self,
        table: &str,
        after: Option<&[u8]>,
        different: &mut Vec<Vec<u8>>,
    ) -> Result<Slice, StoreError> {
        let view = self.engine.view()?;
        let (from, new, carried) = (view.raw(table)?, self.new.begin_read()?, self.carried(table));
        let there = new.open_table(raw(table))?;
        let mut theirs = there.range::<&[u8]>(behind(after))?;
        let mut next = theirs.next().transpose()?;
        let (mut slice, mut bytes) = (Slice { rows: 0, last: None }, 0);
        for row in from.range::<&[u8]>(behind(after))? {
            let (key, row) = row?;
            let row = carried.row(key.value(), row.value());
            while let Some((their_key, _)) = next.as_ref().filter(|(their_key, _)| their_key.value() < key.value()) {
                different.push(their_key.value().to_vec());
                next = theirs.next().transpose()?;
            }
            match &next {
                Some((their_key, their_row)) if their_key.value() == key.value() => {
                    if their_row.value() != &*row {
                        different.push(key.value().to_vec());
                    }
                    next = theirs.next().transpose()?;
                }
                _ => different.push(key.value().to_vec()),
            }
            slice.rows += 1;
            bytes += key.value().len() + row.len();
            if bytes >= SLICE_BYTES || slice.rows >= SLICE_ROWS {
                slice.last = Some(key.value().to_vec());
                return Ok(slice);
            }
        }
        while let Some((their_key, _)) = next {
            different.push(their_key.value().to_vec());
            next = theirs.next().transpose()?;
        }
        Ok(slice)
    }

    /// The first table that has not as many rows in the new file, or is not there.
    pub(super) fn uneven_table(&self) -> Result<Option<String>, StoreError> {
        let (view, new) = (self.engine.view()?, self.new.begin_read()?);
        for name in view.tables()? {
            let rows = view.raw(&name)?.len()?;
            let there = new.open_table(raw(&name)).map_or(Ok(None), |there| there.len().map(Some))?;
            if there != Some(rows) {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }
}

/// How rows of a table are carried over.
struct Carried {
    /// `None` where all are as they are.
    to_check: Option<&'static dyn AnyTable>,
    layout: Layout,
}

impl Carried {
    /// What stands in the new file. What does not decode is not to look as if it were sound.
    fn row<'r>(&self, key: &[u8], row: &'r [u8]) -> Cow<'r, [u8]> {
        let lacks_check = |table: &&dyn AnyTable| {
            let name = table.name();
            !has_check(row) && !is_for_the_first_programs(name, key) && table.fault(key, row, &self.layout).is_none()
        };
        match self.to_check.filter(lacks_check) {
            Some(table) => Cow::Owned(with_check(table.name(), key, row)),
            None => Cow::Borrowed(row),
        }
    }
}

fn raw(table: &str) -> TableDefinition<'_, &'static [u8], &'static [u8]> {
    TableDefinition::new(table)
}

fn behind(after: Option<&[u8]>) -> Bounds<'_> {
    (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded)
}
