//! What is measured, each by one function that leaves the mailbox as it was.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::imap::Imap;
use crate::mails::Mail;
use crate::site::PASSWORD;
use crate::table::median;
use crate::{Contender, IDLERS, USER, processes};

/// One row of the table.
pub struct Measure {
    /// Its name there.
    pub name: &'static str,
    /// The unit of its values.
    pub unit: &'static str,
    /// Whether a higher value is better.
    pub more_is_better: bool,
    /// Whether it is measured in one round only.
    pub once: bool,
    /// Measures it.
    pub run: fn(&Contender) -> f64,
}

const fn ms(name: &'static str, run: fn(&Contender) -> f64) -> Measure {
    Measure { name, unit: "ms", more_is_better: false, once: false, run }
}

/// All of them.
pub const MEASURES: &[Measure] = &[
    ms("SELECT on a new connection", select_fresh),
    ms("SELECT while it is open elsewhere", select_warm),
    ms("FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)", |at| {
        fetch(at, "UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE")
    }),
    ms("FETCH 1:* (FLAGS)", |at| fetch(at, "FLAGS")),
    ms("FETCH 1:* (UID RFC822.SIZE BODYSTRUCTURE)", |at| fetch(at, "UID RFC822.SIZE BODYSTRUCTURE")),
    ms("FETCH 1:* (BODY.PEEK[HEADER.FIELDS (…)]), 6 fields", |at| {
        fetch(at, "BODY.PEEK[HEADER.FIELDS (DATE FROM TO SUBJECT MESSAGE-ID REFERENCES)]")
    }),
    ms("FETCH 1:* (BODY.PEEK[HEADER])", |at| fetch(at, "BODY.PEEK[HEADER]")),
    ms("FETCH 1:* (BODY.PEEK[])", |at| fetch(at, "BODY.PEEK[]")),
    ms("SEARCH UNSEEN", |at| search(at, "UNSEEN")),
    ms("SEARCH SUBJECT", |at| search(at, "SUBJECT \"spam\"")),
    ms("SEARCH BODY", |at| search(at, "BODY \"unlikely words\"")),
    ms("STORE 1:* ±FLAGS.SILENT", |at| store(at, ".SILENT")),
    ms("STORE 1:* ±FLAGS", |at| store(at, "")),
    ms("STORE of one message", store_single),
    ms("COPY of 1,000", |at| copy_and_expunge(at).0),
    ms("EXPUNGE of 1,000", |at| copy_and_expunge(at).1),
    ms("MOVE of 1,000", move_there_and_back),
    Measure {
        name: "APPEND of 4 KiB, 1 connection",
        unit: "/s",
        more_is_better: true,
        once: false,
        run: |at| append(at, 1),
    },
    Measure {
        name: "APPEND of 4 KiB, 8 connections",
        unit: "/s",
        more_is_better: true,
        once: false,
        run: |at| append(at, 8),
    },
    ms("from APPEND to EXISTS in another session's IDLE", idle_latency),
    Measure {
        name: "memory of the server with 1,000 idle sessions, PSS",
        unit: "MB",
        more_is_better: false,
        once: true,
        run: |at| idle_memory(at).0,
    },
    Measure {
        name: "the same, RSS summed",
        unit: "MB",
        more_is_better: false,
        once: true,
        run: |at| idle_memory(at).1,
    },
];

/// Octets of messages in one APPEND.
const APPEND_BYTES: usize = 1024 * 1024;
/// How long one measure of APPEND takes.
const APPEND_SECONDS: f64 = 2.0;
/// Single STOREs of a round.
const SINGLES: usize = 50;
/// Messages of which an idling session is told in a round.
const TOLD: usize = 10;
/// Sessions that idle.
const SESSIONS: usize = 1000;
/// Messages of an idling account.
const IDLE_MESSAGES: usize = 100;

fn login(at: &Contender, user: &str) -> Imap {
    Imap::login(at.address(), user, PASSWORD).expect("a session logs in")
}

