//! SEARCH beside the oracle.

use proptest::prelude::*;

use super::oracle::{Mailbox, Message};
use super::{FLAGS, picked};
use crate::imap_wire::{Answer, Response, Value};

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Search {
    pub key: Key,
    pub by_uid: bool,
    /// ESEARCH
    pub returns: bool,
    /// NOOP comes before it, so that the client knows all that there is.
    pub fresh: bool,
}

/// A search key.
#[derive(Debug, Clone)]
pub enum Key {
    All,
    Flag(usize),
    NoFlag(usize),
    Uids(u16),
    Numbers(u16),
    Subject(u64),
    Body(u64),
    ModSeq(u64),
    Not(Box<Key>),
    Or(Box<Key>, Box<Key>),
    And(Box<Key>, Box<Key>),
}

pub fn search() -> impl Strategy<Value = Search> {
    let leaf = prop_oneof![
        1 => Just(Key::All),
        3 => (0..FLAGS.len()).prop_map(Key::Flag),
        3 => (0..FLAGS.len()).prop_map(Key::NoFlag),
        1 => any::<u16>().prop_map(Key::Uids),
        1 => any::<u16>().prop_map(Key::Numbers),
        1 => (0..40_u64).prop_map(Key::Subject),
        1 => (0..40_u64).prop_map(Key::Body),
        1 => (0..40_u64).prop_map(Key::ModSeq),
    ];
    let key = leaf.prop_recursive(3, 8, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|key| Key::Not(Box::new(key))),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| Key::Or(Box::new(a), Box::new(b))),
            (inner.clone(), inner).prop_map(|(a, b)| Key::And(Box::new(a), Box::new(b))),
        ]
    });
    (key, any::<bool>(), any::<bool>(), prop::bool::weighted(0.7)).prop_map(|(key, by_uid, returns, fresh)| Search {
        key,
        by_uid,
        returns,
        fresh,
    })
}

impl Key {
    /// As the command says it; `uids` are those that the client knows, in their order. `None`: it names no message.
    pub fn text(&self, uids: &[u32]) -> Option<String> {
        let names = ["SEEN", "DELETED", "FLAGGED", "ANSWERED", "DRAFT"];
        let both = |a: &Key, b: &Key| Some((a.text(uids)?, b.text(uids)?));
        Some(match self {
            Self::All => "ALL".to_owned(),
            Self::Flag(at) => {
                names.get(*at).map_or_else(|| format!("KEYWORD {}", FLAGS[*at]), |name| (*name).to_owned())
            }
            Self::NoFlag(at) => {
                names.get(*at).map_or_else(|| format!("UNKEYWORD {}", FLAGS[*at]), |name| format!("UN{name}"))
            }
            Self::Uids(bits) => format!("UID {}", set(picked(*bits, uids.len()).map(|at| uids[at]))?),
            Self::Numbers(bits) => set(picked(*bits, uids.len()).map(|at| at as u32 + 1))?,
            Self::Subject(subject) => format!("SUBJECT {subject}"),
            Self::Body(subject) => format!("BODY \"ody {subject}\""),
            Self::ModSeq(modseq) => format!("MODSEQ {modseq}"),
            Self::Not(key) => format!("NOT {}", key.in_parentheses(uids)?),
            Self::Or(a, b) => format!("OR {} {}", a.in_parentheses(uids)?, b.in_parentheses(uids)?),
            Self::And(a, b) => {
                let (a, b) = both(a, b)?;
                format!("{a} {b}")
            }
        })
    }

    fn in_parentheses(&self, uids: &[u32]) -> Option<String> {
        Some(format!("({})", self.text(uids)?))
    }

    pub fn needs_modseq(&self) -> bool {
        match self {
            Self::ModSeq(_) => true,
            Self::Not(key) => key.needs_modseq(),
            Self::Or(a, b) | Self::And(a, b) => a.needs_modseq() || b.needs_modseq(),
            _ => false,
        }
    }

