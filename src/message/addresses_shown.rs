use super::cursor::{Cursor, is_atext};
use super::nstring::{write_nstring, write_string};
use crate::base::limits;

/// Writes the addresses of a From, To or similar field as an envelope shows them (RFC 9051 §7.5.2): names, routes, local
/// parts and domains, with groups. Reads whatever real mail holds: what is no address is shown as far as it goes, with an
/// empty local part or domain, since NIL in their places means a group.
///
/// The list goes to the end of `out`, without its parentheses; whether there was anything is told by its growth.
// RFC 5322 §3.4, §4.4
pub(super) fn write_addresses(out: &mut Vec<u8>, value: &[u8]) {
    let mut list = List { cursor: Cursor::new(within_limit(value)), out, in_group: false, first: Vec::new() };
    let end = list.out.len().saturating_add(limits::SHOWN_LIST_BYTES);
    loop {
        list.cursor.skip_blank();
        match list.cursor.peek() {
            None => break,
            // RFC 5322 §4.4: empty members are obsolete but still read.
            Some(b',') => list.cursor.bump(),
            Some(b';') => list.end_group(),
            Some(_) if list.out.len() >= end => break,
            Some(_) => list.member(),
        }
    }
    if list.in_group {
        list.end_group();
    }
}

/// Not more of a value than is shown: whole addresses.
fn within_limit(value: &[u8]) -> &[u8] {
    match value.get(..limits::SHOWN_FIELD_BYTES) {
        Some(cut) => cut.get(..memchr::memrchr(b',', cut).unwrap_or(cut.len())).unwrap_or(cut),
        None => value,
    }
}

struct List<'a, 'out> {
    cursor: Cursor<'a>,
    out: &'out mut Vec<u8>,
    in_group: bool,
    /// The first phrase of the member, to be used again.
    first: Vec<u8>,
}

