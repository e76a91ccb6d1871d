use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::site::{SECRET, Site};
use crate::base::{Host, SeededRandom, Timestamp};
use crate::directory::Precondition;
use crate::exchange::{self, NotBegun, Schedule};
use crate::queue::{Login, State};
use crate::sasl::Mechanism;
use crate::smtp::server::Profile;
use crate::tls;
use crate::turn::{
    self, Direction, PeerFields, PutPeer, Role, ServerTls, Session, SessionLimits, SessionState, Verb, make_secret,
};

/// A hub that holds mail for a branch, and the branch, which dials it.
async fn pair() -> (Site, Site) {
    let (hub, branch) = (Site::start("hub.test").await, Site::start("branch.test").await);
    hub.put_branch("branch", &["branch.test"]).await;
    branch.put_hub("hub", &hub, &["branch.test", "hub.test"]).await;
    (hub, branch)
}

fn check(session: &Session, verb: Verb, role: Role, sent: u64, received: u64) {
    let Session { state, outcome, transcript, .. } = session;
    assert_eq!(*state, SessionState::Done, "{outcome}\n{transcript}");
    assert_eq!((session.verb, session.role), (verb, role));
    assert_eq!((session.sent, session.received, session.refused), (sent, received, 0), "{outcome}\n{transcript}");
    assert!(session.ended_at.is_some() && session.peer_ip.is_some() && !transcript.contains(SECRET));
}

#[tokio::test]
async fn mail_goes_both_ways_over_one_connection() {
    let (hub, branch) = pair().await;
    let (mut at_hub, mut at_branch) = (Vec::new(), Vec::new());
    for (round, verb) in [Verb::Atrn, Verb::Turn, Verb::Atrn].into_iter().enumerate() {
        hub.post("user@branch.test", &format!("down {round} a")).await;
        hub.post("user@branch.test", &format!("down {round} b")).await;
        branch.post("user@hub.test", &format!("up {round}")).await;
        at_branch.extend([format!("down {round} a"), format!("down {round} b")]);
        at_hub.push(format!("up {round}"));
        let ours = branch.call("hub", verb).await;
        check(&ours, verb, Role::Initiated, 1, 2);
        check(&hub.session().await, verb, Role::Accepted, 2, 1);
        assert_eq!((hub.subjects().await, branch.subjects().await), (at_hub.clone(), at_branch.clone()), "{verb:?}");
        assert!(hub.queued("branch.test").is_empty() && branch.queued("hub.test").is_empty());
        let field = branch.newest().await.replace("\r\n\t", " ");
        assert!(
            field.contains("Received: from hub.test ([127.0.0.1]) by branch.test with ESMTPSA (TLSv1.3 "),
            "{field}"
        );
        assert!(field.contains(" (turned) id "), "{field}");
        for line in
            ["> AUTH SCRAM-SHA-256-PLUS ***", "* the roles are swapped: we take", "< EHLO hub.test", "> 221 2.0.0 Bye"]
        {
            assert!(ours.transcript.contains(line), "{line} in\n{}", ours.transcript);
        }
    }
    // Nothing waits: ATRN is told so, TURN swaps for nothing.
    let session = branch.call("hub", Verb::Atrn).await;
    check(&session, Verb::Atrn, Role::Initiated, 0, 0);
    assert!(session.outcome.contains("nothing waited for us"), "{}", session.outcome);
    check(&branch.call("hub", Verb::Turn).await, Verb::Turn, Role::Initiated, 0, 0);
    check(&hub.session().await, Verb::Turn, Role::Accepted, 0, 0);
    hub.examine().await;
    branch.examine().await;
}

