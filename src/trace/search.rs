use std::net::IpAddr;
use std::ops::ControlFlow;

use super::event::{Event, Subject};
use super::record::{
    BY_ADDRESS, BY_IP, BY_MESSAGE_ID, EVENTS, Place, address_key, addresses, ip_key, message_id_hash, places,
};
use super::strangers::check_strangers;
use super::transcript::check_transcripts;
use crate::store::{CrossCheck, Finding, Findings, Key, Read, Span, StoreError, Table, View};

/// The room's cross-checks.
pub const CHECKS: &[CrossCheck] = &[
    CrossCheck { name: "trace indexes", run: check_indexes },
    CrossCheck { name: "trace dialogues", run: check_transcripts },
    CrossCheck { name: "trace refusals", run: check_strangers },
];

/// What is looked for in the trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Anything.
    All,
    /// A sender or a recipient.
    Address(String),
    /// A Message-ID, with or without angle brackets.
    MessageId(String),
    /// A peer's address.
    Ip(IpAddr),
}

/// What happened to a subject, in order. Empty when nothing is known of it.
///
/// # Errors
/// [`StoreError`].
pub fn story(read: &impl Read, subject: Subject) -> Result<Vec<Event>, StoreError> {
    let rows = read.rows(&EVENTS, Span::prefix(&subject), usize::MAX)?;
    Ok(rows.into_iter().map(|(_, event)| event).collect())
}

/// The newest subjects that match, newest first, only those older than `before` where it is given (for the next page).
///
/// # Errors
/// [`StoreError`].
pub fn find(
    read: &impl Read,
    wanted: &Wanted,
    before: Option<Subject>,
    limit: usize,
) -> Result<Vec<Subject>, StoreError> {
    match wanted {
        Wanted::All => newest(before, limit, |end| {
            let span = match end {
                Some(end) => Span::range(..(end, 0)),
                None => Span::all(),
            };
            Ok(read.last(&EVENTS, span)?.map(|((subject, _), _)| subject))
        }),
        Wanted::Address(text) => newest_in(read, &BY_ADDRESS, address_key(text), before, limit),
        Wanted::MessageId(text) => match message_id_hash(text) {
            Some(hash) => newest_in(read, &BY_MESSAGE_ID, hash, before, limit),
            None => Ok(Vec::new()),
        },
        Wanted::Ip(ip) => newest_in(read, &BY_IP, ip_key(*ip), before, limit),
    }
}

fn newest_in<K: Key + Clone>(
    read: &impl Read,
    index: &Table<(K, Subject), ()>,
    key: K,
    before: Option<Subject>,
    limit: usize,
) -> Result<Vec<Subject>, StoreError> {
    newest(before, limit, |end| {
        let first = (key.clone(), Subject::FIRST);
        let span = match end {
            Some(end) => Span::range(first..(key.clone(), end)),
            None => Span::range(first..=(key.clone(), Subject::LAST)),
        };
        Ok(read.last(index, span)?.map(|((_, subject), ())| subject))
    })
}

/// Steps backwards: `last_before` gives the newest subject older than the one it is given.
fn newest(
    before: Option<Subject>,
    limit: usize,
    mut last_before: impl FnMut(Option<Subject>) -> Result<Option<Subject>, StoreError>,
) -> Result<Vec<Subject>, StoreError> {
    let mut found = Vec::new();
    let mut end = before;
    while found.len() < limit {
        let Some(subject) = last_before(end)? else { break };
        found.push(subject);
        end = Some(subject);
    }
    Ok(found)
}

/// Every event has its index rows, and every index row an event.
fn check_indexes(view: &View, findings: &mut Findings) -> Result<(), StoreError> {
    let mut failed = None;
    view.scan(&EVENTS, Span::all(), |(subject, number), event| {
        match missing(view, subject, &event) {
            Ok(lost) => lost.into_iter().for_each(|place| {
                let what = format!("trace: event {number} of {subject} is missing in the index {}", place.table());
                place.mend(findings.add(what), subject);
            }),
            Err(error) => failed = Some(error),
        }
        if failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    check_index(view, findings, &BY_ADDRESS, |event, key| addresses(event).contains(key))?;
    check_index(view, findings, &BY_MESSAGE_ID, |event, key| {
        event.message_id.as_deref().and_then(message_id_hash).as_ref() == Some(key)
    })?;
    check_index(view, findings, &BY_IP, |event, key| event.peer_ip.map(ip_key).as_ref() == Some(key))
}

/// The index rows of an event that are not there.
fn missing(view: &View, subject: Subject, event: &Event) -> Result<Vec<Place>, StoreError> {
    let mut lost = Vec::new();
    for place in places(event) {
        let is_there = match &place {
            Place::Address(address) => view.has(&BY_ADDRESS, &(address.clone(), subject))?,
            Place::MessageId(hash) => view.has(&BY_MESSAGE_ID, &(*hash, subject))?,
            Place::Ip(ip) => view.has(&BY_IP, &(*ip, subject))?,
        };
        if !is_there {
            lost.push(place);
        }
    }
    Ok(lost)
}

impl Place {
    fn table(&self) -> &'static str {
        match self {
            Self::Address(_) => BY_ADDRESS.name(),
            Self::MessageId(_) => BY_MESSAGE_ID.name(),
            Self::Ip(_) => BY_IP.name(),
        }
    }

    fn mend(self, finding: Finding<'_>, subject: Subject) {
        match self {
            Self::Address(address) => finding.put(&BY_ADDRESS, &(address, subject), &()),
            Self::MessageId(hash) => finding.put(&BY_MESSAGE_ID, &(hash, subject), &()),
            Self::Ip(ip) => finding.put(&BY_IP, &(ip, subject), &()),
        };
    }
}

fn check_index<K: Key>(
    view: &View,
    findings: &mut Findings,
    index: &'static Table<(K, Subject), ()>,
    matches: impl Fn(&Event, &K) -> bool,
) -> Result<(), StoreError> {
    let mut failed = None;
    view.scan(index, Span::all(), |(key, subject), ()| match story(view, subject) {
        Ok(events) => {
            if !events.iter().any(|event| matches(event, &key)) {
                let what = format!("{}: a row of {subject} stands for no event", index.name());
                findings.add(what).remove(index, &(key, subject));
            }
            ControlFlow::Continue(())
        }
        Err(error) => {
            failed = Some(error);
            ControlFlow::Break(())
        }
    })?;
    failed.map_or(Ok(()), Err)
}
