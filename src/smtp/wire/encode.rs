use memchr::memchr2;

/// What ends the data, behind the CRLF of its last line.
// RFC 5321 §4.1.1.4
pub const END_OF_DATA: &[u8] = b".\r\n";

/// A CR or LF that stands alone. It is never sent: what one server takes for the middle of a line, the next one may take
/// for its end (CVE-2023-51764 and its kin).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the message has a CR or LF alone")]
pub struct BareLineEnd;

/// Makes the content of DATA from a message: a dot at the start of a line is doubled (RFC 5321 §4.5.2), and the last
/// line gets its CRLF where it has none. The message comes in pieces of any size. Only CRLF ends a line.
#[derive(Debug)]
pub struct DataEncoder(Place);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Behind a CRLF, or at the very front.
    Start,
    /// In a line.
    Inside,
    /// Behind a CR, which is not yet written.
    Cr,
}

impl Default for DataEncoder {
    fn default() -> Self {
        Self(Place::Start)
    }
}

impl DataEncoder {
    /// Encodes a piece and appends it to `out`.
    ///
    /// # Errors
    /// [`BareLineEnd`]: what is in `out` then is right so far, and nothing more may be sent behind it.
    pub fn encode(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<(), BareLineEnd> {
        let mut rest = piece;
        while let Some((&first, behind)) = rest.split_first() {
            match (self.0, first) {
                (Place::Cr, b'\n') => {
                    out.extend_from_slice(b"\r\n");
                    self.0 = Place::Start;
                    rest = behind;
                }
                (Place::Cr, _) | (_, b'\n') => return Err(BareLineEnd),
                (_, b'\r') => {
                    self.0 = Place::Cr;
                    rest = behind;
                }
                (place, _) => {
                    if place == Place::Start && first == b'.' {
                        out.push(b'.');
                    }
                    let run = memchr2(b'\r', b'\n', rest).and_then(|at| rest.split_at_checked(at));
                    let (plain, special) = run.unwrap_or((rest, &[]));
                    out.extend_from_slice(plain);
                    self.0 = Place::Inside;
                    rest = special;
                }
            }
        }
        Ok(())
    }

    /// Ends the last line. What is missing then is [`END_OF_DATA`], which is sent when everything else is settled.
    ///
    /// # Errors
    /// [`BareLineEnd`]
    pub fn finish(self, out: &mut Vec<u8>) -> Result<(), BareLineEnd> {
        match self.0 {
            Place::Start => Ok(()),
            Place::Inside => {
                out.extend_from_slice(b"\r\n");
                Ok(())
            }
            Place::Cr => Err(BareLineEnd),
        }
    }
}

/// Looks at what goes out as it is, in a chunk of BDAT: there is no dot to double, and still no CR or LF may stand alone,
/// since the server may send it on by DATA.
#[derive(Debug, Default)]
pub struct ChunkGuard {
    /// Behind a CR.
    after_cr: bool,
}

impl ChunkGuard {
    /// Looks at a piece.
    ///
    /// # Errors
    /// [`BareLineEnd`]
    pub fn pass(&mut self, piece: &[u8]) -> Result<(), BareLineEnd> {
        let mut rest = piece;
        while let Some((&first, behind)) = rest.split_first() {
            match (std::mem::take(&mut self.after_cr), first) {
                (true, b'\n') => rest = behind,
                (true, _) | (false, b'\n') => return Err(BareLineEnd),
                (false, b'\r') => {
                    self.after_cr = true;
                    rest = behind;
                }
                (false, _) => {
                    let run = memchr2(b'\r', b'\n', rest).and_then(|at| rest.split_at_checked(at));
                    (_, rest) = run.unwrap_or((rest, &[]));
                }
            }
        }
        Ok(())
    }

