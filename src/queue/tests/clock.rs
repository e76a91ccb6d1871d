//! What a clock that was ahead has stamped.

use super::*;
use crate::base::{ByMode, DeliverBy, limits};

const YEAR_MS: u64 = 365 * 24 * 60 * 60 * 1000;
const MINUTE_MS: u64 = 60 * 1000;

impl World {
    async fn recall(&self, at: Timestamp) {
        self.write(Recall { messages: vec![MessageId(1 << 16)], policy: policy(), at, jitter: 1000 }).await.unwrap();
        self.is_sound();
    }

    /// Whether the entry or its message would be recalled.
    fn is_ahead(&self, id: QueueId, at: Timestamp) -> bool {
        let row = message(&self.store.view().unwrap(), id.message).unwrap().unwrap();
        is_ahead(&row, &self.entry(id), &policy(), at)
    }

    /// When it came in, and when its first entry is due and expires: milliseconds from `at`.
    fn times(&self, at: Timestamp) -> (i64, i64, i64) {
        let row = message(&self.store.view().unwrap(), MessageId(1 << 16)).unwrap().unwrap();
        let entry = self.entry(id(1, 0));
        let from = |time: Timestamp| time.ms() as i64 - at.ms() as i64;
        (from(row.at), from(entry.due), from(entry.expires_at))
    }
}

/// Two recipients, the second in an open attempt; the first has failed once, by a clock that was `ahead_ms` ahead.
async fn tried(ahead_ms: u64) -> World {
    let world = World::new();
    world.bring(1, "alice@example.test", &["a@one.test", "b@one.test"]).await;
    let deferred = attempt(Stage::Recipient, Some(450));
    world.settle(id(1, 0), Verdict::Deferred, deferred, START.plus_ms(ahead_ms)).await.unwrap();
    world.open(&[id(1, 1)]).await.unwrap();
    world
}

#[tokio::test]
async fn what_waits_for_longer_than_any_pause_gets_its_pause() {
    // Within the retries' hour, so that the attempt expires nothing.
    let world = tried(50 * MINUTE_MS).await;
    assert_eq!(world.times(START), (0, 51 * MINUTE_MS as i64, 3_600_000));
    assert!(world.is_ahead(id(1, 0), START) && !world.is_ahead(id(1, 1), START));
    world.recall(START).await;
    assert_eq!(world.times(START), (0, MINUTE_MS as i64, 3_600_000));
    // It stays so.
    assert!(!world.is_ahead(id(1, 0), START));
    world.recall(START).await;
    assert_eq!(world.times(START), (0, MINUTE_MS as i64, 3_600_000));
}

#[tokio::test]
async fn what_was_postponed_for_a_destination_in_trouble_stays_so() {
    let world = tried(0).await;
    let postpone = |ms| Postpone { entries: vec![world.as_due(id(1, 0))], until: START.plus_ms(ms) };
    world.write(postpone(limits::TROUBLE_MS)).await.unwrap();
    world.recall(START).await;
    assert_eq!(world.times(START).1, limits::TROUBLE_MS as i64);
    world.write(postpone(limits::TROUBLE_MS + 1)).await.unwrap();
    world.recall(START).await;
    assert_eq!(world.times(START).1, MINUTE_MS as i64);
}

#[tokio::test]
async fn a_message_of_the_future_came_in_now() {
    let world = World::new();
    world.bring(1, "alice@example.test", &["a@one.test", "b@one.test", "c@one.test", "d@one.test"]).await;
    let now = Timestamp(START.ms() - 10 * YEAR_MS);
    let park = |peer: &str| Park {
        entries: vec![id(1, 1)],
        peer: Some(peer.to_owned()),
        hold_expiry_seconds: 7200,
        at: START,
    };
    world.write(park("branch")).await.unwrap();
    let until = Some(START.plus_ms(YEAR_MS));
    world.act(id(1, 2), Action::Hold { reason: "look".into(), until }).await.unwrap();
    world.open(&[id(1, 3)]).await.unwrap();
    assert!(world.is_ahead(id(1, 1), now));
    for _ in 0..2 {
        world.recall(now).await;
        // Never tried: now; and an hour, as it would have had.
        assert_eq!(world.times(now), (0, 0, 3_600_000));
        let parked = world.entry(id(1, 1));
        assert_eq!((parked.due, parked.expires_at), (now.plus_ms(7_200_000), now.plus_ms(7_200_000)));
        let held = world.entry(id(1, 2));
        assert_eq!((Some(held.due), held.expires_at), (until, now.plus_ms(3_600_000)));
        let open = world.entry(id(1, 3));
        assert_eq!((open.due, open.expires_at), (START, now.plus_ms(3_600_000)), "its outcome says when it is due");
    }
    // And time goes on.
    world.recall(now.plus_ms(MINUTE_MS)).await;
    assert_eq!(world.times(now), (0, 0, 3_600_000));
}

#[tokio::test]
async fn what_is_put_off_is_put_off_from_now_on() {
    let world = World::new();
    let at = |ms| START.plus_ms(ms);
    let by = DeliverBy { at: at(30 * MINUTE_MS), mode: ByMode::Return, trace: false };
    let options = MailOptions { release_at: Some(at(20 * MINUTE_MS)), deliver_by: Some(by), ..MailOptions::default() };
    world.bring_asking(1, "alice@example.test", &["a@one.test"], options).await;
    let (due, end) = (20 * MINUTE_MS as i64, 30 * MINUTE_MS as i64);
    assert_eq!(world.times(START), (0, due, end));
    // It is no sign of a clock that was ahead.
    assert!(!world.is_ahead(id(1, 0), START));
    world.recall(START).await;
    assert_eq!(world.times(START), (0, due, end));
    let now = Timestamp(START.ms() - YEAR_MS);
    for _ in 0..2 {
        world.recall(now).await;
        assert_eq!(world.times(now), (0, due, end));
        assert!(!world.is_ahead(id(1, 0), now));
    }
    let row = message(&world.store.view().unwrap(), MessageId(1 << 16)).unwrap().unwrap();
    assert!(row.is_early(now.plus_ms(20 * MINUTE_MS - 1)) && !row.is_early(now.plus_ms(20 * MINUTE_MS)));
}

#[tokio::test]
async fn what_was_put_off_is_held_for_a_peer_from_then_on() {
    let world = World::new();
    let release_at = START.plus_ms(YEAR_MS);
    let options = MailOptions { release_at: Some(release_at), ..MailOptions::default() };
    world.bring_asking(1, "alice@example.test", &["a@one.test"], options).await;
    let park = Park { entries: vec![id(1, 0)], peer: Some("branch".into()), hold_expiry_seconds: 7200, at: release_at };
    world.write(park).await.unwrap();
    assert_eq!(world.entry(id(1, 0)).due, release_at.plus_ms(7_200_000));
}
