//! SMTP senders that send until the server goes away, and what each knows of each message.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pillarbox::base::{Random, SeededRandom};

use crate::mails;
use crate::wire::{Reply, Smtp, stuff};

const SENDERS: u64 = 16;
const SIZE_BYTES_MIN: f64 = 1_000.0;
/// Octets of the largest message of a load.
pub const SIZE_BYTES_MAX: f64 = 5_000_000.0;
/// Of one message, where a load says nothing else.
pub const RECIPIENTS_MAX: u64 = 3;
/// How long a few messages may take; what is slower is a fault.
const ACKNOWLEDGE_LIMIT: Duration = Duration::from_secs(60);
/// One in so many messages may be as large as the largest. What a check has to read is for the most part theirs.
const LARGE_ONE_IN: u64 = 25;
/// Octets of a line of a body, with its end.
const LINE_BYTES: usize = 78;

/// Lines that bodies are cut from: to draw each octet of each message would take longer than to send it.
static LINES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let message = mails::of_size("lines", 1, SIZE_BYTES_MAX as usize);
    let body = message.windows(4).position(|window| window == b"\r\n\r\n").expect("a blank line") + 4;
    let whole = (message.len() - body) / LINE_BYTES * LINE_BYTES;
    message[body..body + whole].to_vec()
});

/// What a sender knows of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It has the 250.
    Acknowledged,
    /// All or a part of it was sent and no reply came.
    Unknown,
}

/// How a sender's session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// With 421.
    ServiceClosing,
    /// By a closed connection while a message was being sent.
    InContent,
    /// By a closed connection otherwise.
    Closed,
}

/// One message that was sent at least in part. The content is made again from the seed when it is needed.
pub struct Attempt {
    /// The local part of its Message-ID, which nothing else has.
    pub id: String,
    /// Where it is for.
    pub recipients: Vec<String>,
    /// What the sender knows.
    pub outcome: Outcome,
    /// Since when.
    pub known_at: Instant,
    /// The id that the server's 250 gave it, once there was one.
    pub server_id: Option<String>,
    /// Octets.
    pub length: usize,
    /// Of the content.
    pub digest: [u8; 32],
    sender: String,
    seed: u64,
    size_bytes: usize,
}

impl Attempt {
    fn new(id: String, sender: String, recipients: Vec<String>, seed: u64, size_bytes: usize) -> Self {
        let (outcome, server_id, length, digest) = (Outcome::Unknown, None, 0, [0; 32]);
        let known_at = Instant::now();
        let mut attempt =
            Self { id, recipients, outcome, known_at, server_id, length, digest, sender, seed, size_bytes };
        let content = attempt.content();
        (attempt.length, attempt.digest) = (content.len(), *blake3::hash(&content).as_bytes());
        attempt
    }

    /// A small one that was never sent.
    #[cfg(test)]
    pub fn example(id: &str, recipients: &[&str]) -> Self {
        let recipients = recipients.iter().map(|&recipient| recipient.to_owned()).collect();
        Self::new(id.to_owned(), "sender@load.test".to_owned(), recipients, 1, 1000)
    }

    /// The message as it was sent. It has every field that a submission server may add, so that there is nothing to
    /// add.
    pub fn content(&self) -> Vec<u8> {
        let Self { id, sender, seed, size_bytes, .. } = self;
        let mut content = format!(
            "Date: Thu, 01 Jan 2026 12:00:00 +0000\r\nFrom: <{sender}>\r\nTo: Bob <bob@example.test>\r\n\
             Subject: {id}\r\n\twith a folded line\r\nMessage-ID: <{id}@example.test>\r\nMIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n{seed:016x}\r\n"
        )
        .into_bytes();
        let lines = LINES.len() / LINE_BYTES;
        let (mut from, mut left) =
            ((*seed as usize % lines) * LINE_BYTES, size_bytes.saturating_sub(content.len()).div_ceil(LINE_BYTES));
        while left > 0 {
            let count = left.min((LINES.len() - from) / LINE_BYTES);
            content.extend_from_slice(&LINES[from..from + count * LINE_BYTES]);
            (from, left) = (0, left - count);
        }
        content
    }

