use std::borrow::Cow;

use memchr::memchr2;

use super::addresses_shown::write_addresses;
use super::field::fields;
use super::nstring::write_nstring;
use crate::base::limits;

/// The envelope of a message of which nothing is known.
pub(super) const EMPTY: &[u8] = b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)";

/// The lists of addresses, in the order in which an envelope has them.
const LISTS: [&str; 6] = ["from", "sender", "reply-to", "to", "cc", "bcc"];

/// The envelope of a message with that header block, in parentheses. Where a field stands several times, its first
/// counts; fields of addresses are taken together.
// RFC 9051 §7.5.2: envelope
pub(super) fn envelope(head: &[u8]) -> Vec<u8> {
    let (mut date, mut subject, mut in_reply_to, mut message_id) = (None, None, None, None);
    let mut lists: [Vec<u8>; 6] = Default::default();
    for field in fields(head) {
        let first = |known: &mut Option<_>| {
            known.get_or_insert(field.value);
        };
        match field.name.len() {
            4 if field.is("Date") => first(&mut date),
            7 if field.is("Subject") => first(&mut subject),
            11 if field.is("In-Reply-To") => first(&mut in_reply_to),
            10 if field.is("Message-ID") => first(&mut message_id),
            2..=8 => {
                let list = LISTS.iter().zip(&mut lists).find(|(name, _)| field.is(name)).map(|(_, list)| list);
                if let Some(list) = list.filter(|list| list.len() < limits::SHOWN_LIST_BYTES) {
                    write_addresses(list, field.value);
                }
            }
            _ => {}
        }
    }
    let [from, sender, reply_to, to, cc, bcc] = &lists;
    // RFC 9051 §7.5.2: a missing or empty Sender or Reply-To is From.
    let or_from = |list: &'_ Vec<u8>| if list.is_empty() { from.clone() } else { list.clone() };
    let mut out = Vec::with_capacity(512);
    out.push(b'(');
    write_field(&mut out, date);
    out.push(b' ');
    write_field(&mut out, subject);
    for list in [from, &or_from(sender), &or_from(reply_to), to, cc, bcc] {
        out.push(b' ');
        if list.is_empty() {
            out.extend_from_slice(b"NIL");
        } else {
            out.push(b'(');
            out.extend_from_slice(list);
            out.push(b')');
        }
    }
    for value in [in_reply_to, message_id] {
        out.push(b' ');
        write_field(&mut out, value);
    }
    out.push(b')');
    out
}

fn write_field(out: &mut Vec<u8>, value: Option<&[u8]>) {
    write_nstring(out, value.map(shown).as_deref());
}

/// A field's value as it is shown: unfolded, without the space around it, within the limit.
pub(super) fn shown(value: &[u8]) -> Cow<'_, [u8]> {
    let value = value.trim_ascii();
    let value = value.get(..limits::SHOWN_FIELD_BYTES).unwrap_or(value);
    if memchr2(b'\n', 0, value).is_none() {
        return Cow::Borrowed(value);
    }
    Cow::Owned(value.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n' | 0)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(head: &str, expected: &str) {
        assert_eq!(String::from_utf8_lossy(&envelope(head.as_bytes())), expected, "{head:?}");
    }

    #[test]
    fn the_example_of_rfc_9051() {
        check(
            "Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\nFrom: Terry Gray <gray@cac.washington.edu>\r\n\
             Subject: IMAP4rev2 WG mtg summary and minutes\r\nTo: imap@cac.washington.edu\r\n\
             cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\n\
             Message-Id: <B27397-0100000@cac.washington.ed>\r\nMIME-Version: 1.0\r\n\
             Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n",
            "(\"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\" \"IMAP4rev2 WG mtg summary and minutes\" \
             ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) \
             ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) \
             ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) ((NIL NIL \"imap\" \"cac.washington.edu\")) \
             ((NIL NIL \"minutes\" \"CNRI.Reston.VA.US\")(\"John Klensin\" NIL \"KLENSIN\" \"MIT.EDU\")) NIL NIL \
             \"<B27397-0100000@cac.washington.ed>\")",
        );
    }

    #[test]
    fn what_is_missing_is_nil() {
        check("", std::str::from_utf8(EMPTY).unwrap());
        check("Subject:\r\n", r#"(NIL "" NIL NIL NIL NIL NIL NIL NIL NIL)"#);
        check("Sender: s@x.test\r\n", r#"(NIL NIL NIL ((NIL NIL "s" "x.test")) NIL NIL NIL NIL NIL NIL)"#);
        let from = r#"((NIL NIL "a" "x"))"#;
        check("From: a@x\r\nReply-To:\r\n", &format!("(NIL NIL {from} {from} {from} NIL NIL NIL NIL NIL)"));
    }

    #[test]
    fn fields_are_unfolded_and_octets_above_127_are_literals() {
        check("Subject: a\r\n b\r\n", r#"(NIL "a b" NIL NIL NIL NIL NIL NIL NIL NIL)"#);
        check("Subject: Grüße\r\n", "(NIL {7}\r\nGrüße NIL NIL NIL NIL NIL NIL NIL NIL)");
        check("Subject: \"a\\\"\r\n", r#"(NIL "\"a\\\"" NIL NIL NIL NIL NIL NIL NIL NIL)"#);
    }

    #[test]
    fn several_fields_of_addresses_are_one_list() {
        check(
            "To: a@x\r\nSubject: 1\r\nto: b@x\r\nSUBJECT: 2\r\n",
            r#"(NIL "1" NIL NIL NIL ((NIL NIL "a" "x")(NIL NIL "b" "x")) NIL NIL NIL NIL)"#,
        );
    }
}
