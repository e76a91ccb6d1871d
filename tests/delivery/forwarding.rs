//! Strangers' mail that goes on elsewhere leaves with an address of ours for its sender, and what is answered to that goes
//! back; what we have signed is signed anew where it is converted on its way.

use std::net::Ipv4Addr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pillarbox::base::{Address, DomainName};
use pillarbox::directory::{AliasFields, DomainFields, Precondition, PutAlias, PutDomain};
use pillarbox::dkim::{ActivateKey, AddKeys, Algorithm, BodyHasher, KeyPair, record_value};
use pillarbox::net::Listener;
use pillarbox::settings::Settings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::dns::Zone;
use crate::sink::{Sink, Taken};
use crate::site::{SOON, START, Site};

const DAY_S: u64 = 24 * 60 * 60;

async fn site(port: u16, settings: &[&str]) -> Site {
    site_in(Zone::new().mail("far.test", "127.0.0.9"), port, settings).await
}

/// `away@us.test` leads to `b@there.test`.
pub async fn site_in(zone: Zone, port: u16, settings: &[&str]) -> Site {
    let site = Site::open(zone.mail("there.test", "127.0.0.9"), port, settings).await;
    add_domain(&site, "us.test").await;
    lead(&site, "away@us.test").await;
    site
}

/// A domain more is of this server.
pub async fn add_domain(site: &Site, name: &str) {
    let name = DomainName::parse(name).unwrap();
    let fields = DomainFields::new(&Settings::default());
    let put = PutDomain { name, fields, precondition: Precondition::None, at: START };
    site.house.store.write(put).await.unwrap().into_inner();
}

/// This address leads to `b@there.test`.
pub async fn lead(site: &Site, from: &str) {
    let fields = AliasFields::leading_to(vec![address("b@there.test")]);
    let put = PutAlias { address: address(from), fields, precondition: Precondition::None, at: START };
    site.house.store.write(put).await.unwrap().into_inner();
}

/// `us.test` signs from now on, by the selector `k1`. Gives its record.
pub async fn give_key(site: &Site, algorithm: Algorithm) -> String {
    let (domain, at) = (DomainName::parse("us.test").unwrap(), START);
    let pair = KeyPair::generate(algorithm).unwrap();
    let record = record_value(algorithm, &pair.public);
    let add = AddKeys { domain: domain.clone(), keys: vec![("k1".to_owned(), pair)], only_first: false, at };
    site.house.store.write(add).await.unwrap().into_inner();
    let (selector, seen_in) = ("k1".to_owned(), vec![domain.clone()]);
    let activate = ActivateKey { domain, selector, seen_in, precondition: Precondition::None, at };
    site.house.store.write(activate).await.unwrap().into_inner();
    record
}

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

/// What the server says to a stranger who sends these lines.
pub async fn say(site: &Site, lines: &str) -> String {
    let mut client = site.house.connect(Listener::Smtp, Ipv4Addr::new(192, 0, 2, 1).into());
    // It greets whoever waits for it.
    let mut heard = vec![0; 512];
    let octets = client.read(&mut heard).await.unwrap();
    heard.truncate(octets);
    client.write_all(format!("EHLO mx.far.test\r\n{lines}QUIT\r\n").as_bytes()).await.unwrap();
    client.read_to_end(&mut heard).await.unwrap();
    String::from_utf8(heard).unwrap()
}

async fn send(site: &Site, sender: &str, recipient: &str) -> String {
    let text = "Subject: x\r\n\r\ntext\r\n.\r\n";
    say(site, &format!("MAIL FROM:<{sender}>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n{text}")).await
}

