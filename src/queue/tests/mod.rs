mod clock;
mod damage;
mod reach;
mod routes;
mod rules;
mod scale;

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use super::*;
use crate::base::{Address, Host, MailOptions, MessageId, QueueId, RcptOptions, SystemClock, Timestamp};
use crate::store::{
    AnyTable, CrossCheck, Halt, Op, Options, Schema, StagedBlob, Store, StoreError, Topic, Tx, WriteError,
};
use crate::trace::{self, Kind, Subject};

const START: Timestamp = Timestamp(1_795_341_900_000);
const HEAD: &[u8] = b"Subject: hello\r\n";
const BODY: &[u8] = b"\r\nhello\r\n";

/// A queue in memory.
struct World {
    store: Store,
}

/// An op out of a closure.
struct Run<A>(A);

impl<T: Send + 'static, A: Fn(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static> Op for Run<A> {
    type Plan = ();
    type Out = T;
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "test.run"
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<Infallible>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<T, StoreError> {
        (self.0)(tx)
    }
}

fn policy() -> Policy {
    Policy {
        retry_seconds: vec![60, 600],
        expiry_seconds: 3600,
        bounce_expiry_seconds: 1800,
        hold_expiry_seconds: 7200,
        delay_notice_seconds: 300,
    }
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn id(message: u64, number: u32) -> QueueId {
    QueueId { message: MessageId(message << 16), number }
}

/// An attempt that came so far, and what was answered.
fn attempt(stage: Stage, code: Option<u16>) -> Attempt {
    Attempt {
        at: START,
        actor: "delivery".into(),
        server: Some("mx.there.test".into()),
        server_ip: Some(IpAddr::from([192, 0, 2, 1])),
        tls: None,
        stage,
        words: Words { code, enhanced: None, text: "words".into() },
        duration_ms: 5,
    }
}

impl World {
    fn new() -> Self {
        let tables: Vec<&'static dyn AnyTable> = [trace::TABLES, crate::kept::TABLES, TABLES].concat();
        let checks = [trace::CHECKS, CHECKS].into_iter().flatten();
        let checks: Vec<CrossCheck> = checks.copied().collect();
        let schema =
            Box::leak(Box::new(Schema { version: 1, tables: tables.leak(), checks: checks.leak(), migrations: &[] }));
        Self { store: Store::open(Options::memory(Arc::new(SystemClock)), schema).unwrap() }
    }

    async fn run<T: Send + 'static>(&self, apply: impl Fn(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static) -> T {
        self.store.write(Run(apply)).await.unwrap().into_inner()
    }

    async fn write<O: Op<Out: Send>>(&self, op: O) -> Result<O::Out, O::Refused> {
        match self.store.write(op).await {
            Ok(out) => Ok(out.into_inner()),
            Err(WriteError::Refused(refused)) => Err(refused),
            Err(_) => panic!("the store failed"),
        }
    }

    async fn body(&self) -> StagedBlob {
        let mut writer = self.store.blob_writer();
        writer.write(BODY).await.unwrap();
        writer.finish().await.unwrap()
    }

    /// Queues a message, from `sender` (empty: the null sender) to some recipients.
    async fn bring(&self, message: u64, sender: &'static str, to: &'static [&'static str]) -> Vec<QueueId> {
        self.bring_asking(message, sender, to, MailOptions::default()).await
    }

    /// The same, with what its sender asks for.
    async fn bring_asking(
        &self,
        message: u64,
        sender: &'static str,
        to: &'static [&'static str],
        options: MailOptions,
    ) -> Vec<QueueId> {
        let staged = self.body().await;
        let enqueue = move |tx: &mut Tx<'_>| {
            let recipients = to
                .iter()
                .map(|to| NewEntry { recipient: address(to), original: None, options: RcptOptions::default() })
                .collect();
            let message = NewMessage {
                id: MessageId(message << 16),
                sender: Some(sender).filter(|sender| !sender.is_empty()).map(address),
                notify: Notify::Sender,
                head: HEAD,
                blob: Some(tx.adopt_blob(&staged, 1)?),
                body_bytes: staged.size_bytes(),
                eight_bit: false,
                smtputf8: false,
                at: START,
                options: options.clone(),
                return_path: None,
                recipients,
            };
            enqueue(tx, &message, &policy())
        };
        self.run(enqueue).await
    }

    /// Opens an attempt of entries as they are; of one that is not there, for nobody.
    async fn open(&self, entries: &[QueueId]) -> Result<(), OpenRefused> {
        let view = self.store.view().unwrap();
        let recipient = |id| entry(&view, id).unwrap().map_or_else(|| address("x@y.test"), |entry| entry.recipient);
        let sending = |id: &QueueId| Sending { id: *id, recipient: recipient(*id) };
        self.open_as(entries.iter().map(sending).collect()).await
    }

    async fn open_as(&self, entries: Vec<Sending>) -> Result<(), OpenRefused> {
        let attempt =
            OpenAttempt { at: START, server: "mx.there.test [192.0.2.1]:25".into(), actor: "delivery".into() };
        self.write(Open { entries, attempt }).await
    }

    async fn settle(&self, entry: QueueId, verdict: Verdict, attempt: Attempt, now: Timestamp) -> Option<Settled> {
        let outcomes = [Outcome::new(entry, verdict, attempt)];
        let settlement = self.run(move |tx| settle(tx, &outcomes, &policy(), now, 1000)).await;
        settlement.and_then(|mut settlement| settlement.entries.pop())
    }

    async fn act(&self, entry: QueueId, action: Action) -> Result<(), Refused> {
        self.write(Act { entries: vec![entry], action, actor: "operator".into(), at: START.plus_ms(9) }).await
    }

    async fn flush(&self, selector: Selector, after: Option<QueueId>, limit: usize) -> Flushed {
        let flush = Flush { selector, after, limit, actor: "operator".into(), at: START.plus_ms(9) };
        self.write(flush).await.unwrap()
    }

    fn entry(&self, id: QueueId) -> Entry {
        entry(&self.store.view().unwrap(), id).unwrap().expect("it is in the queue")
    }

    /// What an operation that decides by it has seen.
    fn as_due(&self, id: QueueId) -> (QueueId, Timestamp) {
        (id, self.entry(id).due)
    }

    fn kinds(&self, message: u64) -> Vec<Kind> {
        let view = self.store.view().unwrap();
        let story = trace::story(&view, Subject::Message(MessageId(message << 16))).unwrap();
        story.iter().map(|event| event.kind).collect()
    }

    fn is_sound(&self) {
        assert_eq!(self.store.check().unwrap().lines(), [] as [&str; 0]);
    }
}

