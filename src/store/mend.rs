use std::collections::HashSet;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::blob_check::Bodies;
use super::check::{check, verify};
use super::engine::{Engine, commit, own_schema};
use super::error::{OpenError, StoreError};
use super::findings::{After, Change, Findings, Mend};
use super::handle::Options;
use super::own::{BLOB_DEAD, BLOBS, DAMAGED, SetAside};
use super::progress::Teller;
use super::restore::keep_a_copy;
use super::row::encode_row;
use super::schema::Schema;
use super::span::Span;
use super::tx::{Counters, Tx};
use super::view::{Read, encode_key};
use crate::base::{Timestamp, limits};

/// What a repair has done.
#[derive(Debug)]
pub struct Repaired {
    /// What was found and mended.
    pub mended: Vec<String>,
    /// What is found now.
    pub left: Findings,
    /// The file as it was; `None` when nothing was to be mended, and it was not touched.
    pub before: Option<PathBuf>,
}

/// Mends what can be derived again in a file that no server has open: it is copied first, octet by octet, to `before`.
/// Rows that say what nothing else does are never thrown away: they are kept in a table of their own, and then every body
/// is kept too. It is checked again and again, until nothing more is to be mended, and in full at the end.
///
/// # Errors
/// [`OpenError`] when it can't be opened, or not be copied; then nothing was changed.
pub fn repair(
    options: &dyn Fn() -> Options,
    path: &Path,
    before: &Path,
    schema: &'static Schema,
    now: Timestamp,
) -> Result<Repaired, OpenError> {
    // A file of an older version is mended as what it is.
    let schema = own_schema(&options(), schema)?;
    let found = verify(&options(), schema)?;
    if found.lines().is_empty() {
        return Ok(Repaired { mended: Vec::new(), left: found, before: None });
    }
    keep_a_copy(path, before)?;
    let engine = Engine::open_to_mend(&options(), schema)?;
    let mended = mend_all(&engine, schema, now);
    engine.close();
    let mended = mended.map_err(|error| OpenError::Damaged { path: path.to_owned(), what: error.to_string() })?;
    let left = verify(&options(), schema)?;
    Ok(Repaired { mended, left, before: Some(before.to_owned()) })
}

/// What is found behind what was mended is mended in the next round.
pub(super) fn mend_all(engine: &Engine, schema: &'static Schema, now: Timestamp) -> Result<Vec<String>, StoreError> {
    let mut mended = Vec::new();
    for _ in 0..limits::REPAIR_ROUNDS {
        let mut findings = Findings::to_mend();
        let mut go_on = |_| ControlFlow::Continue(());
        check(&engine.view()?.for_check(), schema, Bodies::Counted, &mut findings, &mut Teller::new(&mut go_on))?;
        let before = mended.len();
        let mut touched = HashSet::new();
        let mut mends = findings.into_mends();
        // A row that does not read may be what referred to a body that nothing seems to refer to.
        let is_lost = |change: &Change| change.after == After::Aside;
        if mends.iter().flat_map(|mend| &mend.changes).any(is_lost) || has_lost_rows(engine)? {
            mends.retain(|mend| !mend.changes.iter().any(throws_away_a_body));
        }
        for mends in mends.chunks(limits::MENDED_IN_ONE_TRANSACTION) {
            mend(engine, mends, &mut touched, now, &mut mended)?;
        }
        if mended.len() == before {
            break;
        }
    }
    Ok(mended)
}

/// Whether a repair has ever set a row aside.
fn has_lost_rows(engine: &Engine) -> Result<bool, StoreError> {
    Ok(engine.view()?.count(&DAMAGED)? > 0)
}

fn throws_away_a_body(change: &Change) -> bool {
    match &change.after {
        After::Gone => change.table == BLOBS.name(),
        After::Put(_) => change.table == BLOB_DEAD.name(),
        After::Aside => false,
    }
}

