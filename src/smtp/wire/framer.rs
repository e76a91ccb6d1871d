use memchr::memchr;

use crate::base::limits;

/// How long a line may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineLimit {
    /// A command: 4,096 octets, or 12,288 when it is AUTH with its initial response.
    Command,
    /// The client's answer to a 334 challenge: 12,288 octets.
    AuthAnswer,
}

/// What stands at the front of the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A line without its CRLF.
    Line(&'a [u8]),
    /// A line above the limit has come to its CRLF; its octets were dropped unread.
    TooLong {
        /// Its octets, CRLF included.
        bytes: u64,
    },
    /// A line feed without a carriage return before it. It ends nothing: what a client means by it, and a proxy
    /// before us by what follows, can't be known. It is told at once, so that a client that knows no CRLF is not
    /// left waiting, and what follows up to the CRLF is dropped unread.
    BareLf,
}

/// A frame, and how many octets of the buffer are done with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Framed<'a> {
    /// `None`: more octets are needed.
    pub frame: Option<Frame<'a>>,
    /// Octets to drop from the front of the buffer before the next call; nonzero also where an oversized line is
    /// being skipped.
    pub consumed: usize,
}

/// Finds command lines in a read buffer. A line above the limit is skipped to its end and counted, never read again as
/// commands. The same octets give the same frames, however they are split.
#[derive(Debug, Default)]
pub struct Framer {
    /// Octets at the front of the buffer that hold no LF.
    searched: usize,
    skipping: Option<Skipping>,
}

/// A line of which nothing is read any more.
#[derive(Debug)]
struct Skipping {
    bytes: u64,
    after_cr: bool,
    why: Why,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    TooLong,
    BareLf,
}

impl Framer {
    /// Looks for the next frame at the front of `buffer`. After an answer without a frame, `buffer` must still begin
    /// at the same octet (`consumed` later) at the next call.
    pub fn next<'a>(&mut self, buffer: &'a [u8], limit: LineLimit) -> Framed<'a> {
        match self.skipping.take() {
            Some(skipping) => self.skip(skipping, buffer, limit),
            None => self.read(buffer, limit),
        }
    }

    fn read<'a>(&mut self, buffer: &'a [u8], limit: LineLimit) -> Framed<'a> {
        let unsearched = buffer.get(self.searched..).unwrap_or_default();
        let Some(found) = memchr(b'\n', unsearched) else {
            return self.wait(buffer, limit);
        };
        let end = self.searched + found;
        self.searched = 0;
        let consumed = end + 1;
        let frame = match buffer.get(..end).and_then(|line| line.strip_suffix(b"\r")) {
            None => self.bare_lf(),
            Some(_) if consumed > limit.bytes(buffer) => Frame::TooLong { bytes: consumed as u64 },
            Some(line) => Frame::Line(line),
        };
        Framed { frame: Some(frame), consumed }
    }

    fn wait<'a>(&mut self, buffer: &'a [u8], limit: LineLimit) -> Framed<'a> {
        if buffer.len() < limit.bytes(buffer) {
            self.searched = buffer.len();
            return Framed { frame: None, consumed: 0 };
        }
        self.searched = 0;
        let (bytes, after_cr) = (buffer.len() as u64, buffer.ends_with(b"\r"));
        self.skipping = Some(Skipping { bytes, after_cr, why: Why::TooLong });
        Framed { frame: None, consumed: buffer.len() }
    }

    fn skip<'a>(&mut self, line: Skipping, buffer: &'a [u8], limit: LineLimit) -> Framed<'a> {
        let Some(end) = memchr(b'\n', buffer) else {
            let after_cr = if buffer.is_empty() { line.after_cr } else { buffer.ends_with(b"\r") };
            self.skipping = Some(Skipping { bytes: line.bytes + buffer.len() as u64, after_cr, ..line });
            return Framed { frame: None, consumed: buffer.len() };
        };
        let consumed = end + 1;
        let ends_in_crlf = match buffer.get(..end) {
            None | Some([]) => line.after_cr,
            Some(before) => before.ends_with(b"\r"),
        };
        let frame = match line.why {
            _ if !ends_in_crlf => self.bare_lf(),
            Why::TooLong => Frame::TooLong { bytes: line.bytes + consumed as u64 },
            // The line was answered at its first LF.
            Why::BareLf => {
                let Framed { frame, consumed: behind } = self.read(buffer.get(consumed..).unwrap_or_default(), limit);
                return Framed { frame, consumed: consumed + behind };
            }
        };
        Framed { frame: Some(frame), consumed }
    }

    fn bare_lf<'a>(&mut self) -> Frame<'a> {
        self.skipping = Some(Skipping { bytes: 0, after_cr: false, why: Why::BareLf });
        Frame::BareLf
    }
}

