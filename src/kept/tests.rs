use std::sync::Arc;

use proptest::prelude::*;

use tokio_util::sync::CancellationToken;

use super::reap::reap_with;
use super::row::{BY_TIME, KEPT};
use super::*;
use crate::base::{BlobId, MessageId, SystemClock, Timestamp, TlsWish, limits};
use crate::store::{Findings, Halt, Op, Options, Read, Schema, Store, StoreError, Tx, View};

static SCHEMA: Schema = Schema { version: 1, tables: TABLES, checks: CHECKS, migrations: &[] };

/// A user of a message that lets it go: it brings a body with one reference.
struct Leave {
    id: u64,
    at: u64,
    has_body: bool,
    tls: TlsWish,
}

impl Op for Leave {
    type Plan = ();
    type Out = ();
    type Refused = std::convert::Infallible;

    fn name(&self) -> &'static str {
        "test.leave"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<Self::Refused>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        let body = format!("\r\nbody of {}\r\n", self.id);
        let blob = if self.has_body { Some(tx.put_small_blob(body.as_bytes(), 1)?) } else { None };
        let body_bytes = if self.has_body { body.len() as u64 } else { 0 };
        let leaving = Leaving {
            id: MessageId(self.id),
            at: Timestamp(self.at),
            sender: None,
            head: b"A: 1\r\n".to_vec(),
            blob,
            body_bytes,
            tls: self.tls,
        };
        keep(tx, leaving)
    }
}

/// Many at once.
struct Leaves(Vec<Leave>);

impl Op for Leaves {
    type Plan = ();
    type Out = ();
    type Refused = std::convert::Infallible;

    fn name(&self) -> &'static str {
        "test.leaves"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<Self::Refused>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        self.0.iter().try_for_each(|leave| leave.apply(tx, ()))
    }
}

fn world(keep_ms: u64) -> Store {
    let store = Store::open(Options::memory(Arc::new(SystemClock)), &SCHEMA).unwrap();
    write(&store, KeepFor { ms: keep_ms });
    store
}

fn write<O: Op<Refused = std::convert::Infallible>>(store: &Store, op: O) -> O::Out {
    store.write_blocking(op).unwrap().into_inner()
}

/// How many bodies there are; each must be referred to once, by a message that is kept.
fn bodies(store: &Store) -> usize {
    let view: View = store.view().unwrap();
    let (mut referred, mut count) = (Vec::new(), 0);
    references(&view, |blob: BlobId| referred.push(blob)).unwrap();
    view.each_blob(|id, facts| {
        assert_eq!(facts.references as usize, referred.iter().filter(|known| **known == id).count(), "{id:?}");
        count += 1;
    })
    .unwrap();
    assert_eq!(referred.len(), count);
    let findings: Findings = store.check().unwrap();
    assert_eq!(findings.lines(), [] as [&str; 0]);
    count
}

#[test]
fn a_message_is_kept_for_its_time() {
    let store = world(1000);
    write(&store, Leave { id: 1, at: 5000, has_body: true, tls: TlsWish::Policy });
    write(&store, Leave { id: 2, at: 5500, has_body: false, tls: TlsWish::Policy });
    assert_eq!(bodies(&store), 1);
    let reap = |at: u64| write(&store, Reap { at: Timestamp(at), is_full: false, limit: 10 }).messages;
    assert_eq!((reap(0), reap(5999)), (0, 0));
    assert_eq!(reap(6000), 1);
    assert_eq!(bodies(&store), 0);
    assert!(kept(&store.view().unwrap(), MessageId(2)).unwrap().is_some());
    assert_eq!(newest(&store.view().unwrap()).unwrap(), Some(MessageId(2)));
    assert_eq!(reap(6500), 1);
}

#[test]
fn its_second_home_gives_it_more_time_and_no_second_reference() {
    let store = world(1000);
    write(&store, Leave { id: 1, at: 5000, has_body: true, tls: TlsWish::Policy });
    write(&store, Leave { id: 1, at: 5900, has_body: true, tls: TlsWish::Policy });
    assert_eq!(bodies(&store), 1);
    write(&store, Leave { id: 1, at: 100, has_body: true, tls: TlsWish::Policy });
    assert_eq!(kept(&store.view().unwrap(), MessageId(1)).unwrap().unwrap().at, Timestamp(5900));
    assert_eq!(write(&store, Reap { at: Timestamp(6000), is_full: false, limit: 10 }).messages, 0);
}

#[test]
fn what_is_to_travel_with_tls_is_kept_so() {
    let seen = |first, second| {
        let store = world(1000);
        for tls in [first, second] {
            write(&store, Leave { id: 1, at: 5000, has_body: true, tls });
        }
        kept(&store.view().unwrap(), MessageId(1)).unwrap().unwrap().tls
    };
    assert_eq!(seen(TlsWish::Required, TlsWish::Policy), TlsWish::Required);
    assert_eq!(seen(TlsWish::Policy, TlsWish::Required), TlsWish::Required);
    assert_eq!(seen(TlsWish::Policy, TlsWish::Policy), TlsWish::Policy);
}

#[test]
fn nothing_is_kept_where_nothing_is_to_be() {
    let store = world(0);
    write(&store, Leave { id: 1, at: 5000, has_body: true, tls: TlsWish::Policy });
    assert_eq!((bodies(&store), newest(&store.view().unwrap()).unwrap()), (0, None));
    // What was kept goes when that is said later.
    write(&store, KeepFor { ms: 10 });
    write(&store, Leave { id: 2, at: 5000, has_body: true, tls: TlsWish::Policy });
    write(&store, KeepFor { ms: 0 });
    assert_eq!(write(&store, Reap { at: Timestamp(5000), is_full: false, limit: 10 }).messages, 1);
    assert_eq!(bodies(&store), 0);
}

