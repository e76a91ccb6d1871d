//! The least of an SMTP and of a POP3 client over plain TCP, for tests that need to see each reply.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long any one reply may take before the test fails rather than hangs.
const REPLY_LIMIT: Duration = Duration::from_secs(120);

/// An SMTP reply: its code and its last line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The three digits.
    pub code: u16,
    /// The last line, with its code.
    pub text: String,
}

/// An SMTP session.
pub struct Smtp {
    stream: BufReader<TcpStream>,
}

impl Smtp {
    /// Connects, reads the greeting and says EHLO.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        let (mut session, greeting) = Self::greeting(address)?;
        expect(&greeting, 220)?;
        expect(&session.command("EHLO client.example.test")?, 250)?;
        Ok(session)
    }

    /// Connects and reads the greeting, whatever it is.
    pub fn greeting(address: SocketAddr) -> io::Result<(Self, Reply)> {
        let mut session = Self { stream: BufReader::new(connect(address)?) };
        let greeting = session.reply()?;
        Ok((session, greeting))
    }

    /// Connects as [`Smtp::connect`], and logs in: in the clear, which servers allow on loopback.
    pub fn login(address: SocketAddr, user: &str, password: &str) -> io::Result<Self> {
        use base64::Engine;
        let mut session = Self::connect(address)?;
        let response = base64::engine::general_purpose::STANDARD.encode(format!("\0{user}\0{password}"));
        expect(&session.command(&format!("AUTH PLAIN {response}"))?, 235)?;
        Ok(session)
    }

    /// Sends one line and reads its reply.
    pub fn command(&mut self, line: &str) -> io::Result<Reply> {
        self.stream.get_mut().write_all(format!("{line}\r\n").as_bytes())?;
        self.reply()
    }

    /// Reads one reply.
    pub fn reply(&mut self) -> io::Result<Reply> {
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let code = line.get(..3).and_then(|digits| digits.parse().ok());
            let Some(code) = code else { return Err(io::Error::other(format!("not a reply: {line:?}"))) };
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(Reply { code, text: line.trim_end().to_owned() });
            }
        }
    }

    /// MAIL, RCPTs and DATA in one write, as PIPELINING allows: the reply to DATA, or the first that is not a success.
    pub fn envelope(&mut self, sender: &str, recipients: &[&str]) -> io::Result<Reply> {
        let mut lines = format!("MAIL FROM:<{sender}>\r\n");
        for recipient in recipients {
            lines.push_str(&format!("RCPT TO:<{recipient}>\r\n"));
        }
        lines.push_str("DATA\r\n");
        self.stream.get_mut().write_all(lines.as_bytes())?;
        for _ in 0..=recipients.len() {
            let reply = self.reply()?;
            if reply.code != 250 {
                return Ok(reply);
            }
        }
        self.reply()
    }

    /// Sends a message after 354: `stuffed` as [`stuff`] makes it. The reply is the server's promise, or a refusal.
    pub fn message(&mut self, stuffed: &[u8]) -> io::Result<Reply> {
        self.stream.get_mut().write_all(stuffed)?;
        self.reply()
    }

    /// Sends octets as they are.
    pub fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(octets)
    }

    /// Submits one message and insists on its 250.
    pub fn submit(&mut self, sender: &str, recipients: &[&str], content: &[u8]) -> io::Result<()> {
        expect(&self.envelope(sender, recipients)?, 354)?;
        expect(&self.message(&stuff(content))?, 250)
    }

    /// Says QUIT and reads the answer.
    pub fn quit(mut self) -> io::Result<()> {
        expect(&self.command("QUIT")?, 221)
    }
}

fn expect(reply: &Reply, code: u16) -> io::Result<()> {
    if reply.code == code { Ok(()) } else { Err(io::Error::other(format!("{code} expected, not {}", reply.text))) }
}

/// A message as DATA sends it: dots at line starts doubled, and the end of data. `content` must end with CRLF.
/// RFC 5321 §4.5.2
pub fn stuff(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + content.len() / 64 + 3);
    for line in content.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b".") {
            out.push(b'.');
        }
        out.extend_from_slice(line);
    }
    assert!(content.ends_with(b"\r\n"), "a message ends with CRLF");
    out.extend_from_slice(b".\r\n");
    out
}

/// A POP3 session, logged in.
pub struct Pop3 {
    stream: BufReader<TcpStream>,
}

