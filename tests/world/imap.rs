//! The least of an IMAP client over plain TCP, for tests that need to see each response: a reader that knows literals and
//! turns what a server sends into nested values, and a blocking session over it.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long any one response may take before the test fails rather than hangs.
const RESPONSE_LIMIT: Duration = Duration::from_secs(120);
/// Octets of one read.
const READ_BYTES: usize = 256 * 1024;

/// A piece of a response.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// NIL
    Nil,
    /// A word that stands bare: a number, a flag, the name of an item with its section, as in `BODY[HEADER.FIELDS (TO)]`.
    Atom(Vec<u8>),
    /// A quoted string or a literal.
    Text(Vec<u8>),
    /// What stands in parentheses.
    List(Vec<Value>),
}

impl Value {
    /// The octets of a word or a string; `None` for NIL and lists.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Atom(bytes) | Self::Text(bytes) => Some(bytes),
            Self::Nil | Self::List(_) => None,
        }
    }

    /// The number that it is.
    pub fn number(&self) -> Option<u64> {
        std::str::from_utf8(self.bytes()?).ok()?.parse().ok()
    }

    /// The values in its parentheses.
    pub fn list(&self) -> Option<&[Value]> {
        match self {
            Self::List(values) => Some(values),
            _ => None,
        }
    }

    /// Whether it is that word, in any case.
    pub fn is(&self, word: &str) -> bool {
        matches!(self, Self::Atom(bytes) if bytes.eq_ignore_ascii_case(word.as_bytes()))
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("NIL"),
            Self::Atom(bytes) => f.write_str(&String::from_utf8_lossy(bytes)),
            Self::Text(bytes) => write!(f, "\"{}\"", bytes.escape_ascii()),
            Self::List(values) => {
                f.write_str("(")?;
                for (at, value) in values.iter().enumerate() {
                    write!(f, "{}{value}", if at > 0 { " " } else { "" })?;
                }
                f.write_str(")")
            }
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// What a server sends at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// `+ …`
    Continue(String),
    /// `OK`, `NO`, `BAD`, `BYE` and `PREAUTH`, tagged or not.
    Status(Status),
    /// Everything else behind `* `, as in `3 FETCH (…)`.
    Data(Vec<Value>),
}

/// How a command ended, or what an untagged `OK` tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// `*` where it belongs to no command.
    pub tag: String,
    /// `OK`, `NO`, `BAD`, `BYE` or `PREAUTH`.
    pub kind: String,
    /// What stands in brackets, as in `UIDNEXT 7`.
    pub code: Vec<Value>,
    /// The words for a person.
    pub text: String,
}

impl Status {
    /// The arguments of a response code of that name.
    pub fn code_of(&self, name: &str) -> Option<&[Value]> {
        match self.code.split_first() {
            Some((word, arguments)) if word.is(name) => Some(arguments),
            _ => None,
        }
    }
}

