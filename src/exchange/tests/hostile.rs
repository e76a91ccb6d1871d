use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::site::{SECRET, Site};
use crate::base::Address;
use crate::directory::{DomainFields, Precondition, PutDomain};
use crate::net::Connection;
use crate::settings::Settings;
use crate::smtp::server::Profile;
use crate::turn::{Session, SessionState, Verb};
use crate::{exchange, turn};

const SOON: Duration = Duration::from_secs(60);

/// One end of a connection, moved by hand.
struct Hand(Connection);

impl Hand {
    /// A peer that has dialled the hub and logged in (on loopback, in the clear).
    async fn branch(hub: &Site) -> Self {
        let mut hand = Self(Connection::tcp(TcpStream::connect(hub.address).await.unwrap(), None).unwrap());
        hand.hear("220 ").await;
        hand.ask("EHLO branch.test", "250 ").await;
        let login = STANDARD.encode(format!("\0branch\0{SECRET}"));
        hand.ask(&format!("AUTH PLAIN {login}"), "235 ").await;
        hand
    }

    async fn say(&mut self, text: &str) {
        self.0.write(text.as_bytes());
        let _ = self.0.flush(SOON).await;
    }

    /// Says a line and reads a whole reply or command that begins so.
    async fn ask(&mut self, line: &str, expected: &str) -> String {
        self.say(&format!("{line}\r\n")).await;
        self.hear(expected).await
    }

    /// Reads lines up to one that begins so.
    async fn hear(&mut self, expected: &str) -> String {
        let mut heard = String::new();
        loop {
            if let Some(end) = self.0.buffered().windows(2).position(|pair| pair == b"\r\n") {
                let line = String::from_utf8_lossy(&self.0.buffered()[..end]).into_owned();
                self.0.consume(end + 2);
                heard.push_str(&line);
                heard.push('\n');
                if line.starts_with(expected) {
                    return heard;
                }
                continue;
            }
            let count = self.0.fill(SOON).await.unwrap();
            assert!(count > 0, "closed behind {heard:?}, where {expected} was expected");
        }
    }

    /// Everything up to the end of the connection.
    async fn drain(&mut self) -> String {
        while matches!(self.0.fill(SOON).await, Ok(count) if count > 0) {}
        String::from_utf8_lossy(self.0.buffered()).into_owned()
    }
}

/// A hub that holds two messages for a branch.
async fn hub(patience: Duration) -> Site {
    let hub = Site::with("hub.test", Profile::Mx, patience).await;
    hub.put_branch("branch", &["branch.test"]).await;
    for subject in ["one", "two"] {
        hub.post("user@branch.test", subject).await;
    }
    hub
}

/// What a session came to that swapped roles with a server by hand.
async fn ended(hub: &Site, queued: usize) -> Session {
    let session = hub.session().await;
    assert_eq!(hub.queued("branch.test").len(), queued, "{}", session.transcript);
    hub.examine().await;
    session
}

#[tokio::test]
async fn a_server_that_is_silent_or_talks_without_end_gets_nothing() {
    let long = "220-x\r\n".repeat(100_000);
    for greeting in ["", "MAIL FROM:<a@b.test>\r\n", "TURN\r\n", "554 5.0.0 no\r\n", "220", &long, "\0\0\0\0\r\n"] {
        let hub = hub(Duration::from_millis(300)).await;
        let mut hand = Hand::branch(&hub).await;
        hand.ask("TURN", "250 ").await;
        hand.say(greeting).await;
        let said = hand.drain().await;
        assert!(!said.contains("MAIL") && !said.contains("Subject"), "{said}");
        drop(hand);
        let session = ended(&hub, 2).await;
        assert_eq!((session.state, session.sent), (SessionState::Failed, 0), "{}", session.outcome);
    }
}

