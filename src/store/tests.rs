use std::convert::Infallible;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::fault::FaultDisk;
use super::queue::block_on;
use super::*;
use crate::base::{SystemClock, limits};

pub(super) static NOTES: Table<(u32, String), Note> = Table::new("notes");

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Note(pub(super) String);
crate::postcard_row!(Note, 1);

pub(super) fn note(text: &str) -> Note {
    Note(text.to_owned())
}

pub(super) static SCHEMA: Schema = Schema { version: 3, tables: &[&NOTES], checks: &[], migrations: &[] };

/// An op out of two closures.
pub(super) struct Do<C, A>(pub(super) C, pub(super) A);

impl<P, T, R, C, A> Op for Do<C, A>
where
    C: Fn(&Tx<'_>) -> Result<P, Halt<R>> + Send + 'static,
    A: Fn(&mut Tx<'_>, P) -> Result<T, StoreError> + Send + 'static,
    T: Send + 'static,
    R: Send + 'static,
{
    type Plan = P;
    type Out = T;
    type Refused = R;
    fn name(&self) -> &'static str {
        "do"
    }
    fn check(&self, tx: &Tx<'_>) -> Result<P, Halt<R>> {
        (self.0)(tx)
    }
    fn apply(&self, tx: &mut Tx<'_>, plan: P) -> Result<T, StoreError> {
        (self.1)(tx, plan)
    }
}

pub(super) fn run<T: Send + 'static>(
    apply: impl Fn(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
) -> impl Op<Out = T, Refused = Infallible> {
    Do(|_: &Tx<'_>| Ok::<_, Halt<Infallible>>(()), move |tx: &mut Tx<'_>, ()| apply(tx))
}

pub(super) fn put(box_: u32, name: &str, text: &str) -> impl Op<Out = (), Refused = Infallible> + use<> {
    let (key, note) = ((box_, name.to_owned()), note(text));
    run(move |tx| tx.put(&NOTES, &key, &note))
}

pub(super) fn memory() -> Store {
    Store::open(Options::memory(Arc::new(SystemClock)), &SCHEMA).expect("a store in memory opens")
}

fn on_disk(folder: &tempfile::TempDir) -> Options {
    Options { disk_reserve_bytes: 0, ..Options::at(&folder.path().join("mail.pbx")) }
}

fn notes(read: &impl Read, span: Span<(u32, String)>) -> Vec<String> {
    read.rows(&NOTES, span, usize::MAX).expect("rows").into_iter().map(|(_, note)| note.0).collect()
}

#[test]
fn rows_are_read_as_they_were_written() {
    let store = memory();
    for (box_, name, text) in [(1, "a", "one"), (1, "b", "two"), (2, "a", "three"), (2, "", "four")] {
        store.write_blocking(put(box_, name, text)).expect("commits").into_inner();
    }
    let view = store.view().expect("a view");
    assert_eq!(view.get(&NOTES, &(1, "b".into())).unwrap(), Some(note("two")));
    assert_eq!(view.get(&NOTES, &(1, "c".into())).unwrap(), None);
    assert_eq!(notes(&view, Span::prefix(&1)), ["one", "two"]);
    assert_eq!(notes(&view, Span::prefix(&2)), ["four", "three"]);
    assert_eq!(notes(&view, Span::all().after(&(1, "a".into()))), ["two", "four", "three"]);
    assert_eq!(notes(&view, Span::range((1, "b".into())..(2, "a".into()))), ["two", "four"]);
    assert_eq!(notes(&view, Span::range((2, "b".into())..(2, "a".into()))), Vec::<String>::new());
    assert_eq!(view.first(&NOTES, Span::prefix(&2)).unwrap().unwrap().1, note("four"));
    assert_eq!(view.last(&NOTES, Span::prefix(&1)).unwrap().unwrap().1, note("two"));
    let mut seen = 0;
    view.scan(&NOTES, Span::all(), |_, _| {
        seen += 1;
        if seen == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .unwrap();
    assert_eq!(seen, 2);
    assert_eq!(block_on(store.read(|view| Ok(notes(view, Span::prefix(&1)).len()))).unwrap(), 2);
}

#[tokio::test]
async fn a_write_that_blocks_does_not_wait_for_the_runtime() {
    let store = memory();
    // More than a task of tokio may do before it must give way: it can't, as long as this blocks.
    for number in 0..1000 {
        let _ = store.write_blocking(put(number, "a", "b")).unwrap();
    }
}

#[test]
fn a_scan_may_read_other_rows_of_its_transaction() {
    let store = memory();
    let _ = store.write_blocking(put(1, "a", "b")).unwrap();
    let _ = store.write_blocking(put(1, "b", "end")).unwrap();
    let found = store.write_blocking(run(|tx| {
        let mut found = Vec::new();
        tx.scan(&NOTES, Span::all(), |_, next| {
            found.push(tx.get(&NOTES, &(1, next.0)));
            ControlFlow::Continue(())
        })?;
        found.into_iter().collect::<Result<Vec<_>, _>>()
    }));
    assert_eq!(found.unwrap().into_inner(), [Some(note("end")), None]);
}

#[test]
fn what_was_committed_is_there_after_a_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let numbers: Vec<u64> = (0..3)
        .map(|round| {
            let store = Store::open(on_disk(&folder), &SCHEMA).unwrap();
            let _ = store.write_blocking(put(round, "a", "kept")).unwrap();
            assert_eq!(notes(&store.view().unwrap(), Span::all()).len(), round as usize + 1);
            let number = store.write_blocking(run(|tx| tx.next("number", |_| Ok(0)))).unwrap().into_inner();
            if round == 1 {
                store.close();
                assert!(matches!(store.write_blocking(put(9, "a", "late")), Err(WriteError::Closed(_))));
                assert!(matches!(store.view(), Err(StoreError::Closed)));
            }
            number
        })
        .collect();
    assert_eq!(numbers, [1, 2, 3]);
    let mode = std::os::unix::fs::MetadataExt::mode(&folder.path().join("mail.pbx").metadata().unwrap());
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_counter_without_its_row_goes_on_behind_what_the_rows_know() {
    for bytes in [None, Some(b"\x61\x05rot!".as_slice())] {
        let folder = tempfile::tempdir().unwrap();
        let next = |store: &Store| {
            let highest = |tx: &Tx<'_>| Ok(tx.last_key(&NOTES)?.map_or(0, |(number, _)| u64::from(number)));
            store.write_blocking(run(move |tx| tx.next("number", highest))).unwrap().into_inner()
        };
        let damage = |store: &Store| {
            let op = run(move |tx| match bytes {
                Some(bytes) => tx.put_bytes("counters", b"number\0\0", bytes),
                None => tx.remove_bytes("counters", b"number\0\0"),
            });
            store.write_blocking(op).unwrap().into_inner();
        };
        let store = Store::open(on_disk(&folder), &SCHEMA).unwrap();
        let _ = store.write_blocking(put(7, "a", "the last")).unwrap();
        assert_eq!(next(&store), 8);
        damage(&store);
        assert_eq!(next(&store), 9, "a running server knows it");
        damage(&store);
        store.close();
        let store = Store::open(on_disk(&folder), &SCHEMA).unwrap();
        let _ = store.write_blocking(put(12, "a", "newer")).unwrap();
        assert_eq!((next(&store), next(&store)), (13, 14));
        store.close();
        assert_eq!(next(&Store::open(on_disk(&folder), &SCHEMA).unwrap()), 15, "its row is written anew");
    }
}

#[test]
fn a_refused_op_changes_nothing_and_says_why() {
    let store = memory();
    let refuse = || Do(|_: &Tx<'_>| Err::<(), _>(Halt::Refused("taken")), |_: &mut Tx<'_>, ()| Ok(()));
    assert_eq!(store.write_blocking(refuse()).unwrap_err(), WriteError::Refused("taken"));
    let syncs = store.health().syncs;
    assert_eq!(store.write_blocking(refuse()).unwrap_err(), WriteError::Refused("taken"));
    assert_eq!(store.health().syncs, syncs, "a batch without a change is not committed");
}

#[test]
fn an_op_that_panics_takes_nobody_with_it() {
    let store = memory();
    let ops = 20;
    let tried = Arc::new(AtomicU64::new(0));
    let all = (0..ops).map(|n| {
        let (store, tried) = (store.clone(), Arc::clone(&tried));
        async move {
            let op = run(move |tx| {
                tried.fetch_add(1, Ordering::Relaxed);
                tx.put(&NOTES, &(n, "a".into()), &note("written"))?;
                assert!(n % 7 != 3, "this op is made to panic");
                tx.next("number", |_| Ok(0))
            });
            store.write(op).await
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let answers = runtime.block_on(async {
        let tasks: Vec<_> = all.map(tokio::spawn).collect();
        let mut answers = Vec::new();
        for task in tasks {
            answers.push(task.await.unwrap());
        }
        answers
    });
    let mut numbers = Vec::new();
    for (n, answer) in answers.into_iter().enumerate() {
        match answer {
            Ok(number) => numbers.push(number.into_inner()),
            Err(error) => assert_eq!((error, n % 7), (WriteError::Panicked, 3)),
        }
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=17).collect::<Vec<_>>(), "no number is given twice or left out");
    assert_eq!(notes(&store.view().unwrap(), Span::all()).len(), 17);
    assert_eq!(store.health().panics, 3);
    assert!(tried.load(Ordering::Relaxed) >= 20);
}

#[test]
fn ops_that_wait_together_share_a_sync() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(on_disk(&folder), &SCHEMA).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let before = store.health().syncs;
    runtime.block_on(async {
        let tasks: Vec<_> = (0..200)
            .map(|n| {
                let store = store.clone();
                tokio::spawn(async move { store.write(put(n, "a", "text")).await.map(Committed::into_inner) })
            })
            .collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
    });
    let syncs = store.health().syncs - before;
    assert!(syncs < 100, "{syncs} syncs for 200 ops");
}

#[test]
fn a_lone_writer_pays_one_sync_for_each_commit() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(on_disk(&folder), &SCHEMA).unwrap();
    let before = store.health().syncs;
    for n in 0..10 {
        let _ = store.write_blocking(put(n, "a", "text")).unwrap();
    }
    let syncs = store.health().syncs - before;
    // A file that grows on the way is synced once more for it.
    assert!((10..=13).contains(&syncs), "{syncs} syncs for 10 commits");
}

#[tokio::test]
async fn a_sync_that_does_not_come_back_holds_up_no_reader() {
    let disk = FaultDisk::new();
    let store = Store::open(Options::faulty(Arc::clone(&disk), |_| {}), &SCHEMA).unwrap();
    store.write(put(1, "a", "before")).await.unwrap().into_inner();
    disk.hang(true);
    let writing = tokio::spawn({
        let store = store.clone();
        async move { store.write(put(1, "b", "after")).await.unwrap().into_inner() }
    });
    let hung = Arc::clone(&disk);
    tokio::task::spawn_blocking(move || hung.wait_until_it_hangs()).await.unwrap();
    assert_eq!(notes(&store.view().unwrap(), Span::all()), ["before"]);
    let read = store.read(|view| Ok(notes(view, Span::all()))).await.unwrap();
    assert_eq!(read, ["before"], "what is not synced is not seen");
    assert!(!writing.is_finished(), "nor acknowledged");
    disk.hang(false);
    writing.await.unwrap();
    assert_eq!(notes(&store.view().unwrap(), Span::all()), ["before", "after"]);
}

#[test]
fn an_op_that_rides_runs_in_its_turn_or_within_a_second() {
    let store = memory();
    store.ride(put(1, "a", "rides"));
    assert!(notes(&store.view().unwrap(), Span::all()).is_empty());
    let seen = store.write_blocking(run(|tx| Ok(notes(tx, Span::all())))).unwrap().into_inner();
    assert_eq!(seen, ["rides"]);
    store.ride(put(1, "b", "rides alone"));
    let end = std::time::Instant::now() + std::time::Duration::from_millis(10 * limits::RIDE_WAIT_MS);
    while notes(&store.view().unwrap(), Span::all()).len() < 2 {
        assert!(std::time::Instant::now() < end, "the ride never came");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn a_watcher_hears_of_what_is_committed_only() {
    let store = memory();
    let mut watch = store.bus().watch("note");
    let failing = run(|tx| {
        tx.announce(Topic("note", 1));
        panic!("this op is made to panic");
        #[allow(unreachable_code)]
        Ok(())
    });
    assert_eq!(store.write_blocking(failing).unwrap_err(), WriteError::Panicked);
    let fine = run(|tx| {
        tx.announce(Topic("note", 2));
        tx.put(&NOTES, &(1, "a".into()), &note("text"))
    });
    store.write_blocking(fine).unwrap().into_inner();
    assert_eq!(block_on(watch.next()), Some(Topic("note", 2)));
    store.close();
    assert_eq!(block_on(watch.next()), None);
}

#[test]
fn a_file_that_cannot_be_ours_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mail.pbx");
    drop(Store::open(on_disk(&folder), &SCHEMA).unwrap());
    static OLD: Schema = Schema { version: 2, tables: &[], checks: &[], migrations: &[] };
    let before = std::fs::read(&path).unwrap();
    let refused = Store::open(on_disk(&folder), &OLD).err().unwrap();
    assert!(matches!(refused, OpenError::Newer { found: 3, known: 2, .. }), "{refused}");
    assert!(before == std::fs::read(&path).unwrap(), "refusing it changed the file");

    std::fs::write(&path, b"no redb file at all, but long enough to be looked at".repeat(100)).unwrap();
    let before = std::fs::read(&path).unwrap();
    let refused = Store::open(on_disk(&folder), &SCHEMA).err().unwrap();
    assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
    assert!(before == std::fs::read(&path).unwrap());

    let nowhere = Options::at(&folder.path().join("no/such/folder/mail.pbx"));
    assert!(matches!(Store::open(nowhere, &SCHEMA).err().unwrap(), OpenError::Io { .. }));
}

#[test]
fn one_file_is_open_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(on_disk(&folder), &SCHEMA).unwrap();
    assert!(matches!(Store::open(on_disk(&folder), &SCHEMA).err().unwrap(), OpenError::Locked(_)));
    drop(store);
    assert!(Store::open(on_disk(&folder), &SCHEMA).is_ok());
}

#[test]
fn an_op_that_meets_damage_is_undone_alone() {
    let store = memory();
    let damage = run(|tx| tx.put_bytes(NOTES.name(), &view::encode_key(&(1u32, "a".to_owned())), b"\xff"));
    store.write_blocking(damage).unwrap().into_inner();
    let meets_it = run(|tx| {
        tx.put(&NOTES, &(2, "a".into()), &note("written"))?;
        tx.get(&NOTES, &(1, "a".into()))
    });
    let told = store.write_blocking(meets_it).unwrap_err();
    assert!(matches!(&told, WriteError::Damaged(what) if what.contains("table notes")), "{told:?}");
    assert_eq!(store.health().panics, 0);
    store.write_blocking(put(3, "a", "goes on")).unwrap().into_inner();
    assert_eq!(notes(&store.view().unwrap(), Span::prefix(&2)), Vec::<String>::new());
    assert_eq!(notes(&store.view().unwrap(), Span::prefix(&3)), ["goes on"]);
    assert_eq!(store.check().unwrap().lines().len(), 1);
}

#[test]
fn below_the_reserve_only_what_may_runs() {
    struct Small;
    impl Op for Small {
        type Plan = ();
        type Out = ();
        type Refused = Infallible;
        fn name(&self) -> &'static str {
            "small"
        }
        fn runs_when_full(&self) -> bool {
            true
        }
        fn check(&self, _: &Tx<'_>) -> Result<(), Halt<Infallible>> {
            Ok(())
        }
        fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
            tx.put(&NOTES, &(1, "a".into()), &note("small"))
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(Options { disk_reserve_bytes: u64::MAX, ..on_disk(&folder) }, &SCHEMA).unwrap();
    assert!(store.health().full && store.health().writable);
    assert_eq!(store.write_blocking(put(1, "b", "large")).unwrap_err(), WriteError::Full);
    store.write_blocking(Small).unwrap().into_inner();
    assert_eq!(notes(&store.view().unwrap(), Span::all()), ["small"]);
}
