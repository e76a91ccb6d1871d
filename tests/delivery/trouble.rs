//! Servers that are down, slow, or answer no: their mail waits, and nobody else's does.

use std::time::Duration;

use pillarbox::base::{Clock, limits};
use pillarbox::queue::{Action, Selector, Stage as At};

use crate::dns::Zone;
use crate::sink::{ALWAYS, Fault, Sink, Stage, free_port};
use crate::site::{SOON, Site};

fn world() -> (Sink, Sink, Zone, u16) {
    let port = free_port();
    let bad = Sink::held(&format!("127.0.0.8:{port}"), true);
    let good = Sink::start(&format!("127.0.0.9:{port}"));
    (bad, good, Zone::new().mail("bad.test", "127.0.0.8").mail("good.test", "127.0.0.9"), port)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_down_costs_one_message_an_attempt() {
    let (mut bad, good, zone, port) = world();
    let site = Site::open(zone, port, &[]).await;
    let mut ids = Vec::new();
    for _ in 0..300 {
        ids.push(site.send(&["b@bad.test"]).await);
    }
    site.send(&["b@good.test"]).await;
    tokio::task::block_in_place(|| good.wait_for(1, SOON));
    site.until("all are postponed", |site| site.entries().iter().all(|entry| entry.due > crate::site::START)).await;
    let tried: u32 = site.entries().iter().map(|entry| entry.attempts).sum();
    assert!((1..=4).contains(&tried), "{tried} attempts for 300 messages");
    let entries = site.entries();
    let last = entries.iter().find_map(|entry| entry.last.as_ref()).unwrap();
    assert_eq!((last.stage, last.words.enhanced), (At::Connect, Some((4, 4, 1))), "{last:?}");
    // It comes back.
    bad.up();
    for _ in 0..10 {
        site.pass(70);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    site.until_empty().await;
    assert_eq!(bad.count(), 300);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_message_that_tries_again_takes_all_its_recipients_along() {
    let (mut bad, _good, zone, port) = world();
    let site = Site::open(zone, port, &[]).await;
    let id = site.send(&["b@bad.test", "c@bad.test", "d@bad.test"]).await;
    site.until_tried(id, 1).await;
    site.until("all wait", |site| site.entries().iter().all(|entry| entry.due > crate::site::START)).await;
    bad.up();
    for _ in 0..5 {
        site.pass(20);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    site.until_empty().await;
    assert_eq!(bad.taken().iter().map(|taken| taken.recipients.len()).collect::<Vec<_>>(), [3]);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_s_retry_does_not_wait_for_what_is_postponed() {
    let (mut bad, _good, zone, port) = world();
    let site = Site::open(zone, port, &[]).await;
    let ids = [site.send(&["b@bad.test"]).await, site.send(&["c@bad.test"]).await];
    site.until("both wait", |site| site.entries().iter().all(|entry| entry.due > crate::site::START)).await;
    bad.up();
    site.pass(12);
    assert_eq!(bad.count(), 0);
    for id in ids {
        site.act(id, Action::Retry).await;
    }
    tokio::task::block_in_place(|| bad.wait_for(2, SOON));
    site.stop().await;
}

/// What was known of the server before goes for nothing, for the first that is made due as for the last.
#[tokio::test(flavor = "multi_thread")]
async fn a_flush_tries_who_could_not_be_reached_a_moment_ago() {
    let (mut bad, _good, zone, port) = world();
    let site = Site::open(zone, port, &[]).await;
    for _ in 0..900 {
        site.send(&["b@bad.test"]).await;
    }
    let tried = |site: &Site| site.entries().iter().map(|entry| entry.attempts).sum::<u32>();
    let is_quiet = |site: &Site| site.entries().iter().all(|entry| entry.due > site.clock.now());
    // As often as it takes until nobody dials for a while, and until no session is under way.
    while tried(&site) <= limits::CIRCUIT_FAILURES || !is_quiet(&site) {
        site.pass(20);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bad.up();
    let count = site.house.delivery.flush(Selector::All, "operator").await.unwrap();
    assert_eq!(count, 900);
    site.until_empty().await;
    assert_eq!(bad.count(), 900);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_answer_slows_nobody_else() {
    let (mut bad, good, zone, port) = world();
    bad.up();
    bad.fail(Stage::Greeting, Fault::Hang, ALWAYS);
    let settings = ["delivery.connections_total=8", "delivery.connections_per_destination=4"];
    let site = Site::open(zone, port, &settings).await;
    for _ in 0..200 {
        site.send(&["b@bad.test"]).await;
    }
    tokio::task::block_in_place(|| bad.wait_for_sessions(1, SOON));
    for _ in 0..50 {
        site.send(&["b@good.test"]).await;
    }
    tokio::task::block_in_place(|| good.wait_for(50, SOON));
    // All of them while the others still wait: nobody waited for a server in trouble.
    assert!(bad.sessions().len() <= 4, "{} sessions wait", bad.sessions().len());
    bad.down();
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_for_now_is_tried_again_by_the_schedule() {
    let (mut bad, _good, zone, port) = world();
    bad.up();
    for stage in [Stage::Greeting, Stage::Hello, Stage::Sender, Stage::Recipient, Stage::Data, Stage::End] {
        for fault in [Fault::Reply("451 4.3.0 not now"), Fault::Reply("421 4.3.2 not now"), Fault::Drop] {
            bad.forget();
            let site = Site::open(zone.clone(), port, &["queue.retry_seconds=60"]).await;
            bad.fail(stage, fault.clone(), 1);
            let id = site.send(&["b@bad.test"]).await;
            let entry = site.until_tried(id, 1).await;
            assert!(entry.due > crate::site::START.plus_ms(50_000), "{stage:?} {fault:?}: {entry:?}");
            assert_eq!(bad.count(), 0, "{stage:?} {fault:?}");
            site.pass(70);
            tokio::task::block_in_place(|| bad.wait_for(1, SOON));
            site.until_empty().await;
            site.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_to_the_end_of_data_is_uncertain_and_tried_again() {
    let (mut bad, _good, zone, port) = world();
    bad.up();
    bad.fail(Stage::End, Fault::TakeAndDrop, 1);
    let site = Site::open(zone, port, &[]).await;
    let id = site.send(&["b@bad.test"]).await;
    site.until_tried(id, 1).await;
    assert!(site.story(id).contains("Uncertain"), "{}", site.story(id));
    site.pass(70);
    tokio::task::block_in_place(|| bad.wait_for(2, SOON));
    site.until_empty().await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_for_a_server_that_is_down_expires_after_a_real_attempt() {
    let (_bad, _good, zone, port) = world();
    let site = Site::open(zone, port, &["queue.expiry_seconds=3600"]).await;
    for _ in 0..20 {
        site.send(&["b@bad.test"]).await;
    }
    for _ in 0..40 {
        site.pass(400);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    site.until("none of the messages waits", |site| {
        !site.entries().iter().any(|entry| entry.recipient.to_string() == "b@bad.test")
    })
    .await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_loop_is_seen_by_the_greeting() {
    let (mut bad, _good, zone, port) = world();
    bad.up();
    bad.fail(Stage::Greeting, Fault::Reply("220 US.test ESMTP"), ALWAYS);
    let site = Site::open(zone, port, &[]).await;
    let id = site.send(&["b@bad.test"]).await;
    site.until("it has failed", |site| site.entry(id, 0).is_none()).await;
    let story = site.story(id);
    assert!(story.contains("our own name") && bad.sessions().iter().all(Vec::is_empty), "{story}");
    site.stop().await;
}
