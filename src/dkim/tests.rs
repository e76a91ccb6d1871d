mod seal;

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Instant;

use mail_auth::common::parse::TxtRecordParser;
use mail_auth::common::verify::DomainKey;
use mail_auth::hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use mail_auth::{AuthenticatedMessage, DkimResult, MessageAuthenticator, Parameters, ResolverCache, Txt};

use super::row::KEYS;
use super::*;
use crate::base::{DomainName, KeyRing, SeededRandom, SystemClock, SystemRandom, Timestamp};
use crate::directory::{self, DeleteDomain, DomainFields, Precondition, PutDomain};
use crate::settings::Settings;
use crate::store::{Committed, Options, Read, Schema, Sealing, Span, Store, WriteError};

const AT: Timestamp = Timestamp(1_795_341_900_123);
const MESSAGE: &str = "Date: Sun, 22 Nov 2026 10:05:00 +0000\r\nFrom: Alice <alice@example.test>\r\n\
    To: bob@far.test\r\nSubject: on  two\r\n\tlines\r\nMessage-ID: <1@example.test>\r\nX-Other: x\r\n\r\n\
    Hello \t Bob, \r\n\r\ncaf\u{e9}\r\n\r\n\r\n";

/// A file with the domain `example.test`, also named `other.test`.
struct World {
    store: Store,
    signers: Signers,
}

/// The DNS that a verifier asks.
#[derive(Default)]
struct Records(HashMap<Box<str>, Txt>);

impl ResolverCache<Box<str>, Txt> for Records {
    fn get<Q>(&self, name: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.0.get(name).cloned()
    }

    fn remove<Q>(&self, _: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        None
    }

    fn insert(&self, _: Box<str>, _: Txt, _: Instant) {}
}

fn name(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

fn schema() -> &'static Schema {
    let tables = [directory::TABLES, TABLES].concat();
    let checks: Vec<_> = directory::CHECKS.iter().chain(CHECKS).copied().collect();
    Box::leak(Box::new(Schema { version: 1, tables: tables.leak(), checks: checks.leak(), migrations: &[] }))
}

impl World {
    fn new() -> Self {
        Self::with(Options::memory(Arc::new(SystemClock)))
    }

    fn with(options: Options) -> Self {
        let world = Self { store: Store::open(options, schema()).unwrap(), signers: Signers::default() };
        world.put_domain("example.test", &["other.test"]);
        world
    }

    fn put_domain(&self, domain: &str, aliases: &[&str]) {
        let aliases = aliases.iter().map(|alias| name(alias)).collect();
        let fields = DomainFields { aliases, ..DomainFields::new(&Settings::default()) };
        let put = PutDomain { name: name(domain), fields, precondition: Precondition::None, at: AT };
        self.store.write_blocking(put).unwrap().into_inner();
    }

    fn add(&self, domain: &str, selector: &str, algorithm: Algorithm) -> Result<DkimKey, KeyRefused> {
        let keys = vec![(selector.to_owned(), KeyPair::generate(algorithm).unwrap())];
        let op = AddKeys { domain: name(domain), keys, only_first: false, at: AT };
        self.write(op).map(|mut added| added.remove(0))
    }

    fn activate(&self, domain: &str, selector: &str, seen_in: &[&str]) -> Result<DkimKey, KeyRefused> {
        let seen_in = seen_in.iter().map(|text| name(text)).collect();
        let (domain, selector) = (name(domain), selector.to_owned());
        self.write(ActivateKey { domain, selector, seen_in, precondition: Precondition::None, at: AT })
    }

    fn delete(&self, selector: &str, force: bool) -> Result<(), KeyRefused> {
        let (domain, selector) = (name("example.test"), selector.to_owned());
        self.write(DeleteKey { domain, selector, precondition: Precondition::None, force })
    }

    fn write<O: crate::store::Op>(&self, op: O) -> Result<O::Out, O::Refused>
    where
        O::Refused: std::fmt::Debug + std::fmt::Display,
    {
        match self.store.write_blocking(op).map(Committed::into_inner) {
            Ok(out) => Ok(out),
            Err(WriteError::Refused(refused)) => Err(refused),
            Err(error) => panic!("{error}"),
        }
    }

    fn states(&self, domain: &str) -> Vec<(String, &'static str)> {
        let keys = keys(&self.store.view().unwrap(), &name(domain)).unwrap();
        let state = |key: &DkimKey| match key.state {
            KeyState::Pending => "pending",
            KeyState::Active { .. } => "active",
            KeyState::Retiring { .. } => "retiring",
        };
        keys.iter().map(|key| (key.selector.clone(), state(key))).collect()
    }

