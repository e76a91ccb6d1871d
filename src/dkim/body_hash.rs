use ring::digest::{Context, SHA256};

/// Octets that are gathered before they are hashed: many small updates cost more than one.
const GATHERED_BYTES: usize = 4 * 1024;

/// The hash of a body in its relaxed form, as `bh=` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyHash(pub [u8; 32]);

/// Hashes a body as it streams by, in the relaxed form. (The hasher of mail-auth 0.13 keeps a last line that holds nothing
/// but white space; RFC 6376 takes the white space off first, and then it is an empty line that does not count.)
// RFC 6376 §3.4.4
pub struct BodyHasher {
    sha: Context,
    gathered: Vec<u8>,
    /// What is still to come of the blank line that stands before the body.
    blank_line: &'static [u8],
    /// A CR came last.
    behind_cr: bool,
    /// Line ends that count only when something stands behind them.
    line_ends: u64,
    /// White space that counts only when something stands behind it on its line.
    space: bool,
    is_empty: bool,
    /// In the relaxed form, not the simple one.
    is_relaxed: bool,
}

impl Default for BodyHasher {
    fn default() -> Self {
        Self {
            is_relaxed: true,
            sha: Context::new(&SHA256),
            gathered: Vec::new(),
            blank_line: b"\r\n",
            behind_cr: false,
            line_ends: 0,
            space: false,
            is_empty: true,
        }
    }
}

impl BodyHasher {
    /// For the simple form.
    // RFC 6376 §3.4.3
    pub fn simple() -> Self {
        Self { is_relaxed: false, ..Self::default() }
    }

    /// Takes the next octets of the body: from the blank line on, which is itself no part of what is hashed; line ends
    /// are canonical.
    pub fn push(&mut self, piece: &[u8]) {
        let mut rest = self.past_blank_line(piece);
        while let Some((&first, behind)) = rest.split_first() {
            match first {
                b'\n' if self.behind_cr => {
                    (self.behind_cr, self.space) = (false, false);
                    self.line_ends += 1;
                    rest = behind;
                }
                _ if self.behind_cr => {
                    self.behind_cr = false;
                    self.add(b"\r");
                }
                b'\r' => {
                    self.behind_cr = true;
                    rest = behind;
                }
                b' ' | b'\t' if self.is_relaxed => {
                    self.space = true;
                    rest = behind;
                }
                _ => {
                    let is_end = |octet: &u8| *octet == b'\r' || self.is_relaxed && matches!(octet, b' ' | b'\t');
                    let end = rest.iter().position(is_end).unwrap_or(rest.len());
                    let (text, behind) = rest.split_at(end);
                    self.add(text);
                    rest = behind;
                }
            }
        }
    }

    /// The hash of all that has come.
    pub fn finish(mut self) -> BodyHash {
        if self.behind_cr {
            self.add(b"\r");
        }
        // Empty lines at the end do not count; what is there ends with one CRLF, and in the simple form nothing does too.
        if !self.is_empty || !self.is_relaxed {
            self.gathered.extend_from_slice(b"\r\n");
        }
        self.sha.update(&self.gathered);
        let mut hash = [0; 32];
        hash.copy_from_slice(self.sha.finish().as_ref());
        BodyHash(hash)
    }

