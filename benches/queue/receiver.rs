//! The server that the mail goes to: the sink of the tests, or Postfix's smtp-sink.

use std::collections::BTreeSet;
use std::io::Read;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver as Channel, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::sink::Sink;

/// A server that is down until [`Receiver::up`].
pub enum Receiver {
    /// Writes down what it takes.
    Own(Sink),
    /// Only counts.
    SmtpSink { address: SocketAddr, running: Option<Running> },
}

/// A running smtp-sink.
pub struct Running {
    child: Child,
    /// What it has said of itself: sessions, messages, and when.
    counts: Channel<(usize, usize, Instant)>,
    last: (usize, usize, Instant),
}

impl Receiver {
    /// One that is down. `address` has a port.
    pub fn held(address: &str, is_smtp_sink: bool) -> Self {
        if !is_smtp_sink {
            return Self::Own(Sink::held(address, false));
        }
        Self::SmtpSink { address: address.parse().expect("an address with a port"), running: None }
    }

    /// Listens.
    pub fn up(&mut self) {
        match self {
            Self::Own(sink) => sink.up(),
            Self::SmtpSink { address, running } => *running = Some(Running::start(*address)),
        }
    }

    /// When the last of so many messages came. No more have come by then, and where they are written down each once.
    pub fn wait_for(&mut self, messages: usize, limit: Duration) -> Instant {
        match self {
            Self::Own(sink) => {
                let taken = sink.wait_for(messages, limit);
                let ids: BTreeSet<&str> = taken.iter().map(|taken| taken.message_id.as_str()).collect();
                assert_eq!((ids.len(), taken.len()), (messages, messages), "each message once");
                taken.iter().map(|taken| taken.at).max().expect("a message")
            }
            Self::SmtpSink { running, .. } => {
                let running = running.as_mut().expect("it is up");
                let deadline = Instant::now() + limit;
                while running.last.1 < messages {
                    let left = deadline.saturating_duration_since(Instant::now());
                    running.hear(left).unwrap_or_else(|_| panic!("{messages} messages within {limit:?}"));
                }
                running.last.2
            }
        }
    }

    /// How many messages, and over how many connections.
    pub fn totals(&mut self) -> (usize, usize) {
        match self {
            Self::Own(sink) => {
                let sessions = sink.sessions();
                (sink.count(), sessions.iter().filter(|commands| !commands.is_empty()).count())
            }
            Self::SmtpSink { running, .. } => {
                let running = running.as_mut().expect("it is up");
                while running.hear(Duration::ZERO).is_ok() {}
                (running.last.1, running.last.0)
            }
        }
    }
}

impl Running {
    fn start(address: SocketAddr) -> Self {
        let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
        let mut child = Command::new("smtp-sink")
            // As root it wants to be somebody else.
            .args(["-c", "-u", "nobody", &address.to_string(), "1000"])
            .env("PATH", path)
            .stdout(Stdio::piped())
            .spawn()
            .expect("smtp-sink starts (package postfix)");
        // A flush that finds nobody there is followed by the destination's pause, which is not what is measured.
        let deadline = Instant::now() + Duration::from_secs(10);
        while !is_listening(address) {
            assert!(Instant::now() < deadline, "smtp-sink listens");
            std::thread::sleep(Duration::from_millis(5));
        }
        let mut said = child.stdout.take().expect("its output");
        let (sender, counts) = mpsc::channel();
        std::thread::spawn(move || {
            let (mut buffer, mut line) = ([0; 4096], String::new());
            while let Ok(count @ 1..) = said.read(&mut buffer) {
                let at = Instant::now();
                for byte in &buffer[..count] {
                    if *byte != b'\r' {
                        line.push(char::from(*byte));
                    } else if let Some((sessions, messages)) = read(&std::mem::take(&mut line)) {
                        let _ = sender.send((sessions, messages, at));
                    }
                }
            }
        });
        Self { child, counts, last: (0, 0, Instant::now()) }
    }

    fn hear(&mut self, within: Duration) -> Result<(), RecvTimeoutError> {
        self.last = self.counts.recv_timeout(within)?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether somebody listens there, asked of the kernel: a connection would be counted as a session.
fn is_listening(address: SocketAddr) -> bool {
    let SocketAddr::V4(address) = address else { panic!("an IPv4 address") };
    // The address's bytes as they lie in memory, the port, and the state LISTEN (proc_pid_net(5)).
    let local = format!("{:08X}:{:04X}", u32::from_ne_bytes(address.ip().octets()), address.port());
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the kernel's table");
    table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .any(|fields| fields.get(1) == Some(&local.as_str()) && fields.get(3) == Some(&"0A"))
}

/// Sessions and messages, of a line as in `sess=2 quit=1 mesg=17`.
fn read(line: &str) -> Option<(usize, usize)> {
    let of = |name: &str| line.split(' ').find_map(|word| word.strip_prefix(name)?.parse().ok());
    Some((of("sess=")?, of("mesg=")?))
}
