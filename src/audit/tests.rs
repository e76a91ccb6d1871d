use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::base::{SystemClock, Timestamp};
use crate::postcard_row;
use crate::store::{Halt, Op, Options, Read, Schema, Store, StoreError, Table, Tx, WriteError};

static THINGS: Table<String, Thing> = Table::new("things");
static SCHEMA: Schema = Schema { version: 1, tables: &[&THINGS, TABLES[0]], checks: CHECKS, migrations: &[] };

#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
struct Thing(String);
postcard_row!(Thing, 1);

/// Writes a thing, or refuses, or fails half-way.
struct Change(&'static str);

impl Op for Change {
    type Plan = ();
    type Out = ();
    type Refused = &'static str;

    fn name(&self) -> &'static str {
        "test.change"
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<&'static str>> {
        if self.0 == "refused" { Err(Halt::Refused("no")) } else { Ok(()) }
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        tx.put(&THINGS, &"one".to_owned(), &Thing(self.0.into()))?;
        assert_ne!(self.0, "broken", "a panic undoes it");
        Ok(())
    }
}

fn store() -> Store {
    Store::open(Options::memory(Arc::new(SystemClock)), &SCHEMA).expect("a store in memory opens")
}

fn show(tx: &Tx<'_>) -> Result<Option<Value>, StoreError> {
    Ok(tx.get(&THINGS, &"one".to_owned())?.map(|thing| json!({"secret": "s", "value": thing.0})))
}

fn act() -> Act {
    Act { actor: "a@x.test".into(), action: "put_thing".into(), ..Act::default() }
}

fn change(store: &Store, to: &'static str, at: u64) -> Result<(), WriteError<&'static str>> {
    let op = Audited { op: Change(to), act: act(), target: "one".into(), at: Timestamp(at), show };
    store.write_blocking(op).map(|done| done.into_inner())
}

fn seen(store: &Store) -> Vec<(Option<Value>, Option<Value>)> {
    let rows = rows(&store.view().unwrap(), None, None, None, 100).unwrap();
    rows.into_iter().map(|(_, row)| (row.before(), row.after())).collect()
}

#[test]
fn a_change_and_its_row_are_one() {
    let store = store();
    change(&store, "first", 1000).unwrap();
    change(&store, "second", 1000).unwrap();
    assert_eq!(change(&store, "refused", 1000), Err(WriteError::Refused("no")));
    assert_eq!(change(&store, "broken", 1000), Err(WriteError::Panicked));
    let shown = |value: &str| Some(json!({"secret": "***", "value": value}));
    assert_eq!(seen(&store), [(shown("first"), shown("second")), (None, shown("first"))]);
}

#[test]
fn a_row_says_what_has_come_of_it() {
    let store = store();
    let note = Note { act: act(), target: "all".into(), at: Timestamp(5), after: Some(json!({"matched": null})) };
    let id = store.write_blocking(note).unwrap().into_inner();
    let _ = store.write_blocking(Complete { id, after: json!({"matched": 3}) }).unwrap();
    assert_eq!(seen(&store), [(None, Some(json!({"matched": 3})))]);
}

#[test]
fn what_is_too_long_says_so() {
    let store = store();
    let long = "x".repeat(crate::base::limits::AUDIT_SHOWN_BYTES);
    let note = Note { act: act(), target: "all".into(), at: Timestamp(5), after: Some(json!({"name": long})) };
    let _ = store.write_blocking(note).unwrap();
    assert_eq!(seen(&store)[0].1.as_ref().unwrap()["cut"], true);
}

#[test]
fn rows_come_newest_first_by_time_and_go_when_they_are_old() {
    let store = store();
    // The clock goes back once: what is done later still comes later.
    for at in [1000, 2000, 1500, 3000, 3000] {
        let _ =
            store.write_blocking(Note { act: act(), target: at.to_string(), at: Timestamp(at), after: None }).unwrap();
    }
    let check = |after: Option<u64>, before: Option<u64>, expected: &[&str]| {
        let (after, before) = (after.map(Timestamp), before.map(Timestamp));
        let view = store.view().unwrap();
        let (mut seen, mut behind) = (Vec::new(), None);
        loop {
            let page = rows(&view, behind, after, before, 2).unwrap();
            behind = page.last().map(|(id, _)| *id);
            let is_end = page.len() < 2;
            seen.extend(page.into_iter().map(|(_, row)| row.target));
            if is_end {
                break;
            }
        }
        assert_eq!(seen, expected, "{after:?} {before:?}");
    };
    check(None, None, &["3000", "3000", "1500", "2000", "1000"]);
    check(Some(2000), None, &["3000", "3000", "1500", "2000"]);
    check(None, Some(3000), &["1500", "2000", "1000"]);
    check(Some(2000), Some(3000), &["1500", "2000"]);
    let prune = |limit| store.write_blocking(Prune { before: Timestamp(3000), limit }).unwrap().into_inner();
    assert_eq!((prune(2), prune(2), prune(2)), (2, 1, 0));
    check(None, None, &["3000", "3000"]);
}

#[test]
fn a_row_weighs_what_it_shows() {
    let row = |after: Option<Value>| row::AuditRow::new(Timestamp(1), act(), "one".into(), None, after);
    let more = row(Some(json!("x".repeat(10_000)))).weight_bytes() - row(None).weight_bytes();
    assert!((10_000..10_010).contains(&more), "{more}");
}

#[test]
fn a_counter_that_is_behind_is_mended() {
    let store = store();
    change(&store, "first", 1000).unwrap();
    store.forget_counter("audit");
    store.is_mended_of("audit: the counter of its ids is behind");
    change(&store, "second", 1000).unwrap();
    assert_eq!(seen(&store).len(), 2, "no row takes the place of another");
    assert_eq!(store.check().unwrap().lines(), [] as [&str; 0]);
}
