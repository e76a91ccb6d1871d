//! Rows without a checksum: those of the first releases are read, and nothing else passes for one.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use super::own::{ALL_CHECKED, META};
use super::tests::{NOTES, Note, note, put, run};
use super::view::encode_key;
use super::*;

/// Octets of a page of the file.
const PAGE_BYTES: usize = 4096;
/// A note as the first releases wrote it.
const OLD: &[u8] = b"\x01\x03two";

static LINES: Table<u32, Lines> = Table::new("lines");
static SCHEMA: Schema = Schema { version: 3, tables: &[&NOTES, &LINES], checks: &[], migrations: &[] };

/// A row that takes any octets.
#[derive(Debug, Clone, PartialEq)]
struct Lines(Vec<u8>);

impl Row for Lines {
    const VERSION: u8 = 1;
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
    fn decode(version: u8, bytes: &[u8]) -> Option<Self> {
        (version == 1).then(|| Self(bytes.to_vec()))
    }
}

fn open(path: &Path) -> Store {
    Store::open(Options { disk_reserve_bytes: 0, disk_ballast_bytes: 0, ..Options::at(path) }, &SCHEMA).unwrap()
}

/// Writes a note as it is to stand in the file.
fn put_raw(store: &Store, name: &str, row: &'static [u8]) {
    let key = encode_key(&(2u32, name.to_owned()));
    store.write_blocking(run(move |tx| tx.put_bytes(NOTES.name(), &key, row))).unwrap().into_inner();
}

/// Makes it one that an older program has made.
fn grow_old(store: &Store) {
    let forget = run(|tx| tx.remove(&META, &ALL_CHECKED.to_owned()).map(drop));
    store.write_blocking(forget).unwrap().into_inner();
}

fn read(store: &Store, name: &str) -> Result<Option<Note>, String> {
    let read = store.view().unwrap().get(&NOTES, &(2, name.to_owned()));
    read.map_err(|error| error.to_string())
}

fn is_refused(store: &Store, name: &str) {
    let told = read(store, name).expect_err("it has no checksum");
    assert!(told.contains("has no checksum"), "{told}");
}

#[test]
fn in_a_file_that_was_made_with_checksums_a_row_without_one_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mail");
    let store = open(&path);
    store.write_blocking(put(2, "a", "one")).unwrap().into_inner();
    put_raw(&store, "b", OLD);
    is_refused(&store, "b");
    store.close();
    let store = open(&path);
    is_refused(&store, "b");
    let rows = store.view().unwrap().rows(&NOTES, Span::all(), 9).unwrap();
    assert_eq!(rows, [((2, "a".to_owned()), note("one"))]);
    store.is_mended_of("has no checksum");
    assert_eq!(read(&store, "b"), Ok(None));
    store.close();
    assert_eq!(verify(&Options::at(&path), &SCHEMA).unwrap().lines(), [""; 0], "the schema's own row needs none");
}

#[test]
fn in_an_older_file_it_is_read_until_a_compaction_gives_it_one() {
    let folder = tempfile::tempdir().unwrap();
    let [path, copy] = ["mail", "copy"].map(|name| folder.path().join(name));
    let store = open(&path);
    grow_old(&store);
    store.close();
    let store = open(&path);
    put_raw(&store, "b", OLD);
    put_raw(&store, "c", b"\x09rot");
    let is_read = |store: &Store| {
        assert_eq!(read(store, "b"), Ok(Some(note("two"))));
        assert!(read(store, "c").is_err(), "what does not decode is not made to look sound");
        assert_eq!(store.check().unwrap().lines().len(), 1);
    };
    is_read(&store);
    store.copy_to(&copy, CopyOptions { compact: true }, &mut |_| ControlFlow::Continue(())).unwrap_err();
    let view = store.view().unwrap();
    store.compact(&mut |_| ControlFlow::Continue(())).unwrap();
    is_read(&store);
    assert_eq!(view.get(&NOTES, &(2, "b".into())).unwrap(), Some(note("two")), "a view of the file of before");
    drop(view);
    store
        .write_blocking(run(|tx| tx.remove_bytes(NOTES.name(), &encode_key(&(2u32, "c".to_owned())))))
        .unwrap()
        .into_inner();
    store.copy_to(&copy, CopyOptions { compact: true }, &mut |_| ControlFlow::Continue(())).unwrap();
    store.close();
    for path in [&path, &copy] {
        let store = open(path);
        assert_eq!(read(&store, "b"), Ok(Some(note("two"))));
        put_raw(&store, "d", OLD);
        is_refused(&store, "d");
        store.close();
    }
}

#[test]
fn a_copy_without_free_pages_gives_the_rows_of_an_older_file_their_checksums() {
    let folder = tempfile::tempdir().unwrap();
    let [path, copy] = ["mail", "copy"].map(|name| folder.path().join(name));
    let store = open(&path);
    grow_old(&store);
    store.close();
    let store = open(&path);
    put_raw(&store, "b", OLD);
    store.copy_to(&copy, CopyOptions { compact: true }, &mut |_| ControlFlow::Continue(())).unwrap();
    put_raw(&store, "d", OLD);
    assert_eq!(read(&store, "d"), Ok(Some(note("two"))), "the file itself is as it was");
    let store = open(&copy);
    assert_eq!(read(&store, "b"), Ok(Some(note("two"))));
    put_raw(&store, "d", OLD);
    is_refused(&store, "d");
}

/// Where a row begins says its page: damaged, it leads into the row.
#[test]
fn a_row_that_begins_elsewhere_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mail");
    let store = open(&path);
    let (first, second) = (b"the first of two".to_vec(), b"Received: from near.test\x01Subject: not this".to_vec());
    let rows = [first, second.clone()];
    store
        .write_blocking(run(move |tx| {
            rows.iter().zip(1..).try_for_each(|(row, key)| tx.put(&LINES, &key, &Lines(row.clone())))
        }))
        .unwrap()
        .into_inner();
    assert_eq!(store.view().unwrap().get(&LINES, &2).unwrap(), Some(Lines(second.clone())));
    store.close();
    let mut bytes = fs::read(&path).unwrap();
    // The version byte stands before it.
    let places: Vec<usize> =
        (1..bytes.len() - second.len()).filter(|at| bytes[*at..].starts_with(&second)).map(|at| at - 1).collect();
    assert!(!places.is_empty());
    for at in places {
        let page = &mut bytes[at / PAGE_BYTES * PAGE_BYTES..][..PAGE_BYTES];
        // A leaf: its kind, how many rows it has, and where each key ends and each row.
        assert_eq!((page[0], page[2], page[3]), (1, 2, 0));
        let end_of_first = &mut page[4 + 2 * 4..][..4];
        let end = u32::from_le_bytes(end_of_first.try_into().unwrap());
        assert_eq!(end as usize, at % PAGE_BYTES);
        let into = second.iter().position(|octet| *octet == 1).unwrap() + 1;
        end_of_first.copy_from_slice(&(end + into as u32).to_le_bytes());
    }
    fs::write(&path, bytes).unwrap();
    let store = open(&path);
    let read = store.view().unwrap().get(&LINES, &2);
    assert!(matches!(&read, Err(StoreError::Damaged { what, .. }) if what.contains("has no checksum")), "{read:?}");
}
