//! The queue in numbers, kept beside it with each change: a look at them costs the same however much waits.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::index;
use super::row::{BY_DOMAIN, DUE, ENTRIES, Entry, MESSAGES, Message, State};
use crate::base::{MessageId, QueueId, Timestamp, limits};
use crate::postcard_row;
use crate::store::{Findings, Halt, Key, Op, Read, Row, Span, StoreError, Table, Tx, View};

/// How many entries are in each state, and octets of all messages: by the numbers below.
pub(super) static TALLY: Table<u8, Count> = Table::new("queue_tally");
/// How many waiting entries are due within each minute since 1970.
pub(super) static DUE_MINUTES: Table<u64, Count> = Table::new("queue_due_minutes");
/// How many entries each recipient domain has.
pub(super) static DOMAIN_COUNTS: Table<String, Count> = Table::new("queue_domain_counts");
/// The domains by the power of two that their count has reached, the highest first.
pub(super) static LARGE_DOMAINS: Table<(u8, String), ()> = Table::new("queue_large_domains");

const WAITING: u8 = 0;
const HELD: u8 = 1;
const PARKED: u8 = 2;
const OCTETS: u8 = 3;
/// Here from the moment on at which all was counted: a file of an older program has no counts.
const IS_COUNTED: u8 = 255;

const MINUTE_MS: u64 = 60 * 1000;

/// A count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Count(u64);
postcard_row!(Count, 1);

/// The counts of the states, and of the octets.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) waiting: u64,
    pub(super) held: u64,
    pub(super) parked: u64,
    pub(super) size_bytes: u64,
}

pub(super) fn counts(read: &impl Read) -> Result<Counts, StoreError> {
    let of = |key| number(read, &TALLY, &key);
    Ok(Counts { waiting: of(WAITING)?, held: of(HELD)?, parked: of(PARKED)?, size_bytes: of(OCTETS)? })
}

/// How many waiting entries are due at `now`. Those of the minute that runs are looked at one by one, unless they are
/// many: then they have come in or were flushed, and all are.
pub(super) fn due(read: &impl Read, now: Timestamp) -> Result<u64, StoreError> {
    let (minute, mut count) = (minute(now), 0);
    let until = minute.checked_sub(1);
    if let Some(until) = until {
        read.scan(&DUE_MINUTES, Span::range(..=until), |_, Count(entries)| {
            count += entries;
            ControlFlow::Continue(())
        })?;
    }
    let last = number(read, &DUE_MINUTES, &minute)?;
    if last > limits::DUE_COUNTED {
        return Ok(count + last);
    }
    let first = (Timestamp(minute * MINUTE_MS), QueueId { message: MessageId(0), number: 0 });
    let behind = (now, QueueId { message: MessageId(u64::MAX), number: u32::MAX });
    let looked_at = usize::try_from(limits::DUE_COUNTED).unwrap_or(usize::MAX);
    for (_, id) in read.keys(&DUE, Span::range(first..=behind), looked_at)? {
        let entry = read.get_if_sound(&ENTRIES, &id)?;
        count += u64::from(entry.is_some_and(|entry| matches!(entry.state, State::Waiting { .. })));
    }
    Ok(count)
}

/// The domains with the most entries. Where very many have about as many, any of these.
pub(super) fn largest_domains(read: &impl Read, limit: usize) -> Result<Vec<(String, u64)>, StoreError> {
    let (mut found, mut rank) = (Vec::new(), None);
    for (next, domain) in read.keys(&LARGE_DOMAINS, Span::all(), limits::LARGE_DOMAINS)? {
        if rank != Some(next) && found.len() >= limit {
            break;
        }
        rank = Some(next);
        let count = number(read, &DOMAIN_COUNTS, &domain)?;
        found.push((domain, count));
    }
    found.sort_by(|(a, a_count), (b, b_count)| b_count.cmp(a_count).then_with(|| a.cmp(b)));
    found.truncate(limit);
    Ok(found)
}

/// An entry is new.
pub(super) fn added(tx: &mut Tx<'_>, entry: &Entry) -> Result<(), StoreError> {
    count(tx, entry, 1)?;
    count_domain(tx, &entry.recipient.host.to_string(), 1)
}