    /// The message has ended.
    ///
    /// # Errors
    /// [`BareLineEnd`]
    pub fn finish(self) -> Result<(), BareLineEnd> {
        if self.after_cr { Err(BareLineEnd) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::data::{DataDecoder, DataFaults, LineEnds};
    use super::*;
    use proptest::prelude::*;

    fn encode(pieces: &[&[u8]]) -> Result<Vec<u8>, BareLineEnd> {
        let mut out = Vec::new();
        let mut encoder = DataEncoder::default();
        for piece in pieces {
            encoder.encode(piece, &mut out)?;
        }
        encoder.finish(&mut out)?;
        Ok(out)
    }

    fn pieces<'a>(input: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (input.len() + 1)).collect();
        cuts.extend([0, input.len()]);
        cuts.sort_unstable();
        cuts.windows(2).map(|pair| &input[pair[0]..pair[1]]).collect()
    }

    fn check(message: &str, expected: Result<&str, BareLineEnd>) {
        for cut in 0..=message.len() {
            let (a, b) = message.as_bytes().split_at(cut);
            let seen = encode(&[a, b]).map(|out| String::from_utf8(out).unwrap());
            assert_eq!(seen, expected.map(str::to_owned), "{message:?} cut at {cut}");
        }
    }

    #[test]
    fn dots_are_doubled_behind_crlf_only() {
        check("", Ok(""));
        check("a", Ok("a\r\n"));
        check(".", Ok("..\r\n"));
        check("a\r\n", Ok("a\r\n"));
        check(".\r\n..\r\na.b\r\n.c", Ok("..\r\n...\r\na.b\r\n..c\r\n"));
        check("\r\n.\r\n", Ok("\r\n..\r\n"));
    }

    // What a message holds must never become an end of data, here or at a server that is lax.
    #[test]
    fn a_bare_line_end_is_never_sent() {
        for bare in
            ["\n", "\r", "a\nb", "a\rb", "a\n.\nb", "a\r.\rb", "\r\n.\n", "\r\r\n", "\r\n\r", "a\r\n\n", "\n.\r\n"]
        {
            check(bare, Err(BareLineEnd));
        }
    }

    proptest! {
        #[test]
        fn the_server_reads_what_the_client_had(
            lines in prop::collection::vec("[.a\u{e9}\u{0}]{0,4}", 0..12),
            cuts in prop::collection::vec(0..200usize, 0..8),
            more in prop::collection::vec(0..200usize, 0..8),
        ) {
            let text: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
            let mut wire = encode(&pieces(text.as_bytes(), &cuts)).unwrap();
            prop_assert_eq!(&wire, &encode(&[text.as_bytes()]).unwrap());
            wire.extend_from_slice(END_OF_DATA);
            let (mut decoder, mut seen, mut ended) = (DataDecoder::new(LineEnds::Strict), Vec::new(), 0);
            for piece in pieces(&wire, &more) {
                let decoded = decoder.decode(piece, &mut seen);
                prop_assert_eq!(decoded.consumed, piece.len());
                ended += usize::from(decoded.ended);
            }
            prop_assert_eq!(ended, 1);
            let faults = decoder.faults();
            prop_assert_eq!((faults.bare_line_end, faults.long_line), (false, false));
            let without_nul: Vec<u8> = text.bytes().filter(|byte| *byte != 0).collect();
            prop_assert_eq!(seen, without_nul);
            prop_assert_eq!(faults == DataFaults::default(), !text.contains('\0'));
        }

        #[test]
        fn what_goes_out_has_only_crlf_and_no_lone_dot(
            message in prop::collection::vec(prop::sample::select(b"\r\n\r\n..a".to_vec()), 0..24),
            cuts in prop::collection::vec(0..24usize, 0..4),
        ) {
            let mut out = Vec::new();
            let mut encoder = DataEncoder::default();
            let is_good = pieces(&message, &cuts).iter().all(|piece| encoder.encode(piece, &mut out).is_ok());
            // Also what is already out when a fault is found.
            for (at, byte) in out.iter().enumerate() {
                prop_assert!(*byte != b'\n' || (at > 0 && out[at - 1] == b'\r'));
                prop_assert!(*byte != b'\r' || out.get(at + 1) == Some(&b'\n'));
            }
            prop_assert!(!out.starts_with(b".\r\n") && !out.windows(5).any(|w| w == b"\r\n.\r\n"));
            prop_assert_eq!(is_good && encoder.finish(&mut out).is_ok(), is_canonical(&message));
            let mut guard = ChunkGuard::default();
            let is_good = pieces(&message, &cuts).iter().all(|piece| guard.pass(piece).is_ok());
            prop_assert_eq!(is_good && guard.finish().is_ok(), is_canonical(&message));
        }
    }

    fn is_canonical(message: &[u8]) -> bool {
        let text = String::from_utf8_lossy(message).replace("\r\n", "");
        !text.contains(['\r', '\n'])
    }
}
