use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use super::bus::{News, Topic};
use super::span::Bounds;

/// Changes that were tried on a [`super::Tx::draft`] and are not made yet: [`super::Tx::adopt`] makes them.
#[derive(Debug, Default, Clone)]
pub struct Draft {
    /// The rows of each table that are written (`Some`) or removed.
    pub(super) rows: HashMap<&'static str, Overlay>,
    /// The counters that were moved, with the last number that each gave.
    pub(super) counters: Vec<(&'static str, u64)>,
    pub(super) topics: Vec<Topic>,
    pub(super) news: Vec<News>,
    pub(super) freed_bytes: u64,
    pub(super) reaping: bool,
}

/// What lies over the rows of a table.
pub(super) type Overlay = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

impl Draft {
    /// Whether it writes and removes nothing.
    pub fn is_empty(&self) -> bool {
        self.rows.values().all(BTreeMap::is_empty)
    }

    /// What it says of a row: `None` when nothing, else the row, which may be removed.
    pub(super) fn row(&self, table: &str, key: &[u8]) -> Option<Option<&[u8]>> {
        Some(self.rows.get(table)?.get(key)?.as_deref())
    }

    pub(super) fn write(&mut self, table: &'static str, key: &[u8], row: Option<Vec<u8>>) {
        self.rows.entry(table).or_default().insert(key.to_vec(), row);
    }

    /// The rows of a span that it writes or removes, in key order.
    pub(super) fn range<'a>(
        &'a self,
        table: &str,
        bounds: Bounds<'_>,
    ) -> impl DoubleEndedIterator<Item = (&'a [u8], Option<&'a [u8]>)> {
        let own = |bound: Bound<&[u8]>| bound.map(<[u8]>::to_vec);
        let bounds: (Bound<Vec<u8>>, Bound<Vec<u8>>) = (own(bounds.0), own(bounds.1));
        let overlay = self.rows.get(table).into_iter();
        overlay.flat_map(move |rows| rows.range(bounds.clone()).map(|(key, row)| (key.as_slice(), row.as_deref())))
    }
}
