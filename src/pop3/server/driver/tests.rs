use std::convert::Infallible;
use std::net::SocketAddr;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, DuplexStream, duplex};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::base::{Address, Clock, MailboxId, MessageId, Secret, SeededRandom, Timestamp, TurnedClock};
use crate::directory::{
    self, AccountChange, AccountFields, Authenticator, DomainFields, PasswordHash, Precondition, PutDomain,
};
use crate::mailbox::{Incoming, Placement, PutAccount};
use crate::pop3::server::Leases;
use crate::settings::{self, Settings};
use crate::store::{Halt, Op, Options, Schema, StagedBlob, Store, Tx};
use crate::tls::{self, Certificates, Protocol as Spoken};
use crate::trace;

const NOW: Timestamp = Timestamp(1_795_341_900_123);
const SOON: Duration = Duration::from_secs(60);
const LOOPBACK: &str = "127.0.0.1:50000";
const OUTSIDE: &str = "192.0.2.1:50000";
const LOG_IN: &str = "USER alice@example.test\r\nPASS secret\r\n";

/// A store in memory with alice@example.test, and what a session needs.
struct House {
    context: Arc<Context>,
    certificates: Certificates,
    inbox: MailboxId,
}

/// Puts one message into one mailbox.
struct Deliver {
    id: MessageId,
    head: Vec<u8>,
    body: StagedBlob,
    inbox: MailboxId,
}

impl Op for Deliver {
    type Plan = ();
    type Out = ();
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "test.deliver"
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<Infallible>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        let blob = Some(tx.adopt_blob(&self.body, 1)?);
        let body_bytes = self.body.size_bytes();
        let message = Incoming { id: self.id, head: &self.head, blob, body_bytes, summary: None, at: NOW };
        mailbox::deliver(tx, &message, &[Placement { mailbox: self.inbox, own_lines: b"Return-Path: <>\r\n" }])?;
        Ok(())
    }
}

impl House {
    async fn new() -> Self {
        let tables = [settings::TABLES, trace::TABLES, directory::TABLES, mailbox::TABLES, tls::TABLES].concat();
        let schema: &'static Schema =
            Box::leak(Box::new(Schema { version: 1, tables: tables.leak(), checks: &[], migrations: &[] }));
        let (clock, random) = (Arc::new(TurnedClock::new(NOW)), Arc::new(SeededRandom::new(1)));
        let store = Store::open(Options::memory(clock.clone()), schema).unwrap();
        let fields = DomainFields::new(&Settings::default());
        let name = "example.test".parse().unwrap();
        let _ = store.write(PutDomain { name, fields, precondition: Precondition::None, at: NOW }).await.unwrap();
        let account = store.write(PutAccount(AccountChange {
            address: Address::parse("alice@example.test").unwrap(),
            fields: AccountFields::default(),
            password: Some(PasswordHash::of(&Secret::new("secret".into()), &*random)),
            precondition: Precondition::None,
            at: NOW,
        }));
        let account = account.await.unwrap().row.id;
        let inbox = mailbox::inbox(&store.view().unwrap(), account).unwrap().unwrap();
        let certificates =
            Certificates::open(&store, &"localhost".parse().unwrap(), &crate::base::SystemClock).await.unwrap();
        let clock: Arc<dyn Clock> = clock;
        let context = Arc::new(Context {
            ids: Arc::default(),
            authenticator: Arc::new(Authenticator::new(store.clone(), clock.clone(), random)),
            store,
            clock,
            hostname: "mail.example.test".into(),
            tls: Some(certificates.server_config(Spoken::Pop3).unwrap()),
            leases: Leases::new(),
            stop: CancellationToken::new(),
            retr_sets_seen: true,
            idle: Duration::from_secs(600),
            refusal_delay: Duration::ZERO,
        });
        Self { context, certificates, inbox }
    }

    async fn deliver(&self, id: u64, head: &str, body: &[u8]) {
        let store = &self.context.store;
        let mut writer = store.blob_writer();
        writer.write(body).await.unwrap();
        let (head, body) = (head.as_bytes().to_vec(), writer.finish().await.unwrap());
        let _ = store.write(Deliver { id: MessageId(id), head, body, inbox: self.inbox }).await.unwrap();
    }