impl<'a> List<'a, '_> {
    /// An address or the beginning of a group; afterwards the cursor stands at a comma, a semicolon or the end.
    fn member(&mut self) {
        let begin = self.cursor.clone();
        let mut name = std::mem::take(&mut self.first);
        name.clear();
        self.phrase(&mut name);
        match self.cursor.peek() {
            Some(b':') if !self.in_group && !name.is_empty() => {
                self.cursor.bump();
                self.begin_group(&name);
                self.first = name;
                return;
            }
            Some(b'<') => {
                self.cursor.bump();
                self.angle_address(&name);
            }
            _ => {
                self.cursor = begin;
                self.bare_address();
            }
        }
        self.first = name;
        while !self.is_at_end() {
            self.cursor.bump();
            self.skip_rest();
        }
    }

    fn is_at_end(&self) -> bool {
        matches!(self.cursor.peek(), None | Some(b',' | b';'))
    }

    /// Words up to a special: names are shown without quotes, with one space between two words.
    // RFC 5322 §3.2.5, §4.1
    fn phrase(&mut self, name: &mut Vec<u8>) {
        loop {
            match self.cursor.peek() {
                Some(b'"') => self.cursor.quoted(name),
                Some(byte) if is_word(byte) => name.extend_from_slice(self.cursor.take_while(is_word)),
                _ => return,
            }
            self.cursor.skip_blank();
            if self.cursor.peek().is_some_and(|byte| byte == b'"' || is_word(byte)) {
                name.push(b' ');
            }
        }
    }

    /// Behind `<`.
    fn angle_address(&mut self, name: &[u8]) {
        self.cursor.skip_blank();
        let route = self.route();
        let (mut local, mut domain) = (Vec::new(), Vec::new());
        self.spec(&mut local, &mut domain);
        self.write(Some(name).filter(|name| !name.is_empty()), route.as_deref(), &local, &domain);
    }

    /// An address without brackets; a comment behind it is the name, as in RFC 822's time. Where brackets follow all the
    /// same, what is in them is the address, and all before it the name.
    fn bare_address(&mut self) {
        let begin = self.cursor.clone();
        let (mut local, mut domain) = (Vec::new(), Vec::new());
        let comment = self.spec(&mut local, &mut domain);
        self.skip_rest();
        if self.cursor.peek() == Some(b'<') {
            let name = begin.until(&self.cursor).trim_ascii();
            self.cursor.bump();
            return self.angle_address(name);
        }
        if local.is_empty() && domain.is_empty() && comment.is_none() {
            return;
        }
        self.write(comment.map(<[u8]>::trim_ascii).filter(|name| !name.is_empty()), None, &local, &domain);
    }

    /// `@one,@two:` before the address.
    // RFC 5322 §4.4: obs-route
    fn route(&mut self) -> Option<Vec<u8>> {
        if self.cursor.peek() != Some(b'@') {
            return None;
        }
        let mut route = Vec::new();
        while let Some(byte) = self.cursor.peek() {
            match byte {
                b':' => {
                    self.cursor.bump();
                    self.cursor.skip_blank();
                    return Some(route);
                }
                b'@' | b',' | b'[' | b']' => {
                    route.push(byte);
                    self.cursor.bump();
                }
                byte if is_word(byte) => route.extend_from_slice(self.cursor.take_while(is_word)),
                _ => break,
            }
            self.cursor.skip_blank();
        }
        Some(route)
    }

    /// Local part, `@` and domain, as far as they are there; gives back the last comment.
    // RFC 5322 §3.4.1, §4.4: obs-local-part, obs-domain
    fn spec(&mut self, local: &mut Vec<u8>, domain: &mut Vec<u8>) -> Option<&'a [u8]> {
        let mut comment = self.dotted(local);
        if self.cursor.eat(b'@') {
            comment = self.cursor.skip_blank().or(comment);
            comment = match self.cursor.peek() {
                Some(b'[') => self.literal(domain),
                _ => self.dotted(domain),
            }
            .or(comment);
        }
        comment
    }

    /// Atoms and quoted strings with dots between them, and blanks around the dots.
    fn dotted(&mut self, out: &mut Vec<u8>) -> Option<&'a [u8]> {
        let mut comment = None;
        let mut after_word = false;
        loop {
            match self.cursor.peek() {
                Some(b'.') => {
                    out.push(b'.');
                    self.cursor.bump();
                    after_word = false;
                }
                Some(b'"') if !after_word => {
                    self.cursor.quoted(out);
                    after_word = true;
                }
                Some(byte) if is_atext(byte) && !after_word => {
                    out.extend_from_slice(self.cursor.take_while(is_atext));
                    after_word = true;
                }
                _ => return comment,
            }
            comment = self.cursor.skip_blank().or(comment);
        }
    }

    // RFC 5322 §3.4.1: domain-literal
    fn literal(&mut self, out: &mut Vec<u8>) -> Option<&'a [u8]> {
        let inside = self.cursor.take_while(|byte| !matches!(byte, b']' | b'>' | b'\r' | b'\n'));
        out.extend(inside.iter().filter(|byte| !byte.is_ascii_whitespace()));
        if self.cursor.eat(b']') {
            out.push(b']');
        }
        self.cursor.skip_blank()
    }

    // RFC 9051 §7.5.2: a host of NIL is a group's beginning, and then a local part of NIL its end.
    fn begin_group(&mut self, name: &[u8]) {
        self.out.extend_from_slice(b"(NIL NIL ");
        write_string(self.out, name);
        self.out.extend_from_slice(b" NIL)");
        self.in_group = true;
    }

    /// At a semicolon, or at the end of a field that has forgotten it.
    fn end_group(&mut self) {
        self.cursor.bump();
        if self.in_group {
            self.out.extend_from_slice(b"(NIL NIL NIL NIL)");
        }
        self.in_group = false;
    }

    fn write(&mut self, name: Option<&[u8]>, route: Option<&[u8]>, local: &[u8], domain: &[u8]) {
        self.out.push(b'(');
        write_nstring(self.out, name);
        self.out.push(b' ');
        write_nstring(self.out, route);
        self.out.push(b' ');
        write_string(self.out, local);
        self.out.push(b' ');
        write_string(self.out, domain);
        self.out.push(b')');
    }

    /// Passes over what stands between an address and the next comma, semicolon or opening bracket.
    fn skip_rest(&mut self) {
        let mut ignored = Vec::new();
        loop {
            self.cursor.skip_blank();
            match self.cursor.peek() {
                None | Some(b',' | b';' | b'<') => return,
                Some(b'"') => {
                    self.cursor.quoted(&mut ignored);
                    ignored.clear();
                }
                Some(_) => self.cursor.bump(),
            }
        }
    }
}