    /// The signature fields of a message of that author.
    fn sign(&self, author: &str, message: &str) -> String {
        let (head, body) = split(message);
        let author = name(author);
        let unsigned = Unsigned { author: &author, head: head.as_bytes(), body: hash(body), at: AT };
        let fields = self.signers.sign(&self.store.view().unwrap(), &unsigned).unwrap();
        String::from_utf8(fields).unwrap()
    }

    /// The DNS with the records of all keys, under all names.
    fn published(&self) -> Records {
        let view = self.store.view().unwrap();
        let mut records = Records::default();
        for (_, key) in view.rows(&KEYS, Span::all(), usize::MAX).unwrap() {
            for domain in ["example.test", "other.test", "mail.example.test"] {
                let record = DomainKey::parse(record_value(key.algorithm, &key.public).as_bytes()).unwrap();
                let at = format!("{}.", record_name(&key.selector, &name(domain)));
                records.0.insert(at.into(), Txt::DomainKey(Arc::new(record)));
            }
        }
        records
    }

    fn is_sound(&self) {
        assert_eq!(self.store.check().unwrap().lines(), [""; 0]);
    }
}

/// The header block, and the body from the blank line on.
fn split(message: &str) -> (&str, &str) {
    message.split_at(message.find("\r\n\r\n").unwrap() + 2)
}

fn hash(body: &str) -> BodyHash {
    let mut hasher = BodyHasher::default();
    hasher.push(body.as_bytes());
    hasher.finish()
}

fn verifier() -> MessageAuthenticator {
    let server = NameServerConfig::new(Ipv4Addr::LOCALHOST.into(), true, vec![ConnectionConfig::udp()]);
    let config = ResolverConfig::from_name_servers(vec![server]);
    MessageAuthenticator::new(config, ResolverOpts::default()).unwrap()
}

/// For each signature of a message: its domain, its selector, and whether it holds.
async fn verify(message: &str, records: &Records) -> Vec<(String, String, bool)> {
    let parsed = AuthenticatedMessage::parse(message.as_bytes()).unwrap();
    let outputs = verifier().verify_dkim(Parameters::new(&parsed).with_txt_cache(records)).await;
    let outputs = outputs.iter().map(|output| {
        let signature = output.signature().unwrap();
        (signature.d.clone(), signature.s.clone(), *output.result() == DkimResult::Pass)
    });
    outputs.collect()
}

fn seen(domain: &str, selector: &str, holds: bool) -> (String, String, bool) {
    (domain.to_owned(), selector.to_owned(), holds)
}

#[tokio::test]
async fn a_message_is_signed_by_each_key_that_is_active() {
    let world = World::new();
    world.add("example.test", "e1", Algorithm::Ed25519).unwrap();
    world.add("example.test", "r1", Algorithm::Rsa2048).unwrap();
    world.add("example.test", "r2", Algorithm::Rsa2048).unwrap();
    assert_eq!(world.sign("example.test", MESSAGE), "", "none is active");
    world.activate("example.test", "e1", &["example.test"]).unwrap();
    world.activate("example.test", "r1", &["example.test"]).unwrap();
    assert_eq!(world.sign("far.test", MESSAGE), "", "a stranger");
    let signed = world.sign("example.test", MESSAGE) + MESSAGE;
    assert_eq!(signed.matches("DKIM-Signature: v=1;").count(), 2);
    assert!(signed.lines().all(|line| line.len() <= 78), "{signed}");
    let records = world.published();
    let both = [seen("example.test", "e1", true), seen("example.test", "r1", true)];
    let mut found = verify(&signed, &records).await;
    found.sort();
    assert_eq!(found, both);
}

#[tokio::test]
async fn what_is_changed_or_added_on_the_way_breaks_the_signature() {
    let world = World::new();
    world.add("example.test", "e1", Algorithm::Ed25519).unwrap();
    world.activate("example.test", "e1", &["example.test"]).unwrap();
    let (signed, records) = (world.sign("example.test", MESSAGE) + MESSAGE, world.published());
    let check = async |what: &str, message: String, holds: bool| {
        assert_eq!(verify(&message, &records).await, [seen("example.test", "e1", holds)], "{what}");
    };
    check("nothing", signed.clone(), true).await;
    check("a trace field", format!("Received: x\r\n{signed}"), true).await;
    check("a field that is not signed", signed.replace("X-Other: x", "X-Other: y"), true).await;
    check("white space", signed.replace("Hello \t Bob, ", "Hello Bob,").replace("on  two\r\n\t", "on two "), true)
        .await;
    check("the body", signed.replace("Hello", "Hallo"), false).await;
    check("the subject", signed.replace("on  two", "on three"), false).await;
    for added in ["From", "To", "Cc", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type", "Reply-To"] {
        let field = format!("{added}: eve@far.test\r\n");
        check(added, format!("{field}{signed}"), false).await;
        check(added, signed.replacen("X-Other", &format!("{field}X-Other"), 1), false).await;
    }
}

