//! A whole server in this process, but for the sockets, with the cast of the README.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use pillarbox::base::{
    AccountId, Address, Clock, DomainName, Host, Random, Secret, SeededRandom, SystemRandom, Timestamp, TurnedClock,
};
use pillarbox::directory::{
    self, AccountChange, AccountFields, AliasFields, AppPassword, CreateAppPassword, DeleteAppPassword, DomainFields,
    Expn, Forward, PasswordHash, Precondition, Protocol, PutAlias, PutDomain,
};
use pillarbox::mailbox::PutAccount;
use pillarbox::net::{self, Connection, Listener};
use pillarbox::queue::{self, Login};
use pillarbox::sasl::Mechanism;
use pillarbox::server::{Config, House};
use pillarbox::store::Op;
use pillarbox::turn::{self, Direction, PeerFields, PutPeer, Verb};
use tokio::io::DuplexStream;
use tokio::time::{Instant, sleep};

use crate::certificate;
use crate::stage::PASSWORD;

/// When every dialogue begins: 2026-11-22T10:00:00Z.
const BEGIN: Timestamp = Timestamp(1_795_341_600_000);
/// Octets on their way in each direction.
const PIPE_BYTES: usize = 64 * 1024;

/// The secret of every peer.
pub const SECRET: &str = "s3cret";

/// A server with the cast.
pub struct Furnished {
    house: House,
    clock: Arc<TurnedClock>,
}

impl Furnished {
    /// Opens one in memory.
    pub async fn open(settings: &[String]) -> Result<Self, String> {
        let clock = Arc::new(TurnedClock::new(BEGIN));
        let random: Arc<dyn Random> = Arc::new(SeededRandom::new(1));
        // What is held back from attackers would hold up the tests.
        let settings = ["limits.refusal_delay_ms=0".to_owned()].into_iter().chain(settings.iter().cloned());
        let config = Config {
            data: None,
            hostname: Some("mx.example.test".to_owned()),
            settings: settings.collect(),
            ..Config::default()
        };
        let as_clock: Arc<dyn Clock> = Arc::<TurnedClock>::clone(&clock);
        let house = House::open(&config, as_clock, random).await.map_err(|error| error.to_string())?;
        let furnished = Self { house, clock };
        furnished.furnish().await?;
        Ok(furnished)
    }

    async fn furnish(&self) -> Result<(), String> {
        let fields = DomainFields::new(&self.house.settings);
        self.domain("example.test", DomainFields { aliases: vec![name("example.net")], ..fields.clone() }).await?;
        let user = AccountFields::default();
        self.account("alice@example.test", AccountFields { display_name: "Alice".into(), ..user.clone() }).await?;
        self.account("bob@example.test", AccountFields { display_name: "Bob".into(), ..user.clone() }).await?;
        self.account("full@example.test", AccountFields { quota_bytes: Some(1000), ..user.clone() }).await?;
        self.account("former@example.test", AccountFields { enabled: false, ..user }).await?;
        let to = vec![address("carol@elsewhere.test"), address("bob@example.test")];
        let moved = AccountFields { forward: Some(Forward { to, keep: false }), ..AccountFields::default() };
        self.account("moved@example.test", moved).await?;
        self.alias("info", &["alice@example.test"], false).await?;
        self.alias("postmaster", &["alice@example.test"], false).await?;
        self.alias("abuse", &["alice@example.test"], false).await?;
        self.alias("team", &["alice@example.test", "bob@example.test"], false).await?;
        self.alias("staff", &["alice@example.test", "bob@example.test"], true).await?;
        self.alias("away", &["bob@example.test", "bob@elsewhere.test"], false).await?;
        self.list("crew", Expn::Domain).await?;
        self.list("press", Expn::Public).await?;
        for (local, expn) in [("secretary", Expn::Private), ("spokesman", Expn::Public)] {
            let fields = AliasFields::leading_to(vec![address("ann@elsewhere.test")]);
            self.put_alias(local, AliasFields { expn, ..fields }).await?;
        }
        self.domain("catchall.test", DomainFields { catch_all: Some(address("bob@example.test")), ..fields }).await
    }

    async fn domain(&self, domain: &str, fields: DomainFields) -> Result<(), String> {
        let (precondition, at) = (Precondition::Absent, self.clock.now());
        self.write(PutDomain { name: name(domain), fields, precondition, at }).await
    }

    async fn account(&self, text: &str, fields: AccountFields) -> Result<(), String> {
        // Hashing is slow on purpose: once is enough for all tests of a process.
        static HASH: OnceLock<PasswordHash> = OnceLock::new();
        let hash = HASH.get_or_init(|| PasswordHash::of(&Secret::new(PASSWORD.to_owned()), &SeededRandom::new(2)));
        let (precondition, at) = (Precondition::Absent, self.clock.now());
        let change = AccountChange { address: address(text), fields, password: Some(hash.clone()), precondition, at };
        self.write(PutAccount(change)).await
    }

