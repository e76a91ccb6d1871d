use memchr::memchr2;

/// Octets beyond which a string is a literal: clients read quoted strings into small buffers.
const QUOTED_BYTES: usize = 4096;

/// Writes a string of IMAP, or NIL.
// RFC 9051 §4.3, §4.5
pub(super) fn write_nstring(out: &mut Vec<u8>, text: Option<&[u8]>) {
    match text {
        Some(text) => write_string(out, text),
        None => out.extend_from_slice(b"NIL"),
    }
}

/// Writes a string: quoted where any session may be sent it so, else as a literal. Line ends and NUL, which only a
/// malformed field holds, are left out.
pub(super) fn write_string(out: &mut Vec<u8>, text: &[u8]) {
    if text.len() > QUOTED_BYTES || !text.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t')) {
        return write_literal(out, text);
    }
    out.push(b'"');
    let mut rest = text;
    while let Some(at) = memchr2(b'"', b'\\', rest) {
        let (plain, special) = rest.split_at_checked(at).unwrap_or_default();
        out.extend_from_slice(plain);
        out.push(b'\\');
        out.extend(special.first());
        rest = special.get(1..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

fn write_literal(out: &mut Vec<u8>, text: &[u8]) {
    let is_kept = |byte: &&u8| !matches!(byte, b'\r' | b'\n' | 0);
    let len = text.iter().filter(is_kept).count();
    out.extend_from_slice(format!("{{{len}}}\r\n").as_bytes());
    out.extend(text.iter().filter(is_kept));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_quoted_or_literals() {
        let check = |text: &[u8], expected: &[u8]| {
            let mut out = Vec::new();
            write_string(&mut out, text);
            assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(expected));
        };
        check(b"", b"\"\"");
        check(b"a b", b"\"a b\"");
        check(b"a\"b\\c", b"\"a\\\"b\\\\c\"");
        check("ü".as_bytes(), "{2}\r\nü".as_bytes());
        check(b"a\r\n b\0", b"{3}\r\na b");
        check(b"\x07", b"{1}\r\n\x07");
        let mut out = Vec::new();
        write_nstring(&mut out, None);
        assert_eq!(out, b"NIL");
    }
}
