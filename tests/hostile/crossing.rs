//! Cross-protocol attacks (ALPACA): a browser that was talked into sending HTTP to a mail port gets nothing done.

use crate::client::{Client, server, stored};

/// Requests whose bodies hold whole sessions.
fn requests() -> Vec<String> {
    let smtp = "EHLO x\r\nMAIL FROM:<a@elsewhere.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\nSubject: x\r\n\r\nx\r\n.\r\nQUIT\r\n";
    let pop3 = "USER alice@example.test\r\nPASS pillarbox\r\nDELE 1\r\nQUIT\r\n";
    let imap = "a LOGIN alice@example.test pillarbox\r\nb DELETE Trash\r\nc LOGOUT\r\n";
    let head = |method: &str| format!("{method} HTTP/1.1\r\nHost: mx.example.test\r\nContent-Length: 500\r\n\r\n");
    let methods = ["GET /", "POST /", "PUT /x", "CONNECT mx.example.test:25", "OPTIONS *", "HEAD /", "DELETE /x"];
    methods.iter().flat_map(|method| [head(method) + smtp, head(method) + pop3, head(method) + imap]).collect()
}

#[tokio::test]
async fn http_on_a_mail_port_is_sent_away() {
    let stage = server().await;
    for listener in ["smtp", "submission", "pop3", "imap"] {
        for request in requests() {
            let mut client = Client::connect(&stage, listener).await;
            client.reply().await;
            client.send(request.as_bytes()).await;
            let rest = client.rest().await;
            let refused = |line: &String| ["500 ", "421 ", "554 ", "-ERR"].iter().any(|begin| line.starts_with(begin));
            assert!(rest.len() <= 2 && rest.iter().all(refused), "{listener}: {request:?}: {rest:?}");
        }
    }
    assert_eq!(stored(&stage).await, (0, 0));
    stage.examine().unwrap();
}