    async fn alias(&self, local: &str, targets: &[&str], internal_only: bool) -> Result<(), String> {
        let targets = targets.iter().map(|target| address(target)).collect();
        self.put_alias(local, AliasFields { internal_only, ..AliasFields::leading_to(targets) }).await
    }

    /// A list of alice and somebody elsewhere, which EXPN tells to more than its members.
    async fn list(&self, local: &str, expn: Expn) -> Result<(), String> {
        let targets = ["alice@example.test", "ann@elsewhere.test"].map(address).into();
        self.put_alias(local, AliasFields { expn, ..AliasFields::leading_to(targets) }).await
    }

    async fn put_alias(&self, local: &str, fields: AliasFields) -> Result<(), String> {
        let (precondition, at) = (Precondition::Absent, self.clock.now());
        self.write(PutAlias { address: address(&format!("{local}@example.test")), fields, precondition, at }).await
    }

    /// Makes an app password of that name; the secret.
    pub async fn app_password(
        &self,
        name: &str,
        holder: &str,
        protocols: &str,
        ends_in_s: Option<u64>,
    ) -> Result<String, String> {
        let protocols = protocols.split(',').map(|text| text.parse::<Protocol>().map_err(|error| error.to_string()));
        let (protocols, now) = (protocols.collect::<Result<Vec<_>, _>>()?, self.clock.now());
        let expires_at = ends_in_s.map(|seconds| now.plus_ms(seconds * 1000));
        let (account, random) = (self.holder(holder)?, &*self.house.random);
        let (op, secret) = CreateAppPassword::new(account, name.to_owned(), protocols, expires_at, random, now);
        self.write(op).await?;
        Ok(secret.expose().clone())
    }

    /// Takes an app password back.
    pub async fn revoke(&self, name: &str, holder: &str) -> Result<(), String> {
        let (account, id) = (self.holder(holder)?, self.find_app_password(name, holder)?.id);
        self.write(DeleteAppPassword { account, id }).await
    }

    /// When an app password was last used, in seconds from the beginning.
    pub async fn last_use(&self, name: &str, holder: &str) -> Result<Option<u64>, String> {
        // A use rides on the next change: here is one.
        let fields = AliasFields::leading_to(vec![address("alice@example.test")]);
        let (precondition, at) = (Precondition::None, self.clock.now());
        self.write(PutAlias { address: address("ride@example.test"), fields, precondition, at }).await?;
        let at = self.find_app_password(name, holder)?.last_used_at;
        Ok(at.map(|at| at.ms_since(BEGIN) / 1000))
    }

    fn holder(&self, text: &str) -> Result<AccountId, String> {
        let view = self.house.store.view().map_err(|error| error.to_string())?;
        let account = directory::account(&view, &address(text)).map_err(|error| error.to_string())?;
        account.map(|account| account.id).ok_or_else(|| format!("no such account: {text}"))
    }

    fn find_app_password(&self, name: &str, holder: &str) -> Result<AppPassword, String> {
        let account = self.holder(holder)?;
        let view = self.house.store.view().map_err(|error| error.to_string())?;
        let all = directory::app_passwords(&view, account).map_err(|error| error.to_string())?;
        all.into_iter().find(|row| row.name == name).ok_or_else(|| format!("no app password {name} of {holder}"))
    }

    /// A peer that dials us, enabled, with the secret `s3cret`; the fields say what is otherwise.
    pub async fn peer(&self, fields: &[String]) -> Result<(), String> {
        let [name, fields @ ..] = fields else { return Err("expected: given peer NAME FIELD=VALUE …".into()) };
        let login = Login { user: name.clone(), secret: SECRET.to_owned() };
        let mut peer = PeerFields::dialling_us(vec![Verb::Turn, Verb::Atrn], Vec::new(), Some(login));
        for field in fields {
            let (key, value) = field.split_once('=').ok_or_else(|| format!("not FIELD=VALUE: {field}"))?;
            match (key, value) {
                ("verbs", verbs) => peer.verbs = verbs.split(',').map(verb).collect::<Result<_, _>>()?,
                ("domains", domains) => peer.domains = domains.split(',').map(self::name).collect(),
                ("networks", networks) => {
                    peer.networks = networks.parse().map_err(|_| format!("not networks: {field}"))?
                }
                ("user", user) => peer.login = Some(Login { user: user.to_owned(), secret: SECRET.to_owned() }),
                ("login", "none") => peer.login = None,
                ("cram", "yes") => {
                    peer.mechanisms = Mechanism::BY_SECRET.to_vec();
                    peer.login =
                        Some(Login { user: name.clone(), secret: turn::make_secret(&SystemRandom).expose().clone() });
                }
                ("certificate", name) => {
                    (peer.login, peer.mechanisms) = (None, vec![Mechanism::External]);
                    peer.client_certificate = Some(certificate::of(name).sha256);
                }
                ("clear", "yes") => peer.in_clear = true,
                ("enabled", "no") => peer.enabled = false,
                ("direction", "initiate") => {
                    (peer.direction, peer.host) = (Direction::Initiate, Some(Host::Name(self::name("isp.test"))));
                }
                _ => return Err(format!("a peer has no such field: {field}")),
            }
        }
        let (precondition, at) = (Precondition::None, self.clock.now());
        self.write(PutPeer { name: name.clone(), fields: peer, keep_secret: false, precondition, at }).await
    }

