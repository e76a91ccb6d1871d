//! MTA-STS (RFC 8461): what a domain's policy asks for is kept to, and nobody gets around it by holding something back.

use pillarbox::base::TlsWish;
use pillarbox::tlspolicy;

use crate::dns::Zone;
use crate::secure::{Authority, Mx, Web};
use crate::sink::{Sink, free_port};
use crate::site::{START, Site};

const DAY_S: u64 = 24 * 60 * 60;

fn policy(mode: &str, mx: &str) -> String {
    format!("version: STSv1\r\nmode: {mode}\r\nmx: {mx}\r\nmax_age: {}\r\n", 7 * DAY_S)
}

/// `there.test`, with its one server at 127.0.0.9, and a policy of that id.
fn zone(id: Option<&str>) -> Zone {
    let zone = Zone::new().mail("there.test", "127.0.0.9").address("mta-sts.there.test", "127.0.0.1");
    match id {
        Some(id) => zone.text("_mta-sts.there.test", &format!("v=STSv1; id={id};")),
        None => zone,
    }
}

struct World {
    site: Site,
    web: Web,
    authority: Authority,
    port: u16,
}

impl World {
    async fn open(policy: Option<&str>) -> Self {
        let (authority, port) = (Authority::new(), free_port());
        let web = Web::start(authority.certificate("mta-sts.there.test"), "127.0.0.1:0").await;
        match policy {
            Some(policy) => web.give(policy),
            None => web.give_nothing(),
        }
        let settings = [authority.setting(), "queue.retry_seconds=60".to_owned()];
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        let site = Site::open_with(zone(Some("1")), port, web.address.port(), &settings).await;
        Self { site, web, authority, port }
    }

    async fn mx(&self, certified: &str) -> Mx {
        let address = format!("127.0.0.9:{}", self.port);
        Mx::start(self.authority.certificate(certified), &address, &["SIZE"]).await
    }

    fn known(&self) -> Option<tlspolicy::Known> {
        let domain = "there.test".parse().unwrap();
        tlspolicy::policy(&self.site.house.store.view().unwrap(), &domain, START).unwrap()
    }

