use std::cell::Cell;
use std::ops::ControlFlow;

use super::*;
use crate::store::{Key, Read, Row, Span, Table, View};

/// Recipients of one message in the test.
const RECIPIENTS: u32 = 100;
/// Recipients in CI; `PILLARBOX_QUEUED` says another number.
const QUEUED: u64 = 5_000;

/// Counts the rows that are read.
struct Counting<'a> {
    view: &'a View,
    rows: Cell<u64>,
}

impl Counting<'_> {
    fn count(&self) {
        self.rows.set(self.rows.get() + 1);
    }
}

impl Read for Counting<'_> {
    fn get<K: Key, V: Row>(&self, table: &Table<K, V>, key: &K) -> Result<Option<V>, StoreError> {
        self.count();
        self.view.get(table, key)
    }

    fn scan<K: Key, V: Row>(
        &self,
        table: &Table<K, V>,
        span: Span<K>,
        mut each: impl FnMut(K, V) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.view.scan(table, span, |key, row| {
            self.count();
            each(key, row)
        })
    }

    fn scan_keys<K: Key, V: Row>(
        &self,
        table: &Table<K, V>,
        span: Span<K>,
        mut each: impl FnMut(K) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.view.scan_keys(table, span, |key| {
            self.count();
            each(key)
        })
    }

    fn last<K: Key, V: Row>(&self, table: &Table<K, V>, span: Span<K>) -> Result<Option<(K, V)>, StoreError> {
        self.count();
        self.view.last(table, span)
    }

    fn has<K: Key, V: Row>(&self, table: &Table<K, V>, key: &K) -> Result<bool, StoreError> {
        self.count();
        self.view.has(table, key)
    }
}

/// Queues so many recipients of a hundred domains, many a minute.
async fn fill(world: &World, messages: std::ops::Range<u64>) {
    // Some in one transaction, so that the test is quick.
    let numbers: Vec<u64> = messages.collect();
    for some in numbers.chunks(50) {
        let some = some.to_vec();
        world
            .run(move |tx| {
                for number in &some {
                    let entry = |to: u32| NewEntry {
                        recipient: address(&format!("b{number}@d{to}.test")),
                        original: None,
                        options: crate::base::RcptOptions::default(),
                    };
                    let message = NewMessage {
                        id: MessageId((START.ms() + number) << 16),
                        sender: Some(address(&format!("a{}@us.test", number % 7))),
                        notify: Notify::Sender,
                        head: HEAD,
                        blob: None,
                        body_bytes: 0,
                        eight_bit: false,
                        smtputf8: false,
                        options: crate::base::MailOptions::default(),
                        at: START.plus_ms(number * 20),
                        return_path: None,
                        recipients: (0..RECIPIENTS).map(entry).collect(),
                    };
                    enqueue(tx, &message, &policy())?;
                }
                Ok(())
            })
            .await;
    }
}

/// What is done often with a queue, by name, with the rows that it reads.
fn costs(world: &World, now: Timestamp) -> Vec<(&'static str, u64)> {
    let view = world.store.view().unwrap();
    let cost = |look: &dyn Fn(&Counting<'_>)| {
        let counting = Counting { view: &view, rows: Cell::new(0) };
        look(&counting);
        counting.rows.get()
    };
    let middle = entries_of_domain(&view, "d7.test", None, usize::MAX).unwrap();
    let middle = middle[middle.len() / 2].id;
    let domain = Selector::Domain("d7.test".parse().unwrap());
    let (sender, peer) = (Selector::Sender(Some(address("a3@us.test"))), Selector::Peer("branch".into()));
    let slice = |selector: &Selector, read: &Counting<'_>| selector.slice(read, None, 20).unwrap().entries.len();
    vec![
        ("the next that is due", cost(&|read| assert!(next_due(read, now).unwrap().is_some()))),
        ("some that are due", cost(&|read| assert_eq!(due(read, now, None, 50).unwrap().len(), 50))),
        ("some more", cost(&|read| assert_eq!(due(read, now, Some((START, middle)), 50).unwrap().len(), 50))),
        ("a page", cost(&|read| assert_eq!(entries(read, Some(middle), 50).unwrap().len(), 50))),
        (
            "a page of a domain",
            cost(&|read| assert_eq!(entries_of_domain(read, "d7.test", None, 20).unwrap().len(), 20)),
        ),
        ("a slice of a flush", cost(&|read| assert_eq!(slice(&domain, read), 20))),
        ("a slice of a sender's", cost(&|read| assert_eq!(slice(&sender, read), 20))),
        ("a slice of a peer's", cost(&|read| assert_eq!(slice(&peer, read), 20))),
        ("the numbers", cost(&|read| drop(summary(read, now).unwrap()))),
        ("the newest", cost(&|read| assert!(newest(read).unwrap().is_some()))),
        ("the pause", cost(&|read| drop(pause(read, now).unwrap()))),
    ]
}

