//! SMTP smuggling (CVE-2023-51764, -51765, -51766): every false end of data, cut into packets at every octet.
//! Only CRLF.CRLF ends a message; what stands behind anything else is text, and never a command.

use crate::client::{Client, server, stored};
use crate::maildrop;

/// What some server somewhere takes for the end of data, and the lone characters that give it away.
const FALSE_ENDS: [&str; 9] =
    ["\n.\n", "\r.\r", "\r\n.\n", "\n.\r\n", "\r\n.\r", "\r\r\n.\r\r\n", "\r\n\0.\r\n", "\r\n.\0\r\n", "\n\n.\r\n"];

/// What is to be smuggled, up to the true end.
const SMUGGLED: &str =
    "MAIL FROM:<boss@example.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\nSubject: inner\r\n\r\nx\r\n.\r\n";

fn attack(false_end: &str) -> String {
    format!("Subject: outer\r\n\r\ntext{false_end}{SMUGGLED}")
}

#[tokio::test]
async fn a_false_end_of_data_on_port_25_is_refused_wherever_it_is_cut() {
    let stage = server().await;
    for false_end in FALSE_ENDS {
        let attack = attack(false_end);
        for at in 0..attack.len() {
            let mut client = Client::smtp(&stage).await;
            client.begin("sender@elsewhere.test", "alice@example.test").await;
            client.send_cut(attack.as_bytes(), at).await;
            let rest = client.rest().await;
            assert!(rest.len() == 1 && rest[0].starts_with("550 5.5.2 "), "{false_end:?} cut at {at}: {rest:?}");
        }
        assert_eq!(stored(&stage).await, (0, 0), "{false_end:?}");
    }
    stage.examine().unwrap();
}

#[tokio::test]
async fn a_false_end_of_data_in_single_octets_is_refused() {
    let stage = server().await;
    for false_end in FALSE_ENDS {
        let mut client = Client::smtp(&stage).await;
        client.begin("sender@elsewhere.test", "alice@example.test").await;
        for octet in attack(false_end).as_bytes() {
            client.send(&[*octet]).await;
            tokio::task::yield_now().await;
        }
        let rest = client.rest().await;
        assert!(rest.len() == 1 && rest[0].starts_with("550 5.5.2 "), "{false_end:?}: {rest:?}");
    }
    assert_eq!(stored(&stage).await, (0, 0));
    stage.examine().unwrap();
}

#[tokio::test]
async fn a_false_end_of_data_from_who_logged_in_becomes_text() {
    let stage = server().await;
    // NUL is no line end: it can't be made whole, so the message is refused there as well.
    for false_end in FALSE_ENDS.iter().filter(|end| !end.contains('\0')) {
        let attack = attack(false_end).replacen("Subject: outer", "From: alice@example.test\r\nSubject: outer", 1);
        for at in (0..attack.len()).step_by(7) {
            let mut client = Client::submission(&stage).await;
            client.begin("alice@example.test", "alice@example.test").await;
            client.send_cut(attack.as_bytes(), at).await;
            client.expect("250 2.0.0 ").await;
            client.say("QUIT", "221 2.0.0 ").await;
            assert_eq!(client.rest().await, Vec::<String>::new());
        }
        let messages = maildrop::messages(&stage, "alice@example.test").await.unwrap();
        for message in &messages {
            let text = String::from_utf8(message.clone()).unwrap();
            assert!(text.contains("\r\nMAIL FROM:<boss@example.test>\r\n"), "{false_end:?}: {text}");
            assert!(!text.replace("\r\n", "").contains(['\r', '\n']), "{false_end:?}: {text:?}");
        }
        assert_eq!(stored(&stage).await, (messages.len(), 0), "{false_end:?}");
        maildrop::clear(&stage, "alice@example.test").await.unwrap();
    }
    stage.examine().unwrap();
}

#[tokio::test]
async fn the_true_end_is_found_wherever_it_is_cut() {
    let stage = server().await;
    // Dots that are text, right before the true end.
    for text in ["x\r\n..\r\n.\r\n", ".\r\n", "x.\r\n.\r\n", "x\r\n...\r\n..x\r\n.\r\n"] {
        let message = format!("Subject: whole\r\n\r\n{text}");
        for at in 0..message.len() {
            let mut client = Client::smtp(&stage).await;
            client.begin("sender@elsewhere.test", "alice@example.test").await;
            client.send_cut(message.as_bytes(), at).await;
            client.expect("250 2.0.0 ").await;
            client.say("QUIT", "221 ").await;
        }
        let expected = format!("\r\n\r\n{}", text.strip_suffix(".\r\n").unwrap().replace("\r\n.", "\r\n"));
        let messages = maildrop::messages(&stage, "alice@example.test").await.unwrap();
        assert_eq!(messages.len(), message.len());
        for stored in &messages {
            assert!(stored.ends_with(expected.as_bytes()), "{text:?}: {:?}", String::from_utf8_lossy(stored));
        }
        maildrop::clear(&stage, "alice@example.test").await.unwrap();
    }
    stage.examine().unwrap();
}
