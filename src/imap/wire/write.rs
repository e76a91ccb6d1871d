use super::reader::is_astring_char;
use super::{Answer, Code, Status};

/// Writes a tagged answer with its CRLF; `None`: untagged, as in `* OK …`.
pub fn write_answer(out: &mut Vec<u8>, tag: Option<&[u8]>, answer: &Answer) {
    out.extend_from_slice(tag.unwrap_or(b"*"));
    out.extend_from_slice(match answer.status {
        Status::Ok => b" OK ",
        Status::No => b" NO ",
        Status::Bad => b" BAD ",
    });
    if let Some(code) = &answer.code {
        out.push(b'[');
        write_code(out, code);
        out.extend_from_slice(b"] ");
    }
    // RFC 9051 §9 "resp-text": there is a text, and it does not look like a code.
    out.extend_from_slice(if answer.text.is_empty() { b"done" } else { answer.text.as_bytes() });
    out.extend_from_slice(b"\r\n");
}

fn write_code(out: &mut Vec<u8>, code: &Code) {
    out.extend_from_slice(code_name(code).as_bytes());
    match code {
        Code::Capability(names) => write_word(out, names),
        Code::BadCharset(charsets) => write_listed(out, charsets),
        Code::PermanentFlags(flags) => write_listed(out, flags),
        Code::UidNext(number) | Code::UidValidity(number) | Code::Unseen(number) => write_argument(out, *number),
        Code::AppendUid(uid_validity, uids) => {
            write_argument(out, *uid_validity);
            out.push(b' ');
            write_ranges(out, uids);
        }
        Code::CopyUid(uid_validity, from, to) => {
            write_argument(out, *uid_validity);
            out.push(b' ');
            write_ranges(out, &runs(from));
            out.push(b' ');
            write_ranges(out, &runs(to));
        }
        Code::HighestModSeq(modseq) => {
            out.push(b' ');
            write_number(out, *modseq);
        }
        Code::Modified(numbers) => {
            out.push(b' ');
            write_ranges(out, numbers);
        }
        _ => {}
    }
}

fn code_name(code: &Code) -> &'static str {
    match code {
        Code::Alert => "ALERT",
        Code::Capability(_) => "CAPABILITY",
        Code::BadCharset(_) => "BADCHARSET",
        Code::Parse => "PARSE",
        Code::PermanentFlags(_) => "PERMANENTFLAGS",
        Code::ReadOnly => "READ-ONLY",
        Code::ReadWrite => "READ-WRITE",
        Code::TryCreate => "TRYCREATE",
        Code::UidNext(_) => "UIDNEXT",
        Code::UidValidity(_) => "UIDVALIDITY",
        Code::Unseen(_) => "UNSEEN",
        Code::AppendUid(..) => "APPENDUID",
        Code::CopyUid(..) => "COPYUID",
        Code::UidNotSticky => "UIDNOTSTICKY",
        Code::HighestModSeq(_) => "HIGHESTMODSEQ",
        Code::Modified(_) => "MODIFIED",
        Code::CompressionActive => "COMPRESSIONACTIVE",
        Code::TooBig => "TOOBIG",
        Code::UseAttr => "USEATTR",
        Code::UnknownCte => "UNKNOWN-CTE",
        Code::Unavailable => "UNAVAILABLE",
        Code::AuthenticationFailed => "AUTHENTICATIONFAILED",
        Code::AuthorizationFailed => "AUTHORIZATIONFAILED",
        Code::PrivacyRequired => "PRIVACYREQUIRED",
        Code::ExpungeIssued => "EXPUNGEISSUED",
        Code::ServerBug => "SERVERBUG",
        Code::ClientBug => "CLIENTBUG",
        Code::Cannot => "CANNOT",
        Code::Limit => "LIMIT",
        Code::OverQuota => "OVERQUOTA",
        Code::AlreadyExists => "ALREADYEXISTS",
        Code::NonExistent => "NONEXISTENT",
        Code::Closed => "CLOSED",
        Code::HasChildren => "HASCHILDREN",
    }
}

