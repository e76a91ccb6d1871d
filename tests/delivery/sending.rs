//! Mail goes out: to the servers that the DNS names, together where it can, each message once.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::dns::Zone;
use crate::sink::{ALWAYS, Fault, Sink, Stage, free_port};
use crate::site::{SOON, Site};

fn taken(sink: &Sink, count: usize) -> Vec<crate::sink::Taken> {
    tokio::task::block_in_place(|| sink.wait_for(count, SOON))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_goes_to_the_domain_s_server_and_leaves_the_queue() {
    let sink = Sink::start("127.0.0.9:0");
    let site = Site::open(Zone::new().mail("there.test", "127.0.0.9"), sink.address.port(), &[]).await;
    let id = site.send(&["b@there.test"]).await;
    let seen = taken(&sink, 1);
    assert_eq!(
        (seen[0].sender.as_str(), seen[0].recipients.as_slice()),
        ("a@us.test", &["b@there.test".to_owned()][..])
    );
    assert_eq!(seen[0].message_id, format!("{id}@us.test"));
    site.until_empty().await;
    let story = site.story(id);
    assert!(story.contains("Relayed") && story.contains("mx.there.test"), "{story}");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn recipients_of_one_domain_go_together_and_others_apart() {
    let sink = Sink::start("127.0.0.9:0");
    let zone = Zone::new().mail("there.test", "127.0.0.9").mail("else.test", "127.0.0.9");
    let site = Site::open(zone, sink.address.port(), &[]).await;
    site.send(&["b@there.test", "x@else.test", "c@there.test", "d@there.test"]).await;
    site.until_empty().await;
    let mut seen: Vec<Vec<String>> = sink.taken().into_iter().map(|taken| taken.recipients).collect();
    seen.sort();
    assert_eq!(seen, [vec!["b@there.test", "c@there.test", "d@there.test"], vec!["x@else.test"]]);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn recipients_go_together_also_when_sessions_run_already() {
    let sink = Sink::start("127.0.0.9:0");
    let site = Site::open(Zone::new().mail("there.test", "127.0.0.9"), sink.address.port(), &[]).await;
    for _ in 0..300 {
        site.send(&["b@there.test", "c@there.test"]).await;
    }
    site.until_empty().await;
    let seen = sink.taken();
    assert!(seen.iter().all(|taken| taken.recipients.len() == 2), "{} transactions for 300 messages", seen.len());
    assert_eq!(seen.len(), 300);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_messages_share_few_connections_and_each_comes_once() {
    let sink = Sink::start("127.0.0.9:0");
    let zone = Zone::new().mail("there.test", "127.0.0.9");
    let settings = ["delivery.connections_per_destination=3", "delivery.messages_per_connection=50"];
    let site = Site::open(zone, sink.address.port(), &settings).await;
    let mut sent = BTreeSet::new();
    for number in 0..700 {
        sent.insert(format!("{}@us.test", site.send(&[&format!("b{number}@there.test")]).await));
    }
    site.until_empty().await;
    let seen = sink.taken();
    assert_eq!(seen.len(), 700);
    assert_eq!(seen.iter().map(|taken| taken.message_id.clone()).collect::<BTreeSet<_>>(), sent);
    let sessions = sink.sessions();
    let largest = sessions.iter().map(|session| session.iter().filter(|line| line.starts_with("MAIL")).count()).max();
    assert!(largest <= Some(50), "{largest:?} messages over one connection");
    assert!(sessions.len() < 350, "{} sessions for 700 messages", sessions.len());
    let asked = site.dns.asked().len();
    assert!(asked <= 4 * sessions.len(), "{asked} questions to the DNS for {} sessions", sessions.len());
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_with_many_recipients_goes_in_parts_that_every_server_takes() {
    let sink = Sink::start("127.0.0.9:0");
    let site = Site::open(Zone::new().mail("there.test", "127.0.0.9"), sink.address.port(), &[]).await;
    let recipients: Vec<String> = (0..950).map(|number| format!("b{number}@there.test")).collect();
    site.send(&recipients.iter().map(String::as_str).collect::<Vec<_>>()).await;
    site.until_empty().await;
    let seen = sink.taken();
    assert!(seen.iter().all(|taken| taken.recipients.len() <= 100));
    let all: BTreeSet<String> = seen.iter().flat_map(|taken| taken.recipients.clone()).collect();
    assert_eq!((all.len(), seen.iter().map(|taken| taken.recipients.len()).sum::<usize>()), (950, 950));
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_server_takes_what_the_first_does_not() {
    let port = free_port();
    let first = Sink::held(&format!("127.0.0.8:{port}"), true);
    let second = Sink::start(&format!("127.0.0.9:{port}"));
    let zone = || {
        let zone = Zone::new().mx("there.test", 10, "one.test").mx("there.test", 20, "two.test");
        zone.address("one.test", "127.0.0.8").address("two.test", "127.0.0.9")
    };
    // Refused.
    let site = Site::open(zone(), port, &[]).await;
    site.send(&["b@there.test"]).await;
    taken(&second, 1);
    site.until_empty().await;
    site.stop().await;
    // It answers, but not to us.
    let mut first = first;
    first.up();
    for fault in [Fault::Reply("554 5.7.1 go away"), Fault::Reply("421 4.3.2 not now"), Fault::Drop] {
        first.fail(Stage::Greeting, fault, 1);
    }
    first.fail(Stage::Hello, Fault::Drop, 1);
    for count in 2..=5 {
        let site = Site::open(zone(), port, &[]).await;
        site.send(&["b@there.test"]).await;
        taken(&second, count);
        site.until_empty().await;
        site.stop().await;
    }
    assert_eq!(first.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_tls_fails_and_is_not_asked_for_mail_goes_in_the_clear() {
    let sink = Sink::start("127.0.0.9:0");
    sink.fail(Stage::Tls, Fault::Delay(Duration::ZERO), 1);
    let site = Site::open(Zone::new().mail("there.test", "127.0.0.9"), sink.address.port(), &[]).await;
    site.send(&["b@there.test"]).await;
    taken(&sink, 1);
    site.until_empty().await;
    assert!(sink.sessions()[0].iter().any(|line| line == "STARTTLS"), "{:?}", sink.sessions());
    assert_eq!(sink.sessions().len(), 2);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_is_open_before_the_end_of_data_and_closed_by_its_outcome() {
    let sink = Sink::start("127.0.0.9:0");
    sink.fail(Stage::End, Fault::Delay(Duration::from_millis(500)), 1);
    let site = Site::open(Zone::new().mail("there.test", "127.0.0.9"), sink.address.port(), &[]).await;
    let id = site.send(&["b@there.test"]).await;
    let queued = pillarbox::base::QueueId { message: id, number: 0 };
    let open = |site: &Site| pillarbox::queue::open_attempt(&site.house.store.view().unwrap(), queued).unwrap();
    site.until("an open attempt", |site| open(site).is_some()).await;
    let attempt = open(&site).unwrap();
    assert_eq!((attempt.actor.as_str(), attempt.server.starts_with("mx.there.test [127.0.0.9]:")), ("delivery", true));
    site.until_empty().await;
    assert_eq!(open(&site), None);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_sessions_between_two_messages() {
    let sink = Sink::start("127.0.0.9:0");
    sink.fail(Stage::End, Fault::Delay(Duration::from_millis(100)), ALWAYS);
    let zone = Zone::new().mail("there.test", "127.0.0.9");
    let site = Site::open(zone, sink.address.port(), &["delivery.connections_per_destination=1"]).await;
    for _ in 0..20 {
        site.send(&["b@there.test"]).await;
    }
    taken(&sink, 2);
    let store = site.house.store.clone();
    site.stop().await;
    let left = pillarbox::queue::entries(&store.view().unwrap(), None, usize::MAX).unwrap();
    assert!(left.len() > 10, "{} are left", left.len());
    assert_eq!(sink.count() + left.len(), 20, "each was sent or is there");
}
