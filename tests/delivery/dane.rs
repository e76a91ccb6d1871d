//! DANE (RFC 7672): a server is what the signed DNS says that it is, and nobody gets around that by holding back or
//! spoiling signatures.

use std::time::Duration;

use hickory_resolver::proto::rr::RecordType;
use pillarbox::base::TlsWish;
use pillarbox::dns::{Anchors, MailServers, Prover};
use pillarbox::tlsreport::{PolicyResults, PolicySeen};
use sha2::{Digest, Sha256};

use crate::secure::{Authority, Certificate, Mx, Web};
use crate::signed::{SignedDns, SignedZone};
use crate::sink::{Sink, free_port};
use crate::site::Site;

type Tlsa = (u8, u8, u8, Vec<u8>);

/// DANE-EE(3) SPKI(1) SHA2-256(1)
fn own(certificate: &Certificate) -> Tlsa {
    (3, 1, 1, Sha256::digest(&certificate.key).to_vec())
}

/// A record that fits nothing.
fn wrong() -> Tlsa {
    (3, 1, 1, vec![7; 32])
}

/// `there.test`, with its one server at 127.0.0.9.
fn mail() -> SignedZone {
    SignedZone::new().mail("there.test", "127.0.0.9")
}

struct World {
    site: Site,
    dns: SignedDns,
    authority: Authority,
    port: u16,
}

impl World {
    async fn open() -> Self {
        Self::open_with(|_, _| mail()).await
    }

    /// `zone`: of the port that is dialled, and the authority.
    async fn open_with(zone: impl FnOnce(u16, &Authority) -> SignedZone) -> Self {
        let (authority, port) = (Authority::new(), free_port());
        let dns = SignedDns::start(zone(port, &authority));
        let site = Site::open_signed(&dns, port, 1, &["queue.retry_seconds=60"]).await;
        Self { site, dns, authority, port }
    }

    async fn mx(&self, certificate: &Certificate) -> Mx {
        Mx::start(certificate.clone(), &format!("127.0.0.9:{}", self.port), &["SIZE", "REQUIRETLS"]).await
    }

    /// Sends a message that waits, and says why.
    async fn put_off(&self) -> String {
        let id = self.site.send(&["b@there.test"]).await;
        let words = self.site.until_tried(id, 1).await.last.unwrap().words;
        assert_eq!(words.enhanced.map(|(class, _, _)| class), Some(4), "{words:?}");
        words.text
    }

    /// Sends a message that arrives, and gives its trace.
    async fn pass(&self, tls: TlsWish) -> String {
        let id = self.site.send_with("a@us.test", &["b@there.test"], tls).await;
        self.site.until(&format!("{id} to be gone"), |site| site.entry(id, 0).is_none()).await;
        self.site.story(id)
    }
}

