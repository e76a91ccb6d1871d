use std::borrow::Cow;

use super::{Flag, ParseError};
use crate::base::Timestamp;

/// The beginning of APPEND, up to the announcement of its first message. RFC 9051 §6.3.12
#[derive(Debug)]
pub struct Append<'a> {
    /// The tag.
    pub tag: &'a [u8],
    /// The mailbox, as it was sent.
    pub mailbox: Cow<'a, [u8]>,
    /// The first message.
    pub message: AppendMessage<'a>,
}

/// What is said of a message before it comes.
#[derive(Debug)]
pub struct AppendMessage<'a> {
    /// Its flags.
    pub flags: Vec<Flag<'a>>,
    /// Its internal date.
    pub internal_date: Option<Timestamp>,
    /// `UTF8 (` (RFC 6855 §4): a `)` follows behind the literal.
    pub is_utf8: bool,
}

/// What follows behind a message of APPEND.
#[derive(Debug)]
pub enum AppendRest<'a> {
    /// Nothing: the command is complete.
    End,
    /// Another message (RFC 3502).
    Message(AppendMessage<'a>),
}

/// Reads what stands before a literal; `None` when the command is not APPEND, or the literal is its mailbox's name.
///
/// # Errors
/// [`ParseError`]
pub fn append(so_far: &[u8]) -> Option<Result<Append<'_>, ParseError<'_>>> {
    let _ = so_far;
    todo!()
}

/// Reads what stands behind a message of APPEND, up to the end of the command or the announcement of the next literal.
/// `was_utf8`: that message's [`AppendMessage::is_utf8`].
///
/// # Errors
/// [`ParseError`]
pub fn append_rest(rest: &[u8], was_utf8: bool) -> Result<AppendRest<'_>, ParseError<'_>> {
    let _ = (rest, was_utf8);
    todo!()
}
