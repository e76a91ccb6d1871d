use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use redb::{ReadableTable, TableDefinition, TableHandle};

use super::compact::compact;
use super::engine::Engine;
use super::fault::{Fault, FaultDisk, Operation};
use super::queue::Queue;
use super::tests::{NOTES, Note, SCHEMA, note, put, run};
use super::{
    CompactError, CompactProgress, CopyError, CopyOptions, Options, Read, Span, Store, StoreError, View, writer,
};
use crate::base::{Random, SeededRandom};

type Model = BTreeMap<(u32, String), Note>;

fn options(path: &Path) -> Options {
    Options { disk_reserve_bytes: 0, disk_ballast_bytes: 0, ..Options::at(path) }
}

fn open(path: &Path) -> Store {
    Store::open(options(path), &SCHEMA).unwrap()
}

fn silently(_: CompactProgress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn notes(view: &View) -> Model {
    view.rows(&NOTES, Span::all(), usize::MAX).unwrap().into_iter().collect()
}

fn remove(store: &Store, number: u32) {
    let _ = store.write_blocking(run(move |tx| tx.remove(&NOTES, &(number, "a".into())).map(drop))).unwrap();
}

/// So many notes of 20,000 octets.
fn fill(store: &Store, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let _ = store.write_blocking(put(number, "a", &format!("{number}").repeat(20_000 / 3))).unwrap();
    }
}

/// Every row of the file, counted.
fn counted_bytes(store: &Store) -> u64 {
    let mut bytes = 0;
    let view = store.view().unwrap();
    for table in redb_tables(&view) {
        let opened = view.transaction().open_table(TableDefinition::<&[u8], &[u8]>::new(&table)).unwrap();
        for row in opened.iter().unwrap() {
            let (key, row) = row.unwrap();
            bytes += (key.value().len() + row.value().len()) as u64;
        }
    }
    bytes
}

fn redb_tables(view: &View) -> Vec<String> {
    view.transaction().list_tables().unwrap().map(|table| table.name().to_owned()).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_file_gets_small_and_holds_what_it_held() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mail.pbx");
    let store = open(&path);
    fill(&store, 0..600);
    (10..600).for_each(|number| remove(&store, number));
    let expected = notes(&store.view().unwrap());
    let before = store.health();
    let seen = store.view().unwrap();
    let done = store.compact(&mut silently).unwrap();
    assert!(done.after_bytes * 4 < done.before_bytes, "{done:?}");
    assert_eq!((notes(&store.view().unwrap()), notes(&seen)), (expected.clone(), expected.clone()));
    let after = store.health();
    assert!(after.syncs > before.syncs && after.written_bytes > before.written_bytes, "{before:?} {after:?}");
    assert_eq!(after.used_bytes, done.after_bytes);
    assert!(after.free_bytes < before.free_bytes, "{before:?} {after:?}");
    // It goes on, with the file that has the name.
    fill(&store, 700..710);
    drop(seen);
    store.close();
    assert_eq!(names(folder.path()), ["mail.pbx"]);
    let store = open(&path);
    assert_eq!(notes(&store.view().unwrap()).len(), expected.len() + 10);
    assert!(store.check().unwrap().lines().is_empty());
}

#[test]
fn what_is_changed_at_any_moment_is_in_the_new_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mail.pbx");
    let store = open(&path);
    fill(&store, 100..900);
    let mut model = notes(&store.view().unwrap());
    let (random, mut told) = (SeededRandom::new(7), Vec::new());
    let mut newest = 900;
    let done = store.compact(&mut |progress| {
        told.push(std::mem::discriminant(&progress));
        // Before the copy, behind it, and at the end, also a row that was there once already.
        for _ in 0..20 {
            let number = (random.next_u64() % 1000) as u32;
            match random.next_u64() % 3 {
                0 => {
                    remove(&store, number);
                    model.remove(&(number, "a".into()));
                }
                1 => {
                    let _ = store.write_blocking(put(number, "a", "changed")).unwrap();
                    model.insert((number, "a".into()), note("changed"));
                }
                _ => {
                    newest += 1;
                    let _ = store.write_blocking(put(newest, "a", "new")).unwrap();
                    model.insert((newest, "a".into()), note("new"));
                }
            }
        }
        ControlFlow::Continue(())
    });
    done.unwrap();
    told.dedup();
    assert!(told.len() >= 4, "copied, caught up, compared, caught up: {told:?}");
    assert!(notes(&store.view().unwrap()) == model);
    assert_eq!(store.health().live_bytes, Some(counted_bytes(&store)));
    store.close();
    let store = open(&path);
    assert!(notes(&store.view().unwrap()) == model);
    assert!(store.check().unwrap().lines().is_empty());
}

