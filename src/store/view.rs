use std::cell::RefCell;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use redb::{ReadOnlyTable, ReadTransaction, ReadableTableMetadata, TableDefinition, TableError};

use super::error::StoreError;
use super::key::Key;
use super::row::Row;
use super::span::Span;
use super::table::Table;

/// Reading, the same in a read view and in a write transaction. Rows are handed out by copy or to a closure.
pub trait Read {
    /// The row at `key`.
    ///
    /// # Errors
    /// [`StoreError`].
    fn get<K: Key, V: Row>(&self, table: &Table<K, V>, key: &K) -> Result<Option<V>, StoreError>;

    /// Calls `each` for the rows of `span` in key order, until it breaks.
    ///
    /// # Errors
    /// [`StoreError`].
    fn scan<K: Key, V: Row>(
        &self,
        table: &Table<K, V>,
        span: Span<K>,
        each: impl FnMut(K, V) -> ControlFlow<()>,
    ) -> Result<(), StoreError>;

    /// The last row of `span`.
    ///
    /// # Errors
    /// [`StoreError`].
    fn last<K: Key, V: Row>(&self, table: &Table<K, V>, span: Span<K>) -> Result<Option<(K, V)>, StoreError>;

    /// Whether there is a row at `key`.
    ///
    /// # Errors
    /// [`StoreError`].
    fn has<K: Key, V: Row>(&self, table: &Table<K, V>, key: &K) -> Result<bool, StoreError> {
        Ok(self.get(table, key)?.is_some())
    }

    /// The first row of `span`.
    ///
    /// # Errors
    /// [`StoreError`].
    fn first<K: Key, V: Row>(&self, table: &Table<K, V>, span: Span<K>) -> Result<Option<(K, V)>, StoreError> {
        Ok(self.rows(table, span, 1)?.pop())
    }

    /// The first `limit` rows of `span`.
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

type Opened = Rc<ReadOnlyTable<&'static [u8], &'static [u8]>>;

/// A consistent view of the last commit. Short-lived: it pins pages, so never across an await on a socket. It is not
/// `Send`, so the compiler holds a spawned task to that.
pub struct View {
    transaction: ReadTransaction,
    /// Chunks of bodies that all views have read.
    chunks_read: Arc<AtomicU64>,
    opened: RefCell<Vec<(&'static str, Opened)>>,
}

impl View {
    pub(super) fn new(transaction: ReadTransaction, chunks_read: Arc<AtomicU64>) -> Self {
        Self { transaction, chunks_read, opened: RefCell::default() }
    }

    pub(super) fn count_chunk(&self) {
        self.chunks_read.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn transaction(&self) -> &ReadTransaction {
        &self.transaction
    }

    /// `None` for a table that nothing was ever written to.
    fn table(&self, name: &'static str) -> Result<Option<Opened>, StoreError> {
        if let Some((_, opened)) = self.opened.borrow().iter().find(|(known, _)| *known == name) {
            return Ok(Some(Rc::clone(opened)));
        }
        let table = match self.transaction.open_table(TableDefinition::new(name)) {
            Ok(table) => Rc::new(table),
            Err(TableError::TableDoesNotExist(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        self.opened.borrow_mut().push((name, Rc::clone(&table)));
        Ok(Some(table))
    }

    /// How many rows a table has; the file knows it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn count<K: Key, V: Row>(&self, table: &Table<K, V>) -> Result<u64, StoreError> {
        self.table(table.name())?.map_or(Ok(0), |opened| Ok(opened.len()?))
    }

    /// Hands the row's bytes as they stand in the file to `take`.
    pub(super) fn get_bytes<T>(
        &self,
        table: &'static str,
        key: &[u8],
        take: impl FnOnce(&[u8]) -> T,
    ) -> Result<Option<T>, StoreError> {
        let Some(opened) = self.table(table)? else { return Ok(None) };
        Ok(opened.get(key)?.map(|row| take(row.value())))
    }
}

impl Read for View {
    fn get<K: Key, V: Row>(&self, table: &Table<K, V>, key: &K) -> Result<Option<V>, StoreError> {
        self.get_bytes(table.name(), &encode_key(key), |row| decode_row(table, row))?.transpose()
    }

    fn scan<K: Key, V: Row>(
        &self,
        table: &Table<K, V>,
        span: Span<K>,
        mut each: impl FnMut(K, V) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let Some(opened) = self.table(table.name())? else { return Ok(()) };
        let Some(bounds) = span.bounds() else { return Ok(()) };
        for row in opened.range::<&[u8]>(bounds)? {
            let (key, row) = row?;
            let (key, row) = decode_pair(table, key.value(), row.value())?;
            if each(key, row).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn last<K: Key, V: Row>(&self, table: &Table<K, V>, span: Span<K>) -> Result<Option<(K, V)>, StoreError> {
        let Some(opened) = self.table(table.name())? else { return Ok(None) };
        let Some(bounds) = span.bounds() else { return Ok(None) };
        let Some(last) = opened.range::<&[u8]>(bounds)?.next_back() else { return Ok(None) };
        let (key, row) = last?;
        decode_pair(table, key.value(), row.value()).map(Some)
    }
}

pub(super) fn encode_key<K: Key>(key: &K) -> Vec<u8> {
    let mut out = Vec::with_capacity(32);
    key.write(&mut out);
    out
}

pub(super) fn decode_row<K, V: Row>(table: &Table<K, V>, bytes: &[u8]) -> Result<V, StoreError> {
    let row = bytes.split_first().and_then(|(version, bytes)| V::decode(*version, bytes));
    row.ok_or_else(|| damaged(table.name(), "the row does not decode"))
}

pub(super) fn decode_pair<K: Key, V: Row>(
    table: &Table<K, V>,
    mut key: &[u8],
    row: &[u8],
) -> Result<(K, V), StoreError> {
    let found = K::read(&mut key).filter(|_| key.is_empty());
    let found = found.ok_or_else(|| damaged(table.name(), "the key does not decode"))?;
    Ok((found, decode_row(table, row)?))
}

pub(super) fn damaged(table: &'static str, what: &str) -> StoreError {
    StoreError::Damaged { table, what: what.to_owned() }
}
