use super::envelope::Envelope;
use crate::sasl::Channel;
use crate::smtp::wire::{Answer, AnswerError};

/// What comes in: what the server says, what happens to the connection, or the driver's answer to an effect.
pub enum Input {
    /// A reply, whole.
    Answer {
        /// What was said.
        answer: Answer,
        /// Whether more octets have come behind it.
        is_followed: bool,
    },
    /// What came is no reply.
    Garbled(AnswerError),
    /// The server was silent for too long, or did not take what we sent.
    TimedOut,
    /// The connection is gone, and why.
    Lost(String),
    /// The answer to [`super::Effect::StartTls`]: the handshake is done, and this is what it says of the
    /// connection.
    Secured(Channel),
    /// The answer to [`super::Effect::StartTls`]: it failed, and why.
    NotSecured(String),
    /// The answer to [`super::Effect::Next`].
    Mail(Envelope),
    /// The answer to [`super::Effect::Next`]: there is none.
    NoMail,
    /// The answer to [`super::Effect::Convert`]: so many octets it has now.
    Converted(u64),
    /// The answer to [`super::Effect::Convert`]: it must not be changed, and why.
    NotConverted(String),
    /// The answer to [`super::Effect::OpenAttempt`]: it is committed.
    Opened,
    /// The answer to [`super::Effect::OpenAttempt`]: these recipients must not be sent to, and why.
    NotOpened(String),
    /// The answer to [`super::Effect::SendContent`]: the server has taken all of it.
    ContentSent,
    /// The answer to [`super::Effect::SendContent`]: our own message can't be sent, and why.
    ContentBroken(String),
}