#[tokio::test]
async fn either_may_dial_the_other() {
    let (hub, branch) = (Site::start("hub.test").await, Site::start("branch.test").await);
    for (site, other, name) in [(&hub, &branch, "branch"), (&branch, &hub, "hub")] {
        site.put_hub(name, other, &["hub.test", "branch.test"]).await;
        site.put_peer(name, |fields| {
            fields.direction = Direction::Both;
            fields.domains = ["hub.test", "branch.test"].map(|name| name.parse().unwrap()).into();
            (fields.host, fields.port) = (Some(Host::Literal(other.address.ip())), other.address.port());
            fields.tls = ServerTls::Pinned(other.certificate);
        })
        .await;
    }
    for (site, peer, verb) in [(&hub, "branch", Verb::Atrn), (&branch, "hub", Verb::Turn)] {
        hub.post("user@branch.test", &format!("down by {peer}")).await;
        branch.post("user@hub.test", &format!("up by {peer}")).await;
        check(&site.call(peer, verb).await, verb, Role::Initiated, 1, 1);
    }
    assert_eq!(hub.subjects().await, ["up by branch", "up by hub"]);
    assert_eq!(branch.subjects().await, ["down by branch", "down by hub"]);
    hub.examine().await;
    branch.examine().await;
}

#[tokio::test]
async fn the_best_verb_is_asked_for_and_a_look_changes_nothing() {
    let (hub, branch) = pair().await;
    hub.post("user@branch.test", "down").await;
    branch.post("user@hub.test", "up").await;
    let looked = branch.call_with("hub", None, true, CancellationToken::new()).await.unwrap();
    check(&looked, Verb::Atrn, Role::Initiated, 0, 0);
    assert_eq!((hub.queued("branch.test").len(), branch.queued("hub.test").len()), (1, 1));
    assert!(hub.subjects().await.is_empty() && branch.subjects().await.is_empty());
    let session = branch.call_with("hub", None, false, CancellationToken::new()).await.unwrap();
    check(&session, Verb::Atrn, Role::Initiated, 1, 1);
}

#[tokio::test]
async fn a_session_carries_what_it_may_and_the_next_one_more() {
    let octets = "Subject: down a\r\n".len() as u64;
    for limits in [
        SessionLimits { messages: Some(2), ..SessionLimits::default() },
        SessionLimits { size_bytes: Some(octets + 1), ..SessionLimits::default() },
    ] {
        // At the side that takes: it says so with 421. At the side that gives: it says QUIT.
        for limited in ["hub", "branch"] {
            let (hub, branch) = (Site::start("hub.test").await, Site::start("branch.test").await);
            hub.put_peer("branch", |fields| {
                fields.domains = vec!["branch.test".parse().unwrap()];
                fields.limits = if limited == "hub" { limits } else { SessionLimits::default() };
            })
            .await;
            branch
                .put_peer("hub", |fields| {
                    fields.direction = Direction::Initiate;
                    (fields.host, fields.port) = (Some(Host::Literal(hub.address.ip())), hub.address.port());
                    fields.tls = ServerTls::Pinned(hub.certificate);
                    fields.domains = ["branch.test", "hub.test"].map(|name| name.parse().unwrap()).into();
                    fields.limits = if limited == "branch" { limits } else { SessionLimits::default() };
                })
                .await;
            for which in ["a", "b", "c"] {
                hub.post("user@branch.test", &format!("down {which}")).await;
                branch.post("user@hub.test", &format!("up {which}")).await;
            }
            let ours = branch.call("hub", Verb::Atrn).await;
            // What goes up is bounded by the side that dials.
            let up = if limited == "branch" { 2 } else { 3 };
            check(&ours, Verb::Atrn, Role::Initiated, up, 2);
            assert_eq!(ours.outcome.contains("all that one session takes"), limited == "branch", "{}", ours.outcome);
            assert_eq!(branch.subjects().await, ["down a", "down b"], "{limited} {limits:?}");
            // Nothing is lost: the rest waits, and is not put off.
            let _ = hub.session().await;
            hub.examine().await;
            branch.examine().await;
            let waiting = hub.queued("branch.test");
            assert_eq!(waiting.len(), 1, "{limited} {limits:?}");
            assert_eq!(branch.queued("hub.test").len() as u64, 3 - up);
            check(&branch.call("hub", Verb::Atrn).await, Verb::Atrn, Role::Initiated, 3 - up, 1);
            assert_eq!(branch.subjects().await, ["down a", "down b", "down c"]);
            assert_eq!(hub.subjects().await.len(), 3);
        }
    }
}

