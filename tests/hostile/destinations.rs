//! Destinations that the DNS names and that nobody may make us dial: this machine, its network, ourselves. Nothing is
//! dialled outside loopback: what the tests take for "public" are a few loopback addresses that the setting allows, and
//! all other addresses of 127/8 are as private as ever.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pillarbox::base::{Clock, MailOptions, MessageId, QueueId, RcptOptions, SeededRandom, Timestamp, TurnedClock};
use pillarbox::queue::{self, NewEntry, NewMessage, Notify, Policy};
use pillarbox::server::{Config, House};
use pillarbox::store::{Halt, Op, StoreError, Tx};
use pillarbox::trace::{self, Event, Kind};

use crate::dns::{Dns, Zone};
use crate::sink::{Sink, free_port};

/// The only addresses that count as public here.
const PUBLIC: &str = "127.0.0.9,127.0.0.10";
const START: Timestamp = Timestamp(1_795_341_900_000);
const SOON: Duration = Duration::from_secs(60);

/// A server that delivers, with servers that would take anything on addresses that must not be dialled.
struct Site {
    house: House,
    clock: Arc<TurnedClock>,
    dns: Dns,
    public: Sink,
    private: Sink,
}

impl Site {
    async fn open(zone: Zone) -> Self {
        let port = free_port();
        let public = Sink::start(&format!("127.0.0.9:{port}"));
        let private = Sink::start(&format!("127.0.0.1:{port}"));
        Self::with(zone, port, public, private, Vec::new()).await
    }

    async fn with(zone: Zone, port: u16, public: Sink, private: Sink, listeners: Vec<SocketAddr>) -> Self {
        let dns = Dns::start(zone);
        let clock = Arc::new(TurnedClock::new(START));
        let config = Config {
            data: None,
            hostname: Some("us.test".into()),
            settings: vec![format!("delivery.allow_networks={PUBLIC}"), "delivery.connect_seconds=2".into()],
            resolver: vec![dns.address],
            remote_port: port,
            ..Config::default()
        };
        let random = Arc::new(SeededRandom::new(3));
        let house = House::open(&config, Arc::<TurnedClock>::clone(&clock), random).await.unwrap();
        house.deliver(listeners);
        Self { house, clock, dns, public, private }
    }