    async fn expunge(&self) {
        let uids = mailbox::runs(self.uids().await);
        let (by, at) = ("imap alice@example.test".into(), NOW);
        let expunge = Expunge { mailbox: self.inbox, uids, only_deleted: false, by, peer_ip: None, at };
        let _ = self.context.store.write(expunge).await.unwrap();
    }

    async fn uids(&self) -> Vec<Uid> {
        let inbox = self.inbox;
        let listed = self.context.store.read(move |view| mailbox::listing(view, inbox)).await.unwrap();
        listed.into_iter().map(|entry| entry.uid).collect()
    }

    async fn roster(&self) -> mailbox::Roster {
        let inbox = self.inbox;
        self.context.store.read(move |view| mailbox::roster(view, inbox)).await.unwrap().unwrap()
    }

    /// The UIDs of what is seen.
    async fn seen(&self) -> Vec<u32> {
        let members = self.roster().await.members;
        members.iter().filter(|member| member.flags.has(SystemFlags::SEEN)).map(|member| member.uid.0).collect()
    }

    /// A session with a client at `peer`, over a pipe that holds `bytes`.
    fn connect_over(&self, peer: &str, bytes: usize) -> Client<DuplexStream> {
        let (ours, theirs) = duplex(bytes);
        let local: SocketAddr = "127.0.0.1:110".parse().unwrap();
        let connection = Connection::memory(ours, peer.parse().unwrap(), local);
        tokio::spawn(serve(connection, self.context.clone()));
        Client(BufReader::new(theirs))
    }

    async fn connect(&self, peer: &str) -> Client<DuplexStream> {
        let mut client = self.connect_over(peer, 64 * 1024);
        assert_eq!(client.line().await, "+OK mail.example.test POP3 ready");
        client
    }

    async fn log_in(&self) -> Client<DuplexStream> {
        let mut client = self.connect(LOOPBACK).await;
        client.send(LOG_IN).await;
        client.line().await;
        assert!(client.line().await.starts_with("+OK "));
        client
    }
}

struct Client<S>(BufReader<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    async fn send(&mut self, text: &str) {
        timeout(SOON, self.0.write_all(text.as_bytes())).await.unwrap().unwrap();
    }

    /// The next line, without its CRLF; empty at the end.
    async fn line(&mut self) -> String {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            match timeout(SOON, self.0.read_u8()).await.unwrap() {
                Ok(byte) => line.push(byte),
                Err(_) => break,
            }
        }
        String::from_utf8_lossy(&line).trim_end_matches("\r\n").to_owned()
    }

    async fn ask(&mut self, command: &str) -> String {
        self.send(&format!("{command}\r\n")).await;
        self.line().await
    }

    /// Everything up to the end of the stream.
    async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let _ = timeout(SOON, self.0.read_to_end(&mut rest)).await.expect("the server closes");
        rest
    }

    async fn check_end(&mut self, expected: &str) {
        assert_eq!(String::from_utf8_lossy(&self.rest().await), expected);
    }
}

const HEAD: &str = "Received: here\r\nSubject: dots\r\n";
const BODY: &[u8] = b"\r\n.\r\n..a\r\n\xff\xe9 8bit\r\nlast\r\n";

#[tokio::test]
async fn a_message_comes_out_byte_for_byte_in_one_pipeline() {
    let house = House::new().await;
    house.deliver(7, HEAD, BODY).await;
    let size = "Return-Path: <>\r\n".len() + HEAD.len() + BODY.len();
    let mut client = house.connect(LOOPBACK).await;
    // RFC 2449 §6.6: also behind PASS.
    client.send(&format!("{LOG_IN}STAT\r\nLIST\r\nUIDL 1\r\nTOP 1 1\r\nRETR 1\r\nQUIT\r\n")).await;
    let text = client.rest().await;
    let top = "Return-Path: <>\r\nReceived: here\r\nSubject: dots\r\n\r\n..\r\n";
    let expected = [
        "+OK now the password\r\n".as_bytes(),
        format!("+OK 1 messages ({size} octets)\r\n+OK 1 {size}\r\n").as_bytes(),
        format!("+OK 1 messages ({size} octets)\r\n1 {size}\r\n.\r\n").as_bytes(),
        format!("+OK 1 {}\r\n", MessageId(7)).as_bytes(),
        format!("+OK the header and some lines follow\r\n{top}.\r\n").as_bytes(),
        format!("+OK {size} octets\r\n{top}").as_bytes(),
        b"...a\r\n\xff\xe9 8bit\r\nlast\r\n.\r\n+OK bye\r\n",
    ]
    .concat();
    assert_eq!(String::from_utf8_lossy(&text), String::from_utf8_lossy(&expected));
    assert_eq!(text, expected);
}