/// An octet of an atom, or the dot that names have without quotes.
fn is_word(byte: u8) -> bool {
    byte == b'.' || is_atext(byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(value: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        write_addresses(&mut out, value);
        out
    }

    fn check(value: &str, expected: &str) {
        assert_eq!(String::from_utf8_lossy(&written(value.as_bytes())), expected, "{value:?}");
    }

    #[test]
    fn the_forms_of_rfc_5322() {
        check("alice@x.test", r#"(NIL NIL "alice" "x.test")"#);
        check("Alice <alice@x.test>", r#"("Alice" NIL "alice" "x.test")"#);
        check("<alice@x.test>", r#"(NIL NIL "alice" "x.test")"#);
        check(r#""A. \"L\" Ice" <a@x.test>"#, r#"("A. \"L\" Ice" NIL "a" "x.test")"#);
        check("J. R.  Public <a@x.test>, b@x.test", r#"("J. R. Public" NIL "a" "x.test")(NIL NIL "b" "x.test")"#);
        check("a@x.test (Alice (in brackets))", r#"("Alice (in brackets)" NIL "a" "x.test")"#);
        check("(c) A (c) <(c) a (c) @ (c) x . test (c)> (c)", r#"("A" NIL "a" "x.test")"#);
        check(r#""a b"@x.test, a."b c".d@x.test"#, r#"(NIL NIL "a b" "x.test")(NIL NIL "a.b c.d" "x.test")"#);
        check("a@[192.0.2.1]", r#"(NIL NIL "a" "[192.0.2.1]")"#);
        check("<@one.test,@two.test:a@x.test>", r#"(NIL "@one.test,@two.test" "a" "x.test")"#);
        check("=?utf-8?q?J=C3=B6rg?= <a@x.test>", r#"("=?utf-8?q?J=C3=B6rg?=" NIL "a" "x.test")"#);
        check("Jörg <a@x.test>", "({5}\r\nJörg NIL \"a\" \"x.test\")");
        check("a@x.test,\r\n\tB\r\n C <b@x.test>", r#"(NIL NIL "a" "x.test")("B C" NIL "b" "x.test")"#);
    }

    #[test]
    fn groups_are_marked() {
        let group = r#"(NIL NIL "A group" NIL)(NIL NIL "a" "x.test")("B" NIL "b" "x.test")(NIL NIL NIL NIL)"#;
        check("A group: a@x.test, B <b@x.test>;", group);
        check("A group: a@x.test, B <b@x.test>", group);
        check("undisclosed-recipients:;", r#"(NIL NIL "undisclosed-recipients" NIL)(NIL NIL NIL NIL)"#);
        check("A:;, b@x.test", r#"(NIL NIL "A" NIL)(NIL NIL NIL NIL)(NIL NIL "b" "x.test")"#);
    }

    #[test]
    fn what_is_broken_is_shown_as_far_as_it_goes() {
        check("", "");
        check(" , ,(c),", "");
        check("root", r#"(NIL NIL "root" "")"#);
        check("Alice <root>", r#"("Alice" NIL "root" "")"#);
        check("Alice <>", r#"("Alice" NIL "" "")"#);
        check("Alice <a@x.test", r#"("Alice" NIL "a" "x.test")"#);
        check("a@x.test; b@x.test", r#"(NIL NIL "a" "x.test")(NIL NIL "b" "x.test")"#);
        check("a@x.test b@x.test, c@x.test", r#"(NIL NIL "a" "x.test")(NIL NIL "c" "x.test")"#);
        check("b@x.test <a@x.test>, c@x.test", r#"("b@x.test" NIL "a" "x.test")(NIL NIL "c" "x.test")"#);
        check("@ [x] <a@x.test>", r#"("@ [x]" NIL "a" "x.test")"#);
        check("<a@x.test> <b@x.test> c", r#"(NIL NIL "a" "x.test")"#);
        check("a@b@c, d@x.test", r#"(NIL NIL "a" "b")(NIL NIL "d" "x.test")"#);
        check(r#""open <a@x.test>"#, r#"(NIL NIL "open <a@x.test>" "")"#);
        check("@x.test", r#"(NIL NIL "" "x.test")"#);
        check(": a@x.test", "");
        check("A: B: a@x.test;", r#"(NIL NIL "A" NIL)(NIL NIL "B" "")(NIL NIL NIL NIL)"#);
        check("<@a:b>", r#"(NIL "@a" "b" "")"#);
        check("a@[1.2", r#"(NIL NIL "a" "[1.2")"#);
        check(">)]\\, a@x.test", r#"(NIL NIL "a" "x.test")"#);
    }

    #[test]
    fn hostile_lists_stay_bounded() {
        for bomb in ["a,", "(", "\"", "<", "a:", ",", "[", "a ", "\\", "a@", "<@a,"] {
            let out = written(bomb.repeat(100_000).as_bytes());
            assert!(out.len() <= limits::SHOWN_LIST_BYTES + 2 * limits::SHOWN_FIELD_BYTES, "{bomb}: {}", out.len());
        }
        let many = written("someone@example.test, ".repeat(10_000).as_bytes());
        assert!(many.ends_with(br#"(NIL NIL "someone" "example.test")"#));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(value in proptest::collection::vec(any::<u8>(), 0..100), text in "[a@.<>\"(),:;\\[\\]\\\\ é\r\n]{0,60}") {
            written(&value);
            written(text.as_bytes());
        }

        #[test]
        fn what_the_strict_reader_takes_comes_out(locals in proptest::collection::vec("[a-z]{1,9}", 1..5)) {
            let value = locals.iter().map(|local| format!("N (c) <{local}@x.test>")).collect::<Vec<_>>().join(", ");
            let expected: String = locals.iter().map(|local| format!("(\"N\" NIL \"{local}\" \"x.test\")")).collect();
            prop_assert_eq!(written(value.as_bytes()), expected.into_bytes());
        }
    }
}
