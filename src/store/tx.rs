use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::rc::Rc;

use redb::{ReadableTable, TableDefinition, WriteTransaction};

use super::bus::Topic;
use super::error::StoreError;
use super::key::Key;
use super::own::{COUNTERS, Number, encode_row};
use super::row::Row;
use super::span::Span;
use super::table::Table;
use super::view::{Read, decode_pair, decode_row, encode_key};

type Opened<'a> = Rc<RefCell<redb::Table<'a, &'static [u8], &'static [u8]>>>;

/// The write transaction of the batch that runs. A table is opened at its first use and stays open over the batch.
pub struct Tx<'a> {
    transaction: &'a WriteTransaction,
    opened: RefCell<Vec<(&'static str, Opened<'a>)>>,
    counters: Counters,
    topics: Vec<Topic>,
    written_bytes: Option<u64>,
    freed_bytes: u64,
    reaping: bool,
}

/// The numbers that the counters gave last, kept by the writer from batch to batch.
#[derive(Debug, Default)]
pub(super) struct Counters {
    last: HashMap<&'static str, u64>,
    moved: Vec<&'static str>,
}

/// What a batch leaves behind for its commit.
pub(super) struct Written {
    pub(super) counters: Counters,
    pub(super) topics: Vec<Topic>,
    /// Octets of keys and rows; `None` when nothing was changed.
    pub(super) bytes: Option<u64>,
    /// Octets of chunks whose pages can be used again.
    pub(super) freed_bytes: u64,
    /// There are chunks to reap.
    pub(super) reaping: bool,
}

impl Tx<'_> {
    /// Writes a row, over the old one if there is one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put<K: Key, V: Row>(&mut self, table: &Table<K, V>, key: &K, row: &V) -> Result<(), StoreError> {
        self.put_bytes(table.name(), &encode_key(key), &encode_row(row))
    }

    /// Removes a row and says what it was.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn remove<K: Key, V: Row>(&mut self, table: &Table<K, V>, key: &K) -> Result<Option<V>, StoreError> {
        let key = encode_key(key);
        let opened = self.table(table.name())?;
        let mut opened = opened.borrow_mut();
        let Some(old) = opened.remove(key.as_slice())? else { return Ok(None) };
        let old = decode_row(table, old.value());
        *self.written_bytes.get_or_insert(0) += key.len() as u64;
        old.map(Some)
    }

    /// The next number of a counter, from 1 on. Never handed out twice, also not after a crash.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn next(&mut self, counter: &'static str) -> Result<u64, StoreError> {
        self.next_from(counter, 1)
    }

    /// The same, and no smaller than `least`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn next_from(&mut self, counter: &'static str, least: u64) -> Result<u64, StoreError> {
        let last = match self.counters.last.get(counter) {
            Some(last) => *last,
            None => self.get(&COUNTERS, &counter.to_owned())?.map_or(0, |row| row.0),
        };
        let next = least.max(last + 1);
        self.counters.last.insert(counter, next);
        if !self.counters.moved.contains(&counter) {
            self.counters.moved.push(counter);
        }
        Ok(next)
    }

    /// Tells the bus, once the batch is committed.
    pub fn announce(&mut self, topic: Topic) {
        if !self.topics.contains(&topic) {
            self.topics.push(topic);
        }
    }
}

impl<'a> Tx<'a> {
    pub(super) fn new(transaction: &'a WriteTransaction, counters: Counters) -> Self {
        Self {
            transaction,
            opened: RefCell::default(),
            counters,
            topics: Vec::new(),
            written_bytes: None,
            freed_bytes: 0,
            reaping: false,
        }
    }

    /// Writes what the batch kept back, and closes the tables.
    pub(super) fn finish(mut self) -> Result<Written, StoreError> {
        for counter in std::mem::take(&mut self.counters.moved) {
            let last = self.counters.last.get(counter).copied().unwrap_or_default();
            self.put(&COUNTERS, &counter.to_owned(), &Number(last))?;
        }
        Ok(Written {
            counters: self.counters,
            topics: self.topics,
            bytes: self.written_bytes,
            freed_bytes: self.freed_bytes,
            reaping: self.reaping,
        })
    }

    pub(super) fn put_bytes(&mut self, table: &'static str, key: &[u8], row: &[u8]) -> Result<(), StoreError> {
        self.table(table)?.borrow_mut().insert(key, row)?;
        *self.written_bytes.get_or_insert(0) += (key.len() + row.len()) as u64;
        Ok(())
    }

    pub(super) fn remove_bytes(&mut self, table: &'static str, key: &[u8]) -> Result<(), StoreError> {
        let freed_bytes = self.table(table)?.borrow_mut().remove(key)?.map_or(0, |row| row.value().len());
        self.freed_bytes += freed_bytes as u64;
        *self.written_bytes.get_or_insert(0) += key.len() as u64;
        Ok(())
    }

    /// The first `limit` keys of a span, as bytes.
    pub(super) fn keys<K: Key>(
        &self,
        table: &'static str,
        span: &Span<K>,
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let opened = self.table(table)?;
        let opened = opened.borrow();
        let Some(bounds) = span.bounds() else { return Ok(Vec::new()) };
        let rows = opened.range::<&[u8]>(bounds)?.take(limit);
        rows.map(|row| Ok(row?.0.value().to_vec())).collect()
    }

    /// There are chunks to reap.
    pub(super) fn wants_reaping(&mut self) {
        self.reaping = true;
    }

    fn table(&self, name: &'static str) -> Result<Opened<'a>, StoreError> {
        if let Some((_, opened)) = self.opened.borrow().iter().find(|(known, _)| *known == name) {
            return Ok(Rc::clone(opened));
        }
        let table = self.transaction.open_table(TableDefinition::new(name))?;
        let table = Rc::new(RefCell::new(table));
        self.opened.borrow_mut().push((name, Rc::clone(&table)));
        Ok(table)
    }
}

impl Read for Tx<'_> {
    fn get<K: Key, V: Row>(&self, table: &Table<K, V>, key: &K) -> Result<Option<V>, StoreError> {
        let opened = self.table(table.name())?;
        let opened = opened.borrow();
        let row = opened.get(encode_key(key).as_slice())?;
        row.map(|row| decode_row(table, row.value())).transpose()
    }

    fn scan<K: Key, V: Row>(
        &self,
        table: &Table<K, V>,
        span: Span<K>,
        mut each: impl FnMut(K, V) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let opened = self.table(table.name())?;
        let opened = opened.borrow();
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
        let opened = self.table(table.name())?;
        let opened = opened.borrow();
        let Some(bounds) = span.bounds() else { return Ok(None) };
        let Some(last) = opened.range::<&[u8]>(bounds)?.next_back() else { return Ok(None) };
        let (key, row) = last?;
        decode_pair(table, key.value(), row.value()).map(Some)
    }
}
