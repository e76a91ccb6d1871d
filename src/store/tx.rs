use std::any::{Any, TypeId};
use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;

use redb::{ReadableTable, TableDefinition, WriteTransaction};

use super::bus::{Ear, News, Topic};
use super::draft::Draft;
use super::error::StoreError;
use super::key::Key;
use super::own::{COUNTERS, Number, encode_row};
use super::row::Row;
use super::span::{Bounds, Span};
use super::table::Table;
use super::view::{Read, decode_pair, decode_row, encode_key};

type Opened<'a> = Rc<RefCell<redb::Table<'a, &'static [u8], &'static [u8]>>>;

/// The write transaction of the batch that runs. A table is opened at its first use and stays open over the batch.
pub struct Tx<'a> {
    transaction: &'a WriteTransaction,
    opened: Rc<RefCell<Vec<(&'static str, Opened<'a>)>>>,
    /// What this one writes, when it is a draft: the transaction stays as it is.
    draft: Option<Draft>,
    counters: Counters,
    topics: Vec<Topic>,
    ears: Arc<Vec<Ear>>,
    news: Vec<News>,
    written_bytes: Option<u64>,
    freed_bytes: u64,
    reaping: bool,
    is_full: bool,
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
    pub(super) news: Vec<News>,
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
        if self.draft.is_some() {
            let old = self.get(table, key)?;
            if old.is_some() {
                self.write_row(table.name(), &encode_key(key), None)?;
            }
            return Ok(old);
        }
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

    /// Makes what was tried on a draft of this transaction. Nothing else may have been written since.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn adopt(&mut self, draft: Draft) -> Result<(), StoreError> {
        for (table, rows) in draft.rows {
            for (key, row) in rows {
                self.write_row(table, &key, row)?;
            }
        }
        for (counter, last) in draft.counters {
            self.next_from(counter, last)?;
        }
        draft.topics.into_iter().for_each(|topic| self.announce(topic));
        self.freed_bytes += draft.freed_bytes;
        self.news.extend(draft.news);
        self.reaping |= draft.reaping;
        Ok(())
    }

    /// Tells those who hear values of that type ([`super::Bus::hear`]), once the batch is committed. When nobody does,
    /// the value is not built. As many may be told as rows are written: the weight of a batch bounds both.
    pub fn tell<T: Any + Send + Sync>(&mut self, build: impl FnOnce() -> T) {
        if self.ears.iter().any(|ear| ear.wants(TypeId::of::<T>())) {
            self.news.push(Arc::new(build()));
        }
    }
}

impl<'a> Tx<'a> {
    pub(super) fn new(transaction: &'a WriteTransaction, counters: Counters, ears: Arc<Vec<Ear>>) -> Self {
        Self {
            transaction,
            opened: Rc::default(),
            draft: None,
            counters,
            topics: Vec::new(),
            ears,
            news: Vec::new(),
            written_bytes: None,
            freed_bytes: 0,
            reaping: false,
            is_full: false,
        }
    }

    /// The same on a disk that is full, or is not.
    pub(super) fn on_full_disk(self, is_full: bool) -> Self {
        Self { is_full, ..self }
    }

    /// The disk is full: what runs all the same ([`super::Op::runs_when_full`]) makes room, and writes as little as it can.
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    /// A transaction to try changes on: it reads what this one reads, and keeps what is written to it for itself. So the
    /// check of an op that is made of many can run each behind the others, before anything is written.
    #[must_use]
    pub fn draft(&self) -> Self {
        Self {
            transaction: self.transaction,
            opened: Rc::clone(&self.opened),
            draft: Some(self.draft.clone().unwrap_or_default()),
            counters: Counters { last: self.counters.last.clone(), moved: Vec::new() },
            topics: Vec::new(),
            ears: Arc::clone(&self.ears),
            news: Vec::new(),
            written_bytes: None,
            freed_bytes: 0,
            reaping: false,
            is_full: self.is_full,
        }
    }