    /// Queues a message and gives what became of its first attempt.
    async fn send(&self, recipient: &str) -> Event {
        let at = self.clock.now();
        let id = self.house.delivery.outbound.ids.message(at);
        let policy = self.house.delivery.outbound.policy.clone();
        self.house.store.write(Put { id, recipient: recipient.into(), policy, at }).await.unwrap().into_inner();
        let deadline = Instant::now() + SOON;
        loop {
            let events = trace::story(&self.house.store.view().unwrap(), trace::Subject::Message(id)).unwrap();
            let of_attempt = |event: &Event| matches!(event.kind, Kind::Relayed | Kind::Deferred | Kind::Failed);
            if let Some(event) = events.into_iter().find(of_attempt) {
                return event;
            }
            assert!(Instant::now() < deadline, "nothing becomes of {recipient}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Nothing reached what is private.
    fn check_untouched(&self, what: &str) {
        assert!(self.private.sessions().is_empty(), "{what}: {:?}", self.private.sessions());
    }

    async fn stop(self) {
        self.house.stop.cancel();
        tokio::time::timeout(SOON, self.house.sessions.drained()).await.expect("the sessions end");
        assert_eq!(pillarbox::net::panics(), 0, "no session panics");
    }
}

/// What is expected: an outcome, an enhanced code, a word of the text.
type Expected = (Kind, (u8, u16, u16), &'static str);

async fn check(site: &Site, recipient: &str, (kind, enhanced, word): Expected) {
    let event = site.send(recipient).await;
    assert_eq!((event.kind, event.enhanced), (kind, Some(enhanced)), "{recipient}: {event:?}");
    assert!(event.text.contains(word), "{recipient}: {event:?}");
    site.check_untouched(recipient);
}

const FORBIDDEN: Expected = (Kind::Failed, (5, 4, 4), "public internet");
const LOOP: Expected = (Kind::Failed, (5, 4, 6), "loop");
const TAKEN: Expected = (Kind::Relayed, (2, 0, 0), "taken");

#[tokio::test(flavor = "multi_thread")]
async fn names_that_lead_to_private_addresses_are_refused_undialled() {
    let addresses = [
        "127.0.0.1",
        "::1",
        "169.254.169.254",
        "10.0.0.1",
        "10.255.255.255",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "fc00::1",
        "fd00::25",
        "fe80::1",
        "ff02::1",
        "224.0.0.1",
        "255.255.255.255",
        "0.0.0.0",
        "::",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::1",
        "127.255.255.254",
    ];
    let zone = addresses.iter().enumerate().fold(Zone::new(), |zone, (number, address)| {
        // By MX, by its own address, and by another name.
        let zone = zone.mail(&format!("mx{number}.test"), address).address(&format!("host{number}.test"), address);
        let zone = zone.mx(&format!("alias{number}.test"), 10, &format!("c{number}.test"));
        zone.cname(&format!("c{number}.test"), &format!("host{number}.test"))
    });
    let site = Site::open(zone).await;
    for number in 0..addresses.len() {
        for domain in ["mx", "host", "alias"] {
            check(&site, &format!("b@{domain}{number}.test"), FORBIDDEN).await;
        }
    }
    for literal in ["[127.0.0.1]", "[10.0.0.1]", "[IPv6:::1]", "[IPv6:::ffff:127.0.0.1]", "[IPv6:fe80::1]"] {
        check(&site, &format!("b@{literal}"), (Kind::Failed, (5, 4, 4), "public internet")).await;
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_addresses_only_the_public_ones_are_dialled() {
    let zone = Zone::new().mx("there.test", 10, "a.test").mx("there.test", 20, "b.test");
    let zone = zone.address("a.test", "127.0.0.1").address("a.test", "10.0.0.1").address("a.test", "::1");
    let site = Site::open(zone.address("b.test", "127.0.0.1").address("b.test", "127.0.0.9")).await;
    check(&site, "b@there.test", TAKEN).await;
    assert_eq!(site.public.count(), 1);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_bound_anew_to_a_private_address_is_refused() {
    let zone = |address| Zone::new().mail("there.test", address);
    let site = Site::open(zone("127.0.0.9")).await;
    check(&site, "b@there.test", TAKEN).await;
    // The answers of these tests may not be remembered. What is judged is the address that would be dialled, and not one
    // of an earlier answer.
    site.dns.set(zone("127.0.0.1").mx("other.test", 10, "mx.there.test"));
    check(&site, "b@there.test", FORBIDDEN).await;
    check(&site, "b@other.test", FORBIDDEN).await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_public_and_private_addresses_in_turn_never_reaches_the_private_one() {
    let site = Site::open(Zone::new()).await;
    for turn in 0..20 {
        let (mx, host) = (format!("d{turn}.test"), format!("h{turn}.test"));
        let address = if turn % 2 == 0 { "127.0.0.9" } else { "127.0.0.1" };
        site.dns.set(Zone::new().mx(&mx, 10, &host).address(&host, address));
        let expected = if turn % 2 == 0 { TAKEN } else { FORBIDDEN };
        check(&site, &format!("b@{mx}"), expected).await;
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_does_not_come_back_to_ourselves() {
    let port = free_port();
    let (public, private) = (Sink::start(&format!("127.0.0.9:{port}")), Sink::start(&format!("127.0.0.10:{port}")));
    let zone = Zone::new().mail("name.test", "127.0.0.10").mx("us-first.test", 10, "us.test");
    let zone = zone.mx("us-first.test", 20, "b.test").address("b.test", "127.0.0.9").address("us.test", "127.0.0.10");
    let zone =
        zone.mx("us-last.test", 10, "b.test").mx("us-last.test", 20, "us.test").mx("us-last.test", 30, "us.test");
    let zone = zone.mx("us-alone.test", 0, "us.test").address("here.test", "127.0.0.10");
    // We listen on 127.0.0.10, which is public here: what dials it would be served by ourselves.
    let ours = vec![private.address];
    let site = Site::with(zone, port, public, private, ours).await;
    for domain in ["name.test", "us-first.test", "us-alone.test", "here.test", "us.test"] {
        check(&site, &format!("b@{domain}"), LOOP).await;
    }
    check(&site, "b@[127.0.0.10]", (Kind::Failed, (5, 4, 6), "this server")).await;
    check(&site, "b@us-last.test", TAKEN).await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn domains_without_mail_are_told_apart() {
    let zone = Zone::new().null_mx("null.test").text("bare.test", "no address");
    let zone = zone.mx("gone.test", 10, "a.gone.test").mx("gone.test", 20, "b.gone.test");
    let zone = zone.mx("digits.test", 10, "127.0.0.1").mx("broken-host.test", 10, "broken.test").broken("broken.test");
    let zone = zone.mx("dot.test", 0, ".").mx("dot.test", 10, "x.test").address("x.test", "127.0.0.9");
    let site = Site::open(zone.broken("failing.test")).await;
    check(&site, "b@null.test", (Kind::Failed, (5, 1, 10), "null MX")).await;
    check(&site, "b@nowhere.test", (Kind::Failed, (5, 1, 2), "does not exist")).await;
    check(&site, "b@gone.test", (Kind::Failed, (5, 1, 2), "none of the servers")).await;
    check(&site, "b@bare.test", (Kind::Failed, (5, 4, 4), "no address")).await;
    check(&site, "b@digits.test", (Kind::Failed, (5, 4, 4), "no address")).await;
    check(&site, "b@failing.test", (Kind::Deferred, (4, 4, 3), "failing.test")).await;
    check(&site, "b@broken-host.test", (Kind::Deferred, (4, 4, 3), "broken.test")).await;
    check(&site, "b@dot.test", TAKEN).await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_mx_records_are_ten() {
    // Most of them have no place in an answer: what a name server sends is at most 64 KiB.
    let zone = (0..2000u16).fold(Zone::new(), |zone, number| {
        let host = format!("h{number}.test");
        zone.mx("many.test", number % 7 + 1, &host).address(&host, "127.0.0.1")
    });
    let site = Site::open(zone).await;
    let event = site.send("b@many.test").await;
    assert!(matches!(event.kind, Kind::Failed | Kind::Deferred), "{event:?}");
    site.check_untouched("many.test");
    let asked: BTreeSet<String> = site.dns.asked().into_iter().map(|(name, _)| name).collect();
    let hosts = asked.iter().filter(|name| name.starts_with('h')).count();
    assert!(hosts <= 10, "{hosts} hosts were asked for");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chains_and_circles_of_other_names_end() {
    let chain = |zone: Zone, length: usize| {
        let name = |link: usize| format!("l{link}.c{length}.test");
        let zone = (0..length).fold(zone, |zone, link| zone.cname(&name(link), &name(link + 1)));
        zone.mx(&format!("c{length}.test"), 10, &name(0)).address(&name(length), "127.0.0.9")
    };
    let zone = [1, 5, 40].into_iter().fold(Zone::new(), chain);
    let zone = zone.cname("a.test", "b.test").cname("b.test", "a.test").cname("self.test", "self.test");
    let zone = zone.mx("circle.test", 10, "a.test");
    let site = Site::open(zone).await;
    check(&site, "b@c1.test", TAKEN).await;
    check(&site, "b@c5.test", TAKEN).await;
    for recipient in ["b@c40.test", "b@a.test", "b@self.test", "b@circle.test"] {
        let event = site.send(recipient).await;
        assert!(matches!(event.kind, Kind::Failed | Kind::Deferred), "{recipient}: {event:?}");
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_server_that_talks_nonsense_or_nothing_defers_mail() {
    let nonsense = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = nonsense.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut question = [0; 512];
        let mut turn = 0;
        while let Ok((count, from)) = nonsense.recv_from(&mut question) {
            turn += 1;
            let answer = match turn % 4 {
                // Its header and no more; all ones; another question's id; an answer that says it holds 65,535 records.
                0 => question[..12].to_vec(),
                1 => [&question[..2], &[0xff; 500]].concat(),
                2 => [&[question[0] ^ 1, question[1]], &question[2..count]].concat(),
                _ => [&question[..2], &[0x81, 0x80, 0, 1, 0xff, 0xff, 0, 0, 0, 0], &question[12..count]].concat(),
            };
            let _ = nonsense.send_to(&answer, from);
        }
    });
    let port = free_port();
    let sinks = (Sink::start(&format!("127.0.0.9:{port}")), Sink::start(&format!("127.0.0.1:{port}")));
    let mut site = Site::with(Zone::new(), port, sinks.0, sinks.1, Vec::new()).await;
    site.house.stop.cancel();
    site.house.sessions.drained().await;
    let config = Config {
        data: None,
        hostname: Some("us.test".into()),
        resolver: vec![address],
        remote_port: port,
        ..Config::default()
    };
    let clock = Arc::<TurnedClock>::clone(&site.clock);
    site.house = House::open(&config, clock, Arc::new(SeededRandom::new(3))).await.unwrap();
    site.house.deliver(Vec::new());
    check(&site, "b@there.test", (Kind::Deferred, (4, 4, 3), "there.test")).await;
    assert_eq!(site.public.sessions().len(), 0);
    site.stop().await;
}

struct Put {
    id: MessageId,
    recipient: String,
    policy: Policy,
    at: Timestamp,
}

impl Op for Put {
    type Plan = ();
    type Out = QueueId;
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "test.put"
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<Infallible>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<QueueId, StoreError> {
        let message = NewMessage {
            id: self.id,
            sender: None,
            notify: Notify::Postmaster,
            head: b"Subject: test\r\n",
            blob: None,
            body_bytes: 0,
            eight_bit: false,
            smtputf8: false,
            at: self.at,
            options: MailOptions::default(),
            return_path: None,
            recipients: vec![NewEntry {
                recipient: self.recipient.parse().expect("an address"),
                original: None,
                options: RcptOptions::default(),
            }],
        };
        Ok(queue::enqueue(tx, &message, &self.policy)?[0])
    }
}
