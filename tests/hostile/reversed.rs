//! Role swaps with somebody hostile at the other end: a peer that takes the server's role and plays tricks on our client,
//! and a provider that takes the client's role and tries to use us as a relay.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::bait::Bait;
use crate::real::swap_roles::{Provider, Stop, take_until};
use crate::real::swap_site::{Swapper, message, wait_until};
use crate::real::swap_talk::Talk;

/// Short patience, so that silence is over soon; a deferred entry that nobody fetches stays where it is.
const IMPATIENT: [&str; 12] = [
    "--set",
    "delivery.greeting_seconds=1",
    "--set",
    "delivery.reply_seconds=1",
    "--set",
    "delivery.data_seconds=1",
    "--set",
    "delivery.block_seconds=1",
    "--set",
    "delivery.end_seconds=1",
    "--set",
    "queue.retry_seconds=1",
];

/// A session that has swapped: the next word is the hostile server's.
fn swapped(bait: &Bait) -> Talk {
    let mut talk = bait.hub.as_peer("smtp", "branch");
    // The last thief's session may not be over yet.
    wait_until("the peer's place", || {
        let reply = talk.ask("TURN");
        assert!(reply.starts_with("250") || reply.starts_with("450 4.3.2"), "{reply}");
        reply.starts_with("250")
    });
    talk
}

/// Whatever the hostile server says until the client has gone; the messages that the client sent whole.
fn play(mut talk: Talk, says: &[&[u8]]) {
    for words in says {
        talk.send(words);
    }
    let begun = Instant::now();
    // What the client says to it is of no matter; that it goes, is.
    while talk.line().is_some() {
        assert!(begun.elapsed() < Duration::from_secs(30), "the client stays");
    }
}