    /// What was tried on a draft; nothing on a transaction that is none.
    pub fn into_draft(self) -> Draft {
        let Self { draft, counters, topics, news, freed_bytes, reaping, .. } = self;
        let last = |counter: &'static str| (counter, counters.last.get(counter).copied().unwrap_or_default());
        let counters = counters.moved.iter().map(|counter| last(counter)).collect();
        let rows = draft.unwrap_or_default().rows;
        Draft { rows, counters, topics, news, freed_bytes, reaping }
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
            news: self.news,
            bytes: self.written_bytes,
            freed_bytes: self.freed_bytes,
            reaping: self.reaping,
        })
    }

    pub(super) fn put_bytes(&mut self, table: &'static str, key: &[u8], row: &[u8]) -> Result<(), StoreError> {
        if self.draft.is_some() {
            return self.write_row(table, key, Some(row.to_vec()));
        }
        self.table(table)?.borrow_mut().insert(key, row)?;
        *self.written_bytes.get_or_insert(0) += (key.len() + row.len()) as u64;
        Ok(())
    }

    pub(super) fn remove_bytes(&mut self, table: &'static str, key: &[u8]) -> Result<(), StoreError> {
        let freed_bytes = match self.draft.as_ref().and_then(|draft| draft.row(table, key)) {
            Some(row) => row.map_or(0, <[u8]>::len),
            None => self.table(table)?.borrow().get(key)?.map_or(0, |row| row.value().len()),
        };
        self.freed_bytes += freed_bytes as u64;
        self.write_row(table, key, None)
    }

    /// Writes or removes a row, in the draft where this is one.
    fn write_row(&mut self, table: &'static str, key: &[u8], row: Option<Vec<u8>>) -> Result<(), StoreError> {
        if let Some(draft) = &mut self.draft {
            draft.write(table, key, row);
            return Ok(());
        }
        let opened = self.table(table)?;
        let mut opened = opened.borrow_mut();
        let bytes = key.len() + row.as_ref().map_or(0, Vec::len);
        match row {
            Some(row) => drop(opened.insert(key, row.as_slice())?),
            None => drop(opened.remove(key)?),
        }
        *self.written_bytes.get_or_insert(0) += bytes as u64;
        Ok(())
    }

    /// Calls `each` for the rows of a span in key order until it says no; the draft lies over what is in the file.
    fn each_row(
        &self,
        table: &'static str,
        bounds: Bounds<'_>,
        mut each: impl FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError> {
        let opened = self.table(table)?;
        let opened = opened.borrow();
        let mut drafted = self.draft.iter().flat_map(|draft| draft.range(table, bounds)).peekable();
        for row in opened.range::<&[u8]>(bounds)? {
            let (key, row) = row?;
            while let Some((over, new)) = drafted.next_if(|(over, _)| *over < key.value()) {
                if let Some(new) = new
                    && each(over, new)?.is_break()
                {
                    return Ok(());
                }
            }
            let same = drafted.next_if(|(over, _)| *over == key.value());
            let row = match same {
                Some((_, new)) => new,
                None => Some(row.value()),
            };
            if let Some(row) = row
                && each(key.value(), row)?.is_break()
            {
                return Ok(());
            }
        }
        for (over, new) in drafted {
            if let Some(new) = new
                && each(over, new)?.is_break()
            {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The first `limit` keys of a span, as bytes.
    pub(super) fn keys<K: Key>(
        &self,
        table: &'static str,
        span: &Span<K>,
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let Some(bounds) = span.bounds() else { return Ok(Vec::new()) };
        let mut keys = Vec::new();
        if limit > 0 {
            self.each_row(table, bounds, |key, _| {
                keys.push(key.to_vec());
                Ok(if keys.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
            })?;
        }
        Ok(keys)
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
        let key = encode_key(key);
        if let Some(row) = self.draft.as_ref().and_then(|draft| draft.row(table.name(), &key)) {
            return row.map(|row| decode_row(table, row)).transpose();
        }
        let opened = self.table(table.name())?;
        let opened = opened.borrow();
        let row = opened.get(key.as_slice())?;
        row.map(|row| decode_row(table, row.value())).transpose()
    }

    fn scan<K: Key, V: Row>(
        &self,
        table: &Table<K, V>,
        span: Span<K>,
        mut each: impl FnMut(K, V) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let Some(bounds) = span.bounds() else { return Ok(()) };
        self.each_row(table.name(), bounds, |key, row| {
            let (key, row) = decode_pair(table, key, row)?;
            Ok(each(key, row))
        })
    }

    fn last<K: Key, V: Row>(&self, table: &Table<K, V>, span: Span<K>) -> Result<Option<(K, V)>, StoreError> {
        let Some(bounds) = span.bounds() else { return Ok(None) };
        let opened = self.table(table.name())?;
        let opened = opened.borrow();
        let over = self.draft.iter().flat_map(|draft| draft.range(table.name(), bounds));
        let over = over.rev().find_map(|(key, row)| Some((key, row?)));
        for last in opened.range::<&[u8]>(bounds)?.rev() {
            let (key, row) = last?;
            // Behind every row that is left in the file: the draft's own last.
            if over.is_some_and(|(over, _)| over >= key.value()) {
                break;
            }
            if self.draft.as_ref().is_none_or(|draft| draft.row(table.name(), key.value()).is_none()) {
                return decode_pair(table, key.value(), row.value()).map(Some);
            }
        }
        over.map(|(key, row)| decode_pair(table, key, row)).transpose()
    }
}
