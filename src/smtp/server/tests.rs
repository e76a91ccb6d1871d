use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Context, Profile, Vrfy, serve};
use crate::base::{Address, Clock, DomainName, MessageIds, Secret, SeededRandom, SystemClock, limits};
use crate::directory::{
    self, AccountChange, AccountFields, AliasFields, Authenticator, DomainFields, Precondition, PutAlias, PutDomain,
};
use crate::dkim::{ActivateKey, AddKeys, Algorithm, BodyHasher, KeyPair};
use crate::intake::{self, Sessions};
use crate::net::Connection;
use crate::settings::Settings;
use crate::store::{Options, Schema, Store};
use crate::{mailbox, queue, trace, turn};

mod refusals;

const PEER: &str = "192.0.2.7:50000";
const LOOPBACK: &str = "127.0.0.1:50000";

/// A server in memory with `alice@example.test` and `bob@example.test`, both with the password `pillarbox`.
pub(super) async fn context() -> Context {
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
    ]
    .concat();
    let schema = Schema { version: 1, tables: tables.leak(), checks: &[], migrations: &[] };
    let store = Store::open(Options::memory(Arc::clone(&clock)), Box::leak(Box::new(schema))).unwrap();
    let authenticator = Arc::new(Authenticator::new(store.clone(), Arc::clone(&clock), random.clone()));
    let at = clock.now();
    let fields = DomainFields::new(&Settings::default());
    let name = DomainName::parse("example.test").unwrap();
    let _ = store.write(PutDomain { name, fields, precondition: Precondition::None, at }).await.unwrap();
    let password = authenticator.hash(Secret::new("pillarbox".to_owned())).await.unwrap();
    for address in ["alice@example.test", "bob@example.test"] {
        let change = AccountChange {
            address: Address::parse(address).unwrap(),
            fields: AccountFields::default(),
            password: Some(password.clone()),
            precondition: Precondition::None,
            at,
        };
        let _ = store.write(mailbox::PutAccount(change)).await.unwrap();
    }
    let (ids, hostname) = (Arc::new(MessageIds::default()), DomainName::parse("mx.test").unwrap());
    let settings = Settings::default();
    Context {
        store,
        authenticator,
        clock,
        outbound: Arc::new(intake::Outbound::of(&settings, hostname.clone(), Arc::clone(&ids)).unwrap()),
        ids,
        sessions: Sessions::new(&*random),
        leases: turn::Leases::new(),
        flushes: turn::Flushes::new(),
        entropy: super::Entropy::new(random),
        hostname,
        tls: None,
        tls_asking: None,
        message_bytes_max: 1_000_000,
        recipients_max: 100,
        evidence: None,
        vrfy: Vrfy::Known,
        idle: Duration::from_secs(20),
        refusal_delay: Duration::ZERO,
        stop: CancellationToken::new(),
    }
}

fn dial(context: &Context, profile: Profile, peer: &str) -> (DuplexStream, JoinHandle<()>) {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let local: SocketAddr = "192.0.2.1:25".parse().unwrap();
    let connection = Connection::memory(ours, peer.parse().unwrap(), local);
    let context = Arc::new(context.clone());
    (theirs, tokio::spawn(async move { drop(serve(connection, context, profile).await) }))
}

/// Reads up to the end of a reply that begins with `last`.
async fn hear(stream: &mut DuplexStream, last: &str) -> String {
    let mut heard = String::new();
    while !(heard.ends_with("\r\n") && heard.lines().last().is_some_and(|line| line.starts_with(last))) {
        let mut byte = [0; 4096];
        let count = stream.read(&mut byte).await.unwrap();
        assert!(count > 0, "the server has closed the connection behind {heard:?}");
        heard.push_str(std::str::from_utf8(&byte[..count]).unwrap());
    }
    heard
}