fn write_word(out: &mut Vec<u8>, word: &str) {
    out.push(b' ');
    out.extend_from_slice(word.as_bytes());
}

fn write_listed(out: &mut Vec<u8>, words: &str) {
    out.extend_from_slice(b" (");
    out.extend_from_slice(words.as_bytes());
    out.push(b')');
}

fn write_argument(out: &mut Vec<u8>, number: u32) {
    out.push(b' ');
    write_number(out, u64::from(number));
}

/// Numbers as ranges, in their order.
fn runs(numbers: &[u32]) -> Vec<(u32, u32)> {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(*number) => *last = *number,
            _ => runs.push((*number, *number)),
        }
    }
    runs
}

/// Writes a string: quoted where it can be, else a literal. `None`: NIL.
pub fn write_nstring(out: &mut Vec<u8>, text: Option<&[u8]>) {
    match text {
        None => out.extend_from_slice(b"NIL"),
        Some(text) => write_string(out, text),
    }
}

/// Writes a string: quoted where it can be, else a literal.
pub(super) fn write_string(out: &mut Vec<u8>, text: &[u8]) {
    // RFC 9051 §9 "QUOTED-CHAR", in its RFC 3501 form: ASCII without CR, LF and NUL
    if text.iter().all(|byte| matches!(byte, 1..=0x7f) && !matches!(byte, b'\r' | b'\n')) {
        return write_quoted(out, text);
    }
    out.push(b'{');
    write_number(out, text.len() as u64);
    out.extend_from_slice(b"}\r\n");
    out.extend_from_slice(text);
}

/// Writes a quoted string, whatever is in it.
pub(super) fn write_quoted(out: &mut Vec<u8>, text: &[u8]) {
    out.reserve(text.len().saturating_add(2));
    out.push(b'"');
    let mut pieces = text.split_inclusive(|byte| matches!(byte, b'"' | b'\\'));
    if let Some(first) = pieces.next() {
        write_escaped(out, first);
    }
    pieces.for_each(|piece| write_escaped(out, piece));
    out.push(b'"');
}

/// Writes a piece that may end with an octet that needs a backslash before it.
fn write_escaped(out: &mut Vec<u8>, piece: &[u8]) {
    match piece.split_last() {
        Some((last @ (b'"' | b'\\'), before)) => {
            out.extend_from_slice(before);
            out.extend_from_slice(&[b'\\', *last]);
        }
        _ => out.extend_from_slice(piece),
    }
}

/// Writes an atom where it can be one, else a string.
pub fn write_astring(out: &mut Vec<u8>, text: &[u8]) {
    // RFC 9051 §9 "astring" lets `]` stand in it and allows NIL, which not every client reads.
    let is_atom = !text.is_empty()
        && text.iter().all(|byte| is_astring_char(*byte) && *byte != b']')
        && !text.eq_ignore_ascii_case(b"NIL");
    if is_atom { out.extend_from_slice(text) } else { write_string(out, text) }
}

/// Writes a number in decimal digits.
pub fn write_number(out: &mut Vec<u8>, number: u64) {
    let mut digits = [b'0'; 20];
    let (mut left, mut count) = (number, 0_usize);
    for place in digits.iter_mut().rev() {
        *place = b'0' + (left % 10) as u8;
        left /= 10;
        count = count.saturating_add(1);
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(digits.len().saturating_sub(count)..).unwrap_or_default());
}

