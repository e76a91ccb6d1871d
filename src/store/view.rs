use std::cell::RefCell;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use redb::{ReadOnlyTable, ReadTransaction, ReadableTableMetadata, TableDefinition, TableError, TableHandle};

use super::damage;
use super::engine::Pin;
use super::error::{PAGES, StoreError};
use super::key::Key;
use super::open_views::Place;
use super::own::COUNTERS;
use super::row::Row;
use super::sealing::{self, Layout, RowFault};
use super::span::Span;
use super::table::Table;

/// Reading, the same in a read view and in a write transaction. Rows are handed out by copy or to a closure.
pub trait Read {
    /// The row at `key`.
    ///
    /// # Errors
    /// [`StoreError`], also when the row does not decode.
    fn get<K: Key, V: Row>(&self, table: &Table<K, V>, key: &K) -> Result<Option<V>, StoreError>;

    /// Calls `each` for the rows of `span` in key order, until it breaks. A row that does not decode is passed over,
    /// counted and named in the log: it is not to cost the others.
    ///
    /// # Errors
    /// [`StoreError`].
    fn scan<K: Key, V: Row>(
        &self,
        table: &Table<K, V>,
        span: Span<K>,
        each: impl FnMut(K, V) -> ControlFlow<()>,
    ) -> Result<(), StoreError>;

    /// Calls `each` for the keys of `span` in order, until it breaks, whether their rows decode or not.
    ///
    /// # Errors
    /// [`StoreError`].
    fn scan_keys<K: Key, V: Row>(
        &self,
        table: &Table<K, V>,
        span: Span<K>,
        each: impl FnMut(K) -> ControlFlow<()>,
    ) -> Result<(), StoreError>;

    /// The last row of `span` that decodes.
    ///
    /// # Errors
    /// [`StoreError`].
    fn last<K: Key, V: Row>(&self, table: &Table<K, V>, span: Span<K>) -> Result<Option<(K, V)>, StoreError>;

    /// Whether there is a row at `key`, sound or not.
    ///
    /// # Errors
    /// [`StoreError`].
    fn has<K: Key, V: Row>(&self, table: &Table<K, V>, key: &K) -> Result<bool, StoreError>;

    /// The row at `key`; `None` also where it does not decode. For what goes on without it.
    ///
    /// # Errors
    /// [`StoreError`].
    fn get_if_sound<K: Key, V: Row>(&self, table: &Table<K, V>, key: &K) -> Result<Option<V>, StoreError> {
        match self.get(table, key) {
            Err(StoreError::Damaged { .. }) => Ok(None),
            found => found,
        }
    }