#[tokio::test]
async fn a_peer_is_called_when_its_time_has_come() {
    let (hub, branch) = pair().await;
    hub.post("user@branch.test", "down").await;
    let minute_ago = Timestamp(branch.context.server.clock.now().ms() - 60_000);
    let row = turn::peer(&branch.store.view().unwrap(), "hub").unwrap().unwrap();
    let fields = PeerFields { schedule: Some(turn::Schedule::Every { seconds: 60 }), ..row.fields };
    let put = |at| PutPeer {
        name: "hub".into(),
        fields: fields.clone(),
        keep_secret: false,
        precondition: Precondition::None,
        at,
    };
    // Changed now, it is due in a minute; changed a minute ago, it is due.
    let _ = branch.store.write(put(branch.context.server.clock.now())).await.unwrap();
    let mut schedule = Schedule::new(branch.context.clone(), branch.jobs());
    assert_eq!(schedule.look().await, []);
    let _ = branch.store.write(put(minute_ago)).await.unwrap();
    assert_eq!(schedule.look().await.len(), 1);
    // Begun once, whether its row is there yet or not.
    assert_eq!(schedule.look().await, []);
    check(&branch.session().await, Verb::Atrn, Role::Initiated, 0, 1);
    assert_eq!(branch.subjects().await, ["down"]);
    assert_eq!(schedule.look().await, []);
    // The same after a restart: the session's row says when it was.
    assert_eq!(Schedule::new(branch.context.clone(), branch.jobs()).look().await, []);
    hub.examine().await;
    branch.examine().await;
}

#[tokio::test]
async fn a_listener_for_atrn_alone_gives_mail_and_takes_none() {
    let hub = Site::with("hub.test", Profile::Odmr, Duration::from_secs(5)).await;
    let branch = Site::start("branch.test").await;
    hub.put_branch("branch", &["branch.test"]).await;
    branch.put_hub("hub", &hub, &["branch.test", "hub.test"]).await;
    hub.post("user@branch.test", "down").await;
    branch.post("user@hub.test", "up one").await;
    branch.post("user@hub.test", "up two").await;
    let session = branch.call("hub", Verb::Atrn).await;
    assert_eq!((session.state, session.received), (SessionState::Done, 1), "{}", session.transcript);
    assert_eq!(branch.subjects().await, ["down"]);
    // No verdict on the messages: they wait for another port, and nobody is told that they failed.
    assert_eq!(branch.queued("hub.test").len(), 2);
    branch.examine().await;
}

#[tokio::test]
async fn one_session_at_a_time() {
    let (hub, branch) = pair().await;
    hub.post("user@branch.test", "down").await;
    let lease = hub.context.server.leases.take("branch");
    for verb in [Verb::Atrn, Verb::Turn] {
        let session = branch.call("hub", verb).await;
        assert_eq!(session.state, SessionState::Refused, "{}", session.outcome);
        assert!(session.outcome.contains("450"), "{}", session.outcome);
    }
    drop(lease);
    let lease = branch.context.server.leases.take("hub");
    let refused = branch.call_with("hub", None, false, CancellationToken::new()).await;
    assert_eq!(refused, Err(NotBegun::Busy));
    drop(lease);
    check(&branch.call("hub", Verb::Atrn).await, Verb::Atrn, Role::Initiated, 0, 1);
    hub.examine().await;
}