#[tokio::test]
async fn mail_of_another_name_of_the_domain_is_signed_in_that_name_once_its_record_is_there() {
    let world = World::new();
    world.add("example.test", "e1", Algorithm::Ed25519).unwrap();
    world.activate("example.test", "e1", &["example.test"]).unwrap();
    let message = MESSAGE.replace("alice@example.test", "alice@other.test");
    let records = world.published();
    let signed = world.sign("other.test", &message) + &message;
    assert_eq!(verify(&signed, &records).await, [seen("example.test", "e1", true)]);
    world.activate("example.test", "e1", &["example.test", "other.test"]).unwrap();
    let signed = world.sign("other.test", &message) + &message;
    assert_eq!(verify(&signed, &records).await, [seen("other.test", "e1", true)]);
}

#[tokio::test]
async fn what_the_server_writes_is_signed_by_the_nearest_domain() {
    let world = World::new();
    let sign = |hostname: &str| {
        let (head, body) = split(MESSAGE);
        let author = name(hostname);
        let unsigned = Unsigned { author: &author, head: head.as_bytes(), body: hash(body), at: AT };
        String::from_utf8(world.signers.sign_own(&world.store.view().unwrap(), &unsigned).unwrap()).unwrap()
    };
    world.add("example.test", "e1", Algorithm::Ed25519).unwrap();
    assert_eq!(sign("mx.mail.example.test"), "");
    world.activate("example.test", "e1", &["example.test"]).unwrap();
    let signed = sign("mx.mail.example.test") + MESSAGE;
    assert_eq!(verify(&signed, &world.published()).await, [seen("example.test", "e1", true)]);
    world.put_domain("mail.example.test", &[]);
    world.add("mail.example.test", "e2", Algorithm::Ed25519).unwrap();
    world.activate("mail.example.test", "e2", &["mail.example.test"]).unwrap();
    assert!(sign("mx.mail.example.test").contains("d=mail.example.test;"));
    assert_eq!(sign("mx.far.test"), "");
}

#[tokio::test]
async fn what_was_changed_here_is_signed_anew_and_nothing_else_is() {
    let world = World::new();
    for (selector, algorithm) in [("e1", Algorithm::Ed25519), ("r1", Algorithm::Rsa2048)] {
        world.add("example.test", selector, algorithm).unwrap();
        world.activate("example.test", selector, &["example.test"]).unwrap();
    }
    let (signed, records) = (world.sign("example.test", MESSAGE) + MESSAGE, world.published());
    let again = |message: &str| {
        let again = world.signers.sign_again(&world.store.view().unwrap(), message.as_bytes().to_vec(), AT);
        String::from_utf8(again.unwrap()).unwrap()
    };
    let both = [seen("example.test", "e1", true), seen("example.test", "r1", true)];
    for front in ["", "Delivered-To: list@example.test\r\n"] {
        let changed = format!("{front}{}", signed.replace("caf\u{e9}", "cafe"));
        assert!(verify(&changed, &records).await.iter().all(|(_, _, holds)| !holds));
        let again = again(&changed);
        assert!(again.starts_with(front) && again.ends_with(&MESSAGE.replace("caf\u{e9}", "cafe")));
        let mut found = verify(&again, &records).await;
        found.sort();
        assert_eq!(found, both);
    }
    let strange = signed.replace("d=example.test", "d=far.test");
    assert!(!again(&strange).contains("DKIM-Signature"), "nobody here signs in that name");
    // What comes from elsewhere has passed through our hands.
    for theirs in [format!("Received: x\r\n{signed}"), MESSAGE.to_owned(), "no header".to_owned()] {
        assert_eq!(again(&theirs), theirs);
    }
}

#[test]
fn a_key_takes_the_place_of_the_one_of_its_algorithm() {
    let world = World::new();
    for (selector, algorithm) in [("e1", Algorithm::Ed25519), ("e2", Algorithm::Ed25519), ("r1", Algorithm::Rsa2048)] {
        assert_eq!(world.add("example.test", selector, algorithm).unwrap().state, KeyState::Pending);
    }
    world.activate("example.test", "e1", &["example.test"]).unwrap();
    world.activate("example.test", "r1", &["example.test"]).unwrap();
    let first = world.activate("example.test", "e2", &["example.test"]).unwrap();
    let states = |e1, e2, r1| [("e1".to_owned(), e1), ("e2".to_owned(), e2), ("r1".to_owned(), r1)];
    assert_eq!(world.states("example.test"), states("retiring", "active", "active"));
    let again = world.activate("example.test", "e2", &["example.test"]).unwrap();
    assert_eq!(first.version, again.version, "nothing has changed");
    // Back, where the new one is wrong.
    world.activate("example.test", "e1", &["example.test"]).unwrap();
    assert_eq!(world.states("example.test"), states("active", "retiring", "active"));
    world.is_sound();
}

