use std::any::{Any, TypeId};
use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;

use redb::{ReadableTable, TableDefinition, WriteTransaction};

use super::bus::{Ear, News, Topic};
use super::damage;
use super::draft::Draft;
use super::error::StoreError;
use super::key::Key;
use super::own::{COUNTERS, Number};
use super::row::Row;
use super::sealing::{self, Layout};
use super::span::{Bounds, Span};
use super::table::Table;
use super::view::{Read, damaged, decode_key, decode_pair, encode_key, guarded};

type Opened<'a> = Rc<RefCell<redb::Table<'a, &'static [u8], &'static [u8]>>>;

/// The write transaction of the batch that runs. A table is opened at its first use and stays open over the batch.
pub struct Tx<'a> {
    transaction: &'a WriteTransaction,
    opened: Rc<RefCell<Vec<(&'static str, Opened<'a>)>>>,
    layout: Layout,
    /// What this one writes, when it is a draft: the transaction stays as it is.
    draft: Option<Draft>,
    counters: Counters,
    topics: Vec<Topic>,
    ears: Arc<Vec<Ear>>,
    news: Vec<News>,
    written_bytes: Option<u64>,
    freed_bytes: u64,
    /// By how much the octets of all keys and rows change.
    grown_bytes: i64,
    /// The rows that are written or removed, where somebody wants to know.
    changed: Option<Vec<Place>>,
    reaping: bool,
    is_full: bool,
}

