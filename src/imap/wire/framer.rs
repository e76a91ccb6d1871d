use memchr::memchr;

/// Finds where a command ends: lines, and the literals that they announce. Octets of a command are gathered here, so that
/// a parsed command borrows from one run of octets.
///
/// The gathered form is as sent: `a LOGIN {5}\r\nalice {6}\r\nsecret`, without the last CRLF. Only CRLF ends a line: a
/// bare CR or LF is part of it, and no command may hold one.
#[derive(Debug, Default)]
pub struct Framer {
    command: Vec<u8>,
    state: State,
}

/// What the framer has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// More input is needed.
    Incomplete,
    /// A whole command: [`Framer::take`] hands it out.
    Command,
    /// The command announces a literal: [`Framer::so_far`] holds what stands before it, announcement and CRLF included.
    /// The driver has to say what becomes of it: [`Framer::collect`], [`Framer::skip`] or [`Framer::leave`].
    Literal(Literal),
    /// A command was longer than it may be or was to be skipped, and was passed over to its end. Its tag is all that is
    /// left in [`Framer::so_far`]; empty where it could not be told.
    Oversize,
}

/// An announced literal. RFC 9051 §4.3, RFC 7888, RFC 6855 §4
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Literal {
    /// Octets.
    pub size_bytes: u64,
    /// The client waits for `+` before it sends them.
    pub is_synchronising: bool,
    /// `~{…}`: RFC 3516 §4.4
    pub is_binary: bool,
}

/// Where the framer stands.
#[derive(Debug)]
enum State {
    /// In a line that begins at that octet of the command.
    Line { from: usize },
    /// A literal was announced, and nobody has said yet what becomes of it.
    Announced(Literal),
    /// So many octets of a literal are still to be gathered.
    Collecting(u64),
    /// In a line of a command that is passed over: its last octets, where a literal may be announced.
    SkippingLine(Vec<u8>),
    /// So many octets of a literal are still to be passed over.
    SkippingLiteral(u64),
    /// A command has been passed over.
    Skipped,
    /// A command was found, or the end of one that was passed over.
    Done,
}

impl Default for State {
    fn default() -> Self {
        Self::Line { from: 0 }
    }
}

/// Digits of an announcement's number: it has 63 bits. What has more is no announcement, and no command either.
const DIGITS: usize = 20;
/// Octets at the end of a line in which an announcement has room, and a digit that would be too many: `~{`, digits,
/// `+}`, CRLF.
const ANNOUNCEMENT_BYTES: usize = DIGITS + 7;
/// Memory that is kept from one command to the next.
const KEPT_BYTES: usize = 4096;
/// Octets of a tag that is still told when its command is passed over.
const TAG_BYTES: usize = 256;

impl Framer {
    /// Nothing has come yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks at the input: what was found, and how many octets of the input are used up, which is all of it for
    /// [`Frame::Incomplete`]. `bytes_max`: octets that a command may have, its literals included.
    pub fn next(&mut self, input: &[u8], bytes_max: usize) -> (Frame, usize) {
        let mut used = 0;
        loop {
            let rest = input.get(used..).unwrap_or_default();
            let (frame, more) = self.step(rest, bytes_max);
            used = used.saturating_add(more);
            match frame {
                Some(frame) => return (frame, used),
                None if used < input.len() || matches!(self.state, State::Skipped) => {}
                None => return (Frame::Incomplete, used),
            }
        }
    }

    /// What was gathered of the command.
    pub fn so_far(&self) -> &[u8] {
        &self.command
    }

    /// The whole command, to be given back by [`Framer::recycle`] when it was executed.
    pub fn take(&mut self) -> Vec<u8> {
        self.state = State::default();
        std::mem::take(&mut self.command)
    }

    /// Takes the memory of a command back.
    pub fn recycle(&mut self, mut command: Vec<u8>) {
        if self.command.is_empty() && command.capacity() <= KEPT_BYTES {
            command.clear();
            self.command = command;
        }
    }

    /// The literal is gathered with the command.
    pub fn collect(&mut self) {
        if let State::Announced(literal) = self.state {
            self.state = State::Collecting(literal.size_bytes);
        }
    }

    /// The command is refused: what is left of it is passed over, with the octets of a literal that the client sends
    /// unasked. [`Frame::Oversize`] tells once of its end, at once where the client waits for `+`.
    pub fn skip(&mut self) {
        if let State::Announced(literal) = self.state {
            self.keep_tag();
            self.state =
                if literal.is_synchronising { State::Skipped } else { State::SkippingLiteral(literal.size_bytes) };
        }
    }

    /// The driver takes the octets of the literal from the input itself. What comes behind them is gathered anew: the
    /// rest of the command's line.
    pub fn leave(&mut self) {
        if let State::Announced(_) = self.state {
            self.begin();
        }
    }

