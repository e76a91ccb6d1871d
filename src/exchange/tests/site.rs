use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::base::{
    Address, Clock, DomainName, Host, MailOptions, MessageIds, Networks, RcptOptions, SeededRandom, SystemClock, limits,
};
use crate::delivery::{self, Claims};
use crate::directory::{
    self, AccountChange, AccountFields, Authenticator, Delivery, DomainFields, Precondition, PutDomain, Resolution,
};
use crate::dns::Resolver;
use crate::exchange::{self, Call, NotBegun};
use crate::intake::{self, Accept, Origin, Outbound, Recipient};
use crate::jobs::Jobs;
use crate::message::Summary;
use crate::net::Connection;
use crate::queue::{self, Login, Notify};
use crate::sasl::Mechanism;
use crate::settings::Settings;
use crate::smtp::client::Patience;
use crate::smtp::server::Profile;
use crate::store::{Options, Schema, Store};
use crate::tls::{self, Certificates, ClientIdentity, Protocol, Roots};
use crate::turn::{self, Direction, Flushes, Leases, PeerFields, PutPeer, ServerTls, Session, SessionState, Verb};
use crate::{mailbox, smtp, trace};

/// How long the other side may take in these tests: longer than any machine needs, shorter than anybody waits.
const PATIENCE: Duration = Duration::from_secs(5);
/// The secret of every peer.
pub(super) const SECRET: &str = "s3cret";

/// A whole server but for POP3 and REST: a domain, an account in it, and port 25 on loopback.
pub(super) struct Site {
    pub(super) context: Arc<exchange::Context>,
    pub(super) store: Store,
    pub(super) address: SocketAddr,
    pub(super) tls: Arc<ServerConfig>,
    /// The SHA-256 of its certificate.
    pub(super) certificate: [u8; 32],
    user: Address,
}

impl Site {
    /// The server of a domain.
    pub(super) async fn start(domain: &str) -> Self {
        Self::with(domain, Profile::Mx, PATIENCE).await
    }