#[test]
fn a_server_that_greets_badly_gets_nothing_and_nothing_is_lost() {
    let bait = Bait::with(&IMPATIENT);
    let long = [b"220 ".as_slice(), &b"x".repeat(1_000_000), b"\r\n"].concat();
    let many = b"220-and more\r\n".repeat(100_000);
    let games: [(&str, &[&[u8]]); 14] = [
        ("closes at once", &[]),
        ("refuses", &[b"554 5.7.1 go away\r\n"]),
        ("is busy", &[b"421 4.3.2 later\r\n"]),
        ("greets without end", &[&long]),
        ("greets in too many lines", &[&many]),
        ("speaks HTTP", &[b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]),
        ("speaks in octets", &[&[0, 255, 13, 10, 128, 10, 13]]),
        ("says a code and nothing", &[b"220"]),
        ("changes the code between lines", &[b"220-hello\r\n550 no\r\n"]),
        ("answers before it is asked", &[b"220 hello\r\n250 x\r\n250 x\r\n250 x\r\n354 x\r\n250 taken\r\n"]),
        ("refuses EHLO and HELO", &[b"220 hello\r\n", b"500 what\r\n502 what\r\n"]),
        ("has a 251 for EHLO", &[b"220 hello\r\n", b"251 well\r\n"]),
        ("ends lines with LF", &[b"220 hello\n250 x\n250 x\n250 x\n354 x\n250 taken\n"]),
        ("goes on with 220", &[b"220 a\r\n220 b\r\n220 c\r\n220 d\r\n220 e\r\n220 f\r\n"]),
    ];
    for (what, says) in games {
        let talk = swapped(&bait);
        if says.is_empty() {
            talk.cut();
        } else {
            play(talk, says);
        }
        assert_eq!(bait.hub.waiting("branch.test"), 2, "a server that {what}");
    }
    // Silence, and a word that never ends.
    let talk = swapped(&bait);
    let mut silent = talk;
    assert_eq!(silent.line(), None);
    let mut slow = swapped(&bait);
    let begun = Instant::now();
    for octet in b"220 s".iter().chain(std::iter::repeat_n(&b'l', 100)) {
        slow.send([*octet]);
        if !slow.is_silent(Duration::from_millis(100)) {
            break;
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(8), "an octet at a time buys no time: {:?}", begun.elapsed());
    slow.cut();
    bait.goes_to_branch();
    bait.hub.wait_for_queue(5);
    assert_eq!(bait.hub.subjects("hubert"), Vec::<String>::new(), "no bounce");
}

#[test]
fn a_server_that_goes_at_any_step_loses_nothing() {
    let bait = Bait::with(&IMPATIENT);
    for stop in Stop::ALL.into_iter().filter(|stop| *stop != Stop::Answered) {
        for silent in [false, true] {
            let mut talk = swapped(&bait);
            let seen = take_until(&mut talk, stop);
            if silent {
                // Longer than the client waits.
                while talk.line().is_some() {}
            }
            talk.cut();
            let whole = stop == Stop::End;
            assert_eq!(seen.is_some_and(|seen| seen.ends_with(b"\r\n")) && whole, whole, "{stop:?}");
            wait_until("the lease to come back", || bait.hub.waiting("branch.test") == 2);
        }
    }
    // Where the message was sent whole and never answered, that is written down.
    let uncertain = bait
        .hub
        .queue()
        .iter()
        .filter(|entry| entry["domain"] == "branch.test")
        .flat_map(|entry| bait.hub.history(entry))
        .filter(|event| event["kind"] == "uncertain")
        .count();
    // Twice behind the end of data, and twice in the content: a small message was on its way whole by then.
    assert!((2..=4).contains(&uncertain), "{uncertain} uncertain outcomes");
    bait.goes_to_branch();
    assert_eq!(bait.hub.subjects("hubert"), Vec::<String>::new(), "no bounce");
}

#[test]
fn what_the_server_refuses_goes_back_to_who_sent_it() {
    let bait = Bait::with(&IMPATIENT);
    let mut talk = swapped(&bait);
    talk.send("220 customer.example.test\r\n");
    talk.answer("EHLO", "250 customer.example.test");
    for _ in 0..2 {
        talk.answer("MAIL", "250 OK");
        talk.answer("RCPT", "550 5.1.1 nobody\tof that\x1b[2J name");
        // Without a recipient there is nothing to send.
        let line = talk.line().expect("the client goes on");
        talk.send("250 OK\r\n");
        assert!(line.starts_with("RSET") || line.starts_with("QUIT"), "{line}");
        if line.starts_with("QUIT") {
            break;
        }
    }
    drop(talk);
    wait_until("the bounces", || bait.hub.subjects("hubert").len() == 2 && bait.hub.waiting("branch.test") == 0);
    bait.hub.wait_for_queue(5);
}

#[test]
fn a_reply_is_bounded_and_cleaned_before_anybody_reads_it() {
    let bait = Bait::with(&IMPATIENT);
    let mut talk = swapped(&bait);
    talk.send("220 customer.example.test\r\n");
    talk.answer("EHLO", "250 customer.example.test");
    talk.answer("MAIL", "250 OK");
    talk.hear("RCPT");
    let evil = "550-5.1.1 first\r\n550-Subject: injected\r\n550-\r\n550-\x1b]0;title\x07\u{202e}\r\n".repeat(50);
    talk.send(format!("{evil}550 5.1.1 last\r\n"));
    talk.cut();
    wait_until("a bounce or another try", || {
        bait.hub.queue().iter().filter(|entry| entry["domain"] == "branch.test").count() < 2
            || bait.hub.queue().iter().any(|entry| entry["attempts"].as_u64() > Some(0))
    });
    for entry in bait.hub.queue() {
        for event in bait.hub.history(&entry) {
            let text = event["text"].as_str().unwrap_or_default();
            assert!(text.chars().count() <= 1100 && !text.contains(|c: char| c.is_control()), "{text:?}");
        }
    }
}

/// Our side as a customer, and a provider that we dial.
struct Customer {
    branch: Swapper,
    provider: Provider,
    _folder: tempfile::TempDir,
}

impl Customer {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let branch = Swapper::start(folder.path(), "branch.test", &["bea"], &IMPATIENT);
        branch.rest("PUT", "/domains/own.test", &json!({})).is(201);
        branch.rest("PUT", "/accounts/otto@own.test", &json!({"password": "pillarbox"})).is(201);
        let provider = Provider::listen();
        let customer = Self { branch, provider, _folder: folder };
        customer.pin(&customer.provider.identity.sha256);
        customer
    }

    fn pin(&self, sha256: &str) {
        let domains = ["branch.test", "hub.test"];
        self.branch.put_provider("hub", &domains, "branch", self.provider.address(), sha256);
    }

    /// Calls the provider, which plays `part`: the job, and what the part has brought.
    fn call<T: Send>(&self, verb: &str, part: impl FnOnce(&Provider) -> T + Send) -> (Value, T) {
        std::thread::scope(|scope| {
            let part = scope.spawn(|| part(&self.provider));
            let job = self.branch.call("hub", &json!({"verb": verb}));
            (job, part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        })
    }
}

#[test]
fn a_provider_may_send_to_the_peers_domain_and_nowhere_else() {
    let customer = Customer::start();
    for verb in ["atrn", "turn"] {
        let (job, ()) = customer.call(verb, |provider| {
            let mut talk = provider.swapped();
            let offers = talk.say("EHLO provider.example.test", "250");
            for word in ["STARTTLS", "AUTH", "TURN", "ATRN", "ETRN", "VRFY", "EXPN"] {
                assert!(!offers.contains(word), "{word} in {offers}");
            }
            for line in ["STARTTLS", "AUTH PLAIN AGEAYg==", "TURN", "ATRN branch.test", "ATRN", "ETRN branch.test"] {
                talk.say(line, "502 5.5.1 ");
            }
            for line in ["VRFY bea", "EXPN staff", "HELP"] {
                talk.say(line, "502 5.5.1 ");
            }
            talk.say("MAIL FROM:<somebody@elsewhere.test>", "250");
            for foreign in [
                "user@elsewhere.test",
                "user@hub.test",
                "bea%elsewhere.test@hub.test",
                "@branch.test:user@elsewhere.test",
                "user@[127.0.0.1]",
                "user@sub.branch.test",
                // Local, and not what we have asked this peer for.
                "otto@own.test",
                "nobody@own.test",
            ] {
                talk.say(&format!("RCPT TO:<{foreign}>"), "550 5.7.1 ");
            }
            talk.say("RCPT TO:<nobody@branch.test>", "550 5.1.1 ");
            talk.say("RCPT TO:<bea@branch.test>", "250");
            talk.say("DATA", "354");
            talk.send(message("somebody@elsewhere.test", "bea@branch.test", verb));
            talk.send(".\r\n");
            talk.expect("250");
            talk.say("QUIT", "221");
            assert_eq!(talk.rest(), Vec::<String>::new());
        });
        assert_eq!(job["state"], "succeeded", "{verb}: {job}");
    }
    assert_eq!(customer.branch.subjects("bea"), ["atrn", "turn"]);
    assert_eq!(customer.branch.queue().len(), 0, "nothing was relayed");
}

#[test]
fn a_provider_that_floods_or_sleeps_is_let_go() {
    let customer = Customer::start();
    let flood = |lines: &'static str| {
        move |provider: &Provider| {
            let mut talk = provider.swapped();
            talk.say("EHLO provider.example.test", "250");
            talk.send(lines.repeat(2000));
            let rest = talk.rest();
            assert!(rest.last().is_some_and(|line| line.starts_with("421 ")), "{lines:?}: {:?}", rest.last());
        }
    };
    customer.call("atrn", flood("NOOP\r\n"));
    customer.call("atrn", flood("FROBNICATE\r\n"));
    customer.call("turn", flood("TURN\r\n"));
    // Who closes at once, before or behind the greeting, has done nothing.
    for greeted in [false, true] {
        let (job, ()) = customer.call("atrn", |provider| {
            let (mut talk, _, _) = provider.until_turn();
            talk.send("250 2.0.0 reversing\r\n");
            if greeted {
                talk.expect("220");
            }
            talk.cut();
        });
        assert!(matches!(job["state"].as_str(), Some("succeeded" | "failed")), "{job}");
    }
    // The peer's place is free each time.
    let (job, ()) = customer.call("atrn", |provider| {
        let mut talk = provider.swapped();
        talk.say("QUIT", "221");
    });
    assert_eq!(job["state"], "succeeded", "{job}");
}