// RFC 7672 §3.1.1
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_its_record_names_gets_the_mail_whatever_its_certificate_says() {
    let world = World::open().await;
    let certificate = world.authority.certificate("elsewhere.test");
    let mx = world.mx(&certificate).await;
    world.dns.set(mail().tlsa("mx.there.test", world.port, own(&certificate)));
    let story = world.pass(TlsWish::Policy).await;
    assert!(story.contains(" DANE-EE; dane\""), "{story}");
    assert_eq!(mx.taken(), (1, 0));
    world.site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_no_record_fits_gets_nothing_until_one_does() {
    let world = World::open().await;
    let certificate = world.authority.certificate("mx.there.test");
    let mx = world.mx(&certificate).await;
    world.dns.set(mail().tlsa("mx.there.test", world.port, wrong()));
    let text = world.put_off().await;
    assert!(text.contains("by the TLSA records of mx.there.test (DANE)") && text.contains("does not match"), "{text}");
    assert_eq!(mx.taken(), (0, 0));
    assert!(mx.said().iter().all(|said| !said.contains("MAIL")), "{:?}", mx.said());
    world.dns.set(mail().tlsa("mx.there.test", world.port, wrong()).tlsa(
        "mx.there.test",
        world.port,
        own(&certificate),
    ));
    world.site.pass(120);
    world.site.until_empty().await;
    assert_eq!(mx.taken(), (1, 0));
    // Its sender may waive it.
    world.dns.set(mail().tlsa("mx.there.test", world.port, wrong()));
    let story = world.pass(TlsWish::Optional).await;
    assert!(story.contains(" unverified (unknown issuer)\""), "{story}");
    world.site.stop().await;
}

// RFC 7672 §3.1.2, §3.2.2
#[tokio::test(flavor = "multi_thread")]
async fn a_published_ca_vouches_for_a_name() {
    let world = World::open().await;
    let record = (2, 0, 1, Sha256::digest(world.authority.der()).to_vec());
    world.dns.set(mail().tlsa("mx.there.test", world.port, record));
    let mx = world.mx(&world.authority.certificate("there.test")).await;
    let story = world.pass(TlsWish::Policy).await;
    assert!(story.contains(" DANE-TA; dane\""), "{story}");
    assert_eq!(mx.taken(), (1, 0));
    world.site.stop().await;
    let other = World::open().await;
    let record = (2, 0, 1, Sha256::digest(other.authority.der()).to_vec());
    other.dns.set(mail().tlsa("mx.there.test", other.port, record));
    let mx = other.mx(&other.authority.certificate("elsewhere.test")).await;
    other.put_off().await;
    assert_eq!(mx.taken(), (0, 0));
    other.site.stop().await;
}

// RFC 7672 §2.2
#[tokio::test(flavor = "multi_thread")]
async fn records_that_nobody_can_go_by_ask_for_tls_alone() {
    let sink = Sink::start("127.0.0.9:0");
    let port = sink.address.port();
    let unusable = || mail().tlsa("mx.there.test", port, (1, 1, 1, vec![7; 32]));
    let dns = SignedDns::start(unusable());
    let site = Site::open_signed(&dns, port, 1, &["queue.retry_seconds=60"]).await;
    let id = site.send(&["b@there.test"]).await;
    let words = site.until_tried(id, 1).await.last.unwrap().words;
    assert!(words.text.contains("by the TLSA records of mx.there.test (DANE)"), "{words:?}");
    assert_eq!(sink.count(), 0);
    site.stop().await;
    let world = World::open().await;
    let mx = world.mx(&world.authority.certificate("elsewhere.test")).await;
    world.dns.set(mail().tlsa("mx.there.test", world.port, (1, 1, 1, vec![7; 32])));
    let story = world.pass(TlsWish::Policy).await;
    assert!(story.contains(" unverified (unknown issuer); dane unusable\""), "{story}");
    assert_eq!(mx.taken(), (1, 0));
    world.site.stop().await;
}

// RFC 7672 §2.1.2: what is bogus is put off, and nobody is asked who may be an impostor
#[tokio::test(flavor = "multi_thread")]
async fn where_signatures_are_wrong_mail_waits() {
    type Spoil = fn(SignedZone, &str) -> SignedZone;
    let cases: [(bool, Spoil); 5] = [
        (true, |zone, _| zone.spoilt("there.test", RecordType::MX)),
        (true, |zone, _| zone.spoilt("mx.there.test", RecordType::AAAA).spoilt("mx.there.test", RecordType::A)),
        (true, |zone, tlsa| zone.spoilt(tlsa, RecordType::TLSA)),
        // That there is none is signed too.
        (false, |zone, tlsa| zone.spoilt(tlsa, RecordType::TLSA)),
        (false, |_, _| SignedZone::new().address("there.test", "127.0.0.9").spoilt("there.test", RecordType::MX)),
    ];
    for (number, (is_published, spoil)) in cases.into_iter().enumerate() {
        let world = World::open().await;
        let certificate = world.authority.certificate("mx.there.test");
        let mx = world.mx(&certificate).await;
        let right = |is_published: bool| match is_published {
            true => mail().tlsa("mx.there.test", world.port, own(&certificate)),
            false => mail(),
        };
        world.dns.set(spoil(right(is_published), &format!("_{}._tcp.mx.there.test", world.port)));
        let text = world.put_off().await;
        assert!(text.contains("what DNSSEC says of the") && text.contains("can't be proved"), "{number}: {text}");
        assert_eq!(mx.said(), [] as [&str; 0], "{number}");
        world.dns.set(right(true));
        world.site.pass(120);
        world.site.until_empty().await;
        assert_eq!(mx.taken(), (1, 0), "{number}");
        world.site.stop().await;
    }
}

/// What is kept for a report, as in `BASE, 1 records: 0 met it; KIND 1 times`.
fn counted(site: &Site) -> Vec<String> {
    let policies = site.results("there.test").unwrap_or_default().policies.into_iter();
    let line = |policy: PolicyResults| {
        let PolicySeen::Tlsa { base, records } = &policy.policy else { panic!("{policy:?}") };
        let failed =
            policy.details.iter().map(|detail| format!("; {} {} times", detail.failure.kind.name(), detail.count));
        format!("{base}, {} records: {} met it{}", records.len(), policy.successes, failed.collect::<String>())
    };
    policies.map(line).collect()
}

// RFC 8460 §4.3
#[tokio::test(flavor = "multi_thread")]
async fn what_came_of_it_is_counted_for_a_report() {
    type Publish = fn(u16, Tlsa) -> SignedZone;
    let cases: [(Publish, bool, &str); 4] = [
        (|port, right| mail().tlsa("mx.there.test", port, right), true, "1 records: 1 met it"),
        (
            |port, _| mail().tlsa("mx.there.test", port, wrong()),
            false,
            "1 records: 0 met it; validation-failure 1 times",
        ),
        (
            |port, _| mail().tlsa("mx.there.test", port, (1, 1, 1, vec![7; 32])),
            true,
            "0 records: 0 met it; tlsa-invalid 1 times",
        ),
        (
            |port, right| {
                let name = format!("_{port}._tcp.mx.there.test");
                mail().tlsa("mx.there.test", port, right).spoilt(&name, RecordType::TLSA)
            },
            false,
            "0 records: 0 met it; dnssec-invalid 1 times",
        ),
    ];
    for (publish, passes, expected) in cases {
        let world = World::open().await;
        world.site.house.delivery.set_notes_tls(true);
        let certificate = world.authority.certificate("elsewhere.test");
        let _mx = world.mx(&certificate).await;
        world.dns.set(publish(world.port, own(&certificate)));
        if passes {
            world.pass(TlsWish::Policy).await;
        } else {
            world.put_off().await;
        }
        let expected = format!("mx.there.test, {expected}");
        world.site.until(&expected, |site| counted(site) == [expected.as_str()]).await;
        world.site.stop().await;
    }
}

// RFC 6672 §5.3.1
#[tokio::test(flavor = "multi_thread")]
async fn names_that_a_dname_record_moves_are_proved() {
    let world = World::open().await;
    let certificate = world.authority.certificate("elsewhere.test");
    let mx = world.mx(&certificate).await;
    // The domain, its server and the server's records: each below another name than it is asked for.
    let zone = || {
        let zone = SignedZone::new().dname("test", "moved.example").mx("there.moved.example", 10, "mx.old.example");
        zone.dname("old.example", "new.example").address("mx.new.example", "127.0.0.9")
    };
    world.dns.set(zone().tlsa("mx.new.example", world.port, own(&certificate)));
    let story = world.pass(TlsWish::Policy).await;
    assert!(story.contains(" DANE-EE; dane\""), "{story}");
    assert_eq!(mx.taken(), (1, 0));
    world.dns.set(zone().tlsa("mx.new.example", world.port, wrong()));
    let text = world.put_off().await;
    assert!(text.contains("by the TLSA records of mx.new.example (DANE)"), "{text}");
    assert_eq!(mx.taken(), (1, 0));
    world.site.stop().await;
    // What moves them is signed wrongly.
    let other = World::open().await;
    let mx = other.mx(&other.authority.certificate("elsewhere.test")).await;
    other.dns.set(zone().spoilt("test", RecordType::DNAME).spoilt("test", RecordType::MX));
    let text = other.put_off().await;
    assert!(text.contains("what DNSSEC says of the MX records can't be proved"), "{text}");
    assert_eq!(mx.said(), [] as [&str; 0]);
    other.site.stop().await;
}

// RFC 5321 §5.1: an alias without an MX record is its own server
#[tokio::test(flavor = "multi_thread")]
async fn there_may_be_nothing_at_the_end_of_a_chain() {
    let sink = Sink::start("127.0.0.9:0");
    let port = sink.address.port();
    let dns = SignedDns::start(SignedZone::new().cname("there.test", "host.test").address("host.test", "127.0.0.9"));
    let site = Site::open_signed(&dns, port, 1, &[]).await;
    let id = site.send(&["b@there.test"]).await;
    site.until_empty().await;
    assert_eq!(sink.count(), 1, "{}", site.story(id));
    // It is proved, and so are the records below.
    let zone = SignedZone::new().cname("there.test", "host.test").address("host.test", "127.0.0.9");
    dns.set(zone.tlsa("host.test", port, wrong()));
    let id = site.send(&["b@there.test"]).await;
    let words = site.until_tried(id, 1).await.last.unwrap().words;
    assert!(words.text.contains("by the TLSA records of host.test (DANE)"), "{words:?}");
    assert_eq!(sink.count(), 1);
    site.stop().await;
}

// RFC 7672 §2.1.3: a chain is as secure as its links
#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_chain_says_nothing_of_its_links() {
    let alias = || SignedZone::new().cname("there.test", "host.example").address("host.example", "127.0.0.9");
    let dns = SignedDns::start(alias());
    let anchors = Anchors::read(&std::fs::read_to_string(dns.trust_anchor()).unwrap()).unwrap();
    let prover = Prover::new(&[dns.address], Duration::from_secs(15), &anchors, Vec::new()).unwrap();
    for (zone, is_secure) in [
        (alias(), true),
        (alias().partial(), true),
        (alias().unsigned("test"), false),
        (alias().unsigned("test").partial(), false),
        (alias().unsigned("example"), false),
        (alias().unsigned("example").partial(), false),
    ] {
        let case = format!("{zone:?}");
        dns.set(zone);
        let seen = prover.mail_servers(&"there.test".parse().unwrap()).await.unwrap();
        assert_eq!(seen, (MailServers::Implicit, is_secure), "{case}");
    }
}

