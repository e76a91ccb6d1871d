use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pillarbox::base::{
    Address, MailOptions, MessageId, QueueId, RcptOptions, SeededRandom, Timestamp, TlsWish, TurnedClock,
};
use pillarbox::directory::Precondition;
use pillarbox::dkim::{BodyHasher, Unsigned};
use pillarbox::queue::{
    self, Act, Action, Entry, Match, NewEntry, NewMessage, Notify, Policy, PutRoute, RouteFields, RouteKind, State,
};
use pillarbox::server::{Config, House};
use pillarbox::store::{Halt, Op, StoreError, Tx};
use pillarbox::trace;

use crate::dns::{Dns, Zone};
use crate::signed::SignedDns;
use crate::sink::{ALWAYS, Fault, Sink, Stage};

/// How long anything may take that needs no turn of the clock.
pub const SOON: Duration = Duration::from_secs(60);
/// When every test begins: 2026-11-22.
pub const START: Timestamp = Timestamp(1_795_341_900_000);

/// A server that delivers.
pub struct Site {
    pub house: House,
    pub clock: Arc<TurnedClock>,
    pub dns: Dns,
}

impl Site {
    /// Its name is `us.test`; it asks `zone`, and dials `port`.
    pub async fn open(zone: Zone, port: u16, settings: &[&str]) -> Self {
        Self::open_with(zone, port, 1, settings).await
    }

    /// The same, and MTA-STS policies are fetched at `policy_port`.
    pub async fn open_with(zone: Zone, port: u16, policy_port: u16, settings: &[&str]) -> Self {
        let dns = Dns::start(zone);
        let config = Config { resolver: vec![dns.address], policy_port, ..Config::default() };
        Self::begin(dns, config, port, settings).await
    }

    /// The same, and it asks a DNS with signatures.
    pub async fn open_signed(signed: &SignedDns, port: u16, policy_port: u16, settings: &[&str]) -> Self {
        let (resolver, trust_anchor) = (vec![signed.address], Some(signed.trust_anchor()));
        let config = Config { resolver, trust_anchor, policy_port, ..Config::default() };
        // Nobody asks the other one.
        Self::begin(Dns::start(Zone::new()), config, port, settings).await
    }

    async fn begin(dns: Dns, config: Config, port: u16, settings: &[&str]) -> Self {
        let clock = Arc::new(TurnedClock::new(START));
        let mut set = vec!["delivery.allow_networks=127.0.0.0/8".to_owned()];
        set.extend(settings.iter().map(|setting| (*setting).to_owned()));
        let config =
            Config { data: None, hostname: Some("us.test".into()), settings: set, remote_port: port, ..config };
        let random = Arc::new(SeededRandom::new(7));
        let house = House::open(&config, Arc::<TurnedClock>::clone(&clock), random).await.unwrap();
        house.deliver(Vec::new());
        Self { house, clock, dns }
    }

    /// The same with a server for `there.test` that takes no recipient for now; each is tried again after an hour.
    pub async fn put_off() -> (Self, Sink) {
        let sink = Sink::start("127.0.0.9:0");
        sink.fail(Stage::Recipient, Fault::Reply("450 4.2.0 not now"), ALWAYS);
        let zone = Zone::new().mail("there.test", "127.0.0.9");
        let settings = ["queue.retry_seconds=3600", "queue.delay_notice_seconds=0"];
        (Self::open(zone, sink.address.port(), &settings).await, sink)
    }

    /// Queues a message from `a@us.test` for some recipients.
    pub async fn send(&self, recipients: &[&str]) -> MessageId {
        self.send_from("a@us.test", recipients).await
    }

    pub async fn send_from(&self, sender: &str, recipients: &[&str]) -> MessageId {
        self.send_with(sender, recipients, TlsWish::Policy).await
    }

    /// The same, and its sender says that of TLS.
    pub async fn send_with(&self, sender: &str, recipients: &[&str], tls: TlsWish) -> MessageId {
        use pillarbox::base::Clock;
        let at = self.clock.now();
        let id = self.house.delivery.outbound.ids.message(at);
        let head = format!("Date: {}\r\nMessage-ID: <{id}@us.test>\r\nSubject: test\r\n", at.rfc5322());
        let put = Put {
            id,
            sender: sender.parse().unwrap(),
            head: head.into_bytes(),
            body: Vec::new(),
            recipients: recipients.iter().map(|text| text.parse().unwrap()).collect(),
            policy: self.house.delivery.outbound.policy.clone(),
            at,
            tls,
        };
        self.house.store.write(put).await.unwrap().into_inner();
        id
    }

