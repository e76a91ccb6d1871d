use std::ops::ControlFlow;

use super::route::{ROUTE_PLACES, ROUTES, RouteName};
use super::row::{BY_DOMAIN, DUE, ENTRIES, Entry, HEADS, MESSAGES, Message, OPEN, State, domain_place};
use crate::base::{BlobId, MessageId, QueueId};
use crate::store::{CrossCheck, Findings, Key, Read, Row, Span, StoreError, Table, View};

/// The room's cross-checks.
pub const CHECKS: &[CrossCheck] = &[
    CrossCheck { name: "queue entries and their indexes", run: check_entries },
    CrossCheck { name: "queued messages and what they consist of", run: check_messages },
    CrossCheck { name: "routes and the mail they are for", run: check_routes },
];

/// Calls `each` for every reference that the room has taken to a body: one for a message.
///
/// # Errors
/// [`StoreError`].
pub fn references(view: &View, mut each: impl FnMut(BlobId)) -> Result<(), StoreError> {
    view.scan(&MESSAGES, Span::all(), |_, message| {
        message.blob.into_iter().for_each(&mut each);
        ControlFlow::Continue(())
    })
}

/// Scans a table with reads of others in between.
fn each<K: Key, V: Row>(
    view: &View,
    table: &Table<K, V>,
    mut act: impl FnMut(K, V) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut outcome = Ok(());
    view.scan(table, Span::all(), |key, row| {
        outcome = act(key, row);
        if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    outcome
}

/// Every entry stands once in the schedule and once under its domain, and there is nothing else in these.
fn check_entries(view: &View, findings: &mut Findings) -> Result<(), StoreError> {
    each(view, &ENTRIES, |id, entry| check_entry(view, findings, id, &entry))?;
    // With both ways round, an entry stands in each index exactly once.
    each(view, &DUE, |(due, id), ()| {
        if view.get(&ENTRIES, &id)?.is_none_or(|entry| entry.due != due) {
            findings.add(format!("queue_due: {id} is not due at {due}"));
        }
        Ok(())
    })?;
    each(view, &BY_DOMAIN, |(domain, id), ()| {
        if view.get(&ENTRIES, &id)?.is_none_or(|entry| domain_place(id, &entry).0 != domain) {
            findings.add(format!("queue_by_domain: {id} is not for {domain}"));
        }
        Ok(())
    })?;
    each(view, &OPEN, |id, _| {
        if view.get(&ENTRIES, &id)?.is_none_or(|entry| matches!(entry.state, State::Held { .. })) {
            findings.add(format!("attempts_open: {id} can't be in an attempt"));
        }
        Ok(())
    })
}

fn check_entry(view: &View, findings: &mut Findings, id: QueueId, entry: &Entry) -> Result<(), StoreError> {
    if !view.has(&DUE, &(entry.due, id))? {
        findings.add(format!("queue: {id} does not stand in the schedule"));
    }
    if !view.has(&BY_DOMAIN, &domain_place(id, entry))? {
        findings.add(format!("queue: {id} does not stand under its domain"));
    }
    if !view.has(&MESSAGES, &id.message)? {
        findings.add(format!("queue: {id} is of a message that is not there"));
    }
    Ok(())
}

/// Every message has its entries and its parts, of the sizes that it says.
fn check_messages(view: &View, findings: &mut Findings) -> Result<(), StoreError> {
    each(view, &MESSAGES, |id, message| check_message(view, findings, id, &message))?;
    each(view, &HEADS, |id, _| {
        if !view.has(&MESSAGES, &id)? {
            findings.add(format!("queue_heads: {id} is no message in the queue"));
        }
        Ok(())
    })
}

fn check_message(view: &View, findings: &mut Findings, id: MessageId, message: &Message) -> Result<(), StoreError> {
    let mut fault = |what: &str| findings.add(format!("queue_messages: {id}: {what}"));
    let mut entries = 0;
    view.scan(&ENTRIES, Span::prefix(&id), |_, _| {
        entries += 1;
        ControlFlow::Continue(())
    })?;
    if entries == 0 || entries != message.entries {
        fault(&format!("it has {entries} entries, and says {}", message.entries));
    }
    let head = view.get(&HEADS, &id)?.map(|head| head.0.len());
    if head != Some(message.head_bytes as usize) {
        fault("its head is not of the size that it says");
    }
    let body = match message.blob {
        Some(blob) => view.blob(blob)?.map(|blob| blob.size_bytes),
        None => Some(0),
    };
    if body != Some(message.body_bytes) {
        fault("its body is not of the size that it says");
    }
    Ok(())
}

fn check_routes(view: &View, findings: &mut Findings) -> Result<(), StoreError> {
    each(view, &ROUTES, |name, route| {
        let known = view.get(&ROUTE_PLACES, &route.fields.matches.place())?;
        if route.name != name || known != Some(RouteName(name.clone())) {
            findings.add(format!("routes: {name} is not found by its mail"));
        }
        Ok(())
    })?;
    each(view, &ROUTE_PLACES, |place, RouteName(name)| {
        if view.get(&ROUTES, &name)?.is_none_or(|route| route.fields.matches.place() != place) {
            findings.add(format!("route_places: {} leads to the route {name}, which is not for it", place.1));
        }
        Ok(())
    })
}