/// A row that was changed in a round: what else was found of it is looked at anew in the next.
type Touched = HashSet<(&'static str, Vec<u8>)>;

fn mend(
    engine: &Engine,
    mends: &[Mend],
    touched: &mut Touched,
    now: Timestamp,
    mended: &mut Vec<String>,
) -> Result<(), StoreError> {
    let transaction = engine.begin_write()?;
    let mut tx = Tx::new(&transaction, Counters::default(), Arc::default(), engine.layout());
    for mend in mends {
        let rows: Vec<_> = mend.changes.iter().map(|change| (change.table, change.key.clone())).collect();
        if rows.iter().any(|row| touched.contains(row)) {
            continue;
        }
        touched.extend(rows);
        for change in &mend.changes {
            match &change.after {
                After::Put(row) => tx.put_bytes(change.table, &change.key, row)?,
                After::Gone => tx.remove_bytes(change.table, &change.key)?,
                After::Aside => set_aside(&mut tx, change.table, &change.key, &mend.what, now)?,
            }
        }
        mended.push(mend.what.clone());
    }
    tx.finish()?;
    commit(transaction)
}

/// Moves a row as it stands in the file to the damaged ones.
pub(super) fn set_aside(
    tx: &mut Tx<'_>,
    table: &'static str,
    key: &[u8],
    why: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    let Some(row) = tx.bytes(table, key)? else { return Ok(()) };
    let number = tx.next(DAMAGED.name(), |tx| {
        let kept = tx.keys(&DAMAGED, Span::all(), usize::MAX)?;
        Ok(kept.into_iter().map(|(_, number)| number).max().unwrap_or_default())
    })?;
    let place = encode_key(&(table.to_owned(), number));
    let aside = SetAside { at, key: key.to_vec(), row, why: why.to_owned() };
    tx.put_bytes(DAMAGED.name(), &place, &encode_row(DAMAGED.name(), &place, &aside))?;
    tx.remove_bytes(table, key)
}

#[cfg(test)]
mod tests {
    use super::super::Store;
    use super::super::blob_check::highest_id;
    use super::super::own::{BLOB_DATA, BLOB_DEAD, BLOB_HASH, BLOB_IDS, BLOB_PENDING, COUNTERS, Chunk, Number};
    use super::super::queue::block_on;
    use super::super::tests::{NOTES, SCHEMA, note, put, run};
    use super::*;
    use crate::base::{BlobId, Random, SeededRandom};

    const NOW: Timestamp = Timestamp(7);

    fn options(path: &Path) -> Options {
        Options { disk_reserve_bytes: 0, disk_ballast_bytes: 0, ..Options::at(path) }
    }

    /// Does damage to a file with rows and two bodies, and has it mended: what is left must be as expected, the file of
    /// before is kept, and the rest is as it was.
    fn check(damage: impl Fn(&mut Tx<'_>) -> Result<(), StoreError> + Send + 'static, mended: &[&str], left: &[&str]) {
        let folder = tempfile::tempdir().unwrap();
        let [path, before] = ["mail", "before"].map(|name| folder.path().join(name));
        let store = Store::open(options(&path), &SCHEMA).unwrap();
        let mut noise = vec![0; 200_000];
        SeededRandom::new(5).fill(&mut noise);
        for body in [&noise[..], b"short"] {
            let mut writer = store.blob_writer();
            block_on(writer.write(body)).unwrap();
            let staged = block_on(writer.finish()).unwrap();
            store.write_blocking(run(move |tx| tx.adopt_blob(&staged, 1))).unwrap().into_inner();
        }
        store.write_blocking(put(1, "good", "stays")).unwrap().into_inner();
        store.write_blocking(run(damage)).unwrap().into_inner();
        store.close();
        let bytes = std::fs::read(&path).unwrap();
        let repaired = repair(&|| options(&path), &path, &before, &SCHEMA, NOW).unwrap();
        assert_eq!(repaired.mended.len(), mended.len(), "{:?}", repaired.mended);
        assert!(repaired.mended.iter().zip(mended).all(|(line, part)| line.contains(part)), "{:?}", repaired.mended);
        assert_eq!(repaired.left.lines().len(), left.len(), "{:?}", repaired.left);
        assert!(repaired.left.lines().iter().zip(left).all(|(line, part)| line.contains(part)), "{:?}", repaired.left);
        if mended.is_empty() && left.is_empty() {
            assert!(repaired.before.is_none() && !before.exists());
            assert!(std::fs::read(&path).unwrap() == bytes, "a file without findings is not touched");
        } else {
            assert!(std::fs::read(&before).unwrap() == bytes, "the file of before is kept");
        }
        let store = Store::open(options(&path), &SCHEMA).unwrap();
        assert_eq!(store.view().unwrap().get(&NOTES, &(1, "good".into())).unwrap(), Some(note("stays")));
        assert_eq!(store.write_blocking(run(|tx| tx.next(BLOB_IDS, highest_id))).unwrap().into_inner(), 3);
    }

    #[test]
    fn what_can_be_derived_again_is_mended() {
        check(|_| Ok(()), &[], &[]);
        check(|tx| tx.put(&BLOB_DEAD, &BlobId(1), &()), &["pending or dead"], &[]);
        check(|tx| tx.put(&BLOB_HASH, &[7; 16], &Number(2)), &["its hash leads to no"], &[]);
        check(
            |tx| {
                let hash = tx.first(&BLOB_HASH, Span::all())?.expect("there is one").0;
                tx.remove(&BLOB_HASH, &hash).map(drop)
            },
            &["its hash does not lead to it"],
            &[],
        );
        check(|tx| tx.put(&BLOB_DATA, &(BlobId(1), 9), &Chunk(vec![1])), &["more than its"], &[]);
        check(|tx| tx.put(&BLOB_DATA, &(BlobId(0), 9), &Chunk(vec![1])), &["chunks without a body"], &[]);
        check(|tx| tx.put(&COUNTERS, &BLOB_IDS.to_owned(), &Number(1)), &["the counter is at 1"], &[]);
        // What is found behind what was mended is mended too.
        check(
            |tx| {
                tx.put_bytes("counters", b"blob\0\0", b"\x61\x05rot!")?;
                tx.put(&BLOB_PENDING, &BlobId(2), &())
            },
            &["not what its checksum says", "pending or dead", "the counter is at 0"],
            &[],
        );
    }

    #[test]
    fn what_can_not_be_derived_is_left_and_told() {
        check(|tx| tx.remove(&BLOB_DATA, &(BlobId(1), 0)).map(drop), &[], &["body 1, chunk 0: missing"]);
        check(
            |tx| tx.put_bytes("blob_data", &encode_key(&(BlobId(2), 0u32)), b"\x01wrong"),
            &[],
            &["body 2: damaged row in table blob_data"],
        );
        check(|tx| tx.put_bytes("strange", b"k", b"r"), &[], &["table strange: unknown"]);
    }

    /// A row that says nothing any more may be the one that referred to a body.
    #[test]
    fn where_rows_are_lost_no_body_is_thrown_away() {
        check(
            |tx| tx.put_bytes("blobs", &encode_key(&BlobId(1)), b"\x61rotten"),
            &["table blobs", "leads to no"],
            &["body 1: chunks without a body"],
        );
        check(
            |tx| {
                tx.put_bytes("notes", b"no key", b"\x01x")?;
                tx.put(&BLOB_DATA, &(BlobId(0), 9), &Chunk(vec![1]))
            },
            &["table notes"],
            &["body 0: chunks without a body"],
        );
    }

    #[test]
    fn a_row_that_does_not_decode_is_kept_among_the_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let [path, before] = ["mail", "before"].map(|name| folder.path().join(name));
        let store = Store::open(options(&path), &SCHEMA).unwrap();
        store.write_blocking(run(|tx| tx.put_bytes("notes", b"no key", b"\x01x"))).unwrap().into_inner();
        store.close();
        repair(&|| options(&path), &path, &before, &SCHEMA, NOW).unwrap();
        let store = Store::open(options(&path), &SCHEMA).unwrap();
        let kept = store.view().unwrap().rows(&DAMAGED, Span::all(), 9).unwrap();
        let [((table, 1), aside)] = kept.as_slice() else { panic!("{kept:?}") };
        assert_eq!((table.as_str(), aside.at, aside.key.as_slice()), ("notes", NOW, b"no key".as_slice()));
        assert_eq!(aside.row, b"\x01x");
        assert_eq!(store.view().unwrap().rows(&NOTES, Span::all(), 9).unwrap().len(), 0);
        // What stands where the copy would go is not replaced, and then nothing is mended.
        store.write_blocking(run(|tx| tx.put_bytes("notes", b"no key", b"\x01x"))).unwrap().into_inner();
        store.close();
        let refused = repair(&|| options(&path), &path, &before, &SCHEMA, NOW);
        assert!(matches!(refused, Err(OpenError::Io { .. })), "{refused:?}");
    }
}