#[tokio::test]
async fn a_server_that_offers_more_is_not_taken_up_on_it() {
    let hub = hub(SOON).await;
    let mut hand = Hand::branch(&hub).await;
    hand.ask("ATRN branch.test", "250 ").await;
    hand.ask("220 branch.test", "EHLO hub.test").await;
    let mail = hand.ask("250-branch.test\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN", "MAIL ").await;
    assert!(mail.starts_with("MAIL FROM:<user@hub.test>"), "{mail}");
    hand.ask("250 2.1.0 OK", "RCPT TO:<user@branch.test>").await;
    hand.ask("250 2.1.5 OK", "DATA").await;
    hand.ask("354 go on", ".").await;
    hand.ask("250 2.0.0 taken", "MAIL ").await;
    // The second is refused for now, and the swap is asked back in vain.
    hand.ask("450 4.2.0 later", "").await;
    drop(hand);
    let session = ended(&hub, 1).await;
    assert_eq!((session.sent, session.received), (1, 0), "{}", session.transcript);
    assert!(!session.transcript.contains("> STARTTLS") && !session.transcript.contains("> AUTH"));
}

#[tokio::test]
async fn a_server_that_goes_away_behind_the_end_of_data_gets_it_again() {
    let hub = hub(SOON).await;
    let mut hand = Hand::branch(&hub).await;
    hand.ask("TURN", "250 ").await;
    hand.ask("220 branch.test", "EHLO hub.test").await;
    hand.ask("250 branch.test", "MAIL ").await;
    hand.ask("250 OK", "RCPT ").await;
    hand.ask("250 OK", "DATA").await;
    hand.ask("354 go on", ".").await;
    drop(hand);
    let session = ended(&hub, 2).await;
    assert_eq!((session.state, session.sent), (SessionState::Failed, 0), "{}", session.outcome);
    let last = hub.queued("branch.test").into_iter().find_map(|entry| entry.last);
    assert!(last.is_some_and(|last| last.actor == "turn branch"), "the attempt is written down");
}

#[tokio::test]
async fn roles_are_swapped_once() {
    let hub = hub(SOON).await;
    let mut hand = Hand::branch(&hub).await;
    hand.ask("TURN", "250 ").await;
    hand.say("TURN\r\n").await;
    assert_eq!(hand.drain().await, "");
    drop(hand);
    assert_eq!(ended(&hub, 2).await.state, SessionState::Failed);
    // Said at once, neither of them is done.
    let mut hand = Hand::branch(&hub).await;
    hand.say("TURN\r\nTURN\r\n").await;
    let said = hand.drain().await;
    assert!(said.starts_with("503 5.5.1 ") && said.lines().count() == 1, "{said}");
    assert_eq!(hub.queued("branch.test").len(), 2);
}

/// A hub by hand: what dials it is greeted, secured, let in, and granted the swap.
async fn fake_hub(listener: TcpListener, site: &Site) -> Hand {
    let (socket, _) = listener.accept().await.unwrap();
    let mut hand = Hand(Connection::tcp(socket, None).unwrap());
    hand.ask("220 fake.test", "EHLO branch.test").await;
    hand.ask("250-fake.test\r\n250 STARTTLS", "STARTTLS").await;
    hand.say("220 go on\r\n").await;
    hand.0.start_tls(site.tls.clone(), SOON).await.unwrap();
    hand.hear("EHLO branch.test").await;
    hand.ask("250-fake.test\r\n250-AUTH PLAIN\r\n250 ATRN", "AUTH PLAIN ").await;
    hand.ask("235 2.7.0 welcome", "ATRN branch.test").await;
    hand.ask("250 2.0.0 swapped", "220 ").await;
    hand
}

/// A branch, and the hub that it takes for its own.
async fn branch() -> (Site, TcpListener) {
    let branch = Site::start("branch.test").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    branch.put_hub_at("hub", at, branch.certificate, &["branch.test", "hub.test"]).await;
    (branch, listener)
}

