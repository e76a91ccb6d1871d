//! Theft from far away: what only somebody on this machine may do, and what a peer may do only from its own network. In
//! this process, since loopback is all that a test may dial.

use std::net::IpAddr;
use std::sync::Arc;

use pillarbox::base::{Clock, DomainName, Networks, Random, SeededRandom, Timestamp, TurnedClock};
use pillarbox::directory::{DomainFields, Precondition, PutDomain};
use pillarbox::net::{self, Listener};
use pillarbox::queue::Login;
use pillarbox::server::{Config, House};
use pillarbox::turn::{DeletePeer, Direction, PeerFields, PutPeer, Verb};

use crate::client::{Client, FAR};
use crate::wire::Wire;

const SECRET: &str = "a-secret-of-two-servers";
/// Nobody's network.
const STRANGE: &str = "198.51.100.7";

/// A server with the peer `branch`, in the network of [`FAR`].
struct Near {
    house: House,
    clock: Arc<TurnedClock>,
}

impl Near {
    async fn open() -> Self {
        let clock = Arc::new(TurnedClock::new(Timestamp(1_795_341_600_000)));
        let as_clock: Arc<dyn Clock> = Arc::<TurnedClock>::clone(&clock);
        let random: Arc<dyn Random> = Arc::new(SeededRandom::new(1));
        let settings = vec!["limits.refusal_delay_ms=0".to_owned()];
        let config = Config { data: None, hostname: Some("mx.example.test".to_owned()), settings, ..Config::default() };
        let house = House::open(&config, as_clock, random).await.unwrap();
        let fields = DomainFields::new(&house.settings);
        let (name, precondition, at) = (domain("example.test"), Precondition::Absent, clock.now());
        house.store.write(PutDomain { name, fields, precondition, at }).await.map(drop).unwrap();
        let near = Self { house, clock };
        near.put(branch()).await;
        near
    }

    async fn put(&self, fields: PeerFields) {
        let (name, keep_secret, at) = ("branch".to_owned(), false, self.clock.now());
        let put = PutPeer { name, fields, keep_secret, precondition: Precondition::None, at };
        self.house.store.write(put).await.map(drop).unwrap();
    }

    /// A client at `from`, behind the greeting and EHLO.
    async fn client(&self, listener: Listener, from: IpAddr) -> Client {
        let mut client = Client { wire: Wire::new(self.house.connect(listener, from)) };
        client.expect("220").await;
        client.say("EHLO branch.test", "250").await;
        client
    }

    /// The same under TLS.
    async fn secured(&self, listener: Listener, from: IpAddr) -> Client {
        let mut client = self.client(listener, from).await;
        client.say("STARTTLS", "220").await;
        client.wire = client.wire.tls().await.unwrap();
        client.say("EHLO branch.test", "250").await;
        client
    }

    /// The peer, logged in.
    async fn peer(&self, listener: Listener, from: IpAddr) -> Client {
        let mut client = self.secured(listener, from).await;
        client.say(&login("branch", SECRET), "235").await;
        client
    }

    /// Waits until nobody swaps roles any more.
    async fn settle(&self) {
        while self.house.sessions.count() > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }

    fn examine(&self) {
        assert_eq!(self.house.store.check().unwrap().lines(), Vec::<String>::new());
        assert_eq!(net::panics() + self.house.store.health().panics, 0);
    }
}

fn branch() -> PeerFields {
    let login = Login { user: "branch".to_owned(), secret: SECRET.to_owned() };
    let verbs = vec![Verb::Turn, Verb::Atrn, Verb::Etrn];
    PeerFields {
        networks: "192.0.2.0/24".parse::<Networks>().unwrap(),
        ..PeerFields::dialling_us(verbs, vec![domain("branch.test")], Some(login))
    }
}

