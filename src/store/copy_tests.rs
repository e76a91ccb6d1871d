use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::fault::{Fault, FaultDisk, Operation};
use super::tests::{NOTES, SCHEMA, note, put, run};
use super::{CopyError, CopyOptions, CopyProgress, Medium, Options, Span, Store, View, verify};
use super::{Read, StoreError};

fn options(path: &Path) -> Options {
    Options { disk_reserve_bytes: 0, ..Options::at(path) }
}

fn silently(_: CopyProgress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// The numbers of the notes, each of which was committed behind the one before it.
fn numbers(view: &View) -> Vec<u32> {
    let mut found = Vec::new();
    view.scan(&NOTES, Span::all(), |key, _| {
        found.push(key.0);
        ControlFlow::Continue(())
    })
    .unwrap();
    found
}

/// A writer that commits number after number, 20 KiB each, and removes what is 50 behind, so that pages are used again.
fn keep_writing(store: &Store, until: &AtomicBool, committed: &AtomicU64) {
    for number in 1u32.. {
        if until.load(Ordering::SeqCst) {
            return;
        }
        let text = "x".repeat(20_000);
        let write = run(move |tx| {
            if number > 50 {
                tx.remove(&NOTES, &(number - 50, "a".into()))?;
            }
            tx.put(&NOTES, &(number, "a".into()), &note(&text))
        });
        let _ = store.write_blocking(write).unwrap();
        committed.store(number.into(), Ordering::SeqCst);
    }
}

#[test]
fn copies_under_load_open_and_hold_what_was_committed_at_one_instant() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(options(&folder.path().join("mail.pbx")), &SCHEMA).unwrap();
    let (stop, committed) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| keep_writing(&store, &stop, &committed));
        for round in 0..6 {
            let path = folder.path().join(format!("copy-{round}"));
            // The file has to have something to be overwritten.
            let wanted = 100 * (round + 1);
            while committed.load(Ordering::SeqCst) < wanted {
                std::thread::yield_now();
            }
            let before = committed.load(Ordering::SeqCst);
            let copied = store.copy_to(&path, CopyOptions { compact: round == 5 }, &mut silently).unwrap();
            let after = committed.load(Ordering::SeqCst);
            assert_eq!(copied.file_bytes, path.metadata().unwrap().len());
            let copy = Store::open(options(&path), &SCHEMA).unwrap();
            let seen = numbers(&copy.view().unwrap());
            let last = u64::from(*seen.last().unwrap());
            assert!((before..=after + 1).contains(&last), "{before} {last} {after}");
            let first = (last as u32).saturating_sub(49).max(1);
            assert_eq!(seen, (first..=last as u32).collect::<Vec<_>>());
        }
        stop.store(true, Ordering::SeqCst);
    });
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().ends_with(".part")), "{names:?}");
}

#[test]
fn a_compact_copy_is_smaller_and_holds_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(options(&folder.path().join("mail.pbx")), &SCHEMA).unwrap();
    for number in 0..200 {
        let _ = store.write_blocking(put(number, "a", &"x".repeat(30_000))).unwrap();
    }
    for number in 10..200 {
        let _ = store.write_blocking(run(move |tx| tx.remove(&NOTES, &(number, "a".into())).map(drop))).unwrap();
    }
    let copy = |name: &str, compact| {
        let path = folder.path().join(name);
        let copied = store.copy_to(&path, CopyOptions { compact }, &mut silently).unwrap();
        let view = Store::open(options(&path), &SCHEMA).unwrap();
        assert_eq!(numbers(&view.view().unwrap()), (0..10).collect::<Vec<_>>());
        copied
    };
    let (plain, compact) = (copy("plain", false), copy("compact", true));
    assert!(compact.file_bytes * 4 < plain.file_bytes, "{compact:?} {plain:?}");
}

#[test]
fn what_prevents_a_copy_is_said_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("copy");
    let store = Store::open(options(&folder.path().join("mail.pbx")), &SCHEMA).unwrap();
    let _ = store.write_blocking(put(1, "a", "b")).unwrap();
    let copy = |path: &Path, tell: &mut dyn FnMut(CopyProgress) -> ControlFlow<()>| {
        store.copy_to(path, CopyOptions::default(), tell)
    };
    assert!(matches!(copy(&path, &mut |_| ControlFlow::Break(())), Err(CopyError::GivenUp)));
    let stop_at_check = &mut |progress| match progress {
        CopyProgress::Checking(_) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    assert!(matches!(copy(&path, stop_at_check), Err(CopyError::GivenUp)));
    assert!(matches!(copy(&folder.path().join("no/copy"), &mut silently), Err(CopyError::Io(_))));
    let mut inner = None;
    let busy = &mut |_| {
        inner.get_or_insert_with(|| store.copy_to(&folder.path().join("other"), CopyOptions::default(), &mut silently));
        ControlFlow::Continue(())
    };
    copy(&path, busy).unwrap();
    assert!(matches!(inner, Some(Err(CopyError::Busy))), "{inner:?}");
    assert!(matches!(copy(&path, &mut silently), Err(CopyError::Exists(_))));
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 2, "the file and the one good copy");
    store.close();
    let closed = copy(&folder.path().join("late"), &mut silently);
    assert!(matches!(closed, Err(CopyError::Store(StoreError::Closed))), "{closed:?}");
}

#[test]
fn a_full_disk_takes_no_copy() {
    let folder = tempfile::tempdir().unwrap();
    let store =
        Store::open(Options { disk_reserve_bytes: u64::MAX / 2, ..options(&folder.path().join("mail.pbx")) }, &SCHEMA);
    let refused = store.unwrap().copy_to(&folder.path().join("copy"), CopyOptions::default(), &mut silently);
    assert!(matches!(refused, Err(CopyError::NoRoom { .. })), "{refused:?}");
}

#[test]
fn a_file_that_cannot_be_read_gives_no_copy_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let disk = FaultDisk::new();
    let store = Store::open(Options::faulty(Arc::clone(&disk), |_| {}), &SCHEMA).unwrap();
    let _ = store.write_blocking(put(1, "a", "b")).unwrap();
    disk.fail(Fault { operation: Operation::Read, number: 1, lasting: false, errno: 5 });
    let path = folder.path().join("copy");
    // One failure to read is tried once more.
    store.copy_to(&path, CopyOptions::default(), &mut silently).unwrap();
    disk.fail(Fault { operation: Operation::Read, number: 1, lasting: true, errno: 5 });
    let refused = store.copy_to(&folder.path().join("second"), CopyOptions::default(), &mut silently);
    assert!(matches!(refused, Err(CopyError::Io(_))), "{refused:?}");
    disk.fail(Fault { operation: Operation::Read, number: u64::MAX, lasting: false, errno: 5 });
    let _ = store.write_blocking(put(2, "a", "b")).unwrap();
    assert!(
        verify(&Options { medium: Medium::File(path), ..options(Path::new("")) }, &SCHEMA).unwrap().lines().is_empty()
    );
}
