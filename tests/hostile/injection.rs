//! Line ends and controls in names and addresses (OpenSMTPD 7.8.0p1, CVE-2020-8794): refused where they come in, so
//! that they never reach a header field, a log line or another server.

use crate::client::{Client, server, stored};
use crate::maildrop;

#[tokio::test]
async fn no_command_may_hold_a_control_character() {
    let stage = server().await;
    for control in ["\0", "\r", "\n", "\x01", "\x08", "\x0b", "\x0c", "\x1b", "\x7f", "\u{85}"] {
        for command in [
            "EHLO evil{}Received: x",
            "MAIL FROM:<a{}b@elsewhere.test>",
            "MAIL FROM:<\"a{}b\"@elsewhere.test> SMTPUTF8",
            "VRFY a{}b",
            "NOOP {}x",
        ] {
            let mut client = Client::smtp(&stage).await;
            client.send(format!("{}\r\n", command.replace("{}", control)).as_bytes()).await;
            let reply = client.reply().await;
            assert!(reply.starts_with('5'), "{command:?} with {control:?}: {reply}");
        }
        let mut client = Client::smtp(&stage).await;
        client.say("MAIL FROM:<sender@elsewhere.test>", "250").await;
        client.send(format!("RCPT TO:<alice{control}@example.test>\r\n").as_bytes()).await;
        let reply = client.reply().await;
        assert!(reply.starts_with('5'), "RCPT with {control:?}: {reply}");
    }
    assert_eq!(stored(&stage).await, (0, 0));
    stage.examine().unwrap();
}

#[tokio::test]
async fn no_login_may_hold_a_control_character() {
    let stage = server().await;
    for login in
        ["alice@example.test\r\n", "alice\0x@example.test", "\nalice@example.test", "alice@example.test\x1b[2J"]
    {
        let mut client = Client::submission_under_tls(&stage).await;
        client.say("AUTH LOGIN", "334").await;
        client.send(format!("{}\r\n", crate::text::base64(login.as_bytes())).as_bytes()).await;
        let mut reply = client.reply().await;
        if reply.starts_with("334") {
            client.send(format!("{}\r\n", crate::text::base64(b"pillarbox")).as_bytes()).await;
            reply = client.reply().await;
        }
        assert!(reply.starts_with("535 5.7.8 ") || reply.starts_with("501 5.5.2 "), "{login:?}: {reply}");
    }
    stage.examine().unwrap();
}

#[tokio::test]
async fn what_is_no_utf8_is_refused() {
    let stage = server().await;
    let mut client = Client::smtp(&stage).await;
    for command in [&b"EHLO \xff\xfe\r\n"[..], b"MAIL FROM:<\xc3\x28@elsewhere.test> SMTPUTF8\r\n", b"NOOP \x80\r\n"] {
        client.send(command).await;
        let reply = client.reply().await;
        assert!(reply.starts_with('5'), "{command:?}: {reply}");
    }
    stage.examine().unwrap();
}

#[tokio::test]
async fn the_trace_fields_are_ours_alone() {
    let stage = server().await;
    let mut client = Client::connect(&stage, "smtp").await;
    client.expect("220").await;
    // A name may be anything that is a name; it stands inside our Received and opens no line of its own.
    client.send(b"EHLO evil)(by(mx.example.test;\r\n").await;
    let reply = client.reply().await;
    if reply.starts_with("501") {
        client.say("EHLO evil.elsewhere.test", "250").await;
    }
    client.begin("sender@elsewhere.test", "alice@example.test").await;
    client
        .send(b"Return-Path: <forged@elsewhere.test>\r\nDelivered-To: bob@example.test\r\nSubject: x\r\n\r\nx\r\n.\r\n")
        .await;
    client.expect("250 2.0.0 ").await;
    client.say("QUIT", "221").await;
    let messages = maildrop::messages(&stage, "alice@example.test").await.unwrap();
    let text = String::from_utf8(messages[0].clone()).unwrap();
    assert!(text.starts_with("Return-Path: <sender@elsewhere.test>\r\n"), "{text}");
    let received = text.lines().find(|line| line.starts_with("Received: ")).unwrap();
    assert_eq!(received.matches('(').count(), received.matches(')').count(), "{received}");
    stage.examine().unwrap();
}
