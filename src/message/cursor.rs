use memchr::memchr3;

/// Levels of comments inside comments that are told apart. RFC 5322 names no limit; nobody means more.
const COMMENT_DEPTH: usize = 50;

/// Reads the lexical tokens of a structured field (RFC 5322 §3.2) from malformed mail, too: what is left open ends with
/// the field.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub fn new(value: &'a [u8]) -> Self {
        Self { rest: value }
    }

    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// What stands between here and a later place.
    pub fn until(&self, later: &Self) -> &'a [u8] {
        self.rest.get(..self.rest.len().saturating_sub(later.rest.len())).unwrap_or_default()
    }

    pub fn bump(&mut self) {
        self.rest = self.rest.get(1..).unwrap_or_default();
    }

    /// Takes the octet if it is the next.
    pub fn eat(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        if is_next {
            self.bump();
        }
        is_next
    }

    /// Takes the octets that fulfil the condition.
    pub fn take_while(&mut self, condition: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|byte| !condition(*byte)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at_checked(end).unwrap_or_default();
        self.rest = rest;
        taken
    }

    /// Passes over white space, line ends and comments; gives back what the last comment holds.
    // RFC 5322 §3.2.2
    pub fn skip_blank(&mut self) -> Option<&'a [u8]> {
        let mut comment = None;
        loop {
            match self.peek() {
                Some(b' ' | b'\t' | b'\r' | b'\n' | 0) => self.bump(),
                Some(b'(') => comment = Some(self.comment()),
                _ => return comment,
            }
        }
    }

    /// The inside of the comment that begins here. Counts levels instead of recursing.
    fn comment(&mut self) -> &'a [u8] {
        let begin = self.rest.get(1..).unwrap_or_default();
        let (mut depth, mut at) = (1_usize, 0_usize);
        while let Some(found) = begin.get(at..).and_then(|rest| memchr3(b'(', b')', b'\\', rest)) {
            at = at.saturating_add(found);
            match begin.get(at) {
                Some(b'\\') => at = at.saturating_add(1),
                Some(b'(') => depth = depth.saturating_add(1).min(COMMENT_DEPTH),
                _ => depth -= 1,
            }
            if depth == 0 {
                self.rest = begin.get(at.saturating_add(1)..).unwrap_or_default();
                return begin.get(..at).unwrap_or_default();
            }
            at = at.saturating_add(1);
        }
        self.rest = &[];
        begin
    }

    /// Appends the content of the quoted string that begins here: without quotes, escapes and line ends.
    // RFC 5322 §3.2.4
    pub fn quoted(&mut self, out: &mut Vec<u8>) {
        self.bump();
        let mut is_escaped = false;
        while let Some(byte) = self.peek() {
            self.bump();
            match byte {
                b'\r' | b'\n' | 0 => {}
                _ if is_escaped => {
                    out.push(byte);
                    is_escaped = false;
                }
                b'\\' => is_escaped = true,
                b'"' => return,
                _ => out.push(byte),
            }
        }
    }
}

/// Whether the octet can stand in an atom; octets above 127 can (RFC 6532 §3.2).
// RFC 5322 §3.2.3
pub(super) fn is_atext(byte: u8) -> bool {
    byte > b' ' && byte != 127 && !b"()<>[]:;@\\,.\"".contains(&byte)
}

/// Whether the octet can stand in a token.
// RFC 2045 §5.1
pub(super) fn is_token(byte: u8) -> bool {
    byte > b' ' && byte != 127 && !b"()<>@,;:\\\"/[]?=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_and_comments_are_passed_over() {
        let check = |value: &str, comment: Option<&str>, rest: Option<u8>| {
            let mut cursor = Cursor::new(value.as_bytes());
            assert_eq!(cursor.skip_blank(), comment.map(str::as_bytes), "{value}");
            assert_eq!(cursor.peek(), rest, "{value}");
        };
        check(" \r\n\tx", None, Some(b'x'));
        check("(a)x", Some("a"), Some(b'x'));
        check("(a)(b (c) d) x", Some("b (c) d"), Some(b'x'));
        check(r"(a \) b)x", Some(r"a \) b"), Some(b'x'));
        check("(a (b x", Some("a (b x"), None);
        check("()", Some(""), None);
        check(&"(".repeat(100_000), Some(&"(".repeat(99_999)), None);
    }

    #[test]
    fn quoted_strings_are_read() {
        let check = |value: &str, expected: &str, rest: Option<u8>| {
            let (mut cursor, mut out) = (Cursor::new(value.as_bytes()), Vec::new());
            cursor.quoted(&mut out);
            assert_eq!((out.as_slice(), cursor.peek()), (expected.as_bytes(), rest), "{value}");
        };
        check(r#""a b"x"#, "a b", Some(b'x'));
        check(r#""a \"b\\"x"#, r#"a "b\"#, Some(b'x'));
        check("\"a\r\n b\"", "a b", None);
        check("\"open", "open", None);
        check(r#""open\"#, "open", None);
    }
}
