//! A mail server of the tests that takes all mail, writes down what it took, and fails where a test says so.
//!
//! Whole of itself, so that any test may take it in with `#[path = "../world/sink.rs"] mod sink;`. It runs on threads of
//! its own, and needs no runtime.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Where in a session a fault lies: on the answer to this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The connection.
    Greeting,
    /// EHLO or HELO.
    Hello,
    /// STARTTLS, which is announced when it has a fault and only then. With a delay, the handshake itself fails.
    Tls,
    /// MAIL.
    Sender,
    /// RCPT.
    Recipient,
    /// DATA.
    Data,
    /// The content, while it is read.
    Content,
    /// The end of data.
    End,
}

/// All stages of a session in the clear that have an answer.
pub const STAGES: [Stage; 6] =
    [Stage::Greeting, Stage::Hello, Stage::Sender, Stage::Recipient, Stage::Data, Stage::End];

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// This reply, without its line end, as in `451 4.3.0 not now`.
    Reply(&'static str),
    /// The connection is closed instead of a reply.
    Drop,
    /// The message is taken, and then the connection is closed instead of the reply. At the end of data only.
    TakeAndDrop,
    /// The reply comes this much later. On [`Stage::Content`]: each KiB is read this much later than the one before.
    Delay(Duration),
    /// Nothing more comes, until the other side gives up or the sink goes down.
    Hang,
}

/// A message that was taken.
#[derive(Debug, Clone)]
pub struct Taken {
    /// Which session took it: they are counted from 0.
    pub session: usize,
    /// The path of MAIL.
    pub sender: String,
    /// The paths of RCPT.
    pub recipients: Vec<String>,
    /// Of the header, without its brackets.
    pub message_id: String,
    /// Of the content from its Date field on, which in the tests is the first that the sender wrote.
    pub digest: [u8; 32],
    /// The whole content, where the sink keeps it.
    pub content: Vec<u8>,
    /// Whether the other side was given its 250.
    pub is_answered: bool,
    /// When.
    pub at: Instant,
}

/// A running sink. Dropping it ends it.
pub struct Sink {
    /// Where it listens when it is up.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    gate: Option<Arc<AtomicBool>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    taken: Vec<Taken>,
    /// A stage, its fault and how often it is still to happen.
    faults: Vec<(Stage, Fault, usize)>,
    /// Recipients, in lower case, that get a reply of their own.
    refused: Vec<(String, &'static str)>,
    extensions: Vec<&'static str>,
    keeps_content: bool,
    /// The commands of each session.
    sessions: Vec<Vec<String>>,
    open: Vec<(usize, TcpStream)>,
}

/// Always, for [`Sink::fail`].
pub const ALWAYS: usize = usize::MAX;

/// A port that is free on 127.0.0.1 to 127.0.0.32, for servers that must share one: the DNS names no ports. It is below
/// those that the system gives out itself, so that it stays free, and is given to one asker only.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = (std::process::id() % 100) as u16 * 100;
    for _ in 0..1000 {
        let port = 20_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        let all: io::Result<Vec<TcpListener>> =
            (1..=32).map(|last| TcpListener::bind((Ipv4Addr::new(127, 0, 0, last), port))).collect();
        if all.is_ok() {
            return port;
        }
    }
    panic!("no port that is free on all addresses of the tests");
}

impl Sink {
    /// Listens on `address`, as in `127.0.0.9:0`, and keeps what it takes.
    pub fn start(address: &str) -> Self {
        Self::start_with(address, true)
    }

    /// As [`Sink::start`]; the contents are kept only with `keeps_content`, their digests always.
    pub fn start_with(address: &str, keeps_content: bool) -> Self {
        let mut sink = Self::held(address, keeps_content);
        sink.up();
        sink
    }

