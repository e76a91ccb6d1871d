//! Mail from us to the world, by MX.

use pillarbox::trace::Kind;

use super::{Outside, Program, alice, note};
use crate::dns::Zone;
use crate::mails;

#[test]
fn postfix_takes_our_mail() {
    check(Program::Postfix);
}

#[test]
fn exim_takes_our_mail() {
    check(Program::Exim);
}

/// Every octet and the envelope of every message, TLS by a certificate that nobody knows, several recipients in one
/// transaction, and several messages over one connection.
fn check(program: Program) {
    if !program.is_here() {
        return;
    }
    let world = Outside::new(Zone::new().mail(program.domain(), program.address()));
    let arguments = ["--set", "delivery.connections_per_destination=1", "--set", "queue.retry_seconds=600"];
    let site = world.serve_new(&arguments);
    let mut session = alice(&site);
    let [first, second] = match program {
        Program::Postfix => ["carol@postfix.test", "chris@postfix.test"],
        Program::Exim => ["dave@exim.test", "erin@exim.test"],
    };
    // The peer is down: all of these wait, and then go over as few connections as are needed.
    let mails = mails::plain();
    for mail in &mails {
        session.submit("alice@example.test", &[first], &mail.content).expect("it is taken");
    }
    session.submit("alice@example.test", &[first, second], &note("to-both")).expect("it is taken");

    let peer = program.start(&world);
    // All at once, instead of each at its own time.
    let (status, answer) = site.rest("POST", "/api/v1/queue/flush", r#"{"all":true}"#);
    assert_eq!(status, 202, "{answer}");
    assert_eq!([peer.account(0), peer.account(1)], [first, second]);
    let received = peer.wait_for(peer.accounts[0], mails.len() + 1);
    assert_eq!(received.len(), mails.len() + 1, "nothing twice");
    let name_of = |content: &[u8]| crate::outside::bounces::field(content, "Message-ID");
    for mail in &mails {
        let own: Vec<_> = received.iter().filter(|content| name_of(content) == name_of(&mail.content)).collect();
        assert_eq!(own.len(), 1, "{} arrives once", mail.name);
        mails::assert_same(mail.name, &mail.content, own[0]);
    }
    let to_second = peer.wait_for(peer.accounts[1], 1);
    assert_eq!(to_second.len(), 1);
    mails::assert_same("to both", &note("to-both"), &to_second[0]);
    let ended = match program {
        Program::Postfix => {
            peer.wait_for_log(&["from=<alice@example.test>", "nrcpt=2 (queue active)"]);
            let ended = peer.wait_for_log(&["disconnect from", "quit=1"]);
            assert!(ended.iter().all(|line| line.contains("starttls=1")), "{ended:?}");
            ended
        }
        Program::Exim => {
            let taken = peer.wait_for_log(&[" <= alice@example.test", "id=to-both@example.test"]);
            assert!(taken[0].ends_with(&format!(" for {first} {second}")), "one transaction: {taken:?}");
            let taken = peer.wait_for_log(&[" <= alice@example.test"]);
            assert!(taken.iter().all(|line| line.contains("P=esmtps X=TLS1.3")), "{taken:?}");
            peer.wait_for_log(&["SMTP connection from", "closed by QUIT"])
        }
    };
    assert!(ended.len() <= mails.len(), "connections are used again: {ended:?}");

    let stories = world.stop(site);
    assert_eq!(stories.queued, 0);
    for mail in &mails {
        let id = name_of(&mail.content);
        let story = stories.story(id.trim_matches(['<', '>']));
        let relayed = story.of(Kind::Relayed);
        assert_eq!(relayed.len(), 1, "{}: {:?}", mail.name, story.events);
        let tls = relayed[0].tls.as_deref().unwrap_or("none");
        assert!(tls.starts_with("TLSv1.3 ") && tls.contains(" unverified"), "{}: {tls}", mail.name);
        assert_eq!(relayed[0].server.as_deref(), Some(format!("mx.{}", program.domain()).as_str()));
        assert_eq!(relayed[0].code, Some(250));
        assert_eq!(story.of(Kind::Queued).len(), 1);
    }
    assert_eq!(stories.story("to-both@example.test").of(Kind::Relayed).len(), 2);
    assert!(stories.count(Kind::Deferred) > 0, "the peer was tried while it was down");
    assert_eq!(stories.count(Kind::Bounced) + stories.count(Kind::Uncertain) + stories.count(Kind::Failed), 0);
}