#[test]
fn no_secret_and_no_mail_go_to_who_is_not_the_provider() {
    let customer = Customer::start();
    customer.branch.submit("bea", "hubert@hub.test", "for the true hub");
    // Another certificate than the pinned one.
    customer.pin(&"ab".repeat(32));
    let (job, ()) = customer.call("atrn", |provider| {
        if let Some(mut talk) = provider.secure() {
            assert_eq!(talk.line(), None, "nothing is said behind the handshake");
        }
    });
    assert_eq!(job["state"], "failed", "{job}");
    customer.pin(&customer.provider.identity.sha256);
    // No STARTTLS, though AUTH is offered in the clear.
    for answer in [None, Some("454 4.7.0 not now"), Some("502 5.5.1 what")] {
        let (job, ()) = customer.call("turn", |provider| {
            let mut talk = provider.accept();
            talk.send("220 provider.example.test ESMTP\r\n");
            let offer = if answer.is_some() { "STARTTLS" } else { "8BITMIME" };
            talk.answer("EHLO", &format!("250-provider.example.test\r\n250-{offer}\r\n250-ATRN\r\n250 AUTH PLAIN"));
            if let Some(answer) = answer {
                talk.answer("STARTTLS", answer);
            }
            let rest = talk.rest();
            assert!(rest.iter().all(|line| line == "QUIT"), "{rest:?}");
        });
        assert_eq!(job["state"], "failed", "{job}");
    }
    // What comes in the clear behind the go-ahead was not said by the provider.
    let (job, ()) = customer.call("atrn", |provider| {
        let mut talk = provider.accept();
        talk.send("220 provider.example.test ESMTP\r\n");
        talk.answer("EHLO", "250-provider.example.test\r\n250 STARTTLS");
        talk.answer("STARTTLS", "220 Go ahead\r\n250-injected\r\n250-AUTH PLAIN\r\n250 ATRN");
        let rest = talk.rest();
        assert!(rest.iter().all(|line| !line.contains("AUTH")), "{rest:?}");
    });
    assert_eq!(job["state"], "failed", "{job}");
    assert_eq!(customer.branch.queue().len(), 1, "the mail waits on");
    assert_eq!(customer.branch.subjects("bea"), Vec::<String>::new(), "and has not come back");
}