    /// Whether a message as it was read ends with all of this one, and with nothing behind it.
    pub fn is_whole_in(&self, read: &[u8]) -> bool {
        read.len() >= self.length && *blake3::hash(&read[read.len() - self.length..]).as_bytes() == self.digest
    }

    /// Sends it once more over `session`, and insists on 250.
    pub fn submit(&self, session: &mut Smtp) -> io::Result<()> {
        let reply = self.offer(session)?;
        if reply.code == 250 { Ok(()) } else { Err(io::Error::other(format!("250 expected, not {}", reply.text))) }
    }

    /// Sends it once more over `session`, insists on 250, and takes note of the id in it.
    pub fn send_again(&mut self, session: &mut Smtp) -> io::Result<()> {
        let reply = self.offer(session)?;
        self.server_id = Some(server_id(&reply)?);
        Ok(())
    }

    fn offer(&self, session: &mut Smtp) -> io::Result<Reply> {
        let recipients: Vec<&str> = self.recipients.iter().map(String::as_str).collect();
        match session.envelope(&self.sender, &recipients)? {
            reply if reply.code == 354 => session.message(&stuff(&self.content())),
            reply => Ok(reply),
        }
    }

    /// Its sender.
    pub fn sender(&self) -> &str {
        &self.sender
    }
}

/// The id that the server gives a message that it has taken.
fn server_id(reply: &Reply) -> io::Result<String> {
    let id = reply.text.split(' ').find(|word| reply.code == 250 && word.starts_with("m_"));
    id.map(str::to_owned).ok_or_else(|| io::Error::other(format!("250 and an id expected, not {}", reply.text)))
}

/// The [`Attempt::id`] of a message of the load as it was read.
pub fn id_of(content: &[u8]) -> String {
    let head = String::from_utf8_lossy(&content[..content.len().min(4096)]);
    let id = head.lines().find_map(|line| line.strip_prefix("Message-ID: <")?.strip_suffix("@example.test>"));
    id.unwrap_or_else(|| panic!("a Message-ID in {head:?}")).to_owned()
}

/// What the senders of a load send.
#[derive(Clone)]
pub struct Mix {
    /// Whom it goes to, one to [`Mix::recipients_max`] of them each time.
    pub recipients: Vec<String>,
    /// Recipients of one message.
    pub recipients_max: u64,
    /// The sender of all; `None`: each sender has an address of its own, elsewhere.
    pub sender: Option<String>,
    /// Octets of the largest.
    pub size_bytes_max: f64,
}

/// Senders at work.
pub struct Load {
    senders: Vec<JoinHandle<(Vec<Attempt>, Ended)>>,
    acknowledged: Arc<AtomicUsize>,
}

impl Load {
    /// Connects sixteen senders to `smtp` and lets them send to `accounts`, which are addresses.
    pub fn start(smtp: SocketAddr, accounts: &[String], seed: u64) -> Self {
        Self::start_with_rests(smtp, accounts, seed, Duration::ZERO)
    }

    /// As [`Load::start`], where each sender rests between two messages.
    pub fn start_with_rests(smtp: SocketAddr, accounts: &[String], seed: u64, rest: Duration) -> Self {
        // All are connected before the load counts as begun.
        let sessions = (0..SENDERS).map(|_| Smtp::connect(smtp).expect("the server greets a sender")).collect();
        let (recipients, recipients_max) = (accounts.to_vec(), RECIPIENTS_MAX);
        let mix = Mix { recipients, recipients_max, sender: None, size_bytes_max: SIZE_BYTES_MAX };
        Self::with_rests(sessions, &mix, seed, rest)
    }

    /// Lets a sender send over each of `sessions`.
    pub fn over(sessions: Vec<Smtp>, mix: &Mix, seed: u64) -> Self {
        Self::with_rests(sessions, mix, seed, Duration::ZERO)
    }

