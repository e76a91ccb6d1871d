use unicode_normalization::{UnicodeNormalization, is_nfc};

use super::limits;

/// Stands between a mailbox and those below it.
const SEPARATOR: char = '/';
const INBOX: &str = "INBOX";

/// A mailbox's name as it is kept: in NFC, INBOX in upper case. `None`: a mailbox can't have that name, since it is empty
/// or too long, holds a control character or an empty level, or begins or ends with the separator.
pub fn mailbox_name(given: &str) -> Option<String> {
    let name = mailbox_text(given)?;
    let levels = name.split(SEPARATOR);
    let is_name = !name.is_empty() && !levels.clone().any(str::is_empty) && levels.count() <= limits::MAILBOX_LEVELS;
    is_name.then_some(name)
}

/// The same for a pattern of names, which may be empty, and begin and end with the separator.
pub fn mailbox_text(given: &str) -> Option<String> {
    // RFC 9051 §5.1: no control characters, and no separators of lines and paragraphs.
    if given.chars().any(|char| char.is_control() || matches!(char, '\u{2028}' | '\u{2029}')) {
        return None;
    }
    // RFC 9051 §5.1: Net-Unicode (RFC 5198 §3) is in NFC.
    let name = if is_nfc(given) { given.to_owned() } else { given.nfc().collect() };
    let name = match after_inbox(&name) {
        Some(below) => [INBOX, below].concat(),
        None => name,
    };
    (name.len() <= limits::MAILBOX_NAME_BYTES).then_some(name)
}

/// What stands behind INBOX, where that is the name's first level, in any case.
// RFC 9051 §5.1
pub fn after_inbox(name: &str) -> Option<&str> {
    let (first, below) = name.split_at_checked(INBOX.len())?;
    (first.eq_ignore_ascii_case(INBOX) && (below.is_empty() || below.starts_with(SEPARATOR))).then_some(below)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(given: &str, expected: Option<&str>) {
        assert_eq!(mailbox_name(given).as_deref(), expected, "{given:?}");
    }

    #[test]
    fn a_name_is_kept_in_one_form() {
        check("Work/2027", Some("Work/2027"));
        check("inbox", Some("INBOX"));
        check("Inbox/Lists", Some("INBOX/Lists"));
        check("inboxes", Some("inboxes"));
        check("A\u{308}", Some("Ä"));
        check(&"x".repeat(limits::MAILBOX_NAME_BYTES), Some(&"x".repeat(limits::MAILBOX_NAME_BYTES)));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for wrong in ["", "/", "a/", "/a", "a//b", "a\nb", "a\u{7f}", "a\u{2028}b"] {
            check(wrong, None);
        }
        check(&"x".repeat(limits::MAILBOX_NAME_BYTES + 1), None);
        check(&vec!["x"; limits::MAILBOX_LEVELS + 1].join("/"), None);
    }
}
