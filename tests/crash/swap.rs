//! Role swaps that a crash interrupts: one side is the real program and is killed at each step, the other is played by the
//! test, which stops exactly there. Nothing is lost, and what comes twice was written down as uncertain.

mod both;

use std::path::Path;

use pillarbox::trace::Kind;
use serde_json::{Value, json};

use crate::site::{self, data_file};
use crate::swap_roles::{Provider, Stop, take_all, take_until};
use crate::swap_site::{Swapper, message, submit_over, wait_until};
use crate::swap_talk::Talk;
use crate::trace;

/// Where the sender is killed, besides [`Stop`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// The peer has logged in.
    LoggedIn,
    /// The swap was granted, and the peer has not greeted.
    Granted,
    /// The peer is the server.
    Served(Stop),
}

impl Moment {
    fn all() -> Vec<Self> {
        let served = Stop::ALL.into_iter().map(Self::Served);
        [Self::LoggedIn, Self::Granted].into_iter().chain(served).collect()
    }
}

/// A hub that holds `one` and `two` for the branch.
fn hub(folder: &Path) -> Swapper {
    let hub = Swapper::start(folder, "hub.test", &["hubert"], &[]);
    hub.put_peer("branch", &["branch.test"], &json!({}));
    let mut talk = hub.submission("hubert");
    for subject in ["one", "two"] {
        submit_over(&mut talk, "hubert@hub.test", "bea@branch.test", subject);
    }
    hub
}

/// How often the trace of a server that has stopped says that an outcome is uncertain.
fn uncertain(folder: &Path) -> usize {
    trace::read(&data_file(folder)).count(Kind::Uncertain)
}

#[test]
fn the_side_that_sends_is_killed_at_each_step() {
    for moment in Moment::all() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let hub = hub(folder.path());
        let mut talk = hub.as_peer("smtp", "branch");
        let mut whole = 0;
        if moment != Moment::LoggedIn {
            talk.say("ATRN branch.test", "250");
        }
        if let Moment::Served(stop) = moment {
            let seen = take_until(&mut talk, stop);
            whole = usize::from(seen.is_some() && matches!(stop, Stop::End | Stop::Answered));
        }
        hub.site.kill();
        talk.cut();
        site::check(&data_file(folder.path()));

        let hub = Swapper::again(folder.path(), "hub.test", &[]);
        let left = hub.waiting("branch.test");
        let mut talk = hub.as_peer("smtp", "branch");
        let reply = talk.ask("ATRN branch.test");
        assert!(reply.starts_with("250"), "{moment:?}: the lease is back: {reply}");
        let taken = take_all(&mut talk);
        assert_eq!(taken.len() as u64, left, "{moment:?}: {taken:?}");
        wait_until("an empty queue", || hub.queue().is_empty());
        assert_eq!(hub.subjects("hubert"), Vec::<String>::new(), "{moment:?}: no bounce");
        assert!(hub.site.stop().success());
        let doubtful = uncertain(folder.path());
        match moment {
            // What was taken whole may come again, and then it is known that it may.
            Moment::Served(Stop::End | Stop::Answered) => {
                assert!(left == 1 || (left == 2 && doubtful == 1), "{moment:?}: {left} left, {doubtful} uncertain");
                assert!(taken.contains(&"two".to_owned()) || taken.contains(&"one".to_owned()), "{taken:?}");
                assert!(taken.len() + whole >= 2, "{moment:?}: {taken:?}");
            }
            // A small message may be on its way whole although its reader has not read it.
            Moment::Served(Stop::Content) => assert_eq!((taken.len(), doubtful <= 1), (2, true), "{moment:?}"),
            _ => assert_eq!((taken.len(), doubtful), (2, 0), "{moment:?}"),
        }
        site::check(&data_file(folder.path()));
    }
}

/// Where the side that dials is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// It has logged in.
    LoggedIn,
    /// Its own message was read to the end of data, and not answered.
    OwnEnd,
    /// Its own message was taken, and it has asked for the swap.
    Asked,
    /// It has greeted.
    Greeted,
    /// EHLO was answered.
    Hello,
    /// MAIL was answered.
    Sender,
    /// RCPT was answered.
    Recipient,
    /// DATA was answered.
    Data,
    /// Half of the message was sent.
    Content,
    /// All of it was sent, and the answer was not waited for.
    End,
    /// The 250 was read.
    Answered,
}

const STEPS: [Step; 11] = [
    Step::LoggedIn,
    Step::OwnEnd,
    Step::Asked,
    Step::Greeted,
    Step::Hello,
    Step::Sender,
    Step::Recipient,
    Step::Data,
    Step::Content,
    Step::End,
    Step::Answered,
];

/// The message that waits at the provider.
fn inbound() -> String {
    message("hubert@hub.test", "bea@branch.test", "inbound")
}