/// Puts the mails into INBOX.
pub fn fill(at: &Contender, mails: &[Mail]) {
    let mut session = login(at, USER);
    let mut rest = mails;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fitting = rest.iter().take(100).take_while(|mail| {
            bytes += mail.content.len();
            bytes <= APPEND_BYTES
        });
        let (now, later) = rest.split_at(fitting.count().max(1));
        let messages: Vec<(&str, &[u8])> = now.iter().map(|mail| ("", mail.content.as_slice())).collect();
        let answer = session.append("INBOX", &messages).expect("APPEND answers");
        assert_eq!(answer.status.kind, "OK", "{:?}", answer.status);
        rest = later;
    }
    for name in ["Target", "Sink"] {
        session.ok(&format!("CREATE {name}")).expect("a mailbox is made");
    }
}

/// A message of 4 KiB.
fn small(number: usize) -> Vec<u8> {
    let mut message = format!(
        "Date: Thu, 01 Jan 2026 12:00:00 +0000\r\nFrom: <sender@elsewhere.test>\r\nTo: <bench@example.test>\r\n\
         Subject: number {number}\r\nMessage-ID: <{number}@bench.test>\r\n\r\n"
    )
    .into_bytes();
    let mut line = 0;
    while message.len() < 4096 {
        message.extend_from_slice(format!("Line {line} of message {number}, with some words in it.\r\n").as_bytes());
        line += 1;
    }
    message
}

/// Sends a command and waits for its end: milliseconds.
fn timed(session: &mut Imap, command: &str) -> f64 {
    let began = Instant::now();
    let tag = session.begin(command).expect("the command is sent");
    let (_, end) = session.drain(&tag).expect("the command is answered");
    let elapsed = began.elapsed().as_secs_f64() * 1000.0;
    assert!(end.starts_with(&format!("{tag} OK")), "{command}: {end}");
    elapsed
}

fn select_fresh(at: &Contender) -> f64 {
    let each = (0..5).map(|_| {
        let mut session = login(at, USER);
        let elapsed = timed(&mut session, "SELECT INBOX");
        session.ok("LOGOUT").expect("LOGOUT answers");
        elapsed
    });
    median(each.collect())
}

fn select_warm(at: &Contender) -> f64 {
    let mut holder = login(at, USER);
    timed(&mut holder, "SELECT INBOX");
    let mut session = login(at, USER);
    timed(&mut session, "SELECT INBOX");
    median((0..5).map(|_| timed(&mut session, "SELECT INBOX")).collect())
}

fn opened(at: &Contender) -> Imap {
    let mut session = login(at, USER);
    timed(&mut session, "SELECT INBOX");
    session
}

fn fetch(at: &Contender, items: &str) -> f64 {
    timed(&mut opened(at), &format!("FETCH 1:* ({items})"))
}

fn search(at: &Contender, key: &str) -> f64 {
    timed(&mut opened(at), &format!("SEARCH {key}"))
}

fn store(at: &Contender, silent: &str) -> f64 {
    let mut session = opened(at);
    let set = timed(&mut session, &format!("STORE 1:* +FLAGS{silent} (\\Flagged)"));
    let unset = timed(&mut session, &format!("STORE 1:* -FLAGS{silent} (\\Flagged)"));
    f64::midpoint(set, unset)
}

fn store_single(at: &Contender) -> f64 {
    let mut session = opened(at);
    let sign = |number: usize| if number.is_multiple_of(2) { '+' } else { '-' };
    let each = (0..SINGLES).map(|number| {
        timed(&mut session, &format!("STORE {} {}FLAGS (\\Answered)", number / 2 * 37 + 1, sign(number)))
    });
    median(each.collect())
}

/// COPY of 1,000 into an empty mailbox, and EXPUNGE of them there.
fn copy_and_expunge(at: &Contender) -> (f64, f64) {
    let mut session = opened(at);
    let copy = timed(&mut session, "COPY 1:1000 Target");
    timed(&mut session, "SELECT Target");
    timed(&mut session, "STORE 1:* +FLAGS.SILENT (\\Deleted)");
    let expunge = timed(&mut session, "EXPUNGE");
    (copy, expunge)
}

