use std::convert::Infallible;
use std::net::SocketAddr;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, DuplexStream, duplex};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::base::{
    AccountId, Address, Clock, MailboxId, MessageId, MessageIds, Secret, SeededRandom, SystemFlags, Timestamp,
    TurnedClock, Uid,
};
use crate::directory::{
    self, AccountChange, AccountFields, Authenticator, DomainFields, PasswordHash, Precondition, PutDomain,
};
use crate::imap::server::Views;
use crate::mailbox::{
    self, ChangeFlags, CreateMailbox, DeleteMailbox, Expunge, FlagMode, Incoming, Placement, PutAccount,
};
use crate::settings::{self, Settings};
use crate::store::{Halt, Op, Options, Schema, Store, StoreError, Tx};
use crate::tls::{self, Certificates, Protocol as Spoken};
use crate::trace;

const NOW: Timestamp = Timestamp(1_795_341_900_123);
const SOON: Duration = Duration::from_secs(60);
const LOOPBACK: &str = "127.0.0.1:50000";
const OUTSIDE: &str = "192.0.2.1:50000";
const LOGIN: &str = "LOGIN alice@example.test secret";
const LOGGED_IN: &str = "OK [CAPABILITY IMAP4rev1 LITERAL+ IDLE NAMESPACE CHILDREN UNSELECT UIDPLUS MOVE ENABLE ID \
    CONDSTORE LIST-EXTENDED LIST-STATUS SPECIAL-USE CREATE-SPECIAL-USE ESEARCH STATUS=SIZE UTF8=ACCEPT \
    APPENDLIMIT=1000 MULTIAPPEND COMPRESS=DEFLATE QUOTA QUOTA=RES-STORAGE] you are logged in";
const IN_THE_CLEAR: &str = "NO [PRIVACYREQUIRED] use STARTTLS first: passwords are not taken in the clear";
const FAILED: &str = "NO [AUTHENTICATIONFAILED] authentication failed";

/// A store in memory with alice@example.test, and what a session needs.
struct House {
    context: Arc<Context>,
    certificates: Certificates,
    account: AccountId,
    inbox: MailboxId,
}