fn domain(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

fn login(user: &str, secret: &str) -> String {
    format!("AUTH PLAIN {}", crate::text::base64(format!("\0{user}\0{secret}").as_bytes()))
}

const LISTENERS: [Listener; 3] = [Listener::Smtp, Listener::Submission, Listener::Odmr];

#[tokio::test]
async fn in_the_clear_there_is_no_login_and_no_swap() {
    let near = Near::open().await;
    for listener in LISTENERS {
        let mut client = near.client(listener, FAR).await;
        assert!(!client.say("EHLO branch.test", "250").await.contains("AUTH"), "{listener}");
        client.send(format!("{}\r\n", login("branch", SECRET)).as_bytes()).await;
        let reply = client.reply().await;
        assert!(reply.starts_with("538 5.7.11 ") || reply.starts_with("502 5.5.1 "), "{listener}: {reply}");
        client.say("TURN", "502 5.5.1 ").await;
        let expected = if listener == Listener::Odmr { "530 5.7.0 " } else { "502 5.5.1 " };
        client.say("ATRN branch.test", expected).await;
    }
    near.examine();
}

#[tokio::test]
async fn a_peer_is_itself_only_in_its_own_network() {
    let near = Near::open().await;
    for listener in LISTENERS {
        for elsewhere in [STRANGE, "127.0.0.1", "192.0.3.66", "2001:db8::66"] {
            let mut client = near.secured(listener, elsewhere.parse().unwrap()).await;
            client.send(format!("{}\r\n", login("branch", SECRET)).as_bytes()).await;
            let reply = client.reply().await;
            assert!(reply.starts_with('5'), "{listener} from {elsewhere}: {reply}");
            client.say("TURN", "502 5.5.1 ").await;
            if listener != Listener::Odmr {
                client.say("ETRN branch.test", "459 4.7.1 ").await;
            }
        }
        near.peer(listener, FAR).await.say("TURN", "250").await;
        near.settle().await;
    }
    // Its network is enough for ETRN, and for nothing else.
    let mut client = near.client(Listener::Smtp, FAR).await;
    client.say("ETRN branch.test", "250").await;
    client.say("ETRN other.test", "459 4.7.1 ").await;
    client.say("TURN", "502 5.5.1 ").await;
    near.examine();
}

#[tokio::test]
async fn a_login_lasts_no_longer_than_the_peer() {
    let near = Near::open().await;
    let other = || Login { user: "branch".to_owned(), secret: "another secret".to_owned() };
    let changes: [(&str, PeerFields); 5] = [
        ("it was disabled", PeerFields { enabled: false, ..branch() }),
        ("its secret was changed", PeerFields { login: Some(other()), ..branch() }),
        ("we dial it now", PeerFields { direction: Direction::Initiate, host: Some(host()), ..branch() }),
        ("it has other verbs", PeerFields { verbs: vec![Verb::Etrn], ..branch() }),
        ("it has other domains", PeerFields { domains: vec![domain("other.test")], ..branch() }),
    ];
    for listener in LISTENERS {
        for (what, fields) in &changes {
            let mut client = near.peer(listener, FAR).await;
            near.put(fields.clone()).await;
            client.say("ATRN branch.test", "450 4.7.1 ").await;
            near.put(branch()).await;
            // What it was before it is again: the login holds.
            client.send(b"ATRN branch.test\r\n").await;
            let reply = client.reply().await;
            assert!(reply.starts_with("453 4.3.0 "), "{what}: {reply}");
        }
    }
    let mut client = near.peer(Listener::Smtp, FAR).await;
    let delete = DeletePeer { name: "branch".to_owned(), precondition: Precondition::None };
    near.house.store.write(delete).await.map(drop).unwrap();
    client.say("TURN", "450 4.7.1 ").await;
    client.say("ETRN branch.test", "459 4.7.1 ").await;
    near.examine();
}

fn host() -> pillarbox::base::Host {
    pillarbox::base::Host::Name(domain("mx.branch.test"))
}
