use crate::base::limits;

/// Why a header block is not taken. The message is to be read to its end and then refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// More than [`limits::HEADER_BYTES`].
    #[error("the header block is longer than 256 KiB")]
    TooLong,
    /// More than [`limits::HEADER_LINES`], where that is asked for.
    #[error("the header block has more than 1,000 lines")]
    TooManyLines,
}

/// Divides a message, as it comes, into the header block, which is kept in memory, and the body, which begins with the
/// blank line. Putting the two behind each other gives the message back, byte for byte.
///
/// It expects canonical CRLF; only the blank line ends the header block, so that nobody after us sees header fields
/// that were not looked at here.
#[derive(Debug)]
pub struct HeaderSplitter {
    header: Vec<u8>,
    lines: usize,
    lines_max: usize,
    state: State,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    LineStart,
    InLine,
    Body,
    Refused(HeaderError),
}

impl Default for HeaderSplitter {
    fn default() -> Self {
        Self::new()
    }
}

impl HeaderSplitter {
    /// Nothing has come yet.
    pub fn new() -> Self {
        Self { header: Vec::new(), lines: 0, lines_max: limits::HEADER_LINES, state: State::default() }
    }

    /// The same for a message that somebody has already: it is taken with any number of lines.
    pub fn of_any_lines() -> Self {
        Self { lines_max: usize::MAX, ..Self::new() }
    }