#[tokio::test]
async fn who_can_not_be_called_is_told_what_to_do() {
    let (hub, branch) = pair().await;
    let check = async |peer: &str, verb, expected: &str| {
        let error = branch.call_with(peer, verb, false, CancellationToken::new()).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(exchange::check(&branch.context, peer, verb).unwrap_err(), error);
    };
    check("nobody", None, "no such peer").await;
    branch.put_branch("guest", &["branch.test"]).await;
    check("guest", None, "we may not dial this peer").await;
    branch.put_hub("hub", &hub, &["hub.test"]).await;
    check("hub", None, "none of the peer's domains is ours").await;
    branch.put_hub("hub", &hub, &["branch.test"]).await;
    branch
        .put_peer("tame", |fields| {
            (fields.direction, fields.verbs) = (Direction::Initiate, vec![Verb::Etrn]);
            fields.host = Some(Host::Name("hub.test".parse().unwrap()));
            fields.domains = vec!["branch.test".parse().unwrap()];
        })
        .await;
    check("tame", Some(Verb::Turn), "turn is none of the peer's verbs").await;
    branch
        .put_peer("off", |fields| {
            (fields.enabled, fields.domains) = (false, vec!["branch.test".parse().unwrap()]);
            fields.login = Some(Login { user: "off".into(), secret: "x".into() });
        })
        .await;
    check("off", None, "disabled").await;
}

#[tokio::test]
async fn without_the_right_certificate_or_secret_nothing_is_said() {
    let (hub, branch) = pair().await;
    hub.post("user@branch.test", "down").await;
    branch.post("user@hub.test", "up").await;
    branch.put_hub_at("hub", hub.address, [7; 32], &["branch.test", "hub.test"]).await;
    let session = branch.call("hub", Verb::Atrn).await;
    assert_eq!(session.state, SessionState::Failed);
    assert!(
        session.outcome.starts_with("starting TLS: ") && !session.transcript.contains("> AUTH"),
        "{}",
        session.outcome
    );
    branch.put_hub("hub", &hub, &["branch.test", "hub.test"]).await;
    hub.put_peer("branch", |fields| {
        fields.domains = vec!["branch.test".parse().unwrap()];
        fields.login = Some(Login { user: "branch".into(), secret: "another".into() });
    })
    .await;
    let session = branch.call("hub", Verb::Turn).await;
    assert_eq!(session.state, SessionState::Failed);
    assert!(session.outcome.starts_with("logging in: 535"), "{}", session.outcome);
    assert_eq!((hub.queued("branch.test").len(), branch.queued("hub.test").len()), (1, 1));
    hub.examine().await;
    branch.examine().await;
}

#[tokio::test]
async fn etrn_releases_once_in_ten_minutes() {
    let (hub, branch) = pair().await;
    hub.post("user@branch.test", "first").await;
    let released = || {
        hub.queued("branch.test")
            .into_iter()
            .map(|entry| entry.state == State::Waiting { released: true })
            .collect::<Vec<_>>()
    };
    check(&branch.call("hub", Verb::Etrn).await, Verb::Etrn, Role::Initiated, 0, 0);
    assert_eq!(released(), [true]);
    hub.post("user@branch.test", "second").await;
    for _ in 0..3 {
        check(&branch.call("hub", Verb::Etrn).await, Verb::Etrn, Role::Initiated, 0, 0);
    }
    assert_eq!(released(), [true, false]);
    hub.examine().await;
}

#[tokio::test]
async fn an_unreachable_peer_is_a_failed_session() {
    let (hub, branch) = pair().await;
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    branch.put_hub_at("hub", nowhere, hub.certificate, &["branch.test"]).await;
    let session = branch.call("hub", Verb::Atrn).await;
    assert_eq!(session.state, SessionState::Failed);
    assert!(session.outcome.starts_with("connecting: "), "{}", session.outcome);
    branch.examine().await;
}