/// What is in the account's INBOX.
async fn messages(context: &Context, address: &str) -> Vec<String> {
    let view = context.store.view().unwrap();
    let account = directory::account(&view, &Address::parse(address).unwrap()).unwrap().unwrap();
    let inbox = mailbox::inbox(&view, account.id).unwrap().unwrap();
    let entries = mailbox::listing(&view, inbox).unwrap();
    drop(view);
    let mut found = Vec::new();
    for entry in entries {
        let mut content = mailbox::content(&context.store, inbox, entry.uid).unwrap().unwrap();
        let mut bytes = Vec::new();
        while let Some(piece) = content.next().await.unwrap() {
            bytes.extend_from_slice(&piece);
        }
        assert_eq!(bytes.len() as u64, entry.size_bytes);
        found.push(String::from_utf8(bytes).unwrap());
    }
    found
}

/// A whole session, sent in pieces of `piece` octets behind the greeting; what was heard, without the message's id.
pub(super) async fn play(context: &Context, profile: Profile, script: &[u8], piece: usize) -> String {
    let (mut stream, session) = dial(context, profile, LOOPBACK);
    let greeting = hear(&mut stream, "220 ").await;
    let (mut reading, mut writing) = tokio::io::split(stream);
    let script = script.to_vec();
    let writer = tokio::spawn(async move {
        for chunk in script.chunks(piece) {
            if writing.write_all(chunk).await.is_err() {
                break;
            }
        }
        writing
    });
    let mut heard = greeting;
    reading.read_to_string(&mut heard).await.unwrap();
    let _writing = writer.await.unwrap();
    session.await.unwrap();
    let mask = |word: &str| if word.starts_with("m_") { "ID".to_owned() } else { word.to_owned() };
    heard.split(' ').map(mask).collect::<Vec<_>>().join(" ")
}

const MX: &str = "EHLO client.test\r\nMAIL FROM:<a@elsewhere.test>\r\nRCPT TO:<alice@example.test>\r\n\
    RCPT TO:<nobody@example.test>\r\nRCPT TO:<c@elsewhere.test>\r\nDATA\r\nSubject: hello\r\n\r\n..\r\ntext\r\n.\r\n\
    NOOP\r\nMAIL FROM:<>\r\nRSET\r\nFOO\r\nQUIT\r\n";

#[tokio::test]
async fn any_way_of_cutting_a_session_gives_the_same() {
    let context = context().await;
    let whole = play(&context, Profile::Mx, MX.as_bytes(), MX.len()).await;
    let codes: Vec<&str> = whole.lines().map(|line| &line[..3]).collect();
    let expected = "220 250 250 250 250 250 250 250 250 250 250 250 250 250 550 550 354 250 250 250 250 500 221";
    assert_eq!(codes, expected.split(' ').collect::<Vec<_>>(), "{whole}");
    for piece in [1, 2, 3, 7, 64] {
        // Another text each time: the client did not wait for our 250, so the same would be a retransmission.
        let script = MX.replace("hello", &format!("piece{piece}"));
        assert_eq!(play(&context, Profile::Mx, script.as_bytes(), piece).await, whole, "pieces of {piece}");
    }
    assert_eq!(play(&context, Profile::Mx, MX.as_bytes(), 5).await, whole);
    let messages = messages(&context, "alice@example.test").await;
    assert_eq!(messages.len(), 6);
    for message in messages {
        assert!(message.starts_with("Return-Path: <a@elsewhere.test>\r\n"), "{message}");
        assert!(message.ends_with("\r\n\r\n.\r\ntext\r\n") && message.contains("\r\nSubject: "), "{message}");
    }
}

#[tokio::test]
async fn a_group_of_commands_is_answered_in_one_piece() {
    let context = context().await;
    let (mut stream, _session) = dial(&context, Profile::Mx, PEER);
    hear(&mut stream, "220 ").await;
    stream.write_all(b"EHLO c.test\r\n").await.unwrap();
    hear(&mut stream, "250 HELP").await;
    stream.write_all(b"MAIL FROM:<a@b.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n").await.unwrap();
    let mut first = [0; 1000];
    let count = stream.read(&mut first).await.unwrap();
    assert_eq!(first[..count].iter().filter(|byte| **byte == b'\n').count(), 3);
}