impl LineLimit {
    fn bytes(self, line: &[u8]) -> usize {
        // RFC 4954 §4: the AUTH command with its initial response may be as long as an answer to a challenge.
        let is_auth = || line.get(..5).is_some_and(|verb| verb.eq_ignore_ascii_case(b"AUTH "));
        match self {
            Self::Command if !is_auth() => limits::COMMAND_LINE_BYTES,
            Self::Command | Self::AuthAnswer => limits::AUTH_LINE_BYTES,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Feeds `pieces` one after the other and writes down what is framed.
    fn frames(pieces: &[&[u8]], limit: LineLimit) -> Vec<String> {
        let mut framer = Framer::default();
        let mut buffer: Vec<u8> = Vec::new();
        let mut seen = Vec::new();
        for piece in pieces {
            buffer.extend_from_slice(piece);
            loop {
                let Framed { frame, consumed } = framer.next(&buffer, limit);
                match frame {
                    Some(Frame::Line(line)) => seen.push(String::from_utf8_lossy(line).into_owned()),
                    Some(other) => seen.push(format!("{other:?}")),
                    None => {}
                }
                let more = frame.is_some();
                buffer.drain(..consumed);
                if !more {
                    break;
                }
            }
        }
        seen
    }

    fn check(input: &[u8], expected: &[&str]) {
        assert_eq!(frames(&[input], LineLimit::Command), expected, "{}", String::from_utf8_lossy(input));
    }

    #[test]
    fn only_crlf_ends_a_line() {
        check(b"NOOP\r\nQUIT\r\nRE", &["NOOP", "QUIT"]);
        check(b"\r\n", &[""]);
        check(b"NOOP\n", &["BareLf"]);
        check(b"\n", &["BareLf"]);
        check(b"NOOP\nNOOP\r\nQUIT\r\n", &["BareLf", "QUIT"]);
        check(b"a\nb\nc\r\nQUIT\r\n", &["BareLf", "BareLf", "QUIT"]);
        check(b"NO\rOP\r\r\n", &["NO\rOP\r"]);
        check(b"NOOP\r", &[]);
    }

    #[test]
    fn a_long_line_is_skipped_to_its_end() {
        let full = limits::COMMAND_LINE_BYTES;
        let line = |bytes: usize| [vec![b'x'; bytes - 2], b"\r\n".to_vec()].concat();
        check(&line(full), &[&"x".repeat(full - 2)]);
        check(&line(full + 1), &[&format!("TooLong {{ bytes: {} }}", full + 1)]);
        let inside = [b"NOOP ".to_vec(), vec![b'x'; 5000], b"\rMAIL FROM:<a@b.test>\r\nQUIT\r\n".to_vec()].concat();
        check(&inside, &["TooLong { bytes: 5028 }", "QUIT"]);
        let auth = [b"auth plain ".to_vec(), line(full)].concat();
        assert_eq!(frames(&[&auth], LineLimit::Command)[0].len(), full + 9);
        assert_eq!(frames(&[&line(full + 1)], LineLimit::AuthAnswer)[0].len(), full - 1);
        check(
            &[b"AUTH ".to_vec(), line(limits::AUTH_LINE_BYTES)].concat(),
            &[&format!("TooLong {{ bytes: {} }}", limits::AUTH_LINE_BYTES + 5)],
        );
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_frames(
            runs in prop::collection::vec((prop::sample::select(vec![&b"\r"[..], b"\n", b"\r\n", b"x", b"AUTH "]), 1..3000usize), 1..8),
            cuts in prop::collection::vec(0..20_000usize, 0..6),
        ) {
            // Long runs of `x` cross the limits; line ends come in ones and twos.
            let input: Vec<u8> = runs.iter().flat_map(|(what, times)| what.repeat(if what == b"x" { *times } else { times % 3 })).collect();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (input.len() + 1)).collect();
            cuts.extend([0, input.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &input[pair[0]..pair[1]]).collect();
            prop_assert_eq!(frames(&pieces, LineLimit::Command), frames(&[&input], LineLimit::Command));
        }
    }
}