    fn with_rests(sessions: Vec<Smtp>, mix: &Mix, seed: u64, rest: Duration) -> Self {
        let acknowledged = Arc::new(AtomicUsize::new(0));
        let senders = sessions.into_iter().zip(0..).map(|(session, sender)| {
            let (mix, told) = (mix.clone(), Arc::clone(&acknowledged));
            let seed = seed.wrapping_mul(31) + sender;
            std::thread::spawn(move || send_until_the_end(session, &mix, (sender, seed), rest, &told))
        });
        Self { senders: senders.collect(), acknowledged }
    }

    /// Counts the senders of another load as its own.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.senders.extend(other.senders);
        self
    }

    /// Waits until so many messages are acknowledged to the senders that it began with.
    pub fn wait_for(&self, acknowledged: usize) {
        let deadline = Instant::now() + ACKNOWLEDGE_LIMIT;
        while self.acknowledged.load(Ordering::Relaxed) < acknowledged {
            assert!(Instant::now() < deadline, "{acknowledged} messages are acknowledged");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until every sender's session has ended, and returns what they sent.
    pub fn finish(self) -> Vec<Attempt> {
        self.finish_with_ends().0
    }

    /// As [`Load::finish`], with the end of each session.
    pub fn finish_with_ends(self) -> (Vec<Attempt>, Vec<Ended>) {
        let (mut attempts, mut ends) = (Vec::new(), Vec::new());
        for sender in self.senders {
            let (sent, end) = sender.join().expect("a sender does not panic");
            attempts.extend(sent);
            ends.push(end);
        }
        (attempts, ends)
    }
}

fn send_until_the_end(
    mut session: Smtp,
    mix: &Mix,
    (sender, seed): (u64, u64),
    rest: Duration,
    acknowledged: &AtomicUsize,
) -> (Vec<Attempt>, Ended) {
    let random = SeededRandom::new(seed);
    let mut attempts = Vec::new();
    for number in 0.. {
        let mut attempt = draw(&random, mix, sender, number);
        let stuffed = stuff(&attempt.content());
        let recipients: Vec<&str> = attempt.recipients.iter().map(String::as_str).collect();
        match session.envelope(&attempt.sender, &recipients) {
            Ok(reply) if reply.code == 354 => {}
            Ok(reply) => return (attempts, end_by(&reply)),
            Err(_) => return (attempts, Ended::Closed),
        }
        match session.message(&stuffed) {
            Ok(reply) if reply.code == 250 => {
                (attempt.outcome, attempt.known_at) = (Outcome::Acknowledged, Instant::now());
                attempt.server_id = Some(server_id(&reply).expect("a 250 has an id"));
                attempts.push(attempt);
                acknowledged.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(rest);
            }
            // A refused message must not be there, but it may be sent again like one that got no reply.
            Ok(reply) => {
                attempts.push(attempt);
                return (attempts, end_by(&reply));
            }
            Err(_) => {
                attempts.push(attempt);
                return (attempts, Ended::InContent);
            }
        }
    }
    unreachable!("a load ends with its server")
}

fn end_by(reply: &Reply) -> Ended {
    assert_eq!(reply.code, 421, "a load is refused only when the service closes: {}", reply.text);
    Ended::ServiceClosing
}

/// The next message: most are small, as mail is, and sizes spread evenly over their logarithm.
pub fn draw(random: &SeededRandom, mix: &Mix, sender: u64, number: u64) -> Attempt {
    let seed = random.next_u64();
    let exponent = (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
    let largest = if random.next_u64().is_multiple_of(LARGE_ONE_IN) {
        mix.size_bytes_max
    } else {
        mix.size_bytes_max.min(100_000.0)
    };
    let size_bytes = (SIZE_BYTES_MIN * (largest / SIZE_BYTES_MIN).powf(exponent)) as usize;
    let first = random.next_u64() as usize;
    let all = &mix.recipients;
    let recipients = (1 + (random.next_u64() % mix.recipients_max) as usize).min(all.len());
    let recipients = (0..recipients).map(|n| all[(first % all.len() + n) % all.len()].clone()).collect();
    let from = mix.sender.clone().unwrap_or_else(|| format!("sender{sender}@load.test"));
    Attempt::new(format!("{seed:016x}.{sender}.{number}"), from, recipients, seed, size_bytes)
}