#[tokio::test]
async fn who_speaks_before_the_greeting_is_sent_away() {
    let context = context().await;
    let (ours, mut theirs) = tokio::io::duplex(1024);
    theirs.write_all(b"EHLO spam.test\r\n").await.unwrap();
    let connection = Connection::memory(ours, PEER.parse().unwrap(), "192.0.2.1:25".parse().unwrap());
    let session = tokio::spawn(serve(connection, Arc::new(context), Profile::Mx));
    let heard = hear(&mut theirs, "554 ").await;
    assert!(heard.starts_with("554 5.5.1 "), "{heard}");
    drop(theirs);
    session.await.unwrap();
}

#[tokio::test]
async fn a_stop_ends_sessions_between_commands_and_lets_data_come_to_its_end() {
    let context = context().await;
    let (mut waiting, _first) = dial(&context, Profile::Mx, PEER);
    hear(&mut waiting, "220 ").await;
    let (mut sending, _second) = dial(&context, Profile::Mx, PEER);
    hear(&mut sending, "220 ").await;
    sending.write_all(b"HELO c\r\nMAIL FROM:<>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n").await.unwrap();
    hear(&mut sending, "354 ").await;
    context.stop.cancel();
    assert!(hear(&mut waiting, "421 ").await.starts_with("421 4.3.2 "));
    sending.write_all(b"text: x\r\n\r\nbody\r\n.\r\nNOOP\r\n").await.unwrap();
    let heard = hear(&mut sending, "421 ").await;
    assert!(heard.starts_with("250 2.0.0 m_") && heard.contains("\r\n421 4.3.2 "), "{heard}");
    assert_eq!(messages(&context, "alice@example.test").await.len(), 1);
}

#[tokio::test]
async fn a_silent_client_is_sent_away() {
    let context = Context { idle: Duration::from_millis(50), ..context().await };
    let (mut silent, _first) = dial(&context, Profile::Mx, PEER);
    assert!(hear(&mut silent, "421 ").await.contains("\r\n421 4.4.2 "));
    let (mut stalled, _second) = dial(&context, Profile::Mx, PEER);
    hear(&mut stalled, "220 ").await;
    stalled.write_all(b"HELO c\r\nMAIL FROM:<>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\nhalf").await.unwrap();
    assert!(hear(&mut stalled, "421 ").await.contains("\r\n421 4.4.2 "));
    assert!(messages(&context, "alice@example.test").await.is_empty());
}

#[tokio::test]
async fn the_first_octet_behind_a_250_confirms_it() {
    let context = context().await;
    let bring = async |ending: &[u8]| {
        let (mut stream, session) = dial(&context, Profile::Mx, PEER);
        hear(&mut stream, "220 ").await;
        stream.write_all(b"HELO c\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n").await.unwrap();
        hear(&mut stream, "354 ").await;
        stream.write_all(b"Subject: once\r\n\r\nbody\r\n.\r\n").await.unwrap();
        let heard = hear(&mut stream, "250 ").await;
        stream.write_all(ending).await.unwrap();
        drop(stream);
        session.await.unwrap();
        heard
    };
    let first = bring(b"").await;
    assert_eq!(bring(b"").await, first, "it came again: the first 250 was missed");
    assert_eq!(bring(b"N").await, first);
    assert!(bring(b"").await != first, "the last 250 was read: this is a new message");
    assert_eq!(messages(&context, "bob@example.test").await.len(), 2);
}

