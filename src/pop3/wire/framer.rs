/// What stands at the front of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A line, without its CRLF.
    Line(&'a [u8]),
    /// A line that was too long has ended. Nothing of it was read as a command.
    Oversize,
    /// No whole line yet.
    Incomplete,
}

/// Finds lines. Only CRLF ends one: a bare CR or LF is part of it.
#[derive(Debug, Default)]
pub struct Framer {
    /// Octets at the front of the input that hold no CRLF: they are not looked at again.
    scanned: usize,
    /// A line that is too long runs; what came of it is gone.
    is_skipping: bool,
}

impl Framer {
    /// At the beginning of a line.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next line of at most `line_bytes_max` octets with its CRLF, and how many octets to drop from the front of
    /// the input (also of a line that is too long, while it runs). It must be called with the same input again, and
    /// what has come since, less what was dropped.
    pub fn next<'a>(&mut self, input: &'a [u8], line_bytes_max: usize) -> (Frame<'a>, usize) {
        // The CR may have been the last octet that was looked at.
        let from = self.scanned.saturating_sub(1);
        let found = input.get(from..).unwrap_or_default().windows(2).position(|pair| pair == b"\r\n");
        match found.map(|at| from.saturating_add(at)) {
            Some(end) => {
                let used = end.saturating_add(2);
                let is_oversize = std::mem::take(&mut self.is_skipping) || used > line_bytes_max;
                self.scanned = 0;
                let line = input.get(..end).unwrap_or_default();
                (if is_oversize { Frame::Oversize } else { Frame::Line(line) }, used)
            }
            None if self.is_skipping || input.len() >= line_bytes_max => {
                self.is_skipping = true;
                let kept = usize::from(input.last() == Some(&b'\r'));
                self.scanned = kept;
                (Frame::Incomplete, input.len().saturating_sub(kept))
            }
            None => {
                self.scanned = input.len();
                (Frame::Incomplete, 0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Feeds the input in pieces that end at `cuts`; `None` is a line that was too long.
    fn lines(input: &[u8], cuts: &[usize], line_bytes_max: usize) -> Vec<Option<Vec<u8>>> {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (input.len() + 1)).chain([0, input.len()]).collect();
        cuts.sort_unstable();
        let (mut framer, mut buffer, mut seen) = (Framer::new(), Vec::new(), Vec::new());
        for pair in cuts.windows(2) {
            buffer.extend_from_slice(&input[pair[0]..pair[1]]);
            loop {
                let (frame, used) = framer.next(&buffer, line_bytes_max);
                let is_last = frame == Frame::Incomplete;
                match frame {
                    Frame::Line(line) => seen.push(Some(line.to_vec())),
                    Frame::Oversize => seen.push(None),
                    Frame::Incomplete => {}
                }
                buffer.drain(..used);
                if is_last {
                    break;
                }
            }
            assert!(buffer.len() <= line_bytes_max, "no more is kept than a line may have");
        }
        seen
    }

    fn check(input: &str, expected: &[Option<&str>]) {
        for cut in 0..=input.len() {
            let expected: Vec<_> = expected.iter().map(|line| line.map(|line| line.as_bytes().to_vec())).collect();
            assert_eq!(lines(input.as_bytes(), &[cut], 8), expected, "{input:?} cut at {cut}");
        }
    }

    #[test]
    fn only_crlf_ends_a_line() {
        check("NOOP\r\nQUIT\r\n", &[Some("NOOP"), Some("QUIT")]);
        check("\r\n\r\n", &[Some(""), Some("")]);
        check("A\nB\r\n", &[Some("A\nB")]);
        check("A\rB\r\r\n", &[Some("A\rB\r")]);
        check("\n\r\n", &[Some("\n")]);
        check("NOOP\n", &[]);
        check("NOOP\r", &[]);
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped_whole() {
        check("123456\r\n", &[Some("123456")]);
        check("1234567\r\nQUIT\r\n", &[None, Some("QUIT")]);
        check("12345678 a QUIT\nQUIT\rQUIT\r\nNOOP\r\n", &[None, Some("NOOP")]);
        check("12345678", &[]);
    }

    proptest! {
        #[test]
        fn where_the_input_is_cut_makes_no_difference(
            input in "[ab\r\n]{0,80}", cuts in proptest::collection::vec(any::<usize>(), 0..20)) {
            let whole = lines(input.as_bytes(), &[], 8);
            prop_assert_eq!(lines(input.as_bytes(), &cuts, 8), whole.clone());
            // The oracle: what stands between two CRLFs, from the left.
            let mut expected: Vec<_> = input.split("\r\n").map(|line| (line.len() <= 6).then(|| line.as_bytes().to_vec())).collect();
            expected.pop();
            prop_assert_eq!(whole, expected);
        }
    }
}
