use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Keeper;
use crate::base::{
    Address, Clock, DomainName, MailOptions, MessageIds, Networks, PassedOn, RcptOptions, SeededRandom, SystemClock,
    Timestamp, TurnedClock, limits,
};
use crate::delivery::{self, Claims};
use crate::directory::{self, DomainFields, Precondition, PutDomain};
use crate::dkim::{self, ActivateKey, AddKeys, Algorithm, DkimKey, DnsState, KeyPair, KeyState};
use crate::dns::Resolver;
use crate::dns::scripted::{Answer, Scripted};
use crate::intake::Outbound;
use crate::queue::{self, NewEntry, NewMessage, Notify};
use crate::settings::{Live, Settings};
use crate::smtp::client::Patience;
use crate::store::{Halt, Op, Options, Schema, Store, StoreError, Tx};
use crate::tls::Roots;
use crate::{audit, mailbox, trace};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// A server with the domain `example.test`, also named `other.test`, in a DNS of its own.
struct World {
    store: Store,
    clock: Arc<TurnedClock>,
    dns: Scripted,
    out: Arc<delivery::Context>,
    keeper: Keeper,
}

/// A message in the queue, of that time; or it leaves.
struct Queued(Timestamp, bool);

impl Op for Queued {
    type Plan = ();
    type Out = ();
    type Refused = std::convert::Infallible;

    fn name(&self) -> &'static str {
        "queued"
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<std::convert::Infallible>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        let Self(at, comes) = *self;
        let policy = Outbound::of(&Settings::default(), name("mx.example.test"), Arc::default()).unwrap().policy;
        if !comes {
            let id = queue::oldest(tx)?.unwrap();
            let attempt = queue::Attempt {
                at,
                actor: "test".into(),
                server: None,
                server_ip: None,
                tls: None,
                stage: queue::Stage::Recipient,
                words: queue::Words { code: Some(250), enhanced: None, text: "ok".into() },
                duration_ms: 1,
            };
            let outcome = queue::Outcome {
                entry: crate::base::QueueId { message: id, number: 0 },
                verdict: queue::Verdict::Delivered,
                dialogue: Arc::default(),
                passed_on: PassedOn::default(),
                attempt,
            };
            return queue::settle(tx, &[outcome], &policy, at, 1000).map(drop);
        }
        let message = NewMessage {
            id: MessageIds::default().message(at),
            sender: None,
            notify: Notify::Postmaster,
            head: b"From: x\r\n",
            blob: None,
            body_bytes: 0,
            eight_bit: false,
            smtputf8: false,
            at,
            options: MailOptions::default(),
            return_path: None,
            recipients: vec![NewEntry {
                recipient: Address::parse("b@far.test").unwrap(),
                original: None,
                options: RcptOptions::default(),
            }],
        };
        queue::enqueue(tx, &message, &policy).map(drop)
    }
}

