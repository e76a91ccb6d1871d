//! Files of older schemas: what leads from one version to the next, all of it in one transaction, behind a copy of the
//! file that was checked.

use std::io;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::ReadableTableMetadata;

use super::check::verify_telling;
use super::engine::Engine;
use super::error::{OpenError, PAGES, StoreError};
use super::handle::{Medium, Options};
use super::key::Key;
use super::mend::set_aside;
use super::opening::Opening;
use super::own::{self, BLOB_DATA};
use super::progress::CheckProgress;
use super::restore::{duplicate, exchange, need_room, with_suffix};
use super::row::Row;
use super::schema::{AnyTable, Schema};
use super::span::Span;
use super::table::Table;
use super::tx::Tx;
use super::view::{Read, View, guarded};
use crate::base::Timestamp;

/// Rows that are held in memory at a time.
const SLICE_ROWS: usize = 1000;
/// Octets of the cache with which the copy is checked and compared.
const CHECK_CACHE_BYTES: usize = 16 * 1024 * 1024;

/// What each part of an upgrade ends at, in hundredths of the whole.
const COPIED_PERCENT: u8 = 30;
const CHECKED_PERCENT: u8 = 50;
const COMPARED_PERCENT: u8 = 60;
const DONE_PERCENT: u8 = 99;

/// What makes a file of the next version out of one of the version before. Kept for as long as such files are to open,
/// with all that it needs to read them.
pub struct Migration {
    /// What a file of the version before holds: it is checked by that.
    pub from: &'static Schema,
    /// What it does, for the log.
    pub what: &'static str,
    /// Does it. A failure leaves the file as it was. `None`: this program reads the rows of both, and writes those of the
    /// newer one as they change; older programs can't read these.
    pub run: Option<Change>,
}

/// What a migration does.
pub type Change = fn(&mut Upgrade<'_, '_>) -> Result<(), StoreError>;

/// The transaction of an upgrade. Tables that the new schema does not have any more go at its end, with what was left in
/// them; rows that do not decode are kept among the damaged ones then.
pub struct Upgrade<'a, 't> {
    tx: &'a mut Tx<'t>,
    /// One more row is done.
    step: &'a mut dyn FnMut() -> io::Result<()>,
}

impl<'t> Upgrade<'_, 't> {
    /// What to read and write with.
    pub fn tx(&mut self) -> &mut Tx<'t> {
        self.tx
    }

    /// Calls `change` for every row of a table that decodes, in the order of the keys, a few at a time: it writes what
    /// the row becomes. A new key of the same table stands behind the old ones or under the old key; others belong into
    /// another table, as they would be met again.
    ///
    /// # Errors
    /// [`StoreError`], also when nobody waits for the opening any more.
    pub fn each<K: Key, V: Row>(
        &mut self,
        table: &Table<K, V>,
        mut change: impl FnMut(&mut Tx<'_>, &K, V) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut last: Option<K> = None;
        loop {
            let span = match &last {
                Some(last) => Span::all().after(last),
                None => Span::all(),
            };
            let rows = self.tx.rows(table, span, SLICE_ROWS)?;
            if rows.is_empty() {
                return Ok(());
            }
            for (key, row) in rows {
                change(self.tx, &key, row)?;
                (self.step)().map_err(|_| StoreError::Closed)?;
                last = Some(key);
            }
        }
    }
}

impl Schema {
    /// What leads from that version to this one. A version for which there is nothing differs by new tables alone.
    pub(super) fn pending(&self, version: u32) -> impl Iterator<Item = &Migration> {
        self.migrations.iter().filter(move |migration| migration.from.version >= version)
    }

    /// Whether a file of that version has rows that have to be rewritten before this schema reads them.
    pub(super) fn rewrites(&self, version: u32) -> bool {
        self.pending(version).any(|migration| migration.run.is_some())
    }

    /// The schema by which a file of that version is read as it is.
    pub(super) fn of(&self, version: Option<u32>) -> &Self {
        version.and_then(|version| self.pending(version).next()).map_or(self, |migration| migration.from)
    }
}

