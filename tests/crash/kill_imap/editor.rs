//! A session that has two mailboxes to itself and works in them until the server goes away.

use std::io;
use std::net::SocketAddr;

use pillarbox::base::{Random, SeededRandom};

use super::shelf::{Item, Seen, Shelf, modseq_of};
use crate::imap::{Answer, Imap, Value, item};
use crate::site::PASSWORD;

const NAMES: [&str; 2] = ["A", "B"];
const FLAGS: [&str; 5] = ["\\Seen", "\\Deleted", "\\Flagged", "$Forwarded", "work"];
/// Messages of a mailbox, above which it is thinned out.
const MESSAGES: usize = 60;
/// Octets of the largest message but one of twenty.
const SIZE_BYTES_MAX: u64 = 20_000;
/// Octets of the largest.
const LARGE_BYTES_MAX: u64 = 1_500_000;

/// Knows what is in its mailboxes, but for the command that was cut off.
pub struct Editor {
    user: String,
    random: SeededRandom,
    shelves: [Shelf; 2],
    /// What it is if the last command has happened.
    or_else: Option<[Shelf; 2]>,
    done: usize,
    number: u64,
}

/// What is known after a restart.
pub struct Verified {
    /// Commands that were answered since the last time.
    pub done: usize,
    /// One was cut off.
    pub undecided: bool,
    /// And it has happened.
    pub happened: bool,
}

impl Editor {
    /// Makes the mailboxes.
    pub fn new(imap: SocketAddr, user: String, seed: u64) -> Self {
        let mut session = Imap::login(imap, &user, PASSWORD).expect("an editor logs in");
        let shelves = NAMES.map(|name| Shelf::make(&mut session, name));
        Self { user, random: SeededRandom::new(seed), shelves, or_else: None, done: 0, number: 0 }
    }

    /// Works until the connection breaks.
    pub fn work_until_the_end(mut self, imap: SocketAddr) -> Self {
        let Ok(mut session) = Imap::login(imap, &self.user, PASSWORD) else { return self };
        loop {
            let from = self.below(2);
            let Ok(opened) = session.ok(&format!("SELECT {} (CONDSTORE)", NAMES[from])) else { return self };
            let (highest, shelf) = (opened.code_number("HIGHESTMODSEQ").unwrap_or_default(), &mut self.shelves[from]);
            assert!(highest >= shelf.highest, "{}: HIGHESTMODSEQ {highest} was {}", self.user, shelf.highest);
            shelf.highest = highest;
            for _ in 0..8 {
                if self.one(&mut session, from).is_err() {
                    return self;
                }
            }
        }
    }

    fn below(&self, limit: usize) -> usize {
        (self.random.next_u64() % limit as u64) as usize
    }

    /// Does one thing: the shelves are changed when it is answered with OK.
    fn one(&mut self, session: &mut Imap, from: usize) -> io::Result<()> {
        let mut after = self.shelves.clone();
        let crowded = self.shelves[from].items.len() > MESSAGES;
        let answer = match if crowded { 4 } else { self.below(6) } {
            0 | 1 => {
                let new: Vec<Item> = (0..=self.below(3)).map(|_| self.draw()).collect();
                let messages: Vec<(String, Vec<u8>)> = new
                    .iter()
                    .map(|item| {
                        (format!("({}) ", item.flags.iter().cloned().collect::<Vec<_>>().join(" ")), item.content())
                    })
                    .collect();
                let to = self.below(2);
                for item in new {
                    after[to].put(item);
                }
                self.or_else = Some(after.clone());
                let messages: Vec<(&str, &[u8])> =
                    messages.iter().map(|(options, content)| (options.as_str(), content.as_slice())).collect();
                session.append(NAMES[to], &messages)?
            }
            2 => {
                let Some((uids, set)) = self.pick(from) else { return Ok(()) };
                let flag = FLAGS[self.below(FLAGS.len())];
                let adds = self.below(3) > 0;
                for uid in uids {
                    let item = after[from].items.get_mut(&uid).expect("it was picked");
                    _ = if adds { item.flags.insert(flag.to_owned()) } else { item.flags.remove(flag) };
                    item.modseq = 0;
                }
                self.or_else = Some(after.clone());
                session.command(&format!("UID STORE {set} {}FLAGS ({flag})", if adds { '+' } else { '-' }))?
            }
            3 => {
                let Some((uids, set)) = self.pick(from) else { return Ok(()) };
                let (to, moves) = (1 - from, self.below(2) == 0);
                for uid in uids {
                    let item = after[from].items[&uid].clone();
                    after[to].put(item);
                    if moves {
                        after[from].items.remove(&uid);
                    }
                }
                self.or_else = Some(after.clone());
                session.command(&format!("UID {} {set} {}", if moves { "MOVE" } else { "COPY" }, NAMES[to]))?
            }
            4 => {
                // Half of them go.
                let gone: Vec<u32> = after[from].items.keys().copied().filter(|_| self.below(2) == 0).collect();
                if gone.is_empty() {
                    return Ok(());
                }
                let set = gone.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
                let mut marked = self.shelves.clone();
                for uid in &gone {
                    let item = marked[from].items.get_mut(uid).expect("it was picked");
                    item.flags.insert("\\Deleted".to_owned());
                    item.modseq = 0;
                }
                self.or_else = Some(marked.clone());
                let answer = session.command(&format!("UID STORE {set} +FLAGS.SILENT (\\Deleted)"))?;
                self.settle(&answer, from, marked)?;
                after = self.shelves.clone();
                after[from].items.retain(|uid, _| !gone.contains(uid));
                self.or_else = Some(after.clone());
                session.command(&format!("UID EXPUNGE {set}"))?
            }
            _ => {
                after[from].items.retain(|_, item| !item.flags.contains("\\Deleted"));
                self.or_else = Some(after.clone());
                session.command("EXPUNGE")?
            }
        };
        self.settle(&answer, from, after)
    }