pub fn taken(sink: &Sink, count: usize) -> Vec<Taken> {
    tokio::task::block_in_place(|| sink.wait_for(count, SOON))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bounce_of_what_was_forwarded_goes_back_to_its_sender() {
    let sink = Sink::start("127.0.0.9:0");
    let site = site(sink.address.port(), &[]).await;
    let long = "bounces+1234567-abcd-somebody=example.com.and.more@far.test";
    for (count, sender) in [(1, "joe@far.test"), (3, "SRS0=abc=TT=far.test=joe@far.test"), (5, long)] {
        let heard = send(&site, sender, "away@us.test").await;
        let id = heard.split([' ', '\r']).find(|word| word.starts_with("m_")).unwrap_or_else(|| panic!("{heard}"));
        let seen = taken(&sink, count).pop().unwrap();
        assert_eq!(seen.recipients, ["b@there.test"]);
        let rewritten = seen.sender;
        assert!(rewritten.starts_with("SRS") && rewritten.ends_with("@us.test"), "{rewritten}");
        let story = site.story(id.parse().unwrap());
        assert!(story.contains(&format!(", from {rewritten}")), "{story}");
        send(&site, "", &rewritten.to_lowercase()).await;
        let seen = taken(&sink, count + 1).pop().unwrap();
        let back = seen.recipients.first().unwrap();
        assert_eq!((seen.sender.as_str(), back.to_lowercase()), ("", sender.to_lowercase()));
    }
    site.until_empty().await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_sends_by_such_an_address() {
    let sink = Sink::start("127.0.0.9:0");
    let site = site(sink.address.port(), &[]).await;
    send(&site, "joe@far.test", "away@us.test").await;
    let rewritten = taken(&sink, 1).pop().unwrap().sender;
    let heard = send(&site, "eve@evil.test", &rewritten).await;
    assert!(heard.contains("550 5.7.1 This address takes reports"), "{heard}");
    let forged = rewritten.replace("=joe@", "=bob@");
    let heard = send(&site, "", &forged).await;
    assert!(heard.contains("550 5.1.1"), "{heard}");
    site.pass(22 * DAY_S);
    let heard = send(&site, "", &rewritten).await;
    assert!(heard.contains("550 5.1.1"), "{heard}");
    site.until_empty().await;
    assert_eq!(sink.count(), 1);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn senders_that_need_no_other_address_stay() {
    let sink = Sink::start("127.0.0.9:0");
    let here = site(sink.address.port(), &[]).await;
    for (count, sender) in [(1, ""), (2, "a@us.test")] {
        send(&here, sender, "away@us.test").await;
        assert_eq!(taken(&sink, count).pop().unwrap().sender, sender);
    }
    here.until_empty().await;
    here.stop().await;
    let here = site(sink.address.port(), &["srs.enabled=false"]).await;
    send(&here, "joe@far.test", "away@us.test").await;
    assert_eq!(taken(&sink, 3).pop().unwrap().sender, "joe@far.test");
    here.until_empty().await;
    here.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_converted_is_signed_anew() {
    let sink = Sink::start("127.0.0.9:0");
    sink.announce(&["PIPELINING"]);
    let site = site(sink.address.port(), &[]).await;
    give_key(&site, Algorithm::Ed25519).await;
    let body = "\r\nIn a caf\u{e9}, of an evening\r\n";
    let signed = site.send_signed("b@there.test", "us.test", body).await;
    assert!(signed.contains("DKIM-Signature:"), "{signed}");
    let seen = String::from_utf8(taken(&sink, 1).pop().unwrap().content).unwrap();
    assert!(seen.contains("caf=C3=A9") && seen.matches("DKIM-Signature:").count() == 1, "{seen}");
    let hash = |text: &str| {
        let mut hasher = BodyHasher::default();
        hasher.push(text.as_bytes());
        format!("bh={};", STANDARD.encode(hasher.finish().0))
    };
    let sent_body = &seen[seen.find("\r\n\r\n").unwrap() + 2..];
    assert!(signed.contains(&hash(body)) && seen.contains(&hash(sent_body)), "{seen}");
    site.until_empty().await;
    site.stop().await;
}
