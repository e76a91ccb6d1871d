//! Servers that are down, slow, silent, that hang up or say no: the mail arrives later, once, and nobody else waits.

use std::time::{Duration, Instant};

use pillarbox::trace::Kind;

use super::{Outside, SOON, alice, mailbox, note, wait_until};
use crate::dns::Zone;
use crate::sink::{ALWAYS, Fault, STAGES, Sink, Stage};
use crate::site::Site;
use crate::trace::Stories;

/// A world of sinks: `NAME.test` for each name, at an address of its own.
struct Sinks {
    world: Outside,
    site: Site,
    sinks: Vec<(String, Sink)>,
}

impl Sinks {
    fn start(names: &[String], arguments: &[&str]) -> Self {
        let address = |number: usize| format!("127.0.0.{}", number + 4);
        let zone = names
            .iter()
            .enumerate()
            .fold(Zone::new(), |zone, (number, name)| zone.mail(&format!("{name}.test"), &address(number)));
        let world = Outside::new(zone);
        let sinks = names
            .iter()
            .enumerate()
            .map(|(number, name)| (name.clone(), Sink::start(&format!("{}:{}", address(number), world.port))));
        let sinks = sinks.collect();
        let site = world.serve_new(arguments);
        Self { world, site, sinks }
    }

    fn of(&self, name: &str) -> &Sink {
        &self.sinks.iter().find(|(own, _)| own == name).expect("a sink of that name").1
    }

    /// Alice sends one message to a user of each sink, with the sink's name as its id.
    fn send_to_all(&self) {
        let mut session = alice(&self.site);
        for (name, _) in &self.sinks {
            let recipient = format!("user@{name}.test");
            session.submit("alice@example.test", &[&recipient], &note(name)).expect("it is taken");
        }
    }

    /// Each has its message once, nobody is told anything, and nothing is left.
    fn finish(self) -> Stories {
        for (name, sink) in &self.sinks {
            let taken = sink.wait_for(1, SOON);
            assert_eq!(taken[0].message_id, format!("{name}@example.test"));
            assert_eq!(taken[0].recipients, [format!("user@{name}.test")]);
            assert_eq!(taken[0].digest, *blake3::hash(&note(name)).as_bytes(), "{name}");
        }
        assert!(mailbox(&self.site, "alice").is_empty(), "no bounce");
        let stories = self.world.stop(self.site);
        for (name, sink) in &self.sinks {
            assert_eq!(sink.count(), 1, "{name} has it once");
            let story = stories.story(&format!("{name}@example.test"));
            assert_eq!(story.of(Kind::Relayed).len(), 1, "{name}: {:?}", story.events);
        }
        assert_eq!(stories.queued, 0);
        assert_eq!(stories.count(Kind::Failed) + stories.count(Kind::Expired), 0);
        stories
    }
}

/// The word of the trace for a stage.
fn word(stage: Stage) -> &'static str {
    match stage {
        Stage::Greeting => "greeting",
        Stage::Hello => "hello",
        Stage::Tls => "tls",
        Stage::Sender => "sender",
        Stage::Recipient => "recipient",
        Stage::Data | Stage::Content => "data",
        Stage::End => "end",
    }
}

fn name(stage: Stage, number: usize) -> String {
    format!("{}{number}", word(stage))
}

/// A fault at each stage, `times` times: each message is deferred at that stage so often, and then arrives.
fn check(faults: &[Fault], times: usize, arguments: &[&str]) -> Stories {
    let all = || STAGES.into_iter().flat_map(|stage| (0..faults.len()).map(move |number| (stage, number)));
    let names: Vec<String> = all().map(|(stage, number)| name(stage, number)).collect();
    let sinks = Sinks::start(&names, arguments);
    for (stage, number) in all() {
        sinks.of(&name(stage, number)).fail(stage, faults[number].clone(), times);
    }
    sinks.send_to_all();
    let stories = sinks.finish();
    for (stage, number) in all() {
        let name = name(stage, number);
        let story = stories.story(&format!("{name}@example.test"));
        let deferred = story.of(Kind::Deferred);
        assert_eq!(deferred.len(), times, "{name}: {:?}", story.events);
        for event in deferred {
            assert_eq!(event.stage.as_deref(), Some(word(stage)), "{name}: {event:?}");
            if let Fault::Reply(reply) = &faults[number] {
                assert_eq!(event.code.map(|code| code.to_string()).as_deref(), reply.get(..3), "{name}: {event:?}");
                assert!(event.text.contains(&reply[10..]), "{name}: the server's words: {event:?}");
            }
        }
        // Only where the end of data was sent and no answer came can it have been taken.
        let may_be_taken = stage == Stage::End && !matches!(faults[number], Fault::Reply(_));
        let uncertain = story.of(Kind::Uncertain).len();
        assert_eq!(uncertain, if may_be_taken { times } else { 0 }, "{name}: {:?}", story.events);
    }
    stories
}