#[tokio::test]
async fn who_has_logged_in_sends_as_itself() {
    let context = context().await;
    let login = STANDARD.encode("\0alice@example.test\0pillarbox");
    let script = format!(
        "EHLO c.test\r\nAUTH PLAIN {login}\r\nMAIL FROM:<bob@example.test>\r\nMAIL FROM:<alice@example.test>\r\n\
         RCPT TO:<someone@elsewhere.test>\r\nRCPT TO:<bob@example.test>\r\nVRFY bob\r\nVRFY <nobody@example.test>\r\n\
         VRFY x@elsewhere.test\r\nDATA\r\nFrom: alice@example.test\nBcc: x@y.test\n\nhello\n.\nyou\r\n.\r\n\
         MAIL FROM:<>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\nFrom: alice@example.test\r\n\r\n.\r\nQUIT\r\n"
    );
    let heard = play(&context, Profile::Submission, script.as_bytes(), script.len()).await;
    let replies: Vec<&str> = heard.lines().skip_while(|line| !line.starts_with("235")).collect();
    let expected = [
        "235 2.7.0",
        "553 5.7.1",
        "250 2.1.0",
        "250 2.1.5",
        "250 2.1.5",
        "250 2.1.5 <bob@example.test>",
        "550 5.1.1",
        "252 2.5.0",
        "354",
        "250 2.0.0 ID queued",
        "250 2.1.0",
        "250 2.1.5",
        "354",
        "550 5.7.1",
        "221 2.0.0",
    ];
    assert_eq!(replies.len(), expected.len(), "{heard}");
    assert!(replies.iter().zip(expected).all(|(reply, start)| reply.starts_with(start)), "{heard}");
    let messages = messages(&context, "bob@example.test").await;
    assert_eq!(messages.len(), 1);
    let message = &messages[0];
    assert!(
        message.contains(" with ESMTPA") && message.contains("\r\nDate: ") && message.contains("\r\nMessage-ID: <m_")
    );
    assert!(message.ends_with("From: alice@example.test\r\n\r\nhello\r\n.\r\nyou\r\n"), "{message}");
}

#[tokio::test]
async fn what_somebody_who_has_logged_in_sends_is_signed() {
    let context = context().await;
    let domain = DomainName::parse("example.test").unwrap();
    let keys = vec![("e1".to_owned(), KeyPair::generate(Algorithm::Ed25519).unwrap())];
    let add = AddKeys { domain: domain.clone(), keys, only_first: true, at: context.clock.now() };
    let _ = context.store.write(add).await.unwrap();
    let (selector, seen_in) = ("e1".into(), vec![domain.clone()]);
    let (precondition, at) = (Precondition::None, context.clock.now());
    let _ = context.store.write(ActivateKey { domain, selector, seen_in, precondition, at }).await.unwrap();
    let login = STANDARD.encode("\0alice@example.test\0pillarbox");
    // However it is cut: the hash of its body is the same.
    for piece in [1, 7, 1000] {
        let message = format!("From: alice@example.test\nBcc: x@y.test\nSubject: {piece}\n\nhello\n \t\n\r\n.\r\n");
        let script = format!(
            "EHLO c.test\r\nAUTH PLAIN {login}\r\nMAIL FROM:<alice@example.test>\r\nRCPT TO:<bob@example.test>\r\n\
             DATA\r\n{message}QUIT\r\n"
        );
        play(&context, Profile::Submission, script.as_bytes(), piece).await;
    }
    let signed = messages(&context, "bob@example.test").await;
    assert_eq!(signed.len(), 3);
    let mut hasher = BodyHasher::default();
    hasher.push(b"\r\nhello\r\n");
    let hash = format!("bh={};", STANDARD.encode(hasher.finish().0));
    for message in signed {
        let (own, rest) = message.split_once("DKIM-Signature: ").expect("a signature");
        assert!(own.starts_with("Return-Path:") && !own.contains("Received:"), "{message}");
        assert!(rest.contains("; s=e1; d=example.test;") && !rest.contains("Bcc:"), "{message}");
        assert!(rest.replace("\r\n\t", "").contains(&hash), "{message}");
        // What we have added is signed too.
        let names = rest.replace("\r\n\t", "");
        assert_eq!(names.matches("Message-ID").count(), 3, "{message}");
    }
    // A stranger on port 25 who says that it is alice's.
    let script = "EHLO c.test\r\nMAIL FROM:<a@far.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n\
        From: alice@example.test\r\n\r\nhello\r\n.\r\nQUIT\r\n";
    play(&context, Profile::Mx, script.as_bytes(), script.len()).await;
    let all = messages(&context, "bob@example.test").await;
    assert!(all.len() == 4 && !all[3].contains("DKIM-Signature"));
}

