use std::sync::Arc;

use super::record::{BY_ADDRESS, BY_IP, BY_MESSAGE_ID};
use super::strangers::{Octets, STRANGERS, STRANGERS_BYTES};
use super::transcript::{TRANSCRIPTS, put_transcript};
use super::*;
use crate::base::{Enhanced, MessageId, Reply, SystemClock, Timestamp, TraceId};
use crate::store::{Halt, Key, Op, Options, Read, Row, Schema, Span, Store, StoreError, Tx};

static SCHEMA: Schema = Schema { version: 1, tables: TABLES, checks: CHECKS, migrations: &[] };

fn store() -> Store {
    Store::open(Options::memory(Arc::new(SystemClock)), &SCHEMA).unwrap()
}

fn message(number: u64) -> Subject {
    Subject::Message(MessageId(number << 16))
}

fn event(kind: Kind) -> Event {
    Event::new(Timestamp(7), kind, "smtp")
}

fn write(store: &Store, subject: Subject, event: Event) {
    store.write_blocking(Record { subject, event }).unwrap().into_inner();
}

fn found(store: &Store, wanted: &Wanted, before: Option<Subject>, limit: usize) -> Vec<Subject> {
    find(&store.view().unwrap(), wanted, before, limit).unwrap()
}

#[test]
fn a_story_is_told_in_order() {
    let store = store();
    for (number, kind) in [Kind::Accepted, Kind::Delivered, Kind::Expunged].into_iter().enumerate() {
        write(&store, message(1), Event { text: number.to_string(), ..event(kind) });
        write(&store, message(2), event(kind));
    }
    let story = story(&store.view().unwrap(), message(1)).unwrap();
    let seen: Vec<_> = story.iter().map(|event| (event.kind, event.text.as_str())).collect();
    assert_eq!(seen, [(Kind::Accepted, "0"), (Kind::Delivered, "1"), (Kind::Expunged, "2")]);
    assert_eq!(super::story(&store.view().unwrap(), message(3)).unwrap(), []);
}

#[test]
fn a_subject_is_found_by_what_its_events_name() {
    let store = store();
    let refused = Subject::Refused(TraceId(2 << 16));
    let ip: std::net::IpAddr = "192.0.2.1".parse().unwrap();
    write(
        &store,
        message(1),
        Event {
            sender: Some("Alice@Example.test".into()),
            message_id: Some("<1@example.test>".into()),
            peer_ip: Some(ip),
            ..event(Kind::Accepted)
        },
    );
    write(&store, message(1), Event { recipient: Some("bob@bücher.example".into()), ..event(Kind::Delivered) });
    write(
        &store,
        refused,
        Event {
            sender: Some(String::new()),
            recipient: Some("Not An Address".into()),
            peer_ip: Some("::ffff:192.0.2.1".parse().unwrap()),
            message_id: Some("<>".into()),
            ..event(Kind::Rejected)
        },
    );
    write(&store, message(3), Event { sender: Some("alice@example.test".into()), ..event(Kind::Accepted) });
    let check =
        |wanted: Wanted, expected: &[Subject]| assert_eq!(found(&store, &wanted, None, 9), expected, "{wanted:?}");
    check(Wanted::All, &[message(3), refused, message(1)]);
    check(Wanted::Address("ALICE@example.test".into()), &[message(3), message(1)]);
    check(Wanted::Address("bob@xn--bcher-kva.example".into()), &[message(1)]);
    check(Wanted::Address("not an address".into()), &[refused]);
    check(Wanted::Address("ali".into()), &[]);
    check(Wanted::Address(String::new()), &[]);
    check(Wanted::MessageId("1@example.test".into()), &[message(1)]);
    check(Wanted::MessageId("<1@example.test>".into()), &[message(1)]);
    check(Wanted::MessageId("<>".into()), &[]);
    check(Wanted::Ip(ip), &[refused, message(1)]);
    check(Wanted::Ip("192.0.2.2".parse().unwrap()), &[]);
    assert_eq!(store.check().unwrap().lines(), [] as [&str; 0]);
}

