//! Header bombs (CVE-2024-23184, CVE-2026-47088): refused by their size before anything looks at what they say.

use crate::client::{Client, server, stored};

/// Header blocks, each over a limit or slow to read for somebody.
fn bombs() -> Vec<(&'static str, String)> {
    vec![
        ("a hundred thousand fields", "X: y\r\n".repeat(100_000)),
        ("one field over many lines", format!("To: a@b.test{}\r\n", ",\r\n a@b.test".repeat(100_000))),
        (
            "one field of 10 MiB in lines of 900",
            format!("X: {}\r\n", format!("{}\r\n ", "x".repeat(900)).repeat(11_000)),
        ),
        ("one line of 900 KiB", format!("X: {}\r\n", "x".repeat(900_000))),
        ("no colon in sight", "no colon\r\n".repeat(100_000)),
        ("parameters without end", format!("Content-Type: text/plain{}\r\n", ";\r\n a*0=b".repeat(100_000))),
    ]
}

#[tokio::test]
async fn a_header_over_the_limits_is_refused_and_the_session_goes_on() {
    let stage = server().await;
    for (what, header) in bombs() {
        let mut client = Client::smtp(&stage).await;
        client.begin("sender@elsewhere.test", "alice@example.test").await;
        client.send(header.as_bytes()).await;
        client.send(b"\r\ntext\r\n.\r\n").await;
        let reply = client.reply().await;
        assert!(["552 5.3.4 ", "554 5.6.0 "].iter().any(|begin| reply.starts_with(begin)), "{what}: {reply}");
        client.say("NOOP", "250 2.0.0 ").await;
    }
    assert_eq!(stored(&stage).await, (0, 0));
    stage.examine().unwrap();
}

#[tokio::test]
async fn comments_in_comments_are_read_without_a_stack() {
    let stage = server().await;
    for from in [
        format!("From: {}\r\n", format!("{}\r\n ", "(".repeat(900)).repeat(200)),
        format!("From: {} alice@example.test\r\n", format!("{}\r\n ", "(a)".repeat(300)).repeat(200)),
        format!("From: alice@example.test {}\r\n", format!("{}\r\n ", "<".repeat(900)).repeat(200)),
        format!("From: {}\r\n", format!("{}\r\n ", "\"\\".repeat(450)).repeat(200)),
        format!("From: {}\r\n", ":;\r\n ".repeat(900)),
    ] {
        let mut client = Client::submission(&stage).await;
        client.begin("alice@example.test", "bob@example.test").await;
        client.send(format!("{from}Subject: nested\r\n\r\ntext\r\n.\r\n").as_bytes()).await;
        let reply = client.reply().await;
        assert!(["250 2.0.0 ", "550 5.6.0 ", "553 5.7.1 "].iter().any(|begin| reply.starts_with(begin)), "{reply}");
        client.say("NOOP", "250 2.0.0 ").await;
    }
    stage.examine().unwrap();
}
