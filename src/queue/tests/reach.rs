use std::cell::Cell;
use std::ops::ControlFlow;

use super::*;
use crate::store::{Key, Read, Row, Span, Table, View};

/// A view that counts the rows that are looked at.
struct Counted<'a>(&'a View, Cell<usize>);

impl Counted<'_> {
    fn count(&self) {
        self.1.set(self.1.get() + 1);
    }
}

impl Read for Counted<'_> {
    fn get<K: Key, V: Row>(&self, table: &Table<K, V>, key: &K) -> Result<Option<V>, StoreError> {
        self.count();
        self.0.get(table, key)
    }

    fn has<K: Key, V: Row>(&self, table: &Table<K, V>, key: &K) -> Result<bool, StoreError> {
        self.count();
        self.0.has(table, key)
    }

    fn scan<K: Key, V: Row>(
        &self,
        table: &Table<K, V>,
        span: Span<K>,
        mut each: impl FnMut(K, V) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.0.scan(table, span, |key, row| {
            self.count();
            each(key, row)
        })
    }

    fn scan_keys<K: Key, V: Row>(
        &self,
        table: &Table<K, V>,
        span: Span<K>,
        mut each: impl FnMut(K) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.0.scan_keys(table, span, |key| {
            self.count();
            each(key)
        })
    }

    fn last<K: Key, V: Row>(&self, table: &Table<K, V>, span: Span<K>) -> Result<Option<(K, V)>, StoreError> {
        self.count();
        self.0.last(table, span)
    }
}

const TO: &[&str] = &["a@one.test", "b@two.test", "c@three.test", "d@one.test", "e@two.test"];

#[tokio::test]
async fn what_is_asked_for_is_all_that_is_looked_at() {
    let world = World::new();
    for message in 1..=100 {
        world.bring(message, "alice@example.test", TO).await;
    }
    let view = world.store.view().unwrap();
    // At most an index row and its entry for each of ten.
    let check = |what: &str, rows_max: usize, read: &dyn Fn(&Counted<'_>) -> usize| {
        let counted = Counted(&view, Cell::new(0));
        assert!(read(&counted) > 0, "{what}: nothing");
        let rows = counted.1.get();
        assert!(rows <= rows_max, "{what}: {rows} rows of 500 entries");
    };
    let behind = Some(id(50, 2));
    let slice = |selector: Selector| move |read: &Counted<'_>| selector.slice(read, behind, 10).unwrap().entries.len();
    check("the next due", 1, &|read| next_due(read, Timestamp(0)).unwrap().map_or(0, |_| 1));
    check("what is due", 20, &|read| due(read, START, None, 10).unwrap().len());
    check("what is due behind", 20, &|read| due(read, START, behind.map(|id| (START, id)), 10).unwrap().len());
    check("a page", 10, &|read| entries(read, behind, 10).unwrap().len());
    check("a page of a domain", 20, &|read| entries_of_domain(read, "two.test", behind, 10).unwrap().len());
    check("the entries of a message", 5, &|read| entries_of_message(read, MessageId(50 << 16)).unwrap().len());
    check("the newest", 1, &|read| newest(read).unwrap().map_or(0, |_| 1));
    check("a slice of all", 10, &slice(Selector::All));
    check("a slice of a domain", 20, &slice(Selector::Domain("one.test".parse().unwrap())));
    check("a slice of a sender", 20, &slice(Selector::Sender(Some(address("alice@example.test")))));
}
