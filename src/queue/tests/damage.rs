use super::super::route::{ROUTE_PLACES, ROUTES, RouteName};
use super::super::row::{BY_DOMAIN, DUE, ENTRIES, HEADS, Lines, MESSAGES, OPEN};
use super::*;
use crate::store::{Key, Read, Row, Table};

/// Does damage to a file with one message for one recipient and one route; the check must find what is expected.
async fn check(damage: fn(&mut Tx<'_>) -> Result<(), StoreError>, expected: &str) {
    let world = World::new();
    world.bring(1, "alice@example.test", &["a@one.test"]).await;
    routes::put(&world, "out", Match::Default, RouteKind::Mx).await.unwrap();
    world.is_sound();
    world.run(damage).await;
    let findings = world.store.check().unwrap();
    assert!(findings.lines().iter().any(|line| line.contains(expected)), "{expected}: {:?}", findings.lines());
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
    check(|tx| alter(tx, &MESSAGES, ID.message, |row| row.blob = None), "its body is not of the size").await;
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