    fn past_blank_line<'a>(&mut self, piece: &'a [u8]) -> &'a [u8] {
        let mut rest = piece;
        while let ([wanted, left @ ..], [octet, behind @ ..]) = (self.blank_line, rest) {
            if wanted != octet {
                self.blank_line = &[];
                break;
            }
            (self.blank_line, rest) = (left, behind);
        }
        rest
    }

    /// Text of a line, with what was held back before it.
    fn add(&mut self, text: &[u8]) {
        for _ in 0..std::mem::take(&mut self.line_ends) {
            self.gathered.extend_from_slice(b"\r\n");
            self.spill();
        }
        if std::mem::take(&mut self.space) {
            self.gathered.push(b' ');
        }
        self.gathered.extend_from_slice(text);
        self.is_empty = false;
        self.spill();
    }

    fn spill(&mut self) {
        if self.gathered.len() >= GATHERED_BYTES {
            self.sha.update(&self.gathered);
            self.gathered.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ring::digest::digest;

    use super::*;

    // RFC 6376 §3.4.3, §3.4.5
    #[test]
    fn the_simple_form_leaves_white_space() {
        let check = |body: &str, canonical: &str| {
            for size in [1, 2, 100] {
                let (whole, mut hasher) = (format!("\r\n{body}"), BodyHasher::simple());
                whole.as_bytes().chunks(size).for_each(|piece| hasher.push(piece));
                assert_eq!(hasher.finish().0, digest(&SHA256, canonical.as_bytes()).as_ref(), "{body:?}");
            }
        };
        check("", "\r\n");
        check("\r\n\r\n", "\r\n");
        check(" C \r\nD \t E\r\n\r\n\r\n", " C \r\nD \t E\r\n");
        check("a", "a\r\n");
        check("a\r\n \r\n", "a\r\n \r\n");
    }

    fn hash_of(pieces: &[&[u8]]) -> BodyHash {
        let mut hasher = BodyHasher::default();
        pieces.iter().for_each(|piece| hasher.push(piece));
        hasher.finish()
    }

    /// `canonical`: what is hashed.
    fn check(body: &str, canonical: &str) {
        let whole = format!("\r\n{body}");
        let expected = digest(&SHA256, canonical.as_bytes());
        assert_eq!(hash_of(&[whole.as_bytes()]).0, expected.as_ref(), "{body:?}");
        let octets: Vec<&[u8]> = whole.as_bytes().chunks(1).collect();
        assert_eq!(hash_of(&octets).0, expected.as_ref(), "{body:?}, octet by octet");
    }

    // RFC 6376 §3.4.5
    #[test]
    fn the_example_of_the_standard() {
        check(" C \r\nD \t E\r\n\r\n\r\n", " C\r\nD E\r\n");
    }

    #[test]
    fn what_does_not_count_is_left_out() {
        check("", "");
        check("\r\n\r\n", "");
        check(" \t\r\n", "");
        check("a", "a\r\n");
        check("a\r\n \r\n", "a\r\n");
        check("a\r\n \t\r\n\r\n", "a\r\n");
        check("a\r\n \t\r\nb", "a\r\n\r\nb\r\n");
        check("\r\n\r\na\r\n", "\r\n\r\na\r\n");
        check("\ta  b\t \r\n", " a b\r\n");
        check("a\rb\r\n", "a\rb\r\n");
        check("a\r", "a\r\r\n");
        check("caf\u{e9} \u{a0}\r\n", "caf\u{e9} \u{a0}\r\n");
    }

    #[test]
    fn a_message_without_a_body_has_the_empty_one() {
        assert_eq!(hash_of(&[]).0, digest(&SHA256, b"").as_ref());
        assert_eq!(hash_of(&[b"\r\n"]).0, digest(&SHA256, b"").as_ref());
    }

    /// By the words of the standard, on the whole body at once.
    fn by_the_book(body: &str) -> String {
        let line = |line: &str| {
            let mut text = String::new();
            for c in line.trim_end_matches([' ', '\t']).chars() {
                let is_space = matches!(c, ' ' | '\t');
                if !(is_space && text.ends_with(' ')) {
                    text.push(if is_space { ' ' } else { c });
                }
            }
            text
        };
        let text = body.split("\r\n").map(line).collect::<Vec<_>>().join("\r\n");
        let text = text.trim_end_matches("\r\n");
        if text.is_empty() { String::new() } else { format!("{text}\r\n") }
    }

    proptest! {
        #[test]
        fn any_body_in_any_pieces(lines in proptest::collection::vec("[ab \t]{0,4}", 0..8), cut in 0_usize..40) {
            let body = lines.join("\r\n");
            let whole = format!("\r\n{body}");
            let (one, two) = whole.as_bytes().split_at(cut.min(whole.len()));
            let expected = digest(&SHA256, by_the_book(&body).as_bytes());
            prop_assert_eq!(&hash_of(&[one, two]).0[..], expected.as_ref());
        }
    }
}
