use memchr::memchr;

use crate::base::{Enhanced, limits};

/// A server's reply, as a client reads it (RFC 5321 §4.2). All of it is a stranger's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    code: u16,
    lines: Vec<String>,
}

/// Why what a server says is no reply. The session is of no use then: nobody knows where the next one begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// A line does not begin with three digits, the first of them 2 to 5, and a space, a hyphen or its end.
    #[error("a line of the server is no SMTP reply")]
    Form,
    /// The lines of one reply have different codes.
    #[error("the lines of the server's reply have different codes")]
    Codes,
    /// More than [`limits::REPLY_BYTES`] or [`limits::REPLY_LINES`].
    #[error("the server's reply does not end")]
    TooLong,
}

impl Answer {
    /// The three digits: 200 to 599.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// What the first digit says: 2 to 5. RFC 5321 §4.2.1: a client that does not know a code goes by it.
    pub fn class(&self) -> u16 {
        self.code / 100
    }

    /// The enhanced code (RFC 2034 §4), where the text begins with one of the reply's own class.
    pub fn enhanced(&self) -> Option<Enhanced> {
        self.lines.first().and_then(|line| enhanced(self.code, line)).map(|(code, _)| code)
    }

    /// The texts of its lines, without control characters, enhanced codes still in them.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Its text in one line, without the enhanced codes, at most [`limits::WORDS_CHARS`] characters.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for line in &self.lines {
            let line = enhanced(self.code, line).map_or(line.as_str(), |(_, rest)| rest).trim();
            if !text.is_empty() && !line.is_empty() {
                text.push(' ');
            }
            text.push_str(line);
            if text.chars().count() > limits::WORDS_CHARS {
                return text.chars().take(limits::WORDS_CHARS).collect();
            }
        }
        text
    }
}

/// The code at the front of a line, and what stands behind it.
// RFC 2034 §4: class "." subject "." detail, of the class of the reply's first digit; RFC 3463 §2: up to 3 digits each
fn enhanced(code: u16, line: &str) -> Option<(Enhanced, &str)> {
    let (status, rest) = line.split_once(' ').unwrap_or((line, ""));
    let mut numbers = status.split('.').map(|digits| {
        let is_number = (1..=3).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        if is_number { digits.parse::<u16>().ok() } else { None }
    });
    let (class, subject, detail) = (numbers.next()??, numbers.next()??, numbers.next()??);
    let is_right = numbers.next().is_none() && matches!(class, 2 | 4 | 5) && class == code / 100;
    is_right.then_some((Enhanced(class.try_into().ok()?, subject, detail), rest))
}

/// Finds replies in what a server sends. Octets come in pieces of any size and are copied, within the limits: nothing
/// has to be kept for the reader. The same octets give the same replies, however they are split.
///
/// LF alone ends a line as well: a reply holds only the server's own words, so whoever could slip an LF into it could
/// slip a CRLF in too, and to wait for a CRLF that never comes would keep mail from an odd server for days.
#[derive(Debug, Default)]
pub struct AnswerReader {
    /// The line that has begun, up to the limit.
    line: Vec<u8>,
    /// Lines of the reply that has begun.
    lines: Vec<String>,
    code: Option<u16>,
    /// Octets of the reply that has begun.
    bytes: usize,
}

impl AnswerReader {
    /// Reads on. Says how many octets of `input` are done with, and what came to its end with the last of them: `None`
    /// when more is needed, and then all are done with.
    pub fn read(&mut self, input: &[u8]) -> (usize, Option<Result<Answer, AnswerError>>) {
        let mut rest = input;
        while !rest.is_empty() {
            let end = memchr(b'\n', rest);
            let (piece, behind) = end.and_then(|at| rest.split_at_checked(at + 1)).unwrap_or((rest, &[]));
            rest = behind;
            self.bytes += piece.len();
            let room = limits::REPLY_LINE_BYTES.saturating_sub(self.line.len());
            self.line.extend_from_slice(piece.get(..room).unwrap_or(piece));
            let outcome = if self.bytes > limits::REPLY_BYTES {
                Err(AnswerError::TooLong)
            } else if end.is_some() {
                self.end_line()
            } else {
                Ok(None)
            };
            if let Some(outcome) = outcome.transpose() {
                *self = Self::default();
                return (input.len() - rest.len(), Some(outcome));
            }
        }
        (input.len(), None)
    }

    /// Whether a reply has begun and not ended.
    pub fn is_inside(&self) -> bool {
        self.bytes > 0
    }

    fn end_line(&mut self) -> Result<Option<Answer>, AnswerError> {
        let line = std::mem::take(&mut self.line);
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let (code, is_last, text) = parse(line).ok_or(AnswerError::Form)?;
        if self.code.is_some_and(|first| first != code) {
            return Err(AnswerError::Codes);
        }
        self.code = Some(code);
        self.lines.push(clean(text));
        match is_last {
            true => Ok(Some(Answer { code, lines: std::mem::take(&mut self.lines) })),
            false if self.lines.len() >= limits::REPLY_LINES => Err(AnswerError::TooLong),
            false => Ok(None),
        }
    }
}

// RFC 5321 §4.2: Reply-code = %x32-35 %x30-35 %x30-39. The second digit is taken as it comes: some servers write 571
// for 5.7.1, and only the first one is gone by.
fn parse(line: &[u8]) -> Option<(u16, bool, &[u8])> {
    let (digits, rest) = line.split_at_checked(3)?;
    let [first @ b'2'..=b'5', second @ b'0'..=b'9', third @ b'0'..=b'9'] = *digits else { return None };
    let code = u16::from(first - b'0') * 100 + u16::from(second - b'0') * 10 + u16::from(third - b'0');
    match rest {
        // RFC 5321 §4.2: a reply without text is to be accepted.
        [] => Some((code, true, rest)),
        [b' ', text @ ..] => Some((code, true, text)),
        [b'-', text @ ..] => Some((code, false, text)),
        _ => None,
    }
}