    /// Recipients in a domain that are queued.
    pub fn queued(&self, domain: &str) -> Result<usize, String> {
        let view = self.house.store.view().map_err(|error| error.to_string())?;
        let entries = queue::entries_of_domain(&view, domain, None, usize::MAX).map_err(|error| error.to_string())?;
        Ok(entries.len())
    }

    /// Whether the newest session with a peer is as the fields say.
    pub fn session_is(&self, fields: &[String]) -> Result<(), String> {
        let view = self.house.store.view().map_err(|error| error.to_string())?;
        let newest = turn::sessions(&view, None, None, 1).map_err(|error| error.to_string())?.pop();
        let (_, session) = newest.ok_or("there was no session")?;
        for field in fields {
            let (key, value) = field.split_once('=').ok_or_else(|| format!("not FIELD=VALUE: {field}"))?;
            let seen = match key {
                "peer" => session.peer.clone(),
                "verb" => session.verb.as_str().to_owned(),
                "state" => format!("{:?}", session.state).to_lowercase(),
                "sent" => session.sent.to_string(),
                "received" => session.received.to_string(),
                "refused" => session.refused.to_string(),
                _ => return Err(format!("a session has no such field: {field}")),
            };
            if seen != value {
                return Err(format!("its {key} is {seen}: {session:#?}"));
            }
        }
        Ok(())
    }

    async fn write<O: Op>(&self, op: O) -> Result<(), String>
    where
        O::Refused: std::fmt::Debug,
    {
        self.house.store.write(op).await.map(drop).map_err(|error| format!("{error:?}"))
    }

    /// Serves a pipe as a connection from `peer`; with implicit TLS the handshake comes first, as on a socket.
    pub fn connect(&self, peer: IpAddr, listener: &str) -> Result<DuplexStream, String> {
        let listener: Listener = listener.parse().map_err(|_| format!("no such listener: {listener}"))?;
        let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
        let local = SocketAddr::new(peer, listener.default_port().unwrap_or_default());
        let mut connection = Connection::memory(ours, SocketAddr::new(peer, 50_000), local);
        let (tls, session) = (self.house.tls(listener), self.house.session(listener));
        self.house.sessions.spawn(async move {
            if listener.is_implicit_tls() && connection.start_tls(tls, Duration::from_secs(30)).await.is_err() {
                return;
            }
            session(connection).await;
        });
        Ok(theirs)
    }

    /// Waits until no more than so many sessions run.
    pub async fn settle(&self, open: usize) -> Result<(), String> {
        let patience = Instant::now() + Duration::from_secs(30);
        while self.house.sessions.count() > open {
            if Instant::now() > patience {
                return Err(format!("{} sessions run where {open} should", self.house.sessions.count()));
            }
            sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }

    /// Looks at what is left: every table agrees with every other, and nothing has panicked.
    pub fn examine(&self) -> Result<(), String> {
        let findings = self.house.store.check().map_err(|error| error.to_string())?;
        if !findings.lines().is_empty() {
            return Err(format!("the file does not agree with itself: {:#?}", findings.lines()));
        }
        match net::panics() + self.house.store.health().panics {
            0 => Ok(()),
            panics => Err(format!("{panics} panics")),
        }
    }

    /// Turns the clock forward.
    pub fn turn_clock(&self, by: Duration) {
        self.clock.advance_ms(u64::try_from(by.as_millis()).unwrap_or(u64::MAX));
    }
}

fn verb(text: &str) -> Result<Verb, String> {
    let all = [Verb::Turn, Verb::Atrn, Verb::Etrn];
    all.into_iter().find(|verb| verb.as_str() == text).ok_or_else(|| format!("not a verb: {text}"))
}

fn name(text: &str) -> DomainName {
    DomainName::parse(text).expect("the cast's names are good")
}

fn address(text: &str) -> Address {
    Address::parse(text).expect("the cast's addresses are good")
}