#[test]
fn what_can_not_be_is_refused() {
    let world = World::new();
    let add = |domain: &str, selector: &str| world.add(domain, selector, Algorithm::Ed25519).map(drop);
    add("example.test", "e1").unwrap();
    assert_eq!(add("example.test", "e1"), Err(KeyRefused::Taken("e1".into())));
    assert_eq!(add("example.test", "E1"), Err(KeyRefused::Selector));
    assert_eq!(add("far.test", "e1"), Err(KeyRefused::NoDomain(name("far.test"))));
    assert_eq!(world.activate("example.test", "e9", &[]).map(drop), Err(KeyRefused::Unknown));
    let keys = vec![("e2".to_owned(), KeyPair::generate(Algorithm::Ed25519).unwrap())];
    let first = AddKeys { domain: name("example.test"), keys, only_first: true, at: AT };
    assert_eq!(world.write(first).map(drop), Err(KeyRefused::NotFirst));
    for number in 2..=crate::base::limits::DKIM_KEYS_PER_DOMAIN {
        add("example.test", &format!("e{number}")).unwrap();
    }
    assert_eq!(add("example.test", "more"), Err(KeyRefused::TooMany));
    world.activate("example.test", "e1", &["example.test"]).unwrap();
    assert_eq!(world.delete("e1", false), Err(KeyRefused::InUse));
    assert_eq!((world.delete("e2", false), world.delete("e1", true)), (Ok(()), Ok(())));
    let late = ActivateKey {
        domain: name("example.test"),
        selector: "e3".into(),
        seen_in: Vec::new(),
        precondition: Precondition::Version(1),
        at: AT,
    };
    assert_eq!(world.write(late).map(drop), Err(KeyRefused::Precondition));
    world.is_sound();
}

#[test]
fn a_domain_takes_its_keys_along() {
    let world = World::new();
    world.put_domain("gone.test", &[]);
    world.add("gone.test", "e1", Algorithm::Ed25519).unwrap();
    world.add("example.test", "e1", Algorithm::Ed25519).unwrap();
    let delete = DeleteDomain { name: name("gone.test"), precondition: Precondition::None };
    world.write(RemoveDomain(delete)).unwrap();
    assert_eq!((world.states("gone.test").len(), world.states("example.test").len()), (0, 1));
    world.is_sound();
}

#[test]
fn the_check_finds_keys_that_are_nobody_s() {
    let world = World::new();
    world.put_domain("gone.test", &[]);
    world.add("gone.test", "e1", Algorithm::Ed25519).unwrap();
    // Past the op that would have taken the key along.
    world.write(DeleteDomain { name: name("gone.test"), precondition: Precondition::None }).unwrap();
    let lines = world.store.check().unwrap().lines().to_vec();
    assert_eq!(lines, ["dkim_keys: e1 is of gone.test, which is not there"]);
}

#[test]
fn private_keys_are_sealed_with_the_key_file() {
    let holds =
        |path: &std::path::Path, key: &[u8]| std::fs::read(path).unwrap().windows(key.len()).any(|piece| piece == key);
    for is_sealed in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mail.redb");
        let line = format!("{}\n", KeyRing::new_line(&SeededRandom::new(1)).expose());
        let ring = KeyRing::parse(line.as_bytes(), Arc::new(SystemRandom)).unwrap();
        let sealing = Arc::new(if is_sealed { Sealing::Keys(ring) } else { Sealing::Plain });
        let world = World::with(Options { sealing, disk_reserve_bytes: 0, ..Options::at(&path) });
        let key = world.add("example.test", "e1", Algorithm::Ed25519).unwrap();
        assert!(!key.private.is_empty());
        world.activate("example.test", "e1", &["example.test"]).unwrap();
        assert!(world.sign("example.test", MESSAGE).contains("s=e1;"));
        world.store.close();
        assert_eq!(holds(&path, &key.private), !is_sealed);
        assert!(holds(&path, b"example.test"));
    }
}

#[test]
fn selectors_say_the_day_and_are_free() {
    let world = World::new();
    let next = || {
        let known = keys(&world.store.view().unwrap(), &name("example.test")).unwrap();
        new_selector(Algorithm::Ed25519, AT, &known)
    };
    for expected in ["e20261122", "e20261122-2", "e20261122-3"] {
        assert_eq!(next(), expected);
        world.add("example.test", expected, Algorithm::Ed25519).unwrap();
    }
    assert_eq!(new_selector(Algorithm::Rsa2048, AT, &[]), "r20261122");
}