#[test]
fn writers_and_readers_go_on_all_the_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mail.pbx");
    let store = open(&path);
    fill(&store, 0..300);
    let stop = AtomicBool::new(false);
    let last = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in 1000u32.. {
                let _ = store.write_blocking(put(number, "a", "while it is compacted")).unwrap();
                remove(&store, number - 900);
                // What was acknowledged is seen, whichever file it is in.
                let view = store.view().unwrap();
                assert!(view.get(&NOTES, &(number, "a".into())).unwrap().is_some());
                assert!(view.get(&NOTES, &(number - 900, "a".into())).unwrap().is_none());
                if stop.load(Ordering::SeqCst) {
                    return number;
                }
            }
            0
        });
        for _ in 0..4 {
            store.compact(&mut silently).unwrap();
        }
        stop.store(true, Ordering::SeqCst);
        writer.join().unwrap()
    });
    store.close();
    let seen = notes(&open(&path).view().unwrap());
    assert!((1000.max(last.saturating_sub(899))..=last).all(|number| seen.contains_key(&(number, "a".into()))));
    assert!((100..=(last - 900)).all(|number| !seen.contains_key(&(number, "a".into()))));
}

/// Takes a gibibyte of disk and minutes, so it is made by a command of its own: `tests/all --on-demand compact`, which
/// sets `PILLARBOX_COMPACT_LARGE`.
#[test]
fn a_large_file_holds_writers_up_for_a_moment() {
    if std::env::var_os("PILLARBOX_COMPACT_LARGE").is_none() {
        return;
    }
    let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR").to_owned() + "/target").unwrap();
    let path = folder.path().join("mail.pbx");
    let store = open(&path);
    for batch in 0..1024u32 {
        let many = run(move |tx| {
            for number in batch * 64..(batch + 1) * 64 {
                let mut noise = vec![0; 8 * 1024];
                SeededRandom::new(number.into()).fill(&mut noise);
                let text: String = noise.iter().map(|octet| char::from(b' ' + octet % 64)).collect();
                tx.put(&NOTES, &(number, "a".into()), &note(&text.repeat(2)))?;
            }
            Ok(())
        });
        let _ = store.write_blocking(many).unwrap();
    }
    for number in (0..64 * 1024).filter(|number| number % 5 != 0) {
        store.ride(run(move |tx| tx.remove(&NOTES, &(number, "a".into())).map(drop)));
    }
    // Behind all of those.
    let _ = store.write_blocking(put(1_000_000, "a", "the first that stays")).unwrap();
    let (stop, mut waits_us) = (AtomicBool::new(false), [0, 0]);
    let (done, whole) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let (mut waits_us, mut number) = (Vec::new(), 1_000_000);
            while !stop.load(Ordering::SeqCst) {
                number += 1;
                let began = Instant::now();
                let _ = store.write_blocking(put(number, "a", "while it is compacted")).unwrap();
                waits_us.push(began.elapsed().as_micros());
            }
            waits_us
        });
        let began = Instant::now();
        let done = store.compact(&mut silently).unwrap();
        let whole = began.elapsed();
        stop.store(true, Ordering::SeqCst);
        let mut waits = writer.join().unwrap();
        waits.sort_unstable();
        waits_us = [waits[waits.len() / 2], waits[waits.len() - 1]];
        (done, whole)
    });
    eprintln!("{done:?} in {whole:?}; a write waited for {} us in the middle, {} at most", waits_us[0], waits_us[1]);
    assert!(done.before_bytes > 1 << 30 && done.after_bytes < done.before_bytes / 3);
    assert!(done.pause.as_secs() < 1, "{done:?}");
    assert_eq!(notes(&store.view().unwrap()).len(), (64 * 1024usize).div_ceil(5) + notes_from(&store, 1_000_000));
}

fn notes_from(store: &Store, number: u32) -> usize {
    let span = Span::range((number, String::new())..);
    store.view().unwrap().rows(&NOTES, span, usize::MAX).unwrap().len()
}