#[tokio::test]
async fn a_large_message_passes_through_a_narrow_pipe() {
    let house = House::new().await;
    let body: Vec<u8> = [b"\r\n".to_vec(), b".0123456789\r\n".repeat(1_000_000)].concat();
    house.deliver(1, HEAD, &body).await;
    let mut client = house.connect_over(LOOPBACK, 512);
    client.send(&format!("{LOG_IN}RETR 1\r\nQUIT\r\n")).await;
    let text = client.rest().await;
    let begin = text.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let expected = [b"..0123456789\r\n".repeat(1_000_000), b".\r\n+OK bye\r\n".to_vec()].concat();
    assert!(text[begin..] == expected, "{} octets", text.len());
}

#[tokio::test]
async fn only_quit_deletes_and_others_may_have_deleted_before() {
    let house = House::new().await;
    for id in 1..=3 {
        house.deliver(id, HEAD, format!("\r\n{id}\r\n").as_bytes()).await;
    }
    let mut client = house.log_in().await;
    assert!(client.ask("DELE 1").await.starts_with("+OK"));
    drop(client);
    let mut client = loop {
        // The session of the lost connection may not have ended yet.
        let mut client = house.connect(LOOPBACK).await;
        client.send(LOG_IN).await;
        client.line().await;
        match client.line().await {
            line if line.starts_with("+OK 3 messages") => break client,
            line => assert!(line.starts_with("-ERR [IN-USE] "), "{line}"),
        }
    };
    client.ask("DELE 2").await;
    assert_eq!(client.ask("QUIT").await, "+OK 1 messages deleted, bye");
    client.check_end("").await;
    assert_eq!(house.uids().await, [Uid(1), Uid(3)]);

    let mut client = house.log_in().await;
    house.expunge().await;
    house.deliver(4, HEAD, b"\r\nnew\r\n").await;
    assert_eq!(client.ask("RETR 1").await, "-ERR message 1 expunged");
    assert_eq!(client.ask("TOP 2 0").await, "-ERR message 2 expunged");
    assert!(client.ask("STAT").await.starts_with("+OK 2 "));
    assert_eq!(client.ask("DELE 1").await, "-ERR message 1 expunged");
    // Numbers and sizes stay those of the login.
    assert!(client.ask("LIST 1").await.starts_with("+OK 1 "));
    assert!(client.ask("STAT").await.starts_with("+OK 2 "));
    assert_eq!(client.ask("QUIT").await, "+OK bye");
    assert_eq!(house.uids().await, [Uid(4)]);
}

/// Reads a reply of several lines.
async fn ask_all(client: &mut Client<DuplexStream>, command: &str) {
    assert!(client.ask(command).await.starts_with("+OK"), "{command}");
    while client.line().await != "." {}
}

/// Begins the story of a message.
struct Begin(MessageId);

impl Op for Begin {
    type Plan = ();
    type Out = ();
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "test.begin"
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<Infallible>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        let accepted = trace::Event::new(NOW, trace::Kind::Accepted, "smtp");
        trace::record(tx, trace::Subject::Message(self.0), accepted)
    }
}

