//! Floods of commands: each kind has a budget, and at its end the session ends.

use crate::client::{Client, server, stored};

/// Sends a flood in one go and comes back with the number of replies, of which the last is 421.
async fn flood(mut client: Client, command: &str) -> usize {
    client.send(command.repeat(2000).as_bytes()).await;
    let replies = client.rest().await.into_iter().filter(|line| line.as_bytes().get(3) == Some(&b' '));
    let replies: Vec<String> = replies.collect();
    assert!(replies.last().is_some_and(|last| last.starts_with("421 4.7.0 ")), "{command:?}: {replies:?}");
    replies.len()
}

#[tokio::test]
async fn talk_that_moves_no_mail_ends() {
    let stage = server().await;
    for command in ["NOOP\r\n", "RSET\r\n", "VRFY alice\r\n", "EXPN team\r\n", "HELP\r\n", "EHLO x\r\n", "HELO x\r\n"] {
        // A hundred pass (the EHLO that began was the first), then each is an error, of which twenty are too many.
        assert_eq!(flood(Client::smtp(&stage).await, command).await, 99 + 20 + 1, "{command:?}");
    }
    stage.examine().unwrap();
}

#[tokio::test]
async fn talk_that_is_looked_up_ends() {
    let stage = server().await;
    // Who has logged in is answered by the directory: the last question is not asked any more, and the end is said.
    assert_eq!(flood(Client::submission(&stage).await, "VRFY bob\r\n").await, 98 + 19 + 1);
    assert_eq!(flood(Client::smtp(&stage).await, "ETRN example.test\r\n").await, 20 + 1);
    stage.examine().unwrap();
}

#[tokio::test]
async fn errors_end() {
    let stage = server().await;
    for command in ["FROBNICATE\r\n", "DATA\r\n", "MAIL FROM:<\r\n", "RCPT TO:<alice@example.test>\r\n", "\r\n"] {
        assert_eq!(flood(Client::smtp(&stage).await, command).await, 20 + 1, "{command:?}");
    }
    stage.examine().unwrap();
}

#[tokio::test]
async fn guessing_names_ends() {
    let stage = server().await;
    let mut client = Client::smtp(&stage).await;
    client.say("MAIL FROM:<sender@elsewhere.test>", "250").await;
    for guess in 1..20 {
        client.say(&format!("RCPT TO:<guess{guess}@example.test>"), "550 5.1.1 ").await;
    }
    client.send(b"RCPT TO:<guess20@example.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n").await;
    let rest = client.rest().await;
    assert_eq!(rest.len(), 2, "{rest:?}");
    assert!(rest[0].starts_with("550 5.1.1 ") && rest[1].starts_with("421 4.7.0 "), "{rest:?}");
    assert_eq!(stored(&stage).await, (0, 0));
    stage.examine().unwrap();
}

#[tokio::test]
async fn guessing_passwords_ends() {
    let stage = server().await;
    let mut client = Client::submission_under_tls(&stage).await;
    for _ in 0..2 {
        client.say("AUTH PLAIN AGFsaWNlAHdyb25n", "535 5.7.8 ").await;
    }
    client.send(b"AUTH PLAIN AGFsaWNlAHdyb25n\r\n").await;
    let rest = client.rest().await;
    assert!(rest.len() == 2 && rest[0].starts_with("535 5.7.8 ") && rest[1].starts_with("421 4.7.0 "), "{rest:?}");

    let mut client = Client::connect(&stage, "pop3s").await;
    client.wire = client.wire.tls().await.unwrap();
    client.expect("+OK").await;
    let mut refused = 0;
    loop {
        client.send(b"USER alice@example.test\r\nPASS wrong\r\n").await;
        if client.wire.line().await.unwrap().is_none_or(|line| !line.starts_with(b"+OK")) {
            break;
        }
        client.expect("-ERR [AUTH] ").await;
        refused += 1;
        assert!(refused <= 3, "POP3 lets guess for ever");
    }
    assert_eq!(refused, 3);
    stage.examine().unwrap();
}

#[tokio::test]
async fn a_message_does_not_pay_for_more_guesses() {
    let stage = server().await;
    let mut client = Client::smtp(&stage).await;
    let mut refused = 0;
    'session: for round in 0..10 {
        client.say("MAIL FROM:<sender@elsewhere.test>", "250").await;
        for guess in 0..6 {
            client.send(format!("RCPT TO:<guess{round}.{guess}@example.test>\r\n").as_bytes()).await;
            client.expect("550 5.1.1 ").await;
            refused += 1;
            if refused == 20 {
                client.expect("421 4.7.0 ").await;
                break 'session;
            }
        }
        client.say("RCPT TO:<alice@example.test>", "250").await;
        client.say("DATA", "354").await;
        client.send(b"Subject: pay\r\n\r\nx\r\n.\r\n").await;
        client.expect("250 2.0.0 ").await;
    }
    assert_eq!(refused, 20);
    stage.examine().unwrap();
}

#[tokio::test]
async fn an_imap_session_without_a_login_does_little() {
    let stage = server().await;
    for (command, most) in
        [("a NOOP\r\n", 100), ("a CAPABILITY\r\n", 200), ("a FROBNICATE\r\n", 20), ("a SELECT INBOX\r\n", 20)]
    {
        let mut client = Client::connect(&stage, "imap").await;
        client.expect("* OK ").await;
        client.send(command.repeat(2000).as_bytes()).await;
        let rest = client.rest().await;
        assert!(rest.last().is_some_and(|last| last.starts_with("* BYE ")), "{command:?}: {:?}", rest.last());
        assert!(rest.len() <= most + 1, "{command:?}: {} lines", rest.len());
    }
    stage.examine().unwrap();
}

#[tokio::test]
async fn errors_end_an_imap_session() {
    let stage = server().await;
    for command in ["a FETCH 1 FLAGS\r\n", "a SEARCH ((\r\n", "*\r\n", "\r\n", "a UID\r\n"] {
        let mut client = Client::imap(&stage).await;
        client.send(command.repeat(2000).as_bytes()).await;
        let rest = client.rest().await;
        assert!(rest.last().is_some_and(|last| last.starts_with("* BYE ")), "{command:?}: {:?}", rest.last());
        assert_eq!(rest.len(), 20 + 1, "{command:?}");
    }
    stage.examine().unwrap();
}

#[tokio::test]
async fn guessing_passwords_ends_in_imap() {
    let stage = server().await;
    for guess in ["a LOGIN alice@example.test wrong", "a AUTHENTICATE PLAIN AGFsaWNlAHdyb25n"] {
        let mut client = Client::connect(&stage, "imaps").await;
        client.wire = client.wire.tls().await.unwrap();
        client.expect("* OK ").await;
        client.send(format!("{guess}\r\n").repeat(10).as_bytes()).await;
        let rest = client.rest().await;
        let refused = rest.iter().filter(|line| line.starts_with("a NO [AUTHENTICATIONFAILED] ")).count();
        assert_eq!((refused, rest.len()), (3, 4), "{rest:?}");
        assert!(rest.iter().any(|line| line.starts_with("* BYE ")), "{rest:?}");
    }
    stage.examine().unwrap();
}