#[test]
fn what_prevents_it_is_said_and_leaves_the_file_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("mail.pbx"));
    fill(&store, 0..10);
    for at in 0..4 {
        let mut steps = Vec::new();
        let given_up = store.compact(&mut |progress| {
            let step = std::mem::discriminant(&progress);
            if steps.last() != Some(&step) {
                steps.push(step);
            }
            if steps.len() > at { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert!(matches!(given_up, Err(CompactError::GivenUp)), "{at}: {given_up:?}");
    }
    let (mut again, mut copied) = (None, None);
    store
        .compact(&mut |_| {
            again.get_or_insert_with(|| store.compact(&mut silently));
            let copy = || store.copy_to(&folder.path().join("copy"), CopyOptions::default(), &mut |_| unreachable!());
            copied.get_or_insert_with(copy);
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(matches!(again, Some(Err(CompactError::Busy))), "{again:?}");
    assert!(matches!(copied, Some(Err(CopyError::Busy))), "{copied:?}");
    let mut compacted = None;
    store
        .copy_to(&folder.path().join("copy"), CopyOptions::default(), &mut |progress| {
            if matches!(progress, super::CopyProgress::Copying { .. }) {
                compacted.get_or_insert_with(|| store.compact(&mut silently));
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(matches!(compacted, Some(Err(CompactError::Busy))), "{compacted:?}");
    assert_eq!(names(folder.path()), ["copy", "mail.pbx"]);
    assert_eq!(notes(&store.view().unwrap()).len(), 10);
    store.close();
    let closed = store.compact(&mut silently);
    assert!(matches!(closed, Err(CompactError::Store(StoreError::Closed))), "{closed:?}");
}

#[test]
fn the_new_file_is_where_the_old_one_was_and_is_whose_that_was() {
    let (folder, far) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (link, path) = (folder.path().join("mail.pbx"), far.path().join("far.pbx"));
    open(&path).close();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let is_root = chown(&path, Some(12), Some(34)).is_ok();
    symlink(&path, &link).unwrap();
    let store = open(&link);
    fill(&store, 0..3);
    let before = fs::metadata(&path).unwrap();
    store.compact(&mut silently).unwrap();
    let after = fs::metadata(&path).unwrap();
    assert_ne!(before.ino(), after.ino());
    assert_eq!((before.mode(), before.uid(), before.gid()), (after.mode(), after.uid(), after.gid()));
    assert!(!is_root || after.uid() == 12);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!((names(folder.path()).len(), names(far.path()).len()), (1, 1));
    store.close();
    assert_eq!(notes(&open(&link).view().unwrap()).len(), 3);
}

#[test]
fn a_disk_without_room_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { disk_reserve_bytes: u64::MAX / 2, ..options(&folder.path().join("mail.pbx")) };
    let refused = Store::open(options, &SCHEMA).unwrap().compact(&mut silently);
    assert!(matches!(refused, Err(CompactError::NoRoom { .. })), "{refused:?}");
    assert_eq!(names(folder.path()), ["mail.pbx"]);
}

#[test]
fn damaged_rows_are_carried_over() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("mail.pbx"));
    fill(&store, 0..3);
    let damage = run(|tx| tx.put_bytes("notes", b"no key", b"\x01x"));
    let _ = store.write_blocking(damage).unwrap();
    let lines = || store.check().unwrap().lines().to_vec();
    let before = lines();
    store.compact(&mut silently).unwrap();
    assert_eq!((before.len(), lines()), (1, before));
}

#[test]
fn a_change_that_was_not_noted_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Arc::new(Engine::open(&options(&folder.path().join("mail.pbx")), &SCHEMA).unwrap());
    let queue = Queue::new();
    let insert = |key: &[u8]| {
        let transaction = engine.begin_write().unwrap();
        transaction
            .open_table(TableDefinition::<&[u8], &[u8]>::new("notes"))
            .unwrap()
            .insert(key, &b"row"[..])
            .unwrap();
        transaction.commit().unwrap();
    };
    insert(b"first");
    std::thread::scope(|scope| {
        scope.spawn(|| writer::run(writer::Writer::new(Arc::clone(&engine)), &queue, &|_| {}));
        let changed = compact(&engine, &queue, &SCHEMA, &mut |progress| {
            // Past the writer, when the table is copied.
            if matches!(progress, CompactProgress::CatchingUp { .. }) {
                insert(b"second");
            }
            ControlFlow::Continue(())
        });
        assert!(matches!(&changed, Err(CompactError::NotGood(what)) if what.contains("notes")), "{changed:?}");
        compact(&engine, &queue, &SCHEMA, &mut silently).unwrap();
        queue.finish();
    });
    assert_eq!(names(folder.path()), ["mail.pbx"]);
}

#[test]
fn a_kill_at_any_step_leaves_a_file_that_holds_everything() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mail.pbx");
    let store = open(&path);
    fill(&store, 0..400);
    let mut images = 0;
    store
        .compact(&mut |_| {
            // Nothing is written at this moment: this is what a killed process leaves.
            let left = tempfile::tempdir().unwrap();
            for name in names(folder.path()) {
                fs::copy(folder.path().join(&name), left.path().join(&name)).unwrap();
            }
            assert_eq!(names(left.path()), ["mail.pbx", "mail.pbx.compact"]);
            let killed = open(&left.path().join("mail.pbx"));
            assert_eq!(notes(&killed.view().unwrap()).len(), 400);
            assert_eq!(names(left.path()), ["mail.pbx"], "what was left is removed");
            images += 1;
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(images >= 6, "{images}");
}

#[test]
fn a_power_cut_at_any_operation_loses_nothing() {
    let mut cuts = 0;
    for operations in 0.. {
        let (old, new) = (FaultDisk::new(), FaultDisk::new());
        old.succeed_by(Arc::clone(&new));
        new.cut_power_after(operations * 3);
        let store = Store::open(Options::faulty(Arc::clone(&old), |_| {}), &SCHEMA).unwrap();
        fill(&store, 0..5);
        let done = store.compact(&mut silently);
        assert_eq!(done.is_ok(), old.is_handed_over(), "{done:?}");
        let disk = if old.is_handed_over() { &new } else { &old };
        for seed in 0..3 {
            let image = disk.image_after_power_cut(&SeededRandom::new(operations * 7 + seed));
            let after = Store::open(Options::faulty(FaultDisk::holding(image), |_| {}), &SCHEMA).unwrap();
            assert_eq!(notes(&after.view().unwrap()).len(), 5, "after {} operations", operations * 3);
        }
        if done.is_ok() {
            break;
        }
        // The server goes on with the file that it has.
        fill(&store, 5..6);
        assert_eq!(notes(&store.view().unwrap()).len(), 6);
        cuts += 1;
    }
    assert!(cuts > 10, "{cuts}");
}

#[test]
fn a_new_disk_that_fails_costs_the_compaction_alone() {
    for operation in [Operation::Write, Operation::Sync, Operation::SetLen, Operation::Read] {
        let (old, new) = (FaultDisk::new(), FaultDisk::new());
        old.succeed_by(Arc::clone(&new));
        new.fail(Fault { operation, number: 2, lasting: true, errno: 28 });
        let store = Store::open(Options::faulty(Arc::clone(&old), |_| {}), &SCHEMA).unwrap();
        fill(&store, 0..200);
        let failed = store.compact(&mut silently);
        assert!(matches!(failed, Err(CompactError::Store(_))), "{operation:?}: {failed:?}");
        fill(&store, 200..201);
        assert_eq!(notes(&store.view().unwrap()).len(), 201);
    }
}

#[test]
fn a_name_that_can_not_be_given_costs_the_compaction_alone_and_one_that_was_given_unsaid_ends_the_server() {
    for does_it in [false, true] {
        let (disk, ended) = (FaultDisk::new(), Arc::new(AtomicBool::new(false)));
        disk.fail_to_hand_over(does_it);
        let told = Arc::clone(&ended);
        let options = Options::faulty(Arc::clone(&disk), move |_| told.store(true, Ordering::SeqCst));
        let store = Store::open(options, &SCHEMA).unwrap();
        fill(&store, 0..3);
        let failed = store.compact(&mut silently);
        if does_it {
            // What is taken now would be in a file that no start finds.
            assert!(matches!(failed, Err(CompactError::Store(StoreError::Closed))), "{failed:?}");
            assert!(store.write_blocking(put(3, "a", "more")).is_err());
        } else {
            assert!(matches!(failed, Err(CompactError::Io(_))), "{failed:?}");
            fill(&store, 3..4);
            assert_eq!(notes(&store.view().unwrap()).len(), 4);
        }
        store.close();
        assert_eq!(ended.load(Ordering::SeqCst), does_it);
    }
}

#[test]
fn what_was_put_in_the_place_of_the_file_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let [path, aside] = ["mail.pbx", "aside"].map(|name| folder.path().join(name));
    let store = open(&path);
    fill(&store, 0..3);
    let mut is_moved = false;
    let displaced = store.compact(&mut |_| {
        if !std::mem::replace(&mut is_moved, true) {
            fs::rename(&path, &aside).unwrap();
            fs::write(&path, "mine").unwrap();
        }
        ControlFlow::Continue(())
    });
    assert!(matches!(displaced, Err(CompactError::Displaced)), "{displaced:?}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    assert_eq!(names(folder.path()), ["aside", "mail.pbx"]);
    // The file that has lost its name is still the server's.
    fill(&store, 3..4);
    store.close();
    assert_eq!(notes(&open(&aside).view().unwrap()).len(), 4);
}
