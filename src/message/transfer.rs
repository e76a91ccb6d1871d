use memchr::memchr;

const SKIP: u8 = 64;
const PAD: u8 = 65;

/// What each octet is in base64: its six bits, padding, or nothing.
// RFC 4648 §4
const BASE64: [u8; 256] = {
    let mut table = [SKIP; 256];
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut value = 0;
    while value < 64 {
        // Evaluated by the compiler: it can't be out of bounds.
        #[allow(clippy::indexing_slicing, clippy::cast_possible_truncation)]
        {
            table[alphabet[value] as usize] = value as u8;
        }
        value += 1;
    }
    #[allow(clippy::indexing_slicing)]
    {
        table[b'=' as usize] = PAD;
    }
    table
};

/// Takes a content transfer encoding off as the content streams by. What is malformed stays as it is (quoted-printable)
/// or is passed over (base64), as RFC 2045 advises.
#[derive(Debug)]
pub struct TransferDecoder(State);

#[derive(Debug)]
enum State {
    /// 7bit, 8bit, binary, and encodings that nobody knows.
    Identity,
    /// RFC 2045 §6.8
    Base64 {
        /// The bits that have come, and how often six of them.
        bits: u32,
        sextets: u8,
    },
    /// RFC 2045 §6.7
    QuotedPrintable(Escape),
}

/// How far an escape of quoted-printable has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escape {
    None,
    /// `=`
    Equals,
    /// `=` and a digit
    Digit(u8),
    /// `=` and white space, which hides a soft line break
    Blank,
    /// `=` and CR
    Return,
}

impl TransferDecoder {
    /// `encoding`: the value of Content-Transfer-Encoding in lower case.
    pub fn new(encoding: &[u8]) -> Self {
        match encoding {
            b"base64" => Self(State::Base64 { bits: 0, sextets: 0 }),
            b"quoted-printable" => Self(State::QuotedPrintable(Escape::None)),
            _ => Self(State::Identity),
        }
    }

    /// Whether the content is as it is sent.
    pub(super) fn is_identity(&self) -> bool {
        matches!(self.0, State::Identity)
    }

    /// Appends what the bytes stand for to `out`.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        match &mut self.0 {
            State::Identity => out.extend_from_slice(bytes),
            State::Base64 { bits, sextets } => push_base64(bits, sextets, bytes, out),
            State::QuotedPrintable(escape) => push_quoted_printable(escape, bytes, out),
        }
    }

    /// The content has ended: appends what was left open.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        match &mut self.0 {
            State::Base64 { bits, sextets } => end_quantum(bits, sextets, out),
            State::QuotedPrintable(Escape::Digit(digit)) => out.extend_from_slice(&[b'=', *digit]),
            _ => {}
        }
    }
}

fn push_base64(bits: &mut u32, sextets: &mut u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len() / 4 * 3);
    for byte in bytes {
        match BASE64.get(usize::from(*byte)) {
            Some(sextet) if *sextet < SKIP => {
                *bits = *bits << 6 | u32::from(*sextet);
                *sextets += 1;
                if *sextets == 4 {
                    let [_, a, b, c] = bits.to_be_bytes();
                    out.extend_from_slice(&[a, b, c]);
                    (*bits, *sextets) = (0, 0);
                }
            }
            // What stands behind padding is another text: programs put several behind each other.
            Some(&PAD) => end_quantum(bits, sextets, out),
            _ => {}
        }
    }
}

fn end_quantum(bits: &mut u32, sextets: &mut u8, out: &mut Vec<u8>) {
    let [_, a, b, _] = (*bits << (6 * (4 - u32::from(*sextets)))).to_be_bytes();
    match *sextets {
        2 => out.push(a),
        3 => out.extend_from_slice(&[a, b]),
        _ => {}
    }
    (*bits, *sextets) = (0, 0);
}

