//! Modified UTF-7: printable ASCII stands for itself, `&-` for `&`, and UTF-16 in a base64 of its own between `&` and
//! `-` for the rest. RFC 3501 §5.1.3

/// The text that is meant, where it is written in the one way that is allowed. Octets above 127 are no part of it, but
/// some clients send UTF-8: they stand for themselves.
pub(super) fn decode(sent: &[u8]) -> Option<String> {
    let mut text = Vec::with_capacity(sent.len());
    let mut rest = sent;
    while let Some(shift) = rest.iter().position(|byte| *byte == b'&') {
        let (plain, shifted) = rest.split_at_checked(shift)?;
        text.extend_from_slice(plain);
        let shifted = shifted.get(1..)?;
        let end = shifted.iter().position(|byte| *byte == b'-')?;
        let (encoded, behind) = shifted.split_at_checked(end)?;
        rest = behind.get(1..)?;
        if encoded.is_empty() {
            text.push(b'&');
            continue;
        }
        // RFC 3501 §5.1.3: no shift stands where the one before it could have gone on.
        if rest.first() == Some(&b'&') && rest.get(1) != Some(&b'-') {
            return None;
        }
        text.extend_from_slice(units(encoded)?.as_bytes());
    }
    text.extend_from_slice(rest);
    String::from_utf8(text).ok()
}

/// What a run of base64 holds.
fn units(encoded: &[u8]) -> Option<String> {
    let mut units = Vec::with_capacity(encoded.len() / 2);
    let (mut bits, mut held): (u32, u32) = (0, 0);
    for byte in encoded {
        bits = (bits << 6) | u32::from(value(*byte)?);
        held = held.wrapping_add(6);
        if held >= 16 {
            held = held.wrapping_sub(16);
            units.push((bits >> held) as u16);
            bits &= (1 << held) - 1;
        }
    }
    // What is left is padding: less than a digit's bits, all of them 0.
    if held >= 6 || bits != 0 {
        return None;
    }
    let text = String::from_utf16(&units).ok()?;
    // RFC 3501 §5.1.3: what can stand for itself is not encoded.
    (!text.chars().any(|char| matches!(char, ' '..='~'))).then_some(text)
}

/// Writes a text in modified UTF-7.
pub(super) fn encode(out: &mut Vec<u8>, text: &str) {
    let mut units = [0; 2];
    let (mut bits, mut held): (u32, u32) = (0, 0);
    let mut is_shifted = false;
    for char in text.chars() {
        if matches!(char, ' '..='~') {
            unshift(out, &mut is_shifted, bits, held);
            (bits, held) = (0, 0);
            out.push(char as u8);
            if char == '&' {
                out.push(b'-');
            }
            continue;
        }
        if !is_shifted {
            out.push(b'&');
            is_shifted = true;
        }
        for unit in char.encode_utf16(&mut units) {
            bits = (bits << 16) | u32::from(*unit);
            held = held.wrapping_add(16);
            while held >= 6 {
                held = held.wrapping_sub(6);
                out.push(digit(bits >> held));
                bits &= (1 << held) - 1;
            }
        }
    }
    unshift(out, &mut is_shifted, bits, held);
}

fn unshift(out: &mut Vec<u8>, is_shifted: &mut bool, bits: u32, held: u32) {
    if std::mem::take(is_shifted) {
        if held > 0 {
            out.push(digit(bits << (6_u32.wrapping_sub(held))));
        }
        out.push(b'-');
    }
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

fn digit(value: u32) -> u8 {
    DIGITS.get((value & 63) as usize).copied().unwrap_or(b'A')
}

fn value(digit: u8) -> Option<u8> {
    match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'+' => Some(62),
        b',' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(text: &str) -> String {
        let mut out = Vec::new();
        encode(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    fn check(text: &str, expected: &str) {
        assert_eq!(encoded(text), expected);
        assert_eq!(decode(expected.as_bytes()).as_deref(), Some(text), "{expected}");
    }

    #[test]
    fn texts_are_written_and_read() {
        check("", "");
        check("INBOX", "INBOX");
        check("R&D", "R&-D");
        check("&", "&-");
        check("&&", "&-&-");
        check("Entwürfe", "Entw&APw-rfe");
        check("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-");
        check("ü&ü", "&APw-&-&APw-");
        check("😀", "&2D3eAA-");
        check("a-ä-b", "a-&AOQ--b");
        check("\u{ff}\u{0}\u{7f}", "&AP8AAAB,-");
        check("Отправленные", "&BB4EQgQ,BEAEMAQyBDsENQQ9BD0ESwQ1-");
    }

    #[test]
    fn what_is_written_otherwise_is_refused() {
        let cases = [
            ("&", "no end"),
            ("a&APw", "no end"),
            ("R&D", "no end"),
            ("R&D-", "too few bits"),
            ("&AOQ", "no end"),
            ("&AO-", "too few bits"),
            ("&AOQA-", "octets that make no unit"),
            ("&AOR-", "bits behind the last unit"),
            ("&AOQ=-", "padding"),
            ("&AO/-", "a slash is no digit"),
            ("&AO Q-", "a space"),
            ("&AGE-", "a stands for itself"),
            ("&ACY-", "& is &-"),
            ("&AOQ-&AOQ-", "one shift would do"),
            ("&2D0-", "half of a pair"),
            ("&3gA-", "the other half"),
            ("&3gDYPQ-", "halves in the wrong order"),
        ];
        for (sent, why) in cases {
            assert_eq!(decode(sent.as_bytes()), None, "{sent}: {why}");
        }
        assert_eq!(decode(b"\xff"), None);
        assert_eq!(decode(b"a&AO\xc3\xa4-"), None);
        assert_eq!(decode("ä&AOQ-".as_bytes()).as_deref(), Some("ää"));
    }

    proptest! {
        #[test]
        fn every_text_comes_back(text in "\\PC{0,20}|[&a-zäß/ -]{0,20}") {
            let written = encoded(&text);
            prop_assert!(written.is_ascii());
            prop_assert_eq!(decode(written.as_bytes()), Some(text));
        }

        /// There is one way to write a text: what can be read is what would be written.
        #[test]
        fn what_is_read_would_be_written_so(sent in "([ -~]|&[A-Za-z0-9+,]{1,6}-){0,6}") {
            if let Some(text) = decode(sent.as_bytes()) {
                prop_assert_eq!(encoded(&text), sent);
            }
        }

        #[test]
        fn no_octets_make_it_panic(sent in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = decode(&sent);
        }
    }
}