/// Puts one message into one mailbox.
struct Deliver(MailboxId, MessageId);

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
        let head = b"Subject: x\r\n";
        let message = Incoming { id: self.1, head, blob: None, body_bytes: 0, summary: None, at: NOW };
        mailbox::deliver(tx, &message, &[Placement { mailbox: self.0, own_lines: b"" }])?;
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
            authenticator: Arc::new(Authenticator::new(store.clone(), clock.clone(), random)),
            store,
            clock,
            ids: Arc::new(MessageIds::default()),
            hostname: "mail.example.test".into(),
            tls: Some(certificates.server_config(Spoken::Imap).unwrap()),
            views: Views::default(),
            stop: CancellationToken::new(),
            idle: Duration::from_secs(600),
            keepalive: Duration::from_secs(600),
            refusal_delay: Duration::ZERO,
            message_bytes_max: 1000,
            capabilities_disabled: Vec::new(),
        });
        Self { context, certificates, account, inbox }
    }

    async fn with(change: impl FnOnce(&mut Context)) -> Self {
        let mut house = Self::new().await;
        change(Arc::get_mut(&mut house.context).unwrap());
        house
    }

    /// One more message; each has a UID one higher.
    async fn deliver(&self) {
        let id = self.context.ids.message(NOW);
        let _ = self.context.store.write(Deliver(self.inbox, id)).await.unwrap();
    }

    async fn flag(&self, uid: u32, flags: SystemFlags) {
        let change = ChangeFlags {
            mailbox: self.inbox,
            uids: vec![(Uid(uid), Uid(uid))],
            mode: FlagMode::Replace,
            flags,
            keywords: Vec::new(),
            unchanged_since: None,
        };
        let _ = self.context.store.write(change).await.unwrap();
    }

    async fn expunge(&self, first: u32, last: u32) {
        let expunge = Expunge {
            mailbox: self.inbox,
            uids: vec![(Uid(first), Uid(last))],
            only_deleted: false,
            by: "pop3 alice@example.test".into(),
            peer_ip: None,
            at: NOW,
        };
        let _ = self.context.store.write(expunge).await.unwrap();
    }

    /// A session with a client at `peer`.
    fn dial(&self, peer: &str) -> DuplexStream {
        let (ours, theirs) = duplex(64 * 1024);
        let local: SocketAddr = "127.0.0.1:143".parse().unwrap();
        tokio::spawn(serve(Connection::memory(ours, peer.parse().unwrap(), local), self.context.clone()));
        theirs
    }

    async fn connect(&self, peer: &str) -> Client<DuplexStream> {
        let mut client = Client(BufReader::new(self.dial(peer)));
        assert!(client.line().await.ends_with("] mail.example.test IMAP ready"));
        client
    }

    async fn log_in(&self) -> Client<DuplexStream> {
        let mut client = self.connect(LOOPBACK).await;
        client.check(LOGIN, &[LOGGED_IN]).await;
        client
    }

    /// A session that has the INBOX open.
    async fn open(&self, how: &str) -> Client<DuplexStream> {
        let mut client = self.log_in().await;
        assert!(client.ask(&format!("{how} INBOX")).await.last().unwrap().starts_with("OK [READ-"));
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
            match timeout(SOON, self.0.read_u8()).await.expect("a line") {
                Ok(byte) => line.push(byte),
                Err(_) => break,
            }
        }
        String::from_utf8_lossy(&line).trim_end_matches("\r\n").to_owned()
    }

    /// The lines that answer a command, the last without its tag.
    async fn ask(&mut self, command: &str) -> Vec<String> {
        self.send(&format!("t {command}\r\n")).await;
        self.answer().await
    }

    async fn answer(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = self.line().await;
            assert!(!line.is_empty(), "the session has ended after {lines:?}");
            if let Some(end) = line.strip_prefix("t ") {
                lines.push(end.to_owned());
                return lines;
            }
            lines.push(line);
        }
    }

    async fn check(&mut self, command: &str, expected: &[&str]) {
        assert_eq!(self.ask(command).await, expected, "{command}");
    }

    /// Everything up to the end of the stream.
    async fn check_end(&mut self, expected: &str) {
        let mut rest = Vec::new();
        let _ = timeout(SOON, self.0.read_to_end(&mut rest)).await.expect("the server closes");
        assert_eq!(String::from_utf8_lossy(&rest), expected);
    }
}

// RFC 9051 §7.2.2
#[tokio::test]
async fn capabilities_are_what_is_true_now() {
    let house = House::new().await;
    let check = async |house: &House, peer: &str, expected: &str| {
        let mut client = Client(BufReader::new(house.dial(peer)));
        let greeting = format!("* OK [CAPABILITY IMAP4rev1 {expected}] mail.example.test IMAP ready");
        assert_eq!(client.line().await, greeting);
        client.check("CAPABILITY", &[&format!("* CAPABILITY IMAP4rev1 {expected}"), "OK that is all"]).await;
    };
    check(&house, OUTSIDE, "LITERAL- SASL-IR ID ENABLE STARTTLS LOGINDISABLED").await;
    check(&house, LOOPBACK, "LITERAL- SASL-IR ID ENABLE STARTTLS AUTH=PLAIN AUTH=LOGIN").await;
    let house = House::with(|context| {
        context.tls = None;
        let disabled = ["SASL-IR", "IDLE", "APPENDLIMIT", "COMPRESS=DEFLATE", "CONDSTORE", "IMAP4REV1"];
        context.capabilities_disabled = disabled.map(str::to_owned).into();
    })
    .await;
    check(&house, OUTSIDE, "LITERAL- ID ENABLE LOGINDISABLED").await;
    let mut client = house.connect(LOOPBACK).await;
    let answer = client.ask(LOGIN).await.concat();
    for gone in ["IDLE", "APPENDLIMIT", "COMPRESS", "CONDSTORE"] {
        assert!(!answer.contains(gone), "{answer}");
    }
    client.check("IDLE", &["BAD unknown command"]).await;
    client.check("COMPRESS DEFLATE", &["BAD unknown command"]).await;
    client.check("ENABLE CONDSTORE", &["* ENABLED", "OK enabled"]).await;
}