/// An entry is another now, with the same recipient.
pub(super) fn replaced(tx: &mut Tx<'_>, old: &Entry, new: &Entry) -> Result<(), StoreError> {
    if place(old) == place(new) {
        return Ok(());
    }
    count(tx, old, -1)?;
    count(tx, new, 1)
}

/// An entry is gone.
pub(super) fn removed(tx: &mut Tx<'_>, entry: &Entry) -> Result<(), StoreError> {
    count(tx, entry, -1)?;
    count_domain(tx, &entry.recipient.host.to_string(), -1)
}

/// A message has come, or gone.
pub(super) fn sized(tx: &mut Tx<'_>, message: &Message, is_new: bool) -> Result<(), StoreError> {
    let octets = i64::try_from(size_bytes(message)).unwrap_or(i64::MAX);
    change(tx, &TALLY, OCTETS, if is_new { octets } else { -octets }).map(drop)
}

/// Counts everything, and makes the indexes by sender and by peer, where that was not done yet: in files of older programs. `Out` says whether it was to be done.
pub struct CountAll;

impl Op for CountAll {
    type Plan = bool;
    type Out = bool;
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "queue.count_all"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<bool, Halt<Infallible>> {
        Ok(!is_counted(tx)?)
    }

    fn apply(&self, tx: &mut Tx<'_>, is_wanted: bool) -> Result<bool, StoreError> {
        if !is_wanted {
            return Ok(false);
        }
        clear(tx, &TALLY)?;
        clear(tx, &DUE_MINUTES)?;
        clear(tx, &DOMAIN_COUNTS)?;
        clear(tx, &LARGE_DOMAINS)?;
        let all = All::of(tx)?;
        for (key, number) in all.tally {
            tx.put(&TALLY, &key, &Count(number))?;
        }
        for (minute, number) in all.minutes {
            tx.put(&DUE_MINUTES, &minute, &Count(number))?;
        }
        for (domain, number) in all.domains {
            tx.put(&LARGE_DOMAINS, &(rank(number), domain.clone()), &())?;
            tx.put(&DOMAIN_COUNTS, &domain, &Count(number))?;
        }
        index::make(tx)?;
        tx.put(&TALLY, &IS_COUNTED, &Count(1))?;
        Ok(true)
    }
}

/// Whether all was counted.
pub(super) fn is_counted(read: &impl Read) -> Result<bool, StoreError> {
    read.has(&TALLY, &IS_COUNTED)
}

/// What the counts are to be, by the rows that they count.
#[derive(Default)]
struct All {
    tally: BTreeMap<u8, u64>,
    minutes: BTreeMap<u64, u64>,
    domains: BTreeMap<String, u64>,
}

impl All {
    fn of(read: &impl Read) -> Result<Self, StoreError> {
        let mut all = Self::default();
        read.scan(&ENTRIES, Span::all(), |_, entry| {
            let (state, minute) = place(&entry);
            *all.tally.entry(state).or_default() += 1;
            if let Some(minute) = minute {
                *all.minutes.entry(minute).or_default() += 1;
            }
            ControlFlow::Continue(())
        })?;
        read.scan(&MESSAGES, Span::all(), |_, message| {
            *all.tally.entry(OCTETS).or_default() += size_bytes(&message);
            ControlFlow::Continue(())
        })?;
        read.scan_keys(&BY_DOMAIN, Span::all(), |(domain, _)| {
            *all.domains.entry(domain).or_default() += 1;
            ControlFlow::Continue(())
        })?;
        all.tally.retain(|_, number| *number > 0);
        Ok(all)
    }
}

