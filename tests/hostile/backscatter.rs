//! Backscatter: mail that we would send to people who never wrote to us, because somebody has used their address as the
//! sender. And relaying, now that there is a queue: what a stranger says must never reach it.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::json;

use crate::dns::{Dns, Zone};
use crate::real::swap_roles::Provider;
use crate::real::swap_site::{Swapper, message, submit_over, wait_until};
use crate::real::swap_talk::Talk;
use crate::relay::RECIPIENTS;
use crate::sink::{Sink, free_port};

/// Messages with forged senders: 10,000 on demand.
const FORGED: usize = 1000;
/// Refused recipients that a session may have before it ends.
const GUESSES: usize = 15;
/// Where the world outside listens: `outside.test`, and the people whose addresses are forged.
const OUTSIDE: &str = "127.0.0.9";

/// A server, and the world outside: one server for all domains.
struct World {
    hub: Swapper,
    sink: Sink,
    _dns: Dns,
    _folder: tempfile::TempDir,
}

impl World {
    fn start() -> Self {
        let sink = Sink::start(&format!("{OUTSIDE}:0"));
        let dns = Dns::start(Zone::new().mail("outside.test", OUTSIDE).mail("victim.test", OUTSIDE));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (resolver, port) = (dns.address.to_string(), sink.address.port().to_string());
        let arguments =
            ["--resolver", &resolver, "--remote-port", &port, "--set", "delivery.allow_networks=127.0.0.0/8"];
        let hub = Swapper::start(folder.path(), "hub.test", &["hubert", "postmaster", "full"], &arguments);
        hub.rest("PUT", "/accounts/full@hub.test", &json!({"quota_bytes": 1})).is(200);
        for (alias, target) in [("forward", "refused@outside.test"), ("open", "taken@outside.test")] {
            hub.rest("PUT", &format!("/aliases/{alias}@hub.test"), &json!({"targets": [target]})).is(201);
        }
        sink.refuse("refused@outside.test", "550 5.1.1 no such user");
        Self { hub, sink, _dns: dns, _folder: folder }
    }

    /// A session of a stranger on port 25.
    fn stranger(&self) -> Talk {
        let mut talk = Talk::dial(self.hub.site.address("smtp"));
        talk.expect("220");
        talk.say("EHLO mx.victim.test", "250");
        talk
    }

    /// Recipients of what the world outside has taken.
    fn reached(&self) -> Vec<String> {
        self.sink.taken().into_iter().flat_map(|taken| taken.recipients).collect()
    }
}

#[test]
fn forged_senders_are_told_nothing() {
    let world = World::start();
    let (mut refused, mut taken) = (0, 0);
    let mut talk = world.stranger();
    for number in 0..FORGED {
        if number % GUESSES == 0 {
            talk.say("QUIT", "221");
            talk = world.stranger();
        }
        talk.say(&format!("MAIL FROM:<victim{number}@victim.test>"), "250");
        let recipient = match number % 4 {
            0 => "forward@hub.test".to_owned(),
            1 => "full@hub.test".to_owned(),
            _ => format!("nobody{number}@hub.test"),
        };
        let reply = talk.ask(&format!("RCPT TO:<{recipient}>"));
        if reply.starts_with("250") {
            talk.say("DATA", "354");
            talk.send(message("x@victim.test", &recipient, &format!("forged-{number}")));
            talk.send(".\r\n");
            let end = talk.reply();
            if end.starts_with("250") {
                taken += 1;
            } else {
                refused += 1;
            }
        } else {
            refused += 1;
            talk.say("RSET", "250");
        }
    }
    // Only what an alias forwards was taken; the rest was refused while the sender was there to be told.
    assert_eq!((refused, taken), (FORGED - FORGED / 4, FORGED / 4));
    wait_until("an empty queue", || world.hub.queue().is_empty());
    assert_eq!(world.reached(), Vec::<String>::new(), "nobody outside got anything");
    let commands = world.sink.sessions().concat();
    let told: Vec<&String> =
        commands.iter().filter(|line| line.starts_with("RCPT") && line.contains("victim")).collect();
    assert!(told.is_empty(), "{told:?}");
    // Our own postmaster knows of each: one report a message.
    assert_eq!(world.hub.subjects("postmaster").len(), FORGED / 4);
}