#[test]
fn temporary_refusals_at_each_stage() {
    check(&[Fault::Reply("451 4.3.0 come back later"), Fault::Reply("421 4.3.2 going down now")], 2, &[]);
}

#[test]
fn connections_dropped_at_each_stage() {
    check(&[Fault::Drop], 2, &[]);
}

#[test]
fn silence_at_each_stage() {
    let short = ["greeting", "reply", "data", "block", "end"].map(|name| format!("delivery.{name}_seconds=2"));
    let arguments: Vec<&str> = short.iter().flat_map(|setting| ["--set", setting]).collect();
    check(&[Fault::Hang], 1, &arguments);
}

#[test]
fn slow_servers_are_waited_for() {
    let names: Vec<String> = STAGES.into_iter().map(|stage| name(stage, 0)).chain(["content".to_owned()]).collect();
    let sinks = Sinks::start(&names, &[]);
    for stage in STAGES {
        sinks.of(&name(stage, 0)).fail(stage, Fault::Delay(Duration::from_secs(2)), ALWAYS);
    }
    sinks.of("content").fail(Stage::Content, Fault::Delay(Duration::from_millis(500)), ALWAYS);
    sinks.send_to_all();
    let stories = sinks.finish();
    assert_eq!(stories.count(Kind::Deferred), 0);
}

#[test]
fn a_server_that_is_down_gets_its_mail_when_it_is_up() {
    let mut sinks = Sinks::start(&["down".to_owned()], &[]);
    sinks.sinks[0].1.down();
    sinks.send_to_all();
    std::thread::sleep(Duration::from_secs(3));
    sinks.sinks[0].1.up();
    let stories = sinks.finish();
    let deferred = stories.story("down@example.test").of(Kind::Deferred).len();
    assert!((1..=8).contains(&deferred), "tried again, and not in a storm: {deferred}");
}