/// 5,000 recipients in CI (a second); `tests/all --on-demand queue` takes 1,000,000 (minutes).
#[tokio::test]
async fn what_is_done_often_costs_the_same_however_much_is_queued() {
    let all = std::env::var("PILLARBOX_QUEUED").ok().and_then(|text| text.parse().ok()).unwrap_or(QUEUED);
    let messages = all / u64::from(RECIPIENTS);
    let world = World::new();
    world.write(CountAll).await.unwrap();
    fill(&world, 0..messages / 2).await;
    // What a peer holds stands behind all the others.
    let parked = entries(&world.store.view().unwrap(), None, 25).unwrap();
    let parked = parked.into_iter().map(|waiting| waiting.id).collect();
    let peer = Some("branch".to_owned());
    world.write(Park { entries: parked, peer, hold_expiry_seconds: 7200, at: START }).await.unwrap();
    let now = START.plus_ms(messages * 20 + 60_000);
    let before = costs(&world, now);
    fill(&world, messages / 2..messages).await;
    let after = costs(&world, now);
    for ((what, before), (_, after)) in before.iter().zip(&after) {
        // The numbers are counted by the minute: as many more rows as there are more minutes, of which a day has 1,440.
        let minutes = if *what == "the numbers" { messages * 20 / 60_000 + 1 } else { 0 };
        assert!(*after <= before + minutes, "{what}: {after} rows and not {before}");
        assert!(*after <= 400 + minutes, "{what}: {after} rows");
    }
    let numbers = summary(&world.store.view().unwrap(), now).unwrap();
    assert_eq!((numbers.due, numbers.waiting, numbers.parked), (messages * u64::from(RECIPIENTS) - 25, 0, 25));
    assert_eq!((numbers.domains.len(), numbers.domains[0].1), (10, messages));
    assert_eq!(world.store.check().unwrap().lines(), [] as [&str; 0]);
}

#[tokio::test]
async fn the_numbers_are_those_of_the_rows_whatever_happens() {
    let world = World::new();
    assert!(world.write(CountAll).await.unwrap());
    assert!(!world.write(CountAll).await.unwrap(), "once");
    let ids = world.bring(1, "alice@us.test", &["a@one.test", "b@one.test", "c@two.test", "d@three.test"]).await;
    let check = |due, waiting, held, parked| {
        let numbers = summary(&world.store.view().unwrap(), START).unwrap();
        assert_eq!((numbers.due, numbers.waiting, numbers.held, numbers.parked), (due, waiting, held, parked));
        assert_eq!(world.store.check().unwrap().lines(), [] as [&str; 0]);
        numbers
    };
    let numbers = check(4, 0, 0, 0);
    let size_bytes = (HEAD.len() + BODY.len()) as u64;
    assert_eq!((numbers.size_bytes, numbers.oldest_at), (size_bytes, Some(START)));
    let domains = [("one.test", 2), ("three.test", 1), ("two.test", 1)];
    assert_eq!(numbers.domains, domains.map(|(domain, count)| (domain.to_owned(), count)));
    world.write(Postpone { entries: vec![world.as_due(ids[0])], until: START.plus_ms(90_000) }).await.unwrap();
    check(3, 1, 0, 0);
    world.act(ids[1], Action::Hold { reason: "look".into(), until: None }).await.unwrap();
    check(2, 1, 1, 0);
    let peer = Some("branch".to_owned());
    world.write(Park { entries: vec![ids[2]], peer, hold_expiry_seconds: 7200, at: START }).await.unwrap();
    check(1, 1, 1, 1);
    world.open(&[ids[3]]).await.unwrap();
    assert_eq!(check(0, 1, 1, 1).in_flight, 1);
    world.settle(ids[3], Verdict::Delivered, attempt(Stage::End, Some(250)), START).await.unwrap();
    assert_eq!(check(0, 1, 1, 1).domains.len(), 2);
    world.act(ids[0], Action::Redirect { to: Some(address("x@four.test")), via: None }).await.unwrap();
    world.act(ids[1], Action::Drop).await.unwrap();
    world.act(ids[2], Action::Drop).await.unwrap();
    // It is due when the operator has said so: a moment later.
    assert_eq!(check(0, 1, 0, 0).domains, [("four.test".to_owned(), 1)]);
    world.act(ids[0], Action::Drop).await.unwrap();
    let numbers = check(0, 0, 0, 0);
    assert_eq!((numbers.size_bytes, numbers.oldest_at, numbers.domains.len()), (0, None, 0));
}
