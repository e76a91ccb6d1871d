use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::own::{BLOB_DATA, BLOB_DEAD, BLOB_HASH, BLOB_PENDING, BLOBS};
use super::queue::block_on;
use super::tests::{SCHEMA, memory, run};
use super::*;
use crate::base::{BlobId, Random, SeededRandom, SystemClock};

const KIB: usize = 1024;

/// Half of it compresses.
fn body(len: usize) -> Vec<u8> {
    let mut body = vec![0; len];
    SeededRandom::new(len as u64).fill(&mut body);
    for line in body.chunks_mut(100).step_by(2) {
        line.fill(b'=');
    }
    body
}

fn stage(store: &Store, body: &[u8], piece: usize) -> StagedBlob {
    let mut writer = store.blob_writer();
    for piece in body.chunks(piece.max(1)) {
        block_on(writer.write(piece)).expect("takes the body");
    }
    block_on(writer.finish()).expect("finishes the body")
}

fn adopt(staged: StagedBlob, references: u32) -> impl Op<Out = BlobId, Refused = Infallible> {
    run(move |tx| tx.adopt_blob(&staged, references))
}

fn release(store: &Store, id: BlobId) {
    store.write_blocking(run(move |tx| tx.release_blob(id))).expect("releases").into_inner();
}

