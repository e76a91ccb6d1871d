//! What anybody can do again and again takes no more than its share of the file, and the trace still tells the truth.

use std::sync::Arc;

use super::record::BY_IP;
use super::strangers::DropRefusals;
use super::transcript::TRANSCRIPTS;
use super::*;
use crate::base::{MessageId, SystemClock, Timestamp, TraceId, limits};
use crate::store::{Halt, Op, Options, Read, Schema, Span, Store, StoreError, Tx};

static SCHEMA: Schema = Schema { version: 1, tables: TABLES, checks: CHECKS, migrations: &[] };
const MESSAGE: Subject = Subject::Message(MessageId(1 << 16));

fn store() -> Store {
    Store::open(Options::memory(Arc::new(SystemClock)), &SCHEMA).unwrap()
}

fn event(at: u64, kind: Kind) -> Event {
    Event::new(Timestamp(at), kind, "imap a@x.test")
}

/// Adds events to a story: of mailboxes where it is kept, others in any case.
struct Tell(Subject, Vec<(Event, &'static str)>);

impl Op for Tell {
    type Plan = ();
    type Out = ();
    type Refused = std::convert::Infallible;

    fn name(&self) -> &'static str {
        "test.tell"
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<std::convert::Infallible>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        for (event, dialogue) in &self.1 {
            let transcript = keep_transcript(tx, self.0, dialogue)?;
            let event = Event { transcript, ..event.clone() };
            match event.kind {
                Kind::Fetched | Kind::Copied | Kind::Moved => assert!(follow(tx, self.0, &event)?),
                _ => record(tx, self.0, event)?,
            }
        }
        Ok(())
    }
}

fn tell(store: &Store, events: Vec<Event>) -> Vec<Event> {
    let events = events.into_iter().map(|event| (event, "")).collect();
    store.write_blocking(Tell(MESSAGE, events)).unwrap().into_inner();
    assert_eq!(store.check().unwrap().lines(), [] as [&str; 0]);
    story(&store.view().unwrap(), MESSAGE).unwrap()
}

/// What is done with a copy of `a@x.test`, from where and to where.
fn edit(at: u64, kind: Kind, from: &str, to: &str) -> Event {
    let (text, mailbox) = (format!("from {from}"), Some(to.to_owned()));
    Event { account: Some("a@x.test".into()), mailbox, text, ..event(at, kind) }
}

fn delivered() -> Event {
    let recipient = Some("a@x.test".into());
    Event { recipient, account: Some("a@x.test".into()), mailbox: Some("INBOX".into()), ..event(1, Kind::Delivered) }
}

/// What is told of the recipient, after that and as much again of it as a client has time for.
fn check(events: impl Fn(u64) -> Vec<Event>, times: u64, copies: &str, mailbox: &str) -> Vec<Event> {
    let store = store();
    tell(&store, vec![delivered()]);
    let told = tell(&store, (2..times + 2).flat_map(events).collect());
    let bound = (limits::TRACED_STORY_EVENTS + limits::TRACED_STORY_STEP) as usize;
    assert!(told.len() < bound, "{} events", told.len());
    let (whole, verdict) = (told.iter().map(Event::times).sum::<u64>(), verdict(&told));
    assert!(verdict.sentence.contains(copies), "{whole} happened: {}", verdict.sentence);
    assert_eq!(verdict.recipients.len(), 1);
    assert_eq!(verdict.recipients[0].mailbox.as_deref(), Some(mailbox));
    told
}

#[test]
fn a_story_does_not_grow_without_end_and_still_counts_every_copy() {
    let told = check(|at| vec![edit(at, Kind::Copied, "INBOX", "B")], 5000, "(5000 more copies", "B");
    assert_eq!(told.iter().map(Event::times).sum::<u64>(), 5001);
    assert_eq!(told.iter().filter(|event| event.more > 0).count(), 1);
    let there_and_back = |at| vec![edit(at, Kind::Moved, "INBOX", "B"), edit(at, Kind::Moved, "B", "INBOX")];
    check(there_and_back, 2000, "is in the mailbox INBOX of a@x.test since", "INBOX");
    // A chain of names that are never seen again.
    let on = |at: u64| {
        let name = |at: u64| if at == 2 { "INBOX".to_owned() } else { format!("M{}", at - 1) };
        vec![edit(at, Kind::Moved, &name(at), &name(at + 1))]
    };
    check(on, 3000, "is in the mailbox M3001 of a@x.test since", "M3001");
    // Copied and removed, so that never more than two are there; and in the end nothing is.
    let beside = |at| vec![edit(at, Kind::Copied, "INBOX", "B"), edit(at, Kind::Expunged, "", "B")];
    check(beside, 2000, "is in the mailbox INBOX of a@x.test since", "INBOX");
    let last = |at| match at {
        2001 => vec![edit(at, Kind::Expunged, "", "INBOX")],
        _ => beside(at),
    };
    check(last, 2000, "was deleted from INBOX by IMAP", "INBOX");
    // Read by two programs in turn.
    let fetched = |at: u64| {
        let who = ["a@x.test", "b@x.test"][(at % 2) as usize];
        vec![Event { account: Some("a@x.test".into()), ..Event::new(Timestamp(at << 32), Kind::Fetched, who) }]
    };
    let told = check(fetched, 5000, "POP3 has fetched it at", "INBOX");
    assert_eq!(told.last().unwrap().at, Timestamp(5001 << 32));
}

#[test]
fn what_is_left_out_is_found_by_nothing_and_its_dialogues_are_gone() {
    let store = store();
    let ip = |at: u64| std::net::Ipv4Addr::from_bits(u32::try_from(at).unwrap()).into();
    let attempts = (0..1000).map(|at| {
        let deferred = Event {
            recipient: Some("c@far.test".into()),
            entry: Some(0),
            peer_ip: Some(ip(at)),
            text: format!("busy (next attempt at {at})"),
            ..event(at, Kind::Deferred)
        };
        (deferred, if at % 2 == 0 { "> even\n" } else { "> odd\n" })
    });
    store.write_blocking(Tell(MESSAGE, attempts.collect())).unwrap().into_inner();
    let held = Event { entry: Some(0), recipient: Some("c@far.test".into()), ..event(1001, Kind::Held) };
    let told = tell(&store, vec![held]);
    assert_eq!(store.check().unwrap().lines(), [] as [&str; 0]);
    let view = store.view().unwrap();
    let counts = (told.len(), view.rows(&BY_IP, Span::all(), 9999).unwrap().len());
    assert_eq!(counts, (6, 5));
    assert!(view.rows(&TRANSCRIPTS, Span::all(), 9999).unwrap().len() <= counts.0);
    assert_eq!(find(&view, &Wanted::Ip(ip(500)), None, 9).unwrap(), []);
    assert_eq!(find(&view, &Wanted::Ip(ip(999)), None, 9).unwrap(), [MESSAGE]);
    assert_eq!(verdict(&told).outcome, Outcome::Held);
    // Another reason is not alike.
    let other = |at: u64| Event {
        entry: Some(0),
        code: Some(450 + u16::try_from(at % 3).unwrap()),
        ..event(2000 + at, Kind::Deferred)
    };
    let told = tell(&store, (0..300).map(other).collect());
    let codes: std::collections::BTreeSet<_> = told.iter().filter_map(|event| event.code).collect();
    assert_eq!(codes.len(), 3);
}

fn refused(second: u64, octets: usize) -> Refusal {
    let rejected = Event {
        sender: Some(format!("s{second}@far.test")),
        recipient: Some(format!("r{second}@x.test")),
        code: Some(550),
        ..Event::new(Timestamp(second * 1000), Kind::Rejected, "smtp")
    };
    let subject = Subject::Refused(TraceId((second * 1000) << 16));
    Refusal { dialogue: Some((0, "x".repeat(octets))), ..Refusal::of_stranger(subject, rejected) }
}

/// In one transaction, so that the test is quick.
struct Many(Vec<Refusal>);

impl Op for Many {
    type Plan = ();
    type Out = ();
    type Refused = std::convert::Infallible;

    fn name(&self) -> &'static str {
        "test.many"
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<std::convert::Infallible>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        self.0.iter().try_for_each(|refusal| refusal.apply(tx, ()))
    }
}