/// Writes ranges as a sequence set, as in `1:3,7`.
pub fn write_ranges(out: &mut Vec<u8>, ranges: &[(u32, u32)]) {
    for (at, (first, last)) in ranges.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_number(out, u64::from(*first));
        if first != last {
            out.push(b':');
            write_number(out, u64::from(*last));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(write: impl FnOnce(&mut Vec<u8>), expected: &str) {
        let mut out = Vec::new();
        write(&mut out);
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }

    #[test]
    fn strings_are_quoted_where_they_can_be() {
        let string = |text: &'static [u8], expected| check(|out| write_nstring(out, Some(text)), expected);
        string(b"", "\"\"");
        string(b"plain text", "\"plain text\"");
        string(b"\\ and \"", "\"\\\\ and \\\"\"");
        string(b"\"\"", "\"\\\"\\\"\"");
        string(b"\t\x7f", "\"\t\x7f\"");
        string("ä".as_bytes(), "{2}\r\nä");
        string(b"a\r\nb", "{4}\r\na\r\nb");
        string(b"\n", "{1}\r\n\n");
        check(|out| write_nstring(out, None), "NIL");
    }

    #[test]
    fn atoms_stand_without_quotes() {
        let astring = |text: &'static [u8], expected| check(|out| write_astring(out, text), expected);
        astring(b"INBOX", "INBOX");
        astring(b"a/b.c&-", "a/b.c&-");
        astring(b"[x", "[x");
        for quoted in ["", "a b", "(", "a%", "*", "NIL", "nil", "x]", "{"] {
            check(|out| write_astring(out, quoted.as_bytes()), &format!("\"{quoted}\""));
        }
        astring(b"a\\", "\"a\\\\\"");
        astring(b"\xc3\xa4", "{2}\r\nä");
    }

    #[test]
    fn numbers_and_ranges_are_written() {
        for number in [0, 9, 10, 4_294_967_295, u64::MAX] {
            check(|out| write_number(out, number), &number.to_string());
        }
        check(|out| write_ranges(out, &[(1, 3), (7, 7), (9, 10)]), "1:3,7,9:10");
        check(|out| write_ranges(out, &[]), "");
    }

    fn check_answer(answer: Answer, expected: &str) {
        check(|out| write_answer(out, Some(b"a1"), &answer), &format!("a1 {expected}\r\n"));
    }

    #[test]
    fn answers_have_their_codes() {
        let ok = |code| Answer::ok("done").with(code);
        check(|out| write_answer(out, None, &Answer::no("text")), "* NO text\r\n");
        check_answer(Answer::bad("unknown command"), "BAD unknown command");
        check_answer(Answer::ok(""), "OK done");
        check_answer(ok(Code::Capability("IMAP4rev1 IDLE".into())), "OK [CAPABILITY IMAP4rev1 IDLE] done");
        check_answer(ok(Code::BadCharset("UTF-8 US-ASCII")), "OK [BADCHARSET (UTF-8 US-ASCII)] done");
        check_answer(ok(Code::PermanentFlags("\\Seen \\*".into())), "OK [PERMANENTFLAGS (\\Seen \\*)] done");
        check_answer(ok(Code::PermanentFlags(String::new())), "OK [PERMANENTFLAGS ()] done");
        check_answer(ok(Code::ReadOnly), "OK [READ-ONLY] done");
        check_answer(ok(Code::UidNext(5)), "OK [UIDNEXT 5] done");
        check_answer(ok(Code::UidValidity(u32::MAX)), "OK [UIDVALIDITY 4294967295] done");
        check_answer(ok(Code::Unseen(1)), "OK [UNSEEN 1] done");
        check_answer(ok(Code::AppendUid(7, vec![(3, 5)])), "OK [APPENDUID 7 3:5] done");
        check_answer(ok(Code::HighestModSeq(9)), "OK [HIGHESTMODSEQ 9] done");
        check_answer(ok(Code::Modified(vec![(7, 7), (9, 10)])), "OK [MODIFIED 7,9:10] done");
        check_answer(ok(Code::UnknownCte), "OK [UNKNOWN-CTE] done");
    }

    // RFC 4315 §3: both sets in the same order
    #[test]
    fn copied_uids_keep_their_order() {
        let copied = |from: &[u32], to: &[u32]| Answer::ok("done").with(Code::CopyUid(7, from.to_vec(), to.to_vec()));
        check_answer(copied(&[1, 2, 3, 9], &[4, 5, 6, 7]), "OK [COPYUID 7 1:3,9 4:7] done");
        check_answer(copied(&[9, 1, 2], &[4, 5, 7]), "OK [COPYUID 7 9,1:2 4:5,7] done");
        check_answer(
            copied(&[3, 2, 1], &[u32::MAX - 1, u32::MAX, 5]),
            "OK [COPYUID 7 3,2,1 4294967294:4294967295,5] done",
        );
    }
}
