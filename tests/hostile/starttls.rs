//! STARTTLS and STLS injection (CVE-2011-0411 and its family): octets that come in the clear behind the verb must
//! never be read as if they had come under TLS. The connection ends without a word.

use crate::client::{Client, server, stored};

#[tokio::test]
async fn octets_behind_the_verb_end_the_connection_without_a_word() {
    let stage = server().await;
    let smtp: &[&str] = &["NOOP\r\n", "\r\n", "\n", "x", "EHLO evil\r\nMAIL FROM:<a@b.test>\r\n", "\x16\x03\x01"];
    let pop3: &[&str] = &["NOOP\r\n", "USER alice@example.test\r\n", "\n", "x", "CAPA\r\nQUIT\r\n", "\x16\x03\x01"];
    let imap: &[&str] = &["a NOOP\r\n", "a LOGIN alice@example.test pillarbox\r\n", "\r\n", "\n", "x", "\x16\x03\x01"];
    for (listener, verb, suffixes) in [
        ("smtp", "STARTTLS", smtp),
        ("submission", "STARTTLS", smtp),
        ("pop3", "STLS", pop3),
        ("imap", "a STARTTLS", imap),
    ] {
        for suffix in suffixes {
            let mut client = Client::connect(&stage, listener).await;
            client.reply().await;
            if !matches!(listener, "pop3" | "imap") {
                client.say("EHLO client.elsewhere.test", "250").await;
            }
            client.send(format!("{verb}\r\n{suffix}").as_bytes()).await;
            assert_eq!(client.rest().await, Vec::<String>::new(), "{listener}: {verb} {suffix:?}");
        }
    }
    stage.examine().unwrap();
}

#[tokio::test]
async fn how_the_octets_are_cut_does_not_matter() {
    let stage = server().await;
    let attack = b"STARTTLS\r\nRSET\r\n";
    for at in 0..attack.len() {
        let mut client = Client::smtp(&stage).await;
        client.send_cut(attack, at).await;
        let said = client.wire.drain().await.unwrap();
        // Who waits behind the LF is given the go-ahead, and what follows is no handshake: an alert at most.
        let behind = said.strip_prefix(b"220 2.0.0 Ready to start TLS\r\n").unwrap_or(&said);
        assert!(behind.is_empty() || behind[0] == 0x15, "cut at {at}: {}", String::from_utf8_lossy(&said));
    }
    stage.examine().unwrap();
}

#[tokio::test]
async fn how_the_octets_are_cut_does_not_matter_in_imap() {
    let stage = server().await;
    let attack = b"a STARTTLS\r\nb NOOP\r\n";
    for at in 0..attack.len() {
        let mut client = Client::connect(&stage, "imap").await;
        client.expect("* OK ").await;
        client.send_cut(attack, at).await;
        let said = client.wire.drain().await.unwrap();
        let behind = match said.starts_with(b"a OK ") {
            true => &said[said.iter().position(|octet| *octet == b'\n').map_or(0, |end| end + 1)..],
            false => &said[..],
        };
        assert!(behind.is_empty() || behind[0] == 0x15, "cut at {at}: {}", String::from_utf8_lossy(&said));
    }
    stage.examine().unwrap();
}

#[tokio::test]
async fn nothing_from_before_the_handshake_is_left() {
    let stage = server().await;
    let mut client = Client::smtp(&stage).await;
    client.say("MAIL FROM:<sender@elsewhere.test>", "250 2.1.0").await;
    client.say("RCPT TO:<alice@example.test>", "250 2.1.5").await;
    client.send(b"STARTTLS\r\n").await;
    let answer = client.reply().await;
    if answer.starts_with("220 2.0.0 ") {
        client.wire = client.wire.tls().await.unwrap();
    }
    client.say("RSET", "250").await;
    client.say("DATA", "503 5.5.1").await;
    assert_eq!(stored(&stage).await, (0, 0));
    stage.examine().unwrap();
}

#[tokio::test]
async fn a_login_from_before_the_handshake_is_left_behind() {
    let stage = server().await;
    let mut client = Client::connect(&stage, "pop3").await;
    client.reply().await;
    client.send(b"USER alice@example.test\r\n").await;
    client.reply().await;
    client.send(b"STLS\r\n").await;
    client.expect("+OK").await;
    client.wire = client.wire.tls().await.unwrap();
    client.send(b"PASS pillarbox\r\n").await;
    client.expect("-ERR").await;
    stage.examine().unwrap();
}
