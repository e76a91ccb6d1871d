//! Commands as a client sees them: a whole session over a pipe, on a store in memory.

mod append;
mod copy;
mod fetch;
mod login;
mod search;
mod store;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{Context, Views, serve};
use crate::base::{Address, Clock, MessageIds, Secret, SeededRandom, Timestamp, TurnedClock};
use crate::directory::{
    self, AccountChange, AccountFields, Authenticator, DomainFields, PasswordHash, Precondition, PutDomain,
};
use crate::mailbox::{self, PutAccount};
use crate::net::Connection;
use crate::settings::{self, Settings};
use crate::store::{Options, Schema, Store};
use crate::trace;

const NOW: Timestamp = Timestamp(1_795_341_900_123);
const SOON: Duration = Duration::from_secs(60);

/// A store in memory with alice@example.test, and what a session needs.
pub(super) struct House {
    pub(super) context: Arc<Context>,
}

impl House {
    pub(super) async fn new() -> Self {
        let tables = [settings::TABLES, trace::TABLES, directory::TABLES, mailbox::TABLES].concat();
        let checks = mailbox::CHECKS;
        let schema: &'static Schema =
            Box::leak(Box::new(Schema { version: 1, tables: tables.leak(), checks, migrations: &[] }));
        let (clock, random) = (Arc::new(TurnedClock::new(NOW)), Arc::new(SeededRandom::new(1)));
        let store = Store::open(Options::memory(clock.clone()), schema).unwrap();
        let fields = DomainFields::new(&Settings::default());
        let name = "example.test".parse().unwrap();
        let _ = store.write(PutDomain { name, fields, precondition: Precondition::None, at: NOW }).await.unwrap();
        let account = PutAccount(AccountChange {
            address: Address::parse("alice@example.test").unwrap(),
            fields: AccountFields::default(),
            password: Some(PasswordHash::of(&Secret::new("secret".into()), &*random)),
            precondition: Precondition::None,
            at: NOW,
        });
        let _ = store.write(account).await.unwrap();
        let clock: Arc<dyn Clock> = clock;
        let context = Arc::new(Context {
            authenticator: Arc::new(Authenticator::new(store.clone(), clock.clone(), random)),
            store,
            clock,
            ids: Arc::new(MessageIds::after(0)),
            hostname: "mail.example.test".into(),
            tls: None,
            views: Views::default(),
            stop: CancellationToken::new(),
            idle: Duration::from_secs(600),
            keepalive: Duration::from_secs(120),
            refusal_delay: Duration::ZERO,
            message_bytes_max: 10 * 1024 * 1024,
            capabilities_disabled: Vec::new(),
        });
        Self { context }
    }

    /// A session that has logged in and opened INBOX.
    pub(super) async fn select(&self) -> Client {
        let mut client = self.log_in().await;
        client.ok("SELECT INBOX").await;
        client
    }

    pub(super) async fn log_in(&self) -> Client {
        let (ours, theirs) = duplex(64 * 1024);
        let [peer, local]: [SocketAddr; 2] = ["127.0.0.1:50000".parse().unwrap(), "127.0.0.1:143".parse().unwrap()];
        tokio::spawn(serve(Connection::memory(ours, peer, local), self.context.clone()));
        let mut client = Client { stream: BufReader::new(theirs), tag: 0 };
        assert!(client.piece().await.starts_with(b"* OK "));
        client.ok("LOGIN alice@example.test secret").await;
        client
    }

    /// Every table and every count is as it should be.
    pub(super) fn check(&self) {
        assert_eq!(self.context.store.check().unwrap().lines(), [] as [&str; 0]);
    }
}

pub(super) struct Client {
    stream: BufReader<DuplexStream>,
    tag: u32,
}

impl Client {
    pub(super) async fn send(&mut self, octets: &[u8]) {
        timeout(SOON, self.stream.write_all(octets)).await.unwrap().unwrap();
    }