    fn begin(&mut self) {
        self.command.clear();
        self.command.shrink_to(KEPT_BYTES);
        self.state = State::default();
    }

    /// One move: what was found, and how many octets were used.
    fn step(&mut self, input: &[u8], bytes_max: usize) -> (Option<Frame>, usize) {
        match &mut self.state {
            State::Line { from } => {
                let from = *from;
                self.line(input, from, bytes_max)
            }
            State::Announced(literal) => (Some(Frame::Literal(*literal)), 0),
            State::Collecting(left) => {
                let left = *left;
                self.collecting(input, left, bytes_max)
            }
            State::SkippingLine(tail) => {
                let (end, used) = skip_line(tail, input);
                match end {
                    None => {}
                    Some(Some(literal)) if !literal.is_synchronising => {
                        self.state = State::SkippingLiteral(literal.size_bytes);
                    }
                    Some(_) => self.state = State::Skipped,
                }
                (None, used)
            }
            State::SkippingLiteral(left) => {
                let (used, rest) = within(input, *left);
                self.state = if rest == 0 { State::SkippingLine(Vec::new()) } else { State::SkippingLiteral(rest) };
                (None, used)
            }
            State::Skipped => {
                self.state = State::Done;
                (Some(Frame::Oversize), 0)
            }
            State::Done => {
                self.begin();
                (None, 0)
            }
        }
    }

    /// In a line of the command.
    fn line(&mut self, input: &[u8], from: usize, bytes_max: usize) -> (Option<Frame>, usize) {
        let end = memchr(b'\n', input);
        let used = end.map_or(input.len(), |at| at.saturating_add(1));
        let taken = input.get(..used).unwrap_or_default();
        if self.command.len().saturating_add(used) > bytes_max {
            let mut tail = Vec::new();
            keep_tail(&mut tail, self.command.get(from..).unwrap_or_default());
            self.state = State::SkippingLine(tail);
            // The tag may end among the octets that are too many.
            let room = bytes_max.min(TAG_BYTES.saturating_add(1)).saturating_sub(self.command.len());
            self.command.extend_from_slice(taken.get(..room.min(taken.len())).unwrap_or_default());
            self.keep_tag();
            return (None, 0);
        }
        self.command.extend_from_slice(taken);
        let line = self.command.get(from..).unwrap_or_default();
        let Some(line) = line.strip_suffix(b"\r\n") else { return (None, used) };
        match announcement(line) {
            Some(literal) => {
                self.state = State::Announced(literal);
                (Some(Frame::Literal(literal)), used)
            }
            None => {
                self.command.truncate(self.command.len().saturating_sub(2));
                self.state = State::Done;
                (Some(Frame::Command), used)
            }
        }
    }

    /// In a literal that belongs to the command.
    fn collecting(&mut self, input: &[u8], left: u64, bytes_max: usize) -> (Option<Frame>, usize) {
        if left > bytes_max.saturating_sub(self.command.len()) as u64 {
            self.keep_tag();
            self.state = State::SkippingLiteral(left);
            return (None, 0);
        }
        let (used, left) = within(input, left);
        self.command.extend_from_slice(input.get(..used).unwrap_or_default());
        self.state = if left == 0 { State::Line { from: self.command.len() } } else { State::Collecting(left) };
        (None, used)
    }

    fn keep_tag(&mut self) {
        let tag = self.command.iter().position(|byte| *byte == b' ').filter(|end| *end <= TAG_BYTES);
        self.command.truncate(tag.unwrap_or(0));
        self.command.shrink_to(KEPT_BYTES);
    }
}

/// How much of the input belongs to a literal of which `left` octets are still to come, and how many are then.
fn within(input: &[u8], left: u64) -> (usize, u64) {
    let used = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
    (used, left.saturating_sub(used as u64))
}

/// Passes over a line, `tail` being its last octets so far. The line's end: whether it announces a literal.
fn skip_line(tail: &mut Vec<u8>, input: &[u8]) -> (Option<Option<Literal>>, usize) {
    let end = memchr(b'\n', input);
    let used = end.map_or(input.len(), |at| at.saturating_add(1));
    let taken = input.get(..used).unwrap_or_default();
    keep_tail(tail, taken);
    (tail.strip_suffix(b"\r\n").map(announcement), used)
}

fn keep_tail(tail: &mut Vec<u8>, taken: &[u8]) {
    let kept = taken.len().min(ANNOUNCEMENT_BYTES);
    tail.extend_from_slice(taken.get(taken.len().saturating_sub(kept)..).unwrap_or_default());
    tail.drain(..tail.len().saturating_sub(ANNOUNCEMENT_BYTES));
}

