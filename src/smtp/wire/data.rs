use memchr::memchr3;

use crate::base::limits;

/// What is done with a CR or LF that stands alone. In neither case does it ever end the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineEnds {
    /// It is a fault, and the message will be refused: an MX can't know what it meant.
    Strict,
    /// It becomes CRLF: an authenticated sender's program wrote its own system's line ends.
    Normalized,
}

/// What a message can't be taken with. All of it is only known for certain at the end of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DataFaults {
    /// A CR or LF that stands alone, where line ends are strict.
    pub bare_line_end: bool,
    /// A NUL.
    pub nul: bool,
    /// A line of more than 1 MiB.
    pub long_line: bool,
}

/// How far a piece of data brought the decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decoded {
    /// Octets of the input that are done with: all of them, unless the data ended before.
    pub consumed: usize,
    /// CRLF.CRLF was seen. What follows are commands.
    pub ended: bool,
}

/// Takes the dots off the content of DATA and finds its end, which is CRLF.CRLF and nothing else (RFC 5321 §4.1.1.4,
/// §4.5.2). Octets come in pieces of any size; the message goes out to a buffer of the caller.
///
/// [`DataDecoder::of_chunks`] reads the content of BDAT instead: every octet is the message's own, no dot goes and none
/// ends it (RFC 3030 §2), and the rules for line ends are the same.
#[derive(Debug)]
pub struct DataDecoder {
    line_ends: LineEnds,
    has_dots: bool,
    place: Place,
    line_bytes: usize,
    faults: DataFaults,
}

/// Where in a line the next octet stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Behind a CRLF, or at the very front: the CRLF of the DATA line counts.
    Start,
    /// Behind something else.
    Inside,
    /// Behind a CR that is not yet written.
    Cr,
    /// Behind a dot at the start of a line, which is not yet written, if it ever will be.
    Dot,
    /// Behind such a dot and a CR.
    DotCr,
}

impl DataDecoder {
    /// A decoder for the octets behind the DATA line.
    pub fn new(line_ends: LineEnds) -> Self {
        Self { line_ends, has_dots: true, place: Place::Start, line_bytes: 0, faults: DataFaults::default() }
    }

    /// A decoder for the octets of all chunks of a message. It sees no end: [`DataDecoder::finish`] is told of it.
    pub fn of_chunks(line_ends: LineEnds) -> Self {
        Self { has_dots: false, ..Self::new(line_ends) }
    }