fn write(store: &Store, refusal: Refusal) {
    store.write_blocking(refusal).unwrap().into_inner();
}

#[test]
fn of_the_refusals_of_strangers_the_oldest_go_when_there_are_too_many() {
    let store = store();
    // Known ones are not touched, however old.
    write(&store, Refusal { is_stranger: false, ..refused(1, 8000) });
    tell(&store, vec![delivered()]);
    let fitting = limits::TRACED_STRANGERS_BYTES / 8000;
    let all: Vec<u64> = (2..fitting + 300).collect();
    for seconds in all.chunks(500) {
        let refusals = seconds.iter().map(|second| refused(*second, 8000)).collect();
        store.write_blocking(Many(refusals)).unwrap().into_inner();
    }
    assert_eq!(store.check().unwrap().lines(), [] as [&str; 0]);
    let found = |second: u64| {
        let wanted = Wanted::Address(format!("r{second}@x.test"));
        find(&store.view().unwrap(), &wanted, None, 9).unwrap().len()
    };
    let kept = (2..fitting + 300).filter(|second| found(*second) == 1).collect::<Vec<_>>();
    assert!(kept.len() as u64 <= fitting && kept.len() as u64 > fitting / 2, "{} of {fitting}", kept.len());
    assert_eq!(kept.last(), Some(&(fitting + 299)));
    assert_eq!(kept.len() as u64, fitting + 300 - kept[0], "the oldest have gone");
    assert_eq!((found(1), story(&store.view().unwrap(), MESSAGE).unwrap().len()), (1, 1));
    // A dialogue that goes on is weighed once, and a story that is pruned no more.
    let last = refused(fitting + 299, 8001);
    write(&store, last.clone());
    let needed = |_: &Tx<'_>, _| Ok(false);
    let limit = 1_000_000;
    let prune = Prune { before: Timestamp((fitting + 200) * 1000), after: None, limit, needed };
    store.write_blocking(prune).unwrap().into_inner();
    assert_eq!((found(fitting + 100), found(fitting + 250)), (0, 1));
    assert_eq!(store.check().unwrap().lines(), [] as [&str; 0]);
    // While the disk is full, all of them go; the newest story stays.
    while store.write_blocking(DropRefusals).unwrap().into_inner() > 0 {}
    assert_eq!(find(&store.view().unwrap(), &Wanted::All, None, 9).unwrap(), [last.subject]);
    assert_eq!(store.check().unwrap().lines(), [] as [&str; 0]);
}