#[tokio::test]
async fn a_message_that_is_too_large_is_read_to_its_end_and_not_kept() {
    let context = Context { message_bytes_max: 100_000, ..context().await };
    let line = "x".repeat(998);
    let body: String = (0..200).map(|_| format!("{line}\r\n")).collect();
    let script = format!(
        "EHLO c.test\r\nMAIL FROM:<> SIZE=100001\r\nMAIL FROM:<>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n\
         Subject: large\r\n\r\n{body}.\r\nQUIT\r\n"
    );
    let heard = play(&context, Profile::Mx, script.as_bytes(), 5000).await;
    let codes: Vec<&str> = heard.lines().rev().take(6).map(|line| line.get(..9).unwrap_or(line)).collect();
    let expected = ["221 2.0.0", "552 5.3.4", "354 Send ", "250 2.1.5", "250 2.1.0", "552 5.3.4"];
    assert_eq!(codes, expected, "{heard}");
    assert!(messages(&context, "alice@example.test").await.is_empty());
}

/// Says the script from an address, all of it at once; what was heard.
async fn say(context: &Context, profile: Profile, from: &str, script: &str) -> String {
    let (mut stream, session) = dial(context, profile, from);
    let mut heard = hear(&mut stream, "220 ").await;
    stream.write_all(script.as_bytes()).await.unwrap();
    stream.read_to_string(&mut heard).await.unwrap();
    drop(stream);
    session.await.unwrap();
    // Up to when mail may be put off is another moment each time.
    let mask = |line: &str| match line.rsplit_once(' ') {
        Some((before, _)) if line.starts_with("250-FUTURERELEASE ") => format!("{before} TIME\r\n"),
        _ => line.to_owned(),
    };
    heard.split_inclusive('\n').map(mask).collect()
}

/// Makes a peer that holds `branch.test`, with all verbs and the secret `s3cret`.
async fn make_peer(context: &Context, networks: &str) {
    let verbs = vec![turn::Verb::Turn, turn::Verb::Atrn, turn::Verb::Etrn];
    let login = queue::Login { user: "branch".into(), secret: "s3cret".into() };
    let domains = vec![DomainName::parse("branch.test").unwrap()];
    let fields = turn::PeerFields {
        networks: networks.parse().unwrap(),
        ..turn::PeerFields::dialling_us(verbs, domains, Some(login))
    };
    let (precondition, at) = (Precondition::None, context.clock.now());
    let put = turn::PutPeer { name: "branch".into(), fields, keep_secret: false, precondition, at };
    let _ = context.store.write(put).await.unwrap();
}

/// A hold route makes us the mail exchanger of its domain; what comes is nobody's whom we know.
#[tokio::test]
async fn a_stranger_may_send_to_what_a_route_keeps_for_a_peer() {
    let context = context().await;
    make_peer(&context, "").await;
    let script = "EHLO a.test\r\nMAIL FROM:<x@far.test>\r\nRCPT TO:<b@branch.test>\r\nRCPT TO:<c@annex.test>\r\nDATA\r\n\
        Subject: kept\r\n\r\nx\r\n.\r\nQUIT\r\n";
    let refused = play(&context, Profile::Mx, script.as_bytes(), script.len()).await;
    assert_eq!(refused.matches("550 5.7.1 ").count(), 2, "{refused}");
    let fields = queue::RouteFields {
        matches: queue::Match::Domain(DomainName::parse("annex.test").unwrap()),
        kind: queue::RouteKind::Hold { peer: "branch".into() },
        note: String::new(),
    };
    let (precondition, at) = (Precondition::None, context.clock.now());
    let _ = context.store.write(queue::PutRoute { name: "annex".into(), fields, precondition, at }).await.unwrap();
    let taken = play(&context, Profile::Mx, script.as_bytes(), script.len()).await;
    assert!(taken.matches("550 5.7.1 ").count() == 1 && taken.contains("queued"), "{taken}");
    let view = context.store.view().unwrap();
    let entries = queue::entries(&view, None, 9).unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].entry.recipient.to_string(), "c@annex.test");
    let message = queue::message(&view, entries[0].id.message).unwrap().unwrap();
    assert_eq!(message.notify, queue::Notify::Postmaster);
}

