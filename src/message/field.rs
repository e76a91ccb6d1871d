use std::borrow::Cow;
use std::ops::Range;

use memchr::{memchr, memchr_iter, memchr2};

/// A header field where it stands in its block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name as it is spelled.
    pub name: &'a str,
    /// What stands behind the colon, folded as it came, without the last CRLF.
    pub value: &'a [u8],
    /// Where the whole field is in the block, from its name to its last CRLF.
    pub span: Range<usize>,
}

impl Field<'_> {
    /// Whether it has that name, in whatever case.
    // RFC 5322 §1.2.2
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// The value unfolded: line ends are gone, and the space around it.
    // RFC 5322 §2.2.3
    pub fn unfolded(&self) -> Cow<'_, [u8]> {
        let value = self.value.trim_ascii();
        if memchr2(b'\r', b'\n', value).is_some() {
            Cow::Owned(value.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect())
        } else {
            Cow::Borrowed(value)
        }
    }

    /// The value as text for people and the trace: unfolded, without control characters, at most `chars_max`
    /// characters. What is not UTF-8 becomes U+FFFD.
    pub fn text(&self, chars_max: usize) -> String {
        let value = self.unfolded();
        let text = String::from_utf8_lossy(&value);
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(chars_max).collect()
    }
}

/// The fields of a header block, in their order. A line that is neither a field nor the continuation of one is passed
/// over with its continuations.
pub fn fields(block: &[u8]) -> Fields<'_> {
    Fields { block, at: 0 }
}

/// See [`fields`].
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    block: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        loop {
            let rest = self.block.get(self.at..).filter(|rest| !rest.is_empty())?;
            let raw = rest.get(..field_len(rest)).unwrap_or(rest);
            let span = self.at..self.at.saturating_add(raw.len());
            self.at = span.end;
            if let Some((name, value)) = name_and_value(raw) {
                return Some(Field { name, value, span });
            }
        }
    }
}

/// Octets up to the end of the line that no continuation follows.
fn field_len(rest: &[u8]) -> usize {
    // RFC 5322 §2.2.3: a line that begins with white space continues the one before.
    let ends = |end: &usize| !matches!(rest.get(end.saturating_add(1)), Some(b' ' | b'\t'));
    memchr_iter(b'\n', rest).find(ends).map_or(rest.len(), |end| end.saturating_add(1))
}

fn name_and_value(raw: &[u8]) -> Option<(&str, &[u8])> {
    let colon = memchr(b':', raw)?;
    let (name, value) = raw.split_at_checked(colon)?;
    // RFC 5322 §4.5: white space before the colon is obsolete but still read.
    let name = match name.iter().rposition(|byte| !matches!(byte, b' ' | b'\t')) {
        Some(last) => name.get(..=last)?,
        None => return None,
    };
    // RFC 5322 §2.2: printable US-ASCII except the colon.
    if !name.iter().all(u8::is_ascii_graphic) {
        return None;
    }
    let value = value.strip_prefix(b":")?;
    let value = value.strip_suffix(b"\r\n").unwrap_or(value);
    Some((std::str::from_utf8(name).ok()?, value))
}

/// The block without its Bcc and Resent-Bcc fields: a submission server takes them off before anybody sees them.
// RFC 5322 §3.6.3, RFC 6409 §8
pub fn without_bcc(block: &[u8]) -> Cow<'_, [u8]> {
    let spans: Vec<_> = fields(block).filter(|f| f.is("Bcc") || f.is("Resent-Bcc")).map(|f| f.span).collect();
    if spans.is_empty() {
        return Cow::Borrowed(block);
    }
    let mut kept = Vec::with_capacity(block.len());
    let mut from = 0;
    for span in spans {
        kept.extend_from_slice(block.get(from..span.start).unwrap_or_default());
        from = span.end;
    }
    kept.extend_from_slice(block.get(from..).unwrap_or_default());
    Cow::Owned(kept)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(block: &str, expected: &[(&str, &str)]) {
        let seen: Vec<(String, String)> =
            fields(block.as_bytes()).map(|field| (field.name.to_owned(), field.text(100))).collect();
        let expected: Vec<(String, String)> = expected.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
        assert_eq!(seen, expected, "{block:?}");
    }

    #[test]
    fn fields_are_found_and_unfolded() {
        check("A: 1\r\nB:2\r\n", &[("A", "1"), ("B", "2")]);
        check(
            "Subject: one\r\n two\r\n\tthree \r\nX: y\r\n",
            &[("Subject", "one two\tthree".replace('\t', " ").as_str()), ("X", "y")],
        );
        check("A :1\r\nB\t : 2\r\n", &[("A", "1"), ("B", "2")]);
        check("Empty:\r\nNext: : :\r\n", &[("Empty", ""), ("Next", ": :")]);
        check("no colon\r\n continued: x\r\nA: 1\r\n", &[("A", "1")]);
        check(" first line: continued\r\nA: 1\r\n", &[("A", "1")]);
        check(": no name\r\n : no\r\nJosé: no\r\ntwo words: no\r\nA: 1", &[("A", "1")]);
        check("A: x\0y\x1b[31m\r\n", &[("A", "x y [31m")]);
        check("", &[]);
    }

    #[test]
    fn bcc_goes_with_its_continuations_and_nothing_else_does() {
        let block =
            b"To: a@x.test\r\nbcc: b@x.test,\r\n c@x.test\r\nBcc2: d\r\nResent-Bcc:e\r\nSubject: s\r\nBCC :\r\n";
        assert_eq!(without_bcc(block).as_ref(), b"To: a@x.test\r\nBcc2: d\r\nSubject: s\r\n");
        assert!(matches!(without_bcc(b"To: bcc:\r\n"), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn spans_are_in_order_and_hold_their_field(block in proptest::collection::vec(
            prop_oneof![Just(b'\n'), Just(b'\r'), Just(b':'), Just(b' '), Just(b'b'), Just(b'c'), any::<u8>()], 0..200)) {
            let mut end = 0;
            for field in fields(&block) {
                prop_assert!(field.span.start >= end && field.span.end > field.span.start);
                end = field.span.end;
                prop_assert!(block[field.span.clone()].starts_with(field.name.as_bytes()));
                prop_assert!(!field.text(10).chars().any(char::is_control));
            }
            prop_assert!(end <= block.len());
            prop_assert!(!fields(&without_bcc(&block)).any(|field| field.is("bcc")));
        }
    }
}
