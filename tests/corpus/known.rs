//! Where others read a message otherwise than we do, and why: each kind with how often it comes in the whole corpus.

use crate::compare::Difference;
use crate::imap::Value;

/// Who is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Other {
    /// Ours, asked in another way.
    Ourselves,
    /// Dovecot 2.3.19 of Debian 12.
    Dovecot,
    /// The crate mail-parser.
    MailParser,
}

/// A kind of difference that is understood.
pub struct Known {
    /// Its name in the report.
    pub name: &'static str,
    /// Why it is no fault of ours.
    pub why: &'static str,
    /// Whose reading differs.
    pub other: Other,
    /// How often it comes in 10,000 messages, at most.
    pub at_most: usize,
    /// Whether a difference in a message is of this kind.
    pub fits: fn(&Difference, &[u8]) -> bool,
}

const fn dovecot(name: &'static str, at_most: usize, fits: fn(&Difference, &[u8]) -> bool, why: &'static str) -> Known {
    Known { name, why, other: Other::Dovecot, at_most, fits }
}

const fn mail_parser(
    name: &'static str,
    at_most: usize,
    fits: fn(&Difference, &[u8]) -> bool,
    why: &'static str,
) -> Known {
    Known { name, why, other: Other::MailParser, at_most, fits }
}

/// All that are known. The first that fits counts.
pub const KNOWN: &[Known] = &[
    dovecot(
        "a placeholder in an address",
        3829,
        |found, _| {
            found.at.contains("envelope.") && (has(&found.theirs, "MISSING_") || has(&found.theirs, "SYNTAX_ERROR"))
        },
        "Dovecot writes MISSING_MAILBOX, MISSING_DOMAIN and SYNTAX_ERROR where an address has no such part, and gives up the \
         rest of the list; ours leaves the part empty and goes on",
    ),
    dovecot(
        "addresses with a semicolon between them",
        452,
        |found, _| found.at.contains("envelope.") && count(&found.ours) > count(&found.theirs),
        "`a@b; c@d` is two addresses for ours; Dovecot takes the semicolon for a group's end and drops what follows",
    ),
    dovecot(
        "message/global",
        1934,
        |found, content| {
            let of_a_message = ["envelope", "body", "lines", "md5", "disposition", "language", "location"];
            (found.at.starts_with("BODY[") || of_a_message.contains(&field(found)))
                && has_bytes(content, b"message/global")
        },
        "it is a message inside like message/rfc822 (RFC 6532 §3.7), with envelope, body, lines (RFC 9051 §7.5.2) and sections; \
         Dovecot 2.3 does not know it",
    ),
    dovecot(
        "the line end in front of a boundary",
        796,
        |found, _| match field(found) {
            "octets" => differs_by(found, 2),
            "lines" => differs_by(found, 1),
            at => at.starts_with("BODY[") && without_line_end(&found.ours) == without_line_end(&found.theirs),
        },
        "it belongs to the boundary (RFC 2046 §5.1.1), also where a part ends with its header or with another boundary; \
         Dovecot gives it to the part then",
    ),
    dovecot(
        "a field that comes twice",
        239,
        |found, content| {
            let name = found.at.rsplit_once("envelope.").map_or_else(|| field(found), |(_, name)| name);
            let names = ["subject", "from", "sender", "reply-to", "date", "to"].contains(&name);
            names && fields(content, if matches!(name, "sender" | "reply-to") { "from" } else { name }) > 1
        },
        "RFC 5322 §3.6 allows it once; ours takes the first, Dovecot the last",
    ),
    dovecot(
        "Content-Type that can't be read",
        965,
        |found, _| {
            field(found) == "type"
                && starts(&found.ours, &["text", "plain"])
                && (starts(&found.theirs, &["", ""]) || starts(&found.theirs, &["text", ""]))
        },
        "RFC 2045 §5.2 proposes text/plain for it; Dovecot leaves type or subtype empty",
    ),
    dovecot(
        "a multipart without a part",
        96,
        |found, _| {
            field(found) == "type"
                && found.theirs.list().is_some_and(|values| values.first().is_some_and(|first| first.list().is_none()))
        },
        "Dovecot sends no part at all, which RFC 9051 §9 `body-type-mpart` does not allow; ours has an empty text/plain",
    ),
    dovecot(
        "an empty Content-Disposition",
        215,
        |found, _| field(found) == "disposition" && found.ours == Value::Nil && starts(&found.theirs, &[""]),
        "a disposition without a type is none (RFC 2183 §2)",
    ),
    dovecot(
        "parameters in Content-Language",
        121,
        |found, content| field(found) == "language" && has_bytes(content, b"en;q=1"),
        "RFC 3282 has none: ours shows the words, Dovecot stops at the semicolon",
    ),
    dovecot(
        "a quoted string without an end",
        151,
        |found, content| field(found) == "parameters" && has_bytes(content, b"\"unclosed"),
        "ours takes what there is as the value, Dovecot drops the parameter",
    ),
    dovecot(
        "a multipart without a boundary",
        77,
        |found, _| field(found) == "type" && starts(&found.ours, &["text", "plain"]) && first_is_list(&found.theirs),
        "it can't be taken apart, so that RFC 2045 §5.2's text/plain shows all of it; Dovecot shows one empty part",
    ),
    dovecot(
        "a boundary that begins another",
        4,
        |found, content| {
            field(found) == "parts" && (has_bytes(content, b"\n--b") || has_bytes(content, b"\n--12345678901234567890"))
        },
        "RFC 2046 §5.1.1: a line is compared with the boundary as a whole; Dovecot compares its beginning",
    ),
    dovecot(
        "content fields in a message without MIME-Version",
        57,
        |found, content| {
            let fields_of_content = ["encoding", "description", "disposition", "id", "language", "location", "md5"];
            let header = memchr::memmem::find(content, b"\r\n\r\n").map_or(content, |end| &content[..end]);
            fields_of_content.contains(&field(found))
                && (fields(header, "mime-version") == 0 || found.at.contains("message"))
        },
        "they mean what they say without it, too, and mail programs take them so; Dovecot passes them over unless there is a \
         Content-Type",
    ),
    dovecot(
        "a list of more than 500 addresses",
        10,
        |found, _| {
            found.at.contains("envelope.") && count(&found.ours) > 500 && count(&found.ours) < count(&found.theirs)
        },
        "what ours keeps of a field for ENVELOPE is bounded; the field itself is there whole",
    ),
    dovecot(
        "an address in place of a name",
        5,
        |found, _| found.at.contains("envelope.") && has_name_with_at(&found.ours),
        "`a@b <c@d>` is from c@d, as the brackets say; Dovecot takes the first",
    ),
    mail_parser(
        "the line end in front of a boundary",
        205,
        |found, _| {
            matches!(field(found), "header" | "content")
                && without_line_end(&found.ours) == without_line_end(&found.theirs)
        },
        "it belongs to the boundary (RFC 2046 §5.1.1); mail-parser counts it to the part where that is a header alone",
    ),
    mail_parser(
        "Content-Type that can't be read",
        639,
        |found, _| field(found) == "type" && starts(&found.ours, &["text", "plain"]),
        "RFC 2045 §5.2 proposes text/plain for it; mail-parser shows the words as they are",
    ),
    mail_parser(
        "broken multiparts",
        289,
        |found, _| matches!(field(found), "parts" | "content" | "message"),
        "where a boundary is missing, comes again, or begins another, mail-parser ends the parts around, and gives up some \
         messages altogether; Dovecot reads these otherwise than both",
    ),
    mail_parser(
        "addresses that are not as they should be",
        1226,
        |found, _| ["envelope.from", "envelope.to", "envelope.cc"].contains(&found.at.as_str()),
        "mail-parser shows only what has an @, keeps white space and routes in addresses, and takes the last of two fields",
    ),
    mail_parser(
        "Message-ID that is none",
        27,
        |found, _| found.at == "envelope.message-id",
        "mail-parser puts brackets around what has none, and takes the last of several; ENVELOPE shows the field as it is",
    ),
];