#[test]
fn pages_go_backwards_in_time() {
    let store = store();
    for number in 1..=5 {
        // Two events each: a subject stands once in a page.
        write(&store, message(number), Event { sender: Some("a@x.test".into()), ..event(Kind::Accepted) });
        write(&store, message(number), Event { recipient: Some("a@x.test".into()), ..event(Kind::Delivered) });
    }
    for wanted in [Wanted::All, Wanted::Address("a@x.test".into())] {
        assert_eq!(found(&store, &wanted, None, 2), [message(5), message(4)]);
        assert_eq!(found(&store, &wanted, Some(message(4)), 2), [message(3), message(2)]);
        assert_eq!(found(&store, &wanted, Some(message(2)), 2), [message(1)]);
        assert_eq!(found(&store, &wanted, Some(message(1)), 2), []);
    }
}

#[test]
fn subjects_sort_by_time_whatever_they_are() {
    let bytes = |subject: Subject| {
        let mut out = Vec::new();
        subject.write(&mut out);
        assert_eq!(Subject::read(&mut out.as_slice()), Some(subject));
        out
    };
    assert!(bytes(message(1)) < bytes(Subject::Refused(TraceId(2 << 16))));
    assert!(bytes(Subject::Refused(TraceId(2 << 16))) < bytes(message(3)));
    assert_eq!(Subject::read(&mut [0, 0, 0, 0, 0, 0, 0, 1, 2].as_slice()), None);
}

#[test]
fn a_reply_is_kept_with_its_cause() {
    let reply = Reply::new(550, Enhanced(5, 7, 1), "No relaying").because("not ours");
    let event = event(Kind::Rejected).with_reply(&reply);
    assert_eq!(
        (event.code, event.enhanced, event.text.as_str()),
        (Some(550), Some((5, 7, 1)), "No relaying (not ours)")
    );
}

/// The fields of an event as the first version had them, and as the second added.
#[derive(Clone, serde::Serialize)]
struct First {
    at: Timestamp,
    kind: Kind,
    actor: String,
    peer_ip: Option<std::net::IpAddr>,
    helo: Option<String>,
    tls: Option<String>,
    sender: Option<String>,
    recipient: Option<String>,
    message_id: Option<String>,
    size_bytes: Option<u64>,
    code: Option<u16>,
    enhanced: Option<(u8, u16, u16)>,
    text: String,
}

#[derive(Clone, serde::Serialize)]
struct Second {
    first: First,
    server: Option<String>,
    stage: Option<String>,
    duration_ms: Option<u64>,
}

#[derive(serde::Serialize)]
struct Third {
    second: Second,
    account: Option<&'static str>,
    mailbox: Option<&'static str>,
    entry: Option<u32>,
    transcript: Option<u32>,
}

#[test]
fn rows_of_earlier_versions_are_read() {
    let first = First {
        at: Timestamp(7),
        kind: Kind::Expunged,
        actor: "pop3".into(),
        peer_ip: Some(std::net::Ipv4Addr::LOCALHOST.into()),
        helo: None,
        tls: Some("TLSv1.3".into()),
        sender: None,
        recipient: Some("a@x.test".into()),
        message_id: None,
        size_bytes: Some(300),
        code: Some(250),
        enhanced: Some((2, 0, 0)),
        text: "gone".into(),
    };
    let told = Event {
        peer_ip: first.peer_ip,
        tls: first.tls.clone(),
        recipient: first.recipient.clone(),
        size_bytes: first.size_bytes,
        code: first.code,
        enhanced: first.enhanced,
        text: first.text.clone(),
        ..Event::new(Timestamp(7), Kind::Expunged, "pop3")
    };
    let attempted =
        Event { server: Some("mx".into()), stage: Some("end".into()), duration_ms: Some(5), ..told.clone() };
    let second =
        Second { first: first.clone(), server: Some("mx".into()), stage: Some("end".into()), duration_ms: Some(5) };
    let whole = Event {
        account: Some("a@x.test".into()),
        mailbox: Some("INBOX".into()),
        entry: Some(1),
        transcript: Some(2),
        ..attempted.clone()
    };
    let (account, mailbox) = (Some("a@x.test"), Some("INBOX"));
    let third = Third { second: second.clone(), account, mailbox, entry: Some(1), transcript: Some(2) };
    let mut now = Vec::new();
    Event { more: 300, ..whole.clone() }.encode(&mut now);
    let rows = [
        postcard::to_stdvec(&first).unwrap(),
        postcard::to_stdvec(&second).unwrap(),
        postcard::to_stdvec(&third).unwrap(),
        now,
    ];
    let expected = [told, attempted, whole.clone(), Event { more: 300, ..whole }];
    for (at, (row, expected)) in rows.iter().zip(expected).enumerate() {
        let version = u8::try_from(at).unwrap() + 1;
        assert_eq!(Event::decode(version, row), Some(expected), "{version}");
        for wrong in [0, 1, 2, 3, 4, 5].into_iter().filter(|wrong| *wrong != version) {
            assert_eq!(Event::decode(wrong, row), None, "{version} read as {wrong}");
        }
    }
}