impl Pop3 {
    /// Connects and logs in with USER and PASS.
    pub fn login(address: SocketAddr, user: &str, password: &str) -> io::Result<Self> {
        let mut session = Self { stream: BufReader::new(connect(address)?) };
        session.status()?;
        session.command(&format!("USER {user}"))?;
        session.command(&format!("PASS {password}"))?;
        Ok(session)
    }

    /// Sends one line; the rest of its `+OK` line, or an error.
    pub fn command(&mut self, line: &str) -> io::Result<String> {
        self.stream.get_mut().write_all(format!("{line}\r\n").as_bytes())?;
        self.status()
    }

    fn status(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        match line.strip_prefix("+OK") {
            Some(rest) => Ok(rest.trim().to_owned()),
            None => Err(io::Error::other(format!("+OK expected, not {line:?}"))),
        }
    }

    /// How many messages there are.
    pub fn count(&mut self) -> io::Result<usize> {
        let answer = self.command("STAT")?;
        let count = answer.split(' ').next().and_then(|count| count.parse().ok());
        count.ok_or_else(|| io::Error::other(format!("a count in {answer:?}")))
    }

    /// How many messages `user` has, in a session of its own that is over when this returns.
    pub fn count_of(address: SocketAddr, user: &str, password: &str) -> io::Result<usize> {
        let mut session = Self::login(address, user, password)?;
        let count = session.count()?;
        session.quit()?;
        Ok(count)
    }

    /// Message `number`, dots undone, without the ending line. RFC 1939 §3
    pub fn retrieve(&mut self, number: usize) -> io::Result<Vec<u8>> {
        self.multi_line(&format!("RETR {number}"))
    }

    /// The same by TOP, which leaves no trace that it was read.
    pub fn top(&mut self, number: usize) -> io::Result<Vec<u8>> {
        self.multi_line(&format!("TOP {number} {}", u32::MAX >> 1))
    }

    fn multi_line(&mut self, command: &str) -> io::Result<Vec<u8>> {
        self.command(command)?;
        let mut content = Vec::new();
        loop {
            let start = content.len();
            self.stream.read_until(b'\n', &mut content)?;
            match &content[start..] {
                b".\r\n" => {
                    content.truncate(start);
                    return Ok(content);
                }
                [] => return Err(io::ErrorKind::UnexpectedEof.into()),
                [b'.', ..] => drop(content.remove(start)),
                _ => {}
            }
        }
    }

    /// The unique ids of all messages, sorted. RFC 1939 §7
    pub fn ids(&mut self) -> io::Result<Vec<String>> {
        let listing = String::from_utf8(self.multi_line("UIDL")?).map_err(io::Error::other)?;
        let mut ids: Vec<String> =
            listing.lines().filter_map(|line| Some(line.split_once(' ')?.1.trim().to_owned())).collect();
        ids.sort();
        Ok(ids)
    }

    /// The unique id and the octets of each message, in order. RFC 1939 §5, §7
    pub fn listing(&mut self) -> io::Result<Vec<(String, usize)>> {
        let mut columns = Vec::new();
        for command in ["UIDL", "LIST"] {
            let lines = String::from_utf8(self.multi_line(command)?).map_err(io::Error::other)?;
            let behind = |line: &str| Some(line.split_once(' ')?.1.trim().to_owned());
            columns.push(lines.lines().filter_map(behind).collect::<Vec<String>>());
        }
        let (octets, ids) = (columns.pop().unwrap_or_default(), columns.pop().unwrap_or_default());
        if ids.len() != octets.len() {
            return Err(io::Error::other(format!("{} ids and {} sizes", ids.len(), octets.len())));
        }
        let row = |(id, octets): (String, String)| Ok((id, octets.parse().map_err(io::Error::other)?));
        ids.into_iter().zip(octets).map(row).collect()
    }

    /// Every message in order, each checked against the size that LIST gives for it.
    pub fn retrieve_all(&mut self) -> io::Result<Vec<Vec<u8>>> {
        let count = self.count()?;
        let mut messages = Vec::with_capacity(count);
        for number in 1..=count {
            let listed = self.command(&format!("LIST {number}"))?;
            let content = self.retrieve(number)?;
            if listed != format!("{number} {}", content.len()) {
                return Err(io::Error::other(format!("LIST {listed:?} for {} octets", content.len())));
            }
            messages.push(content);
        }
        Ok(messages)
    }

    /// Ends the session, which deletes what is marked, and waits for the server's side to close.
    pub fn quit(mut self) -> io::Result<()> {
        self.command("QUIT")?;
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest)?;
        Ok(())
    }
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(REPLY_LIMIT))?;
    stream.set_write_timeout(Some(REPLY_LIMIT))?;
    Ok(stream)
}
