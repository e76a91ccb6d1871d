//! An IMAP session that puts messages into a mailbox until the server goes away.

use std::net::SocketAddr;
use std::thread::JoinHandle;

use pillarbox::base::SeededRandom;

use super::load::{self, Attempt, Mix, Outcome, SIZE_BYTES_MAX};
use crate::imap::Imap;
use crate::site::PASSWORD;

/// Where it puts them.
pub const MAILBOX: &str = "Sent";

/// One at work.
pub struct Appender(JoinHandle<Vec<Attempt>>);

impl Appender {
    /// Logs in as `user`, whose mailbox it is, and begins when all are there: `session` is ready.
    pub fn start(session: Imap, user: &str, seed: u64) -> Self {
        let mix = Mix {
            recipients: vec![user.to_owned()],
            recipients_max: 1,
            sender: Some(user.to_owned()),
            size_bytes_max: SIZE_BYTES_MAX,
        };
        Self(std::thread::spawn(move || append_until_the_end(session, &mix, seed)))
    }

    /// A session for one.
    pub fn log_in(imap: SocketAddr, user: &str) -> Imap {
        Imap::login(imap, user, PASSWORD).expect("an appender logs in")
    }

    /// What it has put there, or begun to.
    pub fn finish(self) -> Vec<Attempt> {
        self.0.join().expect("an appender does not panic")
    }
}

fn append_until_the_end(mut session: Imap, mix: &Mix, seed: u64) -> Vec<Attempt> {
    let random = SeededRandom::new(seed);
    let mut attempts = Vec::new();
    for number in 0.. {
        let mut attempt = load::draw(&random, mix, 0, number);
        let answer = session.append(MAILBOX, &[("(\\Seen) ", &attempt.content())]);
        match answer {
            Ok(answer) if answer.status.kind == "OK" => {
                assert!(answer.code("APPENDUID").is_some(), "OK says under which UID it is: {answer:?}");
                attempt.outcome = Outcome::Acknowledged;
                attempts.push(attempt);
            }
            Ok(answer) => {
                assert_eq!(answer.status.kind, "BYE", "an APPEND is refused only when the server ends: {answer:?}");
                attempts.push(attempt);
                return attempts;
            }
            Err(_) => {
                attempts.push(attempt);
                return attempts;
            }
        }
    }
    unreachable!("a load ends with its server")
}
