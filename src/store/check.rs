use std::ops::{Bound, ControlFlow};
use std::panic::{AssertUnwindSafe, catch_unwind};

use redb::{MultimapTableHandle, ReadableTable, TableDefinition, TableHandle};

use super::blob_read::{BlobReader, Shape};
use super::engine::Engine;
use super::error::{OpenError, StoreError};
use super::handle::Options;
use super::key::Key;
use super::own::{self, BLOB_DATA, BLOB_DEAD, BLOB_HASH, BLOB_IDS, BLOB_PENDING, BLOBS, Blob, COUNTERS};
use super::row::Row;
use super::schema::{AnyTable, Findings, Schema};
use super::span::{Bounds, Span};
use super::view::{Read, View, encode_key};
use crate::base::BlobId;

/// Findings of one kind of damage that are listed; more are counted.
const LISTED: usize = 20;

/// How closely bodies are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bodies {
    /// That their chunks are there, and as long as they should be.
    Counted,
    /// And that they are what their hash says.
    Read,
}

/// Checks a file that no server has open, and leaves it as it is: its pages and free-page records, every row of every
/// table, every body, and every cross-check. After a crash it looks at what the next start would find.
///
/// # Errors
/// [`OpenError`] when the file can't be opened at all.
pub fn verify(options: &Options, schema: &'static Schema) -> Result<Findings, OpenError> {
    let (engine, path, sound) = Engine::open_unchanged(options, schema)?;
    let mut findings = Findings::default();
    if !sound {
        findings.add("the file's checksums or its record of free pages do not hold");
    }
    let checked = catch_unwind(AssertUnwindSafe(|| check(&engine.view()?, schema, Bodies::Read, &mut findings)));
    match checked {
        Ok(Ok(())) => {}
        Ok(Err(error)) => findings.add(format!("the check could not go on: {error}")),
        Err(_) => return Err(OpenError::Damaged { path, what: "its pages contradict each other".into() }),
    }
    Ok(findings)
}

/// Everything that can be checked on a view.
pub(super) fn check(view: &View, schema: &Schema, bodies: Bodies, findings: &mut Findings) -> Result<(), StoreError> {
    check_rows(view, schema, findings)?;
    check_bodies(view, bodies, findings)?;
    check_chunks(view, findings)?;
    for check in schema.checks {
        (check.run)(view, findings)?;
    }
    Ok(())
}

/// Every row decodes, and there is no table that nobody knows.
fn check_rows(view: &View, schema: &Schema, findings: &mut Findings) -> Result<(), StoreError> {
    for there in view.transaction().list_tables()? {
        let known = own::TABLES.iter().chain(schema.tables).find(|table| table.name() == there.name());
        match known {
            Some(table) => check_table(view, *table, findings)?,
            None => findings.add(format!("table {}: unknown to this version", there.name())),
        }
    }
    for there in view.transaction().list_multimap_tables()? {
        findings.add(format!("table {}: unknown to this version", there.name()));
    }
    Ok(())
}

fn check_table(view: &View, table: &dyn AnyTable, findings: &mut Findings) -> Result<(), StoreError> {
    let opened = view.transaction().open_table(TableDefinition::<&[u8], &[u8]>::new(table.name()))?;
    let mut faults = 0;
    for row in opened.iter()? {
        let (key, row) = row?;
        if let Some(fault) = table.fault(key.value(), row.value()) {
            faults += 1;
            if faults <= LISTED {
                findings.add(format!("table {}, key {}: {fault}", table.name(), hex(key.value())));
            }
        }
    }
    if faults > LISTED {
        findings.add(format!("table {}: {} more rows like these", table.name(), faults - LISTED));
    }
    Ok(())
}

/// Each body has its chunks, as long as they should be, and is found by its hash.
fn check_bodies(view: &View, depth: Bodies, findings: &mut Findings) -> Result<(), StoreError> {
    let last = view.get(&COUNTERS, &BLOB_IDS.to_owned())?.map_or(0, |last| last.0);
    let mut key = None;
    // Row by row: one that does not decode was found by check_rows and must not end this check.
    while let Some(id) = next_key(view, BLOBS.name(), key.as_deref())? {
        let mut bytes = id.as_slice();
        let blob = view.get_bytes(BLOBS.name(), &id, decode_blob)?.flatten();
        if let (Some(id), Some(blob)) = (Key::read(&mut bytes), blob) {
            check_body(view, id, blob, depth, findings)?;
            if id.0 > last {
                findings.add(format!("body {id}: the counter is at {last} only"));
            }
        }
        key = Some(id);
    }
    view.scan(&BLOB_HASH, Span::all(), |short, id| {
        let id = BlobId(id.0);
        let fits = view.blob(id).ok().flatten().is_some_and(|blob| blob.hash.starts_with(&short));
        if !fits {
            findings.add(format!("body {id}: its hash leads to no such body"));
        }
        ControlFlow::Continue(())
    })
}