/// Where a row is, or was: its table and its key.
pub(super) type Place = (&'static str, Vec<u8>);

/// The numbers that the counters gave last, kept by the writer from batch to batch.
#[derive(Debug, Default)]
pub(super) struct Counters {
    last: HashMap<&'static str, u64>,
    moved: Vec<&'static str>,
}

impl Counters {
    fn note(&mut self, counter: &'static str, last: u64) {
        self.last.insert(counter, last);
        if !self.moved.contains(&counter) {
            self.moved.push(counter);
        }
    }
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
    /// By how much the octets of all keys and rows change.
    pub(super) grown_bytes: i64,
    pub(super) changed: Vec<Place>,
    /// There are chunks to reap.
    pub(super) reaping: bool,
}

impl Tx<'_> {
    /// Writes a row, over the old one if there is one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put<K: Key, V: Row>(&mut self, table: &Table<K, V>, key: &K, row: &V) -> Result<(), StoreError> {
        let key = encode_key(key);
        if V::HOLDS_SECRET.is_some() && self.layout.sealing.is_untouched() && self.is_sealed(table.name(), &key)? {
            // The row was read without its secret, which this would throw away.
            return Err(damaged(table.name(), "its secret is sealed, and there is no key: it can't be written"));
        }
        let row = sealing::encode(table.name(), &key, row, &self.layout.sealing)?;
        self.put_bytes(table.name(), &key, &row)
    }

    /// Removes a row and says what it was, unless it did not decode.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn remove<K: Key, V: Row>(&mut self, table: &Table<K, V>, key: &K) -> Result<Option<V>, StoreError> {
        if self.draft.is_some() {
            let old = self.get_if_sound(table, key)?;
            if self.has(table, key)? {
                self.write_row(table.name(), &encode_key(key), None)?;
            }
            return Ok(old);
        }
        let (name, key) = (table.name(), encode_key(key));
        let take = |old: &[u8]| (key.len() + old.len(), sealing::decode(name, &key, old, &self.layout));
        let Some((gone_bytes, old)) = self.exchange_row(name, &key, None, take)? else { return Ok(None) };
        let old = old.map_err(|fault| damage::met(name, &key, &fault)).ok();
        *self.written_bytes.get_or_insert(0) += key.len() as u64;
        self.note_change(name, &key, gone_bytes, 0);
        Ok(old)
    }

    /// The next number of a counter, from 1 on. Never handed out twice, also not after a crash. `highest` says which one
    /// the rows know: it is asked where the counter's own row is not there, or damaged, and goes on behind that.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn next(
        &mut self,
        counter: &'static str,
        highest: impl FnOnce(&Self) -> Result<u64, StoreError>,
    ) -> Result<u64, StoreError> {
        self.next_from(counter, 1, highest)
    }

    /// The same, and no smaller than `least`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn next_from(
        &mut self,
        counter: &'static str,
        least: u64,
        highest: impl FnOnce(&Self) -> Result<u64, StoreError>,
    ) -> Result<u64, StoreError> {
        let last = match self.counters.last.get(counter) {
            Some(last) => *last,
            None => match self.get_if_sound(&COUNTERS, &counter.to_owned())? {
                Some(row) => row.0,
                None => highest(self)?,
            },
        };
        let next = least.max(last + 1);
        self.counters.note(counter, next);
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
            self.counters.note(counter, last);
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
    pub(super) fn new(
        transaction: &'a WriteTransaction,
        counters: Counters,
        ears: Arc<Vec<Ear>>,
        layout: Layout,
    ) -> Self {
        Self {
            transaction,
            opened: Rc::default(),
            layout,
            draft: None,
            counters,
            topics: Vec::new(),
            ears,
            news: Vec::new(),
            written_bytes: None,
            freed_bytes: 0,
            grown_bytes: 0,
            changed: None,
            reaping: false,
            is_full: false,
        }
    }

    /// The same, which tells of each row that it writes or removes where `is_wanted` says so.
    pub(super) fn telling_changes(self, is_wanted: bool) -> Self {
        Self { changed: is_wanted.then(Vec::new), ..self }
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
            layout: self.layout.clone(),
            draft: Some(self.draft.clone().unwrap_or_default()),
            counters: Counters { last: self.counters.last.clone(), moved: Vec::new() },
            topics: Vec::new(),
            ears: Arc::clone(&self.ears),
            news: Vec::new(),
            written_bytes: None,
            freed_bytes: 0,
            grown_bytes: 0,
            changed: None,
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

    fn is_sealed(&self, table: &'static str, key: &[u8]) -> Result<bool, StoreError> {
        if let Some(row) = self.draft.as_ref().and_then(|draft| draft.row(table, key)) {
            return Ok(row.is_some_and(sealing::is_sealed));
        }
        Ok(self.get_bytes(table, key, sealing::is_sealed)?.unwrap_or_default())
    }

    /// Hands the row's bytes as they stand in the file to `take`, whatever is drafted.
    fn get_bytes<T>(
        &self,
        table: &'static str,
        key: &[u8],
        take: impl FnOnce(&[u8]) -> T,
    ) -> Result<Option<T>, StoreError> {
        let opened = self.table(table)?;
        let opened = opened.borrow();
        guarded(table, || Ok(opened.get(key)?.map(|row| take(row.value()))))
    }

    /// Writes a row into the file, or removes it, and hands what was there before to `take`.
    fn exchange_row<T>(
        &self,
        table: &'static str,
        key: &[u8],
        row: Option<&[u8]>,
        take: impl FnOnce(&[u8]) -> T,
    ) -> Result<Option<T>, StoreError> {
        let opened = self.table(table)?;
        let mut opened = opened.borrow_mut();
        guarded(table, || {
            let old = match row {
                Some(row) => opened.insert(key, row)?,
                None => opened.remove(key)?,
            };
            Ok(old.map(|old| take(old.value())))
        })
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
            grown_bytes: self.grown_bytes,
            changed: self.changed.unwrap_or_default(),
            reaping: self.reaping,
        })
    }

    pub(super) fn put_bytes(&mut self, table: &'static str, key: &[u8], row: &[u8]) -> Result<(), StoreError> {
        if self.draft.is_some() {
            return self.write_row(table, key, Some(row.to_vec()));
        }
        let gone_bytes = self.exchange_row(table, key, Some(row), |old| key.len() + old.len())?;
        *self.written_bytes.get_or_insert(0) += (key.len() + row.len()) as u64;
        self.note_change(table, key, gone_bytes.unwrap_or_default(), key.len() + row.len());
        Ok(())
    }

    /// A row as it stands in the file.
    pub(super) fn bytes(&self, table: &'static str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.get_bytes(table, key, <[u8]>::to_vec)
    }

    pub(super) fn remove_bytes(&mut self, table: &'static str, key: &[u8]) -> Result<(), StoreError> {
        let freed_bytes = match self.draft.as_ref().and_then(|draft| draft.row(table, key)) {
            Some(row) => row.map_or(0, <[u8]>::len),
            None => self.get_bytes(table, key, <[u8]>::len)?.unwrap_or_default(),
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
        let bytes = key.len() + row.as_ref().map_or(0, Vec::len);
        let gone_bytes = self.exchange_row(table, key, row.as_deref(), |old| key.len() + old.len())?;
        *self.written_bytes.get_or_insert(0) += bytes as u64;
        self.note_change(table, key, gone_bytes.unwrap_or_default(), row.map_or(0, |_| bytes));
        Ok(())
    }

    fn note_change(&mut self, table: &'static str, key: &[u8], gone_bytes: usize, new_bytes: usize) {
        self.grown_bytes += new_bytes as i64 - gone_bytes as i64;
        if let Some(changed) = &mut self.changed {
            changed.push((table, key.to_vec()));
        }
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
        let mut rows = guarded(table, || Ok(opened.range::<&[u8]>(bounds)?))?;
        while let Some((key, row)) = guarded(table, || Ok(rows.next().transpose()?))? {
            let (key, row) = guarded(table, || Ok((key.value(), row.value())))?;
            while let Some((over, new)) = drafted.next_if(|(over, _)| *over < key) {
                if let Some(new) = new
                    && each(over, new)?.is_break()
                {
                    return Ok(());
                }
            }
            let same = drafted.next_if(|(over, _)| *over == key);
            let row = match same {
                Some((_, new)) => new,
                None => Some(row),
            };
            if let Some(row) = row
                && each(key, row)?.is_break()
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
    pub(super) fn raw_keys<K: Key>(
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
        let table = guarded(name, || Ok(self.transaction.open_table(TableDefinition::new(name))?))?;
        let table = Rc::new(RefCell::new(table));
        self.opened.borrow_mut().push((name, Rc::clone(&table)));
        Ok(table)
    }
}

impl Read for Tx<'_> {
    fn get<K: Key, V: Row>(&self, table: &Table<K, V>, key: &K) -> Result<Option<V>, StoreError> {
        let key = encode_key(key);
        let decoded = |row: &[u8]| {
            sealing::decode(table.name(), &key, row, &self.layout)
                .map_err(|fault| damage::met(table.name(), &key, &fault))
        };
        if let Some(row) = self.draft.as_ref().and_then(|draft| draft.row(table.name(), &key)) {
            return row.map(decoded).transpose();
        }
        self.get_bytes(table.name(), &key, decoded)?.transpose()
    }

    fn has<K: Key, V: Row>(&self, table: &Table<K, V>, key: &K) -> Result<bool, StoreError> {
        let key = encode_key(key);
        match self.draft.as_ref().and_then(|draft| draft.row(table.name(), &key)) {
            Some(row) => Ok(row.is_some()),
            None => Ok(self.get_bytes(table.name(), &key, |_| ())?.is_some()),
        }
    }

    fn scan<K: Key, V: Row>(
        &self,
        table: &Table<K, V>,
        span: Span<K>,
        mut each: impl FnMut(K, V) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let Some(bounds) = span.bounds() else { return Ok(()) };
        self.each_row(table.name(), bounds, |key, row| match decode_pair(table, key, row, &self.layout) {
            Ok((key, row)) => Ok(each(key, row)),
            Err(fault) => {
                damage::met(table.name(), key, &fault);
                Ok(ControlFlow::Continue(()))
            }
        })
    }

    fn scan_keys<K: Key, V: Row>(
        &self,
        table: &Table<K, V>,
        span: Span<K>,
        mut each: impl FnMut(K) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let Some(bounds) = span.bounds() else { return Ok(()) };
        self.each_row(table.name(), bounds, |key, _| match decode_key(key) {
            Ok(key) => Ok(each(key)),
            Err(fault) => {
                damage::met(table.name(), key, &fault);
                Ok(ControlFlow::Continue(()))
            }
        })
    }

    fn last<K: Key, V: Row>(&self, table: &Table<K, V>, span: Span<K>) -> Result<Option<(K, V)>, StoreError> {
        let Some(bounds) = span.bounds() else { return Ok(None) };
        let name = table.name();
        let opened = self.table(name)?;
        let opened = opened.borrow();
        let over = self.draft.iter().flat_map(|draft| draft.range(name, bounds));
        // What is drafted was written by this process, and decodes.
        let over = over.rev().find_map(|(key, row)| Some((key, row?)));
        let mut rows = guarded(name, || Ok(opened.range::<&[u8]>(bounds)?))?;
        while let Some((key, row)) = guarded(name, || Ok(rows.next_back().transpose()?))? {
            let (key, row) = guarded(name, || Ok((key.value(), row.value())))?;
            // Behind every row that is left in the file: the draft's own last.
            if over.is_some_and(|(over, _)| over >= key) {
                break;
            }
            if self.draft.as_ref().is_none_or(|draft| draft.row(name, key).is_none()) {
                match decode_pair(table, key, row, &self.layout) {
                    Ok(last) => return Ok(Some(last)),
                    Err(fault) => drop(damage::met(name, key, &fault)),
                }
            }
        }
        Ok(over.and_then(|(key, row)| decode_pair(table, key, row, &self.layout).ok()))
    }
}