    /// The same, for a listener of that kind, and for others who may take so long.
    pub(super) async fn with(domain: &str, profile: Profile, within: Duration) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let random = Arc::new(SeededRandom::new(7));
        let tables = [
            trace::TABLES,
            crate::kept::TABLES,
            directory::TABLES,
            crate::dkim::TABLES,
            crate::srs::TABLES,
            mailbox::TABLES,
            queue::TABLES,
            turn::TABLES,
            intake::TABLES,
            tls::TABLES,
            crate::job::TABLES,
        ];
        let checks = [queue::CHECKS, turn::CHECKS].into_iter().flatten();
        let checks: Vec<_> = checks.copied().collect();
        let schema = Schema { version: 1, tables: tables.concat().leak(), checks: checks.leak(), migrations: &[] };
        let store = Store::open(Options::memory(Arc::clone(&clock)), Box::leak(Box::new(schema))).unwrap();
        let (name, settings, at) = (DomainName::parse(domain).unwrap(), Settings::default(), clock.now());
        let (fields, precondition) = (DomainFields::new(&settings), Precondition::None);
        let _ = store.write(PutDomain { name: name.clone(), fields, precondition, at }).await.unwrap();
        let user = Address::parse(&format!("user@{domain}")).unwrap();
        let (address, fields) = (user.clone(), AccountFields::default());
        let change = AccountChange { address, fields, password: None, precondition, at };
        let _ = store.write(mailbox::PutAccount(change)).await.unwrap();
        let certificates = Certificates::open(&store, &name, &*clock).await.unwrap();
        let tls = certificates.server_config(Protocol::Smtp).unwrap();
        let identity = ClientIdentity::open(&store, &name, &*clock).await.unwrap();
        let ids = Arc::new(MessageIds::default());
        let outbound = Arc::new(Outbound::of(&settings, name.clone(), Arc::clone(&ids)).unwrap());
        let stop = CancellationToken::new();
        let server = Arc::new(smtp::server::Context {
            store: store.clone(),
            authenticator: Arc::new(Authenticator::new(store.clone(), Arc::clone(&clock), random.clone())),
            clock: Arc::clone(&clock),
            ids,
            sessions: intake::Sessions::new(&*random),
            leases: Leases::new(),
            flushes: Flushes::new(),
            entropy: smtp::server::Entropy::new(random.clone()),
            hostname: name,
            outbound: Arc::clone(&outbound),
            tls: Some(Arc::clone(&tls)),
            tls_asking: Some(certificates.asking_config(Protocol::Smtp).unwrap()),
            message_bytes_max: 1_000_000,
            recipients_max: 100,
            evidence: None,
            vrfy: smtp::server::Vrfy::Known,
            idle: within,
            refusal_delay: Duration::ZERO,
            stop: stop.clone(),
        });
        let patience =
            Patience { greeting: within, reply: within, data: within, block: within, end: within, turn: within };
        let delivery = Arc::new(delivery::Context {
            store: store.clone(),
            clock,
            random,
            resolver: Resolver::new(&["127.0.0.1:1".parse().unwrap()], Duration::from_millis(100)).unwrap(),
            roots: Roots::public().unwrap(),
            prover: None,
            fetch: None,
            outbound,
            allow_networks: Networks::loopback(),
            remote_port: 25,
            connections_max: 10,
            connections_per_destination_max: 2,
            messages_per_connection_max: 10,
            connect: within,
            patience,
            claims: Claims::default(),
            stop,
            state: delivery::State::default(),
        });
        let context = Arc::new(exchange::Context { server, delivery, identity, live: exchange::Live::default() });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(accept(listener, Arc::clone(&context), profile));
        let certificate = Sha256::digest(certificates.der().unwrap()).into();
        Self { context, store, address, tls, certificate, user }
    }

    /// A peer that dials us: what is for these domains waits for it.
    pub(super) async fn put_branch(&self, name: &str, domains: &[&str]) {
        self.put_peer(name, |fields| fields.domains = domains.iter().map(|text| parse(text)).collect()).await;
    }

    /// A peer that we dial, at a site: its domains are ours, which it holds, and its own.
    pub(super) async fn put_hub(&self, name: &str, hub: &Self, domains: &[&str]) {
        self.put_hub_at(name, hub.address, hub.certificate, domains).await;
    }

    /// The same, with another login.
    pub(super) async fn put_hub_with(&self, name: &str, hub: &Self, login: Option<Login>, by: Vec<Mechanism>) {
        let at = hub.address;
        self.put_peer(name, |fields| {
            fields.direction = Direction::Initiate;
            (fields.host, fields.port) = (Some(Host::Literal(at.ip())), at.port());
            fields.tls = ServerTls::Pinned(hub.certificate);
            fields.domains = vec![parse("branch.test"), parse("hub.test")];
            (fields.login, fields.mechanisms) = (login, by);
        })
        .await;
    }

    pub(super) async fn put_hub_at(&self, name: &str, at: SocketAddr, certificate: [u8; 32], domains: &[&str]) {
        self.put_peer(name, |fields| {
            fields.direction = Direction::Initiate;
            (fields.host, fields.port) = (Some(Host::Literal(at.ip())), at.port());
            fields.tls = ServerTls::Pinned(certificate);
            fields.domains = domains.iter().map(|text| parse(text)).collect();
        })
        .await;
    }

    pub(super) async fn put_peer(&self, name: &str, change: impl FnOnce(&mut PeerFields)) {
        let login = Login { user: "branch".into(), secret: SECRET.into() };
        let verbs = vec![Verb::Turn, Verb::Etrn, Verb::Atrn];
        let mut fields = PeerFields::dialling_us(verbs, Vec::new(), Some(login));
        change(&mut fields);
        let (precondition, at) = (Precondition::None, self.context.server.clock.now());
        let put = PutPeer { name: name.to_owned(), fields, keep_secret: false, precondition, at };
        let _ = self.store.write(put).await.unwrap();
    }

    /// Queues a message of our user for an address elsewhere.
    pub(super) async fn post(&self, to: &str, subject: &str) {
        let server = &self.context.server;
        let at = server.clock.now();
        let (given, deliveries) = (Address::parse(to).unwrap(), Vec::<Delivery>::new());
        let accept = Accept {
            id: server.ids.message(at),
            at,
            session: Some(Arc::new(server.sessions.open())),
            origin: Origin { actor: "test".into(), ..Origin::default() },
            sender: Some(self.user.clone()),
            recipients: vec![Recipient {
                remote: vec![given.clone()],
                given,
                deliveries,
                options: RcptOptions::default(),
            }],
            notify: Notify::Sender,
            seal: None,
            trace_fields: Vec::new(),
            header_block: format!("Subject: {subject}\r\n").into_bytes(),
            summary: Summary::of_whole(format!("Subject: {subject}\r\n").as_bytes(), b""),
            delivered_to: Vec::new(),
            body: None,
            message_id_field: None,
            eight_bit: false,
            smtputf8: false,
            options: MailOptions::default(),
            outbound: Arc::clone(&server.outbound),
        };
        let _ = server.store.write(accept).await.unwrap();
    }

    /// Dials a peer, once a session that it had begun itself has come to its end here too.
    pub(super) async fn call(&self, peer: &str, verb: Verb) -> Session {
        loop {
            match self.call_with(peer, Some(verb), false, CancellationToken::new()).await {
                Err(NotBegun::Busy) => tokio::time::sleep(Duration::from_millis(5)).await,
                session => return session.unwrap(),
            }
        }
    }

    pub(super) async fn call_with(
        &self,
        peer: &str,
        verb: Option<Verb>,
        dry_run: bool,
        cancel: CancellationToken,
    ) -> Result<Session, NotBegun> {
        let server = &self.context.server;
        let session = server.ids.session(server.clock.now());
        let call = Call { session, peer: peer.to_owned(), verb, dry_run };
        exchange::call::call(Arc::clone(&self.context), call, cancel).await
    }

    /// Who runs its jobs.
    pub(super) fn jobs(&self) -> Arc<Jobs> {
        let server = &self.context.server;
        Jobs::new(self.store.clone(), Arc::clone(&server.clock), Arc::clone(&server.ids))
    }

    /// The subjects of our user's messages, in their order.
    pub(super) async fn subjects(&self) -> Vec<String> {
        let view = self.store.view().unwrap();
        let Resolution::Local(deliveries) = directory::resolve(&view, &self.user).unwrap() else { panic!("no user") };
        let inbox = mailbox::inbox(&view, deliveries[0].account).unwrap().unwrap();
        let entries = mailbox::listing(&view, inbox).unwrap();
        drop(view);
        let mut subjects = Vec::new();
        for entry in entries {
            let text = self.message(inbox, entry.uid).await;
            let subject = text.lines().find_map(|line| line.strip_prefix("Subject: "));
            subjects.push(subject.unwrap_or_default().to_owned());
        }
        subjects
    }

    /// The newest message of our user.
    pub(super) async fn newest(&self) -> String {
        let view = self.store.view().unwrap();
        let Resolution::Local(deliveries) = directory::resolve(&view, &self.user).unwrap() else { panic!("no user") };
        let inbox = mailbox::inbox(&view, deliveries[0].account).unwrap().unwrap();
        let uid = mailbox::listing(&view, inbox).unwrap().last().unwrap().uid;
        drop(view);
        self.message(inbox, uid).await
    }

    async fn message(&self, inbox: crate::base::MailboxId, uid: crate::base::Uid) -> String {
        let mut content = mailbox::content(&self.store, inbox, uid).unwrap().unwrap();
        let mut bytes = Vec::new();
        while let Some(piece) = content.next().await.unwrap() {
            bytes.extend_from_slice(&piece);
        }
        String::from_utf8(bytes).unwrap()
    }

    /// What is queued for a domain.
    pub(super) fn queued(&self, domain: &str) -> Vec<queue::Entry> {
        let view = self.store.view().unwrap();
        let entries = queue::entries_of_domain(&view, domain, None, usize::MAX).unwrap();
        entries.into_iter().map(|waiting| waiting.entry).collect()
    }

    /// The newest session with a peer, once it has ended.
    pub(super) async fn session(&self) -> Session {
        let patience = tokio::time::Instant::now() + 4 * PATIENCE;
        loop {
            let view = self.store.view().unwrap();
            let newest = turn::sessions(&view, None, None, 1).unwrap().pop();
            drop(view);
            match newest {
                Some((_, session)) if session.state != SessionState::Running => return session,
                other => assert!(tokio::time::Instant::now() < patience, "{other:?}"),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Every table agrees with every other, no attempt is open and no peer is busy.
    pub(super) async fn examine(&self) {
        assert_eq!(self.store.check().unwrap().lines(), [] as [&str; 0]);
        let view = self.store.view().unwrap();
        for waiting in queue::entries(&view, None, usize::MAX).unwrap() {
            assert_eq!(queue::open_attempt(&view, waiting.id).unwrap(), None, "{}", waiting.id);
            assert!(!self.context.delivery.claims.has(waiting.id));
        }
        drop(view);
        let names: Vec<String> = {
            let view = self.store.view().unwrap();
            turn::peers(&view, None, limits::PAGE_ITEMS).unwrap().into_iter().map(|peer| peer.name).collect()
        };
        let is_free = || names.iter().all(|name| self.context.server.leases.take(name).is_some());
        for _ in 0..1000 {
            if is_free() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("a peer is still busy");
    }
}

async fn accept(listener: TcpListener, context: Arc<exchange::Context>, profile: Profile) {
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        let connection = Connection::tcp(socket, None).unwrap();
        tokio::spawn(exchange::serve(connection, Arc::clone(&context), profile));
    }
}

fn parse(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}