/// Runs what leads from `version` to this schema. Says which tables are to go, emptied.
pub(super) fn run(
    tx: &mut Tx<'_>,
    schema: &Schema,
    version: u32,
    (rows, opening, now): (u64, &Opening, Timestamp),
    engine: &Engine,
) -> Result<Vec<&'static str>, StoreError> {
    let mut going = Going::new(opening, COMPARED_PERCENT, DONE_PERCENT, rows);
    let mut gone: Vec<&'static dyn AnyTable> = Vec::new();
    let is_known = |name: &str| own::TABLES.iter().chain(schema.tables).any(|known| known.name() == name);
    for migration in schema.pending(version) {
        tracing::warn!(
            event = "upgrade_step",
            from = migration.from.version,
            what = migration.what,
            "the file is upgraded"
        );
        if let Some(run) = migration.run {
            run(&mut Upgrade { tx: &mut *tx, step: &mut || going.step() })?;
        }
        for table in migration.from.tables {
            // What is left in it is read as the last version has had it.
            gone.retain(|gone| gone.name() != table.name());
            if !is_known(table.name()) {
                gone.push(*table);
            }
        }
    }
    for table in &gone {
        clear(tx, *table, engine, now)?;
    }
    Ok(gone.iter().map(|table| table.name()).collect())
}

/// Takes what is left out of a table that goes.
fn clear(tx: &mut Tx<'_>, table: &dyn AnyTable, engine: &Engine, now: Timestamp) -> Result<(), StoreError> {
    let layout = engine.layout();
    loop {
        let keys = tx.raw_keys(table.name(), &Span::<String>::all(), SLICE_ROWS)?;
        if keys.is_empty() {
            return Ok(());
        }
        for key in keys {
            let row = tx.bytes(table.name(), &key)?.unwrap_or_default();
            match table.fault(&key, &row, &layout) {
                Some(fault) => set_aside(tx, table.name(), &key, &fault, now)?,
                None => tx.remove_bytes(table.name(), &key)?,
            }
        }
    }
}

impl Engine {
    /// How many rows there are, pieces of bodies not counted: no migration touches those.
    pub(super) fn rows(&self) -> Result<u64, StoreError> {
        let (view, mut rows) = (self.view()?, 0);
        for table in view.tables()?.iter().filter(|name| *name != BLOB_DATA.name()) {
            let opened = view.raw(table)?;
            rows += guarded(PAGES, || Ok(opened.len()?))?;
        }
        Ok(rows)
    }

    /// Keeps the file as it is beside it, before anything is written to it: copied octet by octet, opened, checked by its
    /// own schema, and compared row by row. Where that was done before, by a start that came to nothing, it stays.
    ///
    /// # Errors
    /// [`OpenError`]; the file is as it was.
    pub(super) fn keep_before_upgrade(
        &self,
        options: &Options,
        schema: &'static Schema,
        version: u32,
    ) -> Result<(), OpenError> {
        let Medium::File(path) = &options.medium else { return Ok(()) };
        let Some(aside) = self.free_name(path, schema, version) else { return Ok(()) };
        need_room(path, &aside, options.disk_reserve_bytes)?;
        let copy = aside.display();
        tracing::warn!(event = "upgrade_begun", from = version, to = schema.version, %copy, "the file is copied, then upgraded");
        let mut going = Going::new(&options.opening, 0, COPIED_PERCENT, self.disk().len());
        let arrived = duplicate(path, &aside, &mut |bytes| going.reach(bytes))?;
        let own = schema.of(Some(version));
        self.check_copy(arrived.path(), own, options)?;
        let name = |made: &Path| match aside.exists() {
            true => Err(io::ErrorKind::AlreadyExists.into()),
            false => exchange(made, &aside, &aside),
        };
        arrived.name(name).map_err(|error| OpenError::Io { path: aside.clone(), error })
    }

