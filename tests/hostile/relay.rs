//! Open relay: every way that somebody tried to write a recipient elsewhere so that it looks like one here. Whoever
//! has not logged in reaches the domains of this server and nothing else.

use crate::client::{Client, server, stored};

/// Not a domain of this server.
const RELAY: &str = "550 5.7.1 ";
/// A domain of this server, and nobody of that name in it.
const UNKNOWN: &str = "550 5.1.1 ";
/// No address.
const SYNTAX: &str = "501 5.1.3 ";
/// No path.
const ARGUMENTS: &str = "501 5.5.2 ";
/// Not ASCII, without SMTPUTF8.
const UTF8: &str = "553 5.6.7 ";

/// What stands behind `RCPT TO:`, and the only answer to it.
pub const RECIPIENTS: &[(&str, &str)] = &[
    ("<user@elsewhere.test>", RELAY),
    ("<User@ELSEWHERE.test>", RELAY),
    ("<\"user\"@elsewhere.test>", RELAY),
    ("<\"user@example.test\"@elsewhere.test>", RELAY),
    ("<postmaster@elsewhere.test>", RELAY),
    ("<abuse@elsewhere.test>", RELAY),
    ("<alice@sub.example.test>", RELAY),
    ("<alice@test>", RELAY),
    ("<alice@example.test.elsewhere.test>", RELAY),
    ("<alice@xexample.test>", RELAY),
    ("<alice@example-test>", RELAY),
    ("<alice+user@elsewhere.test>", RELAY),
    ("<user%example.test@elsewhere.test>", RELAY),
    ("<user!example.test@elsewhere.test>", RELAY),
    ("<user@xn--bcher-kva.test>", RELAY),
    ("<user@[127.0.0.1]>", RELAY),
    ("<user@[192.0.2.1]>", RELAY),
    ("<user@[IPv6:::1]>", RELAY),
    ("<user@[IPv6:2001:db8::1]>", RELAY),
    ("<alice@[127.0.0.1]>", RELAY),
    ("<user@localhost>", RELAY),
    ("<user@mx.example.test>", RELAY),
    // A source route is read over: what follows it decides.
    ("<@example.test:user@elsewhere.test>", RELAY),
    ("<@mx.example.test,@example.test:user@elsewhere.test>", RELAY),
    ("<@elsewhere.test:user@elsewhere.test>", RELAY),
    ("<@[127.0.0.1]:user@elsewhere.test>", RELAY),
    ("<@example.test:@elsewhere.test:user@elsewhere.test>", SYNTAX),
    ("<@example.test@elsewhere.test:user@elsewhere.test>", SYNTAX),
    // The local part means nothing to anybody but its own domain.
    ("<user%elsewhere.test@example.test>", UNKNOWN),
    ("<user%elsewhere.test@mx.example.test>", RELAY),
    ("<\"user%elsewhere.test\"@example.test>", UNKNOWN),
    ("<\"user@elsewhere.test\"@example.test>", UNKNOWN),
    ("<elsewhere.test!user@example.test>", UNKNOWN),
    ("<\"elsewhere.test!user\"@example.test>", UNKNOWN),
    ("<@elsewhere.test:user%elsewhere.test@example.test>", UNKNOWN),
    ("<user/elsewhere.test@example.test>", UNKNOWN),
    ("<\"|/bin/sh\"@example.test>", UNKNOWN),
    ("<\"alice@example.test \"@example.test>", UNKNOWN),
    // Not addresses at all.
    ("<user@elsewhere.test@example.test>", SYNTAX),
    ("<user@example.test@elsewhere.test>", SYNTAX),
    ("<user%elsewhere.test>", SYNTAX),
    ("<elsewhere.test!user>", SYNTAX),
    ("<\"user@elsewhere.test\">", SYNTAX),
    ("<user@elsewhere.test.>", SYNTAX),
    ("<alice@example.test.>", SYNTAX),
    ("<alice@example.test,user@elsewhere.test>", SYNTAX),
    ("<alice@example.test;user@elsewhere.test>", SYNTAX),
    ("<alice@example.test user@elsewhere.test>", SYNTAX),
    ("<alice@example.test\tuser@elsewhere.test>", "500 5.5.2 "),
    ("<alice@example.test(user@elsewhere.test)>", SYNTAX),
    ("<(user)alice@elsewhere.test>", SYNTAX),
    ("<user@2130706433>", SYNTAX),
    ("<user@127.0.0.1>", SYNTAX),
    ("<@elsewhere.test>", SYNTAX),
    ("<user@xn--elsewhere-kva.test>", SYNTAX),
    ("<user@>", SYNTAX),
    ("<>", SYNTAX),
    ("<user@elsewhere.test><alice@example.test>", ARGUMENTS),
    ("<alice@example.test><user@elsewhere.test>", ARGUMENTS),
    ("<<user@elsewhere.test>>", SYNTAX),
    // Letters that look alike.
    ("<alice@ex\u{430}mple.test>", UTF8),
    ("<\u{430}lice@example.test>", UTF8),
    ("<alice@example\u{3002}test>", UTF8),
];

