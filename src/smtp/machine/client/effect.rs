use super::fate::{Failure, Fate};
use crate::smtp::wire::{Answer, Outgoing};

/// What the driver is to do.
pub enum Effect {
    /// Append a line to what is sent. Everything is sent before an answer is waited for.
    Say(Outgoing),
    /// Start TLS. Answer with [`super::Input::Secured`] or [`super::Input::NotSecured`].
    StartTls,
    /// Is there a message? Answer with [`super::Input::Mail`] or [`super::Input::NoMail`].
    Next,
    /// Commit that these recipients are about to get the message: while the content is sent. Answer with
    /// [`super::Input::Opened`] or [`super::Input::NotOpened`].
    OpenAttempt(Vec<usize>),
    /// Send the message, but for the end of data. Answer with [`super::Input::ContentSent`] or what went wrong.
    SendContent,
    /// Send the end of data: the point of no return.
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

/// The effects of one step, in the order in which they are to be carried out.
pub type Effects = Vec<Effect>;