// RFC 9051 §3
#[tokio::test]
async fn every_command_has_its_state() {
    let house = House::new().await;
    let mut client = house.connect(LOOPBACK).await;
    let in_mailbox =
        ["CHECK", "CLOSE", "UNSELECT", "EXPUNGE", "SEARCH ALL", "FETCH 1 FLAGS", "STORE 1 FLAGS ()", "COPY 1 a"];
    let after_login =
        ["SELECT INBOX", "LIST \"\" *", "STATUS INBOX (MESSAGES)", "IDLE", "NAMESPACE", "ENABLE CONDSTORE"];
    for command in in_mailbox.iter().take(4).chain(&after_login[..5]) {
        client.check(command, &["BAD log in first"]).await;
    }
    client.check("NOOP", &["OK nothing done"]).await;
    client.check("ID NIL", &["* ID (\"name\" \"Pillarbox\")", "OK nice to meet you"]).await;
    client.check(LOGIN, &[LOGGED_IN]).await;
    for command in in_mailbox {
        client.check(command, &["BAD select a mailbox first"]).await;
    }
    let mut client = house.log_in().await;
    for command in [LOGIN, "AUTHENTICATE PLAIN", "STARTTLS"] {
        client.check(command, &["BAD you are logged in already"]).await;
    }
    client.check("LOGOUT", &["* BYE see you", "OK bye"]).await;
    client.check_end("").await;
}

#[tokio::test]
async fn logins_fail_alike_and_not_for_ever() {
    let house = House::new().await;
    let mut client = house.connect(LOOPBACK).await;
    client.check("LOGIN alice@example.test wrong", &[FAILED]).await;
    client.check("LOGIN nobody@example.test secret", &[FAILED]).await;
    client.check("LOGIN {1+}\r\n\0 secret", &["BAD a literal may not hold NUL"]).await;
    client.check("AUTHENTICATE PLAIN AGFsaWNlAHdyb25n", &["* BYE too many failed logins", FAILED]).await;
    client.check_end("").await;
    let mut client = house.connect(LOOPBACK).await;
    for _ in 0..limits::JUNK_COMMANDS {
        client.check("NOOP", &["OK nothing done"]).await;
    }
    client.send("t NOOP\r\n").await;
    client.check_end("* BYE too many commands without a login\r\n").await;
}

// RFC 9051 §6.2.2, RFC 4959
#[tokio::test]
async fn authenticate_is_an_exchange_or_one_line() {
    let house = House::new().await;
    // alice@example.test and secret
    let plain = "AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=";
    house.connect(LOOPBACK).await.check(&format!("AUTHENTICATE PLAIN {plain}"), &[LOGGED_IN]).await;
    let mut client = house.connect(LOOPBACK).await;
    client.check(&format!("AUTHENTICATE plain\r\n{plain}"), &["+ ", LOGGED_IN]).await;
    let mut client = house.connect(LOOPBACK).await;
    let login = "AUTHENTICATE LOGIN\r\nYWxpY2VAZXhhbXBsZS50ZXN0\r\nc2VjcmV0";
    client.check(login, &["+ VXNlcm5hbWU6", "+ UGFzc3dvcmQ6", LOGGED_IN]).await;

    let mut client = house.connect(LOOPBACK).await;
    client.check("AUTHENTICATE PLAIN\r\n*", &["+ ", "BAD the exchange was cancelled"]).await;
    client.check("AUTHENTICATE PLAIN ====", &["BAD the response is not base64"]).await;
    client.check("AUTHENTICATE CRAM-MD5", &["NO [CANNOT] this mechanism is not available"]).await;
    // bob, who is alice@example.test
    let foreign = "NO [AUTHORIZATIONFAILED] acting as another user is not possible";
    client.check("AUTHENTICATE PLAIN Ym9iAGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=", &[foreign]).await;
    // A line of the exchange is never a command, and announces no literal.
    client.check("AUTHENTICATE PLAIN\r\nt NOOP {3}", &["+ ", "BAD the response is not base64"]).await;
    let long = "A".repeat(limits::SASL_RESPONSE_BYTES + 1);
    client.check(&format!("AUTHENTICATE PLAIN\r\n{long}"), &["+ ", "BAD the response is too long"]).await;
    client.check(LOGIN, &[LOGGED_IN]).await;
}

