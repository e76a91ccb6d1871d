//! What an operator has decided for mail on its way out: rules that hold or suspend some, and the pause of everything.

use pillarbox::base::{Address, Host};
use pillarbox::directory::Precondition;
use pillarbox::queue::{Action, DeleteRule, EndPause, PutPause, PutRule, RuleAction, RuleFields, RuleMatch, State};

use crate::dns::Zone;
use crate::sink::Sink;
use crate::site::{SOON, START, Site};

async fn rule(site: &Site, name: &str, matches: RuleMatch, action: RuleAction) {
    let fields = RuleFields { matches, action, reason: "asked them".into(), until: None };
    let op = PutRule { name: name.into(), fields, precondition: Precondition::None, at: START };
    site.house.store.write(op).await.unwrap().into_inner();
}

async fn no_rule(site: &Site, name: &str) {
    let op = DeleteRule { name: name.into(), precondition: Precondition::None };
    site.house.store.write(op).await.unwrap().into_inner();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_rule_holds_goes_when_it_is_released_and_the_rest_at_once() {
    let sink = Sink::start("127.0.0.9:0");
    let site = Site::open(Zone::new().mail("there.test", "127.0.0.9"), sink.address.port(), &[]).await;
    let matches = RuleMatch::Sender(Address::parse("bulk@sender.test").unwrap());
    rule(&site, "spree", matches, RuleAction::Hold).await;
    let held = site.send_from("bulk@sender.test", &["b@there.test"]).await;
    let other = site.send_from("other@sender.test", &["b@there.test"]).await;
    let is_held = |site: &Site| site.entry(held, 0).is_some_and(|entry| matches!(entry.state, State::Held { .. }));
    site.until("it is held", is_held).await;
    let taken = tokio::task::block_in_place(|| sink.wait_for(1, SOON));
    assert_eq!(taken[0].message_id, format!("{other}@us.test"));
    assert!(site.story(held).contains("asked them (rule spree)"), "{}", site.story(held));
    // Although the rule is there still.
    site.act(held, Action::Release).await;
    site.until_empty().await;
    assert_eq!(sink.count(), 2);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_suspended_waits_until_the_rule_goes() {
    let sink = Sink::start("127.0.0.9:0");
    let zone = Zone::new().mail("there.test", "127.0.0.9").mail("free.test", "127.0.0.9");
    let site = Site::open(zone, sink.address.port(), &[]).await;
    rule(&site, "moving", RuleMatch::Domain("there.test".parse().unwrap()), RuleAction::Suspend).await;
    let id = site.send(&["b@there.test"]).await;
    site.send(&["b@free.test"]).await;
    tokio::task::block_in_place(|| sink.wait_for(1, SOON));
    let entry = site.entry(id, 0).expect("it waits");
    assert_eq!((entry.attempts, entry.state), (0, State::Waiting { released: false }));
    no_rule(&site, "moving").await;
    site.until_empty().await;
    assert_eq!(sink.count(), 2);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_dialled_whose_server_is_suspended() {
    let sink = Sink::start("127.0.0.9:0");
    let site = Site::open(Zone::new(), sink.address.port(), &["delivery.allow_networks=127.0.0.0/8"]).await;
    rule(&site, "server", RuleMatch::Server(Host::parse("[127.0.0.9]").unwrap()), RuleAction::Suspend).await;
    let id = site.send(&["b@[127.0.0.9]"]).await;
    let is_told = |site: &Site| site.entry(id, 0).is_some_and(|entry| entry.last.is_some());
    site.until("it is put off", is_told).await;
    let entry = site.entry(id, 0).expect("it waits");
    assert_eq!((entry.attempts, sink.sessions().len()), (0, 0), "nobody was asked");
    no_rule(&site, "server").await;
    site.act(id, Action::Retry).await;
    site.until_empty().await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_out_while_everything_is_paused() {
    let sink = Sink::start("127.0.0.9:0");
    let site = Site::open(Zone::new().mail("there.test", "127.0.0.9"), sink.address.port(), &[]).await;
    let pause = |until| PutPause { reason: "we move".into(), until, at: START };
    site.house.store.write(pause(None)).await.unwrap().into_inner();
    let matches = RuleMatch::Sender(Address::parse("bulk@sender.test").unwrap());
    rule(&site, "spree", matches, RuleAction::Hold).await;
    let id = site.send(&["b@there.test"]).await;
    // What is held is looked at with the rest: with the second, a whole look has passed by the first message.
    for _ in 0..2 {
        let held = site.send_from("bulk@sender.test", &["b@there.test"]).await;
        let is_held = |site: &Site| site.entry(held, 0).is_some_and(|entry| matches!(entry.state, State::Held { .. }));
        site.until("it is held", is_held).await;
        site.act(held, Action::Drop).await;
    }
    assert_eq!((sink.sessions().len(), site.entry(id, 0).expect("it waits").attempts), (0, 0));
    site.house.store.write(EndPause).await.unwrap().into_inner();
    site.until_empty().await;
    // And it ends by itself.
    site.house.store.write(pause(Some(START.plus_ms(3_600_000)))).await.unwrap().into_inner();
    site.send(&["b@there.test"]).await;
    site.pass(7200);
    site.until_empty().await;
    assert_eq!(sink.count(), 2);
    site.stop().await;
}
