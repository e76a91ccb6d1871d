use super::utf7;
use super::write::{write_astring, write_quoted};
use crate::base::{self, after_inbox, limits, mailbox_text};

/// Stands between a mailbox and those below it.
const SEPARATOR: char = '/';
const INBOX: &str = "INBOX";

/// Why a mailbox name is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not modified UTF-7 (RFC 3501 §5.1.3).
    #[error("the mailbox name is not modified UTF-7")]
    Utf7,
    /// Not UTF-8 (RFC 6855 §3).
    #[error("the mailbox name is not UTF-8")]
    Utf8,
    /// It is empty, too long, holds a control character, an empty level, or begins or ends with the separator.
    #[error("there is no mailbox of that name")]
    Form,
}

/// The name that a client has sent: UTF-8 in NFC, INBOX in upper case. `is_utf8`: the client speaks UTF-8 (ENABLE
/// UTF8=ACCEPT); else modified UTF-7, where octets above 127 are taken as UTF-8 all the same.
///
/// # Errors
/// [`NameError`]
pub fn mailbox_name(sent: &[u8], is_utf8: bool) -> Result<String, NameError> {
    base::mailbox_name(&decode(sent, is_utf8)?).ok_or(NameError::Form)
}

/// The same for a pattern of LIST and LSUB, in which `*` and `%` stand. It may be empty, and begin and end with the
/// separator.
///
/// # Errors
/// [`NameError`]
pub fn mailbox_pattern(sent: &[u8], is_utf8: bool) -> Result<String, NameError> {
    mailbox_text(&decode(sent, is_utf8)?).ok_or(NameError::Form)
}

fn decode(sent: &[u8], is_utf8: bool) -> Result<String, NameError> {
    // In the longest encoding, a character of UTF-8 takes less than three times its octets.
    if sent.len() > limits::MAILBOX_NAME_BYTES.saturating_mul(3) {
        return Err(NameError::Form);
    }
    match is_utf8 {
        true => String::from_utf8(sent.to_vec()).map_err(|_| NameError::Utf8),
        false => utf7::decode(sent).ok_or(NameError::Utf7),
    }
}

/// Writes a mailbox name as an astring.
pub fn write_mailbox_name(out: &mut Vec<u8>, name: &str, is_utf8: bool) {
    if is_utf8 && !name.is_ascii() {
        return write_quoted(out, name.as_bytes());
    }
    if name.is_ascii() && !name.contains('&') {
        return write_astring(out, name.as_bytes());
    }
    if is_utf8 {
        return write_astring(out, name.as_bytes());
    }
    let mut encoded = Vec::with_capacity(name.len().saturating_mul(2));
    utf7::encode(&mut encoded, name);
    write_astring(out, &encoded);
}

/// Whether the name matches the pattern: `*` is anything, `%` anything within a level. The name's INBOX matches in any
/// case. RFC 9051 §6.3.9
///
/// It takes at most as many moves as the lengths of both multiplied.
pub fn matches(pattern: &str, name: &str) -> bool {
    let Some(wildcard) = pattern.bytes().position(is_wildcard) else { return is_same(pattern, name) };
    let (plain, wild) = (pattern.as_bytes().get(..wildcard), pattern.as_bytes().get(wildcard..));
    let (Some(plain), Some(wild)) = (plain, wild) else { return false };
    let Some((beginning, rest)) = name.as_bytes().split_at_checked(plain.len()) else { return false };
    let inbox = if after_inbox(name).is_some() { INBOX.len() } else { 0 };
    let is_beginning = plain
        .iter()
        .zip(beginning)
        .enumerate()
        .all(|(at, (one, other))| one == other || (at < inbox && one.eq_ignore_ascii_case(other)));
    match wild {
        _ if !is_beginning => false,
        b"*" => true,
        b"%" => !rest.contains(&(SEPARATOR as u8)),
        _ => matches_wild(wild, rest, inbox.saturating_sub(plain.len())),
    }
}

fn is_wildcard(byte: u8) -> bool {
    matches!(byte, b'*' | b'%')
}

fn is_same(pattern: &str, name: &str) -> bool {
    match (after_inbox(pattern), after_inbox(name)) {
        (Some(one), Some(other)) => one == other,
        _ => pattern == name,
    }
}

