use std::borrow::Cow;

use crate::base::{Enhanced, PassedOn, limits};
use crate::smtp::wire::Answer;

/// What became of a recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fate {
    /// Its place in the envelope.
    pub recipient: usize,
    /// How it ended.
    pub verdict: Verdict,
    /// How far it came.
    pub stage: Stage,
    /// What was said.
    pub words: Words,
    /// What the server has taken over with it, where it was delivered.
    pub passed_on: PassedOn,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The server has taken responsibility.
    Delivered,
    /// Not now.
    Deferred,
    /// Never.
    Failed,
}

/// How far a session came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Waiting for 220.
    Greeting,
    /// EHLO or HELO.
    Hello,
    /// STARTTLS and the handshake.
    Tls,
    /// AUTH.
    Login,
    /// MAIL; also between two messages.
    Sender,
    /// RCPT.
    Recipient,
    /// DATA and the message.
    Data,
    /// The answer to the end of data. Deferred here without a code, the message may be there all the same.
    End,
}

/// What the server answered, or what there is to say where it did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// The server's code; `None`: these are our own words.
    pub code: Option<u16>,
    /// The enhanced code; our own words always have one.
    pub enhanced: Option<Enhanced>,
    /// One line without control characters.
    pub text: String,
}

/// Where and why a session broke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// How far it came.
    pub stage: Stage,
    /// What was said.
    pub words: Words,
    /// The server asked us to come back later, was silent for too long, or is gone.
    pub is_busy: bool,
}

impl Words {
    /// Our own.
    pub fn own(enhanced: Enhanced, text: impl Into<Cow<'static, str>>) -> Self {
        let text =
            text.into().chars().map(|c| if c.is_control() { '?' } else { c }).take(limits::WORDS_CHARS).collect();
        Self { code: None, enhanced: Some(enhanced), text }
    }
}

impl From<&Answer> for Words {
    fn from(answer: &Answer) -> Self {
        Self { code: Some(answer.code()), enhanced: answer.enhanced(), text: answer.text() }
    }
}

impl Verdict {
    /// What a refusal means: only its first digit counts.
    // RFC 5321 §4.2.1
    pub(super) fn of_refusal(answer: &Answer) -> Self {
        if answer.class() == 5 { Self::Failed } else { Self::Deferred }
    }
}