#[test]
fn nobody_is_told_of_mail_without_a_sender() {
    let world = World::start();
    let mut talk = world.stranger();
    submit_over(&mut talk, "", "forward@hub.test", "a-bounce");
    wait_until("an empty queue", || world.hub.queue().is_empty());
    assert_eq!(world.reached(), Vec::<String>::new());
    assert!(!world.sink.sessions().concat().iter().any(|line| line.to_uppercase().starts_with("RCPT TO:<>")));
    assert_eq!(world.hub.subjects("postmaster").len(), 1, "the postmaster is");
}

#[test]
fn who_has_logged_in_is_told_once_a_message() {
    let world = World::start();
    world.sink.refuse("second@outside.test", "553 5.1.3 neither");
    let mut talk = world.hub.submission("hubert");
    talk.say("MAIL FROM:<hubert@hub.test>", "250");
    for recipient in ["refused@outside.test", "second@outside.test", "good@outside.test"] {
        talk.say(&format!("RCPT TO:<{recipient}>"), "250");
    }
    talk.say("DATA", "354");
    talk.send(message("hubert@hub.test", "refused@outside.test", "for-three"));
    talk.send(".\r\n");
    talk.expect("250");
    wait_until("an empty queue", || world.hub.queue().is_empty());
    assert_eq!(world.reached(), ["good@outside.test"]);
    assert_eq!(world.hub.subjects("hubert").len(), 1, "one report for both");
    assert_eq!(world.hub.subjects("postmaster").len(), 0);
}

#[test]
fn a_bounce_that_comes_back_is_not_bounced() {
    let world = World::start();
    // A peer writes through an alias that leads to nobody: it is told, since we know who it is, by mail that waits for it.
    world.hub.put_peer("branch", &["branch.test"], &json!({}));
    let mut talk = world.hub.as_peer("smtp", "branch");
    submit_over(&mut talk, "bea@branch.test", "forward@hub.test", "astray");
    talk.say("QUIT", "221");
    wait_until("the bounce", || world.hub.waiting("branch.test") == 1);
    // It does not want it either.
    let mut talk = world.hub.as_peer("smtp", "branch");
    talk.say("TURN", "250");
    talk.send("220 customer.example.test\r\n");
    talk.answer("EHLO", "250 customer.example.test");
    assert!(talk.answer("MAIL", "250 OK").to_uppercase().starts_with("MAIL FROM:<>"));
    talk.answer("RCPT", "550 5.1.1 nobody");
    wait_until("an empty queue", || {
        while talk.line().is_some() {
            talk.send("250 OK\r\n");
        }
        world.hub.queue().is_empty()
    });
    assert_eq!(world.reached(), Vec::<String>::new());
    assert_eq!(world.hub.subjects("postmaster").len(), 1);
}

#[test]
fn what_a_provider_has_kept_for_us_is_strangers_mail() {
    let world = World::start();
    let provider = Provider::listen();
    let sha256 = provider.identity.sha256.as_str();
    world.hub.put_provider("upstream", &["hub.test"], "hub", provider.address(), sha256);
    let job = std::thread::scope(|scope| {
        let part = scope.spawn(|| {
            let mut talk = provider.swapped();
            talk.say("EHLO provider.example.test", "250");
            submit_over(&mut talk, "victim@victim.test", "forward@hub.test", "fetched");
            talk.say("QUIT", "221");
        });
        let job = world.hub.call("upstream", &json!({"verb": "atrn"}));
        part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        job
    });
    assert_eq!(job["state"], "succeeded", "{job}");
    wait_until("an empty queue", || world.hub.queue().is_empty());
    assert_eq!(world.reached(), Vec::<String>::new());
    assert!(
        !world
            .sink
            .sessions()
            .concat()
            .iter()
            .any(|line| line.contains("victim@victim.test") && line.starts_with("RCPT"))
    );
    assert_eq!(world.hub.subjects("postmaster").len(), 1);
}

