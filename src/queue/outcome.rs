use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::base::{Enhanced, PassedOn, QueueId, Reply, Timestamp};

/// What became of one recipient in one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The recipient.
    pub entry: QueueId,
    /// How it ended.
    pub verdict: Verdict,
    /// What happened, for the sender, the operator and the trace.
    pub attempt: Attempt,
    /// What was said, for the trace: as of `net::Transcript`. Empty where nobody was spoken to.
    pub dialogue: Arc<str>,
    /// What the next server has taken over, where it was delivered.
    pub passed_on: PassedOn,
}

impl Outcome {
    /// Without a dialogue, and with nothing passed on.
    pub fn new(entry: QueueId, verdict: Verdict, attempt: Attempt) -> Self {
        Self { entry, verdict, attempt, dialogue: Arc::default(), passed_on: PassedOn::default() }
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// The next server has taken responsibility.
    Delivered,
    /// Not now.
    Deferred,
    /// Never.
    Failed,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When it ended.
    pub at: Timestamp,
    /// By whom, as in `delivery`, `atrn branch` or `operator token t`.
    pub actor: String,
    /// The server that was spoken to: the name it is found by.
    pub server: Option<String>,
    /// Its address.
    pub server_ip: Option<IpAddr>,
    /// TLS version, cipher suite and what is known of the certificate, as in `TLSv1.3 TLS_AES_256_GCM_SHA384 unverified (expired)`;
    /// behind a semicolon, the policy that it was dialled by, as in `…; mta-sts`.
    pub tls: Option<String>,
    /// How far it came.
    pub stage: Stage,
    /// What was answered, by the server or by ourselves.
    pub words: Words,
    /// From the first look into the DNS to the end.
    pub duration_ms: u64,
}

/// How far an attempt came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Finding the server.
    Route,
    /// TCP.
    Connect,
    /// Waiting for 220.
    Greeting,
    /// EHLO or HELO.
    Hello,
    /// STARTTLS and the handshake.
    Tls,
    /// AUTH.
    Login,
    /// MAIL.
    Sender,
    /// RCPT.
    Recipient,
    /// DATA and the message.
    Data,
    /// The answer to the end of data.
    End,
    /// An operator, or time, has decided.
    Queue,
    /// Putting it into a mailbox here.
    Mailbox,
}

/// What a server answered, or what there is to say where none did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Words {
    /// The server's reply code; `None`: these are our own words.
    pub code: Option<u16>,
    /// The enhanced code; our own words always have one.
    pub enhanced: Option<(u8, u16, u16)>,
    /// The text, lines joined by a space, without control characters, at most 1,000 characters.
    pub text: String,
}

impl Words {
    /// Our own.
    pub fn own(enhanced: Enhanced, text: impl Into<String>) -> Self {
        Self { code: None, enhanced: Some((enhanced.0, enhanced.1, enhanced.2)), text: text.into() }
    }
}

impl From<&Reply> for Words {
    fn from(reply: &Reply) -> Self {
        let enhanced = reply.enhanced().map(|Enhanced(class, subject, detail)| (class, subject, detail));
        Self { code: Some(reply.code()), enhanced, text: reply.text().to_owned() }
    }
}

impl Attempt {
    /// Whether something was tried: what an operator or time decides is no attempt.
    pub(super) fn is_real(&self) -> bool {
        self.stage != Stage::Queue
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Route => "route",
            Self::Connect => "connect",
            Self::Greeting => "greeting",
            Self::Hello => "hello",
            Self::Tls => "tls",
            Self::Login => "login",
            Self::Sender => "sender",
            Self::Recipient => "recipient",
            Self::Data => "data",
            Self::End => "end",
            Self::Queue => "queue",
            Self::Mailbox => "mailbox",
        })
    }
}
