//! Mail from the world to us.

use super::{Outside, Program, mailbox, note, wait_for_mail};
use crate::dns::Zone;
use crate::mails;

#[test]
fn postfix_brings_mail() {
    check(Program::Postfix);
}

#[test]
fn exim_brings_mail() {
    check(Program::Exim);
}

/// Every octet comes in; an address that is not there is refused while the peer still has the message, so that it, and not
/// we, tells the sender.
fn check(program: Program) {
    if !program.is_here() {
        return;
    }
    let world = Outside::new(Zone::new().mail(program.domain(), program.address()));
    let site = world.serve_new(&[]);
    let peer = program.start(&world);
    let sender = peer.account(0);
    let mails = mails::plain();
    for (number, mail) in mails.iter().enumerate() {
        peer.send(&sender, &["bob@example.test"], &mail.content);
        let received = wait_for_mail(&site, "bob", number + 1);
        assert_eq!(received.len(), number + 1, "nothing twice");
        let received = received.last().expect("a message");
        mails::assert_same(mail.name, &mail.content, received);
        let text = String::from_utf8_lossy(&received[..2000.min(received.len())]);
        assert!(text.contains(&format!("Return-Path: <{sender}>\r\n")), "{text}");
        assert!(text.contains("with ESMTPS"), "the peer used our TLS: {text}");
    }

    peer.send(&sender, &["bob@example.test", "nobody@example.test"], &note("for-nobody"));
    let told = peer.wait_for(peer.accounts[0], 1);
    let told = String::from_utf8_lossy(&told[0]).into_owned();
    assert!(told.contains("nobody@example.test") && told.contains("550"), "the peer tells its user: {told}");
    let words = match program {
        Program::Postfix => {
            ["to=<nobody@example.test>", "dsn=5.1.1", "status=bounced", "in reply to RCPT TO"].as_slice()
        }
        Program::Exim => ["** nobody@example.test", "RCPT TO:<nobody@example.test>", "550 5.1.1"].as_slice(),
    };
    peer.wait_for_log(words);
    assert_eq!(wait_for_mail(&site, "bob", mails.len() + 1).len(), mails.len() + 1, "who is there has it");
    assert!(mailbox(&site, "postmaster").is_empty());
    let stories = world.stop(site);
    assert_eq!(stories.queued, 0, "we send nothing back");
    assert_eq!(stories.count(pillarbox::trace::Kind::Queued), 0, "we send nothing back");
}
