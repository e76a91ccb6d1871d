//! SMTP senders that send until the server goes away, and what each knows of each message.

use std::io;
use std::net::SocketAddr;
use std::thread::JoinHandle;

use pillarbox::base::{Random, SeededRandom};

use crate::mails;
use crate::wire::{Reply, Smtp, stuff};

const SENDERS: u64 = 16;
const SIZE_BYTES_MIN: f64 = 1_000.0;
const SIZE_BYTES_MAX: f64 = 5_000_000.0;
/// Of one message.
pub const RECIPIENTS_MAX: u64 = 3;

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
    sender: String,
    seed: u64,
    size_bytes: usize,
}

impl Attempt {
    /// A small one that was never sent.
    #[cfg(test)]
    pub fn example(id: &str, recipients: &[&str]) -> Self {
        Self {
            id: id.to_owned(),
            recipients: recipients.iter().map(|&recipient| recipient.to_owned()).collect(),
            outcome: Outcome::Unknown,
            sender: "sender@load.test".to_owned(),
            seed: 1,
            size_bytes: 1000,
        }
    }

    /// The message as it was sent.
    pub fn content(&self) -> Vec<u8> {
        mails::of_size(&self.id, self.seed, self.size_bytes)
    }

    /// Sends it once more over `session`, and insists on 250.
    pub fn submit(&self, session: &mut Smtp) -> io::Result<()> {
        let recipients: Vec<&str> = self.recipients.iter().map(String::as_str).collect();
        session.submit(&self.sender, &recipients, &self.content())
    }
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
    /// Whom it goes to, one to [`RECIPIENTS_MAX`] of them each time.
    pub recipients: Vec<String>,
    /// The sender of all; `None`: each sender has an address of its own, elsewhere.
    pub sender: Option<String>,
    /// Octets of the largest.
    pub size_bytes_max: f64,
}

/// Senders at work.
pub struct Load {
    senders: Vec<JoinHandle<(Vec<Attempt>, Ended)>>,
}

impl Load {
    /// Connects sixteen senders to `smtp` and lets them send to `accounts`, which are addresses.
    pub fn start(smtp: SocketAddr, accounts: &[String], seed: u64) -> Self {
        // All are connected before the load counts as begun.
        let sessions = (0..SENDERS).map(|_| Smtp::connect(smtp).expect("the server greets a sender")).collect();
        Self::over(sessions, &Mix { recipients: accounts.to_vec(), sender: None, size_bytes_max: SIZE_BYTES_MAX }, seed)
    }

    /// Lets a sender send over each of `sessions`.
    pub fn over(sessions: Vec<Smtp>, mix: &Mix, seed: u64) -> Self {
        let senders = sessions.into_iter().zip(0..).map(|(session, sender)| {
            let mix = mix.clone();
            std::thread::spawn(move || send_until_the_end(session, &mix, sender, seed.wrapping_mul(31) + sender))
        });
        Self { senders: senders.collect() }
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

fn send_until_the_end(mut session: Smtp, mix: &Mix, sender: u64, seed: u64) -> (Vec<Attempt>, Ended) {
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
                attempt.outcome = Outcome::Acknowledged;
                attempts.push(attempt);
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
fn draw(random: &SeededRandom, mix: &Mix, sender: u64, number: u64) -> Attempt {
    let seed = random.next_u64();
    let exponent = (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
    let largest =
        if random.next_u64().is_multiple_of(10) { mix.size_bytes_max } else { mix.size_bytes_max.min(100_000.0) };
    let size_bytes = (SIZE_BYTES_MIN * (largest / SIZE_BYTES_MIN).powf(exponent)) as usize;
    let first = random.next_u64() as usize;
    let recipients = 1 + (random.next_u64() % RECIPIENTS_MAX) as usize;
    let all = &mix.recipients;
    let recipients = (0..recipients).map(|n| all[(first % all.len() + n) % all.len()].clone());
    Attempt {
        id: format!("{seed:016x}.{sender}.{number}"),
        recipients: recipients.collect(),
        outcome: Outcome::Unknown,
        sender: mix.sender.clone().unwrap_or_else(|| format!("sender{sender}@load.test")),
        seed,
        size_bytes,
    }
}