#[tokio::test]
async fn a_client_behind_a_swap_brings_what_is_fetched_and_does_nothing_else() {
    let (branch, listener) = branch().await;
    // Another domain of the branch, which it does not fetch from there.
    let settings = Settings::default();
    let put = PutDomain {
        name: "other.test".parse().unwrap(),
        fields: DomainFields {
            catch_all: Some(Address::parse("user@branch.test").unwrap()),
            ..DomainFields::new(&settings)
        },
        precondition: Precondition::None,
        at: branch.context.server.clock.now(),
    };
    let _ = branch.store.write(put).await.unwrap();
    let abuse = async {
        let mut hand = fake_hub(listener, &branch).await;
        let announced = hand.ask("EHLO fake.test", "250 ").await;
        for word in ["STARTTLS", "AUTH", "TURN", "ATRN", "ETRN", "VRFY", "HELP"] {
            assert!(!announced.contains(word), "{announced}");
            hand.ask(&format!("{word} x"), "502 5.5.1 ").await;
        }
        hand.ask("MAIL FROM:<x@fake.test>", "250 ").await;
        for relayed in ["x@elsewhere.test", "x@hub.test", "x@other.test", "x%elsewhere.test@other.test"] {
            hand.ask(&format!("RCPT TO:<{relayed}>"), "550 5.7.1 ").await;
        }
        hand.ask("RCPT TO:<nobody@branch.test>", "550 5.1.1 ").await;
        hand.ask("RCPT TO:<user@branch.test>", "250 ").await;
        hand.ask("DATA", "354 ").await;
        hand.ask("Subject: fetched\r\n\r\ntext\r\n.", "250 ").await;
        hand.ask("QUIT", "221 ").await;
    };
    let (session, ()) = tokio::join!(branch.call("hub", Verb::Atrn), abuse);
    assert_eq!((session.state, session.received), (SessionState::Done, 1), "{}", session.transcript);
    assert_eq!(branch.subjects().await, ["fetched"]);
    branch.examine().await;
}

#[tokio::test]
async fn a_client_that_smuggles_is_sent_away() {
    let (branch, listener) = branch().await;
    let abuse = async {
        let mut hand = fake_hub(listener, &branch).await;
        hand.ask("EHLO fake.test", "250 ").await;
        hand.ask("MAIL FROM:<x@fake.test>", "250 ").await;
        hand.ask("RCPT TO:<user@branch.test>", "250 ").await;
        hand.ask("DATA", "354 ").await;
        hand.say("a\n.\nMAIL FROM:<y@fake.test>\r\n.\r\n").await;
        hand.hear("550 5.5.2 ").await;
        hand.drain().await
    };
    let (session, _) = tokio::join!(branch.call("hub", Verb::Atrn), abuse);
    assert_eq!((session.state, session.received), (SessionState::Failed, 0), "{}", session.outcome);
    assert!(session.outcome.contains("550 5.5.2"), "{}", session.outcome);
    assert!(branch.subjects().await.is_empty());
    branch.examine().await;
}

#[tokio::test]
async fn a_session_is_seen_and_ended_while_it_runs() {
    for by_id in [true, false] {
        let (branch, listener) = branch().await;
        let cancel = CancellationToken::new();
        let watch = async {
            let mut hand = fake_hub(listener, &branch).await;
            hand.ask("EHLO fake.test", "250 ").await;
            let view = branch.store.view().unwrap();
            let (id, session) = turn::sessions(&view, None, None, 1).unwrap().pop().unwrap();
            drop(view);
            assert_eq!(session.state, SessionState::Running);
            let dialogue = exchange::dialogue(&branch.context, id).unwrap();
            assert!(dialogue.contains("< EHLO fake.test") && dialogue.contains("roles are swapped"), "{dialogue}");
            if by_id {
                assert!(exchange::abort(&branch.context, id));
            } else {
                cancel.cancel();
            }
            hand.hear("421 4.3.2 ").await;
            hand.drain().await;
            id
        };
        let called = branch.call_with("hub", None, false, cancel.clone());
        let (session, id) = tokio::join!(called, watch);
        let session = session.unwrap();
        assert_eq!(session.state, SessionState::Failed);
        assert!(session.outcome.contains("cancelled"), "{}", session.outcome);
        assert!(exchange::dialogue(&branch.context, id).is_none() && !exchange::abort(&branch.context, id));
        branch.examine().await;
    }
}