    /// As [`Sink::start_with`], but down at first: connections are refused. `address` has a port.
    pub fn held(address: &str, keeps_content: bool) -> Self {
        let mut address: SocketAddr = address.parse().expect("an address with a port");
        if address.port() == 0 {
            address.set_port(free_port());
        }
        let shared = Arc::new(Shared::default());
        let mut state = lock(&shared);
        state.keeps_content = keeps_content;
        state.extensions = vec!["PIPELINING", "SIZE 104857600", "8BITMIME", "ENHANCEDSTATUSCODES"];
        drop(state);
        Self { address, shared, gate: None }
    }

    /// Listens.
    pub fn up(&mut self) {
        assert!(self.gate.is_none(), "the sink is down");
        let listener = bind(self.address);
        let gate = Arc::new(AtomicBool::new(true));
        let (shared, is_open) = (Arc::clone(&self.shared), Arc::clone(&gate));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if !is_open.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || Session::run(stream, &shared));
            }
        });
        self.gate = Some(gate);
    }

    /// Refuses connections from now on, and drops those that are open.
    pub fn down(&mut self) {
        let Some(gate) = self.gate.take() else { return };
        gate.store(false, Ordering::SeqCst);
        // The thread that accepts wakes, and ends; then nobody listens.
        drop(TcpStream::connect(self.address));
        while TcpStream::connect(self.address).is_ok() {
            std::thread::sleep(Duration::from_millis(1));
        }
        for (_, stream) in lock(&self.shared).open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// The next `times` that `stage` is reached, `fault` happens. Faults of one stage happen in the order they were given.
    pub fn fail(&self, stage: Stage, fault: Fault, times: usize) {
        lock(&self.shared).faults.push((stage, fault, times));
    }

    /// No more faults, and no more refused recipients.
    pub fn heal(&self) {
        let mut state = lock(&self.shared);
        state.faults.clear();
        state.refused.clear();
    }

    /// Answers RCPT for `recipient` with `reply`.
    pub fn refuse(&self, recipient: &str, reply: &'static str) {
        lock(&self.shared).refused.push((recipient.to_ascii_lowercase(), reply));
    }

    /// Announces these to EHLO instead of the usual ones.
    pub fn announce(&self, extensions: &[&'static str]) {
        lock(&self.shared).extensions = extensions.to_vec();
    }

    /// All that was taken so far, in order.
    pub fn taken(&self) -> Vec<Taken> {
        lock(&self.shared).taken.clone()
    }

    /// Forgets what was taken.
    pub fn forget(&self) {
        lock(&self.shared).taken.clear();
    }

    /// How many messages were taken so far.
    pub fn count(&self) -> usize {
        lock(&self.shared).taken.len()
    }

    /// The commands of every session so far; one that ends without a word has none.
    pub fn sessions(&self) -> Vec<Vec<String>> {
        lock(&self.shared).sessions.clone()
    }

    /// Waits until `wanted` holds of what was taken; fails the test after `limit`.
    pub fn wait_until(&self, limit: Duration, what: &str, wanted: impl Fn(&[Taken]) -> bool) -> Vec<Taken> {
        let deadline = Instant::now() + limit;
        let mut state = lock(&self.shared);
        while !wanted(&state.taken) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{what} within {limit:?}: {}", describe(&state));
            state = self.shared.changed.wait_timeout(state, left).expect("no holder panics").0;
        }
        state.taken.clone()
    }

    /// Waits until `count` messages are there.
    pub fn wait_for(&self, count: usize, limit: Duration) -> Vec<Taken> {
        self.wait_until(limit, &format!("{count} messages"), |taken| taken.len() >= count)
    }

    /// Waits until `count` sessions have begun.
    pub fn wait_for_sessions(&self, count: usize, limit: Duration) {
        let deadline = Instant::now() + limit;
        let mut state = lock(&self.shared);
        while state.sessions.len() < count {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{count} sessions within {limit:?}: {}", describe(&state));
            state = self.shared.changed.wait_timeout(state, left).expect("no holder panics").0;
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.down();
    }
}

fn lock(shared: &Shared) -> MutexGuard<'_, State> {
    shared.state.lock().expect("no holder panics")
}

