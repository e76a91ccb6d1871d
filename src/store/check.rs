use std::fs;
use std::ops::{Bound, ControlFlow};
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use redb::{MultimapTableHandle, ReadableTableMetadata};

use super::backend::Reading;
use super::blob_check::{Bodies, check_bodies, check_chunks};
use super::damage::hex;
use super::engine::Engine;
use super::error::{OpenError, PAGES, StoreError};
use super::findings::{After, Findings};
use super::handle::{Medium, Options};
use super::own;
use super::progress::{CheckPart, Tell, Teller};
use super::schema::{AnyTable, Schema};
use super::span::Bounds;
use super::view::{View, damaged, guarded};

/// How often it is told how far the reading of the pages is.
const TELL_EVERY: Duration = Duration::from_millis(200);

/// Checks a file that no server has open, and leaves it as it is: its pages and free-page records, every row of every
/// table, every body, and every cross-check. After a crash it looks at what the next start would find.
///
/// # Errors
/// [`OpenError`] when the file can't be opened at all.
pub fn verify(options: &Options, schema: &'static Schema) -> Result<Findings, OpenError> {
    Ok(verify_telling(options, schema, &mut |_| ControlFlow::Continue(()))?.unwrap_or_default())
}

/// The same, with a word now and then about how far it is. `None` where `tell` has ended it.
///
/// # Errors
/// As [`verify`].
pub fn verify_telling(
    options: &Options,
    schema: &'static Schema,
    tell: Tell<'_>,
) -> Result<Option<Findings>, OpenError> {
    let mut teller = Teller::new(tell);
    let opened = open(options, schema, &mut teller);
    if teller.is_given_up() {
        return Ok(None);
    }
    let (engine, path, sound) = opened?;
    // A file of an older version is checked as what it is.
    let schema = engine.own_schema(schema).map_err(|error| super::engine::store_error(&path, error))?;
    let mut findings = Findings::default();
    if !sound {
        findings.add("the file's checksums or its record of free pages do not hold");
    }
    let checked =
        engine.view().and_then(|view| check(&view.for_check(), schema, Bodies::Read, &mut findings, &mut teller));
    match checked {
        _ if teller.is_given_up() => return Ok(None),
        Ok(()) => {}
        Err(error) => drop(findings.add(format!("the check could not go on: {error}"))),
    }
    Ok(Some(findings))
}

/// Opens the file, which reads all of its pages: how far that is, only the octets that were read can say.
fn open(
    options: &Options,
    schema: &'static Schema,
    teller: &mut Teller<'_>,
) -> Result<(Engine, PathBuf, bool), OpenError> {
    let reading = Arc::new(Reading::default());
    let all_bytes = match &options.medium {
        Medium::File(path) => fs::metadata(path).map_or(0, |there| there.blocks() * 512),
        Medium::Memory | Medium::Faulty(_) => 0,
    };
    thread::scope(|scope| {
        let (end, ended) = mpsc::channel();
        let read = Arc::clone(&reading);
        scope.spawn(move || {
            let opened = catch_unwind(AssertUnwindSafe(|| Engine::open_unchanged(options, schema, read)));
            // Whoever waits for it sees that nothing comes.
            opened.map(|opened| drop(end.send(opened))).is_ok()
        });
        let mut going = teller.begin(CheckPart::Pages, all_bytes);
        loop {
            if going.is_err() {
                reading.give_up();
            }
            match ended.recv_timeout(TELL_EVERY) {
                Ok(opened) => return opened,
                Err(RecvTimeoutError::Timeout) => going = going.and_then(|()| teller.reach(reading.bytes())),
                Err(RecvTimeoutError::Disconnected) => {
                    let what = "its pages contradict each other".into();
                    return Err(OpenError::Damaged { path: options.medium.path(), what });
                }
            }
        }
    })
}

/// Everything that can be checked on a view, which is made for that. What can't be read is a finding, and the rest is
/// looked at.
pub(super) fn check(
    view: &View,
    schema: &Schema,
    bodies: Bodies,
    findings: &mut Findings,
    teller: &mut Teller<'_>,
) -> Result<(), StoreError> {
    check_rows(view, schema, findings, teller)?;
    unless_torn("bodies", findings, teller, |findings, teller| check_bodies(view, bodies, findings, teller))?;
    teller.begin(CheckPart::Tables, schema.checks.len() as u64 + 1)?;
    unless_torn("chunks of bodies", findings, teller, |findings, _| check_chunks(view, findings))?;
    for check in schema.checks {
        teller.step()?;
        unless_torn(check.name, findings, teller, |findings, _| (check.run)(view, findings))?;
    }
    teller.step()
}

