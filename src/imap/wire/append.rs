use std::borrow::Cow;

use super::folders::mailbox;
use super::parse::tag;
use super::reader::{Read, Reader};
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
    let mut reader = Reader::new(so_far);
    let tag = tag(&mut reader).ok()?;
    if !reader.word().eq_ignore_ascii_case(b"APPEND") {
        return None;
    }
    if is_mailbox_to_come(reader) {
        return None;
    }
    Some(begin(&mut reader, tag).map_err(|what| ParseError { tag: Some(tag), what }))
}

/// Reads what stands behind a message of APPEND, up to the end of the command or the announcement of the next literal.
/// `was_utf8`: that message's [`AppendMessage::is_utf8`].
///
/// # Errors
/// [`ParseError`], without a tag.
pub fn append_rest(rest: &[u8], was_utf8: bool) -> Result<AppendRest<'_>, ParseError<'_>> {
    let mut reader = Reader::new(rest);
    let mut read = || {
        if was_utf8 {
            reader.spaces();
            reader.expect(b')', "expected ) behind the message of UTF8")?;
        }
        if reader.has_more() {
            reader.spaces();
            return message(&mut reader).map(AppendRest::Message);
        }
        reader.end().map(|()| AppendRest::End)
    };
    read().map_err(|what| ParseError { tag: None, what })
}

/// The announced literal is the name of the mailbox.
fn is_mailbox_to_come(mut reader: Reader<'_>) -> bool {
    reader.spaces();
    reader.announcement().is_ok_and(|_| reader.is_empty())
}

fn begin<'a>(reader: &mut Reader<'a>, tag: &'a [u8]) -> Read<Append<'a>> {
    let mailbox = mailbox(reader)?;
    reader.space(MESSAGE)?;
    Ok(Append { tag, mailbox, message: message(reader)? })
}

const MESSAGE: &str = "expected flags, a date-time or a message as a literal, such as (\\Seen) {310} and its octets";

// RFC 9051 §6.3.12 "append-message", RFC 6855 §4 "append-data"
fn message<'a>(reader: &mut Reader<'a>) -> Read<AppendMessage<'a>> {
    let mut flags = Vec::new();
    if reader.peek() == Some(b'(') {
        flags = reader.flag_list()?;
        reader.space(MESSAGE)?;
    }
    let mut internal_date = None;
    if reader.peek() == Some(b'"') {
        internal_date = Some(reader.date_time()?);
        reader.space(MESSAGE)?;
    }
    let is_utf8 = reader.eat_word("UTF8");
    if is_utf8 {
        reader.space(MESSAGE)?;
        reader.expect(b'(', "expected ( and a literal behind UTF8")?;
    }
    reader.eat(b'~');
    reader.announcement().map_err(|_| MESSAGE)?;
    if reader.is_empty() { Ok(AppendMessage { flags, internal_date, is_utf8 }) } else { Err(MESSAGE) }
}