fn ids(waiting: &[Waiting]) -> Vec<QueueId> {
    waiting.iter().map(|one| one.id).collect()
}

#[tokio::test]
async fn what_was_queued_is_read_as_it_came() {
    let world = World::new();
    let mut watch = world.store.bus().watch(QUEUE_TOPIC);
    let queued = world.bring(1, "alice@example.test", &["bob@There.Test", "carol@[192.0.2.7]"]).await;
    assert_eq!(queued, [id(1, 0), id(1, 1)]);
    assert_eq!(watch.next().await, Some(Topic(QUEUE_TOPIC, 0)));
    let mut content = content(&world.store, MessageId(1 << 16)).unwrap().expect("it is there");
    let mut bytes = Vec::new();
    while let Some(piece) = content.next().await.unwrap() {
        bytes.extend_from_slice(&piece);
    }
    assert_eq!(bytes, [HEAD, BODY].concat());
    assert_eq!(content.size_bytes(), bytes.len() as u64);
    let view = world.store.view().unwrap();
    assert_eq!(ids(&entries_of_domain(&view, "there.test", None, 9).unwrap()), [id(1, 0)]);
    assert_eq!(ids(&entries_of_domain(&view, "[192.0.2.7]", None, 9).unwrap()), [id(1, 1)]);
    assert_eq!(newest(&view).unwrap(), Some(MessageId(1 << 16)));
    world.is_sound();
}