    /// Takes the next bytes and hands back those of them that belong to the body.
    ///
    /// # Errors
    /// [`HeaderError`], also for everything that comes after it.
    pub fn push<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], HeaderError> {
        let mut rest = bytes;
        loop {
            match (self.state, rest) {
                (State::Refused(error), _) => return Err(error),
                (State::Body, _) | (_, []) => return Ok(rest),
                // RFC 5322 §2.1: the blank line. In canonical form nothing but LF can follow this CR.
                (State::LineStart, [b'\r', ..]) => self.state = State::Body,
                (State::LineStart | State::InLine, _) => rest = self.take_line(rest),
            }
        }
    }

    /// Takes what there is of one line; gives back what is behind it.
    fn take_line<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let end = bytes.iter().position(|byte| *byte == b'\n').map(|at| at.saturating_add(1));
        let (line, rest) = bytes.split_at_checked(end.unwrap_or(bytes.len())).unwrap_or((bytes, &[]));
        self.lines += usize::from(self.state == State::LineStart);
        self.state = if self.lines > self.lines_max {
            State::Refused(HeaderError::TooManyLines)
        } else if self.header.len().saturating_add(line.len()) > limits::HEADER_BYTES {
            State::Refused(HeaderError::TooLong)
        } else {
            self.header.extend_from_slice(line);
            if end.is_some() { State::LineStart } else { State::InLine }
        };
        if let State::Refused(_) = self.state {
            self.header = Vec::new();
        }
        rest
    }

    /// The header block as far as it has come, with the CRLF of its last line and without the blank line.
    pub fn header(&self) -> &[u8] {
        &self.header
    }

    /// The header block, without the blank line. A last line that the message has left open gets its CRLF, so that
    /// fields can be put behind it.
    pub fn into_header(mut self) -> Vec<u8> {
        if self.state == State::InLine {
            self.header.extend_from_slice(b"\r\n");
        }
        self.header
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Pushes the message in pieces that end at `cuts`.
    fn split(message: &[u8], cuts: &[usize]) -> Result<(Vec<u8>, Vec<u8>), HeaderError> {
        let mut splitter = HeaderSplitter::new();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (message.len() + 1)).chain([0, message.len()]).collect();
        cuts.sort_unstable();
        let mut body = Vec::new();
        for pair in cuts.windows(2) {
            body.extend_from_slice(splitter.push(&message[pair[0]..pair[1]])?);
        }
        Ok((splitter.into_header(), body))
    }

    fn check(message: &str, expected: (&str, &str)) {
        for cut in 0..=message.len() {
            let (header, body) = split(message.as_bytes(), &[cut]).unwrap();
            assert_eq!((header, body), (expected.0.into(), expected.1.into()), "{message:?} cut at {cut}");
        }
    }

    #[test]
    fn the_blank_line_begins_the_body() {
        check("A: 1\r\nB: 2\r\n\r\ntext\r\n\r\nmore\r\n", ("A: 1\r\nB: 2\r\n", "\r\ntext\r\n\r\nmore\r\n"));
        check("A: 1\r\n\r\n", ("A: 1\r\n", "\r\n"));
        check("A: 1\r\n", ("A: 1\r\n", ""));
        check("A: 1", ("A: 1\r\n", ""));
        check("\r\ntext\r\n", ("", "\r\ntext\r\n"));
        check("", ("", ""));
        check("A: 1\r\n \r\n 2\r\n\r\nx", ("A: 1\r\n \r\n 2\r\n", "\r\nx"));
        check("no field\r\nA: 1\r\n\r\nx", ("no field\r\nA: 1\r\n", "\r\nx"));
    }

    #[test]
    fn limits_hold_at_their_very_edge() {
        let lines = |count: usize| "A: 1\r\n".repeat(count);
        assert!(split(lines(limits::HEADER_LINES).as_bytes(), &[]).is_ok());
        assert_eq!(split(lines(limits::HEADER_LINES + 1).as_bytes(), &[]), Err(HeaderError::TooManyLines));
        let long = |count: usize| format!("A: {}\r\n", "x".repeat(count - 5));
        assert!(split(long(limits::HEADER_BYTES).as_bytes(), &[7, 70_000]).is_ok());
        assert_eq!(split(long(limits::HEADER_BYTES + 1).as_bytes(), &[7, 70_000]), Err(HeaderError::TooLong));
        // The body has neither limit.
        let body = format!("A: 1\r\n\r\n{}{}", lines(2 * limits::HEADER_LINES), long(2 * limits::HEADER_BYTES));
        assert_eq!(split(body.as_bytes(), &[9]).unwrap().1.len(), body.len() - 6);
    }

    #[test]
    fn what_somebody_has_already_may_have_any_number_of_lines() {
        let mut splitter = HeaderSplitter::of_any_lines();
        let header = "A: 1\r\n".repeat(20 * limits::HEADER_LINES);
        assert_eq!(splitter.push(format!("{header}\r\ntext").as_bytes()), Ok(&b"\r\ntext"[..]));
        assert_eq!(splitter.into_header(), header.as_bytes());
        let mut splitter = HeaderSplitter::of_any_lines();
        assert_eq!(splitter.push("A: 1\r\n".repeat(50_000).as_bytes()), Err(HeaderError::TooLong));
    }

    #[test]
    fn a_refused_header_stays_refused_and_is_not_kept() {
        let mut splitter = HeaderSplitter::new();
        let line = "A: 1\r\n".repeat(limits::HEADER_LINES + 1);
        assert_eq!(splitter.push(line.as_bytes()), Err(HeaderError::TooManyLines));
        assert_eq!(splitter.push(b"\r\nbody"), Err(HeaderError::TooManyLines));
        assert!(splitter.header().is_empty());
    }

    proptest! {
        #[test]
        fn where_a_message_is_cut_makes_no_difference(
            lines in proptest::collection::vec("[a:\t \r]{0,4}", 0..12),
            tail in proptest::collection::vec(any::<u8>(), 0..20),
            cuts in proptest::collection::vec(any::<usize>(), 0..6),
        ) {
            let mut message = lines.join("\r\n").into_bytes();
            message.extend_from_slice(&tail);
            let whole = split(&message, &[]).unwrap();
            prop_assert_eq!(&split(&message, &cuts).unwrap(), &whole);
            let (header, body) = whole;
            let together = [header, body].concat();
            // Byte for byte, but for the CRLF of a line that was left open.
            prop_assert!(together == message || together.strip_suffix(b"\r\n") == Some(&message[..]));
        }
    }
}