#[test]
fn the_list_of_kinds_is_whole() {
    for (number, kind) in Kind::ALL.iter().enumerate() {
        assert_eq!(postcard::to_stdvec(kind).unwrap(), [u8::try_from(number).unwrap()], "{kind:?}");
    }
    assert!(postcard::from_bytes::<Kind>(&[u8::try_from(Kind::ALL.len()).unwrap()]).is_err());
}

#[test]
fn what_happens_in_mailboxes_is_told_where_the_story_is_kept() {
    let store = store();
    let at = |ms| Event { at: Timestamp(ms), account: Some("a@x.test".into()), ..event(Kind::Fetched) };
    let follow = |number, event| store.write_blocking(Follow(message(number), event)).unwrap().into_inner();
    write(&store, message(1), Event { recipient: Some("a@x.test".into()), ..event(Kind::Delivered) });
    assert!(!follow(2, at(7)), "nothing is known of it");
    assert!(follow(1, at(7)));
    assert!(!follow(1, at(8)), "it was told a moment ago");
    assert!(follow(1, at(8 + 60 * 60 * 1000)));
    assert!(follow(1, Event { account: Some("b@x.test".into()), ..at(9 + 60 * 60 * 1000) }));
    let kinds: Vec<Kind> = story(&store.view().unwrap(), message(1)).unwrap().iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [Kind::Delivered, Kind::Fetched, Kind::Fetched, Kind::Fetched]);
    assert_eq!(found(&store, &Wanted::Address("b@x.test".into()), None, 9), [message(1)]);
    assert_eq!(store.check().unwrap().lines(), [] as [&str; 0]);
}

/// Adds an event where the story is kept.
struct Follow(Subject, Event);

impl Op for Follow {
    type Plan = ();
    type Out = bool;
    type Refused = std::convert::Infallible;

    fn name(&self) -> &'static str {
        "test.follow"
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<std::convert::Infallible>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<bool, StoreError> {
        super::follow(tx, self.0, &self.1)
    }
}

#[test]
fn a_dialogue_is_kept_once_and_goes_with_its_story() {
    let store = store();
    let attempt = |number, text| store.write_blocking(Attempt(message(number), text)).unwrap().into_inner();
    for text in ["> 1\n", "> 1\n", "> 2\n", ""] {
        attempt(1, text);
    }
    attempt(3, "> 3\n");
    let view = store.view().unwrap();
    let numbers: Vec<_> = super::story(&view, message(1)).unwrap().iter().map(|event| event.transcript).collect();
    assert_eq!(numbers, [Some(0), Some(0), Some(1), None]);
    assert_eq!(transcript(&view, message(1), 1).unwrap().as_deref(), Some("> 2\n"));
    assert_eq!(transcript(&view, message(1), 2).unwrap(), None);
    assert_eq!(store.check().unwrap().lines(), [] as [&str; 0]);
    assert_eq!(prune_all(&store, 100), 1);
    assert_eq!(transcript(&store.view().unwrap(), message(1), 0).unwrap(), None);
    assert_eq!(transcript(&store.view().unwrap(), message(3), 0).unwrap().as_deref(), Some("> 3\n"));
    assert_eq!(store.check().unwrap().lines(), [] as [&str; 0]);
}