#[tokio::test]
async fn lists_go_on_where_they_ended() {
    let world = World::new();
    for message in 1..=3 {
        world.bring(message, "", &["a@one.test", "b@two.test", "c@one.test"]).await;
    }
    world.act(id(2, 0), Action::Hold { reason: "look".into(), until: None }).await.unwrap();
    let postpone = Postpone { entries: vec![world.as_due(id(1, 0))], until: START.plus_ms(100) };
    world.write(postpone).await.unwrap();
    let view = world.store.view().unwrap();
    assert_eq!(ids(&entries(&view, None, 2).unwrap()), [id(1, 0), id(1, 1)]);
    assert_eq!(ids(&entries(&view, Some(id(3, 0)), 9).unwrap()), [id(3, 1), id(3, 2)]);
    assert_eq!(ids(&entries_of_domain(&view, "one.test", Some(id(1, 2)), 2).unwrap()), [id(2, 0), id(2, 2)]);
    assert_eq!(entries_of_domain(&view, "one", None, 9).unwrap(), []);
    assert_eq!(ids(&entries_of_message(&view, MessageId(2 << 16)).unwrap()), [id(2, 0), id(2, 1), id(2, 2)]);
    let first = due(&view, START, None, 3).unwrap();
    assert_eq!(ids(&first), [id(1, 1), id(1, 2), id(2, 1)]);
    assert_eq!(ids(&due(&view, START, Some((START, id(2, 1))), 9).unwrap()), [id(2, 2), id(3, 0), id(3, 1), id(3, 2)]);
    assert_eq!(next_due(&view, START).unwrap(), Some(START.plus_ms(100)));
    assert_eq!(next_due(&view, START.plus_ms(100)).unwrap(), None, "what is held is never due");
    assert_eq!(due(&view, Timestamp(u64::MAX), None, 99).unwrap().len(), 8);
}

#[tokio::test]
async fn a_flush_takes_what_it_names_a_slice_at_a_time() {
    let world = World::new();
    world.bring(1, "alice@example.test", &["a@one.test", "b@two.test"]).await;
    world.bring(2, "", &["a@one.test", "b@two.test"]).await;
    let all = vec![id(1, 0), id(1, 1), id(2, 0), id(2, 1)];
    let later = START.plus_ms(1_000_000);
    world.write(Postpone { entries: all.iter().map(|id| world.as_due(*id)).collect(), until: later }).await.unwrap();
    let flushed = world.flush(Selector::Sender(Some(address("Alice@Example.test"))), None, 9).await;
    assert_eq!(flushed, Flushed { count: 2, messages: 1, next: None });
    assert_eq!(world.entry(id(2, 0)).due, later);
    assert_eq!(
        world.flush(Selector::Sender(None), None, 1).await,
        Flushed { count: 1, messages: 1, next: Some(id(2, 0)) }
    );
    let peer = Some("branch".to_owned());
    let park = Park { entries: all, peer, hold_expiry_seconds: 7200, at: START };
    world.write(park).await.unwrap();
    assert_eq!(world.flush(Selector::All, None, 9).await.count, 0, "what is parked waits for its peer");
    let one = Selector::Domain("one.test".parse().unwrap());
    assert_eq!(world.flush(one.clone(), None, 1).await, Flushed { count: 1, messages: 1, next: Some(id(1, 0)) });
    assert_eq!(world.flush(one, Some(id(1, 0)), 2).await, Flushed { count: 1, messages: 1, next: None });
    assert_eq!(world.entry(id(2, 0)).state, State::Waiting { released: true });
    assert_eq!(world.flush(Selector::Peer("other".into()), None, 9).await.count, 0);
    assert_eq!(world.flush(Selector::Peer("branch".into()), None, 9).await.count, 2);
    world.is_sound();
}

#[tokio::test]
async fn an_open_attempt_is_nobody_elses() {
    let world = World::new();
    world.bring(1, "alice@example.test", &["a@one.test", "b@one.test"]).await;
    world.open(&[id(1, 0)]).await.unwrap();
    assert_eq!(world.open(&[id(1, 1), id(1, 0)]).await, Err(OpenRefused::InFlight(id(1, 0))));
    assert_eq!(world.open(&[id(9, 0)]).await, Err(OpenRefused::Changed(id(9, 0))));
    assert_eq!(world.act(id(1, 0), Action::Drop).await, Err(Refused::InFlight(id(1, 0))));
    assert_eq!(world.act(id(9, 0), Action::Drop).await, Err(Refused::Gone(id(9, 0))));
    assert_eq!(world.act(id(1, 1), Action::Release).await, Err(Refused::State(id(1, 1))));
    world.act(id(1, 1), Action::Hold { reason: "look".into(), until: None }).await.unwrap();
    assert_eq!(world.open(&[id(1, 1)]).await, Err(OpenRefused::Changed(id(1, 1))));
    assert_eq!(world.act(id(1, 1), Action::Retry).await, Err(Refused::State(id(1, 1))));
    assert_eq!(world.flush(Selector::All, None, 9).await.count, 0);
    let recover = || Recover { at: START.plus_ms(50), limit: 9 };
    assert_eq!(world.write(recover()).await, Ok(1));
    assert_eq!(world.write(recover()).await, Ok(0));
    let left = world.entry(id(1, 0));
    assert_eq!((left.due, left.attempts), (START.plus_ms(50), 1));
    assert_eq!(world.kinds(1), [Kind::Held, Kind::Uncertain]);
    world.is_sound();
}