fn read(store: &Store, id: BlobId, offset: u64) -> Result<Vec<u8>, StoreError> {
    let mut reader = store.blob_reader(id).at(offset);
    let mut body = Vec::new();
    while let Some(piece) = block_on(reader.next())? {
        assert!(!piece.is_empty() && piece.len() <= 128 * KIB);
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

fn read_part(store: &Store, id: BlobId, first: usize, count: u64) -> Vec<u8> {
    let mut part = b"before".to_vec();
    store.view().and_then(|view| view.read_blob(id, first as u64, count, &mut part)).expect("reads");
    part.strip_prefix(b"before").expect("appends").to_vec()
}

/// How many bodies, chunks, hashes, pending and dead bodies there are.
fn counts(store: &Store) -> [usize; 5] {
    let view = store.view().expect("a view");
    fn count<K: Key, V: Row>(view: &View, table: &Table<K, V>) -> usize {
        view.rows(table, Span::all(), usize::MAX).expect("rows").len()
    }
    [
        count(&view, &BLOBS),
        count(&view, &BLOB_DATA),
        count(&view, &BLOB_HASH),
        count(&view, &BLOB_PENDING),
        count(&view, &BLOB_DEAD),
    ]
}

fn wait_for(store: &Store, expected: [usize; 5]) {
    let end = Instant::now() + Duration::from_secs(20);
    while counts(store) != expected && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(counts(store), expected);
}

#[test]
fn a_body_made_inside_a_transaction_is_as_any_other() {
    let store = memory();
    for len in [1, 5000, 131 * KIB, 300 * KIB] {
        let body = body(len);
        let bytes = body.clone();
        let id = store.write_blocking(run(move |tx| tx.put_small_blob(&bytes, 2))).expect("puts").into_inner();
        assert!(read(&store, id, 0).expect("reads") == body, "{len}");
        // The same by the other way is the same body, as far as bodies are looked for.
        let again = store.write_blocking(adopt(stage(&store, &body, 1000), 1)).expect("adopts").into_inner();
        assert_eq!(again == id, len >= 32 * KIB, "{len}");
    }
    assert_eq!(store.check().expect("checks").lines(), [] as [&str; 0]);
}

fn check(store: &Store, len: usize, piece: usize) {
    let body = body(len);
    let staged = stage(store, &body, piece);
    assert_eq!(staged.size_bytes(), len as u64);
    assert_eq!(staged.hash(), *blake3::hash(&body).as_bytes());
    let id = store.write_blocking(adopt(staged, 1)).expect("adopts").into_inner();
    assert!(read(store, id, 0).expect("reads") == body, "{len} in pieces of {piece}");
    for offset in [1, len / 3, len / 2, len.saturating_sub(1), len, len + 1] {
        let rest = body.get(offset..).unwrap_or_default();
        assert!(read(store, id, offset as u64).expect("reads") == rest, "{len} from {offset}");
        assert!(read_part(store, id, offset, u64::MAX) == rest, "{len} from {offset} at once");
        for count in [0, 1, len / 3, 128 * KIB] {
            let part = &rest[..count.min(rest.len())];
            assert!(read_part(store, id, offset, count as u64) == part, "{count} of {len} from {offset}");
        }
    }
    assert!(read_part(store, id, 0, len as u64) == body, "{len} at once");
}

#[test]
fn a_body_is_read_as_it_came() {
    let store = memory();
    for len in
        [0, 1, 100, 4_056, 4_057, 16 * KIB, 16 * KIB + 1, 128 * KIB, 128 * KIB + 1, 300_000, 2_000_000, 9_000_000]
    {
        check(&store, len, 8 * KIB);
    }
    check(&store, 300_000, 1_000_000);
    check(&store, 70_000, 7);
    assert!(store.check().unwrap().lines().is_empty());
}

#[test]
fn bodies_come_in_also_when_there_is_no_memory_for_them() {
    let options = Options { bodies_in_memory_bytes: 0, ..Options::memory(Arc::new(SystemClock)) };
    let store = Store::open(options, &SCHEMA).unwrap();
    for len in [100, 16 * KIB, 50_000, 1_500_000] {
        check(&store, len, 3_000);
    }
    assert!(store.check().unwrap().lines().is_empty());
}

#[test]
fn a_body_that_comes_again_is_shared_when_it_is_long() {
    let store = memory();
    let twice = |len| {
        let adopt = || store.write_blocking(adopt(stage(&store, &body(len), 4096), 1)).unwrap().into_inner();
        (adopt(), adopt())
    };
    let (first, second) = twice(40 * KIB);
    assert_eq!(first, second);
    let (third, fourth) = twice(10 * KIB);
    assert_ne!(third, fourth);
    let (fifth, sixth) = twice(3_000_000);
    assert_eq!(fifth, sixth);
    store.write_blocking(run(move |tx| tx.retain_blob(third, 1))).unwrap().into_inner();
    for id in [first, third, fourth, fifth] {
        release(&store, id);
    }
    assert!(read(&store, second, 0).is_ok() && read(&store, third, 0).is_ok() && read(&store, sixth, 0).is_ok());
    assert!(read(&store, fourth, 0).is_err());
    for id in [second, third, sixth] {
        release(&store, id);
    }
    wait_for(&store, [0, 0, 0, 0, 0]);
}

#[test]
fn what_nothing_refers_to_is_removed_in_slices() {
    let store = memory();
    let staged = stage(
        &store,
        &{
            let mut noise = vec![0; 70_000_000];
            SeededRandom::new(1).fill(&mut noise);
            noise
        },
        100_000,
    );
    let id = store.write_blocking(adopt(staged, 2)).unwrap().into_inner();
    assert!(counts(&store)[1] > 530);
    release(&store, id);
    assert_eq!(counts(&store)[4], 0);
    release(&store, id);
    assert!(read(&store, id, 0).is_err());
    wait_for(&store, [0, 0, 0, 0, 0]);
}

#[test]
fn the_room_of_what_was_removed_is_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let options =
        Options { disk_reserve_bytes: 0, disk_ballast_bytes: 0, ..Options::at(&folder.path().join("mail.pbx")) };
    let store = Store::open(options, &SCHEMA).unwrap();
    let mut used_bytes = Vec::new();
    for round in 0..4u64 {
        let ids: Vec<BlobId> = (0..200)
            .map(|number| {
                let mut noise = vec![0; 50_000];
                SeededRandom::new(round * 1000 + number).fill(&mut noise);
                store.write_blocking(adopt(stage(&store, &noise, 50_000), 1)).unwrap().into_inner()
            })
            .collect();
        used_bytes.push(store.health().used_bytes);
        ids.into_iter().for_each(|id| release(&store, id));
        wait_for(&store, [0, 0, 0, 0, 0]);
    }
    assert!(used_bytes[0] > 10_000_000, "{used_bytes:?}");
    // The free pages may lie otherwise than another round needs them, and then the file grows by a step (4 MiB), but
    // takes no second share.
    assert!(used_bytes[3] <= used_bytes[0] + 4 * 1024 * 1024, "{used_bytes:?}");
}

#[test]
fn a_body_that_is_given_up_leaves_nothing() {
    let store = memory();
    let long = body(5_000_000);
    let staged = stage(&store, &long, 100_000);
    assert_eq!(counts(&store)[3], 1, "its first chunks are pending");
    drop(staged);
    let mut writer = store.blob_writer();
    block_on(writer.write(&long)).unwrap();
    drop(writer);
    drop(stage(&store, &body(50_000), 100_000));
    wait_for(&store, [0, 0, 0, 0, 0]);
    // One that was adopted outlives its staging.
    let id = store.write_blocking(adopt(stage(&store, &long, 100_000), 1)).unwrap().into_inner();
    // What its end has left to do was asked for before the second of these; it would be in the reaper's list, or gone.
    for _ in 0..2 {
        store.write_blocking(run(|_| Ok(()))).unwrap().into_inner();
    }
    assert_eq!(counts(&store)[3..], [0, 0]);
    assert!(read(&store, id, 0).unwrap() == long);
}

#[test]
fn what_an_earlier_run_left_pending_is_collected() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let options = Options { disk_reserve_bytes: 0, ..Options::at(&folder.path().join("mail.pbx")) };
        Store::open(options, &SCHEMA).unwrap()
    };
    let store = open();
    let staged = stage(&store, &body(5_000_000), 100_000);
    store.close();
    drop(staged);
    drop(store);
    let store = open();
    assert_eq!(counts(&store)[3], 1);
    wait_for(&store, [0, 0, 0, 0, 0]);
}