impl Response {
    /// The number and the item list of a FETCH response.
    pub fn fetch(&self) -> Option<(u32, &[Value])> {
        match self {
            Self::Data(values) => match values.as_slice() {
                [number, word, Value::List(items)] if word.is("FETCH") => {
                    Some((number.number()?.try_into().ok()?, items))
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// The number before a word, as in `7 EXISTS`.
    pub fn counted(&self, word: &str) -> Option<u32> {
        match self {
            Self::Data(values) => match values.as_slice() {
                [number, name] if name.is(word) => number.number()?.try_into().ok(),
                _ => None,
            },
            _ => None,
        }
    }

    /// What follows a word, as in `SEARCH 1 2 3`.
    pub fn after(&self, word: &str) -> Option<&[Value]> {
        match self {
            Self::Data(values) => match values.split_first() {
                Some((name, rest)) if name.is(word) => Some(rest),
                _ => None,
            },
            _ => None,
        }
    }

    /// The arguments of an untagged response code of that name.
    pub fn code(&self, name: &str) -> Option<&[Value]> {
        match self {
            Self::Status(status) if status.tag == "*" => status.code_of(name),
            _ => None,
        }
    }
}

/// The value of an item in a list of names and values, as FETCH and STATUS send them.
pub fn item<'a>(items: &'a [Value], name: &str) -> Option<&'a Value> {
    items.chunks(2).find_map(|pair| match pair {
        [word, value] if word.is(name) => Some(value),
        _ => None,
    })
}

/// Finds where responses end in what comes, and reads them.
#[derive(Debug, Default)]
pub struct Responses {
    buffer: Vec<u8>,
    /// Where the unread part begins.
    at: usize,
    /// How far the response at `at` is known to reach.
    known: usize,
}

impl Responses {
    /// Takes what has come.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.at > 0 {
            self.buffer.drain(..self.at);
            self.known -= self.at;
            self.at = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole response, if it is there.
    ///
    /// # Errors
    /// What is not a response.
    pub fn next(&mut self) -> Result<Option<Response>, String> {
        let Some(whole) = self.next_raw() else { return Ok(None) };
        let range = whole.start..whole.end - 2;
        let bytes = &self.buffer[range];
        parse(bytes).map(Some).map_err(|what| format!("{what}: {}", shorten(bytes)))
    }

    /// Where the next whole response lies, its CRLF included; it counts as read.
    fn next_raw(&mut self) -> Option<std::ops::Range<usize>> {
        loop {
            let from = self.known.max(self.at);
            let end = from + memchr::memmem::find(self.buffer.get(from..)?, b"\r\n")? + 2;
            let start = self.at;
            match literal_bytes(&self.buffer[from..end - 2]) {
                Some(bytes) => {
                    // What is behind the literal belongs to the same response.
                    if self.buffer.len() < end + bytes {
                        return None;
                    }
                    self.known = end + bytes;
                }
                None => {
                    (self.at, self.known) = (end, end);
                    return Some(start..end);
                }
            }
        }
    }

    /// The next whole response as it came, without reading it.
    pub fn next_bytes(&mut self) -> Option<&[u8]> {
        let range = self.next_raw()?;
        Some(&self.buffer[range])
    }

    /// Whether nothing of a further response has come.
    pub fn is_empty(&self) -> bool {
        self.at == self.buffer.len()
    }
}

/// The octets of the literal that a line announces at its end.
fn literal_bytes(line: &[u8]) -> Option<usize> {
    let open = line.strip_suffix(b"}")?.iter().rposition(|byte| *byte == b'{')?;
    std::str::from_utf8(&line[open + 1..line.len() - 1]).ok()?.parse().ok()
}

fn shorten(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(300)].escape_ascii().to_string()
}

fn parse(bytes: &[u8]) -> Result<Response, &'static str> {
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if let Some(rest) = bytes.strip_prefix(b"+") {
        return Ok(Response::Continue(lossy(rest.trim_ascii_start())));
    }
    let space = bytes.iter().position(|byte| *byte == b' ').ok_or("a response without a space")?;
    let (tag, rest) = (lossy(&bytes[..space]), &bytes[space + 1..]);
    let word = rest.split(|byte| *byte == b' ').next().unwrap_or_default().to_ascii_uppercase();
    if matches!(word.as_slice(), b"OK" | b"NO" | b"BAD" | b"BYE" | b"PREAUTH") {
        let mut reader = Reader { bytes: rest, at: word.len() };
        reader.skip_space();
        let code = if reader.peek() == Some(b'[') { reader.code()? } else { Vec::new() };
        let text = lossy(reader.rest().trim_ascii());
        return Ok(Response::Status(Status { tag, kind: lossy(&word), code, text }));
    }
    if tag != "*" {
        return Err("neither a status nor untagged");
    }
    let mut reader = Reader { bytes: rest, at: 0 };
    let values = reader.values(None)?;
    Ok(Response::Data(values))
}

/// Reads nested values. RFC 9051 §9
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    fn skip_space(&mut self) {
        while self.peek() == Some(b' ') {
            self.at += 1;
        }
    }

    /// What stands in the brackets of a response code.
    fn code(&mut self) -> Result<Vec<Value>, &'static str> {
        self.at += 1;
        let values = self.values(Some(b']'))?;
        Ok(values)
    }

    /// Values up to `end`, which is consumed.
    fn values(&mut self, end: Option<u8>) -> Result<Vec<Value>, &'static str> {
        let mut values = Vec::new();
        loop {
            self.skip_space();
            match self.peek() {
                None if end.is_none() => return Ok(values),
                None => return Err("a list or code without an end"),
                next if next == end => {
                    self.at += 1;
                    return Ok(values);
                }
                Some(b'(') => {
                    self.at += 1;
                    values.push(Value::List(self.values(Some(b')'))?));
                }
                Some(b'"') => values.push(Value::Text(self.quoted()?)),
                Some(b'{') => values.push(Value::Text(self.literal()?)),
                Some(_) => values.push(self.atom(end)?),
            }
        }
    }

    fn quoted(&mut self) -> Result<Vec<u8>, &'static str> {
        let mut text = Vec::new();
        self.at += 1;
        loop {
            match self.peek().ok_or("a quoted string without an end")? {
                b'"' => {
                    self.at += 1;
                    return Ok(text);
                }
                b'\\' => {
                    let escaped = self.bytes.get(self.at + 1).ok_or("a quoted string without an end")?;
                    if !matches!(escaped, b'"' | b'\\') {
                        return Err("an escaped character in a quoted string that needs no escape");
                    }
                    text.push(*escaped);
                    self.at += 2;
                }
                b'\r' | b'\n' | 0 => return Err("a control character in a quoted string"),
                byte => {
                    text.push(byte);
                    self.at += 1;
                }
            }
        }
    }

    fn literal(&mut self) -> Result<Vec<u8>, &'static str> {
        let rest = self.rest();
        let end = memchr::memmem::find(rest, b"}\r\n").ok_or("a literal without its line end")?;
        let bytes: usize = std::str::from_utf8(&rest[1..end])
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or("a literal without a size")?;
        let content = rest.get(end + 3..end + 3 + bytes).ok_or("a literal that is cut short")?;
        self.at += end + 3 + bytes;
        Ok(content.to_vec())
    }

    /// A word; one with a section goes on to the bracket's end.
    fn atom(&mut self, end: Option<u8>) -> Result<Value, &'static str> {
        let start = self.at;
        while let Some(byte) = self.peek() {
            match byte {
                b'[' if end != Some(b']') => {
                    let close = self.rest().iter().position(|byte| *byte == b']').ok_or("a section without an end")?;
                    self.at += close + 1;
                }
                b' ' | b'(' | b')' | b'"' | b'{' => break,
                byte if Some(byte) == end => break,
                b'\r' | b'\n' | 0 => return Err("a control character in a word"),
                _ => self.at += 1,
            }
        }
        let word = &self.bytes[start..self.at];
        match word {
            [] => Err("a word of no characters"),
            word if word.eq_ignore_ascii_case(b"NIL") => Ok(Value::Nil),
            word => Ok(Value::Atom(word.to_vec())),
        }
    }
}

