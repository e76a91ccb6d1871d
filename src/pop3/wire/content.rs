/// Writes content into a multi-line reply, piece by piece: a dot at the start of a line gets another one before it, and
/// a line with a dot alone ends it.
// RFC 1939 §3
#[derive(Debug)]
pub struct DotStuffer {
    /// CRLF was the last that was written.
    at_line_start: bool,
    /// CR was.
    after_cr: bool,
}

impl Default for DotStuffer {
    fn default() -> Self {
        Self { at_line_start: true, after_cr: false }
    }
}

impl DotStuffer {
    /// At the beginning of the content.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends the next piece.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        out.reserve(piece.len());
        for line in piece.split_inclusive(|byte| *byte == b'\n') {
            if self.at_line_start && line.first() == Some(&b'.') {
                out.push(b'.');
            }
            out.extend_from_slice(line);
            self.at_line_start = match line {
                [.., b'\r', b'\n'] => true,
                [b'\n'] => self.after_cr,
                _ => false,
            };
            self.after_cr = line.last() == Some(&b'\r');
        }
    }

    /// Appends the end. Content that does not end with CRLF gets one: the dot must stand at a line's start.
    pub fn finish(self, out: &mut Vec<u8>) {
        if !self.at_line_start {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b".\r\n");
    }
}

/// Lets the header, the blank line and the first lines of the body through.
// RFC 1939 §7, TOP
#[derive(Debug)]
pub struct Top {
    place: Place,
    lines_left: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    LineStart,
    InHeader,
    BlankLine,
    Body,
}

impl Top {
    /// So many lines of the body.
    pub fn new(lines: u32) -> Self {
        Self { place: Place::LineStart, lines_left: lines }
    }

    /// The part of the next piece that belongs to it. Empty when nothing more does.
    pub fn take<'a>(&mut self, piece: &'a [u8]) -> &'a [u8] {
        let mut taken = 0_usize;
        for line in piece.split_inclusive(|byte| *byte == b'\n') {
            if self.is_done() {
                break;
            }
            taken = taken.saturating_add(line.len());
            let ends = line.last() == Some(&b'\n');
            if self.place == Place::LineStart {
                // The stored form is canonical: a CR at the start of a line is the blank line.
                self.place = if line.first() == Some(&b'\r') { Place::BlankLine } else { Place::InHeader };
            }
            self.place = match self.place {
                place if !ends => place,
                Place::LineStart | Place::InHeader => Place::LineStart,
                Place::BlankLine => Place::Body,
                Place::Body => {
                    self.lines_left = self.lines_left.saturating_sub(1);
                    Place::Body
                }
            };
        }
        piece.get(..taken).unwrap_or(piece)
    }

    /// Whether nothing more belongs to it.
    pub fn is_done(&self) -> bool {
        self.place == Place::Body && self.lines_left == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pieces<'a>(content: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (content.len() + 1)).chain([0, content.len()]).collect();
        cuts.sort_unstable();
        cuts.windows(2).map(|pair| &content[pair[0]..pair[1]]).collect()
    }

    fn stuffed(content: &[u8], cuts: &[usize]) -> Vec<u8> {
        let (mut stuffer, mut out) = (DotStuffer::new(), Vec::new());
        for piece in pieces(content, cuts) {
            stuffer.push(piece, &mut out);
        }
        stuffer.finish(&mut out);
        out
    }

    /// What a client reads: lines up to the dot, each less its first dot.
    fn unstuffed(wire: &[u8]) -> Vec<u8> {
        let wire = std::str::from_utf8(wire).unwrap();
        let mut lines = wire.split("\r\n");
        let mut content = String::new();
        for line in lines.by_ref().take_while(|line| *line != ".") {
            content.push_str(line.strip_prefix('.').unwrap_or(line));
            content.push_str("\r\n");
        }
        assert_eq!(lines.collect::<Vec<_>>(), [""], "nothing stands behind the dot");
        content.into_bytes()
    }

    fn check_stuffed(content: &str, expected: &str) {
        for cut in 0..=content.len() {
            assert_eq!(String::from_utf8(stuffed(content.as_bytes(), &[cut])).unwrap(), expected, "{content:?} {cut}");
        }
    }

    #[test]
    fn dots_at_line_starts_are_doubled() {
        check_stuffed("a\r\nb\r\n", "a\r\nb\r\n.\r\n");
        check_stuffed(".\r\n..\r\n.a\r\nb.\r\n", "..\r\n...\r\n..a\r\nb.\r\n.\r\n");
        check_stuffed("a", "a\r\n.\r\n");
        check_stuffed("", ".\r\n");
        check_stuffed("a\n.b\r.c\r\n", "a\n.b\r.c\r\n.\r\n");
    }

    fn check_top(content: &str, lines: u32, expected: &str) {
        for cut in 0..=content.len() {
            let mut top = Top::new(lines);
            let seen: Vec<u8> =
                pieces(content.as_bytes(), &[cut]).into_iter().flat_map(|piece| top.take(piece).to_vec()).collect();
            assert_eq!(String::from_utf8(seen).unwrap(), expected, "{content:?} {lines} {cut}");
        }
    }

    #[test]
    fn top_is_the_header_the_blank_line_and_some_lines() {
        let message = "A: 1\r\n B\r\nC: 2\r\n\r\none\r\n\r\nthree\r\n";
        check_top(message, 0, "A: 1\r\n B\r\nC: 2\r\n\r\n");
        check_top(message, 1, "A: 1\r\n B\r\nC: 2\r\n\r\none\r\n");
        check_top(message, 2, "A: 1\r\n B\r\nC: 2\r\n\r\none\r\n\r\n");
        check_top(message, 3, message);
        check_top(message, u32::MAX, message);
        check_top("A: 1\r\n", 0, "A: 1\r\n");
        check_top("\r\nbody\r\n", 0, "\r\n");
        check_top("", 5, "");
    }

    proptest! {
        #[test]
        fn a_client_reads_what_was_written(lines in proptest::collection::vec("[.a\r]{0,4}", 0..20), cuts in proptest::collection::vec(any::<usize>(), 0..8)) {
            let content: String = lines.iter().map(|line| line.trim_end_matches('\r').to_owned() + "\r\n").collect();
            let wire = stuffed(content.as_bytes(), &cuts);
            prop_assert_eq!(&wire, &stuffed(content.as_bytes(), &[]));
            prop_assert_eq!(unstuffed(&wire), content.into_bytes());
        }
    }
}
