//! Routes: what an administrator sets goes before the DNS.

use pillarbox::base::{Host, QueueId};
use pillarbox::queue::{Action, DeleteRoute, Login, Match, RouteKind, TlsUse, Via};
use pillarbox::turn::{Direction, PeerFields, PutPeer, Verb};

use crate::dns::Zone;
use crate::sink::{Fault, Sink, Stage, free_port};
use crate::site::{SOON, START, Site, is_parked};

fn relay(host: &str, port: u16, tls: TlsUse, login: Option<Login>) -> RouteKind {
    RouteKind::Relay { host: Host::parse(host).unwrap(), port, tls, login }
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_go_by_domain_then_sender_then_all() {
    let port = free_port();
    let sinks: Vec<Sink> = (5..9).map(|last| Sink::start(&format!("127.0.0.{last}:{port}"))).collect();
    let zone = Zone::new().mail("there.test", "127.0.0.8").mail("domain.test", "127.0.0.8");
    let site = Site::open(zone, port, &[]).await;
    let mx = site.send(&["mx@there.test"]).await;
    site.until_empty().await;
    site.route("default", Match::Default, relay("[127.0.0.7]", port, TlsUse::Opportunistic, None)).await;
    let by_sender = Match::SenderDomain("sender.test".parse().unwrap());
    site.route("sender", by_sender, relay("[127.0.0.6]", port, TlsUse::Opportunistic, None)).await;
    let by_domain = Match::Domain("domain.test".parse().unwrap());
    site.route("domain", by_domain, relay("[127.0.0.5]", port, TlsUse::Opportunistic, None)).await;
    let all = site.send(&["default@there.test"]).await;
    let sender = site.send_from("x@sender.test", &["sender@there.test"]).await;
    let domain = site.send_from("x@sender.test", &["domain@domain.test"]).await;
    site.until_empty().await;
    for (sink, id) in sinks.iter().zip([domain, sender, all, mx]) {
        let seen: Vec<String> = sink.taken().into_iter().map(|taken| taken.message_id).collect();
        assert_eq!(seen, [format!("{id}@us.test")], "{}", sink.address);
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_for_a_relay_that_needs_tls_waits_where_there_is_none() {
    let port = free_port();
    let sink = Sink::start(&format!("127.0.0.9:{port}"));
    for tls in [TlsUse::Required, TlsUse::Verified, TlsUse::Implicit] {
        let site = Site::open(Zone::new(), port, &["delivery.greeting_seconds=1"]).await;
        let login = Login { user: "us".into(), secret: "a secret that nobody may hear".into() };
        site.route("all", Match::Default, relay("[127.0.0.9]", port, tls, Some(login))).await;
        let id = site.send(&["b@there.test"]).await;
        let entry = site.until_tried(id, 1).await;
        let heard = format!("{:?}", sink.sessions());
        assert!(!heard.contains("AUTH") && sink.count() == 0, "{tls:?}: {heard}");
        assert_eq!(entry.last.unwrap().words.enhanced.unwrap().0, 4, "{tls:?}: a slip of ours bounces nothing");
        site.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_for_a_peer_waits_until_the_route_goes() {
    let sink = Sink::start("127.0.0.9:0");
    let zone = Zone::new().mail("there.test", "127.0.0.9");
    let site = Site::open(zone, sink.address.port(), &["queue.hold_expiry_seconds=1000"]).await;
    let matches = Match::Domain("there.test".parse().unwrap());
    site.route("held", matches.clone(), RouteKind::Hold { peer: "branch".into() }).await;
    let id = site.send(&["b@there.test"]).await;
    site.until("it is parked", |site| site.entry(id, 0).is_some_and(|entry| is_parked(&entry))).await;
    let name = "held".to_owned();
    let precondition = pillarbox::directory::Precondition::None;
    site.house.store.write(DeleteRoute { name, precondition }).await.unwrap().into_inner();
    tokio::task::block_in_place(|| sink.wait_for(1, SOON));
    site.until_empty().await;
    // What nobody fetches comes back.
    site.route("held", matches, RouteKind::Hold { peer: "branch".into() }).await;
    let id = site.send(&["b@there.test"]).await;
    site.until("it is parked", |site| site.entry(id, 0).is_some_and(|entry| is_parked(&entry))).await;
    site.pass(900);
    assert!(site.entry(id, 0).is_some());
    site.pass(200);
    site.until("it has expired", |site| site.entry(id, 0).is_none()).await;
    assert!(site.story(id).contains("has not fetched it"), "{}", site.story(id));
    assert_eq!(sink.count(), 1);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_that_changes_changes_what_is_about_to_go() {
    let port = free_port();
    let slow = Sink::start(&format!("127.0.0.8:{port}"));
    let fast = Sink::start(&format!("127.0.0.9:{port}"));
    slow.fail(Stage::Greeting, Fault::Hang, 100);
    let site = Site::open(Zone::new().mail("there.test", "127.0.0.8"), port, &[]).await;
    for _ in 0..10 {
        site.send(&["b@there.test"]).await;
    }
    tokio::task::block_in_place(|| slow.wait_for_sessions(1, SOON));
    site.route("all", Match::Default, relay("[127.0.0.9]", port, TlsUse::Opportunistic, None)).await;
    // Those that wait for the first server are its own until it gives up.
    tokio::task::block_in_place(|| fast.wait_for(8, SOON));
    let view = site.house.store.view().unwrap();
    let first = pillarbox::queue::entries(&view, None, 1).unwrap()[0].id;
    assert!(site.house.delivery.claims.has(QueueId { message: first.message, number: 0 }));
    drop(view);
    drop(slow);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_that_is_chosen_for_an_entry_goes_before_every_route() {
    let port = free_port();
    let sinks: Vec<Sink> = (7..10).map(|last| Sink::start(&format!("127.0.0.{last}:{port}"))).collect();
    let site = Site::open(Zone::new().mail("there.test", "127.0.0.9"), port, &[]).await;
    let matches = Match::Domain("there.test".parse().unwrap());
    site.route("held", matches, RouteKind::Hold { peer: "branch".into() }).await;
    let of_others = Match::Domain("elsewhere.test".parse().unwrap());
    site.route("smart", of_others, relay("[127.0.0.7]", port, TlsUse::Opportunistic, None)).await;
    let mut ids = Vec::new();
    for recipient in ["route@there.test", "host@there.test", "gone@there.test"] {
        let id = site.send(&[recipient]).await;
        site.until("it is parked", |site| site.entry(id, 0).is_some_and(|entry| is_parked(&entry))).await;
        ids.push(id);
    }
    let host = Via::Host { host: Host::parse("[127.0.0.8]").unwrap(), port };
    for (id, via) in ids.iter().zip([Via::Route("smart".into()), host, Via::Route("gone".into())]) {
        site.act(*id, Action::Redirect { to: None, via: Some(via) }).await;
    }
    site.until("two have gone", |site| site.entries().len() == 1).await;
    for (sink, id) in sinks.iter().zip(&ids[..2]) {
        let seen: Vec<String> = sink.taken().into_iter().map(|taken| taken.message_id).collect();
        assert_eq!(seen, [format!("{id}@us.test")], "{}", sink.address);
    }
    // A route that is not there is none: the entry goes like any other.
    site.until("it is parked again", |site| site.entry(ids[2], 0).is_some_and(|entry| is_parked(&entry))).await;
    assert!(site.story(ids[0]).contains("by the route smart"), "{}", site.story(ids[0]));
    assert_eq!(sinks[2].count(), 0);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_released_to_a_peer_that_takes_no_mail_at_its_port_waits_for_it_again() {
    let sink = Sink::start("127.0.0.9:0");
    sink.fail(Stage::Sender, Fault::Reply("502 5.5.1 ATRN first"), 100);
    let site = Site::open(Zone::new(), sink.address.port(), &[]).await;
    let login = Login { user: "us".into(), secret: "a secret that nobody may hear".into() };
    let fields = PeerFields {
        direction: Direction::Initiate,
        host: Some(Host::parse("[127.0.0.9]").unwrap()),
        port: sink.address.port(),
        ..PeerFields::dialling_us(vec![Verb::Atrn], vec!["there.test".parse().unwrap()], Some(login))
    };
    let precondition = pillarbox::directory::Precondition::None;
    let put = PutPeer { name: "branch".into(), fields, keep_secret: false, precondition, at: START };
    let _ = site.house.store.write(put).await.unwrap();
    let id = site.send(&["b@there.test"]).await;
    site.until("it is parked", |site| site.entry(id, 0).is_some_and(|entry| is_parked(&entry))).await;
    site.act(id, Action::Retry).await;
    let entry = site.until_tried(id, 1).await;
    assert_eq!(entry.last.unwrap().words.code, Some(502));
    site.pass(600);
    site.until("it is parked again", |site| site.entry(id, 0).is_some_and(|entry| is_parked(&entry))).await;
    assert_eq!(sink.count(), 0);
    site.stop().await;
}