#[tokio::test]
async fn an_attempt_whose_row_is_damaged_is_closed_too() {
    let world = World::new();
    world.bring(1, "alice@example.test", &["a@one.test"]).await;
    world.bring(2, "alice@example.test", &["b@one.test"]).await;
    world.open(&[id(1, 0)]).await.unwrap();
    world.open(&[id(2, 0)]).await.unwrap();
    world.store.spoil("attempts_open");
    assert_eq!(world.act(id(1, 0), Action::Drop).await, Err(Refused::InFlight(id(1, 0))));
    let recover = || Recover { at: START.plus_ms(50), limit: 9 };
    assert_eq!((world.write(recover()).await, world.write(recover()).await), (Ok(2), Ok(0)));
    for message in [1, 2] {
        assert_eq!((world.entry(id(message, 0)).attempts, world.kinds(message)), (1, vec![Kind::Uncertain]));
    }
    world.is_sound();
}

#[tokio::test]
async fn what_goes_elsewhere_by_now_is_not_sent_where_it_was_to_go() {
    let world = World::new();
    world.bring(1, "alice@example.test", &["a@one.test", "b@one.test"]).await;
    let sending = |number, to| Sending { id: id(1, number), recipient: address(to) };
    world.act(id(1, 0), Action::Redirect { to: Some(address("c@two.test")), via: None }).await.unwrap();
    let planned = vec![sending(1, "b@one.test"), sending(0, "a@one.test")];
    assert_eq!(world.open_as(planned).await, Err(OpenRefused::Changed(id(1, 0))));
    assert!(open_attempt(&world.store.view().unwrap(), id(1, 1)).unwrap().is_none(), "all or none");
    assert_eq!(world.open_as(vec![sending(0, "c@two.test")]).await, Ok(()));
    world.is_sound();
}

#[tokio::test]
async fn what_cant_be_settled_is_left_to_an_operator() {
    let world = World::new();
    world.bring(1, "alice@example.test", &["a@one.test"]).await;
    world.open(&[id(1, 0)]).await.unwrap();
    let (entries, reason) = (vec![id(1, 0), id(9, 0)], "it was delivered".to_owned());
    world.write(Strand { entries, actor: "delivery".into(), reason, at: START.plus_ms(9) }).await.unwrap();
    assert_eq!(world.entry(id(1, 0)).state, State::Held { reason: "it was delivered".into() });
    assert_eq!(world.write(Recover { at: START.plus_ms(50), limit: 9 }).await, Ok(0), "no start sends it again");
    world.act(id(1, 0), Action::Drop).await.unwrap();
    assert_eq!(world.kinds(1), [Kind::Held, Kind::Dropped]);
    world.is_sound();
}

#[tokio::test]
async fn an_answer_that_was_lost_is_uncertain_where_the_end_was_sent() {
    let world = World::new();
    world.bring(1, "alice@example.test", &["a@one.test"]).await;
    let (lost, cut) = (attempt(Stage::End, None), attempt(Stage::Data, None));
    world.settle(id(1, 0), Verdict::Deferred, cut.clone(), START).await.unwrap();
    world.open(&[id(1, 0)]).await.unwrap();
    world.settle(id(1, 0), Verdict::Deferred, cut, START).await.unwrap();
    assert_eq!(world.kinds(1), [Kind::Deferred, Kind::Deferred]);
    world.open(&[id(1, 0)]).await.unwrap();
    world.settle(id(1, 0), Verdict::Deferred, lost, START).await.unwrap();
    assert_eq!(world.kinds(1)[2..], [Kind::Uncertain, Kind::Deferred]);
    world.open(&[id(1, 0)]).await.unwrap();
    world.settle(id(1, 0), Verdict::Deferred, attempt(Stage::End, Some(451)), START).await.unwrap();
    assert_eq!(world.kinds(1)[4..], [Kind::Deferred]);
}

