use std::net::IpAddr;

use super::event::{Event, Kind, Subject};
use super::shorten::shorten_now_and_then;
use super::strangers::{STRANGERS, STRANGERS_BYTES};
use super::traffic::TRAFFIC;
use super::transcript::TRANSCRIPTS;
use crate::base::{Address, limits};
#[cfg(test)]
use crate::store::Op;
use crate::store::{AnyTable, Read, Row, Span, StoreError, Table, Tx};

/// The events of each subject, numbered from 0 on.
pub static EVENTS: Table<(Subject, u32), Event> = Table::new("trace");
/// The subjects of each address, be it the sender, a recipient or an account.
pub(super) static BY_ADDRESS: Table<(String, Subject), ()> = Table::new("trace_by_address");
/// The subjects of each Message-ID, by its hash.
pub(super) static BY_MESSAGE_ID: Table<([u8; 16], Subject), ()> = Table::new("trace_by_message_id");
/// The subjects of each peer's address, IPv4 in its mapped form.
pub(super) static BY_IP: Table<([u8; 16], Subject), ()> = Table::new("trace_by_ip");
/// The room's tables.
pub const TABLES: &[&dyn AnyTable] =
    &[&EVENTS, &BY_ADDRESS, &BY_MESSAGE_ID, &BY_IP, &TRANSCRIPTS, &TRAFFIC, &STRANGERS, &STRANGERS_BYTES];

/// Adds an event to a subject's story, with its index rows.
///
/// # Errors
/// [`StoreError`].
pub fn record(tx: &mut Tx<'_>, subject: Subject, event: Event) -> Result<(), StoreError> {
    let number = tx.last(&EVENTS, Span::prefix(&subject))?.map_or(0, |((_, number), _)| number.saturating_add(1));
    for address in addresses(&event) {
        tx.put(&BY_ADDRESS, &(address, subject), &())?;
    }
    if let Some(hash) = event.message_id.as_deref().and_then(message_id_hash) {
        tx.put(&BY_MESSAGE_ID, &(hash, subject), &())?;
    }
    if let Some(ip) = event.peer_ip {
        tx.put(&BY_IP, &(ip_key(ip), subject), &())?;
    }
    tx.put(&EVENTS, &(subject, number), &event)?;
    shorten_now_and_then(tx, (subject, number), &event)?;
    tx.tell(|| Recorded { subject, event });
    Ok(())
}

/// Told to those who hear it ([`crate::store::Bus::hear`]) when an event is committed.
#[derive(Debug)]
pub struct Recorded {
    /// What it is about.
    pub subject: Subject,
    /// What happened.
    pub event: Event,
}

/// Adds an event to a story that is still kept; whether it was. For what happens to messages in mailboxes, which may be
/// many at once and very old: an index row that is there is not written again. That a message was fetched is not told
/// again within [`limits::FETCHED_AGAIN_MS`].
///
/// # Errors
/// [`StoreError`].
pub fn follow(tx: &mut Tx<'_>, subject: Subject, event: &Event) -> Result<bool, StoreError> {
    let Some(((_, number), last)) = tx.last(&EVENTS, Span::prefix(&subject))? else { return Ok(false) };
    let is_again = event.kind == Kind::Fetched
        && (last.kind, &last.account) == (event.kind, &event.account)
        && event.at.ms_since(last.at) < limits::FETCHED_AGAIN_MS;
    if is_again {
        return Ok(false);
    }
    for address in addresses(event) {
        let key = (address, subject);
        if !tx.has(&BY_ADDRESS, &key)? {
            tx.put(&BY_ADDRESS, &key, &())?;
        }
    }
    if let Some(ip) = event.peer_ip {
        tx.put(&BY_IP, &(ip_key(ip), subject), &())?;
    }
    let number = number.saturating_add(1);
    tx.put(&EVENTS, &(subject, number), event)?;
    shorten_now_and_then(tx, (subject, number), event)?;
    tx.tell(|| Recorded { subject, event: event.clone() });
    Ok(true)
}

/// Octets that an event takes in the file with its index rows, roughly.
pub(super) fn weight_bytes(event: &Event) -> u64 {
    const ROW_BYTES: usize = 32;
    let mut row = Vec::new();
    event.encode(&mut row);
    let keys: usize = addresses(event).iter().map(|address| address.len() + ROW_BYTES).sum();
    (row.len() + keys + 3 * ROW_BYTES) as u64
}

/// Removes an event with its index rows. Other events of the subject may have had the same: it is for a whole story.
pub(super) fn unrecord(tx: &mut Tx<'_>, subject: Subject, number: u32, event: &Event) -> Result<(), StoreError> {
    for place in places(event) {
        unplace(tx, subject, place)?;
    }
    tx.remove(&EVENTS, &(subject, number)).map(drop)
}

/// A row of an index that leads to the subject of an event.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Place {
    Address(String),
    MessageId([u8; 16]),
    Ip([u8; 16]),
}

/// All that lead to the subject of this one.
pub(super) fn places(event: &Event) -> Vec<Place> {
    let message_id = event.message_id.as_deref().and_then(message_id_hash).map(Place::MessageId);
    let ip = event.peer_ip.map(|ip| Place::Ip(ip_key(ip)));
    addresses(event).into_iter().map(Place::Address).chain(message_id).chain(ip).collect()
}

/// Removes the row, if it is there.
pub(super) fn unplace(tx: &mut Tx<'_>, subject: Subject, place: Place) -> Result<(), StoreError> {
    match place {
        Place::Address(address) => tx.remove(&BY_ADDRESS, &(address, subject)).map(drop),
        Place::MessageId(hash) => tx.remove(&BY_MESSAGE_ID, &(hash, subject)).map(drop),
        Place::Ip(ip) => tx.remove(&BY_IP, &(ip, subject)).map(drop),
    }
}

/// Records any event.
#[cfg(test)]
#[derive(Debug, Clone)]
pub struct Record {
    /// What it is about.
    pub subject: Subject,
    /// What happened.
    pub event: Event,
}

#[cfg(test)]
impl Op for Record {
    type Plan = ();
    type Out = ();
    type Refused = std::convert::Infallible;

    fn name(&self) -> &'static str {
        "trace.record"
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), crate::store::Halt<Self::Refused>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        record(tx, self.subject, self.event.clone())
    }
}

/// What the event is found by in the index of addresses. The null sender is nobody's address.
pub(super) fn addresses(event: &Event) -> Vec<String> {
    let mut keys: Vec<String> = [&event.sender, &event.recipient, &event.account]
        .into_iter()
        .flatten()
        .filter(|text| !text.is_empty())
        .map(|text| address_key(text))
        .collect();
    keys.sort();
    keys.dedup();
    keys
}

/// An address is looked up by its key; what is none (a refused one may be anything), by its lower-case spelling.
pub(super) fn address_key(text: &str) -> String {
    Address::parse(text).map_or_else(|_| text.to_lowercase(), |address| address.key())
}

/// The hash of a Message-ID without its angle brackets; `None` when there is nothing in them.
pub(super) fn message_id_hash(field: &str) -> Option<[u8; 16]> {
    let id = field.trim().trim_start_matches('<').trim_end_matches('>');
    if id.is_empty() {
        return None;
    }
    blake3::hash(id.as_bytes()).as_bytes().first_chunk().copied()
}

pub(super) fn ip_key(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}