/// Goes through the name once, with all the places in the pattern at which one may be then. The name's first `inbox`
/// octets match in any case.
fn matches_wild(pattern: &[u8], name: &[u8], inbox: usize) -> bool {
    // `here[n]`: the name so far matches the pattern's first n octets.
    let mut here = vec![false; pattern.len().saturating_add(1)];
    if let Some(first) = here.first_mut() {
        *first = true;
    }
    pass_wildcards(pattern, &mut here);
    for (at, byte) in name.iter().enumerate() {
        let mut before = false;
        let mut is_anywhere = false;
        for (place, expected) in here.iter_mut().zip(pattern.iter().map(Some).chain([None])) {
            let stays = match expected {
                Some(b'*') => *place,
                Some(b'%') => *place && *byte != SEPARATOR as u8,
                _ => false,
            };
            let takes = match expected {
                Some(b'*' | b'%') | None => false,
                Some(expected) => *place && (expected == byte || (at < inbox && expected.eq_ignore_ascii_case(byte))),
            };
            *place = stays || before;
            is_anywhere |= *place;
            before = takes;
        }
        if !is_anywhere {
            return false;
        }
        pass_wildcards(pattern, &mut here);
    }
    here.last() == Some(&true)
}

/// A wildcard may stand for nothing.
fn pass_wildcards(pattern: &[u8], here: &mut [bool]) {
    let mut may_pass = false;
    for (place, expected) in here.iter_mut().zip(pattern.iter().map(Some).chain([None])) {
        *place |= may_pass;
        may_pass = *place && expected.is_some_and(|expected| is_wildcard(*expected));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(sent: &str, is_utf8: bool, expected: Result<&str, NameError>) {
        assert_eq!(mailbox_name(sent.as_bytes(), is_utf8).as_deref(), expected.as_ref().copied(), "{sent:?}");
    }

    #[test]
    fn names_are_utf8_in_nfc() {
        check("Entw&APw-rfe", false, Ok("Entwürfe"));
        check("Entwürfe", false, Ok("Entwürfe"));
        check("Entwürfe", true, Ok("Entwürfe"));
        check("Entw&APw-rfe", true, Ok("Entw&APw-rfe"));
        check("R&D", true, Ok("R&D"));
        check("u\u{308}", true, Ok("ü"));
        check("u&Awg-", false, Ok("ü"));
        check("50% *", true, Ok("50% *"));
        check("R&D", false, Err(NameError::Utf7));
        assert_eq!(mailbox_name(b"\xff", true), Err(NameError::Utf8));
        assert_eq!(mailbox_name(b"\xff", false), Err(NameError::Utf7));
    }

    #[test]
    fn inbox_has_one_case() {
        check("inbox", false, Ok("INBOX"));
        check("InBoX/Lists", false, Ok("INBOX/Lists"));
        check("inbox/inbox", false, Ok("INBOX/inbox"));
        check("Inboxes", false, Ok("Inboxes"));
        check("a/inbox", false, Ok("a/inbox"));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for sent in
            ["", "/", "/a", "a/", "a//b", "a\u{7}", "a\0", "a\r\n", "a\u{7f}", "a\u{85}", "a\u{2028}b", "a\u{2029}"]
        {
            check(sent, true, Err(NameError::Form));
        }
        check("&AAc-", false, Err(NameError::Form));
        let long = "x".repeat(limits::MAILBOX_NAME_BYTES);
        check(&long, false, Ok(&long));
        check(&format!("{long}x"), false, Err(NameError::Form));
        let deep = vec!["x"; limits::MAILBOX_LEVELS].join("/");
        check(&deep, false, Ok(&deep));
        check(&format!("{deep}/x"), false, Err(NameError::Form));
        check(&"&".repeat(1 << 20), false, Err(NameError::Form));
    }

    #[test]
    fn patterns_may_begin_and_end_as_they_like() {
        for (sent, expected) in
            [("", ""), ("*", "*"), ("/", "/"), ("inbox/%", "INBOX/%"), ("Entw&APw-*", "Entwü*"), ("a//%", "a//%")]
        {
            assert_eq!(mailbox_pattern(sent.as_bytes(), false).as_deref(), Ok(expected));
        }
        assert_eq!(mailbox_pattern(b"&", false), Err(NameError::Utf7));
        assert_eq!(mailbox_pattern(b"a\0", false), Err(NameError::Form));
    }

    #[test]
    fn names_are_written_as_clients_read_them() {
        let written = |name: &str, is_utf8: bool| {
            let mut out = Vec::new();
            write_mailbox_name(&mut out, name, is_utf8);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(written("INBOX", false), "INBOX");
        assert_eq!(written("Sent Items", false), "\"Sent Items\"");
        assert_eq!(written("Entwürfe", false), "Entw&APw-rfe");
        assert_eq!(written("Entwürfe", true), "\"Entwürfe\"");
        assert_eq!(written("R&D", false), "R&-D");
        assert_eq!(written("R&D", true), "R&D");
        assert_eq!(written("a\"b\\ä", false), "\"a\\\"b\\\\&AOQ-\"");
        assert_eq!(written("nil", false), "\"nil\"");
        assert_eq!(written("50%", true), "\"50%\"");
        assert_eq!(written("", false), "\"\"");
    }

    fn check_match(pattern: &str, name: &str, expected: bool) {
        assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
    }

    #[test]
    fn a_star_is_anything_and_a_percent_stays_in_its_level() {
        for name in ["INBOX", "a", "a/b/c"] {
            check_match("*", name, true);
            check_match("**%*", name, true);
            check_match("", name, false);
            check_match("*/", name, false);
        }
        check_match("%", "a", true);
        check_match("%", "a/b", false);
        check_match("%/%", "a/b", true);
        check_match("%/%", "a/b/c", false);
        check_match("a/%", "a/b", true);
        check_match("a/%", "a", false);
        check_match("a%", "abc", true);
        check_match("a%", "abc/d", false);
        check_match("a*", "abc/d", true);
        check_match("*b", "a/b", true);
        check_match("*b", "a/bc", false);
        check_match("%b%", "abc", true);
        check_match("%/b*", "a/bc/d", true);
        check_match("*%b/%", "x/aab/c", true);
        check_match("a", "a", true);
        check_match("a", "A", false);
        check_match("ä%", "äöü", true);
        check_match("", "", true);
        check_match("%", "", true);
    }

    #[test]
    fn inbox_matches_in_any_case() {
        for pattern in ["inbox", "INBOX", "in%", "%bOx", "*BOX", "i*x", "inbox*"] {
            check_match(pattern, "INBOX", true);
        }
        check_match("inbox/%", "INBOX/a", true);
        check_match("in*/a", "INBOX/a", true);
        check_match("in*/A", "INBOX/a", false);
        check_match("inboxes", "INBOXES", false);
        check_match("inb*", "INBOXES", false);
        check_match("%/inbox", "a/INBOX", false);
    }

    /// The rule itself, in exponential time.
    fn obviously_matches(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, _) => name.is_empty(),
            (Some((b'*', rest)), None) | (Some((b'%', rest)), None) => obviously_matches(rest, name),
            (Some((wild @ (b'*' | b'%'), rest)), Some((byte, behind))) => {
                obviously_matches(rest, name)
                    || ((*wild == b'*' || *byte != b'/') && obviously_matches(pattern, behind))
            }
            (Some((expected, rest)), Some((byte, behind))) => expected == byte && obviously_matches(rest, behind),
            (Some(_), None) => false,
        }
    }

    proptest! {
        #[test]
        fn a_pattern_matches_by_the_rule(pattern in "[ab/*%]{0,8}", name in "[ab/]{0,10}") {
            prop_assert_eq!(matches(&pattern, &name), obviously_matches(pattern.as_bytes(), name.as_bytes()));
        }

        #[test]
        fn a_name_that_is_written_is_read(name in "(inbox/)?[a-z&% \"\\\\ä台😀-]{1,10}(/[a-zäé]{1,3}){0,2}", is_utf8 in any::<bool>()) {
            let name = mailbox_name(name.as_bytes(), true).unwrap();
            let mut out = Vec::new();
            write_mailbox_name(&mut out, &name, is_utf8);
            let mut reader = super::super::reader::Reader::new(&out);
            let sent = reader.astring("").unwrap();
            prop_assert!(reader.is_empty());
            prop_assert_eq!(mailbox_name(&sent, is_utf8), Ok(name));
        }
    }
}