fn check_body(view: &View, id: BlobId, blob: Blob, depth: Bodies, findings: &mut Findings) -> Result<(), StoreError> {
    if blob.references == 0 {
        findings.add(format!("body {id}: nothing refers to it"));
    }
    if view.has(&BLOB_PENDING, &id)? || view.has(&BLOB_DEAD, &id)? {
        findings.add(format!("body {id}: it is listed as pending or dead"));
    }
    let Some(shape) = Shape::new(blob) else {
        findings.add(format!("body {id}: its frames contradict its size"));
        return Ok(());
    };
    let mut chunks = 0;
    for (chunk, length) in (0u32..).zip(shape.chunk_lengths()) {
        let there = view.get_bytes(BLOB_DATA.name(), &encode_key(&(id, chunk)), |row| row.len() as u64)?;
        if there != Some(length + 1) {
            let there = there.map_or("missing".into(), |row| format!("{} octets long", row.saturating_sub(1)));
            findings.add(format!("body {id}, chunk {chunk}: {there} instead of {length} octets"));
            return Ok(());
        }
        chunks = chunk + 1;
    }
    let (from, to) = (encode_key(&(id, chunks)), encode_key(&(id, u32::MAX)));
    if first_key(view, BLOB_DATA.name(), (Bound::Included(&from), Bound::Included(&to)))?.is_some() {
        findings.add(format!("body {id}: it has more than its {chunks} chunks"));
    }
    if depth == Bodies::Read
        && let Err(error) = BlobReader::read_all(view, id, &shape)
    {
        findings.add(format!("body {id}: {error}"));
    }
    Ok(())
}

/// Each chunk belongs to a body, or to one that is pending or dead.
fn check_chunks(view: &View, findings: &mut Findings) -> Result<(), StoreError> {
    let mut after: Option<BlobId> = None;
    loop {
        let from = after.map(|id| encode_key(&(id, u32::MAX)));
        let Some(key) = next_key(view, BLOB_DATA.name(), from.as_deref())? else { return Ok(()) };
        let Some((id, _)) = <(BlobId, u32) as Key>::read(&mut key.as_slice()) else { return Ok(()) };
        let owned = view.get_bytes(BLOBS.name(), &encode_key(&id), |_| ())?.is_some()
            || view.has(&BLOB_PENDING, &id)?
            || view.has(&BLOB_DEAD, &id)?;
        if !owned {
            findings.add(format!("body {id}: chunks without a body"));
        }
        after = Some(id);
    }
}

fn decode_blob(row: &[u8]) -> Option<Blob> {
    let (version, bytes) = row.split_first()?;
    Row::decode(*version, bytes)
}

/// The first key of a table behind `after`, as bytes.
fn next_key(view: &View, table: &'static str, after: Option<&[u8]>) -> Result<Option<Vec<u8>>, StoreError> {
    let start = after.map_or(Bound::Unbounded, Bound::Excluded);
    first_key(view, table, (start, Bound::Unbounded))
}

fn first_key(view: &View, table: &'static str, bounds: Bounds<'_>) -> Result<Option<Vec<u8>>, StoreError> {
    let opened = view.transaction().open_table(TableDefinition::<&[u8], &[u8]>::new(table))?;
    let mut rows = opened.range::<&[u8]>(bounds)?;
    Ok(rows.next().transpose()?.map(|(key, _)| key.value().to_vec()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(32).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::own::{Chunk, Number, encode_row};
    use super::super::queue::block_on;
    use super::super::tests::{SCHEMA, run};
    use super::super::*;
    use super::*;
    use crate::base::{Random, SeededRandom};

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
        if !expected.iter().any(|line| line.contains("its hash says")) {
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
        check(|tx, _| put_raw(tx, "meta", b"a\0\0", b"\x09"), &["meta, key 610000: the row (version 9)"]);
        check(|tx, _| put_raw(tx, "strange", b"a", b""), &["strange: unknown"]);
        check(|tx, id| tx.remove(&BLOB_DATA, &(id, 1)).map(drop), &["body 1, chunk 1: missing"]);
        check(|tx, id| tx.put(&BLOB_DATA, &(id, 0), &Chunk(vec![1])), &["chunk 0: 1 octets long instead of 131032"]);
        check(|tx, id| tx.put(&BLOB_DATA, &(id, 9), &Chunk(vec![1])), &["more than its 3 chunks"]);
        check(|tx, id| tx.remove(&BLOBS, &id).map(drop), &["leads to no such body", "body 1: chunks without a body"]);
        check(|tx, id| tx.put(&BLOB_DEAD, &id, &()), &["pending or dead"]);
        check(|tx, _| tx.put(&BLOB_HASH, &[7; 16], &Number(2)), &["body 2: its hash leads"]);
        check(|tx, _| tx.put(&COUNTERS, &BLOB_IDS.to_owned(), &Number(1)), &["body 2: the counter is at 1 only"]);
        let zeroes = encode_row(&Chunk(vec![0; 5]));
        check(move |tx, _| put_raw(tx, "blob_data", &encode_key(&(BlobId(2), 0u32)), &zeroes), &["its hash says"]);
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
