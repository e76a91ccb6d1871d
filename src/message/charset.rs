use encoding_rs::{CoderResult, Decoder, Encoding, UTF_8, WINDOWS_1252};

/// The encoding with that name in a message; UTF-8 for US-ASCII, which is a part of it, and for unknown names.
pub(super) fn encoding(label: &[u8]) -> &'static Encoding {
    if label.eq_ignore_ascii_case(b"us-ascii") {
        return UTF_8;
    }
    Encoding::for_label_no_replacement(label).unwrap_or(UTF_8)
}

/// Text without a charset: UTF-8, or else what most programs that do not say so mean.
pub(super) fn push_undeclared(bytes: &[u8], out: &mut String) {
    match std::str::from_utf8(bytes) {
        Ok(text) => out.push_str(text),
        Err(_) => out.push_str(&WINDOWS_1252.decode_without_bom_handling(bytes).0),
    }
}

/// Decodes text as it streams by; what is malformed becomes U+FFFD.
pub(super) struct CharsetDecoder(Decoder);

impl CharsetDecoder {
    pub fn new(label: &[u8]) -> Self {
        Self(encoding(label).new_decoder_with_bom_removal())
    }

    /// Appends what the bytes say to `out`.
    pub fn push(&mut self, bytes: &[u8], is_last: bool, out: &mut String) {
        let mut rest = bytes;
        loop {
            out.reserve(self.0.max_utf8_buffer_length(rest.len()).unwrap_or(rest.len()).max(16));
            let (result, read, _) = self.0.decode_to_string(rest, out, is_last);
            rest = rest.get(read..).unwrap_or_default();
            match result {
                CoderResult::InputEmpty => return,
                CoderResult::OutputFull => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(label: &str, bytes: &[u8], expected: &str) {
        for cut in 0..=bytes.len() {
            let (mut decoder, mut out) = (CharsetDecoder::new(label.as_bytes()), String::new());
            decoder.push(&bytes[..cut], false, &mut out);
            decoder.push(&bytes[cut..], true, &mut out);
            assert_eq!(out, expected, "{label} cut at {cut}");
        }
    }

    #[test]
    fn texts_are_decoded_wherever_they_are_cut() {
        check("utf-8", "Grüße ✓".as_bytes(), "Grüße ✓");
        check("US-ASCII", "Grüße".as_bytes(), "Grüße");
        check("iso-8859-1", b"Gr\xfc\xdfe", "Grüße");
        check("ISO-2022-JP", b"\x1b$B%F%9%H\x1b(B", "テスト");
        check("shift_jis", b"\x83e\x83X\x83g", "テスト");
        check("gb2312", b"\xb2\xe2\xca\xd4", "测试");
        check("koi8-r", b"\xd4\xc5\xd3\xd4", "тест");
        check("utf-16le", b"a\0b\0", "ab");
        check("nobody-knows", b"plain \xff", "plain \u{fffd}");
        check("utf-8", b"\xef\xbb\xbfBOM", "BOM");
    }

    #[test]
    fn undeclared_text_is_utf_8_or_what_windows_wrote() {
        let check = |bytes: &[u8], expected: &str| {
            let mut out = String::new();
            push_undeclared(bytes, &mut out);
            assert_eq!(out, expected);
        };
        check("Grüße".as_bytes(), "Grüße");
        check(b"Gr\xfc\xdfe", "Grüße");
    }
}