#[tokio::test]
async fn a_stranger_can_not_tell_whether_there_are_peers() {
    let (empty, any, near) = (context().await, context().await, context().await);
    make_peer(&any, "").await;
    make_peer(&near, "198.51.100.0/24").await;
    let login = STANDARD.encode("\0branch\0s3cret");
    let script = "TURN\r\nATRN\r\nETRN branch.test\r\nEHLO c.test\r\nHELP\r\nHELP TURN\r\nHELP ATRN\r\nHELP ETRN\r\n\
         HELP AUTH\r\nTURN\r\nTURN x\r\nATRN\r\nATRN branch.test\r\nATRN !\r\nETRN branch.test\r\n\
         ETRN @branch.test\r\nETRN #branch\r\nETRN nobody.test\r\nETRN\r\nMAIL FROM:<a@b.test>\r\n\
         RCPT TO:<x@branch.test>\r\nTURN\r\nATRN branch.test\r\nQUIT\r\n";
    let knock = format!("EHLO c.test\r\nAUTH PLAIN {login}\r\nTURN\r\nQUIT\r\n");
    for profile in [Profile::Mx, Profile::Submission, Profile::Odmr] {
        let heard = say(&empty, profile, PEER, script).await;
        assert!(heard.lines().count() > 15, "{heard}");
        assert_eq!(say(&any, profile, PEER, script).await, heard, "{profile:?}");
        // From elsewhere than where the peer dials from, the login itself is no sign, even where a password may pass.
        for (script, from) in [(script, PEER), (script, LOOPBACK), (&knock, PEER), (&knock, LOOPBACK)] {
            let heard = say(&empty, profile, from, script).await;
            assert_eq!(say(&near, profile, from, script).await, heard, "{profile:?} from {from}");
        }
    }
    // Whoever may dial as a peer is offered the login where it can't be read, and nothing else.
    let heard = say(&any, Profile::Mx, LOOPBACK, "EHLO c.test\r\nQUIT\r\n").await;
    let without = heard.replace("250-AUTH SCRAM-SHA-256 PLAIN LOGIN\r\n", "");
    assert_ne!(without, heard);
    assert_eq!(say(&empty, Profile::Mx, LOOPBACK, "EHLO c.test\r\nQUIT\r\n").await, without);
}

#[tokio::test]
async fn a_peer_is_told_what_a_crowd_could_use() {
    let context = context().await;
    make_peer(&context, "").await;
    let login = STANDARD.encode("\0branch\0s3cret");
    let lease = context.leases.take("branch");
    let script = format!("EHLO c.test\r\nAUTH PLAIN {login}\r\nATRN branch.test\r\nTURN x\r\nATRN x.test\r\n");
    let codes = async |script: &str| {
        let heard = say(&context, Profile::Mx, LOOPBACK, script).await;
        heard.lines().skip_while(|line| !line.starts_with("235")).map(|line| line[..9].to_owned()).collect::<Vec<_>>()
    };
    // Said at once, the first of them is followed.
    assert_eq!(codes(&script).await, ["235 2.7.0", "503 5.5.1"]);
    let (mut stream, session) = dial(&context, Profile::Mx, LOOPBACK);
    hear(&mut stream, "220 ").await;
    let mut ask = async |line: &str, code: &str| {
        stream.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
        hear(&mut stream, code).await
    };
    ask("EHLO c.test", "250 ").await;
    ask(&format!("AUTH PLAIN {login}"), "235 2.7.0").await;
    ask("TURN", "450 4.3.2").await;
    ask("ATRN", "450 4.3.2").await;
    drop(lease);
    ask("ATRN", "453 4.3.0").await;
    // The peer loses its login: what it has said before counts no more.
    let delete = turn::DeletePeer { name: "branch".into(), precondition: Precondition::None };
    let _ = context.store.write(delete).await.unwrap();
    ask("ATRN", "450 4.7.1").await;
    ask("ETRN branch.test", "459 4.7.1").await;
    ask("QUIT", "221 ").await;
    drop(stream);
    session.await.unwrap();
}