/// Runs a part of the check; that it could not be finished is a finding, and ends nothing but it.
fn unless_torn(
    what: &str,
    findings: &mut Findings,
    teller: &mut Teller<'_>,
    run: impl FnOnce(&mut Findings, &mut Teller<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let problem = match catch_unwind(AssertUnwindSafe(|| run(findings, teller))) {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) if teller.is_given_up() => return Err(error),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "its pages contradict each other".into(),
    };
    findings.add(format!("{what}: the check could not be finished: {problem}"));
    Ok(())
}

/// Every row decodes, and there is no table that nobody knows.
fn check_rows(
    view: &View,
    schema: &Schema,
    findings: &mut Findings,
    teller: &mut Teller<'_>,
) -> Result<(), StoreError> {
    let (tables, mut rows) = (view.tables()?, 0);
    for there in &tables {
        rows += guarded(PAGES, || count(view, there)).unwrap_or_default();
    }
    teller.begin(CheckPart::Rows, rows)?;
    for there in &tables {
        let known = own::TABLES.iter().chain(schema.tables).find(|table| table.name() == there);
        let Some(table) = known else {
            findings.add(format!("table {there}: unknown to this version"));
            continue;
        };
        let what = format!("table {}", table.name());
        unless_torn(&what, findings, teller, |findings, teller| check_table(view, *table, findings, teller))?;
    }
    let others: Vec<String> = guarded(PAGES, || {
        Ok(view.transaction().list_multimap_tables()?.map(|there| there.name().to_owned()).collect())
    })?;
    for there in others {
        findings.add(format!("table {there}: unknown to this version"));
    }
    Ok(())
}

fn check_table(
    view: &View,
    table: &dyn AnyTable,
    findings: &mut Findings,
    teller: &mut Teller<'_>,
) -> Result<(), StoreError> {
    let opened = view.raw(table.name())?;
    let mut before: Option<Vec<u8>> = None;
    for row in opened.range::<&[u8]>(..)? {
        let (key, row) = row?;
        let key = key.value();
        teller.step()?;
        if before.as_deref().is_some_and(|before| before >= key) {
            // Behind it nothing can be found; and pages that lead back to themselves would never end.
            return Err(damaged(table.name(), "its keys are not in order"));
        }
        if let Some(fault) = table.fault(key, row.value(), view.layout()) {
            let what = format!("table {}, key {}: {fault}", table.name(), hex(key));
            findings.add(what).change(table.name(), key, After::Aside);
        }
        let kept = before.get_or_insert_default();
        kept.clear();
        kept.extend_from_slice(key);
    }
    Ok(())
}

/// The rows of a table, whatever is in them.
pub(super) fn count(view: &View, table: &str) -> Result<u64, StoreError> {
    Ok(view.raw(table)?.len()?)
}

/// The first key of a table behind `after`, as bytes.
pub(super) fn next_key(view: &View, table: &'static str, after: Option<&[u8]>) -> Result<Option<Vec<u8>>, StoreError> {
    let start = after.map_or(Bound::Unbounded, Bound::Excluded);
    Ok(first_keys(view, table, (start, Bound::Unbounded), 1)?.pop())
}

/// The first keys of a table in these bounds.
pub(super) fn first_keys(
    view: &View,
    table: &'static str,
    bounds: Bounds<'_>,
    limit: usize,
) -> Result<Vec<Vec<u8>>, StoreError> {
    let opened = view.raw(table)?;
    let rows = opened.range::<&[u8]>(bounds)?.take(limit);
    rows.map(|row| Ok(row?.0.value().to_vec())).collect()
}

#[cfg(test)]
mod tests {
    use super::super::own::{BLOB_DATA, BLOB_DEAD, BLOB_HASH, BLOB_IDS, BLOB_PENDING, BLOBS, COUNTERS, Chunk, Number};
    use super::super::queue::block_on;
    use super::super::row::encode_row;
    use super::super::tests::{SCHEMA, run};
    use super::super::view::encode_key;
    use super::super::*;
    use super::*;
    use crate::base::{BlobId, Random, SeededRandom};