fn move_there_and_back(at: &Contender) -> f64 {
    let mut session = opened(at);
    timed(&mut session, "COPY 1:1000 Target");
    timed(&mut session, "SELECT Target");
    let elapsed = timed(&mut session, "MOVE 1:* Sink");
    empty(&mut session, "Sink");
    elapsed
}

fn empty(session: &mut Imap, name: &str) {
    timed(session, &format!("SELECT {name}"));
    timed(session, "STORE 1:* +FLAGS.SILENT (\\Deleted)");
    timed(session, "EXPUNGE");
}

/// Messages a second.
fn append(at: &Contender, connections: usize) -> f64 {
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    let start = Barrier::new(connections + 1);
    let (done, elapsed) = std::thread::scope(|scope| {
        let sessions: Vec<_> = (0..connections)
            .map(|_| {
                let start = &start;
                scope.spawn(move || {
                    let mut session = login(at, USER);
                    start.wait();
                    let deadline = Instant::now() + Duration::from_secs_f64(APPEND_SECONDS);
                    let mut done = 0;
                    while Instant::now() < deadline {
                        let message = small(NEXT.fetch_add(1, Ordering::Relaxed));
                        let answer = session.append("Sink", &[("", &message)]).expect("APPEND answers");
                        assert_eq!(answer.status.kind, "OK", "{:?}", answer.status);
                        done += 1;
                    }
                    done
                })
            })
            .collect();
        start.wait();
        let began = Instant::now();
        let done: usize = sessions.into_iter().map(|session| session.join().expect("a session does not fail")).sum();
        (done, began.elapsed().as_secs_f64())
    });
    empty(&mut login(at, USER), "Sink");
    done as f64 / elapsed
}

/// Milliseconds from the first octet of APPEND until a session that idles in the mailbox is told.
fn idle_latency(at: &Contender) -> f64 {
    let mut idler = login(at, USER);
    timed(&mut idler, "SELECT Sink");
    let tag = idler.begin("IDLE").expect("IDLE is sent");
    idler.response().expect("IDLE goes on");
    let mut sender = login(at, USER);
    let mut each = Vec::new();
    for number in 0..TOLD {
        let message = small(number);
        let began = Instant::now();
        let told = std::thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                while idler.response().expect("the idler is told").counted("EXISTS").is_none() {}
                Instant::now()
            });
            sender.append("Sink", &[("", &message)]).expect("APPEND answers");
            waiter.join().expect("the idler is told")
        });
        each.push((told - began).as_secs_f64() * 1000.0);
    }
    idler.write(b"DONE\r\n").expect("DONE is sent");
    idler.end(&tag).expect("DONE is answered");
    empty(&mut idler, "Sink");
    median(each)
}

/// The memory of a server of which 1,000 sessions idle in 100 mailboxes, and which has done nothing else since it was
/// filled, in MB: PSS and RSS.
fn idle_memory(at: &Contender) -> (f64, f64) {
    let at = &at.fresh();
    let message = small(0);
    for number in 0..IDLERS {
        let mut session = login(at, &format!("idle{number}@example.test"));
        let messages = vec![("", message.as_slice()); IDLE_MESSAGES];
        let answer = session.append("INBOX", &messages).expect("APPEND answers");
        assert_eq!(answer.status.kind, "OK", "{:?}", answer.status);
    }
    let sessions: Vec<Imap> = (0..SESSIONS)
        .map(|number| {
            let mut session = login(at, &format!("idle{}@example.test", number % IDLERS));
            timed(&mut session, "SELECT INBOX");
            session.begin("IDLE").expect("IDLE is sent");
            session.response().expect("IDLE goes on");
            session
        })
        .collect();
    let memory = processes::memory(&at.roots());
    drop(sessions);
    (memory.pss_mb, memory.rss_mb)
}