/// A group of `members` accounts, `all@example.test`.
async fn make_group(context: &Context, members: usize) {
    let at = context.clock.now();
    let addresses: Vec<Address> =
        (0..members).map(|number| Address::parse(&format!("u{number}@example.test")).unwrap()).collect();
    for address in &addresses {
        let (address, fields) = (address.clone(), AccountFields::default());
        let change = AccountChange { address, fields, password: None, precondition: Precondition::None, at };
        let _ = context.store.write(mailbox::PutAccount(change)).await.unwrap();
    }
    let fields = AliasFields::leading_to(addresses);
    let address = Address::parse("all@example.test").unwrap();
    let _ = context.store.write(PutAlias { address, fields, precondition: Precondition::None, at }).await.unwrap();
}

#[tokio::test]
async fn a_group_that_is_named_again_and_again_fills_no_memory() {
    let context = context().await;
    make_group(&context, 60).await;
    let groups: String = (0..100).map(|tag| format!("RCPT TO:<all+{tag}@example.test>\r\n")).collect();
    let script = format!(
        "HELO x\r\nMAIL FROM:<>\r\n{groups}RCPT TO:<bob@example.test>\r\nRSET\r\nMAIL FROM:<>\r\n\
         RCPT TO:<bob@example.test>\r\nQUIT\r\n"
    );
    let heard = play(&context, Profile::Mx, script.as_bytes(), script.len()).await;
    let taken = heard.lines().filter(|line| *line == "250 2.1.5 Recipient OK").count();
    let refused = heard.lines().filter(|line| line.starts_with("452 4.5.3 ")).count();
    // 60 copies each, and one transaction behind it that begins anew.
    let groups_taken = limits::TRANSACTION_COPIES / 60 + 1;
    assert_eq!((taken, refused), (groups_taken + 1, 101 - groups_taken), "{heard}");
}

#[tokio::test]
async fn many_recipients_in_one_piece_hold_nobody_up() {
    let context = context().await;
    let recipients = "RCPT TO:<bob@example.test>\r\n".repeat(90);
    let script = format!("HELO x\r\nMAIL FROM:<>\r\n{recipients}QUIT\r\n");
    let turns = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&turns);
    let other = tokio::spawn(async move {
        loop {
            counted.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    });
    let (mut stream, session) = dial(&context, Profile::Mx, LOOPBACK);
    hear(&mut stream, "220 ").await;
    let before = turns.load(Ordering::Relaxed);
    stream.write_all(script.as_bytes()).await.unwrap();
    hear(&mut stream, "221 ").await;
    let during = turns.load(Ordering::Relaxed) - before;
    other.abort();
    drop(stream);
    session.await.unwrap();
    assert!(during >= 90, "the others had {during} turns during 90 recipients");
}

#[tokio::test]
async fn a_submission_session_ends_with_its_login() {
    let context = context().await;
    let log_in = async || {
        let (mut stream, session) = dial(&context, Profile::Submission, LOOPBACK);
        hear(&mut stream, "220 ").await;
        stream.write_all(b"EHLO client.test\r\n").await.unwrap();
        hear(&mut stream, "250 ").await;
        let plain = STANDARD.encode("\0alice@example.test\0pillarbox");
        stream.write_all(format!("AUTH PLAIN {plain}\r\n").as_bytes()).await.unwrap();
        hear(&mut stream, "235 ").await;
        (stream, session)
    };
    let (mut waiting, first) = log_in().await;
    let (mut sending, second) = log_in().await;
    sending.write_all(b"MAIL FROM:<alice@example.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n").await.unwrap();
    hear(&mut sending, "354 ").await;
    let change = AccountChange {
        address: Address::parse("alice@example.test").unwrap(),
        fields: AccountFields { enabled: false, ..AccountFields::default() },
        password: None,
        precondition: Precondition::None,
        at: context.clock.now(),
    };
    let _ = context.store.write(mailbox::PutAccount(change)).await.unwrap();
    let heard = hear(&mut waiting, "421 ").await;
    assert_eq!(heard, "421 4.7.0 Your login has ended: log in again\r\n");
    // What was begun before is not taken either.
    sending.write_all(b"From: alice@example.test\r\nSubject: x\r\n\r\ntext\r\n.\r\n").await.unwrap();
    let heard = hear(&mut sending, "421 ").await;
    assert!(heard.starts_with("451 4.7.0 "), "{heard}");
    first.await.unwrap();
    second.await.unwrap();
    assert!(messages(&context, "bob@example.test").await.is_empty());
}
