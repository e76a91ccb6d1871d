//! The end of TLS in the middle of a message (Exim's "Dead.Letter", CVE-2026-45185): the connection is over. Octets
//! that come in the clear behind it are never read, neither as text nor as commands.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::{Client, FAR, server, stored};
use crate::stage::Stage;
use crate::wire::{Wire, connector, server_name};

#[tokio::test]
async fn octets_in_the_clear_behind_the_end_of_tls_are_never_read() {
    let stage = server().await;
    let Stage::House(house) = &stage else { unreachable!("the server is in this process") };
    for clear in [&b"\r\n.\r\n"[..], b"x\r\n.\r\nMAIL FROM:<a@b.test>\r\n", b"QUIT\r\n", b"\r\n.\r\nNOOP\r\n"] {
        let pipe = house.connect(FAR, "submissions").unwrap();
        let mut tls = connector().connect(server_name(), pipe).await.unwrap();
        let begin = format!(
            "EHLO x\r\nAUTH PLAIN {}\r\nMAIL FROM:<alice@example.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n",
            stage.variables()["plain"]
        );
        for line in begin.split_inclusive("\r\n") {
            tls.write_all(line.as_bytes()).await.unwrap();
            tls.flush().await.unwrap();
            read_something(&mut tls).await;
        }
        tls.write_all(b"From: alice@example.test\r\nSubject: dead letter\r\n\r\nhalf a li").await.unwrap();
        tls.flush().await.unwrap();
        let (pipe, session) = tls.get_mut();
        session.send_close_notify();
        let mut notify = Vec::new();
        session.write_tls(&mut notify).unwrap();
        pipe.write_all(&notify).await.unwrap();
        pipe.write_all(clear).await.unwrap();
        let rest = String::from_utf8_lossy(&Wire::new(tls).drain().await.unwrap()).into_owned();
        assert!(!rest.contains("250 2.0.0") && !rest.contains("221 2.0.0"), "{clear:?}: {rest}");
    }
    assert_eq!(stored(&stage).await, (0, 0));
    stage.examine().unwrap();
}

#[tokio::test]
async fn a_connection_dropped_in_a_message_leaves_nothing() {
    let stage = server().await;
    let message = b"Subject: half\r\n\r\ntext\r\n.\r\n";
    for at in 0..message.len() {
        let mut client = Client::smtp(&stage).await;
        client.begin("sender@elsewhere.test", "alice@example.test").await;
        client.send(&message[..at]).await;
    }
    stage.settle(0).await.unwrap();
    assert_eq!(stored(&stage).await, (0, 0));
    stage.examine().unwrap();
}

/// Reads until the server is quiet.
async fn read_something(stream: &mut (impl tokio::io::AsyncRead + Unpin)) {
    let mut octets = [0; 4096];
    assert_ne!(stream.read(&mut octets).await.unwrap(), 0);
}