#[tokio::test]
async fn the_trace_is_told_of_what_was_fetched_and_of_who_was_refused() {
    let house = House::new().await;
    for id in 1..=2 {
        house.deliver(id, HEAD, format!("\r\n{id}\r\n").as_bytes()).await;
        house.context.store.write(Begin(MessageId(id))).await.unwrap().into_inner();
    }
    let mut client = house.log_in().await;
    for command in ["RETR 1", "RETR 1", "TOP 2 1", "RETR 2"] {
        ask_all(&mut client, command).await;
    }
    client.ask("DELE 2").await;
    assert!(client.ask("QUIT").await.starts_with("+OK"));
    let mut stranger = house.connect(LOOPBACK).await;
    stranger.send("USER alice@example.test\r\nPASS wrong\r\n").await;
    stranger.line().await;
    assert!(stranger.line().await.starts_with("-ERR"));
    // What rides is written with the next batch.
    house.deliver(3, HEAD, b"\r\n3\r\n").await;
    let view = house.context.store.view().unwrap();
    let kinds = |id| {
        let story = trace::story(&view, trace::Subject::Message(MessageId(id))).unwrap();
        story.into_iter().map(|event| (event.kind, event.account, event.mailbox)).collect::<Vec<_>>()
    };
    let of = |kind| (kind, Some("alice@example.test".to_owned()), Some("INBOX".to_owned()));
    let begun = (trace::Kind::Accepted, None, None);
    assert_eq!(kinds(1), [begun.clone(), of(trace::Kind::Fetched)]);
    assert_eq!(kinds(2), [begun, of(trace::Kind::Fetched), of(trace::Kind::Expunged)]);
    let found = trace::find(&view, &trace::Wanted::Address("alice@example.test".into()), None, 9).unwrap();
    let failed = found.iter().find(|subject| matches!(subject, trace::Subject::Refused(_))).expect("it is told");
    let event = trace::story(&view, *failed).unwrap().remove(0);
    assert_eq!((event.kind, event.actor.as_str()), (trace::Kind::LoginFailed, "pop3"));
}

#[tokio::test]
async fn what_was_read_is_seen_and_nothing_else() {
    let house = House::new().await;
    for id in 1..=5 {
        house.deliver(id, HEAD, format!("\r\n{id}\r\n").as_bytes()).await;
    }
    let before = house.roster().await;
    let mut client = house.log_in().await;
    ask_all(&mut client, "RETR 2").await;
    ask_all(&mut client, "RETR 1").await;
    ask_all(&mut client, "TOP 3 1").await;
    // Once the client pauses, others are told.
    let mut watch = house.context.store.bus().watch(mailbox::MAILBOX_TOPIC);
    if house.seen().await.is_empty() {
        timeout(SOON, watch.next()).await.unwrap();
    }
    assert_eq!(house.seen().await, [1, 2]);
    assert_eq!(house.roster().await.modseq.0, before.modseq.0 + 1, "one change for both");
    // At QUIT it is done before the answer comes.
    ask_all(&mut client, "RETR 4").await;
    ask_all(&mut client, "RETR 5").await;
    client.ask("DELE 5").await;
    assert_eq!(client.ask("QUIT").await, "+OK 1 messages deleted, bye");
    assert_eq!(house.seen().await, [1, 2, 4]);
    assert_eq!(house.uids().await, [Uid(1), Uid(2), Uid(3), Uid(4)]);
}

#[tokio::test]
async fn it_can_be_switched_off_that_reading_is_seeing() {
    let mut house = House::new().await;
    Arc::get_mut(&mut house.context).unwrap().retr_sets_seen = false;
    house.deliver(1, HEAD, b"\r\n1\r\n").await;
    let mut client = house.log_in().await;
    ask_all(&mut client, "RETR 1").await;
    assert_eq!(client.ask("QUIT").await, "+OK bye");
    assert!(house.seen().await.is_empty());
}