#[test]
fn stories_that_contradict_their_indexes_are_mended() {
    let store = store();
    let ip = std::net::IpAddr::from([192, 0, 2, 1]);
    let (sender, message_id) = (Some("a@x.test".into()), Some("<1@x.test>".into()));
    write(&store, message(1), Event { sender, message_id, peer_ip: Some(ip), ..event(Kind::Accepted) });
    let lost = |tx: &mut Tx<'_>| {
        tx.remove(&BY_ADDRESS, &("a@x.test".into(), message(1)))?;
        let by_id = tx.first(&BY_MESSAGE_ID, Span::all())?.expect("there is one").0;
        let by_ip = tx.first(&BY_IP, Span::all())?.expect("there is one").0;
        tx.remove(&BY_MESSAGE_ID, &by_id)?;
        tx.remove(&BY_IP, &by_ip).map(drop)
    };
    store.is_mended(lost, "is missing in the index trace_by_address");
    for wanted in [Wanted::Address("a@x.test".into()), Wanted::MessageId("1@x.test".into()), Wanted::Ip(ip)] {
        assert_eq!(found(&store, &wanted, None, 9), [message(1)], "{wanted:?}");
    }
    let of_none = "stands for no event";
    store.is_mended(|tx| tx.put(&BY_ADDRESS, &("b@x.test".into(), message(1)), &()), of_none);
    store.is_mended(|tx| tx.put(&BY_MESSAGE_ID, &([7; 16], message(1)), &()), of_none);
    store.is_mended(|tx| tx.put(&BY_IP, &([7; 16], message(9)), &()), of_none);
    assert_eq!(found(&store, &Wanted::Address("b@x.test".into()), None, 9), []);
    let refusal = Subject::Refused(TraceId(2 << 16));
    store.is_mended(move |tx| tx.put(&STRANGERS, &refusal, &Octets(5)), "is a refusal without events");
    store.is_mended(|tx| tx.put(&STRANGERS_BYTES, &0, &Octets(77)), "and 77 are told");
}

#[test]
fn dialogues_that_contradict_their_story_are_mended() {
    let store = store();
    store.write_blocking(Attempt(message(1), "> 1\n")).unwrap().into_inner();
    store.write_blocking(Attempt(message(2), "> 2\n")).unwrap().into_inner();
    store.is_mended(|tx| put_transcript(tx, message(1), 9, "> 9\n").map(drop), "names its dialogue 9");
    store.is_mended(|tx| tx.remove(&TRANSCRIPTS, &(message(1), 0)).map(drop), "the dialogue 0 of event");
    let view = store.view().unwrap();
    let told = super::story(&view, message(1)).unwrap();
    assert_eq!(told.iter().map(|event| (event.kind, event.transcript)).collect::<Vec<_>>(), [(Kind::Deferred, None)]);
    assert_eq!(transcript(&view, message(2), 0).unwrap().as_deref(), Some("> 2\n"));
}

/// Records an event with what was said.
struct Attempt(Subject, &'static str);

impl Op for Attempt {
    type Plan = ();
    type Out = ();
    type Refused = std::convert::Infallible;

    fn name(&self) -> &'static str {
        "test.attempt"
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<std::convert::Infallible>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        let transcript = keep_transcript(tx, self.0, self.1)?;
        record(tx, self.0, Event { transcript, ..event(Kind::Deferred) })
    }
}

/// Prunes in slices of one event, as often as there is more.
fn prune_all(store: &Store, before: u64) -> usize {
    fn needed(_: &Tx<'_>, subject: Subject) -> Result<bool, StoreError> {
        Ok(subject == message(2))
    }
    let (mut after, mut subjects) = (None, 0);
    loop {
        let slice = Prune { before: Timestamp(before), after, limit: 1, needed };
        let pruned = store.write_blocking(slice).unwrap().into_inner();
        subjects += pruned.subjects;
        after = pruned.next;
        if after.is_none() {
            return subjects;
        }
    }
}

