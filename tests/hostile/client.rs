//! A client that says what no client should.

use std::net::{IpAddr, Ipv4Addr};

use crate::maildrop;
use crate::stage::Stage;
use crate::wire::Wire;

/// Where attackers come from: not from loopback, which is trusted with a little more.
pub const FAR: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 66));

/// A server with the cast of the dialogues.
pub async fn server() -> Stage {
    Stage::in_process(&[]).await.unwrap()
}

/// A connection to a listener.
pub struct Client {
    /// For what [`Client::say`] does not do.
    pub wire: Wire,
}

impl Client {
    /// Connects from far away, and reads nothing.
    pub async fn connect(stage: &Stage, listener: &str) -> Self {
        Self { wire: stage.connect_from(FAR, listener).await.unwrap() }
    }

    /// Connects to port 25 and says EHLO.
    pub async fn smtp(stage: &Stage) -> Self {
        let mut client = Self::connect(stage, "smtp").await;
        client.expect("220").await;
        client.say("EHLO client.elsewhere.test", "250").await;
        client
    }

    /// Logs in as alice on submission.
    pub async fn submission(stage: &Stage) -> Self {
        let mut client = Self::submission_under_tls(stage).await;
        client.say(&format!("AUTH PLAIN {}", stage.variables()["plain"]), "235 2.7.0").await;
        client
    }

    /// Says EHLO on submission, under TLS.
    pub async fn submission_under_tls(stage: &Stage) -> Self {
        let mut client = Self::connect(stage, "submissions").await;
        client.wire = client.wire.tls().await.unwrap();
        client.expect("220").await;
        client.say("EHLO client.elsewhere.test", "250").await;
        client
    }

    /// Logs in as alice on IMAP, under TLS.
    pub async fn imap(stage: &Stage) -> Self {
        let mut client = Self::connect(stage, "imaps").await;
        client.wire = client.wire.tls().await.unwrap();
        client.expect("* OK ").await;
        client.say("login LOGIN alice@example.test pillarbox", "login OK ").await;
        client
    }

    /// Says an IMAP command and comes back with the tagged answer; what is untagged is passed over.
    pub async fn ask(&mut self, tag: &str, command: &str) -> String {
        self.send(format!("{tag} {command}\r\n").as_bytes()).await;
        self.answer(tag).await
    }

    /// The answer to an IMAP command.
    pub async fn answer(&mut self, tag: &str) -> String {
        loop {
            let response = self.wire.response().await.unwrap().expect("the session goes on");
            let response = String::from_utf8_lossy(&response).into_owned();
            if let Some(answer) = response.strip_prefix(&format!("{tag} ")) {
                return answer.to_owned();
            }
        }
    }

    /// Begins a message from `sender` to `recipient`, and stands behind the 354.
    pub async fn begin(&mut self, sender: &str, recipient: &str) {
        self.say(&format!("MAIL FROM:<{sender}>"), "250").await;
        self.say(&format!("RCPT TO:<{recipient}>"), "250").await;
        self.say("DATA", "354").await;
    }

    /// Sends octets as they are.
    pub async fn send(&mut self, octets: &[u8]) {
        self.wire.send(octets).await;
    }

    /// Sends octets in two pieces, each of which the server reads by itself.
    pub async fn send_cut(&mut self, octets: &[u8], at: usize) {
        let (first, second) = octets.split_at(at);
        self.send(first).await;
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
        self.send(second).await;
    }

    /// Reads a reply and comes back with all of it.
    pub async fn reply(&mut self) -> String {
        self.wire.reply().await.unwrap().join("\n")
    }

    /// Reads a reply that has to begin so.
    pub async fn expect(&mut self, begin: &str) -> String {
        let reply = self.reply().await;
        assert!(reply.starts_with(begin), "expected {begin}, got {reply}");
        reply
    }

    /// Says a line and reads the reply, which has to begin so.
    pub async fn say(&mut self, line: &str, begin: &str) -> String {
        self.send(format!("{line}\r\n").as_bytes()).await;
        let reply = self.reply().await;
        assert!(reply.starts_with(begin), "{line}: expected {begin}, got {reply}");
        reply
    }

    /// Everything that the server says until it closes.
    pub async fn rest(mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(line) = self.wire.line().await.unwrap() {
            lines.push(String::from_utf8(line).unwrap());
        }
        lines
    }
}

/// The number of messages of alice and bob.
pub async fn stored(stage: &Stage) -> (usize, usize) {
    let alice = maildrop::messages(stage, "alice@example.test").await.unwrap();
    let bob = maildrop::messages(stage, "bob@example.test").await.unwrap();
    (alice.len(), bob.len())
}
