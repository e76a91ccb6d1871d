use super::super::index::{BY_PEER, BY_SENDER};
use super::super::route::{ROUTE_PLACES, ROUTES, RouteName};
use super::super::row::{BY_DOMAIN, DUE, ENTRIES, HEADS, Lines, MESSAGES, OPEN};
use super::super::rule::{RULE_PLACES, RULES, RuleName as NameOfRule};
use super::super::tally::{DOMAIN_COUNTS, DUE_MINUTES, LARGE_DOMAINS, TALLY};
use super::*;
use crate::store::{Key, Read, Row, Table};

/// Does damage to a file with one message for one recipient, one route and one rule; the check must find what is expected, and a
/// repair mends it.
async fn check(damage: fn(&mut Tx<'_>) -> Result<(), StoreError>, expected: &str) {
    let left = mended(damage, expected).await;
    assert_eq!(left, [] as [&str; 0], "{expected}");
}

async fn mended(damage: fn(&mut Tx<'_>) -> Result<(), StoreError>, expected: &str) -> Vec<String> {
    let world = World::new();
    world.write(CountAll).await.unwrap();
    world.bring(1, "alice@example.test", &["a@one.test"]).await;
    routes::put(&world, "out", Match::Default, RouteKind::Mx).await.unwrap();
    let spree = rules::rule_for(RuleMatch::Sender(address("bulk@us.test")), RuleAction::Hold, None);
    world.put_rule("spree", spree).await.unwrap();
    world.is_sound();
    world.run(damage).await;
    let findings = world.store.check().unwrap();
    assert!(findings.lines().iter().any(|line| line.contains(expected)), "{expected}: {:?}", findings.lines());
    world.store.mend().unwrap();
    world.store.check().unwrap().lines().to_vec()
}

/// Changes a row in place.
fn alter<K: Key, V: Row>(
    tx: &mut Tx<'_>,
    table: &Table<K, V>,
    key: K,
    change: impl FnOnce(&mut V),
) -> Result<(), StoreError> {
    let mut row = tx.get(table, &key)?.expect("the row is there");
    change(&mut row);
    tx.put(table, &key, &row)
}

const ID: QueueId = QueueId { message: MessageId(1 << 16), number: 0 };
const OTHER: QueueId = QueueId { message: MessageId(2 << 16), number: 0 };

#[tokio::test]
async fn a_check_sees_every_kind_of_disagreement() {
    check(|tx| tx.remove(&DUE, &(START, ID)).map(drop), "does not stand in the schedule").await;
    check(|tx| tx.put(&DUE, &(START.plus_ms(1), ID), &()), "is not due at 2026-11-22T10:05:00.001Z").await;
    check(|tx| tx.put(&DUE, &(START, OTHER), &()), "is not due at").await;
    check(|tx| tx.remove(&BY_DOMAIN, &("one.test".into(), ID)).map(drop), "does not stand under its domain").await;
    check(|tx| tx.put(&BY_DOMAIN, &("two.test".into(), ID), &()), "is not for two.test").await;
    check(|tx| tx.remove(&MESSAGES, &ID.message).map(drop), "of a message that is not there").await;
    check(|tx| tx.remove(&MESSAGES, &ID.message).map(drop), "is no message in the queue").await;
    check(|tx| tx.remove(&ENTRIES, &ID).map(drop), "it has 0 entries, and says 1").await;
    check(|tx| alter(tx, &MESSAGES, ID.message, |row| row.entries = 2), "it has 1 entries, and says 2").await;
    let no_body = |tx: &mut Tx<'_>| alter(tx, &MESSAGES, ID.message, |row| row.blob = None);
    assert_eq!(mended(no_body, "its body is not of the size").await.len(), 1, "nobody knows what it was");
    check(|tx| tx.put(&HEADS, &ID.message, &Lines(Vec::new())), "its head is not of the size").await;
    check(|tx| tx.put(&HEADS, &OTHER.message, &Lines(Vec::new())), "is no message in the queue").await;
    check(
        |tx| tx.put(&OPEN, &OTHER, &OpenAttempt { at: START, server: String::new(), actor: String::new() }),
        "can't be in an attempt",
    )
    .await;
    check(|tx| tx.remove(&ROUTE_PLACES, &Match::Default.place()).map(drop), "out is not found by its mail").await;
    check(|tx| tx.remove(&ROUTES, &"out".to_owned()).map(drop), "leads to the route out").await;
    check(|tx| tx.put(&ROUTE_PLACES, &(1, "x@y".into()), &RouteName("out".into())), "x@y leads to the route out").await;
}

#[tokio::test]
async fn a_check_sees_what_is_counted_and_found_wrongly() {
    check(|tx| tx.remove(&RULES, &"spree".to_owned()).map(drop), "leads to the rule spree").await;
    check(|tx| tx.put(&RULE_PLACES, &(3, "x.test".into()), &NameOfRule("spree".into())), "x.test leads to").await;
    check(|tx| tx.remove(&RULE_PLACES, &(1, "bulk@us.test".into())).map(drop), "spree is not found by its mail").await;
    check(|tx| tx.remove(&TALLY, &0).map(drop), "queue_tally: 0 is 0, and not 1").await;
    check(|tx| tx.remove(&TALLY, &3).map(drop), "queue_tally: 3 is 0").await;
    check(|tx| tx.remove(&DUE_MINUTES, &29_922_365).map(drop), "queue_due_minutes: 29922365 is 0, and not 1").await;
    check(|tx| alter(tx, &ENTRIES, ID, |entry| entry.due = entry.due.plus_ms(60_000)), "queue_due_minutes: ").await;
    check(|tx| tx.remove(&DOMAIN_COUNTS, &"one.test".into()).map(drop), "queue_domain_counts: one.test is 0").await;
    check(|tx| tx.remove(&LARGE_DOMAINS, &(63, "one.test".into())).map(drop), "one.test is not among those").await;
    check(|tx| tx.put(&LARGE_DOMAINS, &(7, "one.test".into()), &()), "one.test is not of that size").await;
    check(
        |tx| tx.remove(&BY_SENDER, &("alice@example.test".into(), ID.message)).map(drop),
        "does not stand under its sender",
    )
    .await;
    check(|tx| tx.put(&BY_SENDER, &("x@y.test".into(), ID.message), &()), "is not from \"x@y.test\"").await;
    check(|tx| tx.put(&BY_PEER, &("branch".into(), ID), &()), "is not parked for branch").await;
    check(
        |tx| alter(tx, &ENTRIES, ID, |entry| entry.state = State::Parked { peer: "branch".into() }),
        "does not stand under its peer",
    )
    .await;
}
