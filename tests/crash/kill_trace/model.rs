//! What is true, without a server.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Who gets mail, and what their servers say.
pub const LOCALS: [&str; 2] = ["bob@example.test", "carol@example.test"];
/// Who is here too, and gets what operators send once more.
pub const AGAIN: &str = "dave@example.test";
/// The domain whose mail a peer fetches, by its place in [`REMOTES`].
pub const BRANCH: usize = 7;
/// A recipient elsewhere: local part, domain, the reply to RCPT, and what is true after it.
type Remote = (&'static str, &'static str, Option<&'static str>, (&'static str, &'static str));
/// Recipients elsewhere.
pub const REMOTES: [Remote; 8] = [
    ("taken", "far.test", None, ("handed_over", "handed_over")),
    ("other", "far.test", None, ("handed_over", "handed_over")),
    ("nobody", "far.test", Some("550 5.1.1 no such user"), ("bounced", "bounced_no_such_address")),
    ("spammed", "far.test", Some("554 5.7.1 this looks like spam"), ("bounced", "bounced_spam")),
    ("full", "far.test", Some("452 4.2.2 mailbox full"), ("waiting", "waiting_mailbox_full")),
    ("grey", "far.test", Some("451 4.7.1 greylisted, come back later"), ("waiting", "waiting_greylisted")),
    ("any", "down.test", None, ("waiting", "waiting_receiver_down")),
    ("any", "branch.test", None, ("waiting", "waiting_peer")),
];

/// What an operator has done to an entry of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Hold,
    Release,
    Drop,
    Bounce,
    /// No operator: the peer has fetched it.
    Fetch,
}

/// One recipient of a message.
#[derive(Debug, Clone)]
pub enum Fate {
    /// An account here, with the mailboxes that have a copy; and by what the last one went.
    Local { copies: Vec<&'static str>, removed_by: &'static str },
    /// Somebody elsewhere: the place in [`REMOTES`], and what operators did last that counts.
    Remote { place: usize, act: Option<Act> },
}

impl Fate {
    /// Of somebody here, as it begins.
    pub fn delivered() -> Self {
        Self::Local { copies: vec!["INBOX"], removed_by: "" }
    }

    /// Outcome and code.
    pub fn truth(&self) -> (&'static str, &'static str) {
        match self {
            Self::Local { copies, removed_by } if copies.is_empty() => ("removed", removed_by),
            Self::Local { .. } => ("in_mailbox", "delivered"),
            Self::Remote { act: Some(Act::Hold), .. } => ("held", "held"),
            Self::Remote { act: Some(Act::Drop), .. } => ("dropped", "dropped"),
            Self::Remote { act: Some(Act::Bounce), .. } => ("bounced", "bounced_operator"),
            Self::Remote { act: Some(Act::Fetch), .. } => ("handed_over", "handed_to_peer"),
            Self::Remote { place, .. } => REMOTES[*place].3,
        }
    }

    /// Whether it is to stand in the queue at the end.
    pub fn waits(&self) -> bool {
        matches!(self, Self::Remote { .. }) && matches!(self.truth().0, "waiting" | "held")
    }
}

/// A message that was acknowledged.
#[derive(Debug, Clone)]
pub struct Message {
    /// Its id, as the 250 said it.
    pub id: String,
    /// By address.
    pub fates: BTreeMap<String, Fate>,
    /// As what an operator has sent it once more, the last time.
    pub again: Option<String>,
}

impl Message {
    /// Whether the peer is still to fetch it.
    pub fn waits_for_branch(&self) -> bool {
        let waits = |fate: &Fate| matches!(fate, Fate::Remote { place: BRANCH, act: None });
        self.fates.values().any(waits)
    }

    /// The peer has it.
    pub fn fetched(&mut self) {
        for fate in self.fates.values_mut() {
            if let Fate::Remote { place: BRANCH, act } = fate {
                assert_eq!(act.replace(Act::Fetch), None, "{} waited for the peer", self.id);
            }
        }
    }
}