#[test]
fn mail_in_a_circle_ends() {
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a temporary folder"));
    let port = free_port().to_string();
    let one = Swapper::start(folders[0].path(), "one.test", &["postmaster"], &[]);
    let two = Swapper::start(
        folders[1].path(),
        "two.test",
        &["postmaster"],
        &["--listen", &format!("smtp=127.0.0.1:{port}")],
    );
    for (from, to) in [(&one, &two), (&two, &one)] {
        let address = to.site.address("smtp");
        let route = json!({"match": {"domain": to.domain}, "kind": "relay", "host": "[127.0.0.1]", "port": address.port(),
            "tls": "opportunistic"});
        from.rest("PUT", "/routes/next", &route).is(201);
        let alias = format!("/aliases/round@{}", from.domain);
        from.rest("PUT", &alias, &json!({"targets": [format!("round@{}", to.domain)]})).is(201);
    }
    let mut talk = Talk::dial(one.site.address("smtp"));
    talk.expect("220");
    talk.say("EHLO stranger.example.test", "250");
    submit_over(&mut talk, "stranger@victim.test", "round@one.test", "around");
    let told = || one.subjects("postmaster").len() + two.subjects("postmaster").len();
    wait_until("the end of the circle", || told() == 1 && one.queue().is_empty() && two.queue().is_empty());
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(told(), 1);
}

#[test]
fn too_many_hops_are_refused_while_the_sender_is_there() {
    let world = World::start();
    for (hops, expected) in [(99, "250"), (101, "554 5.4.6 ")] {
        let mut talk = world.stranger();
        talk.say("MAIL FROM:<stranger@victim.test>", "250");
        talk.say("RCPT TO:<open@hub.test>", "250");
        talk.say("DATA", "354");
        let mut head = String::new();
        for hop in 0..hops {
            let _ = write!(
                head,
                "Received: from h{hop}.example.test by h.example.test; Sun, 22 Nov 2026 10:00:00 +0000\r\n"
            );
        }
        talk.send(format!("{head}Subject: hops\r\n\r\nx\r\n.\r\n"));
        talk.expect(expected);
    }
    // Ours as well, twice: it has been here before.
    let mut talk = world.stranger();
    talk.say("MAIL FROM:<stranger@victim.test>", "250");
    talk.say("RCPT TO:<open@hub.test>", "250");
    talk.say("DATA", "354");
    talk.send("Delivered-To: open@hub.test\r\nDelivered-To: open@hub.test\r\nSubject: again\r\n\r\nx\r\n.\r\n");
    talk.expect("554 5.4.6 ");
}

#[test]
fn no_form_of_a_recipient_elsewhere_reaches_the_queue() {
    let world = World::start();
    world.hub.put_peer("branch", &["branch.test"], &json!({}));
    // What a route keeps for a peer is taken from strangers too, but nothing beside its domain.
    let hold = json!({"match": {"domain": "annex.test"}, "kind": "hold", "peer": "branch"});
    world.hub.rest("PUT", "/routes/held", &hold).is(201);
    assert!(RECIPIENTS.len() >= 40);
    for sender in ["sender@victim.test", "hubert@hub.test", ""] {
        let mut talk = world.stranger();
        for (count, (form, _)) in RECIPIENTS.iter().enumerate() {
            // Three errors each, of which a session may have twenty.
            if count % (GUESSES / 3) == 0 {
                talk = world.stranger();
            }
            // The domains of this table's own server are ours under another name here.
            let form = form.replace("example.test", "hub.test").replace("alice", "hubert");
            talk.say(&format!("MAIL FROM:<{sender}>"), "250");
            let reply = talk.ask(&format!("RCPT TO:{form}"));
            assert!(reply.starts_with('5'), "{form} from <{sender}>: {reply}");
            talk.say("DATA", "5");
            talk.say("RSET", "250");
        }
    }
    for held in ["user@branch.test", "user@elsewhere.test", "user@sub.annex.test", "user%elsewhere.test@xannex.test"] {
        let mut talk = world.stranger();
        talk.say("MAIL FROM:<sender@victim.test>", "250");
        talk.say(&format!("RCPT TO:<{held}>"), "550 5.7.1 ");
    }
    assert_eq!(world.hub.queue().len(), 0);
    assert_eq!(world.sink.sessions().len(), 0);
}
