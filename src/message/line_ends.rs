use memchr::memchr3;

/// Makes line ends canonical: a CR or LF that stands alone becomes CRLF, as it does on submission. Octets come in pieces
/// of any size.
#[derive(Debug, Default)]
pub struct LineEnds {
    /// A CR came last: its CRLF is written, and an LF that follows belongs to it.
    behind_cr: bool,
    has_nul: bool,
}

impl LineEnds {
    /// Whether a NUL was among the octets: there is none in a message (RFC 9051 §4.3, RFC 5322 §2.1).
    pub fn has_nul(&self) -> bool {
        self.has_nul
    }

    /// Appends what a piece says.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        let mut rest = piece;
        if self.behind_cr && !rest.is_empty() {
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
            self.behind_cr = false;
        }
        while let Some(at) = memchr3(b'\r', b'\n', 0, rest) {
            let (plain, special) = rest.split_at_checked(at).unwrap_or_default();
            out.extend_from_slice(plain);
            rest = match special {
                [0, behind @ ..] => {
                    self.has_nul = true;
                    behind
                }
                [b'\r', b'\n', behind @ ..] | [b'\r' | b'\n', behind @ ..] => {
                    self.behind_cr = special == b"\r";
                    out.extend_from_slice(b"\r\n");
                    behind
                }
                _ => special,
            };
        }
        out.extend_from_slice(rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(message: &str, expected: &str) {
        for cut in 0..=message.len() {
            for second in cut..=message.len() {
                let mut out = Vec::new();
                let mut ends = LineEnds::default();
                for piece in [&message[..cut], &message[cut..second], &message[second..]] {
                    ends.push(piece.as_bytes(), &mut out);
                }
                assert_eq!(String::from_utf8_lossy(&out), expected, "{message:?} cut at {cut} and {second}");
            }
        }
    }

    #[test]
    fn line_ends_become_crlf_wherever_the_pieces_end() {
        check("", "");
        check("a\r\nb\r\n", "a\r\nb\r\n");
        check("a\nb\n", "a\r\nb\r\n");
        check("a\rb\r", "a\r\nb\r\n");
        check("\n\n", "\r\n\r\n");
        check("\r\r\n\n", "\r\n\r\n\r\n");
        check("a\n\r\nb", "a\r\n\r\nb");
        check("no end", "no end");
    }

    #[test]
    fn a_nul_is_seen() {
        let mut ends = LineEnds::default();
        ends.push(b"a\r\nb", &mut Vec::new());
        assert!(!ends.has_nul());
        ends.push(b"\0", &mut Vec::new());
        assert!(ends.has_nul());
    }
}