    /// Sends a message that waits, and says why.
    async fn put_off(&self) -> String {
        let id = self.site.send(&["b@there.test"]).await;
        let words = self.site.until_tried(id, 1).await.last.unwrap().words;
        assert_eq!(words.enhanced.map(|(class, subject, _)| (class, subject)), Some((4, 7)), "{words:?}");
        words.text
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_kept_to_and_outlives_its_record_and_its_web_server() {
    let world = World::open(Some(&policy("enforce", "*.there.test"))).await;
    let mx = world.mx("mx.there.test").await;
    let id = world.site.send(&["b@there.test"]).await;
    world.site.until_empty().await;
    let story = world.site.story(id);
    assert!(story.contains(" verified; mta-sts\""), "{story}");
    assert_eq!((mx.taken(), world.web.asked()), ((1, 0), 1));
    assert_eq!(world.known().map(|known| known.id).as_deref(), Some("1"));
    // Somebody who holds back the record, or the new policy, does not get mail in the clear by it.
    for id in [None, Some("2")] {
        world.site.dns.set(zone(id));
        world.web.give_nothing();
        let id = world.site.send(&["b@there.test"]).await;
        world.site.until_empty().await;
        let story = world.site.story(id);
        assert!(story.contains(" verified; mta-sts\""), "{story}");
    }
    assert_eq!((mx.taken(), world.web.asked()), ((3, 0), 2));
    world.site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_the_policy_does_not_name_is_not_tried() {
    let world = World::open(Some(&policy("enforce", "other.there.test"))).await;
    let mx = world.mx("mx.there.test").await;
    let text = world.put_off().await;
    assert!(text.contains("policy of there.test names none of the servers in the DNS, as mx.there.test"), "{text}");
    assert_eq!(mx.said(), [] as [&str; 0]);
    // The domain mends it.
    world.web.give(&policy("enforce", "mx.there.test"));
    world.site.dns.set(zone(Some("2")));
    world.site.pass(70);
    world.site.until_empty().await;
    assert_eq!(mx.taken(), (1, 0));
    world.site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_tls_or_with_another_certificate_it_waits() {
    let world = World::open(Some(&policy("enforce", "mx.there.test"))).await;
    let mut plain = Sink::start(&format!("127.0.0.9:{}", world.port));
    let text = world.put_off().await;
    assert!(text.starts_with("by the MTA-STS policy of there.test: "), "{text}");
    assert!(text.contains("does not offer STARTTLS"), "{text}");
    let heard = format!("{:?}", plain.sessions());
    assert!(plain.count() == 0 && !heard.contains("MAIL"), "{heard}");
    plain.down();
    world.site.stop().await;
    let world = World::open(Some(&policy("enforce", "mx.there.test"))).await;
    let mx = world.mx("mx.elsewhere.test").await;
    let text = world.put_off().await;
    assert!(text.starts_with("by the MTA-STS policy of there.test: "), "{text}");
    assert_eq!(mx.taken(), (0, 0), "{:?}", mx.said());
    world.site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_in_testing_or_none_at_all_stops_nothing() {
    for (given, expected) in [
        (Some(policy("testing", "other.test")), true),
        (Some(policy("none", "other.test")), false),
        (Some("nonsense".to_owned()), false),
        (None, false),
    ] {
        let world = World::open(given.as_deref()).await;
        let mx = world.mx("mx.elsewhere.test").await;
        let id = world.site.send(&["b@there.test"]).await;
        world.site.until_empty().await;
        let story = world.site.story(id);
        assert_eq!(story.contains("(another name); mta-sts testing\""), expected, "{given:?}: {story}");
        assert_eq!((mx.taken(), story.contains("mta-sts\"")), ((1, 0), false), "{given:?}: {story}");
        world.site.stop().await;
    }
}

// RFC 8689 §4.2.1
#[tokio::test(flavor = "multi_thread")]
async fn what_needs_tls_goes_to_a_server_that_is_proved_and_asks_for_it_too() {
    let world = World::open(Some(&policy("testing", "mx.there.test"))).await;
    let address = format!("127.0.0.9:{}", world.port);
    let certificate = world.authority.certificate("mx.there.test");
    let mx = Mx::start(certificate, &address, &["SIZE", "REQUIRETLS"]).await;
    let id = world.site.send_with("a@us.test", &["b@there.test"], TlsWish::Required).await;
    world.site.until_empty().await;
    let story = world.site.story(id);
    assert!(story.contains(" verified; requiretls\""), "{story}");
    assert!(mx.said().iter().any(|said| said == "tls MAIL FROM:<a@us.test> REQUIRETLS"), "{:?}", mx.said());
    world.site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_tls_comes_back_where_it_can_not_be_had() {
    for (named, certified, expected) in [
        ("mx.there.test", "mx.there.test", "(5, 7, 30)"),
        ("other.test", "mx.there.test", "(5, 7, 10)"),
        ("mx.there.test", "plain", "(5, 7, 10)"),
    ] {
        let world = World::open(Some(&policy("enforce", named))).await;
        let (mx, plain) = match certified {
            "plain" => (None, Some(Sink::start(&format!("127.0.0.9:{}", world.port)))),
            name => (Some(world.mx(name).await), None),
        };
        let id = world.site.send_with("a@us.test", &["b@there.test"], TlsWish::Required).await;
        world.site.until("a bounce", |site| site.entry(id, 0).is_none()).await;
        let story = world.site.story(id);
        assert!(story.contains(expected) && story.contains("REQUIRETLS"), "{expected}: {story}");
        assert_eq!(mx.map_or((0, 0), |mx| mx.taken()), (0, 0), "{expected}");
        assert_eq!(plain.map_or(0, |sink| sink.count()), 0, "{expected}");
        world.site.stop().await;
    }
}

// RFC 8689 §4.2.2
#[tokio::test(flavor = "multi_thread")]
async fn who_waives_tls_is_not_held_to_the_domain_s_policy() {
    let world = World::open(Some(&policy("enforce", "other.test"))).await;
    let mx = world.mx("mx.elsewhere.test").await;
    let id = world.site.send_with("a@us.test", &["b@there.test"], TlsWish::Optional).await;
    world.site.until_empty().await;
    let story = world.site.story(id);
    assert!(story.contains("(another name)\"") && !story.contains("mta-sts"), "{story}");
    assert_eq!((mx.taken(), world.web.asked()), ((1, 0), 0));
    world.site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_in_use_is_fetched_anew_before_it_expires() {
    let world = World::open(Some(&policy("enforce", "mx.there.test"))).await;
    let mx = world.mx("mx.there.test").await;
    world.site.send(&["b@there.test"]).await;
    world.site.until_empty().await;
    assert_eq!((mx.taken(), world.web.asked()), ((1, 0), 1));
    world.site.pass(2 * DAY_S);
    world.site.house.keep_policies();
    world
        .site
        .until("a policy that is fetched anew", |_| {
            world.known().is_some_and(|known| known.fetched_at > START.plus_ms(DAY_S * 1000))
        })
        .await;
    assert_eq!(world.web.asked(), 2);
    world.site.stop().await;
}