// RFC 7646
#[tokio::test(flavor = "multi_thread")]
async fn an_operator_says_for_which_domains_nothing_need_be_proved() {
    let sink = Sink::start("127.0.0.9:0");
    let port = sink.address.port();
    let dns = SignedDns::start(mail().spoilt("there.test", RecordType::MX));
    let site = Site::open_signed(&dns, port, 1, &["delivery.dane_except=example, There.test"]).await;
    let id = site.send(&["b@there.test"]).await;
    site.until_empty().await;
    assert_eq!(sink.count(), 1, "{}", site.story(id));
    site.stop().await;
}

// RFC 7672 §2.2.1: no DANE where the MX record is of nobody's word
#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_signs_is_sent_as_ever() {
    let sink = Sink::start("127.0.0.9:0");
    let port = sink.address.port();
    let wrong_one = |zone: SignedZone| zone.tlsa("mx.there.test", port, wrong());
    let dns = SignedDns::start(mail());
    let site = Site::open_signed(&dns, port, 1, &[]).await;
    for (count, zone) in [
        (1, mail()),
        (2, wrong_one(mail()).unsigned("there.test")),
        (3, wrong_one(mail().unsigned("mx.there.test"))),
        (4, SignedZone::new().unsigned("there.test").address("there.test", "127.0.0.9")),
        (5, wrong_one(mail().unsigned("other.test").mx("other.test", 5, "mx.there.test"))),
    ] {
        dns.set(zone);
        let to = if count == 5 { "b@other.test" } else { "b@there.test" };
        let id = site.send(&[to]).await;
        site.until_empty().await;
        assert_eq!(sink.count(), count, "{}", site.story(id));
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn name_servers_that_know_nothing_of_dnssec_stop_no_mail_and_those_that_did_are_held_to_it() {
    let sink = Sink::start("127.0.0.9:0");
    let port = sink.address.port();
    let wrong_one = || mail().tlsa("mx.there.test", port, wrong());
    let dns = SignedDns::start(wrong_one().stripped());
    let site = Site::open_signed(&dns, port, 1, &[]).await;
    site.send(&["b@there.test"]).await;
    site.until_empty().await;
    assert_eq!(sink.count(), 1);
    site.stop().await;
    let world = World::open().await;
    let certificate = world.authority.certificate("mx.there.test");
    let mx = world.mx(&certificate).await;
    let right = || mail().tlsa("mx.there.test", world.port, own(&certificate));
    world.dns.set(right());
    world.pass(TlsWish::Policy).await;
    world.dns.set(right().stripped());
    let text = world.put_off().await;
    assert!(text.contains("can't be proved"), "{text}");
    assert_eq!(mx.taken(), (1, 0));
    world.site.stop().await;
}

// RFC 7672 §2.2.2
#[tokio::test(flavor = "multi_thread")]
async fn the_records_of_an_alias_are_below_the_name_that_it_stands_for() {
    let world = World::open().await;
    let certificate = world.authority.certificate("elsewhere.test");
    let mx = world.mx(&certificate).await;
    let alias = || {
        let zone = SignedZone::new().mx("there.test", 10, "mx.there.test").cname("mx.there.test", "host.test");
        zone.address("host.test", "127.0.0.9")
    };
    let expected = "by the TLSA records of";
    // Below the last name before the first; below the first where there is none, or where nobody signs the last.
    world.dns.set(alias().tlsa("host.test", world.port, own(&certificate)).tlsa("mx.there.test", world.port, wrong()));
    assert!(world.pass(TlsWish::Policy).await.contains("DANE-EE; dane\""));
    world.dns.set(alias().tlsa("mx.there.test", world.port, own(&certificate)));
    assert!(world.pass(TlsWish::Policy).await.contains("DANE-EE; dane\""));
    world.dns.set(alias().unsigned("host.test").tlsa("mx.there.test", world.port, own(&certificate)));
    assert!(world.pass(TlsWish::Policy).await.contains("DANE-EE; dane\""));
    assert_eq!(mx.taken(), (3, 0));
    world.dns.set(alias().tlsa("host.test", world.port, wrong()).tlsa("mx.there.test", world.port, own(&certificate)));
    let text = world.put_off().await;
    assert!(text.contains(&format!("{expected} host.test (DANE)")), "{text}");
    world.site.stop().await;
}

// RFC 8689 §4.2.1: DNSSEC proves the name of a server, and DANE its certificate
#[tokio::test(flavor = "multi_thread")]
async fn where_tls_is_required_dnssec_proves_a_server() {
    let world = World::open().await;
    let certificate = world.authority.certificate("elsewhere.test");
    let mx = world.mx(&certificate).await;
    world.dns.set(mail().tlsa("mx.there.test", world.port, own(&certificate)));
    let story = world.pass(TlsWish::Required).await;
    assert!(story.contains(" DANE-EE; requiretls\""), "{story}");
    assert_eq!(mx.taken(), (1, 0));
    assert!(mx.said().iter().any(|said| said.ends_with(" REQUIRETLS")), "{:?}", mx.said());
    // It is one of the domain's, and nothing vouches for its certificate.
    world.dns.set(mail());
    let id = world.site.send_with("a@us.test", &["b@there.test"], TlsWish::Required).await;
    let words = world.site.until_tried(id, 1).await.last.unwrap().words;
    assert!(words.text.contains("REQUIRETLS: "), "{words:?}");
    assert_eq!(mx.taken(), (1, 0));
    world.site.stop().await;
}

// RFC 8461 §2: MTA-STS does not override DANE, and DANE proves what the policy does not name
#[tokio::test(flavor = "multi_thread")]
async fn dane_goes_before_mta_sts() {
    let (authority, port) = (Authority::new(), free_port());
    let web = Web::start(authority.certificate("mta-sts.there.test"), "127.0.0.1:0").await;
    web.give("version: STSv1\r\nmode: enforce\r\nmx: other.there.test\r\nmax_age: 604800\r\n");
    let certificate = authority.certificate("elsewhere.test");
    let zone = || {
        let zone = mail().address("mta-sts.there.test", "127.0.0.1");
        zone.text("_mta-sts.there.test", "v=STSv1; id=1;")
    };
    let dns = SignedDns::start(zone().tlsa("mx.there.test", port, own(&certificate)));
    let settings = [authority.setting()];
    let site = Site::open_signed(&dns, port, web.address.port(), &[&settings[0]]).await;
    let world = World { site, dns, authority, port };
    let mx = world.mx(&certificate).await;
    let story = world.pass(TlsWish::Policy).await;
    assert!(story.contains(" DANE-EE; dane\""), "{story}");
    assert_eq!((mx.taken(), web.asked()), ((1, 0), 1));
    world.dns.set(zone());
    let text = world.put_off().await;
    assert!(text.contains("the MTA-STS policy of there.test names none"), "{text}");
    world.site.stop().await;
}