    /// The same of a text that is signed in the name of `author`; gives the head with the signatures.
    pub async fn send_signed(&self, recipient: &str, author: &str, body: &str) -> String {
        use pillarbox::base::Clock;
        let (at, outbound) = (self.clock.now(), &self.house.delivery.outbound);
        let id = outbound.ids.message(at);
        let head = format!("Date: {}\r\nFrom: a@{author}\r\nMessage-ID: <{id}@us.test>\r\n", at.rfc5322());
        let mut hasher = BodyHasher::default();
        hasher.push(body.as_bytes());
        let author = author.parse().unwrap();
        let unsigned = Unsigned { author: &author, head: head.as_bytes(), body: hasher.finish(), at };
        let signatures = outbound.signers.sign(&self.house.store.view().unwrap(), &unsigned).unwrap();
        let head = String::from_utf8(signatures).unwrap() + &head;
        let put = Put {
            id,
            sender: "a@us.test".parse().unwrap(),
            head: head.clone().into_bytes(),
            body: body.as_bytes().to_vec(),
            recipients: vec![recipient.parse().unwrap()],
            policy: outbound.policy.clone(),
            at,
            tls: TlsWish::Policy,
        };
        self.house.store.write(put).await.unwrap().into_inner();
        head
    }

    /// Lets time pass, and delivery look at the clock.
    pub fn pass(&self, seconds: u64) {
        self.clock.advance_ms(seconds * 1000);
        self.house.delivery.wake();
    }

    pub fn entry(&self, id: MessageId, number: u32) -> Option<Entry> {
        queue::entry(&self.house.store.view().unwrap(), QueueId { message: id, number }).unwrap()
    }

    pub fn entries(&self) -> Vec<Entry> {
        let all = queue::entries(&self.house.store.view().unwrap(), None, usize::MAX).unwrap();
        all.into_iter().map(|waiting| waiting.entry).collect()
    }

    /// The texts of the trace of a message, one an event.
    pub fn story(&self, id: MessageId) -> String {
        let view = self.house.store.view().unwrap();
        let events = trace::story(&view, trace::Subject::Message(id)).unwrap();
        events.iter().map(|event| format!("{event:?}\n")).collect()
    }

    /// Waits until it holds, looking again and again.
    pub async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + SOON;
        while !holds(self) {
            assert!(Instant::now() < deadline, "{what}: {:#?}", self.entries().first());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until the first recipient's entry has seen so many attempts.
    pub async fn until_tried(&self, id: MessageId, attempts: u32) -> Entry {
        self.until(&format!("{attempts} attempts"), |site| {
            site.entry(id, 0).is_some_and(|entry| entry.attempts >= attempts)
        })
        .await;
        self.entry(id, 0).unwrap()
    }

    /// Waits until nothing is queued.
    pub async fn until_empty(&self) {
        self.until("an empty queue", |site| site.entries().is_empty()).await;
    }

    pub async fn route(&self, name: &str, matches: Match, kind: RouteKind) {
        let fields = RouteFields { matches, kind, note: String::new() };
        let put = PutRoute { name: name.into(), fields, precondition: Precondition::None, at: START };
        self.house.store.write(put).await.unwrap().into_inner();
    }

    pub async fn act(&self, id: MessageId, action: Action) {
        use pillarbox::base::Clock;
        let entries = vec![QueueId { message: id, number: 0 }];
        let act = Act { entries, action, actor: "test".into(), at: self.clock.now() };
        self.house.store.write(act).await.unwrap().into_inner();
    }

    /// Stops it; its sessions end.
    pub async fn stop(self) {
        self.house.stop.cancel();
        tokio::time::timeout(SOON, self.house.sessions.drained()).await.expect("the sessions end");
        assert_eq!(pillarbox::net::panics(), 0, "no session panics");
    }
}

pub fn is_parked(entry: &Entry) -> bool {
    matches!(entry.state, State::Parked { .. })
}

struct Put {
    id: MessageId,
    sender: Address,
    head: Vec<u8>,
    body: Vec<u8>,
    recipients: Vec<Address>,
    policy: Policy,
    at: Timestamp,
    tls: TlsWish,
}

impl Op for Put {
    type Plan = ();
    type Out = ();
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "test.put"
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<Infallible>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        let entry = |recipient: &Address| NewEntry {
            recipient: recipient.clone(),
            original: None,
            options: RcptOptions::default(),
        };
        let message = NewMessage {
            id: self.id,
            sender: Some(self.sender.clone()),
            notify: Notify::Sender,
            head: &self.head,
            blob: (!self.body.is_empty()).then(|| tx.put_small_blob(&self.body, 1)).transpose()?,
            body_bytes: self.body.len() as u64,
            eight_bit: !self.body.is_ascii(),
            smtputf8: false,
            at: self.at,
            options: MailOptions { tls: self.tls, ..MailOptions::default() },
            return_path: None,
            recipients: self.recipients.iter().map(entry).collect(),
        };
        queue::enqueue(tx, &message, &self.policy).map(drop)
    }
}