/// Senders that were once a reason to relay.
const SENDERS: [&str; 5] =
    ["sender@elsewhere.test", "alice@example.test", "", "postmaster@example.test", "root@mx.example.test"];

#[tokio::test]
async fn no_form_of_a_recipient_elsewhere_is_taken_from_a_stranger() {
    assert!(RECIPIENTS.len() >= 40);
    let stage = server().await;
    let mut wrong = Vec::new();
    for sender in SENDERS {
        for (recipient, expected) in RECIPIENTS {
            let mut client = Client::smtp(&stage).await;
            client.say(&format!("MAIL FROM:<{sender}>"), "250 2.1.0 ").await;
            client.send(format!("RCPT TO:{recipient}\r\n").as_bytes()).await;
            let reply = client.reply().await;
            if !reply.starts_with(expected) {
                wrong.push(format!("{recipient} from <{sender}>: expected {expected}, got {reply}"));
            }
            client.say("DATA", "554 5.5.1 ").await;
            client.say("QUIT", "221 ").await;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(stored(&stage).await, (0, 0));
    stage.examine().unwrap();
}

#[tokio::test]
async fn letters_that_look_alike_are_other_letters() {
    let stage = server().await;
    for (recipient, expected) in [
        ("<alice@ex\u{430}mple.test>", RELAY),
        ("<\u{430}lice@example.test>", UNKNOWN),
        ("<\u{ff41}lice@example.test>", UNKNOWN),
    ] {
        let mut client = Client::smtp(&stage).await;
        client.say("MAIL FROM:<sender@elsewhere.test> SMTPUTF8", "250 2.1.0 ").await;
        client.say(&format!("RCPT TO:{recipient}"), expected).await;
    }
    stage.examine().unwrap();
}

#[tokio::test]
async fn a_hello_with_our_name_and_tls_are_no_reason_to_relay() {
    let stage = server().await;
    for name in ["mx.example.test", "example.test", "localhost", "[127.0.0.1]"] {
        let mut client = Client::connect(&stage, "smtp").await;
        client.expect("220").await;
        client.say(&format!("EHLO {name}"), "250").await;
        client.say("STARTTLS", "220 2.0.0 ").await;
        client.wire = client.wire.tls().await.unwrap();
        client.say(&format!("EHLO {name}"), "250").await;
        client.say("MAIL FROM:<alice@example.test>", "250 2.1.0 ").await;
        client.say("RCPT TO:<user@elsewhere.test>", RELAY).await;
    }
    stage.examine().unwrap();
}

#[tokio::test]
async fn loopback_is_no_reason_to_relay() {
    let stage = server().await;
    let mut client = Client { wire: stage.connect("smtp").await.unwrap() };
    client.expect("220").await;
    client.say("EHLO localhost", "250").await;
    client.say("MAIL FROM:<alice@example.test>", "250 2.1.0 ").await;
    client.say("RCPT TO:<user@elsewhere.test>", RELAY).await;
    stage.examine().unwrap();
}