    /// The first `limit` keys of `span`, whether their rows decode or not.
    ///
    /// # Errors
    /// [`StoreError`].
    fn keys<K: Key, V: Row>(&self, table: &Table<K, V>, span: Span<K>, limit: usize) -> Result<Vec<K>, StoreError> {
        let mut found = Vec::new();
        if limit == 0 {
            return Ok(found);
        }
        self.scan_keys(table, span, |key| {
            found.push(key);
            if found.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        Ok(found)
    }

    /// The last key of all, whether its row decodes or not. Every key is looked at.
    ///
    /// # Errors
    /// [`StoreError`].
    fn last_key<K: Key, V: Row>(&self, table: &Table<K, V>) -> Result<Option<K>, StoreError> {
        let mut last = None;
        self.scan_keys(table, Span::all(), |key| {
            last = Some(key);
            ControlFlow::Continue(())
        })?;
        Ok(last)
    }

    /// The first row of `span` that decodes.
    ///
    /// # Errors
    /// [`StoreError`].
    fn first<K: Key, V: Row>(&self, table: &Table<K, V>, span: Span<K>) -> Result<Option<(K, V)>, StoreError> {
        Ok(self.rows(table, span, 1)?.pop())
    }

    /// The first `limit` rows of `span` that decode.
    ///
    /// # Errors
    /// [`StoreError`].
    fn rows<K: Key, V: Row>(
        &self,
        table: &Table<K, V>,
        span: Span<K>,
        limit: usize,
    ) -> Result<Vec<(K, V)>, StoreError> {
        let mut found = Vec::new();
        if limit == 0 {
            return Ok(found);
        }
        self.scan(table, span, |key, row| {
            found.push((key, row));
            if found.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        Ok(found)
    }
}

/// A table as it stands in the file.
pub(super) type RawTable = ReadOnlyTable<&'static [u8], &'static [u8]>;
type Opened = Rc<RawTable>;

/// A consistent view of the last commit. Short-lived: it pins pages, so never across an await on a socket. It is not
/// `Send`, so the compiler holds a spawned task to that.
pub struct View {
    transaction: ReadTransaction,
    /// Chunks of bodies that all views have read.
    chunks_read: Arc<AtomicU64>,
    layout: Layout,
    opened: RefCell<Vec<(&'static str, Opened)>>,
    /// What does not decode is not there, and is told by the check itself.
    is_check: bool,
    /// Behind the transaction, which these two outlive.
    _pin: Arc<Pin>,
    _place: Place,
}

impl View {
    pub(super) fn new(
        transaction: ReadTransaction,
        chunks_read: Arc<AtomicU64>,
        layout: Layout,
        pin: Arc<Pin>,
        place: Place,
    ) -> Self {
        Self { transaction, chunks_read, layout, opened: RefCell::default(), is_check: false, _pin: pin, _place: place }
    }

    /// The same for a check, which goes on behind every row that does not decode.
    pub(super) fn for_check(self) -> Self {
        Self { is_check: true, ..self }
    }

    pub(super) fn count_chunk(&self) {
        self.chunks_read.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The names of all tables that are there.
    pub(super) fn tables(&self) -> Result<Vec<String>, StoreError> {
        guarded(PAGES, || Ok(self.transaction.list_tables()?.map(|table| table.name().to_owned()).collect()))
    }

    /// A table that is there, as it stands in the file; what is read of it may panic.
    pub(super) fn raw(&self, table: &str) -> Result<RawTable, StoreError> {
        guarded(PAGES, || Ok(self.transaction.open_table(TableDefinition::new(table))?))
    }

    pub(super) fn transaction(&self) -> &ReadTransaction {
        &self.transaction
    }

    /// `None` for a table that nothing was ever written to.
    fn table(&self, name: &'static str) -> Result<Option<Opened>, StoreError> {
        if let Some((_, opened)) = self.opened.borrow().iter().find(|(known, _)| *known == name) {
            return Ok(Some(Rc::clone(opened)));
        }
        let opened = guarded(name, || match self.transaction.open_table(TableDefinition::new(name)) {
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            opened => Ok(Some(opened?)),
        })?;
        let Some(table) = opened.map(Rc::new) else { return Ok(None) };
        self.opened.borrow_mut().push((name, Rc::clone(&table)));
        Ok(Some(table))
    }

    /// How many rows a table has; the file knows it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn count<K: Key, V: Row>(&self, table: &Table<K, V>) -> Result<u64, StoreError> {
        let Some(opened) = self.table(table.name())? else { return Ok(0) };
        guarded(table.name(), || Ok(opened.len()?))
    }

    /// The last number that a counter gave; 0 when it has given none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn counter(&self, counter: &str) -> Result<u64, StoreError> {
        Ok(self.get(&COUNTERS, &counter.to_owned())?.map_or(0, |last| last.0))
    }

    /// Hands the row's bytes as they stand in the file to `take`.
    pub(super) fn get_bytes<T>(
        &self,
        table: &'static str,
        key: &[u8],
        take: impl FnOnce(&[u8]) -> T,
    ) -> Result<Option<T>, StoreError> {
        let Some(opened) = self.table(table)? else { return Ok(None) };
        guarded(table, || Ok(opened.get(key)?.map(|row| take(row.value()))))
    }

    /// Calls `each` for the rows of a span as they stand in the file, until it breaks.
    fn each_row<K: Key>(
        &self,
        table: &'static str,
        span: &Span<K>,
        mut each: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let Some(opened) = self.table(table)? else { return Ok(()) };
        let Some(bounds) = span.bounds() else { return Ok(()) };
        let mut rows = guarded(table, || Ok(opened.range::<&[u8]>(bounds)?))?;
        while let Some((key, row)) = guarded(table, || Ok(rows.next().transpose()?))? {
            let (key, row) = guarded(table, || Ok((key.value(), row.value())))?;
            if each(key, row).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// A row that does not decode was met.
    fn met(&self, table: &'static str, key: &[u8], fault: &RowFault) {
        if !self.is_check {
            damage::met(table, key, fault);
        }
    }
}

impl Read for View {
    fn get<K: Key, V: Row>(&self, table: &Table<K, V>, key: &K) -> Result<Option<V>, StoreError> {
        let key = encode_key(key);
        let decode = |row: &[u8]| sealing::decode(table.name(), &key, row, &self.layout);
        match self.get_bytes(table.name(), &key, decode)? {
            Some(Ok(row)) => Ok(Some(row)),
            Some(Err(_)) if self.is_check => Ok(None),
            Some(Err(fault)) => Err(damage::met(table.name(), &key, &fault)),
            None => Ok(None),
        }
    }

    fn has<K: Key, V: Row>(&self, table: &Table<K, V>, key: &K) -> Result<bool, StoreError> {
        Ok(self.get_bytes(table.name(), &encode_key(key), |_| ())?.is_some())
    }

    fn scan<K: Key, V: Row>(
        &self,
        table: &Table<K, V>,
        span: Span<K>,
        mut each: impl FnMut(K, V) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.each_row(table.name(), &span, |key, row| match decode_pair(table, key, row, &self.layout) {
            Ok((key, row)) => each(key, row),
            Err(fault) => {
                self.met(table.name(), key, &fault);
                ControlFlow::Continue(())
            }
        })
    }

    fn scan_keys<K: Key, V: Row>(
        &self,
        table: &Table<K, V>,
        span: Span<K>,
        mut each: impl FnMut(K) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.each_row(table.name(), &span, |key, _| match decode_key(key) {
            Ok(key) => each(key),
            Err(fault) => {
                self.met(table.name(), key, &fault);
                ControlFlow::Continue(())
            }
        })
    }

    fn last<K: Key, V: Row>(&self, table: &Table<K, V>, span: Span<K>) -> Result<Option<(K, V)>, StoreError> {
        let Some(opened) = self.table(table.name())? else { return Ok(None) };
        let Some(bounds) = span.bounds() else { return Ok(None) };
        let name = table.name();
        let mut rows = guarded(name, || Ok(opened.range::<&[u8]>(bounds)?))?;
        while let Some((key, row)) = guarded(name, || Ok(rows.next_back().transpose()?))? {
            let (key, row) = guarded(name, || Ok((key.value(), row.value())))?;
            match decode_pair(table, key, row, &self.layout) {
                Ok(last) => return Ok(Some(last)),
                Err(fault) => self.met(name, key, &fault),
            }
        }
        Ok(None)
    }
}

pub(super) fn encode_key<K: Key>(key: &K) -> Vec<u8> {
    let mut out = Vec::with_capacity(32);
    key.write(&mut out);
    out
}

/// A row with its key.
pub(super) fn decode_pair<K: Key, V: Row>(
    table: &Table<K, V>,
    key: &[u8],
    row: &[u8],
    layout: &Layout,
) -> Result<(K, V), RowFault> {
    Ok((decode_key(key)?, sealing::decode(table.name(), key, row, layout)?))
}

pub(super) fn decode_key<K: Key>(key: &[u8]) -> Result<K, RowFault> {
    let mut rest = key;
    K::read(&mut rest).filter(|_| rest.is_empty()).ok_or(RowFault::Key)
}

/// Reads or writes pages that may be damaged, over which the storage engine may panic.
pub(super) fn guarded<T>(table: &'static str, read: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    damage::survive(read).unwrap_or_else(|| Err(damaged(table, "its pages contradict each other")))
}

pub(super) fn damaged(table: &'static str, what: &str) -> StoreError {
    StoreError::Damaged { table, what: what.to_owned() }
}