    /// A file with some rows, a short and a long body, changed by `damage`; the check must find what is expected.
    fn check(damage: impl Fn(&mut Tx<'_>, BlobId) -> Result<(), StoreError> + Send + 'static, expected: &[&str]) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mail.pbx");
        let options = || Options { disk_reserve_bytes: 0, ..Options::at(&path) };
        let store = Store::open(options(), &SCHEMA).unwrap();
        let mut noise = vec![0; 200_000];
        SeededRandom::new(5).fill(&mut noise);
        for body in [&noise[..], b"short"] {
            let mut writer = store.blob_writer();
            block_on(writer.write(body)).unwrap();
            let staged = block_on(writer.finish()).unwrap();
            store.write_blocking(run(move |tx| tx.adopt_blob(&staged, 1))).unwrap().into_inner();
        }
        store.write_blocking(run(move |tx| damage(tx, BlobId(1)))).unwrap().into_inner();
        let compare = |findings: Findings| {
            let lines = findings.lines();
            assert_eq!(lines.len(), expected.len(), "{lines:#?}");
            for (line, expected) in lines.iter().zip(expected) {
                assert!(line.contains(expected), "{line} instead of {expected}");
            }
        };
        if !expected.iter().any(|line| line.contains("a chunk is missing, damaged")) {
            compare(store.check().unwrap());
        }
        store.close();
        let before = std::fs::read(&path).unwrap();
        compare(verify(&options(), &SCHEMA).unwrap());
        assert!(before == std::fs::read(&path).unwrap(), "checking it changed the file");
    }

    fn put_raw(tx: &mut Tx<'_>, table: &'static str, key: &[u8], row: &[u8]) -> Result<(), StoreError> {
        tx.put_bytes(table, key, row)
    }

    #[test]
    fn a_sound_file_has_no_findings() {
        check(|_, _| Ok(()), &[]);
    }

    #[test]
    fn damage_is_named() {
        check(|tx, _| put_raw(tx, "notes", b"no key", b"\x01x"), &["notes, key 6e6f206b6579: the key does not decode"]);
        check(|tx, _| put_raw(tx, "meta", b"a\0\0", b"\x09"), &["meta, key 610000: the row has no checksum"]);
        check(|tx, _| put_raw(tx, "strange", b"a", b""), &["strange: unknown"]);
        check(|tx, id| tx.remove(&BLOB_DATA, &(id, 1)).map(drop), &["body 1, chunk 1: missing"]);
        check(|tx, id| tx.put(&BLOB_DATA, &(id, 0), &Chunk(vec![1])), &["chunk 0: 1 octets long instead of 131032"]);
        check(|tx, id| tx.put(&BLOB_DATA, &(id, 9), &Chunk(vec![1])), &["more than its 3 chunks"]);
        check(|tx, id| tx.remove(&BLOBS, &id).map(drop), &["leads to no such body", "body 1: chunks without a body"]);
        check(|tx, id| tx.put(&BLOB_DEAD, &id, &()), &["pending or dead"]);
        check(|tx, _| tx.put(&BLOB_HASH, &[7; 16], &Number(2)), &["body 2: its hash leads"]);
        check(|tx, _| tx.put(&COUNTERS, &BLOB_IDS.to_owned(), &Number(1)), &["body 2: the counter is at 1 only"]);
        let zeroes = encode_row("blob_data", &[], &Chunk(vec![0; 5]));
        let key = encode_key(&(BlobId(2), 0u32));
        check(move |tx, _| put_raw(tx, "blob_data", &key, &zeroes), &["a chunk is missing, damaged"]);
        check(|tx, _| put_raw(tx, "counters", b"x\0\0", b"\x61\x05\0\0\0\0"), &["not what its checksum says"]);
        check(
            |tx, _| {
                let hash = tx.first(&BLOB_HASH, Span::all())?.expect("a long body has one").0;
                tx.remove(&BLOB_HASH, &hash).map(drop)
            },
            &["body 1: its hash does not lead to it"],
        );
        check(
            |tx, _| {
                tx.put(&BLOB_PENDING, &BlobId(7), &())?;
                tx.put(&BLOB_DATA, &(BlobId(7), 0), &Chunk(vec![1]))
            },
            &["body 7: the counter is at 2 only"],
        );
    }

    #[test]
    fn a_file_that_is_none_cannot_be_checked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mail.pbx");
        let verify = || verify(&Options::at(&path), &SCHEMA);
        assert!(matches!(verify(), Err(OpenError::Io { .. })));
        assert!(!path.exists());
        std::fs::write(&path, b"").unwrap();
        assert!(matches!(verify(), Err(OpenError::Damaged { .. })));
        std::fs::write(&path, [7; 100_000]).unwrap();
        assert!(matches!(verify(), Err(OpenError::Damaged { .. })));
    }
}