    /// The next response, its literals included.
    async fn piece(&mut self) -> Vec<u8> {
        let mut piece = Vec::new();
        loop {
            timeout(SOON, self.stream.read_until(b'\n', &mut piece)).await.expect("an answer").unwrap();
            assert!(piece.ends_with(b"\r\n"), "the end behind {:?}", String::from_utf8_lossy(&piece));
            let Some(size) = announced(&piece) else { return piece };
            let begin = piece.len();
            piece.resize(begin + size, 0);
            timeout(SOON, self.stream.read_exact(&mut piece[begin..])).await.expect("a literal").unwrap();
        }
    }

    /// Sends a command (its octets, CRLF inside literals included) and gives back all that is answered, the tagged answer
    /// last and without its tag.
    pub(super) async fn raw(&mut self, command: &[u8]) -> (Vec<Vec<u8>>, String) {
        self.tag += 1;
        let tag = format!("t{} ", self.tag);
        self.send(&[tag.as_bytes(), command, b"\r\n"].concat()).await;
        let mut pieces = Vec::new();
        loop {
            let piece = self.piece().await;
            match piece.strip_prefix(tag.as_bytes()) {
                Some(answer) => return (pieces, text(answer)),
                None => pieces.push(piece),
            }
        }
    }

    /// The untagged answers to a command that is `OK`.
    pub(super) async fn ok(&mut self, command: &str) -> Vec<String> {
        let (pieces, answer) = self.raw(command.as_bytes()).await;
        assert!(answer.starts_with("OK "), "{command}: {answer}");
        pieces.iter().map(|piece| text(piece)).collect()
    }

    /// The tagged answer alone.
    pub(super) async fn ask(&mut self, command: &str) -> String {
        self.raw(command.as_bytes()).await.1
    }

    /// The untagged answers and the tagged one are these, each without its CRLF; a `~` at the end stands for any rest.
    pub(super) async fn check(&mut self, command: &str, expected: &[&str]) {
        let (pieces, answer) = self.raw(command.as_bytes()).await;
        let seen: Vec<String> = pieces.iter().map(|piece| text(piece)).chain([answer]).collect();
        let fits = |(seen, expected): (&String, &&str)| match expected.strip_suffix('~') {
            Some(begin) => seen.starts_with(begin),
            None => seen == expected,
        };
        let is_same = seen.len() == expected.len() && seen.iter().zip(expected).all(fits);
        assert!(is_same, "{command}\nexpected {expected:#?}\nseen {seen:#?}");
    }

    /// Appends a message to a mailbox, with `arguments` such as flags before it.
    pub(super) async fn append(&mut self, mailbox: &str, arguments: &str, message: &[u8]) -> String {
        let command = format!("APPEND {mailbox} {arguments}{{{}+}}\r\n", message.len());
        self.raw(&[command.as_bytes(), message].concat()).await.1
    }

    /// The octets of the one literal (or quoted string) of the one answer to a FETCH.
    pub(super) async fn octets(&mut self, command: &str) -> Vec<u8> {
        let (pieces, answer) = self.raw(command.as_bytes()).await;
        assert!(answer.starts_with("OK "), "{command}: {answer}");
        let [piece] = pieces.as_slice() else { panic!("{command}: {} answers", pieces.len()) };
        let line = piece.iter().position(|octet| *octet == b'\n').unwrap() + 1;
        let size = announced(&piece[..line]).unwrap_or_else(|| panic!("{command}: {}", text(piece)));
        assert_eq!(&piece[line + size..], b")\r\n", "{command}");
        piece[line..line + size].to_vec()
    }
}

/// How long the literal is that a line announces at its end.
fn announced(line: &[u8]) -> Option<usize> {
    let line = line.strip_suffix(b"}\r\n")?;
    let digits = &line[line.iter().rposition(|octet| *octet == b'{')? + 1..];
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).trim_end_matches("\r\n").to_owned()
}