#[tokio::test]
async fn a_message_that_is_removed_while_it_is_sent_has_no_end() {
    let house = House::new().await;
    let mut noise = vec![0; 8 * 1024 * 1024];
    crate::base::Random::fill(&SeededRandom::new(2), &mut noise);
    house.deliver(1, HEAD, &noise).await;
    let mut client = house.connect_over(LOOPBACK, 512);
    client.send(&format!("{LOG_IN}RETR 1\r\n")).await;
    for _ in 0..4 {
        client.line().await;
    }
    house.expunge().await;
    timeout(SOON, async {
        loop {
            let mut bodies = 0;
            house.context.store.view().unwrap().each_blob(|_, _| bodies += 1).unwrap();
            if bodies == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("the body is collected");
    let rest = client.rest().await;
    assert!(rest.len() < noise.len() && !rest.ends_with(b"\r\n.\r\n"), "{} octets", rest.len());
}

#[tokio::test]
async fn a_maildrop_has_one_session_at_a_time() {
    let house = House::new().await;
    let mut first = house.log_in().await;
    let mut second = house.connect(LOOPBACK).await;
    let refused = "-ERR [IN-USE] another session has this maildrop, try again later";
    second.send(LOG_IN).await;
    assert_eq!((second.line().await.as_str(), second.line().await.as_str()), ("+OK now the password", refused));
    assert_eq!(first.ask("QUIT").await, "+OK bye");
    first.check_end("").await;
    second.send(LOG_IN).await;
    assert_eq!(second.line().await, "+OK now the password");
    assert_eq!(second.line().await, "+OK 0 messages (0 octets)");
}

#[tokio::test]
async fn three_wrong_passwords_are_the_end() {
    let house = House::new().await;
    let mut client = house.connect(LOOPBACK).await;
    let refused = "-ERR [AUTH] authentication failed";
    for login in ["alice@example.test", "nobody@example.test", "alice@example.test"] {
        assert_eq!(client.ask(&format!("USER {login}")).await, "+OK now the password");
        assert_eq!(client.ask("PASS wrong").await, refused);
    }
    client.check_end("").await;
}

#[tokio::test]
async fn stls_protects_what_comes_after_it() {
    let house = House::new().await;
    let mut client = house.connect(OUTSIDE).await;
    assert_eq!(client.ask("USER alice").await, "-ERR use STLS first: passwords are not taken in the clear");
    assert_eq!(client.ask("STLS").await, "+OK begin TLS");
    let mut roots = RootCertStore::empty();
    roots.add(house.certificates.der().unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, client.0.into_inner()).await.unwrap();
    let mut client = Client(BufReader::new(stream));
    client.send(&format!("STLS\r\n{LOG_IN}QUIT\r\n")).await;
    client
        .check_end("-ERR TLS is active already\r\n+OK now the password\r\n+OK 0 messages (0 octets)\r\n+OK bye\r\n")
        .await;
}

#[tokio::test]
async fn what_is_not_to_be_answered_is_not_answered() {
    let house = House::new().await;
    for silent in ["STLS\r\nNOOP\r\n", "STLS\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "STLS\r\nQ"] {
        let mut client = house.connect(OUTSIDE).await;
        client.send(silent).await;
        client.check_end("").await;
    }
    // The end of the stream in the middle of a line is no command.
    let mut client = house.connect(OUTSIDE).await;
    client.send("QUIT").await;
    client.0.shutdown().await.unwrap();
    client.check_end("").await;
}

#[tokio::test]
async fn a_line_that_is_too_long_is_answered_when_it_ends() {
    let house = House::new().await;
    let mut client = house.connect(LOOPBACK).await;
    client.send(&format!("USER {}\r\nCAPA x\r\n", "QUIT\n".repeat(40_000))).await;
    assert_eq!(client.line().await, "-ERR the line is too long");
    assert_eq!(client.line().await, "-ERR usage: CAPA");
}

#[tokio::test]
async fn the_silent_are_left_and_a_stop_is_told() {
    let mut house = House::new().await;
    Arc::get_mut(&mut house.context).unwrap().idle = Duration::from_millis(300);
    let mut client = house.connect(LOOPBACK).await;
    let begin = Instant::now();
    // Octet by octet is silence too.
    while client.0.write_all(b"x").await.is_ok() {
        assert!(begin.elapsed() < SOON);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    client.check_end("").await;

    Arc::get_mut(&mut house.context).map(|context| context.idle = Duration::from_secs(600)).unwrap();
    let mut client = house.log_in().await;
    house.context.stop.cancel();
    client.check_end("-ERR [SYS/TEMP] the server stops, try again later\r\n").await;
}

#[tokio::test]
async fn a_session_ends_with_its_login_and_deletes_nothing() {
    let house = House::new().await;
    house.deliver(1, "Subject: one\r\n", b"\r\ntext\r\n").await;
    let (mut client, disabled) = (house.log_in().await, AccountFields { enabled: false, ..AccountFields::default() });
    assert!(client.ask("DELE 1").await.starts_with("+OK "));
    let change = |fields| AccountChange {
        address: Address::parse("alice@example.test").unwrap(),
        fields,
        password: None,
        precondition: Precondition::None,
        at: NOW,
    };
    let _ = house.context.store.write(PutAccount(change(disabled))).await.unwrap();
    assert_eq!(client.line().await, "-ERR [SYS/TEMP] your login has ended: log in again");
    assert_eq!(client.rest().await, b"");
    assert_eq!(house.uids().await.len(), 1);
    let _ = house.context.store.write(PutAccount(change(AccountFields::default()))).await.unwrap();
    let mut client = house.log_in().await;
    house.context.stop.cancel();
    assert_eq!(client.line().await, "-ERR [SYS/TEMP] the server stops, try again later");
}