/// The last words of a place: what differs.
fn field(found: &Difference) -> &str {
    found.at.rsplit(' ').next().unwrap_or(&found.at)
}

/// Whether two numbers are so far apart.
fn differs_by(found: &Difference, by: u64) -> bool {
    match (found.ours.number(), found.theirs.number()) {
        (Some(ours), Some(theirs)) => ours.abs_diff(theirs) == by,
        _ => false,
    }
}

fn without_line_end(value: &Value) -> Option<&[u8]> {
    let bytes = value.bytes()?;
    Some(bytes.trim_ascii_end())
}

/// Whether an address of a list has a name with an `@` in it.
fn has_name_with_at(list: &Value) -> bool {
    let name = |address: &Value| address.list()?.first()?.bytes().map(|name| name.contains(&b'@'));
    list.list().unwrap_or_default().iter().any(|address| name(address) == Some(true))
}

fn first_is_list(value: &Value) -> bool {
    value.list().and_then(<[Value]>::first).is_some_and(|first| first.list().is_some())
}

/// Whether a text is in a value, at any depth.
fn has(value: &Value, text: &str) -> bool {
    match value {
        Value::List(values) => values.iter().any(|value| has(value, text)),
        other => other.bytes().is_some_and(|bytes| has_bytes(bytes, text.as_bytes())),
    }
}

fn has_bytes(bytes: &[u8], text: &[u8]) -> bool {
    memchr::memmem::find(bytes, text).is_some()
}

fn count(value: &Value) -> usize {
    value.list().map_or(0, <[Value]>::len)
}

/// Whether a list begins with these words.
fn starts(value: &Value, words: &[&str]) -> bool {
    let values = value.list().unwrap_or_default();
    words.iter().enumerate().all(|(at, word)| {
        values.get(at).and_then(Value::bytes).is_some_and(|bytes| bytes.eq_ignore_ascii_case(word.as_bytes()))
    })
}

/// How often a field comes, in all header blocks of a message.
fn fields(content: &[u8], name: &str) -> usize {
    let is_field = |line: &&[u8]| {
        line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()))
            && line.get(name.len()..).is_some_and(|rest| rest.trim_ascii_start().starts_with(b":"))
    };
    content.split(|byte| *byte == b'\n').filter(is_field).count()
}