fn name(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

fn out(store: &Store, clock: Arc<dyn Clock>, dns: &Scripted) -> delivery::Context {
    let within = Duration::from_secs(1);
    let patience = Patience { greeting: within, reply: within, data: within, block: within, end: within, turn: within };
    let outbound = Outbound::of(&Settings::default(), name("mx.example.test"), Arc::default()).unwrap();
    delivery::Context {
        store: store.clone(),
        clock,
        random: Arc::new(SeededRandom::new(7)),
        resolver: Resolver::new(&[dns.address()], Duration::from_millis(900)).unwrap(),
        roots: Roots::public().unwrap(),
        prover: None,
        fetch: None,
        outbound: Arc::new(outbound),
        allow_networks: Networks::loopback(),
        remote_port: 25,
        connections_max: 10,
        connections_per_destination_max: 2,
        messages_per_connection_max: 10,
        connect: within,
        patience,
        claims: Claims::default(),
        stop: CancellationToken::new(),
        state: delivery::State::default(),
    }
}

impl World {
    async fn new() -> Self {
        let rooms = [
            trace::TABLES,
            audit::TABLES,
            crate::kept::TABLES,
            directory::TABLES,
            dkim::TABLES,
            crate::srs::TABLES,
            mailbox::TABLES,
            queue::TABLES,
        ];
        let schema = Schema { version: 1, tables: rooms.concat().leak(), checks: dkim::CHECKS, migrations: &[] };
        let store = Store::open(Options::memory(Arc::new(SystemClock)), Box::leak(Box::new(schema))).unwrap();
        let clock = Arc::new(TurnedClock::new(Timestamp(1_795_341_900_123)));
        let fields = DomainFields { aliases: vec![name("other.test")], ..DomainFields::new(&Settings::default()) };
        let put = PutDomain { name: name("example.test"), fields, precondition: Precondition::None, at: clock.now() };
        store.write(put).await.unwrap().into_inner();
        let dns = Scripted::start(&[]).await;
        let out = Arc::new(out(&store, clock.clone(), &dns));
        let keeper = Keeper::new(Arc::clone(&out), Arc::new(Live::default()));
        Self { store, clock, dns, out, keeper }
    }

    async fn add(&self, selector: &str) {
        let keys = vec![(selector.to_owned(), KeyPair::generate(Algorithm::Ed25519).unwrap())];
        let add = AddKeys { domain: name("example.test"), keys, only_first: false, at: self.clock.now() };
        self.store.write(add).await.unwrap().into_inner();
    }

    fn keys(&self) -> Vec<DkimKey> {
        dkim::keys(&self.store.view().unwrap(), &name("example.test")).unwrap()
    }

    fn states(&self) -> Vec<(String, &'static str)> {
        let state = |key: &DkimKey| match key.state {
            KeyState::Pending => "pending",
            KeyState::Active { .. } => "active",
            KeyState::Retiring { .. } => "retiring",
        };
        self.keys().iter().map(|key| (key.selector.clone(), state(key))).collect()
    }

    /// The key's record stands under that domain.
    fn publish(&self, selector: &str, domain: &str) {
        let key = self.keys().into_iter().find(|key| key.selector == selector).unwrap();
        let record = dkim::record_value(key.algorithm, &key.public);
        self.answer(selector, domain, Answer::Txt(vec![record]));
    }

    fn answer(&self, selector: &str, domain: &str, answer: Answer) {
        self.dns.set(&format!("TXT {}", dkim::record_name(selector, &name(domain))), answer);
    }

    /// So much time passes, and the keeper looks.
    async fn after(&mut self, ms: u64) -> Vec<(String, &'static str)> {
        self.clock.advance_ms(ms);
        self.keeper.look_after_keys().await;
        assert_eq!(self.store.check().unwrap().lines(), [""; 0]);
        self.states()
    }

    /// Who did what by itself, the newest last.
    fn audit(&self) -> Vec<String> {
        let rows = audit::rows(&self.store.view().unwrap(), None, None, None, 100).unwrap();
        rows.iter().rev().map(|(_, row)| format!("{} {} {}", row.act.actor, row.act.action, row.target)).collect()
    }
}

fn is(selector: &str, state: &'static str) -> (String, &'static str) {
    (selector.to_owned(), state)
}

#[tokio::test]
async fn a_key_goes_all_its_way_by_itself() {
    let mut world = World::new().await;
    world.add("s1").await;
    assert_eq!(world.after(1000).await, [is("s1", "pending")]);
    assert_eq!(world.keys()[0].dns, DnsState::Missing);
    world.publish("s1", "example.test");
    assert_eq!(world.after(1000).await, [is("s1", "active")]);
    assert_eq!(world.keys()[0].seen_in, [name("example.test")]);
    // The next one; the first retires when the second was seen, and not before.
    world.add("s2").await;
    assert_eq!(world.after(1000).await, [is("s1", "active"), is("s2", "pending")]);
    let sent = world.clock.now();
    world.store.write(Queued(sent, true)).await.unwrap().into_inner();
    world.publish("s2", "example.test");
    assert_eq!(world.after(1000).await, [is("s1", "retiring"), is("s2", "active")]);
    assert_eq!(world.after(limits::DKIM_RETIRED_MS - 2000).await.len(), 2, "not yet a week");
    assert_eq!(world.after(30 * DAY_MS).await.len(), 2, "mail that it has signed is in the queue");
    world.store.write(Queued(world.clock.now(), false)).await.unwrap().into_inner();
    // Mail that came later was signed by the other key.
    world.store.write(Queued(world.clock.now(), true)).await.unwrap().into_inner();
    assert_eq!(world.after(1000).await, [is("s2", "active")]);
}

#[tokio::test]
async fn what_the_dns_says_is_written_down() {
    let mut world = World::new().await;
    world.add("s1").await;
    let check = async |world: &mut World, answer: Answer, expected: DnsState| {
        world.answer("s1", "example.test", answer.clone());
        assert_eq!(world.after(1000).await, [is("s1", "pending")], "{answer:?}");
        assert_eq!(world.keys()[0].dns, expected, "{answer:?}");
    };
    check(&mut world, Answer::Code(3), DnsState::Missing).await;
    check(&mut world, Answer::Txt(vec!["v=DKIM1; k=ed25519; p=AAAA".into()]), DnsState::Wrong).await;
    check(&mut world, Answer::Code(2), DnsState::Unknown).await;
    check(&mut world, Answer::Nothing, DnsState::Missing).await;
    // Nothing new is nothing to write.
    let version = world.keys()[0].version;
    world.after(1000).await;
    assert_eq!(world.keys()[0].version, version);
}

#[tokio::test]
async fn other_names_of_the_domain_are_looked_at_too() {
    let mut world = World::new().await;
    world.add("s1").await;
    world.publish("s1", "other.test");
    assert_eq!(world.after(1000).await, [is("s1", "pending")], "the domain's own name decides");
    world.publish("s1", "example.test");
    assert_eq!(world.after(1000).await, [is("s1", "active")]);
    assert_eq!(world.keys()[0].seen_in, [name("example.test"), name("other.test")]);
    // A name server that does not answer takes nothing away; a record that has gone does.
    world.answer("s1", "other.test", Answer::Code(2));
    world.after(limits::DKIM_RECHECK_MS).await;
    assert_eq!(world.keys()[0].seen_in.len(), 2);
    world.answer("s1", "other.test", Answer::Nothing);
    world.after(limits::DKIM_RECHECK_MS).await;
    assert_eq!(world.keys()[0].seen_in, [name("example.test")]);
}

#[tokio::test]
async fn a_key_whose_record_has_gone_goes_on_and_says_so() {
    let mut world = World::new().await;
    world.add("s1").await;
    world.publish("s1", "example.test");
    world.after(1000).await;
    world.answer("s1", "example.test", Answer::Nothing);
    let asked = world.dns.asked();
    assert_eq!(world.after(1000).await, [is("s1", "active")]);
    assert_eq!(world.dns.asked(), asked, "it is not looked at each time");
    assert_eq!(world.after(limits::DKIM_RECHECK_MS).await, [is("s1", "active")]);
    assert_eq!(world.keys()[0].dns, DnsState::Missing);
}

#[tokio::test]
async fn a_domain_without_keys_gets_both() {
    let world = World::new().await;
    world.keeper.make_first_keys().await;
    let keys = world.keys();
    let algorithms: Vec<Algorithm> = keys.iter().map(|key| key.algorithm).collect();
    assert_eq!(algorithms, [Algorithm::Ed25519, Algorithm::Rsa2048]);
    assert!(keys.iter().all(|key| key.state == KeyState::Pending));
    world.keeper.make_first_keys().await;
    assert_eq!(world.keys(), keys, "once");
}

#[tokio::test]
async fn a_domain_keeps_to_itself_where_the_setting_says_so() {
    let world = World::new().await;
    let flags = ["dkim.create_keys=false".to_owned()];
    let settings = Arc::new(Settings::gather(&[], "", &flags).unwrap());
    let live = Arc::new(Live::new(settings, "", &flags));
    Keeper::new(Arc::clone(&world.out), live).make_first_keys().await;
    assert_eq!(world.keys().len(), 0);
}

#[tokio::test]
async fn a_new_domain_gets_keys_while_the_server_runs() {
    let World { store, clock, keeper, dns: _dns, .. } = World::new().await;
    let stop = CancellationToken::new();
    let running = tokio::spawn(keeper.run(stop.clone()));
    let fields = DomainFields::new(&Settings::default());
    let put = PutDomain { name: name("new.test"), fields, precondition: Precondition::None, at: clock.now() };
    store.write(put).await.unwrap().into_inner();
    let has_keys = || dkim::keys(&store.view().unwrap(), &name("new.test")).unwrap().len() == 2;
    for _ in 0..1200 {
        if has_keys() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(has_keys());
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn what_the_server_does_by_itself_is_in_the_audit() {
    let mut world = World::new().await;
    world.add("s1").await;
    world.publish("s1", "example.test");
    world.after(1000).await;
    world.add("s2").await;
    let activate = ActivateKey {
        domain: name("example.test"),
        selector: "s2".into(),
        seen_in: vec![name("example.test")],
        precondition: Precondition::None,
        at: world.clock.now(),
    };
    world.store.write(activate).await.unwrap().into_inner();
    world.publish("s2", "example.test");
    world.after(8 * DAY_MS).await;
    assert_eq!(world.audit(), ["server activate_dkim_key example.test/s1", "server delete_dkim_key example.test/s1"]);
}
