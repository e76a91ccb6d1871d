use super::fate::{Failure, Fate};
use crate::smtp::wire::{Answer, Outgoing};

/// What the driver is to do.
pub enum Effect {
    /// Append a line to what is sent. Everything is sent before an answer is waited for.
    Say(Outgoing),
    /// Start TLS. Answer with [`super::Input::Secured`] or [`super::Input::NotSecured`].
    StartTls,
    /// Is there a message, for no more recipients than these? Answer with [`super::Input::Mail`] or
    /// [`super::Input::NoMail`].
    Next(Room),
    /// Commit that these recipients are about to get the message: while the content is sent. Answer with
    /// [`super::Input::Opened`] or [`super::Input::NotOpened`].
    OpenAttempt(Vec<usize>),
    /// Make a message of ASCII alone of it. Answer with [`super::Input::Converted`] or [`super::Input::NotConverted`].
    Convert,
    /// Send the message, but for its end. Answer with [`super::Input::ContentSent`] or what went wrong.
    SendContent(Framing),
    /// Send the end of it: the point of no return.
    SendEnd,
    /// What became of recipients: all fates of one message. Commit them before anything else is done.
    Settle(Vec<Fate>),
    /// What the session broke at.
    Fail(Failure),
    /// What was answered to TURN, ATRN or ETRN.
    Answered(Answer),
    /// The roles are swapped: the connection is handed over as it is. If anything is left in it, it is dropped.
    Swap,
    /// Close in an orderly way: everything is said and heard.
    Close,
    /// Close without sending another octet, also none that is already written down.
    Drop,
}

/// How a message stands on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Behind DATA, with dots doubled; its end is a line with a dot.
    Dots,
    /// Behind BDAT, as it is; its end are its own last octets, which are kept back until its end may be sent.
    Chunk,
}

/// How many recipients a server takes in one transaction.
// RFC 9422 §4.2, §4.3
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// So many.
    pub recipients: usize,
    /// In so many domains.
    pub domains: usize,
}

impl Room {
    /// A server that says nothing of it.
    pub const ANY: Self = Self { recipients: usize::MAX, domains: usize::MAX };
}

/// The effects of one step, in the order in which they are to be carried out.
pub type Effects = Vec<Effect>;