/// The counts are those of the rows.
pub(super) fn check(view: &View, findings: &mut Findings) -> Result<(), StoreError> {
    if !is_counted(view)? {
        return Ok(());
    }
    let mut all = All::of(view)?;
    all.tally.insert(IS_COUNTED, 1);
    compare(view, findings, &TALLY, &all.tally, u8::to_string)?;
    compare(view, findings, &DUE_MINUTES, &all.minutes, u64::to_string)?;
    compare(view, findings, &DOMAIN_COUNTS, &all.domains, String::clone)?;
    for (domain, number) in &all.domains {
        let key = (rank(*number), domain.clone());
        if !view.has(&LARGE_DOMAINS, &key)? {
            findings.add(format!("queue_large_domains: {domain} is not among those of its size")).put(
                &LARGE_DOMAINS,
                &key,
                &(),
            );
        }
    }
    for key in view.keys(&LARGE_DOMAINS, Span::all(), usize::MAX)? {
        if all.domains.get(&key.1).is_none_or(|number| rank(*number) != key.0) {
            findings.add(format!("queue_large_domains: {} is not of that size", key.1)).remove(&LARGE_DOMAINS, &key);
        }
    }
    Ok(())
}

fn compare<K: Key + Clone + Ord>(
    view: &View,
    findings: &mut Findings,
    table: &Table<K, Count>,
    expected: &BTreeMap<K, u64>,
    name: impl Fn(&K) -> String,
) -> Result<(), StoreError> {
    for (key, number) in expected {
        let seen = view.get_if_sound(table, key)?;
        if seen != Some(Count(*number)) {
            let what =
                format!("{}: {} is {}, and not {number}", table.name(), name(key), seen.map_or(0, |seen| seen.0));
            findings.add(what).put(table, key, &Count(*number));
        }
    }
    for key in view.keys(table, Span::all(), usize::MAX)? {
        if !expected.contains_key(&key) {
            findings.add(format!("{}: {} is of nothing", table.name(), name(&key))).remove(table, &key);
        }
    }
    Ok(())
}

/// Under which number an entry is counted, and of what waits in which minute it is due.
fn place(entry: &Entry) -> (u8, Option<u64>) {
    match entry.state {
        State::Waiting { .. } => (WAITING, Some(minute(entry.due))),
        State::Held { .. } => (HELD, None),
        State::Parked { .. } => (PARKED, None),
    }
}

fn minute(at: Timestamp) -> u64 {
    at.ms() / MINUTE_MS
}

fn size_bytes(message: &Message) -> u64 {
    u64::from(message.head_bytes) + message.body_bytes
}

/// The highest power of two that a count has reached: the largest first.
fn rank(count: u64) -> u8 {
    u8::try_from(count.leading_zeros()).unwrap_or(u8::MAX)
}

fn count(tx: &mut Tx<'_>, entry: &Entry, by: i64) -> Result<(), StoreError> {
    let (state, minute) = place(entry);
    change(tx, &TALLY, state, by)?;
    match minute {
        Some(minute) => change(tx, &DUE_MINUTES, minute, by).map(drop),
        None => Ok(()),
    }
}

fn count_domain(tx: &mut Tx<'_>, domain: &str, by: i64) -> Result<(), StoreError> {
    let (old, new) = change(tx, &DOMAIN_COUNTS, domain.to_owned(), by)?;
    if old > 0 && (new == 0 || rank(old) != rank(new)) {
        tx.remove(&LARGE_DOMAINS, &(rank(old), domain.to_owned()))?;
    }
    if new > 0 && (old == 0 || rank(old) != rank(new)) {
        tx.put(&LARGE_DOMAINS, &(rank(new), domain.to_owned()), &())?;
    }
    Ok(())
}

/// What a count was, and is now. One that does not decode is as good as none: the check knows what it is to be.
fn change<K: Key>(tx: &mut Tx<'_>, table: &Table<K, Count>, key: K, by: i64) -> Result<(u64, u64), StoreError> {
    let old = number(tx, table, &key)?;
    let new = old.saturating_add_signed(by);
    match new {
        0 => tx.remove(table, &key).map(drop)?,
        _ => tx.put(table, &key, &Count(new))?,
    }
    Ok((old, new))
}

fn number<K: Key>(read: &impl Read, table: &Table<K, Count>, key: &K) -> Result<u64, StoreError> {
    Ok(read.get_if_sound(table, key)?.map_or(0, |count| count.0))
}

pub(super) fn clear<K: Key, V: Row>(tx: &mut Tx<'_>, table: &Table<K, V>) -> Result<(), StoreError> {
    for key in tx.keys(table, Span::all(), usize::MAX)? {
        tx.remove(table, &key)?;
    }
    Ok(())
}