#[test]
fn a_swap_that_is_not_granted_is_none() {
    let customer = Customer::start();
    for (answer, state) in [
        ("450 4.7.1 not yours", "failed"),
        ("451 4.3.0 later", "failed"),
        ("453 4.3.0 You have no mail", "succeeded"),
        ("502 5.5.1 what", "failed"),
        ("530 5.7.0 log in", "failed"),
        ("251 well", "failed"),
        ("354 go on", "failed"),
        ("garbage", "failed"),
    ] {
        let (job, ()) = customer.call("atrn", |provider| {
            let (mut talk, _, _) = provider.until_turn();
            talk.send(format!("{answer}\r\n"));
            // The client stays one: it never greets.
            for line in talk.rest() {
                assert_eq!(line, "QUIT", "behind {answer}");
            }
        });
        assert_eq!(job["state"], state, "{answer}: {job}");
    }
    // Octets behind the 250 came before we were a server.
    let (job, ()) = customer.call("atrn", |provider| {
        let (mut talk, _, _) = provider.until_turn();
        talk.send("250 2.0.0 reversing\r\nEHLO provider.example.test\r\nMAIL FROM:<x@elsewhere.test>\r\n");
        let rest = talk.rest();
        assert!(rest.iter().all(|line| !line.starts_with("220") && !line.starts_with("250")), "{rest:?}");
    });
    assert_eq!(job["state"], "failed", "{job}");
}