/// The answer to a command.
#[derive(Debug, Clone)]
pub struct Answer {
    /// What came before its end.
    pub untagged: Vec<Response>,
    /// Its end.
    pub status: Status,
}

impl Answer {
    /// The FETCH responses.
    pub fn fetches(&self) -> impl Iterator<Item = (u32, &[Value])> {
        self.untagged.iter().filter_map(Response::fetch)
    }

    /// The arguments of a response code, of the end or untagged.
    pub fn code(&self, name: &str) -> Option<&[Value]> {
        self.status.code_of(name).or_else(|| self.untagged.iter().find_map(|response| response.code(name)))
    }

    /// The one number of a response code.
    pub fn code_number(&self, name: &str) -> Option<u64> {
        self.code(name)?.first()?.number()
    }
}

/// An IMAP session over TCP.
pub struct Imap {
    stream: TcpStream,
    responses: Responses,
    waiting: VecDeque<Response>,
    read: Vec<u8>,
    tag: u64,
}

impl Imap {
    /// Connects and reads the greeting.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(RESPONSE_LIMIT))?;
        stream.set_write_timeout(Some(RESPONSE_LIMIT))?;
        let (responses, waiting) = (Responses::default(), VecDeque::new());
        let mut session = Self { stream, responses, waiting, read: Vec::new(), tag: 0 };
        match session.response()? {
            Response::Status(greeting) if greeting.kind == "OK" => Ok(session),
            other => Err(io::Error::other(format!("not a greeting: {other:?}"))),
        }
    }

    /// Connects and logs in, in the clear, which servers allow on loopback.
    pub fn login(address: SocketAddr, user: &str, password: &str) -> io::Result<Self> {
        let mut session = Self::connect(address)?;
        session.ok(&format!("LOGIN {user} {password}"))?;
        Ok(session)
    }

    /// Sends octets as they are.
    pub fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.stream.write_all(octets)
    }

    /// Sends a command and returns its tag without waiting.
    pub fn begin(&mut self, command: &str) -> io::Result<String> {
        self.tag += 1;
        let tag = format!("t{}", self.tag);
        self.write(format!("{tag} {command}\r\n").as_bytes())?;
        Ok(tag)
    }

    /// Reads up to the end of the command with that tag.
    pub fn end(&mut self, tag: &str) -> io::Result<Answer> {
        let mut untagged = Vec::new();
        loop {
            match self.response()? {
                Response::Status(status) if status.tag == tag => return Ok(Answer { untagged, status }),
                Response::Status(status) if status.tag != "*" => {
                    return Err(io::Error::other(format!("the end of another command: {status:?}")));
                }
                other => untagged.push(other),
            }
        }
    }

    /// Sends a command and reads its answer, whatever it is.
    pub fn command(&mut self, command: &str) -> io::Result<Answer> {
        let tag = self.begin(command)?;
        self.end(&tag)
    }

    /// The same, but insists on OK.
    pub fn ok(&mut self, command: &str) -> io::Result<Answer> {
        let answer = self.command(command)?;
        is_ok(&answer.status, command)?;
        Ok(answer)
    }

    /// Appends messages to a mailbox by one command, without waiting for the server's leave to send them; each with what
    /// stands before its literal, as in `(\Seen) `.
    pub fn append(&mut self, mailbox: &str, messages: &[(&str, &[u8])]) -> io::Result<Answer> {
        self.tag += 1;
        let tag = format!("t{}", self.tag);
        let mut out = format!("{tag} APPEND {mailbox}").into_bytes();
        for (options, message) in messages {
            out.extend_from_slice(format!(" {options}{{{}+}}\r\n", message.len()).as_bytes());
            out.extend_from_slice(message);
        }
        out.extend_from_slice(b"\r\n");
        self.write(&out)?;
        self.end(&tag)
    }

    /// Reads the next response.
    pub fn response(&mut self) -> io::Result<Response> {
        loop {
            if let Some(response) = self.waiting.pop_front() {
                return Ok(response);
            }
            while let Some(response) = self.responses.next().map_err(io::Error::other)? {
                self.waiting.push_back(response);
            }
            if self.waiting.is_empty() {
                self.fill()?;
            }
        }
    }

    /// Reads up to the end of the command with that tag without looking at what comes: how many octets that were, with
    /// the last line. Nothing may be waiting.
    pub fn drain(&mut self, tag: &str) -> io::Result<(u64, String)> {
        let (tag, mut total) = (format!("{tag} "), 0);
        loop {
            while let Some(response) = self.responses.next_bytes() {
                total += response.len() as u64;
                if response.starts_with(tag.as_bytes()) {
                    return Ok((total, String::from_utf8_lossy(response).trim_end().to_owned()));
                }
            }
            self.fill()?;
        }
    }

    /// How long a read may take from here on; `None`: for ever.
    pub fn patience(&self, limit: Option<Duration>) -> io::Result<()> {
        self.stream.set_read_timeout(limit)
    }

    fn fill(&mut self) -> io::Result<()> {
        self.read.resize(READ_BYTES, 0);
        match self.stream.read(&mut self.read)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                self.responses.push(&self.read[..count]);
                Ok(())
            }
        }
    }
}

