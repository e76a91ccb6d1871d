use std::borrow::Cow;

use encoding_rs::Encoding;
use memchr::{memchr, memmem};

use super::charset::{encoding, push_undeclared};
use super::transfer::{TransferDecoder, nibble};

/// Octets of an encoded word's text that are read. RFC 2047 §2 allows 75 for all of it; programs write longer ones.
const WORD_BYTES: usize = 4096;
/// Octets of the name of a charset.
const CHARSET_BYTES: usize = 64;

/// The text of a field's value: unfolded, encoded words decoded wherever they stand, 8-bit octets as UTF-8 or what was
/// most likely meant.
// RFC 2047 §6, RFC 6532 §3
pub fn decode_field(value: &[u8]) -> String {
    let unfolded = unfold(value);
    let mut rest: &[u8] = &unfolded;
    let mut text = String::with_capacity(rest.len());
    let mut pending: Option<(&'static Encoding, Vec<u8>)> = None;
    while let Some(begin) = memmem::find(rest, b"=?") {
        let (before, word) = rest.split_at_checked(begin).unwrap_or_default();
        let Some((encoding, bytes, len)) = encoded_word(word) else {
            flush(&mut pending, &mut text);
            let (plain, behind) = rest.split_at_checked(begin.saturating_add(2)).unwrap_or_default();
            push_undeclared(plain, &mut text);
            rest = behind;
            continue;
        };
        // RFC 2047 §6.2: white space between two encoded words is not shown.
        if pending.is_none() || !before.iter().all(u8::is_ascii_whitespace) {
            flush(&mut pending, &mut text);
            push_undeclared(before, &mut text);
        }
        // Programs cut characters between two words: their octets go together.
        match &mut pending {
            Some((known, so_far)) if *known == encoding => so_far.extend_from_slice(&bytes),
            _ => {
                flush(&mut pending, &mut text);
                pending = Some((encoding, bytes));
            }
        }
        rest = word.get(len..).unwrap_or_default();
    }
    flush(&mut pending, &mut text);
    push_undeclared(rest, &mut text);
    text
}

/// The value without line ends, and without the space around it.
// RFC 5322 §2.2.3
fn unfold(value: &[u8]) -> Cow<'_, [u8]> {
    let value = value.trim_ascii();
    if memchr(b'\n', value).is_none() {
        return Cow::Borrowed(value);
    }
    Cow::Owned(value.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect())
}

fn flush(pending: &mut Option<(&'static Encoding, Vec<u8>)>, text: &mut String) {
    if let Some((encoding, bytes)) = pending.take() {
        text.push_str(&encoding.decode_without_bom_handling(&bytes).0);
    }
}

/// The encoded word at the beginning of `text`: its charset, its octets, and how long it is.
// RFC 2047 §2
fn encoded_word(text: &[u8]) -> Option<(&'static Encoding, Vec<u8>, usize)> {
    let rest = text.strip_prefix(b"=?")?;
    let (charset, rest) = until_question_mark(rest, CHARSET_BYTES)?;
    // RFC 2231 §5: a language may stand behind the charset.
    let charset = charset.split(|byte| *byte == b'*').next()?;
    let (kind, rest) = until_question_mark(rest, 1)?;
    let window = rest.get(..WORD_BYTES).unwrap_or(rest);
    let end = memmem::find(window, b"?=")?;
    let encoded = window.get(..end)?;
    let mut bytes = Vec::with_capacity(encoded.len());
    match kind {
        b"B" | b"b" => {
            let mut decoder = TransferDecoder::new(b"base64");
            decoder.push(encoded, &mut bytes);
            decoder.end(&mut bytes);
        }
        b"Q" | b"q" => push_q(encoded, &mut bytes),
        _ => return None,
    }
    let len = text.len().checked_sub(rest.len())?.checked_add(end)?.checked_add(2)?;
    Some((encoding(charset), bytes, len))
}

fn until_question_mark(text: &[u8], bytes_max: usize) -> Option<(&[u8], &[u8])> {
    let end = memchr(b'?', text.get(..=bytes_max).unwrap_or(text))?;
    let (found, rest) = text.split_at_checked(end)?;
    (end > 0 && !found.iter().any(u8::is_ascii_whitespace)).then_some((found, rest.get(1..)?))
}

// RFC 2047 §4.2
fn push_q(encoded: &[u8], out: &mut Vec<u8>) {
    let mut rest = encoded;
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        match (*first, behind) {
            (b'_', _) => out.push(b' '),
            (b'=', [high, low, next @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                out.push(nibble(*high) << 4 | nibble(*low));
                rest = next;
            }
            (byte, _) => out.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(value: &[u8], expected: &str) {
        assert_eq!(decode_field(value), expected, "{}", String::from_utf8_lossy(value));
    }

    #[test]
    fn encoded_words_are_decoded() {
        check(b"plain", "plain");
        check(b" folded\r\n value\r\n", "folded value");
        check(b"=?UTF-8?Q?Gr=C3=BC=C3=9Fe_an?= alle", "Grüße an alle");
        check(b"=?utf-8?B?R3LDvMOfZQ==?=", "Grüße");
        check(b"a =?iso-8859-1?q?=FC?= =?iso-8859-1*de?q?=DF?=\r\n =?utf-8?q?e?= b", "a üße b");
        // A character that is cut in two.
        check(b"=?utf-8?q?=C3?= =?utf-8?q?=BC?=", "ü");
        check(b"=?ISO-2022-JP?B?GyRCJUYlOSVIGyhC?=", "テスト");
        check(b"\"=?utf-8?q?in_quotes?=\" <a@x.test>", "\"in quotes\" <a@x.test>");
        check(b"=?utf-8?q?a?=x=?utf-8?q?b?=", "axb");
    }

    #[test]
    fn what_is_no_encoded_word_stays() {
        for same in
            ["=?", "=?utf-8", "=?utf-8?", "=?utf-8?q", "=?utf-8?q?x", "=?utf-8?x?y?=", "=??q?x?=", "a =? b ?= c"]
        {
            check(same.as_bytes(), same);
        }
        check("Grüße".as_bytes(), "Grüße");
        check(b"Gr\xfc\xdfe", "Grüße");
        check(b"=?x =?utf-8?q?y?=", "=?x y");
    }

    #[test]
    fn a_bomb_of_beginnings_ends() {
        assert_eq!(decode_field(&b"=?a?q?x".repeat(40_000)).len(), 280_000);
        assert_eq!(decode_field(&b"=?".repeat(130_000)).len(), 260_000);
        assert_eq!(decode_field(&b"=?a?q?x?=".repeat(30_000)).len(), 30_000);
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(value in proptest::collection::vec(any::<u8>(), 0..100), text in "[=?qQbB8utf_ a-f-]{0,60}") {
            decode_field(&value);
            decode_field(text.as_bytes());
        }

        #[test]
        fn what_is_encoded_reads_back(text in "\\PC{0,30}") {
            use base64::Engine;
            let word = format!("=?utf-8?B?{}?=", base64::engine::general_purpose::STANDARD.encode(&text));
            prop_assert_eq!(decode_field(word.as_bytes()), text);
        }
    }
}
