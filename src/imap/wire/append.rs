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

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(message: &AppendMessage<'_>) -> String {
        let date = message.internal_date.map_or("now".into(), |at| at.rfc3339());
        format!("{} flags, {date}{}", message.flags.len(), if message.is_utf8 { ", utf8" } else { "" })
    }

    fn check(so_far: &str, expected: Option<Result<&str, &str>>) {
        let seen = append(so_far.as_bytes()).map(|read| match read {
            Ok(Append { tag, mailbox, message }) => {
                assert_eq!(tag, b"a");
                Ok(format!("{}: {}", String::from_utf8_lossy(&mailbox), shown(&message)))
            }
            Err(error) => {
                assert_eq!(error.tag, Some(b"a".as_slice()));
                Err(error.what)
            }
        });
        match (&seen, &expected) {
            (Some(Err(seen)), Some(Err(expected))) => assert!(seen.contains(expected), "{so_far:?}: {seen}"),
            _ => assert_eq!(seen.as_ref().map(|seen| seen.as_deref().map_err(|what| *what)), expected, "{so_far:?}"),
        }
    }

    #[test]
    fn a_message_is_announced() {
        check("a APPEND INBOX {5}\r\n", Some(Ok("INBOX: 0 flags, now")));
        check("a append \"Sent Items\" {5+}\r\n", Some(Ok("Sent Items: 0 flags, now")));
        check("a APPEND {5}\r\nINBOX (\\Seen $x) {5}\r\n", Some(Ok("INBOX: 2 flags, now")));
        let dated = "a APPEND x () \"22-Nov-2026 11:05:00 +0100\" {0}\r\n";
        check(dated, Some(Ok("x: 0 flags, 2026-11-22T10:05:00Z")));
        check("a APPEND x ~{5}\r\n", Some(Ok("x: 0 flags, now")));
        check("a APPEND x (\\Seen) UTF8 (~{5}\r\n", Some(Ok("x: 1 flags, now, utf8")));
    }

    #[test]
    fn what_is_not_a_message_to_come_is_left_alone() {
        check("a LOGIN {5}\r\n", None);
        check("a APPEND {5}\r\n", None);
        check("a APPEND {0}\r\n", None);
        check("APPEND {5}\r\n", None);
        check("\r\n", None);
        check("a APPENDX x {5}\r\n", None);
    }

    #[test]
    fn what_is_wrong_is_said() {
        check("a APPEND x (\\Seen {5}\r\n", Some(Err("flag")));
        check("a APPEND x \\Seen {5}\r\n", Some(Err("literal")));
        check("a APPEND x \"yesterday\" {5}\r\n", Some(Err("date-time")));
        check("a APPEND x () () {5}\r\n", Some(Err("literal")));
        check("a APPEND x UTF8 ~{5}\r\n", Some(Err("expected (")));
        check("a APPEND x CATENATE (TEXT {5}\r\n", Some(Err("literal")));
        check("a APPEND x{5}\r\n", Some(Err("flags, a date-time or a message")));
        check("a APPEND x {5}\r\nabcde {5}\r\n", Some(Err("literal")));
    }

    fn check_rest(rest: &str, was_utf8: bool, expected: Result<Option<&str>, &str>) {
        match (append_rest(rest.as_bytes(), was_utf8), expected) {
            (Ok(AppendRest::End), expected) => assert_eq!(expected, Ok(None), "{rest:?}"),
            (Ok(AppendRest::Message(seen)), expected) => {
                assert_eq!(Ok(Some(shown(&seen).as_str())), expected, "{rest:?}")
            }
            (Err(seen), Err(expected)) => {
                assert!(seen.what.contains(expected) && seen.tag.is_none(), "{rest:?}: {seen}")
            }
            (Err(seen), Ok(_)) => panic!("{rest:?}: {seen}"),
        }
    }

    #[test]
    fn behind_a_message_stands_another_or_nothing() {
        check_rest("", false, Ok(None));
        check_rest(" ", false, Ok(None));
        check_rest(" {5}\r\n", false, Ok(Some("0 flags, now")));
        check_rest(" (\\Seen) {5+}\r\n", false, Ok(Some("1 flags, now")));
        check_rest(")", true, Ok(None));
        check_rest(") UTF8 (~{5}\r\n", true, Ok(Some("0 flags, now, utf8")));
        check_rest("", true, Err("expected )"));
        check_rest(")", false, Err("goes on"));
        check_rest("{5}\r\n", false, Err("goes on"));
        check_rest(" x", false, Err("literal"));
        check_rest(" (\\Seen)", false, Err("literal"));
    }
}