/// The literal that a line announces at its end.
// RFC 9051 §4.3 "literal", "literal8"; RFC 7888 §8
fn announcement(line: &[u8]) -> Option<Literal> {
    let line = line.strip_suffix(b"}")?;
    let (line, is_synchronising) = line.strip_suffix(b"+").map_or((line, true), |line| (line, false));
    let digits = line.iter().rev().take_while(|byte| byte.is_ascii_digit()).take(DIGITS.saturating_add(1)).count();
    let (before, number) = line.split_at_checked(line.len().saturating_sub(digits))?;
    let before = before.strip_suffix(b"{")?;
    if !(1..=DIGITS).contains(&digits) {
        return None;
    }
    let add = |sum: u64, digit: &u8| sum.saturating_mul(10).saturating_add(u64::from(digit.wrapping_sub(b'0')));
    Some(Literal { size_bytes: number.iter().fold(0, add), is_synchronising, is_binary: before.ends_with(b"~") })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAX: usize = 40;

    /// What becomes of literals in a test.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Plan {
        Collect,
        Skip,
        /// The test takes the octets, as APPEND does.
        Leave,
    }

    /// Feeds the input in pieces that end at `cuts`, and writes down what is framed.
    fn frames(input: &[u8], cuts: &[usize], plan: Plan) -> Vec<String> {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (input.len() + 1)).chain([0, input.len()]).collect();
        cuts.sort_unstable();
        let (mut framer, mut buffer, mut seen, mut left) = (Framer::new(), Vec::new(), Vec::new(), 0_usize);
        for pair in cuts.windows(2) {
            buffer.extend_from_slice(&input[pair[0]..pair[1]]);
            loop {
                let streamed = left.min(buffer.len());
                buffer.drain(..streamed);
                left -= streamed;
                if left > 0 {
                    break;
                }
                let (frame, used) = framer.next(&buffer, MAX);
                assert!(framer.so_far().len() <= MAX, "no more is kept than a command may have");
                buffer.drain(..used);
                let text = |framer: &Framer| String::from_utf8_lossy(framer.so_far()).into_owned();
                match frame {
                    Frame::Incomplete => {
                        assert!(buffer.is_empty());
                        break;
                    }
                    Frame::Command => {
                        seen.push(text(&framer));
                        let command = framer.take();
                        framer.recycle(command);
                    }
                    Frame::Oversize => seen.push(format!("oversize {}", text(&framer))),
                    Frame::Literal(literal) => {
                        let Literal { size_bytes, is_synchronising, is_binary } = literal;
                        let kind = [if is_binary { "~" } else { "" }, if is_synchronising { "" } else { "+" }].concat();
                        seen.push(format!("{} literal {size_bytes}{kind}", text(&framer).trim_end()));
                        match plan {
                            Plan::Collect => framer.collect(),
                            Plan::Skip => framer.skip(),
                            Plan::Leave => {
                                framer.leave();
                                left = usize::try_from(size_bytes).unwrap();
                            }
                        }
                    }
                }
            }
        }
        seen
    }

    fn check(input: &str, plan: Plan, expected: &[&str]) {
        for cut in 0..=input.len() {
            assert_eq!(frames(input.as_bytes(), &[cut], plan), expected, "{input:?} cut at {cut}");
        }
    }

    #[test]
    fn only_crlf_ends_a_line() {
        check("a NOOP\r\nb NOOP\r\nc", Plan::Collect, &["a NOOP", "b NOOP"]);
        check("\r\n\r\n", Plan::Collect, &["", ""]);
        check("a\nb\r\n", Plan::Collect, &["a\nb"]);
        check("a\rb\r\r\n", Plan::Collect, &["a\rb\r"]);
        check("a NOOP\n", Plan::Collect, &[]);
        check("a {1}\nx\r\n", Plan::Collect, &["a {1}\nx"]);
    }

    #[test]
    fn literals_belong_to_their_command() {
        let login = ["a LOGIN {2} literal 2", "a LOGIN {2}\r\nme {3} literal 3", "a LOGIN {2}\r\nme {3}\r\n{1}"];
        check("a LOGIN {2}\r\nme {3}\r\n{1}\r\n", Plan::Collect, &login);
        check("a x {2+}\r\n\r\n\r\nb\r\n", Plan::Collect, &["a x {2+} literal 2+", "a x {2+}\r\n\r\n", "b"]);
        check("a x {0}\r\n\r\n", Plan::Collect, &["a x {0} literal 0", "a x {0}\r\n"]);
        check("a ~{1}\r\nx\r\n", Plan::Collect, &["a ~{1} literal 1~", "a ~{1}\r\nx"]);
        check("a ~{1+}\r\nx\r\n", Plan::Collect, &["a ~{1+} literal 1~+", "a ~{1+}\r\nx"]);
    }

    #[test]
    fn what_announces_no_literal_is_part_of_the_line() {
        for line in
            ["a {}", "a {+}", "a {x}", "a 1}", "a {1", "a {1}x", "a {1} ", "a {-1}", "a {1++}", "a {1 }", "{", "}"]
        {
            check(&format!("{line}\r\n"), Plan::Collect, &[line]);
        }
        let digits = "0".repeat(21);
        check(&format!("a {{{digits}}}\r\nb\r\n"), Plan::Collect, &[&format!("a {{{digits}}}"), "b"]);
        check(
            &format!("{{{}}}\r\n", "9".repeat(20)),
            Plan::Collect,
            &[&format!("{{{}}} literal {}", "9".repeat(20), u64::MAX)],
        );
    }

    #[test]
    fn what_is_too_long_is_passed_over_to_its_end() {
        let full = format!("a {}", "x".repeat(MAX - 4));
        check(&format!("{full}\r\nb\r\n"), Plan::Collect, &[&full, "b"]);
        check(&format!("{full}x\r\nb\r\n"), Plan::Collect, &["oversize a", "b"]);
        check(&format!("{full}\n\r\r\nb\r\n"), Plan::Collect, &["oversize a", "b"]);
        check(&format!("{}\r\nb\r\n", "x".repeat(MAX)), Plan::Collect, &["oversize ", "b"]);
        // Its literals are passed over too, unless the client waits for an answer before it sends them.
        check(&format!("{full}x {{6+}}\r\nb\r\nc\r\n}} d\r\ne\r\n"), Plan::Collect, &["oversize a", "e"]);
        check(&format!("{full}x {{6}}\r\nb\r\nc\r\n"), Plan::Collect, &["oversize a", "b", "c"]);
        let lines = ["a x {99+} literal 99+", "oversize a", "b"];
        check(&format!("a x {{99+}}\r\n{}\r\nb\r\n", "\r\nc".repeat(33)), Plan::Collect, &lines);
    }

    #[test]
    fn a_command_that_is_refused_is_passed_over() {
        check("a {3+}\r\nb\r\n c\r\nd\r\n", Plan::Skip, &["a {3+} literal 3+", "oversize a", "d"]);
        check("a {3+}\r\nb\r\n {1+}\r\nc\r\nd\r\n", Plan::Skip, &["a {3+} literal 3+", "oversize a", "d"]);
        check("a {3}\r\nb\r\n", Plan::Skip, &["a {3} literal 3", "oversize a", "b"]);
        check("a {0+}\r\n\r\nb\r\n", Plan::Skip, &["a {0+} literal 0+", "oversize a", "b"]);
    }

    #[test]
    fn a_command_goes_on_behind_a_literal_that_was_streamed() {
        let lines = ["a APPEND x {3} literal 3", " (\\Seen) {2+} literal 2+", "", "b"];
        check("a APPEND x {3}\r\n123 (\\Seen) {2+}\r\n\r\n\r\nb\r\n", Plan::Leave, &lines);
    }

    #[test]
    fn memory_does_not_grow_with_what_is_passed_over() {
        let mut framer = Framer::new();
        let piece = [b"a ".as_slice(), &[b'x'; 8192]].concat();
        for _ in 0..100 {
            assert_eq!(framer.next(&piece, 100), (Frame::Incomplete, piece.len()));
        }
        assert_eq!(framer.next(b"\r\n", 100), (Frame::Oversize, 2));
        assert!(framer.command.capacity() <= KEPT_BYTES, "{}", framer.command.capacity());
        let (large, small) = (Vec::with_capacity(KEPT_BYTES + 1), Vec::with_capacity(100));
        framer.command = Vec::new();
        framer.recycle(large);
        assert_eq!(framer.command.capacity(), 0);
        framer.recycle(small);
        assert_eq!(framer.command.capacity(), 100);
    }

    proptest! {
        #[test]
        fn where_the_input_is_cut_makes_no_difference(
            pieces in prop::collection::vec(
                prop::sample::select(vec!["\r\n", "\r", "\n", " ", "x", "yyyyyyyyyyyy", "{3}\r\n", "{4+}\r\n", "~{2+}\r\n", "{99+}\r\n", "{", "+}", "}"]),
                0..40),
            cuts in prop::collection::vec(any::<usize>(), 0..20),
            plan in prop::sample::select(vec![Plan::Collect, Plan::Skip, Plan::Leave]),
        ) {
            let input = pieces.concat();
            prop_assert_eq!(frames(input.as_bytes(), &cuts, plan), frames(input.as_bytes(), &[], plan));
        }
    }
}
