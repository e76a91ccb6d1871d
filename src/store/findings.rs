use super::error::StoreError;
use super::key::Key;
use super::own::{BLOB_DEAD, BLOBS, Blob, COUNTERS, Number};
use super::row::{Row, encode_row};
use super::table::Table;
use super::view::{Read, View, encode_key};
use crate::base::{BlobId, limits};

/// What a check has found.
#[derive(Debug, Default)]
pub struct Findings {
    lines: Vec<String>,
    /// More than are listed.
    unlisted: u64,
    /// What would mend them, where somebody wants to.
    mends: Option<Vec<Mend>>,
}

/// What mends a finding: all of it, or nothing.
#[derive(Debug)]
pub(super) struct Mend {
    pub(super) what: String,
    pub(super) changes: Vec<Change>,
}

/// A change of one row, as bytes.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) table: &'static str,
    pub(super) key: Vec<u8>,
    pub(super) after: After,
}

/// What a row is to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum After {
    /// Written, over what may be there.
    Put(Vec<u8>),
    /// Gone: all that it says stands elsewhere.
    Gone,
    /// Gone from its table, and kept among the damaged ones: it says what nothing else does.
    Aside,
}

/// One finding, on which its check declares what mends it.
pub struct Finding<'a>(Option<&'a mut Vec<Change>>);

impl Findings {
    /// For who will mend what is found.
    pub(super) fn to_mend() -> Self {
        Self { mends: Some(Vec::new()), ..Self::default() }
    }

    /// Records one. What is given of what mends it has to be derived from rows that are sound.
    pub fn add(&mut self, what: impl Into<String>) -> Finding<'_> {
        let what = what.into();
        let mend = self.mends.as_mut().filter(|mends| mends.len() < limits::MENDED_AT_ONCE);
        let mend = mend.map(|mends| {
            mends.push(Mend { what: what.clone(), changes: Vec::new() });
            mends.last_mut().map(|mend| &mut mend.changes)
        });
        if self.lines.len() < limits::FINDINGS_LISTED {
            self.lines.push(what);
        } else {
            self.unlisted += 1;
        }
        Finding(mend.flatten())
    }

    /// The first [`limits::FINDINGS_LISTED`] of them; empty when all is well.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// How many there are, those that are not listed among them.
    pub fn count(&self) -> u64 {
        self.lines.len() as u64 + self.unlisted
    }

    /// What would mend them.
    pub(super) fn into_mends(self) -> Vec<Mend> {
        self.mends.unwrap_or_default().into_iter().filter(|mend| !mend.changes.is_empty()).collect()
    }
}

impl Finding<'_> {
    /// Mended by writing this row.
    pub fn put<K: Key, V: Row>(self, table: &Table<K, V>, key: &K, row: &V) -> Self {
        let key = encode_key(key);
        let row = encode_row(table.name(), &key, row);
        self.change(table.name(), &key, After::Put(row))
    }

    /// Mended by removing this row, which says nothing that others don't.
    pub fn remove<K: Key, V: Row>(self, table: &Table<K, V>, key: &K) -> Self {
        self.change(table.name(), &encode_key(key), After::Gone)
    }

    /// Mended by taking this row out of its table; it is kept among the damaged ones.
    pub fn set_aside<K: Key, V: Row>(self, table: &Table<K, V>, key: &K) -> Self {
        self.change(table.name(), &encode_key(key), After::Aside)
    }

    /// Mended by letting the counter go on behind this number.
    pub fn raise(self, counter: &str, last: u64) -> Self {
        self.put(&COUNTERS, &counter.to_owned(), &Number(last))
    }

    /// Mended by letting the body count so many references; one with none goes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn count_references(self, view: &View, id: BlobId, references: u32) -> Result<Self, StoreError> {
        let Some(blob) = view.get(&BLOBS, &id)? else { return Ok(self) };
        if references > 0 {
            return Ok(self.put(&BLOBS, &id, &Blob { references, ..blob }));
        }
        // Its row in the table of hashes leads nowhere then, and goes in the next round.
        Ok(self.remove(&BLOBS, &id).put(&BLOB_DEAD, &id, &()))
    }

    pub(super) fn change(mut self, table: &'static str, key: &[u8], after: After) -> Self {
        if let Some(changes) = &mut self.0 {
            changes.push(Change { table, key: key.to_vec(), after });
        }
        self
    }
}
