use std::marker::PhantomData;
use std::ops::ControlFlow;

use super::blob::StagedBlob;
use super::bus::Topic;
use super::error::StoreError;
use super::key::Key;
use super::row::Row;
use super::span::Span;
use super::table::Table;
use crate::base::BlobId;

/// Reading, the same in a read view and in a write transaction. Rows are handed out by copy or to a closure.
pub trait Read {
    /// The row at `key`.
    fn get<K: Key, V: Row>(&self, table: &Table<K, V>, key: &K) -> Result<Option<V>, StoreError>;

    /// Calls `each` for the rows of `span` in key order, until it breaks.
    fn scan<K: Key, V: Row>(
        &self,
        table: &Table<K, V>,
        span: Span<K>,
        each: impl FnMut(K, V) -> ControlFlow<()>,
    ) -> Result<(), StoreError>;

    /// The last row of `span`.
    fn last<K: Key, V: Row>(&self, table: &Table<K, V>, span: Span<K>) -> Result<Option<(K, V)>, StoreError>;

    /// Whether there is a row at `key`.
    fn has<K: Key, V: Row>(&self, table: &Table<K, V>, key: &K) -> Result<bool, StoreError> {
        Ok(self.get(table, key)?.is_some())
    }

    /// The first row of `span`.
    fn first<K: Key, V: Row>(&self, table: &Table<K, V>, span: Span<K>) -> Result<Option<(K, V)>, StoreError> {
        Ok(self.rows(table, span, 1)?.pop())
    }

    /// The first `limit` rows of `span`.
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

/// A consistent view of the last commit. Short-lived: it pins pages, so never across an await on a socket.
pub struct View {}

/// The write transaction of the batch that runs.
pub struct Tx<'a> {
    types: PhantomData<&'a ()>,
}

impl Tx<'_> {
    /// Writes a row, over the old one if there is one.
    pub fn put<K: Key, V: Row>(&mut self, _table: &Table<K, V>, _key: &K, _row: &V) -> Result<(), StoreError> {
        todo!()
    }

    /// Removes a row and says what it was.
    pub fn remove<K: Key, V: Row>(&mut self, _table: &Table<K, V>, _key: &K) -> Result<Option<V>, StoreError> {
        todo!()
    }

    /// The next number of a counter, from 1 on. Never handed out twice, also not after a crash.
    pub fn next(&mut self, _counter: &'static str) -> Result<u64, StoreError> {
        todo!()
    }

    /// Tells the bus, once the batch is committed.
    pub fn announce(&mut self, _topic: Topic) {
        todo!()
    }

    /// Makes a staged body part of the file, with `references` more references than it had (a body that is already
    /// there is found by its hash and shared).
    pub fn adopt_blob(&mut self, _staged: &StagedBlob, _references: u32) -> Result<BlobId, StoreError> {
        todo!()
    }

    /// Adds references to a body.
    pub fn retain_blob(&mut self, _blob: BlobId, _references: u32) -> Result<(), StoreError> {
        todo!()
    }

    /// Takes a reference off a body; when none is left, its chunks are removed in the background, in slices.
    pub fn release_blob(&mut self, _blob: BlobId) -> Result<(), StoreError> {
        todo!()
    }
}

impl Read for Tx<'_> {
    fn get<K: Key, V: Row>(&self, _table: &Table<K, V>, _key: &K) -> Result<Option<V>, StoreError> {
        todo!()
    }
    fn scan<K: Key, V: Row>(
        &self,
        _table: &Table<K, V>,
        _span: Span<K>,
        _each: impl FnMut(K, V) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        todo!()
    }
    fn last<K: Key, V: Row>(&self, _table: &Table<K, V>, _span: Span<K>) -> Result<Option<(K, V)>, StoreError> {
        todo!()
    }
}

impl Read for View {
    fn get<K: Key, V: Row>(&self, _table: &Table<K, V>, _key: &K) -> Result<Option<V>, StoreError> {
        todo!()
    }
    fn scan<K: Key, V: Row>(
        &self,
        _table: &Table<K, V>,
        _span: Span<K>,
        _each: impl FnMut(K, V) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        todo!()
    }
    fn last<K: Key, V: Row>(&self, _table: &Table<K, V>, _span: Span<K>) -> Result<Option<(K, V)>, StoreError> {
        todo!()
    }
}
