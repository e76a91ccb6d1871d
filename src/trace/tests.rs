use std::sync::Arc;

use super::record::{BY_ADDRESS, BY_IP, BY_MESSAGE_ID};
use super::*;
use crate::base::{Enhanced, MessageId, Reply, SystemClock, Timestamp, TraceId};
use crate::store::{Halt, Key, Op, Options, Schema, Store, StoreError, Tx};

static SCHEMA: Schema = Schema { version: 1, tables: TABLES, checks: CHECKS };

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
}

fn ip_of(text: &str) -> [u8; 16] {
    super::record::ip_key(text.parse().unwrap())
}