/// The text goes into the trace, into bounces and onto terminals.
fn clean(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    if text.chars().any(char::is_control) {
        text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
    } else {
        text.into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Everything that is read from the pieces, and how much of them.
    fn read(pieces: &[&[u8]]) -> (Vec<Result<Answer, AnswerError>>, bool) {
        let mut reader = AnswerReader::default();
        let mut found = Vec::new();
        for piece in pieces {
            let mut rest = *piece;
            while !rest.is_empty() {
                let (consumed, answer) = reader.read(rest);
                assert!(consumed > 0 && (answer.is_some() || consumed == rest.len()));
                rest = &rest[consumed..];
                let is_broken = matches!(answer, Some(Err(_)));
                found.extend(answer);
                if is_broken {
                    return (found, false);
                }
            }
        }
        (found, reader.is_inside())
    }

    /// `code enhanced text` of each reply, or the error's name.
    fn check(input: &str, expected: &[&str]) {
        let shown = |answer: &Result<Answer, AnswerError>| match answer {
            Ok(answer) => {
                let enhanced = answer.enhanced().map_or(String::new(), |code| format!(" {code}"));
                format!("{}{enhanced} {}", answer.code(), answer.text())
            }
            Err(error) => format!("{error:?}"),
        };
        let (answers, _) = read(&[input.as_bytes()]);
        assert_eq!(answers.iter().map(shown).collect::<Vec<_>>(), expected, "{input:?}");
    }

    #[test]
    fn a_reply_is_read_line_by_line() {
        check("220 mx.test ESMTP\r\n", &["220 mx.test ESMTP"]);
        check("250-mx.test\r\n250-SIZE 1\r\n250 HELP\r\n", &["250 mx.test SIZE 1 HELP"]);
        check("250\r\n", &["250 "]);
        check("250 \r\n", &["250 "]);
        check("250-\r\n250 b\r\n", &["250 b"]);
        check("250 a\r\n550 b\r\n354", &["250 a", "550 b"]);
        check("550 a\n250-b\n250 c\n", &["550 a", "250 b c"]);
        check("550 a\r\x00\x1b[31mé\r\n", &["550 a???[31mé"]);
        check("571 no\r\n", &["571 no"]);
        for wrong in [
            "hello\r\n",
            "\r\n",
            "25\r\n",
            "25x a\r\n",
            "150 a\r\n",
            "650 a\r\n",
            "250_a\r\n",
            " 250 a\r\n",
            "2500 a\r\n",
        ] {
            check(wrong, &["Form"]);
        }
        check("250-a\r\n\r\n", &["Form"]);
        check("250-a\r\n550 b\r\n", &["Codes"]);
    }

    #[test]
    fn an_enhanced_code_is_of_the_replys_class() {
        check("550 5.1.1 no such user\r\n", &["550 5.1.1 no such user"]);
        check("550-5.1.1 no\r\n550 5.1.1 such user\r\n", &["550 5.1.1 no such user"]);
        check("550 5.7.999\r\n", &["550 5.7.999 "]);
        // What is no code of this reply stays text.
        for text in ["4.1.1 no", "5.1 no", "5.1.1.1 no", "5.1.1x no", "5..1 no", "5.1.1000 no", "+5.1.1 no"] {
            check(&format!("550 {text}\r\n"), &[&format!("550 {text}")]);
        }
        check("354 3.0.0 go\r\n", &["354 3.0.0 go"]);
    }

    #[test]
    fn a_reply_has_limits() {
        let line = |bytes: usize| format!("250 {}\r\n", "x".repeat(bytes));
        let (answers, _) = read(&[line(10_000).as_bytes(), b"250 ok\r\n"]);
        let kept: Vec<usize> = answers.iter().map(|answer| answer.as_ref().unwrap().lines()[0].len()).collect();
        assert_eq!(kept, [limits::REPLY_LINE_BYTES - 4, 2]);
        assert_eq!(answers[0].as_ref().unwrap().text().len(), limits::WORDS_CHARS);
        assert_eq!(read(&[&[b'2'; 2 * limits::REPLY_BYTES]]).0, [Err(AnswerError::TooLong)]);
        let lines = |count: usize| format!("{}250 end\r\n", "250-x\r\n".repeat(count - 1));
        assert!(read(&[lines(limits::REPLY_LINES).as_bytes()]).0[0].is_ok());
        assert_eq!(read(&[lines(limits::REPLY_LINES + 1).as_bytes()]).0, [Err(AnswerError::TooLong)]);
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_replies(
            runs in prop::collection::vec((prop::sample::select(vec!["250 ", "250-", "\r\n", "\n", "\r", "5.1.1 x", "x", "é"]), 1..4000usize), 1..12),
            cuts in prop::collection::vec(0..80_000usize, 0..8),
        ) {
            let input: String = runs.iter().map(|(what, times)| what.repeat(if *what == "x" { *times } else { times % 3 })).collect();
            let input = input.into_bytes();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (input.len() + 1)).collect();
            cuts.extend([0, input.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &input[pair[0]..pair[1]]).collect();
            prop_assert_eq!(read(&pieces), read(&[&input]));
        }

        #[test]
        fn whatever_comes_is_bounded_and_harmless(input in prop::collection::vec(any::<u8>(), 0..300)) {
            for answer in read(&[&input]).0.into_iter().flatten() {
                prop_assert!((200..600).contains(&answer.code()));
                prop_assert!(!answer.text().chars().any(char::is_control));
            }
        }
    }
}