/// Plays the provider up to `step`: the connection, and whether the branch's own message was seen whole.
fn play_until(provider: &Provider, step: Step) -> (Talk, bool) {
    if matches!(step, Step::LoggedIn | Step::OwnEnd) {
        let mut talk = provider.secure().expect("the client goes along with TLS");
        talk.answer("EHLO", "250-provider.example.test\r\n250-8BITMIME\r\n250-AUTH PLAIN\r\n250 ATRN");
        talk.answer("AUTH PLAIN", "235 2.7.0 Welcome");
        if step == Step::LoggedIn {
            return (talk, false);
        }
        talk.answer("MAIL", "250 OK");
        talk.answer("RCPT", "250 OK");
        talk.answer("DATA", "354 Go ahead");
        talk.message().expect("a whole message");
        return (talk, true);
    }
    let (mut talk, taken, _) = provider.until_turn();
    assert_eq!(taken, ["outbound"]);
    if step == Step::Asked {
        return (talk, true);
    }
    talk.send("250 2.0.0 reversing\r\n");
    talk.expect("220");
    send_until(&mut talk, step);
    (talk, true)
}

/// Sends the waiting message up to `step`.
fn send_until(talk: &mut Talk, step: Step) {
    let (text, order) = (inbound(), STEPS.iter().position(|other| *other == step));
    let comes = |wanted: Step| STEPS.iter().position(|other| *other == wanted) <= order;
    for (at, line) in [
        (Step::Hello, "EHLO provider.example.test"),
        (Step::Sender, "MAIL FROM:<hubert@hub.test>"),
        (Step::Recipient, "RCPT TO:<bea@branch.test>"),
    ] {
        if comes(at) {
            talk.say(line, "250");
        }
    }
    if comes(Step::Data) {
        talk.say("DATA", "354");
    }
    let half = text.len() / 2;
    if comes(Step::Content) {
        talk.send(&text[..half]);
    }
    if comes(Step::End) {
        talk.send(format!("{}.\r\n", &text[half..]));
    }
    if comes(Step::Answered) {
        talk.expect("250");
    }
}

#[test]
fn the_side_that_dials_is_killed_at_each_step() {
    for step in STEPS {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let provider = Provider::listen();
        let branch = Swapper::start(folder.path(), "branch.test", &["bea"], &[]);
        let domains = ["branch.test", "hub.test"];
        branch.put_provider("hub", &domains, "branch", provider.address(), &provider.identity.sha256);
        branch.submit("bea", "hubert@hub.test", "outbound");
        let started = branch.rest("POST", "/turn/peers/hub/sessions", &json!({"verb": "atrn"}));
        started.is(202);
        let (talk, seen) = play_until(&provider, step);
        branch.site.kill();
        talk.cut();
        site::check(&data_file(folder.path()));

        let branch = Swapper::again(folder.path(), "branch.test", &[]);
        // What was asked for has ended with the process: it neither runs nor has succeeded.
        let job = branch.get(started.location.as_deref().unwrap_or_default().trim_start_matches("/api/v1"));
        assert!(matches!(job["state"].as_str(), Some("failed" | "cancelled")), "{step:?}: {job}");
        assert_ne!(branch.last_session()["state"], "running", "{step:?}");
        let there = branch.subjects("bea").len();
        match step {
            Step::Answered => assert_eq!(there, 1, "{step:?}: what has the 250 is there"),
            Step::End => assert!(there <= 1, "{step:?}"),
            _ => assert_eq!(there, 0, "{step:?}: no part of a message is there"),
        }
        let left = branch.queue().len();
        assert!(left == 1 || (seen && left == 0), "{step:?}: {left} left");
        again(&branch, &provider, step, left);
        assert_eq!(branch.subjects("bea"), ["inbound"], "{step:?}: exactly once");
        wait_until("an empty queue", || branch.queue().is_empty());
        assert!(branch.site.stop().success());
        let doubtful = uncertain(folder.path());
        assert_eq!(doubtful, usize::from(seen && left == 1), "{step:?}: {left} left, {doubtful} uncertain");
        site::check(&data_file(folder.path()));
    }
}

/// A second session, in which the provider sends what it has no 250 for.
fn again(branch: &Swapper, provider: &Provider, step: Step, left: usize) {
    let job: Value = std::thread::scope(|scope| {
        let part = scope.spawn(|| {
            let (mut talk, taken, _) = provider.until_turn();
            assert_eq!(taken.len(), left, "{step:?}: what waits is sent: {taken:?}");
            talk.send("250 2.0.0 reversing\r\n");
            talk.expect("220");
            if step == Step::Answered {
                talk.say("EHLO provider.example.test", "250");
            } else {
                send_until(&mut talk, Step::Answered);
            }
            talk.say("QUIT", "221");
        });
        let job = branch.call("hub", &json!({"verb": "atrn"}));
        part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        job
    });
    assert_eq!(job["state"], "succeeded", "{step:?}: {job}");
}