/// A transaction that came to nothing.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// A sender that nobody else has.
    pub sender: String,
    /// What is true.
    pub code: &'static str,
    /// Whether it must be known: refusals are written down with the next change, so a kill may lose them.
    pub is_certain: bool,
    /// Whether the next change is still to come.
    is_pending: bool,
}

impl Refusal {
    /// It is written down with the next change that is acknowledged.
    pub fn new(sender: String, code: &'static str) -> Self {
        Self { sender, code, is_certain: false, is_pending: true }
    }

    /// It was seen in the trace.
    pub fn seen(sender: String, code: &'static str) -> Self {
        Self { sender, code, is_certain: true, is_pending: false }
    }
}

/// All of it.
#[derive(Debug, Default)]
pub struct Model {
    /// By the number that stands in its Message-ID.
    pub messages: BTreeMap<u64, Message>,
    pub refusals: Vec<Refusal>,
    pub kills: u64,
    next: u64,
}

impl Model {
    /// A number that nothing else has.
    pub fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Copies that lie in that mailbox of an account: the numbers of their messages.
    pub fn lying_in(&self, account: &str, mailbox: &str) -> Vec<u64> {
        let lies = |message: &Message| match message.fates.get(account) {
            Some(Fate::Local { copies, .. }) => copies.contains(&mailbox),
            _ => false,
        };
        self.messages.iter().filter(|(_, message)| lies(message)).map(|(number, _)| *number).collect()
    }

    /// The mailboxes of a copy, and by what the last one went.
    pub fn copies(&mut self, number: u64, account: &str) -> (&mut Vec<&'static str>, &mut &'static str) {
        match self.messages.get_mut(&number).and_then(|message| message.fates.get_mut(account)) {
            Some(Fate::Local { copies, removed_by }) => (copies, removed_by),
            other => panic!("{number} for {account} is {other:?}"),
        }
    }

    /// A message was taken with those recipients; the text of the 250 has its id.
    pub fn accepted(&mut self, number: u64, reply: &str, fates: BTreeMap<String, Fate>) {
        let id = reply.split(' ').find(|word| word.starts_with("m_")).unwrap_or_else(|| panic!("an id in {reply:?}"));
        self.messages.insert(number, Message { id: id.to_owned(), fates, again: None });
        self.changed();
    }

    /// What was refused so far is written down with a change that is acknowledged.
    pub fn changed(&mut self) {
        for refusal in self.refusals.iter_mut().filter(|refusal| refusal.is_pending) {
            (refusal.is_certain, refusal.is_pending) = (true, false);
        }
    }

    /// The process ends: what is not written down may be lost.
    pub fn lose(&mut self) {
        self.refusals.iter_mut().for_each(|refusal| refusal.is_pending = false);
    }
}

/// What a run has met, so that one that met little fails.
#[derive(Debug, Default)]
pub struct Seen {
    pub codes: BTreeSet<String>,
    pub recipients: usize,
    pub refusals: usize,
    pub redelivered: usize,
    pub kills: u64,
}

impl Seen {
    /// Fails where a run has not met the kinds of end that it is for.
    pub fn assert_rich(&self) {
        assert!(self.recipients >= 40 && self.refusals >= 3 && self.kills >= 1, "{self}");
        assert!(self.codes.len() >= 10 && self.redelivered >= 1, "{self}");
        assert!(["handed_to_peer", "aborted"].iter().all(|code| self.codes.contains(*code)), "{self}");
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { codes, recipients, refusals, redelivered, kills } = self;
        write!(
            f,
            "the trace knew the truth of {recipients} recipients, {refusals} refusals and {redelivered} messages "
        )?;
        write!(f, "that were sent once more, after {kills} kills: ")?;
        f.write_str(&codes.iter().map(String::as_str).collect::<Vec<_>>().join(", "))
    }
}