fn describe(state: &State) -> String {
    let last = state.sessions.len().saturating_sub(3);
    format!("{} taken, {} sessions, the last: {:?}", state.taken.len(), state.sessions.len(), &state.sessions[last..])
}

/// A port just given up may be taken for a moment by a connection that is ending.
fn bind(address: SocketAddr) -> TcpListener {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        match TcpListener::bind(address) {
            Ok(listener) => return listener,
            Err(error) => assert!(Instant::now() < deadline, "{address} can be listened on: {error}"),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// One connection.
struct Session<'a> {
    shared: &'a Shared,
    number: usize,
    stream: BufReader<TcpStream>,
    /// Replies that wait for the end of a pipelined group.
    pending: Vec<u8>,
    sender: String,
    has_sender: bool,
    recipients: Vec<String>,
}

/// What a stage's fault leaves to do.
enum Next {
    /// The usual.
    Go,
    /// The fault's reply was given.
    Replied,
    /// To close without a reply, and before that to take the message.
    Close { takes: bool },
}

impl<'a> Session<'a> {
    fn run(stream: TcpStream, shared: &'a Shared) {
        let _ = stream.set_nodelay(true);
        let Ok(copy) = stream.try_clone() else { return };
        let mut state = lock(shared);
        let number = state.sessions.len();
        state.sessions.push(Vec::new());
        state.open.push((number, copy));
        drop(state);
        shared.changed.notify_all();
        let mut session = Self {
            shared,
            number,
            stream: BufReader::with_capacity(64 * 1024, stream),
            pending: Vec::new(),
            sender: String::new(),
            has_sender: false,
            recipients: Vec::new(),
        };
        let _ = session.serve();
        let _ = session.flush();
        // What is still unread would turn the end into a reset, which may take the last reply with it.
        let stream = session.stream.get_mut();
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.set_read_timeout(Some(Duration::from_millis(200)));
        let _ = io::copy(stream, &mut io::sink());
        lock(shared).open.retain(|(open, _)| *open != number);
    }

    /// Until QUIT, a fault that closes, or an error.
    fn serve(&mut self) -> io::Result<()> {
        if !self.answer(Stage::Greeting, "220 sink.test ESMTP")? {
            return Ok(());
        }
        let mut line = Vec::new();
        loop {
            if self.stream.buffer().is_empty() {
                self.flush()?;
            }
            line.clear();
            self.stream.read_until(b'\n', &mut line)?;
            let Some(command) = line.strip_suffix(b"\r\n") else { return Ok(()) };
            let command = String::from_utf8_lossy(command).into_owned();
            lock(self.shared).sessions[self.number].push(command.clone());
            if !self.command(&command)? {
                return Ok(());
            }
        }
    }

    /// Whether the session goes on.
    fn command(&mut self, command: &str) -> io::Result<bool> {
        let verb = command.split([' ', ':']).next().unwrap_or("").to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" => {
                let hello = self.hello();
                self.answer(Stage::Hello, &hello)
            }
            "HELO" => self.answer(Stage::Hello, "250 sink.test"),
            "STARTTLS" => self.starttls(),
            "MAIL" => self.mail(path(command)),
            "RCPT" if !self.has_sender => self.reply("503 5.5.1 no sender").map(|()| true),
            "RCPT" => self.recipient(path(command)),
            "DATA" if self.recipients.is_empty() => self.reply("554 5.5.1 no recipients").map(|()| true),
            "DATA" => self.data(),
            "RSET" => {
                self.has_sender = false;
                self.recipients.clear();
                self.reply("250 2.0.0 ok").map(|()| true)
            }
            "QUIT" => self.reply("221 2.0.0 bye").map(|()| false),
            _ => self.reply("502 5.5.1 what").map(|()| true),
        }
    }

    /// There is no TLS here: after the 220 comes what is none. A reply of its fault may refuse before that.
    fn starttls(&mut self) -> io::Result<bool> {
        match self.fault(Stage::Tls)? {
            Next::Replied => return Ok(true),
            Next::Go => self.reply("220 2.0.0 go on")?,
            Next::Close { .. } => return Ok(false),
        }
        self.stream.read_exact(&mut [0; 1])?;
        self.reply("this is no TLS").map(|()| false)
    }

    fn hello(&self) -> String {
        let state = lock(self.shared);
        let mut lines = vec!["sink.test".to_owned()];
        lines.extend(state.extensions.iter().map(|extension| (*extension).to_owned()));
        if state.faults.iter().any(|(stage, _, times)| *stage == Stage::Tls && *times > 0) {
            lines.push("STARTTLS".to_owned());
        }
        let last = lines.len() - 1;
        let line = |(number, line): (usize, &String)| format!("250{}{line}", if number == last { ' ' } else { '-' });
        lines.iter().enumerate().map(line).collect::<Vec<_>>().join("\r\n")
    }

    fn mail(&mut self, sender: &str) -> io::Result<bool> {
        self.recipients.clear();
        sender.clone_into(&mut self.sender);
        let next = self.fault(Stage::Sender)?;
        self.has_sender = matches!(next, Next::Go);
        match next {
            Next::Go => self.reply("250 2.1.0 ok").map(|()| true),
            Next::Replied => Ok(true),
            Next::Close { .. } => Ok(false),
        }
    }

    fn recipient(&mut self, recipient: &str) -> io::Result<bool> {
        let key = recipient.to_ascii_lowercase();
        let refused = lock(self.shared).refused.iter().find(|(refused, _)| *refused == key).map(|(_, reply)| *reply);
        if let Some(reply) = refused {
            return self.reply(reply).map(|()| true);
        }
        match self.fault(Stage::Recipient)? {
            Next::Go => {
                self.recipients.push(recipient.to_owned());
                self.reply("250 2.1.5 ok").map(|()| true)
            }
            Next::Replied => Ok(true),
            Next::Close { .. } => Ok(false),
        }
    }

    fn data(&mut self) -> io::Result<bool> {
        match self.fault(Stage::Data)? {
            Next::Go => self.reply("354 go on")?,
            Next::Replied => return Ok(true),
            Next::Close { .. } => return Ok(false),
        }
        self.flush()?;
        let content = match self.fault(Stage::Content)? {
            Next::Close { .. } => {
                // In the middle of it.
                self.stream.read_exact(&mut [0; 1])?;
                return Ok(false);
            }
            Next::Go | Next::Replied => self.content()?,
        };
        self.has_sender = false;
        match self.fault(Stage::End)? {
            Next::Go => {
                // Written down before the reply: who has its 250 finds it here.
                self.take(content, true);
                let sent = self.reply("250 2.0.0 taken").and_then(|()| self.flush());
                if sent.is_err() {
                    let mut state = lock(self.shared);
                    let last = state.taken.iter_mut().rev().find(|taken| taken.session == self.number);
                    last.expect("it was just taken").is_answered = false;
                }
                sent.map(|()| true)
            }
            Next::Replied => {
                self.recipients.clear();
                Ok(true)
            }
            Next::Close { takes } => {
                if takes {
                    self.take(content, false);
                }
                Ok(false)
            }
        }
    }

    /// RFC 5321 §4.5.2, up to the end of data.
    fn content(&mut self) -> io::Result<Vec<u8>> {
        let pace = lock(self.shared).faults.iter().find_map(|(stage, fault, _)| match fault {
            Fault::Delay(pace) if *stage == Stage::Content => Some(*pace),
            _ => None,
        });
        let mut content = Vec::new();
        let mut paused_at = 0;
        loop {
            let start = content.len();
            self.stream.read_until(b'\n', &mut content)?;
            match &content[start..] {
                b".\r\n" => {
                    content.truncate(start);
                    return Ok(content);
                }
                [b'.', ..] => drop(content.remove(start)),
                line if !line.ends_with(b"\n") => return Err(io::ErrorKind::UnexpectedEof.into()),
                _ => {}
            }
            if let Some(pace) = pace
                && content.len() > paused_at + 1024
            {
                paused_at = content.len();
                std::thread::sleep(pace);
            }
        }
    }

    fn take(&mut self, content: Vec<u8>, is_answered: bool) {
        let (message_id, digest) = facts(&content);
        let mut state = lock(self.shared);
        let content = if state.keeps_content { content } else { Vec::new() };
        state.taken.push(Taken {
            session: self.number,
            sender: self.sender.clone(),
            recipients: std::mem::take(&mut self.recipients),
            message_id,
            digest,
            content,
            is_answered,
            at: Instant::now(),
        });
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Gives `usual`, or what the fault of `stage` says. Whether the session goes on.
    fn answer(&mut self, stage: Stage, usual: &str) -> io::Result<bool> {
        match self.fault(stage)? {
            Next::Go => self.reply(usual).map(|()| true),
            Next::Replied => Ok(true),
            Next::Close { .. } => Ok(false),
        }
    }

    fn fault(&mut self, stage: Stage) -> io::Result<Next> {
        let fault = {
            let mut state = lock(self.shared);
            let Some(at) = state.faults.iter().position(|(at, _, times)| *at == stage && *times > 0) else {
                return Ok(Next::Go);
            };
            let (_, fault, times) = &mut state.faults[at];
            if *times != ALWAYS {
                *times -= 1;
            }
            fault.clone()
        };
        match fault {
            Fault::Reply(reply) => {
                self.reply(reply)?;
                // RFC 5321 §3.8: after 421, and after a greeting that refuses, nothing more is to be said.
                Ok(if reply.starts_with("421") { Next::Close { takes: false } } else { Next::Replied })
            }
            Fault::Drop => Ok(Next::Close { takes: false }),
            Fault::TakeAndDrop => Ok(Next::Close { takes: true }),
            Fault::Delay(_) if stage == Stage::Content => Ok(Next::Go),
            Fault::Delay(delay) => {
                self.flush()?;
                std::thread::sleep(delay);
                Ok(Next::Go)
            }
            Fault::Hang => {
                self.flush()?;
                io::copy(&mut self.stream, &mut io::sink())?;
                Ok(Next::Close { takes: false })
            }
        }
    }

    fn reply(&mut self, reply: &str) -> io::Result<()> {
        self.pending.extend_from_slice(reply.as_bytes());
        self.pending.extend_from_slice(b"\r\n");
        if self.stream.buffer().is_empty() { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        let pending = std::mem::take(&mut self.pending);
        self.stream.get_mut().write_all(&pending)
    }
}

/// What is between the angle brackets of MAIL or RCPT.
fn path(command: &str) -> &str {
    let inner = command.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inner.map_or("", |(path, _)| path)
}

/// The Message-ID, and the digest from the Date field on.
fn facts(content: &[u8]) -> (String, [u8; 32]) {
    let head_end = content.windows(4).position(|window| window == b"\r\n\r\n").map_or(content.len(), |at| at + 2);
    let head = String::from_utf8_lossy(&content[..head_end]);
    let id = head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("Message-ID").then(|| value.trim().trim_matches(['<', '>']).to_owned())
    });
    let date = if content.starts_with(b"Date:") {
        0
    } else {
        content[..head_end].windows(7).position(|window| window == b"\r\nDate:").map_or(0, |at| at + 2)
    };
    (id.unwrap_or_default(), *blake3::hash(&content[date..]).as_bytes())
}
