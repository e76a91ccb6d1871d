//! The messages of each sender, and what is parked for each peer: so that what is asked of one costs the same however much
//! the others have. A file of an older program has neither until [`super::CountAll`] has made them.

use std::ops::ControlFlow;

use super::row::{ENTRIES, Entry, MESSAGES, Message, State};
use super::tally;
use crate::base::{Address, MessageId, QueueId};
use crate::store::{Findings, Read, Span, StoreError, Table, Tx, View};

/// The messages of each sender, by the key of its address; empty for the null sender.
pub(super) static BY_SENDER: Table<(String, MessageId), ()> = Table::new("queue_by_sender");
/// The entries that are parked for each peer.
pub(super) static BY_PEER: Table<(String, QueueId), ()> = Table::new("queue_by_peer");

/// Rows that are held in memory at a time.
const SLICE_ROWS: usize = 1000;

/// How a sender is named in the index.
pub(super) fn sender_key(sender: Option<&Address>) -> String {
    sender.map_or_else(String::new, Address::key)
}

/// The entries of the messages that a sender has brought, behind `after`: at most `limit`, by id.
///
/// # Errors
/// [`StoreError`].
pub(super) fn of_sender(
    read: &impl Read,
    sender: &str,
    after: Option<QueueId>,
    limit: usize,
) -> Result<Vec<(QueueId, Entry)>, StoreError> {
    let (sender, mut found) = (sender.to_owned(), Vec::new());
    // What is left of the message at which the last slice has ended; then the next ones.
    if let Some(after) = after
        && read.has(&BY_SENDER, &(sender.clone(), after.message))?
    {
        found = read.rows(&ENTRIES, Span::prefix(&after.message).after(&after), limit)?;
    }
    if found.len() == limit {
        return Ok(found);
    }
    let span = match after {
        Some(after) => Span::prefix(&sender).after(&(sender.clone(), after.message)),
        None => Span::prefix(&sender),
    };
    let mut outcome = Ok(());
    read.scan_keys(&BY_SENDER, span, |(_, message)| {
        outcome = read.rows(&ENTRIES, Span::prefix(&message), limit - found.len()).map(|rows| found.extend(rows));
        if outcome.is_ok() && found.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    outcome.map(|()| found)
}

/// The entries that are parked for a peer, behind `after`: at most `limit`, by id.
///
/// # Errors
/// [`StoreError`].
pub(super) fn of_peer(
    read: &impl Read,
    peer: &str,
    after: Option<QueueId>,
    limit: usize,
) -> Result<Vec<QueueId>, StoreError> {
    let peer = peer.to_owned();
    let span = match after {
        Some(after) => Span::prefix(&peer).after(&(peer.clone(), after)),
        None => Span::prefix(&peer),
    };
    Ok(read.keys(&BY_PEER, span, limit)?.into_iter().map(|(_, id)| id).collect())
}

/// A message is new.
pub(super) fn came(tx: &mut Tx<'_>, id: MessageId, message: &Message) -> Result<(), StoreError> {
    tx.put(&BY_SENDER, &(sender_key(message.sender.as_ref()), id), &())
}

/// A message is gone.
pub(super) fn went(tx: &mut Tx<'_>, id: MessageId, message: &Message) -> Result<(), StoreError> {
    tx.remove(&BY_SENDER, &(sender_key(message.sender.as_ref()), id)).map(drop)
}

/// An entry is another now: `None` before it comes, and when it is gone.
pub(super) fn moved(tx: &mut Tx<'_>, id: QueueId, old: Option<&Entry>, new: Option<&Entry>) -> Result<(), StoreError> {
    let (old, new) = (old.and_then(peer_of), new.and_then(peer_of));
    if old == new {
        return Ok(());
    }
    if let Some(peer) = old {
        tx.remove(&BY_PEER, &(peer.to_owned(), id))?;
    }
    match new {
        Some(peer) => tx.put(&BY_PEER, &(peer.to_owned(), id), &()),
        None => Ok(()),
    }
}

/// Makes both anew.
pub(super) fn make(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    tally::clear(tx, &BY_SENDER)?;
    tally::clear(tx, &BY_PEER)?;
    let mut span = Span::all();
    loop {
        let rows = tx.rows(&MESSAGES, span, SLICE_ROWS)?;
        let Some((last, _)) = rows.last() else { break };
        span = Span::all().after(last);
        for (id, message) in rows {
            came(tx, id, &message)?;
        }
    }
    let mut span = Span::all();
    loop {
        let rows = tx.rows(&ENTRIES, span, SLICE_ROWS)?;
        let Some((last, _)) = rows.last() else { return Ok(()) };
        span = Span::all().after(last);
        for (id, entry) in rows {
            moved(tx, id, None, Some(&entry))?;
        }
    }
}

/// Every message stands once under its sender, what is parked once under its peer, and nothing else does.
pub(super) fn check(view: &View, findings: &mut Findings) -> Result<(), StoreError> {
    if !tally::is_counted(view)? {
        return Ok(());
    }
    super::check::each(view, &MESSAGES, |id, message| {
        let place = (sender_key(message.sender.as_ref()), id);
        if !view.has(&BY_SENDER, &place)? {
            let what = format!("queue_messages: {id} does not stand under its sender");
            findings.add(what).put(&BY_SENDER, &place, &());
        }
        Ok(())
    })?;
    super::check::each(view, &BY_SENDER, |(sender, id), ()| {
        if view.get(&MESSAGES, &id)?.is_none_or(|message| sender_key(message.sender.as_ref()) != sender) {
            findings.add(format!("queue_by_sender: {id} is not from {sender:?}")).remove(&BY_SENDER, &(sender, id));
        }
        Ok(())
    })?;
    super::check::each(view, &ENTRIES, |id, entry| {
        if let Some(peer) = peer_of(&entry)
            && !view.has(&BY_PEER, &(peer.to_owned(), id))?
        {
            let what = format!("queue: {id} does not stand under its peer");
            findings.add(what).put(&BY_PEER, &(peer.to_owned(), id), &());
        }
        Ok(())
    })?;
    super::check::each(view, &BY_PEER, |(peer, id), ()| {
        if view.get(&ENTRIES, &id)?.is_none_or(|entry| peer_of(&entry) != Some(peer.as_str())) {
            findings.add(format!("queue_by_peer: {id} is not parked for {peer}")).remove(&BY_PEER, &(peer, id));
        }
        Ok(())
    })
}

fn peer_of(entry: &Entry) -> Option<&str> {
    match &entry.state {
        State::Parked { peer } => Some(peer),
        State::Waiting { .. } | State::Held { .. } => None,
    }
}