    /// The copy opens, and holds what the file does. That something in it is damaged, as it is in the file, stops nothing.
    fn check_copy(&self, copy: &Path, schema: &'static Schema, options: &Options) -> Result<(), OpenError> {
        let opening = &options.opening;
        let mut going = Going::new(opening, COPIED_PERCENT, CHECKED_PERCENT, 4 * 100);
        let mut tell = |CheckProgress { part, done, total }: CheckProgress| {
            let of_part = (100 * done.min(total)).checked_div(total).unwrap_or_default();
            going.reach(100 * part as u64 + of_part).map_or(ControlFlow::Break(()), ControlFlow::Continue)
        };
        let checked = Options { sealing: Arc::clone(&options.sealing), ..to_look_at(copy) };
        let findings = verify_telling(&checked, schema, &mut tell)?.unwrap_or_default();
        if let Some(first) = findings.lines().first() {
            let count = findings.count();
            tracing::warn!(event = "upgrade_of_damaged", count, first, "the file has damage, and is upgraded with it");
        }
        if self.is_same_as(copy, schema, opening) {
            return Ok(());
        }
        going.reach(0).map_err(|error| OpenError::Io { path: copy.to_owned(), error })?;
        Err(super::engine::damaged(copy, &"the copy is not what the file is"))
    }

    /// The name that the copy gets; `None` where it is there.
    fn free_name(&self, path: &Path, schema: &'static Schema, version: u32) -> Option<PathBuf> {
        let mut aside = with_suffix(path, &format!(".before-upgrade-{version}"));
        let mut number = 1;
        while aside.symlink_metadata().is_ok() {
            if self.is_same_as(&aside, schema.of(Some(version)), &Opening::default()) {
                return None;
            }
            number += 1;
            aside = with_suffix(path, &format!(".before-upgrade-{version}-{number}"));
        }
        Some(aside)
    }

    /// Whether that file holds the same rows as this one: its pages may lie elsewhere.
    fn is_same_as(&self, other: &Path, schema: &Schema, opening: &Opening) -> bool {
        let compare = || {
            let other = Self::look(&to_look_at(other), schema).ok()?;
            same_rows(&self.view().ok()?, &other.view().ok()?, opening).ok()
        };
        catch_unwind(AssertUnwindSafe(compare)).ok().flatten().unwrap_or(false)
    }
}

fn same_rows(ours: &View, theirs: &View, opening: &Opening) -> Result<bool, StoreError> {
    let tables = ours.tables()?;
    if tables != theirs.tables()? {
        return Ok(false);
    }
    let mut all = 0;
    for table in &tables {
        all += ours.raw(table)?.len()?;
    }
    let mut going = Going::new(opening, CHECKED_PERCENT, COMPARED_PERCENT, all);
    for table in &tables {
        let (ours, theirs) = (ours.raw(table)?, theirs.raw(table)?);
        let (mut ours, mut theirs) = (ours.range::<&[u8]>(..)?, theirs.range::<&[u8]>(..)?);
        loop {
            match (ours.next().transpose()?, theirs.next().transpose()?) {
                (None, None) => break,
                (Some(our), Some(their)) if our.0.value() == their.0.value() && our.1.value() == their.1.value() => {
                    going.step().map_err(|_| StoreError::Closed)?;
                }
                _ => return Ok(false),
            }
        }
    }
    Ok(true)
}

fn to_look_at(path: &Path) -> Options {
    Options { cache_bytes: CHECK_CACHE_BYTES, ..Options::at(path) }
}

/// How far a part of an upgrade is.
struct Going<'a> {
    opening: &'a Opening,
    from_percent: u8,
    to_percent: u8,
    done: u64,
    total: u64,
}

impl<'a> Going<'a> {
    fn new(opening: &'a Opening, from_percent: u8, to_percent: u8, total: u64) -> Self {
        Self { opening, from_percent, to_percent, done: 0, total }
    }

    /// One more is done; an error where nobody waits for it any more.
    fn step(&mut self) -> io::Result<()> {
        self.reach(self.done + 1)
    }

    fn reach(&mut self, done: u64) -> io::Result<()> {
        self.done = done;
        let width = u64::from(self.to_percent - self.from_percent);
        let part = (width * done.min(self.total)).checked_div(self.total).unwrap_or(width);
        self.opening.note_upgrade(self.from_percent + u8::try_from(part).unwrap_or_default())
    }
}