/// An error unless a command ended with OK.
pub fn is_ok(status: &Status, command: &str) -> io::Result<()> {
    if status.kind == "OK" {
        Ok(())
    } else {
        Err(io::Error::other(format!("OK expected to {command:.200}, not {status:?}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However `input` is cut into pieces, it reads as the responses that are shown so.
    fn check(input: &[u8], expected: &[&str]) {
        for piece in [1, 2, 7, input.len()] {
            let (mut responses, mut seen) = (Responses::default(), Vec::new());
            for bytes in input.chunks(piece) {
                responses.push(bytes);
                while let Some(response) = responses.next().expect("it is a response") {
                    seen.push(match response {
                        Response::Continue(text) => format!("+{text}"),
                        Response::Status(Status { tag, kind, code, text }) => format!("{tag}|{kind}|{code:?}|{text}"),
                        Response::Data(values) => format!("{values:?}"),
                    });
                }
            }
            assert!(responses.is_empty());
            assert_eq!(seen, expected, "in pieces of {piece}");
        }
    }

    #[test]
    fn literals_do_not_end_a_response() {
        check(
            b"* 3 FETCH (BODY[] {7}\r\na\r\nb\")( UID 9)\r\n* 4 EXPUNGE\r\n",
            &["[3, FETCH, (BODY[] \"a\\r\\nb\\\")(\" UID 9)]", "[4, EXPUNGE]"],
        );
    }

    #[test]
    fn sections_are_one_word() {
        check(
            b"* 1 FETCH (BODY[HEADER.FIELDS (TO CC)]<0> NIL)\r\n",
            &["[1, FETCH, (BODY[HEADER.FIELDS (TO CC)]<0> NIL)]"],
        );
    }

    #[test]
    fn lists_may_touch() {
        check(br#"* 1 FETCH (BODY (("A" nil)("B\\\"" 2) "mixed"))"#.to_vec().into_iter().chain(*b"\r\n").collect::<Vec<_>>().as_slice(), &[
            r#"[1, FETCH, (BODY (("A" NIL) ("B\\\"" 2) "mixed"))]"#,
        ]);
    }

    #[test]
    fn a_status_has_a_code_and_words() {
        check(
            b"* OK [UIDNEXT 7] next\r\na1 no [TRYCREATE] it (is\r\n+ go\r\n",
            &["*|OK|[UIDNEXT, 7]|next", "a1|NO|[TRYCREATE]|it (is", "+go"],
        );
        check(b"* OK [PERMANENTFLAGS (\\Seen \\*)] limited\r\n", &["*|OK|[PERMANENTFLAGS, (\\Seen \\*)]|limited"]);
    }
}
