//! Lines that are too long: skipped whole, never kept in memory, and none of what they hold is read as a command.

use crate::client::{Client, server, stored};
use crate::maildrop;

#[tokio::test]
async fn an_endless_command_is_skipped() {
    let stage = server().await;
    for (listener, refusal, noop, fine) in [
        ("smtp", "500 5.5.2 ", "NOOP", "250 2.0.0 "),
        ("submission", "500 5.5.2 ", "NOOP", "250 2.0.0 "),
        ("pop3", "-ERR", "CAPA", "+OK"),
        ("imap", "NOOP BAD ", "a NOOP", "a OK "),
    ] {
        let mut client = Client::connect(&stage, listener).await;
        client.reply().await;
        // 8 MiB without a line end, in which whole commands stand.
        let piece = b"NOOP QUIT STARTTLS EHLO x ".repeat(40);
        for _ in 0..8192 {
            client.send(&piece).await;
        }
        client.send(b"\r\n").await;
        client.expect(refusal).await;
        client.say(noop, fine).await;
    }
    stage.examine().unwrap();
}

#[tokio::test]
async fn a_line_end_at_the_edge_of_the_limit_ends_the_line() {
    let stage = server().await;
    let mut client = Client::smtp(&stage).await;
    for length in 4000..4200 {
        let line = format!("NOOP {}\r\n", "x".repeat(length - 7));
        client.send(line.as_bytes()).await;
        let reply = client.reply().await;
        let expected = if length <= 4096 { "250 2.0.0 " } else { "500 5.5.2 " };
        assert!(reply.starts_with(expected), "{length} octets: {reply}");
        // Errors and idle talk are limited: what counts here is the single line.
        client = Client::smtp(&stage).await;
    }
    stage.examine().unwrap();
}

#[tokio::test]
async fn a_text_line_over_the_limit_is_refused_and_one_below_is_kept() {
    let stage = server().await;
    let mut client = Client::smtp(&stage).await;
    for (length, expected) in [(1_000_000, "250 2.0.0 "), (2_000_000, "554 5.6.0 "), (1_000_001, "250 2.0.0 ")] {
        client.begin("sender@elsewhere.test", "alice@example.test").await;
        client.send(format!("Subject: long\r\n\r\n{}\r\n.\r\n", "x".repeat(length)).as_bytes()).await;
        client.expect(expected).await;
    }
    client.say("QUIT", "221 ").await;
    let messages = maildrop::messages(&stage, "alice@example.test").await.unwrap();
    assert_eq!(messages.len(), 2);
    assert!(messages[0].ends_with(format!("\r\n\r\n{}\r\n", "x".repeat(1_000_000)).as_bytes()));
    assert_eq!(stored(&stage).await, (2, 0));
    stage.examine().unwrap();
}