fn push_quoted_printable(escape: &mut Escape, bytes: &[u8], out: &mut Vec<u8>) {
    let mut rest = bytes;
    while let Some((first, behind)) = rest.split_first() {
        match (*escape, *first) {
            (Escape::None, b'=') => *escape = Escape::Equals,
            (Escape::None, _) => {
                let (text, next) = rest.split_at_checked(memchr(b'=', rest).unwrap_or(rest.len())).unwrap_or_default();
                out.extend_from_slice(text);
                rest = next;
                continue;
            }
            (Escape::Equals, digit) if digit.is_ascii_hexdigit() => *escape = Escape::Digit(digit),
            (Escape::Equals | Escape::Blank, b' ' | b'\t') => *escape = Escape::Blank,
            (Escape::Equals | Escape::Blank, b'\r') => *escape = Escape::Return,
            (Escape::Equals | Escape::Blank | Escape::Return, b'\n') => *escape = Escape::None,
            (Escape::Digit(high), low) if low.is_ascii_hexdigit() => {
                out.push(nibble(high) << 4 | nibble(low));
                *escape = Escape::None;
            }
            // RFC 2045 §6.7: no escape; it stands for itself.
            (Escape::Digit(digit), _) => {
                out.extend_from_slice(&[b'=', digit]);
                *escape = Escape::None;
                continue;
            }
            (Escape::Equals, _) => {
                out.push(b'=');
                *escape = Escape::None;
                continue;
            }
            (Escape::Blank | Escape::Return, _) => {
                *escape = Escape::None;
                continue;
            }
        }
        rest = behind;
    }
}

/// The value of a hexadecimal digit.
pub(super) fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20).wrapping_sub(b'a').wrapping_add(10),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(encoding: &str, pieces: &[&[u8]]) -> Vec<u8> {
        let (mut decoder, mut out) = (TransferDecoder::new(encoding.as_bytes()), Vec::new());
        pieces.iter().for_each(|piece| decoder.push(piece, &mut out));
        decoder.end(&mut out);
        out
    }

    fn check(encoding: &str, content: &str, expected: &str) {
        for cut in 0..=content.len() {
            let (a, b) = content.as_bytes().split_at(cut);
            let seen = decode(encoding, &[a, b]);
            assert_eq!(String::from_utf8_lossy(&seen), expected, "{content:?} cut at {cut}");
        }
    }

    #[test]
    fn base64_is_taken_off() {
        check("base64", "aGVsbG8gd29ybGQ=", "hello world");
        check("base64", "aGVs\r\nbG8gd2 9y\r\nbGQ=\r\n", "hello world");
        check("base64", "aGVsbG8=aGVsbG8=", "hellohello");
        check("base64", "aGVsbG8", "hello");
        check("base64", "aGVsbA", "hell");
        check("base64", "a!G*V-s", "hel");
        check("base64", "a", "");
        check("base64", "====", "");
    }

    #[test]
    fn quoted_printable_is_taken_off() {
        check("quoted-printable", "Gr=C3=BC=c3=9fe\r\n", "Grüße\r\n");
        check("quoted-printable", "soft=\r\nbreak= \t\r\nhere=\nend", "softbreakhereend");
        check("quoted-printable", "a=b c==41 =4 =zz =", "a=b c=A =4 =zz ");
        check("quoted-printable", "1 + 1 =3", "1 + 1 =3");
        check("quoted-printable", "= x", "x");
    }

    #[test]
    fn the_rest_stays() {
        check("8bit", "=41 aGVs", "=41 aGVs");
        check("x-unknown", "=41 aGVs", "=41 aGVs");
    }

    proptest! {
        #[test]
        fn it_agrees_with_another_decoder(content in proptest::collection::vec(any::<u8>(), 0..200), cut in 0_usize..300) {
            use base64::Engine;
            let encoded = base64::engine::general_purpose::STANDARD.encode(&content);
            let (a, b) = encoded.as_bytes().split_at(cut.min(encoded.len()));
            prop_assert_eq!(decode("base64", &[a, b]), &content[..]);
            let quoted: String = content.iter().map(|byte| format!("={byte:02X}")).collect();
            let (a, b) = quoted.as_bytes().split_at(cut.min(quoted.len()));
            prop_assert_eq!(decode("quoted-printable", &[a, b]), &content[..]);
        }

        #[test]
        fn nothing_makes_it_panic(content in proptest::collection::vec(any::<u8>(), 0..200), text in "[=0-9A-Fa-z \r\n]{0,80}") {
            for encoding in ["base64", "quoted-printable"] {
                decode(encoding, &[&content]);
                decode(encoding, &[text.as_bytes()]);
            }
        }
    }
}