    /// The last chunk has ended: so does the last line.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if self.place == Place::Cr {
            self.bare(b'\r', out);
        }
        // A line end that was made whole has begun a new line.
        if self.place == Place::Inside && self.line_bytes > 0 {
            self.end_line(out);
        }
    }

    /// What is wrong with the message so far.
    pub fn faults(&self) -> DataFaults {
        self.faults
    }

    /// Decodes a piece and appends what it says to `out`.
    pub fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Decoded {
        let mut rest = input;
        while let Some((&first, behind)) = rest.split_first() {
            match self.place {
                Place::Start if first == b'.' && self.has_dots => {
                    self.place = Place::Dot;
                    rest = behind;
                }
                Place::Start | Place::Inside => rest = self.run(rest, out),
                Place::Dot if first == b'\r' => {
                    self.place = Place::DotCr;
                    rest = behind;
                }
                // RFC 5321 §4.5.2: the dot goes, what follows it stays.
                Place::Dot => self.place = Place::Inside,
                Place::DotCr if first == b'\n' => {
                    return Decoded { consumed: input.len() - behind.len(), ended: true };
                }
                Place::Cr if first == b'\n' => {
                    self.end_line(out);
                    rest = behind;
                }
                Place::Cr | Place::DotCr => self.bare(b'\r', out),
            }
        }
        Decoded { consumed: input.len(), ended: false }
    }

    /// Takes the octets up to the next one that may mean something, and that one.
    fn run<'a>(&mut self, rest: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
        let (plain, special) =
            memchr3(b'\r', b'\n', 0, rest).and_then(|at| rest.split_at_checked(at)).unwrap_or((rest, &[]));
        if !plain.is_empty() {
            out.extend_from_slice(plain);
            self.place = Place::Inside;
            self.line_bytes += plain.len();
            self.faults.long_line |= self.line_bytes > limits::TEXT_LINE_BYTES;
        }
        match special {
            [b'\r', b'\n', behind @ ..] => {
                self.end_line(out);
                behind
            }
            [b'\r', behind @ ..] => {
                self.place = Place::Cr;
                behind
            }
            [b'\n', behind @ ..] => {
                self.bare(b'\n', out);
                behind
            }
            [_, behind @ ..] => {
                self.faults.nul = true;
                self.place = Place::Inside;
                behind
            }
            [] => special,
        }
    }

    fn end_line(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\r\n");
        self.place = Place::Start;
        self.line_bytes = 0;
    }

    /// A CR or LF alone. Behind it no dot is taken off and no end is seen, since it is no line end on the wire.
    fn bare(&mut self, byte: u8, out: &mut Vec<u8>) {
        match self.line_ends {
            LineEnds::Strict => {
                self.faults.bare_line_end = true;
                out.push(byte);
            }
            LineEnds::Normalized => {
                out.extend_from_slice(b"\r\n");
                self.line_bytes = 0;
            }
        }
        self.place = Place::Inside;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Seen {
        text: Vec<u8>,
        consumed: Option<usize>,
        faults: DataFaults,
    }

    fn decode(pieces: &[&[u8]], line_ends: LineEnds) -> Seen {
        let mut decoder = DataDecoder::new(line_ends);
        let mut text = Vec::new();
        let mut before = 0;
        for piece in pieces {
            let decoded = decoder.decode(piece, &mut text);
            if decoded.ended {
                return Seen { text, consumed: Some(before + decoded.consumed), faults: decoder.faults() };
            }
            assert_eq!(decoded.consumed, piece.len());
            before += piece.len();
        }
        Seen { text, consumed: None, faults: decoder.faults() }
    }

    /// `expected`: the text, and whether the data is at its end exactly at the end of the input.
    fn check(line_ends: LineEnds, input: &str, expected: (&str, bool)) {
        // Every split in two gives the same.
        for cut in 0..=input.len() {
            let (a, b) = input.as_bytes().split_at(cut);
            let seen = decode(&[a, b], line_ends);
            assert_eq!(
                (String::from_utf8_lossy(&seen.text).as_ref(), seen.consumed == Some(input.len())),
                expected,
                "{input:?}"
            );
            assert_eq!(seen.consumed.is_some(), expected.1, "{input:?} ended early");
        }
    }

    #[test]
    fn dots_go_and_the_end_is_found() {
        for line_ends in [LineEnds::Strict, LineEnds::Normalized] {
            check(line_ends, ".\r\n", ("", true));
            check(line_ends, "a\r\n.\r\n", ("a\r\n", true));
            check(line_ends, "\r\n.\r\n", ("\r\n", true));
            check(line_ends, "..\r\n.\r\n", (".\r\n", true));
            check(line_ends, ".a\r\n...\r\n.\r\n", ("a\r\n..\r\n", true));
            check(line_ends, "a.\r\n.\r\n", ("a.\r\n", true));
            check(line_ends, "a\r\n.", ("a\r\n", false));
            check(line_ends, "a\r\n.\r", ("a\r\n", false));
        }
    }

    // CVE-2023-51764 and its kin: what some servers take for an end, and ours must not.
    #[test]
    fn nothing_else_is_an_end() {
        for end in [
            "\n.\n",
            "\r.\r",
            "\r\n.\n",
            "\n.\r\n",
            "\r\n.\r",
            "\r\r\n.\r\r\n",
            "\r\n\0.\r\n",
            ".\r\n",
            "\r\n.\0\r\n",
            "\r\n\r.\r\n",
        ] {
            let input = format!("a{end}MAIL FROM:<b@x.test>\r\n");
            for line_ends in [LineEnds::Strict, LineEnds::Normalized] {
                for cut in 0..=input.len() {
                    let (a, b) = input.as_bytes().split_at(cut);
                    assert_eq!(decode(&[a, b], line_ends).consumed, None, "{end:?} cut at {cut}");
                }
            }
            let whole = format!("{input}.\r\n");
            let seen = decode(&[whole.as_bytes()], LineEnds::Strict);
            let faulty = seen.faults.bare_line_end || seen.faults.nul;
            assert_eq!((seen.consumed, faulty), (Some(whole.len()), end != ".\r\n"), "{end:?}");
        }
    }

    #[test]
    fn a_submitters_line_ends_become_crlf() {
        let check = |input, text| check(LineEnds::Normalized, input, (text, true));
        check("a\nb\rc\r\n.\r\n", "a\r\nb\r\nc\r\n");
        check("a\n.\nb\r\n.\r\n", "a\r\n.\r\nb\r\n");
        check("a\r.\rb\r\n.\r\n", "a\r\n.\r\nb\r\n");
        check("a\r\n.\nb\r\n.\r\n", "a\r\n\r\nb\r\n");
        check("a\r\r\n.\r\n", "a\r\n\r\n");
        check("a\n\r\n.\r\n", "a\r\n\r\n");
        check(".\r\r\n.\r\n", "\r\n\r\n");
    }

    #[test]
    fn chunks_have_no_dots_and_no_end() {
        let check = |line_ends, input: &str, expected: &str, bare_line_end| {
            for cut in 0..=input.len() {
                let (a, b) = input.as_bytes().split_at(cut);
                let (mut decoder, mut text) = (DataDecoder::of_chunks(line_ends), Vec::new());
                for piece in [a, b] {
                    assert_eq!(decoder.decode(piece, &mut text), Decoded { consumed: piece.len(), ended: false });
                }
                decoder.finish(&mut text);
                let faults = DataFaults { bare_line_end, ..DataFaults::default() };
                assert_eq!(
                    (String::from_utf8_lossy(&text).as_ref(), decoder.faults()),
                    (expected, faults),
                    "{input:?}"
                );
            }
        };
        for line_ends in [LineEnds::Strict, LineEnds::Normalized] {
            check(line_ends, "", "", false);
            check(line_ends, ".\r\n", ".\r\n", false);
            check(line_ends, "a\r\n.\r\nMAIL FROM:<b@x.test>\r\n", "a\r\n.\r\nMAIL FROM:<b@x.test>\r\n", false);
            check(line_ends, "..a", "..a\r\n", false);
        }
        check(LineEnds::Normalized, "a\nb\r", "a\r\nb\r\n", false);
        check(LineEnds::Normalized, "a\n", "a\r\n", false);
        check(LineEnds::Normalized, "a\n\n", "a\r\n\r\n", false);
        check(LineEnds::Strict, "a\nb", "a\nb\r\n", true);
        check(LineEnds::Strict, "a\r", "a\r\r\n", true);
    }

    #[test]
    fn faults_are_flagged() {
        let faults = |input: &[u8], line_ends| decode(&[input], line_ends).faults;
        let none = DataFaults::default();
        assert_eq!(faults(b"a\r\n.\r\n", LineEnds::Strict), none);
        assert_eq!(faults(b"a\nb\rc\r\n.\r\n", LineEnds::Normalized), none);
        assert_eq!(faults(b"a\0\r\n.\r\n", LineEnds::Normalized), DataFaults { nul: true, ..none });
        let line = |bytes: usize| [vec![b'x'; bytes], b"\r\nb\r\n.\r\n".to_vec()].concat();
        assert_eq!(faults(&line(limits::TEXT_LINE_BYTES), LineEnds::Strict), none);
        assert_eq!(
            faults(&line(limits::TEXT_LINE_BYTES + 1), LineEnds::Strict),
            DataFaults { long_line: true, ..none }
        );
    }

    /// RFC 5321 §4.5.2, the sender's side.
    fn stuff(text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for line in text.split_inclusive(|b| *b == b'\n') {
            if line.starts_with(b".") {
                out.push(b'.');
            }
            out.extend_from_slice(line);
        }
        out.extend_from_slice(b".\r\n");
        out
    }

    proptest! {
        #[test]
        fn decoding_undoes_stuffing(lines in prop::collection::vec("[.a\u{e9}]{0,4}", 0..12), cuts in prop::collection::vec(0..200usize, 0..8)) {
            let text: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
            let wire = stuff(text.as_bytes());
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (wire.len() + 1)).collect();
            cuts.extend([0, wire.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &wire[pair[0]..pair[1]]).collect();
            for line_ends in [LineEnds::Strict, LineEnds::Normalized] {
                let seen = decode(&pieces, line_ends);
                prop_assert_eq!(&seen.text, text.as_bytes());
                prop_assert_eq!((seen.consumed, seen.faults), (Some(wire.len()), DataFaults::default()));
            }
        }

        #[test]
        fn any_split_gives_the_same(input in prop::collection::vec(prop::sample::select(b"\r\n\r\n..a\0".to_vec()), 0..24), cut in 0..25usize, other in 0..25usize) {
            let (a, b) = (cut.min(other).min(input.len()), cut.max(other).min(input.len()));
            for line_ends in [LineEnds::Strict, LineEnds::Normalized] {
                let whole = decode(&[&input], line_ends);
                let split = decode(&[&input[..a], &input[a..b], &input[b..]], line_ends);
                prop_assert_eq!((&whole.text, whole.consumed, whole.faults), (&split.text, split.consumed, split.faults));
                // The end is where the canonical text says it is.
                let front = input.starts_with(b".\r\n").then_some(3);
                let end = input.windows(5).position(|w| w == b"\r\n.\r\n").map(|at| at + 5);
                let first = match (front, end) { (Some(a), Some(b)) => Some(a.min(b)), (a, b) => a.or(b) };
                prop_assert_eq!(whole.consumed, first);
            }
        }

        #[test]
        fn a_normalized_message_holds_no_bare_line_end(input in prop::collection::vec(prop::sample::select(b"\r\n\r\n..a".to_vec()), 0..24)) {
            let text = decode(&[&input], LineEnds::Normalized).text;
            for (at, byte) in text.iter().enumerate() {
                prop_assert!(*byte != b'\n' || (at > 0 && text[at - 1] == b'\r'));
                prop_assert!(*byte != b'\r' || text.get(at + 1) == Some(&b'\n'));
            }
        }
    }
}
