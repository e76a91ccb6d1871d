//! What a stranger wrote, made fit to stand in a report.

/// Octets of a line, without its CRLF. RFC 5322 §2.1.1
const LINE_BYTES: usize = 998;
/// Columns at which what we write is folded. RFC 5322 §2.1.1
const COLUMNS: usize = 78;
/// Octets of one word beyond which it is cut into several.
const WORD_BYTES: usize = 900;
/// Octets of a line of quoted-printable. RFC 2045 §6.7
const ENCODED_LINE_BYTES: usize = 76;

/// The content of a part in its transfer encoding.
pub(super) struct Encoded {
    pub(super) bytes: Vec<u8>,
    /// The name of the encoding.
    pub(super) name: &'static str,
}

impl Encoded {
    /// As it is where that can be sent anywhere, else in quoted-printable.
    pub(super) fn of(text: &[u8]) -> Self {
        if is_ascii_text(text) {
            return Self { bytes: text.to_vec(), name: "7bit" };
        }
        Self { bytes: quoted_printable(text), name: "quoted-printable" }
    }
}

/// Whether it is 7-bit text: lines of ASCII that end in CRLF, none too long, no controls but tabs.
// RFC 2045 §2.7
pub(super) fn is_ascii_text(bytes: &[u8]) -> bool {
    bytes.split_inclusive(|byte| *byte == b'\n').all(|line| {
        let text = line.strip_suffix(b"\r\n").unwrap_or(line);
        text.len() <= LINE_BYTES && text.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t'))
    })
}

/// Keeps CRLF as the end of a line, and encodes every other octet that is not printable ASCII.
// RFC 2045 §6.7
pub(in crate::message) fn quoted_printable(bytes: &[u8]) -> Vec<u8> {
    let (mut out, mut column) = (Vec::with_capacity(bytes.len().saturating_mul(2)), 0);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let (text, has_end) = match line.strip_suffix(b"\r\n") {
            Some(text) => (text, true),
            None => (line, false),
        };
        let last = text.len().saturating_sub(1);
        for (at, byte) in text.iter().enumerate() {
            // A space at the end of a line would be lost.
            let is_plain = matches!(byte, b'!'..=b'<' | b'>'..=b'~') || (matches!(byte, b' ' | b'\t') && at < last);
            let width = if is_plain { 1 } else { 3 };
            if column + width >= ENCODED_LINE_BYTES {
                out.extend_from_slice(b"=\r\n");
                column = 0;
            }
            if is_plain {
                out.push(*byte);
            } else {
                out.extend_from_slice(format!("={byte:02X}").as_bytes());
            }
            column += width;
        }
        // A bare LF does not end a line of ours.
        if has_end {
            out.extend_from_slice(b"\r\n");
            column = 0;
        }
    }
    out
}

/// A stranger's words for people: one line, single spaces, nothing that moves the cursor or turns the text round.
pub(super) fn line(text: &str) -> String {
    let is_visible = |c: &char| !c.is_control() && !matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let text: String = text.chars().map(|c| if is_visible(&c) { c } else { ' ' }).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The same for programs that read ASCII alone.
pub(super) fn ascii_line(text: &str) -> String {
    line(text).chars().map(|c| if c.is_ascii() { c } else { '?' }).collect()
}

/// A field, folded, with its CRLF. `value` is ASCII, one line with single spaces.
// RFC 5322 §2.2.3
pub(super) fn field(name: &str, value: &str) -> String {
    let mut out = format!("{name}:");
    let mut column = out.len();
    for word in value.split(' ').filter(|word| !word.is_empty()) {
        for piece in pieces(word) {
            if column + 1 + piece.len() > COLUMNS {
                out.push_str("\r\n");
                column = 0;
            }
            out.push(' ');
            out.push_str(piece);
            column += 1 + piece.len();
        }
    }
    out.push_str("\r\n");
    out
}

/// A word that is too long for a line, cut.
fn pieces(word: &str) -> impl Iterator<Item = &str> {
    let mut rest = word;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut end = rest.len().min(WORD_BYTES);
        while !rest.is_char_boundary(end) {
            end = end.saturating_sub(1);
        }
        let (piece, later) = rest.split_at_checked(end)?;
        rest = later;
        Some(piece)
    })
}

/// Text for people in lines of at most 72 columns where its words allow it, each behind `indent`.
pub(super) fn paragraph(text: &str, indent: &str) -> String {
    let mut out = String::new();
    let mut column = 0;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let width = word.chars().count();
        if column > 0 && column + 1 + width > 72 {
            out.push_str("\r\n");
            column = 0;
        }
        if column == 0 {
            out.push_str(indent);
            column = indent.len();
        } else {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += width;
    }
    out.push_str("\r\n");
    out
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(input: &[u8], expected: &str) {
        assert_eq!(String::from_utf8(quoted_printable(input)).unwrap(), expected);
    }

    /// Undoes quoted-printable strictly, as RFC 2045 §6.7 has it.
    pub(in super::super) fn decode(text: &[u8]) -> Vec<u8> {
        let text = std::str::from_utf8(text).unwrap();
        assert!(text.is_ascii() && text.lines().all(|line| line.len() <= 76 && !line.ends_with([' ', '\t'])), "{text}");
        let mut out = Vec::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if let Some(later) = rest.strip_prefix("=\r\n") {
                rest = later;
            } else if c == '=' {
                out.push(u8::from_str_radix(&rest[1..3], 16).unwrap());
                rest = &rest[3..];
            } else {
                out.push(c as u8);
                rest = &rest[1..];
            }
        }
        out
    }

    #[test]
    fn quoted_printable_is_as_registered() {
        check(b"plain text\r\nof two lines\r\n", "plain text\r\nof two lines\r\n");
        check("caf\u{e9} = 1 \r\n".as_bytes(), "caf=C3=A9 =3D 1=20\r\n");
        check(b"a\rb\nc\0", "a=0Db=0Ac=00");
        check(&[b'x'; 100], &format!("{}=\r\n{}", "x".repeat(75), "x".repeat(25)));
    }

    #[test]
    fn fields_fold_and_words_that_are_too_long_are_cut() {
        assert_eq!(field("Status", "5.1.1"), "Status: 5.1.1\r\n");
        let long = field("Diagnostic-Code", &format!("smtp; 550 {}", "word ".repeat(40)));
        assert!(long.lines().count() > 2 && long.lines().skip(1).all(|line| line.starts_with(" word")), "{long}");
        assert!(field("X", &"x".repeat(5000)).lines().all(|line| line.len() <= 998));
    }

    proptest! {
        #[test]
        fn what_is_encoded_comes_back(bytes in proptest::collection::vec(
            prop_oneof![Just(b'\r'), Just(b'\n'), Just(b' '), Just(b'='), any::<u8>()], 0..400)) {
            prop_assert_eq!(decode(&quoted_printable(&bytes)), bytes);
        }

        #[test]
        fn a_strangers_words_stay_one_line(text in any::<String>()) {
            let cleaned = line(&text);
            prop_assert!(!cleaned.chars().any(char::is_control) && !cleaned.contains("  "));
            let folded = field("X", &ascii_line(&text));
            prop_assert!(folded.is_ascii() && folded.lines().skip(1).all(|l| l.starts_with(' ') && l.trim() != ""));
            prop_assert!(folded.lines().all(|l| l.len() <= 998));
        }
    }
}