#[test]
fn a_full_disk_takes_the_oldest_first() {
    let store = world(1_000_000);
    for (id, at) in [(1, 300), (2, 100), (3, 200)] {
        write(&store, Leave { id, at, has_body: true, tls: TlsWish::Policy });
    }
    let reaped = write(&store, Reap { at: Timestamp(400), is_full: true, limit: 2 });
    assert_eq!(reaped, Reaped { messages: 2, more: true });
    let left = kept(&store.view().unwrap(), MessageId(1)).unwrap();
    assert_eq!((left.map(|kept| kept.at), bodies(&store)), (Some(Timestamp(300)), 1));
}

#[test]
fn what_contradicts_itself_is_mended() {
    let store = world(1_000_000);
    write(&store, Leave { id: 1, at: 5000, has_body: true, tls: TlsWish::Policy });
    write(&store, Leave { id: 2, at: 6000, has_body: false, tls: TlsWish::Policy });
    let place = |at, id| (Timestamp(at), MessageId(id));
    store.is_mended(move |tx| tx.remove(&BY_TIME, &place(5000, 1)).map(drop), "does not stand at its time");
    store.is_mended(move |tx| tx.put(&BY_TIME, &place(5001, 1), &()), "is not kept since");
    store.is_mended(move |tx| tx.put(&BY_TIME, &place(5000, 9), &()), "is not kept since");
    let reaped = |at| write(&store, Reap { at: Timestamp(at), is_full: false, limit: 10 }).messages;
    assert_eq!((bodies(&store), reaped(1_004_999)), (1, 0), "nothing is lost by it");
    let grown = |tx: &mut Tx<'_>| {
        let kept = tx.get(&KEPT, &MessageId(2))?.expect("it is kept");
        tx.put(&KEPT, &MessageId(2), &Kept { body_bytes: 7, ..kept })
    };
    store.is_mended(grown, "is not of the size that it says");
    assert_eq!(kept(&store.view().unwrap(), MessageId(2)).unwrap(), None, "it can't be delivered once more");
    assert_eq!((bodies(&store), reaped(1_005_000)), (1, 1), "the other goes at its time");
}

/// How many messages are left at each pause of the first few, on a disk that is full or has room.
async fn left_at_pauses(disk_reserve_bytes: u64, pauses: usize) -> Vec<usize> {
    let folder = tempfile::tempdir().unwrap();
    let open = |disk_reserve_bytes| {
        let options = Options { disk_reserve_bytes, ..Options::at(&folder.path().join("mail.redb")) };
        Store::open(options, &SCHEMA).unwrap()
    };
    // On a full one nothing would be kept.
    let store = open(0);
    store.write(KeepFor { ms: 1000 }).await.unwrap().into_inner();
    let leaves = (0..2 * limits::REAPED_MESSAGES as u64 + 50).map(|id| Leave {
        id,
        at: 5000 + id,
        has_body: false,
        tls: TlsWish::Policy,
    });
    store.write(Leaves(leaves.collect())).await.unwrap().into_inner();
    store.close();
    drop(store);
    let store = open(disk_reserve_bytes);
    let (stop, mut left) = (CancellationToken::new(), Vec::new());
    let count = || {
        let mut count = 0;
        each_kept(&store.view().unwrap(), |_| count += 1);
        count
    };
    let pause = || {
        left.push(count());
        if left.len() == pauses {
            stop.cancel();
        }
        std::future::ready(())
    };
    reap_with(store.clone(), Arc::new(SystemClock), stop.clone(), pause).await;
    left
}

fn each_kept(view: &View, mut each: impl FnMut(MessageId)) {
    use crate::store::Span;
    let go_on = |id, _| {
        each(id);
        std::ops::ControlFlow::Continue(())
    };
    view.scan(&super::row::KEPT, Span::all(), go_on).unwrap();
}

#[test]
fn nothing_is_kept_on_a_full_disk() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { disk_reserve_bytes: u64::MAX, ..Options::at(&folder.path().join("mail.redb")) };
    let store = Store::open(options, &SCHEMA).unwrap();
    write(&store, KeepFor { ms: 1000 });
    write(&store, Leave { id: 1, at: 5000, has_body: true, tls: TlsWish::Policy });
    assert_eq!((bodies(&store), newest(&store.view().unwrap()).unwrap()), (0, None));
}

#[tokio::test]
async fn the_writer_rests_between_two_slices_of_a_full_disk() {
    let slice = limits::REAPED_MESSAGES;
    assert_eq!(left_at_pauses(u64::MAX, 4).await, [slice + 50, 50, 0, 0]);
    assert_eq!(left_at_pauses(0, 2).await, [0, 0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever is done in whatever order, each body has one reference, and each reference a body.
    #[test]
    fn references_hold(steps in proptest::collection::vec((0_u8..5, 0_u64..6, 0_u64..3000), 1..40)) {
        let store = world(1000);
        for (step, id, at) in steps {
            match step {
                0..=2 => write(&store, Leave { id, at, has_body: step > 0, tls: TlsWish::Policy }),
                3 => { write(&store, Reap { at: Timestamp(at), is_full: at % 5 == 0, limit: 2 }); }
                _ => write(&store, KeepFor { ms: at % 1500 }),
            }
            bodies(&store);
        }
    }
}
