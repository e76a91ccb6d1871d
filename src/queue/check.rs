use std::ops::ControlFlow;

use super::index;
use super::route::{ROUTE_PLACES, ROUTE_VERSION, ROUTES, RouteName, highest_version};
use super::row::{BY_DOMAIN, DUE, ENTRIES, Entry, HEADS, MESSAGES, Message, OPEN, State, domain_place};
use super::rule::{self, RULE_PLACES, RULE_VERSION, RULES, RuleName};
use super::tally;
use crate::base::{BlobId, MessageId, QueueId};
use crate::store::{CrossCheck, Findings, Key, Read, Row, Span, StoreError, Table, View};

/// The room's cross-checks.
pub const CHECKS: &[CrossCheck] = &[
    CrossCheck { name: "queue entries and their indexes", run: check_entries },
    CrossCheck { name: "queued messages and what they consist of", run: check_messages },
    CrossCheck { name: "routes and the mail they are for", run: check_routes },
    CrossCheck { name: "rules and the mail they are for", run: check_rules },
    CrossCheck { name: "the queue in numbers", run: tally::check },
    CrossCheck { name: "queued messages by sender and peer", run: index::check },
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
pub(super) fn each<K: Key, V: Row>(
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
            findings.add(format!("queue_due: {id} is not due at {due}")).remove(&DUE, &(due, id));
        }
        Ok(())
    })?;
    each(view, &BY_DOMAIN, |(domain, id), ()| {
        if view.get(&ENTRIES, &id)?.is_none_or(|entry| domain_place(id, &entry).0 != domain) {
            let what = format!("queue_by_domain: {id} is not for {domain}");
            findings.add(what).remove(&BY_DOMAIN, &(domain, id));
        }
        Ok(())
    })?;
    each(view, &OPEN, |id, _| {
        if view.get(&ENTRIES, &id)?.is_none_or(|entry| matches!(entry.state, State::Held { .. })) {
            findings.add(format!("attempts_open: {id} can't be in an attempt")).remove(&OPEN, &id);
        }
        Ok(())
    })
}

fn check_entry(view: &View, findings: &mut Findings, id: QueueId, entry: &Entry) -> Result<(), StoreError> {
    if !view.has(&DUE, &(entry.due, id))? {
        findings.add(format!("queue: {id} does not stand in the schedule")).put(&DUE, &(entry.due, id), &());
    }
    if !view.has(&BY_DOMAIN, &domain_place(id, entry))? {
        let what = format!("queue: {id} does not stand under its domain");
        findings.add(what).put(&BY_DOMAIN, &domain_place(id, entry), &());
    }
    if !view.has(&MESSAGES, &id.message)? {
        // Nobody can send it. Its rows in the indexes go in the next round.
        findings.add(format!("queue: {id} is of a message that is not there")).set_aside(&ENTRIES, &id);
    }
    Ok(())
}

/// Every message has its entries and its parts, of the sizes that it says.
fn check_messages(view: &View, findings: &mut Findings) -> Result<(), StoreError> {
    each(view, &MESSAGES, |id, message| check_message(view, findings, id, &message))?;
    each(view, &HEADS, |id, _| {
        if !view.has(&MESSAGES, &id)? {
            findings.add(format!("queue_heads: {id} is no message in the queue")).set_aside(&HEADS, &id);
        }
        Ok(())
    })
}

fn check_message(view: &View, findings: &mut Findings, id: MessageId, message: &Message) -> Result<(), StoreError> {
    let text = |what: &str| format!("queue_messages: {id}: {what}");
    let mut entries = 0;
    view.scan(&ENTRIES, Span::prefix(&id), |_, _| {
        entries += 1;
        ControlFlow::Continue(())
    })?;
    if entries == 0 || entries != message.entries {
        let finding = findings.add(text(&format!("it has {entries} entries, and says {}", message.entries)));
        match entries {
            // Nobody waits for it. Its head goes in the next round.
            0 => finding.set_aside(&MESSAGES, &id),
            _ => finding.put(&MESSAGES, &id, &Message { entries, ..message.clone() }),
        };
    }
    let head = view.get(&HEADS, &id)?.and_then(|head| u32::try_from(head.0.len()).ok());
    if head != Some(message.head_bytes) {
        let finding = findings.add(text("its head is not of the size that it says"));
        if let Some(head_bytes) = head {
            finding.put(&MESSAGES, &id, &Message { head_bytes, ..message.clone() });
        }
    }
    let body = match message.blob {
        Some(blob) => view.blob(blob)?.map(|blob| blob.size_bytes),
        None => Some(0),
    };
    if body != Some(message.body_bytes) {
        findings.add(text("its body is not of the size that it says"));
    }
    Ok(())
}

fn check_routes(view: &View, findings: &mut Findings) -> Result<(), StoreError> {
    let version = highest_version(view)?;
    if version > view.counter(ROUTE_VERSION)? {
        findings.add("routes: the counter of their versions is behind").raise(ROUTE_VERSION, version);
    }
    each(view, &ROUTES, |name, route| {
        let known = view.get(&ROUTE_PLACES, &route.fields.matches.place())?;
        if route.name != name || known != Some(RouteName(name.clone())) {
            let finding = findings.add(format!("routes: {name} is not found by its mail"));
            if route.name == name && known.is_none() {
                finding.put(&ROUTE_PLACES, &route.fields.matches.place(), &RouteName(name));
            }
        }
        Ok(())
    })?;
    each(view, &ROUTE_PLACES, |place, RouteName(name)| {
        if view.get(&ROUTES, &name)?.is_none_or(|route| route.fields.matches.place() != place) {
            let what = format!("route_places: {} leads to the route {name}, which is not for it", place.1);
            findings.add(what).remove(&ROUTE_PLACES, &place);
        }
        Ok(())
    })
}

fn check_rules(view: &View, findings: &mut Findings) -> Result<(), StoreError> {
    let version = rule::highest_version(view)?;
    if version > view.counter(RULE_VERSION)? {
        findings.add("queue_rules: the counter of their versions is behind").raise(RULE_VERSION, version);
    }
    each(view, &RULES, |name, rule| {
        let known = view.get(&RULE_PLACES, &rule.fields.matches.place())?;
        if rule.name != name || known != Some(RuleName(name.clone())) {
            let finding = findings.add(format!("queue_rules: {name} is not found by its mail"));
            if rule.name == name && known.is_none() {
                finding.put(&RULE_PLACES, &rule.fields.matches.place(), &RuleName(name));
            }
        }
        Ok(())
    })?;
    each(view, &RULE_PLACES, |place, RuleName(name)| {
        if view.get(&RULES, &name)?.is_none_or(|rule| rule.fields.matches.place() != place) {
            let what = format!("queue_rule_places: {} leads to the rule {name}, which is not for it", place.1);
            findings.add(what).remove(&RULE_PLACES, &place);
        }
        Ok(())
    })
}