/// An operator does not wait for the schedule, nor for the rest that a server in trouble is given.
#[test]
fn a_flush_is_tried_at_once() {
    let mut sinks = Sinks::start(&["flushed".to_owned()], &["--set", "queue.retry_seconds=600"]);
    sinks.sinks[0].1.down();
    sinks.send_to_all();
    let queue = || sinks.site.rest("GET", "/api/v1/queue", "").1["items"][0].clone();
    wait_until("the first attempt", queue, |entry| entry["attempts"] == 1);
    let Sinks { world, site, mut sinks } = sinks;
    sinks[0].1.up();
    let (status, answer) = site.rest("POST", "/api/v1/queue/flush", r#"{"all":true}"#);
    assert_eq!((status, &answer["count"]), (202, &1.into()), "{answer}");
    // Long before the schedule, which has 10 minutes.
    sinks[0].1.wait_for(1, Duration::from_secs(60));
    Sinks { world, site, sinks }.finish();
}

#[test]
fn a_server_that_hangs_keeps_nobody_waiting() {
    let sinks = Sinks::start(&["hanging".to_owned(), "healthy".to_owned()], &[]);
    sinks.of("hanging").fail(Stage::Greeting, Fault::Hang, ALWAYS);
    let mut session = alice(&sinks.site);
    // More than there are connections to one destination, or to all.
    for number in 0..100 {
        session
            .submit("alice@example.test", &["user@hanging.test"], &note(&format!("hanging-{number}")))
            .expect("it is taken");
    }
    sinks.of("hanging").wait_for_sessions(1, SOON);
    let began = Instant::now();
    for number in 0..20 {
        session
            .submit("alice@example.test", &["user@healthy.test"], &note(&format!("healthy-{number}")))
            .expect("it is taken");
    }
    sinks.of("healthy").wait_for(20, Duration::from_secs(20));
    crate::site::say(&format!(
        "pillarbox: 20 messages beside a server that hangs with 100 of its own: {:?}",
        began.elapsed()
    ));
    let at_once = sinks.of("hanging").sessions().len();
    assert!(at_once <= 16, "no more than delivery.connections_per_destination at a time: {at_once}");
    assert_eq!(sinks.of("hanging").count(), 0);
    // It recovers, and gets all of its own.
    sinks.of("hanging").heal();
    let Sinks { world, site, mut sinks } = sinks;
    sinks[0].1.down();
    sinks[0].1.up();
    let taken = sinks[0].1.wait_for(100, SOON);
    let ids: std::collections::BTreeSet<String> = taken.into_iter().map(|taken| taken.message_id).collect();
    assert_eq!(ids.len(), 100);
    // The last outcome is settled before the stop ends.
    let stories = world.stop(site);
    assert_eq!((stories.queued, sinks[0].1.count()), (0, 100), "each once");
}

/// The one case of a second copy: the server had taken the message when its answer was lost. The trace says so.
#[test]
fn a_lost_answer_is_recorded_as_uncertain() {
    let sinks = Sinks::start(&["lost".to_owned()], &[]);
    sinks.of("lost").fail(Stage::End, Fault::TakeAndDrop, 1);
    sinks.send_to_all();
    let taken = sinks.of("lost").wait_for(2, SOON);
    assert_eq!([&taken[0], &taken[1]].map(|taken| taken.is_answered), [false, true]);
    assert_eq!(taken[0].digest, taken[1].digest);
    let stories = sinks.world.stop(sinks.site);
    assert_eq!(sinks.sinks[0].1.count(), 2);
    let story = stories.story("lost@example.test");
    let kinds = [Kind::Uncertain, Kind::Deferred, Kind::Relayed].map(|kind| story.count_for(kind, "user@lost.test"));
    assert_eq!(kinds, [1, 1, 1], "{:?}", story.events);
}

/// Each recipient of a message has its own outcome.
#[test]
fn recipients_of_one_message_go_their_own_ways() {
    let sinks = Sinks::start(&["mixed".to_owned()], &[]);
    let sink = sinks.of("mixed");
    sink.refuse("later@mixed.test", "450 4.2.1 later");
    sink.refuse("never@mixed.test", "550 5.1.1 never");
    let all = ["one@mixed.test", "later@mixed.test", "never@mixed.test", "two@mixed.test"];
    alice(&sinks.site).submit("alice@example.test", &all, &note("mixed")).expect("it is taken");
    let taken = sink.wait_for(1, SOON);
    assert_eq!(taken[0].recipients, ["one@mixed.test", "two@mixed.test"], "in one transaction");
    super::wait_for_mail(&sinks.site, "alice", 1);
    sink.heal();
    let taken = sink.wait_for(2, SOON);
    assert_eq!(taken[1].recipients, ["later@mixed.test"], "and to nobody else again");
    assert_eq!(mailbox(&sinks.site, "alice").len(), 1, "one bounce, for who was refused for good");
    let stories = sinks.world.stop(sinks.site);
    let story = stories.story("mixed@example.test");
    assert_eq!(all.map(|recipient| story.count_for(Kind::Relayed, recipient)), [1, 1, 0, 1]);
    assert_eq!(all.map(|recipient| story.count_for(Kind::Failed, recipient)), [0, 0, 1, 0]);
    assert_eq!(sinks.sinks[0].1.count(), 2);
}

/// TLS that fails is no reason to keep mail: the next connection does without.
#[test]
fn a_failed_handshake_is_followed_by_a_connection_in_the_clear() {
    let sinks = Sinks::start(&["tls".to_owned()], &[]);
    sinks.of("tls").fail(Stage::Tls, Fault::Delay(Duration::ZERO), ALWAYS);
    sinks.send_to_all();
    let taken = sinks.of("tls").wait_for(1, SOON);
    let sessions = sinks.of("tls").sessions();
    assert!(sessions[0].iter().any(|command| command == "STARTTLS"), "{sessions:?}");
    assert!(!sessions[taken[0].session].iter().any(|command| command == "STARTTLS"), "{sessions:?}");
    let stories = sinks.finish();
    assert_eq!(stories.story("tls@example.test").of(Kind::Relayed)[0].tls, None);
}

/// A server that knows no EHLO gets HELO, and nothing that it has not announced.
#[test]
fn a_server_of_1982() {
    let sinks = Sinks::start(&["old".to_owned()], &[]);
    sinks.of("old").announce(&[]);
    sinks.of("old").fail(Stage::Hello, Fault::Reply("502 what is EHLO"), 1);
    sinks.send_to_all();
    let taken = sinks.of("old").wait_for(1, SOON);
    let commands = &sinks.of("old").sessions()[taken[0].session];
    assert_eq!(commands[..2], ["EHLO mx.example.test", "HELO mx.example.test"], "{commands:?}");
    assert_eq!(commands[2], "MAIL FROM:<alice@example.test>", "{commands:?}");
    sinks.finish();
}

/// The second server of a domain takes what the first can't.
#[test]
fn the_next_server_is_tried() {
    let zone = Zone::new()
        .mx("two.test", 10, "first.two.test")
        .mx("two.test", 20, "second.two.test")
        .address("first.two.test", "127.0.0.4")
        .address("second.two.test", "127.0.0.5");
    let world = Outside::new(zone);
    let second = Sink::start(&format!("127.0.0.5:{}", world.port));
    let site = world.serve_new(&[]);
    alice(&site).submit("alice@example.test", &["user@two.test"], &note("two")).expect("it is taken");
    second.wait_for(1, SOON);
    wait_until(
        "an empty queue",
        || site.rest("GET", "/api/v1/queue", ""),
        |(status, queue)| *status == 200 && queue["items"].as_array().is_some_and(Vec::is_empty),
    );
    let stories = world.stop(site);
    let relayed = stories.story("two@example.test").of(Kind::Relayed);
    assert_eq!(relayed[0].server.as_deref(), Some("second.two.test"));
}