#[tokio::test]
async fn time_ends_what_was_tried_and_what_is_parked() {
    let world = World::new();
    world.bring(1, "alice@example.test", &["a@one.test", "b@one.test"]).await;
    let fate = async |entry, stage, seconds: u64| {
        let settled = world.settle(entry, Verdict::Deferred, attempt(stage, None), START.plus_ms(seconds * 1000));
        settled.await.unwrap().fate
    };
    let until = |seconds: u64, tell| Fate::Deferred { until: START.plus_ms(seconds * 1000), tell };
    assert_eq!(fate(id(1, 0), Stage::Connect, 0).await, until(60, false));
    assert_eq!(fate(id(1, 0), Stage::Connect, 300).await, until(900, true));
    assert_eq!(fate(id(1, 0), Stage::Connect, 900).await, until(1500, false), "told once");
    assert_eq!(fate(id(1, 0), Stage::Queue, 3600).await, until(4200, false), "not without an attempt");
    assert_eq!(fate(id(1, 0), Stage::Route, 3600).await, Fate::Expired);
    let (entries, peer) = (vec![id(1, 1)], Some("branch".to_owned()));
    world.write(Park { entries, peer, hold_expiry_seconds: 7200, at: START }).await.unwrap();
    assert_eq!(world.entry(id(1, 1)).expires_at, START.plus_ms(7_200_000));
    assert_eq!(fate(id(1, 1), Stage::Data, 3600).await, until(7200, false));
    assert_eq!(fate(id(1, 1), Stage::Queue, 7200).await, Fate::Expired);
    assert_eq!(newest(&world.store.view().unwrap()).unwrap(), None);
    world.is_sound();
}

#[tokio::test]
async fn a_hold_wins_over_what_a_server_says_meanwhile() {
    let world = World::new();
    world.bring(1, "alice@example.test", &["a@one.test"]).await;
    world.act(id(1, 0), Action::Hold { reason: "look".into(), until: None }).await.unwrap();
    let refused = || attempt(Stage::Recipient, Some(550));
    let settled = world.settle(id(1, 0), Verdict::Failed, refused(), START).await.unwrap();
    assert_eq!(settled.fate, Fate::Deferred { until: Timestamp(u64::MAX), tell: false });
    assert_eq!(world.entry(id(1, 0)).last, Some(refused()));
    let bounced = world.settle(id(1, 0), Verdict::Failed, attempt(Stage::Queue, None), START).await.unwrap();
    assert_eq!(bounced.fate, Fate::Failed);
    assert_eq!(world.settle(id(1, 0), Verdict::Failed, refused(), START).await, None);
    assert_eq!(world.kinds(1), [Kind::Held, Kind::Deferred, Kind::Failed]);
    world.is_sound();
}

#[tokio::test]
async fn what_a_flush_made_due_is_not_postponed_by_an_older_look() {
    let world = World::new();
    let ids = world.bring(1, "alice@example.test", &["a@one.test", "b@one.test"]).await;
    let later = START.plus_ms(1_000_000);
    // One is due already, as the other is by the flush.
    world.write(Postpone { entries: vec![world.as_due(ids[1])], until: START.plus_ms(5) }).await.unwrap();
    let seen: Vec<_> = ids.iter().map(|id| world.as_due(*id)).collect();
    let flushed = world.flush(Selector::All, None, 9).await;
    assert_eq!(flushed, Flushed { count: 2, messages: 1, next: None });
    world.write(Postpone { entries: seen, until: later }).await.unwrap();
    assert_eq!([world.entry(ids[0]).due, world.entry(ids[1]).due], [START.plus_ms(9); 2]);
    // Who looks behind the flush does.
    world.write(Postpone { entries: vec![world.as_due(id(1, 0))], until: later }).await.unwrap();
    assert_eq!(world.entry(id(1, 0)).due, later);
    world.is_sound();
}

#[tokio::test]
async fn a_summary_counts_every_entry_once() {
    let world = World::new();
    world.bring(1, "", &["a@one.test", "b@two.test", "c@two.test", "d@three.test", "e@two.test", "f@one.test"]).await;
    world.open(&[id(1, 0)]).await.unwrap();
    world.act(id(1, 1), Action::Hold { reason: "look".into(), until: None }).await.unwrap();
    world.write(Postpone { entries: vec![world.as_due(id(1, 2))], until: START.plus_ms(100) }).await.unwrap();
    let (entries, peer) = (vec![id(1, 3)], Some("branch".to_owned()));
    world.write(Park { entries, peer, hold_expiry_seconds: 7200, at: START }).await.unwrap();
    let expected = Summary {
        due: 2,
        waiting: 1,
        in_flight: 1,
        held: 1,
        parked: 1,
        size_bytes: (HEAD.len() + BODY.len()) as u64,
        oldest_at: Some(START),
        domains: vec![("two.test".into(), 3), ("one.test".into(), 2), ("three.test".into(), 1)],
    };
    assert_eq!(summary(&world.store.view().unwrap(), START).unwrap(), expected);
}