    /// A command was answered: it has happened.
    fn settle(&mut self, answer: &Answer, from: usize, after: [Shelf; 2]) -> io::Result<()> {
        if answer.status.kind == "BYE" {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        assert_eq!(answer.status.kind, "OK", "{}: {:?}", self.user, answer.status);
        (self.shelves, self.or_else) = (after, None);
        self.done += 1;
        for (_, items) in answer.fetches() {
            // What was told is not taken back.
            let uid = item(items, "UID").and_then(Value::number).and_then(|uid| u32::try_from(uid).ok());
            let shelf = &mut self.shelves[from];
            if let (Some(modseq), Some(item)) = (modseq_of(items), uid.and_then(|uid| shelf.items.get_mut(&uid))) {
                assert!(item.modseq <= modseq, "{}: MODSEQ {modseq} was {}", self.user, item.modseq);
                item.modseq = modseq;
                shelf.highest = shelf.highest.max(modseq);
            }
        }
        Ok(())
    }

    fn draw(&mut self) -> Item {
        self.number += 1;
        let seed = self.random.next_u64();
        let limit = if self.below(20) == 0 { LARGE_BYTES_MAX } else { SIZE_BYTES_MAX };
        let size_bytes = 500 + (self.random.next_u64() % limit) as usize;
        let flags = FLAGS.iter().filter(|_| self.below(4) == 0).map(|flag| (*flag).to_owned()).collect();
        let id = format!("{seed:016x}.{}", self.number);
        Item { id, seed, size_bytes, flags, modseq: 0 }
    }

    /// Some messages, with the set that names them.
    fn pick(&self, from: usize) -> Option<(Vec<u32>, String)> {
        let uids: Vec<u32> = self.shelves[from].items.keys().copied().filter(|_| self.below(4) == 0).collect();
        let set = uids.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        (!uids.is_empty()).then_some((uids, set))
    }

    /// After a restart: the mailboxes are as the last answer left them, or as the command that was cut off would have.
    pub fn verify(&mut self, imap: SocketAddr) -> Verified {
        let mut session = Imap::login(imap, &self.user, PASSWORD).expect("an editor logs in again");
        let seen = NAMES.map(|name| Seen::look(&mut session, name));
        let compare = |shelves: &mut [Shelf; 2]| {
            let mut each = shelves.iter_mut().zip(&seen);
            each.try_for_each(|(shelf, seen)| shelf.differs(seen).map_err(|what| format!("{}: {what}", shelf.name)))
        };
        let mut before = self.shelves.clone();
        let first = compare(&mut before);
        let undecided = self.or_else.is_some();
        let mut happened = false;
        let verdict = match (first, self.or_else.take()) {
            (Ok(()), _) => {
                self.shelves = before;
                Ok(())
            }
            (Err(first), None) => Err(first),
            (Err(first), Some(mut after)) => match compare(&mut after) {
                Ok(()) => {
                    (self.shelves, happened) = (after, true);
                    Ok(())
                }
                Err(second) => Err(format!("neither as before ({first}) nor as after ({second})")),
            },
        };
        verdict.unwrap_or_else(|what| panic!("{} after a kill: {what}", self.user));
        Verified { done: std::mem::take(&mut self.done), undecided, happened }
    }
}