#[tokio::test]
async fn the_strongest_login_is_used_that_both_have() {
    let (hub, branch) = pair().await;
    let secret = make_secret(&SeededRandom::new(2645)).expose().clone();
    let login = || Some(Login { user: "branch".into(), secret: secret.clone() });
    for (at_hub, at_branch, used) in [
        (Mechanism::BY_SECRET.to_vec(), Mechanism::BY_SECRET.to_vec(), Mechanism::ScramSha256Plus),
        (vec![Mechanism::CramMd5, Mechanism::ScramSha256], Mechanism::BY_SECRET.to_vec(), Mechanism::ScramSha256Plus),
        (Mechanism::BY_SECRET.to_vec(), vec![Mechanism::CramMd5, Mechanism::ScramSha256], Mechanism::ScramSha256),
        (Mechanism::BY_SECRET.to_vec(), vec![Mechanism::CramMd5, Mechanism::Plain], Mechanism::Plain),
        (Mechanism::BY_SECRET.to_vec(), vec![Mechanism::Login], Mechanism::Login),
        (Mechanism::BY_SECRET.to_vec(), vec![Mechanism::CramMd5], Mechanism::CramMd5),
    ] {
        let is_taken = at_hub.contains(&used);
        let subject = format!("{at_hub:?} {at_branch:?}");
        hub.put_peer("branch", |fields| {
            fields.domains = vec!["branch.test".parse().unwrap()];
            (fields.login, fields.mechanisms) = (login(), at_hub);
        })
        .await;
        branch.put_hub_with("hub", &hub, login(), at_branch).await;
        hub.post("user@branch.test", &subject).await;
        let session = branch.call("hub", Verb::Atrn).await;
        assert!(session.transcript.contains(&format!("> AUTH {}", used.name())), "{}", session.transcript);
        assert!(!session.transcript.contains(&secret));
        // What is announced is for everybody; what a peer may use is its own.
        let expected = if is_taken { SessionState::Done } else { SessionState::Failed };
        assert_eq!(session.state, expected, "{}", session.transcript);
        assert_eq!(branch.subjects().await.last().is_some_and(|last| *last == subject), is_taken);
    }
    branch.examine().await;
    hub.examine().await;
}

#[tokio::test]
async fn each_is_known_by_its_certificate() {
    let (hub, branch) = (Site::start("hub.test").await, Site::start("branch.test").await);
    let certificate = tls::client_fingerprint(&branch.store.view().unwrap()).unwrap();
    let known_by = async |client_certificate| {
        hub.put_peer("branch", |fields| {
            fields.domains = vec!["branch.test".parse().unwrap()];
            (fields.login, fields.mechanisms) = (None, vec![Mechanism::External]);
            fields.client_certificate = client_certificate;
        })
        .await;
    };
    known_by(certificate).await;
    branch.put_hub_with("hub", &hub, None, vec![Mechanism::External]).await;
    for (round, verb) in [Verb::Atrn, Verb::Turn].into_iter().enumerate() {
        hub.post("user@branch.test", &format!("down {round}")).await;
        branch.post("user@hub.test", &format!("up {round}")).await;
        let ours = branch.call("hub", verb).await;
        check(&ours, verb, Role::Initiated, 1, 1);
        check(&hub.session().await, verb, Role::Accepted, 1, 1);
        assert!(ours.transcript.contains("> AUTH EXTERNAL"), "{}", ours.transcript);
    }
    check(&branch.call("hub", Verb::Etrn).await, Verb::Etrn, Role::Initiated, 0, 0);
    // Another certificate is expected now: a wrong login, as any other.
    hub.post("user@branch.test", "kept").await;
    known_by(Some([7; 32])).await;
    let session = branch.call("hub", Verb::Atrn).await;
    assert_eq!(session.state, SessionState::Failed);
    assert!(session.outcome.starts_with("logging in: 535"), "{}", session.outcome);
    // A hub that knows nobody by a certificate asks for none.
    hub.put_branch("branch", &["branch.test"]).await;
    let session = branch.call("hub", Verb::Atrn).await;
    assert_eq!(session.state, SessionState::Failed);
    assert!(session.outcome.contains("offers none of AUTH EXTERNAL"), "{}", session.outcome);
    assert_eq!(hub.queued("branch.test").len(), 1);
    assert_eq!((hub.subjects().await.len(), branch.subjects().await.len()), (2, 2));
    hub.examine().await;
    branch.examine().await;
}