    /// Whether a message fits that has this number among the known ones.
    fn fits(&self, at: usize, count: usize, message: &Message) -> bool {
        let has = |at: usize| message.flags.contains(FLAGS[at]);
        match self {
            Self::All => true,
            Self::Flag(flag) => has(*flag),
            Self::NoFlag(flag) => !has(*flag),
            Self::Uids(bits) | Self::Numbers(bits) => picked(*bits, count).any(|one| one == at),
            Self::Subject(subject) => message.subject.to_string().contains(&subject.to_string()),
            Self::Body(subject) => format!("body {}", message.subject).contains(&format!("ody {subject}")),
            Self::ModSeq(modseq) => message.modseq >= *modseq,
            Self::Not(key) => !key.fits(at, count, message),
            Self::Or(a, b) => a.fits(at, count, message) || b.fits(at, count, message),
            Self::And(a, b) => a.fits(at, count, message) && b.fits(at, count, message),
        }
    }
}

/// A set of numbers as commands have it, neighbours joined.
pub fn set(numbers: impl Iterator<Item = u32>) -> Option<String> {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => runs.push((number, number)),
        }
    }
    let texts: Vec<String> =
        runs.iter().map(|(a, b)| if a == b { a.to_string() } else { format!("{a}:{b}") }).collect();
    (!texts.is_empty()).then(|| texts.join(","))
}

/// The numbers of a set.
pub fn numbers(set: &Value) -> Result<Vec<u32>, String> {
    let text = set.bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default();
    let mut all = Vec::new();
    for run in text.split(',') {
        let (first, last) = run.split_once(':').unwrap_or((run, run));
        let parse = |text: &str| text.parse::<u32>().map_err(|_| format!("not a set: {set}"));
        let (first, last) = (parse(first)?, parse(last)?);
        all.extend(first.min(last)..=first.max(last));
    }
    Ok(all)
}

impl Search {
    /// The command; `None`: it would name no message.
    pub fn text(&self, uids: &[u32]) -> Option<String> {
        let (uid, returns) =
            (if self.by_uid { "UID " } else { "" }, if self.returns { " RETURN (MIN MAX COUNT ALL)" } else { "" });
        Some(format!("{uid}SEARCH{returns} {}", self.key.text(uids)?))
    }

    /// The numbers or UIDs that have to be found.
    pub fn expected(&self, mailbox: &Mailbox) -> Vec<u32> {
        let count = mailbox.messages.len();
        let fitting =
            mailbox.messages.iter().enumerate().filter(|(at, (_, message))| self.key.fits(*at, count, message));
        fitting.map(|(at, (uid, _))| if self.by_uid { *uid } else { at as u32 + 1 }).collect()
    }

    /// What was found, after a look at how it is told.
    pub fn found(&self, answer: &Answer) -> Result<Vec<u32>, String> {
        if !self.returns {
            let of = |response: &Response| response.after("SEARCH").map(<[Value]>::to_vec);
            let values = answer.untagged.iter().find_map(of).ok_or("no SEARCH response")?;
            return Ok(values.iter().filter_map(Value::number).filter_map(|number| number.try_into().ok()).collect());
        }
        let values =
            answer.untagged.iter().find_map(|response| response.after("ESEARCH")).ok_or("no ESEARCH response")?;
        let value = |name: &str| {
            let place = values.iter().position(|value| value.is(name))?;
            values.get(place + 1)
        };
        if values.iter().any(|value| value.is("UID")) != self.by_uid {
            return Err(format!("UID is told wrongly: {values:?}"));
        }
        let all = value("ALL").map_or(Ok(Vec::new()), numbers)?;
        let of = |name: &str| value(name).and_then(Value::number);
        let ends = (all.first().map(|first| u64::from(*first)), all.last().map(|last| u64::from(*last)));
        if of("COUNT") != Some(all.len() as u64) || (of("MIN"), of("MAX")) != ends {
            return Err(format!("MIN, MAX, COUNT and ALL disagree: {values:?}"));
        }
        if self.key.needs_modseq() != (value("MODSEQ").is_some() || all.is_empty() && self.key.needs_modseq()) {
            return Err(format!("MODSEQ is told wrongly: {values:?}"));
        }
        Ok(all)
    }
}