#[tokio::test]
async fn passwords_are_taken_in_tls_alone() {
    let house = House::new().await;
    let mut client = house.connect(OUTSIDE).await;
    client.check(LOGIN, &[IN_THE_CLEAR]).await;
    client.check("AUTHENTICATE PLAIN", &[IN_THE_CLEAR]).await;
    client.check("STARTTLS", &["OK begin TLS"]).await;
    let mut roots = RootCertStore::empty();
    roots.add(house.certificates.der().unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let mut config = config;
    config.alpn_protocols = vec![b"imap".to_vec()];
    let stream = TlsConnector::from(Arc::new(config)).connect(name, client.0.into_inner()).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"imap"[..]));
    let mut client = Client(BufReader::new(stream));
    client.check("STARTTLS", &["BAD TLS is active already"]).await;
    let expected = "* CAPABILITY IMAP4rev1 LITERAL- SASL-IR ID ENABLE AUTH=PLAIN AUTH=LOGIN";
    client.check("CAPABILITY", &[expected, "OK that is all"]).await;
    client.check(LOGIN, &[LOGGED_IN]).await;
}

#[tokio::test]
async fn what_is_not_to_be_answered_is_not_answered() {
    let house = House::new().await;
    for silent in ["t STARTTLS\r\nt NOOP\r\n", "t STARTTLS\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "EHLO x\r\n"]
    {
        let mut client = house.connect(OUTSIDE).await;
        client.send(silent).await;
        client.check_end("").await;
    }
    // The end of the stream in the middle of a line is no command.
    let mut client = house.connect(OUTSIDE).await;
    client.send("t LOGOUT").await;
    client.0.shutdown().await.unwrap();
    client.check_end("").await;
}

// RFC 9051 §4.3, RFC 7888
#[tokio::test]
async fn literals_are_invited_or_refused() {
    let house = House::new().await;
    let mut client = house.connect(LOOPBACK).await;
    client.check("LOGIN {18}\r\nalice@example.test {6}\r\nsecret", &["+ OK", "+ OK", LOGGED_IN]).await;
    let mut client = house.connect(LOOPBACK).await;
    let long = "x".repeat(4097);
    let refused = "BAD before the login, longer literals have to wait for the +";
    client.check(&format!("LOGIN {{4097+}}\r\n{long} x"), &[refused]).await;
    client.check("LOGIN {99999}", &["BAD the literal is too long"]).await;
    client.check("APPEND INBOX {5}", &["BAD log in first"]).await;
    client.check("APPEND INBOX {5+}\r\na: b\n", &["BAD log in first"]).await;
    client.check(&format!("LOGIN {}", "x".repeat(20_000)), &["BAD the command is too long"]).await;
    client.send(&format!("{}\r\n", "x".repeat(20_000))).await;
    assert_eq!(client.line().await, "* BAD the command is too long");
    client.check("LOGIN {18+}\r\nalice@example.test {6+}\r\nsecret", &[LOGGED_IN]).await;
    // Once somebody is known, a set of UIDs may be long.
    client
        .check(&format!("SELECT {}", "x".repeat(20_000)), &["NO [NONEXISTENT] there is no mailbox of that name"])
        .await;
}

#[tokio::test]
async fn errors_are_slow_and_then_the_end() {
    let house = House::with(|context| context.refusal_delay = Duration::from_millis(1)).await;
    let mut client = house.log_in().await;
    for _ in 1..limits::ERRORS_HARD {
        assert!(client.ask("WHAT").await[0].starts_with("BAD "));
        client.check("NOOP", &["OK nothing done"]).await;
    }
    client.send("t WHAT\r\n").await;
    assert!(client.line().await.starts_with("t BAD "));
    client.check_end("* BYE too many errors\r\n").await;
}

// RFC 9051 §6.3.2, §6.3.3
#[tokio::test]
async fn a_mailbox_is_opened_and_closed() {
    let house = House::new().await;
    for _ in 0..3 {
        house.deliver().await;
    }
    house.flag(1, SystemFlags::SEEN).await;
    let mut client = house.log_in().await;
    let flags = "\\Answered \\Flagged \\Deleted \\Seen \\Draft";
    let answer = client.ask("SELECT inbox").await;
    let validity = answer.iter().find(|line| line.contains("UIDVALIDITY")).unwrap().clone();
    let expected = [
        &format!("* FLAGS ({flags})"),
        &format!("* OK [PERMANENTFLAGS ({flags} \\*)] these can be changed"),
        "* 3 EXISTS",
        "* 0 RECENT",
        "* OK [UNSEEN 2] the first that was not seen",
        &validity,
        "* OK [UIDNEXT 4] the next UID",
        "* OK [HIGHESTMODSEQ 5] the highest modseq",
        "OK [READ-WRITE] it is open",
    ];
    assert_eq!(answer, expected);
    let answer = client.ask("EXAMINE INBOX").await;
    assert_eq!(answer[0], "* OK [CLOSED] the mailbox before is closed");
    assert_eq!(answer[2], "* OK [PERMANENTFLAGS ()] none can be changed");
    assert_eq!(answer[9], "OK [READ-ONLY] it is open, to be looked at");
    client.check("UNSELECT", &["OK closed"]).await;
    client.check("CHECK", &["BAD select a mailbox first"]).await;

    // What could not be opened leaves nothing open.
    client.ask("SELECT INBOX").await;
    let closed = "* OK [CLOSED] the mailbox before is closed";
    client.check("SELECT none", &[closed, "NO [NONEXISTENT] there is no mailbox of that name"]).await;
    client.check("CHECK", &["BAD select a mailbox first"]).await;

    house.flag(2, SystemFlags::DELETED).await;
    let mut other = house.open("SELECT").await;
    client.ask("EXAMINE INBOX").await;
    client.check("CLOSE", &["OK closed"]).await;
    other.check("NOOP", &["OK nothing done"]).await;
    client.ask("SELECT INBOX").await;
    client.check("UNSELECT", &["OK closed"]).await;
    other.check("NOOP", &["OK nothing done"]).await;
    client.ask("SELECT INBOX").await;
    client.check("CLOSE", &["OK closed"]).await;
    other.check("NOOP", &["* 2 EXPUNGE", "OK nothing done"]).await;
}

// RFC 9051 §7.5.1
#[tokio::test]
async fn what_others_do_is_told_when_it_may_be() {
    let house = House::new().await;
    for _ in 0..4 {
        house.deliver().await;
    }
    let mut client = house.open("SELECT").await;
    house.expunge(1, 2).await;
    house.deliver().await;
    house.flag(4, SystemFlags::FLAGGED).await;
    // FETCH, STORE and SEARCH by number keep the numbers as they are.
    let answer = client.ask("FETCH 3:4 UID").await;
    let expected =
        ["* 3 FETCH (UID 3)", "* 4 FETCH (UID 4)", "* 5 EXISTS", "* 1 RECENT", "* 4 FETCH (UID 4 FLAGS (\\Flagged))"];
    assert_eq!(answer[..5], expected);
    client.check("SEARCH FLAGGED", &["* SEARCH 4", "OK SEARCH done"]).await;
    client.check("NOOP", &["* 2 EXPUNGE", "* 1 EXPUNGE", "OK nothing done"]).await;
    client.check("SEARCH FLAGGED", &["* SEARCH 2", "OK SEARCH done"]).await;
    house.expunge(3, 3).await;
    assert_eq!(client.ask("UID FETCH 4 UID").await[..2], ["* 2 FETCH (UID 4)", "* 1 EXPUNGE"]);
    client.check("ENABLE CONDSTORE", &["* ENABLED CONDSTORE", "OK enabled"]).await;
    house.flag(4, SystemFlags::NONE).await;
    let answer = client.ask("NOOP").await;
    assert!(answer[0].starts_with("* 1 FETCH (UID 4 FLAGS () MODSEQ ("), "{answer:?}");
}

// RFC 9051 §7.3.5
#[tokio::test]
async fn keywords_are_named_while_they_are_in_use() {
    let house = House::new().await;
    house.deliver().await;
    let (mut client, mut other) = (house.open("SELECT").await, house.open("SELECT").await);
    let keywords = async |client: &mut Client<DuplexStream>| {
        let answer = client.ask("SELECT INBOX").await;
        answer.into_iter().find_map(|line| Some(line.strip_prefix("* FLAGS ")?.to_owned())).unwrap()
    };
    let system = "(\\Answered \\Flagged \\Deleted \\Seen \\Draft";
    client.ask("STORE 1 +FLAGS ($Old $Kept)").await;
    let told = other.ask("NOOP").await;
    assert_eq!(told[0], format!("* FLAGS {system} $Old $Kept)"));
    assert!(told[2].starts_with("* 1 FETCH (UID 1 FLAGS ($Old $Kept"), "{told:?}");
    assert_eq!(keywords(&mut client).await, format!("{system} $Old $Kept)"));
    // What takes a name away may leave its bit free, or give it to another name.
    client.ask("STORE 1 FLAGS ($Kept)").await;
    let told = other.ask("NOOP").await;
    assert!(told.iter().any(|line| line.starts_with("* 1 FETCH (UID 1 FLAGS ($Kept)")), "{told:?}");
    for client in [&mut client, &mut other] {
        let named = keywords(client).await;
        assert!(named.contains(" $Kept") && !named.contains("  ") && !named.contains(" )"), "{named}");
    }
    for count in 0..limits::KEYWORDS {
        client.ask(&format!("STORE 1 FLAGS (k{count})")).await;
        let told = other.ask("NOOP").await;
        let flags = format!("* 1 FETCH (UID 1 FLAGS (k{count})");
        assert!(told.iter().any(|line| line.starts_with(&flags)), "{count}: {told:?}");
    }
}

// RFC 3501 §2.3.2
#[tokio::test]
async fn a_message_is_recent_for_the_first_who_is_told_of_it() {
    let house = House::new().await;
    house.deliver().await;
    let recent = |answer: Vec<String>| answer.into_iter().find(|line| line.ends_with("RECENT"));
    let mut first = house.log_in().await;
    assert_eq!(recent(first.ask("SELECT INBOX").await).unwrap(), "* 0 RECENT");
    house.deliver().await;
    first.check("NOOP", &["* 2 EXISTS", "* 1 RECENT", "OK nothing done"]).await;
    let mut second = house.log_in().await;
    assert_eq!(recent(second.ask("SELECT INBOX").await).unwrap(), "* 0 RECENT");
    first.ask("UNSELECT").await;
    second.ask("UNSELECT").await;
    // What comes while nobody looks is recent for the next, unless it only looks.
    house.deliver().await;
    let views = &house.context.views;
    assert_eq!(views.recent(&house.context.store, house.inbox).await.unwrap(), 1);
    assert_eq!(recent(first.ask("EXAMINE INBOX").await).unwrap(), "* 1 RECENT");
    assert_eq!(recent(second.ask("SELECT INBOX").await).unwrap(), "* 1 RECENT");
    assert_eq!(recent(first.ask("SELECT INBOX").await).unwrap(), "* 0 RECENT");
}

// RFC 2177
#[tokio::test]
async fn who_idles_is_told_at_once() {
    let house = House::new().await;
    house.deliver().await;
    let mut first = house.open("SELECT").await;
    let mut second = house.open("SELECT").await;
    for client in [&mut first, &mut second] {
        client.send("t IDLE\r\n").await;
        assert_eq!(client.line().await, "+ idling");
    }
    house.deliver().await;
    for client in [&mut first, &mut second] {
        assert_eq!((client.line().await.as_str(), client.line().await.as_str()), ("* 2 EXISTS", "* 1 RECENT"));
    }
    house.flag(1, SystemFlags::SEEN).await;
    house.expunge(2, 2).await;
    let mut seen = vec![first.line().await, first.line().await];
    seen.sort();
    assert_eq!(seen, ["* 1 FETCH (UID 1 FLAGS (\\Seen))", "* 2 EXPUNGE"]);
    first.send("done\r\n").await;
    assert_eq!(first.answer().await, ["OK idling is done"]);
    first.check("IDLE\r\nt NOOP", &["+ idling", "BAD expected DONE"]).await;
    first.check("IDLE\r\nDONE", &["+ idling", "OK idling is done"]).await;
    // Without a mailbox there is nothing to tell.
    house.log_in().await.check("IDLE\r\nDONE", &["+ idling", "OK idling is done"]).await;
}

#[tokio::test]
async fn who_idles_hears_that_the_server_is_there() {
    let house = House::with(|context| {
        context.keepalive = Duration::from_millis(50);
        context.idle = Duration::from_millis(1500);
    })
    .await;
    let mut client = house.open("SELECT").await;
    client.send("t IDLE\r\n").await;
    assert_eq!(client.line().await, "+ idling");
    assert_eq!(client.line().await, "* OK still here");
    // RFC 9051 §5.4
    loop {
        match client.line().await.as_str() {
            "* OK still here" => {}
            line => break assert_eq!(line, "* BYE you were silent for too long"),
        }
    }
    client.check_end("").await;
    // Octet by octet is silence too.
    let mut client = house.log_in().await;
    let begin = Instant::now();
    while client.0.write_all(b"x").await.is_ok() {
        assert!(begin.elapsed() < SOON);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    client.check_end("* BYE you were silent for too long\r\n").await;
}

#[tokio::test]
async fn a_stop_is_told_to_who_waits() {
    let house = House::new().await;
    let (mut idling, mut waiting) = (house.open("SELECT").await, house.log_in().await);
    idling.send("t IDLE\r\n").await;
    assert_eq!(idling.line().await, "+ idling");
    house.context.stop.cancel();
    for client in [&mut idling, &mut waiting] {
        client.check_end("* BYE [UNAVAILABLE] the server stops, try again later\r\n").await;
    }
}

// RFC 2180 §3.3
#[tokio::test]
async fn a_mailbox_that_is_deleted_ends_the_sessions_that_have_it_open() {
    let house = House::new().await;
    let (account, name, store) = (house.account, "Trips".to_owned(), &house.context.store);
    let create = CreateMailbox { account, name: name.clone(), special_use: None, at: NOW };
    let _ = store.write(create.clone()).await.unwrap();
    let mut clients = [house.log_in().await, house.log_in().await];
    for client in &mut clients {
        client.ask("SELECT Trips").await;
    }
    let [mut idling, mut waiting] = clients;
    idling.send("t IDLE\r\n").await;
    assert_eq!(idling.line().await, "+ idling");
    let by = "imap alice@example.test".to_owned();
    let _ = store.write(DeleteMailbox { account, name, by, at: NOW }).await.unwrap();
    idling.check_end("* BYE the mailbox was deleted\r\n").await;
    waiting.send("t NOOP\r\n").await;
    waiting.check_end("* BYE the mailbox was deleted\r\nt OK nothing done\r\n").await;
    // Who deletes it itself, goes on without.
    let _ = store.write(create).await.unwrap();
    let mut client = house.log_in().await;
    client.ask("SELECT Trips").await;
    let answer = client.ask("DELETE Trips").await;
    assert_eq!(answer[0], "* OK [CLOSED] the mailbox was deleted");
    assert!(answer[1].starts_with("OK "), "{answer:?}");
    client.check("CHECK", &["BAD select a mailbox first"]).await;
}

// RFC 4978
#[tokio::test]
async fn a_compressed_session_is_a_session() {
    let house = House::new().await;
    house.deliver().await;
    let mut client = house.log_in().await;
    client.check("COMPRESS LZW", &["BAD the only algorithm is DEFLATE"]).await;
    let behind = "BAD COMPRESS must be the last command before its answer";
    client.check("COMPRESS DEFLATE\r\nt NOOP", &[behind]).await;
    assert_eq!(client.answer().await, ["OK nothing done"]);
    client.check("COMPRESS deflate", &["OK compression begins"]).await;
    let address: SocketAddr = LOOPBACK.parse().unwrap();
    let mut wire = Connection::memory(client.0.into_inner(), address, address);
    wire.start_deflate();
    let mut hear = async |command: &str, last: &str| {
        wire.write(command.as_bytes());
        wire.flush(SOON).await.unwrap();
        while !wire.buffered().ends_with(last.as_bytes()) {
            assert!(wire.fill(SOON).await.unwrap() > 0);
        }
        let text = String::from_utf8_lossy(wire.buffered()).into_owned();
        wire.consume(text.len());
        text
    };
    let text = hear("t SELECT INBOX\r\n", "] it is open\r\n").await;
    assert!(text.contains("* 1 EXISTS\r\n"), "{text}");
    hear("t IDLE\r\n", "+ idling\r\n").await;
    house.deliver().await;
    assert_eq!(hear("", "RECENT\r\n").await, "* 2 EXISTS\r\n* 1 RECENT\r\n");
    hear("DONE\r\n", "OK idling is done\r\n").await;
    let again = hear("t COMPRESS DEFLATE\r\n", "already\r\n").await;
    assert_eq!(again, "t NO [COMPRESSIONACTIVE] the connection is compressed already\r\n");
}

#[tokio::test]
async fn commands_are_answered_one_after_the_other() {
    let house = House::new().await;
    let mut client = Client(BufReader::new(house.dial(LOOPBACK)));
    client.line().await;
    client.send(&format!("t {LOGIN}\r\nu EXAMINE INBOX\r\nv NOOP\r\nw IDLE\r\nDONE\r\nx LOGOUT\r\n")).await;
    let mut seen = String::new();
    let _ = timeout(SOON, client.0.read_to_string(&mut seen)).await.unwrap();
    let last: Vec<&str> = seen.lines().filter(|line| !line.starts_with('*')).map(|line| &line[..4]).collect();
    assert_eq!(last, ["t OK", "u OK", "v OK", "+ id", "w OK", "x OK"]);
}

#[tokio::test]
async fn nothing_that_was_committed_is_missed() {
    let house = House::new().await;
    let mut client = house.open("SELECT").await;
    let mut others = Vec::new();
    for _ in 0..4 {
        others.push(house.open("SELECT").await);
    }
    for count in 1..=100 {
        house.deliver().await;
        let noops = others.iter_mut().map(|other| other.send("t NOOP\r\n"));
        for noop in noops {
            noop.await;
        }
        let answer = client.ask("NOOP").await;
        assert_eq!(answer[0], format!("* {count} EXISTS"));
        for other in &mut others {
            assert_eq!(other.answer().await[0], format!("* {count} EXISTS"));
        }
    }
}

#[tokio::test]
async fn who_was_away_longer_than_the_log_reaches_back_is_told_all_the_same() {
    let house = House::new().await;
    for _ in 0..3 {
        house.deliver().await;
    }
    let mut client = house.open("SELECT").await;
    house.expunge(2, 2).await;
    for _ in 0..limits::MODSEQ_LOG_ROWS / 500 + 3 {
        let changes = (0..500).map(|count| {
            let flags = if count % 2 == 0 { SystemFlags::SEEN } else { SystemFlags::FLAGGED };
            house.flag(1, flags)
        });
        let mut changes: Vec<_> = changes.map(Box::pin).collect();
        std::future::poll_fn(|cx| {
            changes.retain_mut(|change| change.as_mut().poll(cx).is_pending());
            if changes.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
    }
    let reaches = mailbox::changes(&house.context.store.view().unwrap(), house.inbox, crate::base::ModSeq(5)).unwrap();
    assert!(reaches.is_none(), "the log was cut");
    let expected = ["* 2 EXPUNGE", "* 1 FETCH (UID 1 FLAGS (\\Flagged))", "OK nothing done"];
    client.check("NOOP", &expected).await;
}

#[tokio::test]
async fn a_session_that_waits_is_small() {
    let house = House::new().await;
    let (ours, _theirs) = duplex(16);
    let connection = Connection::memory(ours, LOOPBACK.parse().unwrap(), LOOPBACK.parse().unwrap());
    let bytes = size_of_val(&serve(connection, house.context.clone()));
    assert!(bytes <= 3 * 1024, "{bytes} octets");
}