#[test]
fn old_stories_go_whole_and_leave_nothing_behind() {
    let store = store();
    for number in 1..=5 {
        let at = Timestamp(number);
        let accepted = Event {
            at,
            sender: Some(format!("a{number}@x.test")),
            message_id: Some(format!("<{number}@x.test>")),
            peer_ip: Some("192.0.2.1".parse().unwrap()),
            ..event(Kind::Accepted)
        };
        write(&store, message(number), accepted);
        write(&store, message(number), Event { at, recipient: Some("b@x.test".into()), ..event(Kind::Delivered) });
    }
    // Something has happened to it lately.
    write(&store, message(3), Event { at: Timestamp(9), ..event(Kind::Expunged) });
    assert_eq!(prune_all(&store, 1), 0);
    assert_eq!(prune_all(&store, 4), 1);
    assert_eq!(found(&store, &Wanted::All, None, 9), [message(5), message(4), message(3), message(2)]);
    assert_eq!(found(&store, &Wanted::Address("a1@x.test".into()), None, 9), []);
    assert_eq!(found(&store, &Wanted::MessageId("1@x.test".into()), None, 9), []);
    assert_eq!(found(&store, &Wanted::Ip("192.0.2.1".parse().unwrap()), None, 9).len(), 4);
    assert_eq!(store.check().unwrap().lines(), [] as [&str; 0]);
    // The newest stays, and what is needed.
    assert_eq!(prune_all(&store, 100), 2);
    assert_eq!(found(&store, &Wanted::All, None, 9), [message(5), message(2)]);
    assert_eq!(found(&store, &Wanted::Address("b@x.test".into()), None, 9), [message(5), message(2)]);
    assert_eq!(store.check().unwrap().lines(), [] as [&str; 0]);
}

#[tokio::test]
async fn the_trace_is_pruned_until_the_server_stops() {
    let (store, stop) = (store(), tokio_util::sync::CancellationToken::new());
    for number in [1, 2] {
        write(&store, message(number), Event { at: Timestamp(number), ..event(Kind::Accepted) });
    }
    let clock = Arc::new(crate::base::TurnedClock::new(Timestamp(10_000)));
    let keep = std::time::Duration::from_secs(9);
    let task = tokio::spawn(prune(store.clone(), clock, keep, |_, _| Ok(false), stop.clone()));
    while found(&store, &Wanted::All, None, 9).len() > 1 {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    assert_eq!(found(&store, &Wanted::All, None, 9), [message(2)]);
    stop.cancel();
    task.await.unwrap();
}

/// Does damage.
struct Damage(fn(&mut Tx<'_>) -> Result<(), StoreError>);

impl Op for Damage {
    type Plan = ();
    type Out = ();
    type Refused = std::convert::Infallible;

    fn name(&self) -> &'static str {
        "test.damage"
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<std::convert::Infallible>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        (self.0)(tx)
    }
}

#[test]
fn a_check_sees_what_is_missing_and_what_is_too_much() {
    let check = |damage: fn(&mut Tx<'_>) -> Result<(), StoreError>, expected: &str| {
        let store = store();
        let whole = Event {
            sender: Some("a@x.test".into()),
            message_id: Some("<1@x.test>".into()),
            peer_ip: Some("::1".parse().unwrap()),
            ..event(Kind::Accepted)
        };
        write(&store, message(1), whole);
        store.write_blocking(Damage(damage)).unwrap().into_inner();
        let findings = store.check().unwrap();
        assert!(findings.lines().iter().any(|line| line.contains(expected)), "{expected}: {:?}", findings.lines());
    };
    let own = "event 0 of m_0000000002000 is missing in the index";
    check(|tx| tx.remove(&BY_ADDRESS, &("a@x.test".into(), message(1))).map(drop), own);
    check(|tx| tx.remove(&BY_IP, &(ip_of("::1"), message(1))).map(drop), own);
    check(
        |tx| tx.put(&BY_ADDRESS, &("b@x.test".into(), message(1)), &()),
        "trace_by_address: a row of m_0000000002000 stands for no event",
    );
    check(|tx| tx.put(&BY_MESSAGE_ID, &([7; 16], message(1)), &()), "trace_by_message_id: a row");
    check(|tx| tx.put(&BY_IP, &(ip_of("::1"), message(2)), &()), "trace_by_ip: a row");
    check(|tx| keep_transcript(tx, message(1), "> x\n").map(drop), "no event of m_0000000002000 names its dialogue 0");
    let lost = |tx: &mut Tx<'_>| record(tx, message(1), Event { transcript: Some(4), ..event(Kind::Deferred) });
    check(lost, "the dialogue 4 of event 1 of m_0000000002000 is missing");
}

fn ip_of(text: &str) -> [u8; 16] {
    super::record::ip_key(text.parse().unwrap())
}
