//! Strangers' mail that goes on elsewhere leaves with a seal (RFC 8617) that says what came of it here, and the seals that
//! others have put on it are looked at. The other program is dkimpy.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pillarbox::base::RcptOptions;
use pillarbox::dkim::{Algorithm, KeyPair, record_value};
use pillarbox::intake::{Origin, Recipient, Redeliver, Wish, redeliverable};
use serde_json::json;

use crate::dkimpy;
use crate::dns::Zone;
use crate::forwarding::{add_domain, give_key, lead, say, site_in, taken};
use crate::sink::{Fault, Sink, Stage};
use crate::site::{START, Site};

const HOUR_S: u64 = 60 * 60;
const MESSAGE: &str =
    "From: Joe <joe@far.test>\r\nTo: away@us.test\r\nSubject: x  y\r\nDate: y\r\n\r\nHello \t Bob, \r\n\r\n\r\n";
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/delivery/arc/chain.py");

/// A site at which `away@us.test`, `again@us.test` and `more@us.test` lead elsewhere, and its record when it has a key.
async fn sealing_site(sink: &Sink, settings: &[&str]) -> (Site, String) {
    let site = site_in(Zone::new(), sink.address.port(), settings).await;
    lead(&site, "again@us.test").await;
    lead(&site, "more@us.test").await;
    let record = give_key(&site, Algorithm::Rsa2048).await;
    site.dns.set(zone(&record));
    (site, record)
}

fn zone(record: &str) -> Zone {
    let zone = Zone::new().mail("there.test", "127.0.0.9").text("far.test", "v=spf1 ip4:192.0.2.1 -all");
    zone.text("k1._domainkey.us.test", record)
}

/// What arrives elsewhere of what is sent to an address here, and the id that it had here.
async fn forward(site: &Site, sink: &Sink, to: &str, message: &str) -> (String, String) {
    let before = sink.count();
    let id = send(site, to, message).await;
    let seen = taken(sink, before + 1).pop().unwrap();
    (String::from_utf8(seen.content).unwrap(), id)
}

async fn send(site: &Site, to: &str, message: &str) -> String {
    let heard = say(site, &format!("MAIL FROM:<joe@far.test>\r\nRCPT TO:<{to}>\r\nDATA\r\n{message}.\r\n")).await;
    heard.split([' ', '\r']).find(|word| word.starts_with("m_")).unwrap_or_else(|| panic!("{heard}")).to_owned()
}

/// The results in the first field of that name.
fn results<'a>(message: &'a str, field: &str) -> &'a str {
    let (_, rest) = message.split_once(&format!("\r\n{field}: ")).unwrap_or_else(|| panic!("no {field}: {message}"));
    let end = rest.match_indices("\r\n").find(|(at, _)| !rest[at + 2..].starts_with(['\t', ' '])).unwrap().0;
    &rest[..end]
}

/// The words of its last seal until its signature.
fn seal(message: &str) -> String {
    message.split(" b=").next().unwrap().replace("\r\n\t", " ")
}

#[tokio::test(flavor = "multi_thread")]
async fn each_server_on_the_way_sees_what_the_ones_before_have_seen() {
    let sink = Sink::start("127.0.0.9:0");
    let (site, _) = sealing_site(&sink, &[]).await;
    let (first, id) = forward(&site, &sink, "away@us.test", MESSAGE).await;
    assert_eq!(seal(&first), "ARC-Seal: i=1; a=rsa-sha256; s=k1; d=us.test; t=1795341900; cv=none;");
    let seen = results(&first, "ARC-Authentication-Results");
    assert_eq!(seen, format!("i=1; {}", results(&first, "Authentication-Results")));
    assert!(seen.contains("spf=pass smtp.mailfrom=far.test;") && seen.contains("arc=none smtp.remote-ip=192.0.2.1"));
    assert!(site.story(id.parse().unwrap()).contains(", sealed by us.test"));
    let (second, id) = forward(&site, &sink, "again@us.test", &first).await;
    assert!(seal(&second).ends_with("cv=pass;") && seal(&second).starts_with("ARC-Seal: i=2;"), "{second}");
    assert!(results(&second, "Authentication-Results").contains("arc=pass"), "{second}");
    assert!(site.story(id.parse().unwrap()).contains("arc=pass (us.test)"));
    // One octet of the body, and the chain is broken; what was sealed so is the end of it.
    let (broken, _) = forward(&site, &sink, "again@us.test", &first.replace("Hello", "Hallo")).await;
    assert!(seal(&broken).ends_with("cv=fail;") && seal(&broken).starts_with("ARC-Seal: i=2;"), "{broken}");
    assert!(results(&broken, "Authentication-Results").contains("arc=fail"), "{broken}");
    let (ended, _) = forward(&site, &sink, "more@us.test", &broken).await;
    assert!(ended.starts_with("Delivered-To: more@us.test\r\n") && !ended.contains("i=3;"), "{ended}");
    assert!(results(&ended, "Authentication-Results").contains("arc=fail"), "{ended}");
    site.until_empty().await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_can_be_sealed_mail_goes_on_without() {
    let sink = Sink::start("127.0.0.9:0");
    let without_a_key = site_in(Zone::new(), sink.address.port(), &[]).await;
    let (off, _) = sealing_site(&sink, &["arc.seal=false"]).await;
    let (unseen, _) = sealing_site(&sink, &["smtp.sender_authentication=false"]).await;
    for site in [without_a_key, off, unseen] {
        let (message, id) = forward(&site, &sink, "away@us.test", MESSAGE).await;
        assert!(message.starts_with("Delivered-To: away@us.test\r\n") && !message.contains("ARC-"), "{message}");
        assert!(!site.story(id.parse().unwrap()).contains("sealed"));
        site.until_empty().await;
        site.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_domains_that_forward_the_first_with_a_key_seals() {
    let sink = Sink::start("127.0.0.9:0");
    let (site, _) = sealing_site(&sink, &[]).await;
    add_domain(&site, "keyless.test").await;
    lead(&site, "away@keyless.test").await;
    let (message, id) = forward(&site, &sink, "away@keyless.test", MESSAGE).await;
    assert!(!message.contains("ARC-"), "{message}");
    assert!(!site.story(id.parse().unwrap()).contains("sealed"));
    let (both, another) = ("away@keyless.test>\r\nRCPT TO:<away@us.test", MESSAGE.replace("Hello", "Good day"));
    let (message, id) = forward(&site, &sink, both, &another).await;
    assert!(seal(&message).contains(" d=us.test;"), "{message}");
    assert!(site.story(id.parse().unwrap()).contains(", sealed by us.test"));
    site.until_empty().await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_tried_again_and_converted_has_a_seal_that_holds() {
    let sink = Sink::start("127.0.0.9:0");
    sink.announce(&["PIPELINING"]);
    sink.fail(Stage::End, Fault::Reply("451 4.3.0 not now"), 1);
    let (site, record) = sealing_site(&sink, &["queue.retry_seconds=3600", "queue.delay_notice_seconds=0"]).await;
    let eight_bit = MESSAGE.replace("Bob", "caf\u{e9}");
    let id = send(&site, "away@us.test", &eight_bit).await;
    site.until_tried(id.parse().unwrap(), 1).await;
    site.pass(2 * HOUR_S);
    let seen = String::from_utf8(taken(&sink, 1).pop().unwrap().content).unwrap();
    assert!(seen.contains("caf=C3=A9") && seen.matches("ARC-Seal:").count() == 1, "{seen}");
    let (again, _) = forward(&site, &sink, "again@us.test", &seen).await;
    assert!(results(&again, "Authentication-Results").contains("arc=pass"), "{again}");
    if dkimpy::is_here("dkim", "python3-dkim") {
        let chain = Chain::new(&[("k1._domainkey.us.test", &record)]);
        assert_eq!((chain.verify(&seen), chain.verify(&again)), ("pass us.test".into(), "pass us.test us.test".into()));
    }
    site.until_empty().await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_forwarded_is_delivered_once_more_with_its_seal() {
    let sink = Sink::start("127.0.0.9:0");
    let (site, _) = sealing_site(&sink, &[]).await;
    let (first, id) = forward(&site, &sink, "away@us.test", MESSAGE).await;
    site.until_empty().await;
    let (of, store) = (id.parse().unwrap(), &site.house.store);
    let source = redeliverable(&store.view().unwrap(), of).unwrap().expect("it is kept").source;
    let given = "more@us.test".parse().unwrap();
    let remote = vec!["b@there.test".parse().unwrap()];
    let wish = Wish {
        of,
        source,
        recipients: vec![Recipient { given, deliveries: Vec::new(), remote, options: RcptOptions::default() }],
        via: None,
        origin: Origin::default(),
        at: START,
        outbound: Arc::clone(&site.house.delivery.outbound),
    };
    let again = Redeliver::prepare(store, wish).await.unwrap().unwrap();
    store.write(again).await.unwrap().into_inner();
    site.house.delivery.wake();
    let seen = String::from_utf8(taken(&sink, 2).pop().unwrap().content).unwrap();
    let set = |message: &str| message.split("Delivered-To:").next().unwrap().to_owned();
    assert_eq!((set(&seen), seen.matches("ARC-Seal:").count()), (set(&first), 1), "{seen}");
    let (again, _) = forward(&site, &sink, "again@us.test", &seen).await;
    assert!(results(&again, "Authentication-Results").contains("arc=pass"), "{again}");
    site.until_empty().await;
    site.stop().await;
}

/// What dkimpy makes and says of chains.
struct Chain {
    folder: tempfile::TempDir,
}

impl Chain {
    /// With a DNS of these records.
    fn new(records: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let records: serde_json::Map<_, _> =
            records.iter().map(|(name, text)| ((*name).to_owned(), json!(text))).collect();
        fs::write(folder.path().join("records.json"), json!(records).to_string()).unwrap();
        Self { folder }
    }

    fn run(&self, what: &str, more: &[&str], message: &str) -> String {
        let records = self.folder.path().join("records.json");
        let arguments = [&[what, records.to_str().unwrap()], more].concat();
        String::from_utf8(dkimpy::run(Path::new(SCRIPT), &arguments, message.as_bytes())).unwrap()
    }

    /// What came of it, and who has sealed, the last one first.
    fn verify(&self, message: &str) -> String {
        self.run("verify", &[], message).trim_end().to_owned()
    }

    /// The message with a set of `relay.test`, whose results are in it.
    fn seal(&self, pair: &KeyPair, message: &str) -> String {
        let key = self.folder.path().join("key.pem");
        let text = STANDARD.encode(pair.private.expose());
        fs::write(&key, format!("-----BEGIN RSA PRIVATE KEY-----\n{text}\n-----END RSA PRIVATE KEY-----\n")).unwrap();
        self.run("seal", &["relay.test", "s1", key.to_str().unwrap()], message)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dkimpy_takes_our_seals_and_we_take_its() {
    if !dkimpy::is_here("dkim, authres", "python3-dkim and python3-authres") {
        return;
    }
    let sink = Sink::start("127.0.0.9:0");
    let (site, record) = sealing_site(&sink, &[]).await;
    let pair = KeyPair::generate(Algorithm::Rsa2048).unwrap();
    let relay = record_value(Algorithm::Rsa2048, &pair.public);
    site.dns.set(zone(&record).text("s1._domainkey.relay.test", &relay));
    let chain = Chain::new(&[("k1._domainkey.us.test", &record), ("s1._domainkey.relay.test", &relay)]);
    // A chain that begins here.
    let (ours, _) = forward(&site, &sink, "away@us.test", MESSAGE).await;
    assert_eq!(chain.verify(&ours), "pass us.test", "{ours}");
    for (from, to) in
        [("Hello", "Hallo"), ("Subject: x", "Subject: z"), ("spf=pass", "spf=fail"), ("cv=none", "cv=pass")]
    {
        let changed = ours.replacen(from, to, 1);
        assert!(changed != ours && chain.verify(&changed).starts_with("fail"), "{from}");
    }
    // One that begins elsewhere, and goes on here and elsewhere.
    let theirs =
        chain.seal(&pair, &format!("Authentication-Results: relay.test; spf=pass smtp.mailfrom=far.test\r\n{MESSAGE}"));
    assert_eq!(chain.verify(&theirs), "pass relay.test", "{theirs}");
    let (second, id) = forward(&site, &sink, "away@us.test", &theirs).await;
    assert!(results(&second, "Authentication-Results").contains("arc=pass"), "{second}");
    assert!(site.story(id.parse().unwrap()).contains("arc=pass (relay.test)"));
    assert_eq!(chain.verify(&second), "pass us.test relay.test", "{second}");
    assert_eq!(chain.verify(&second.replace("Hello", "Hallo")), "fail us.test relay.test");
    let third = chain.seal(&pair, &format!("Authentication-Results: relay.test; arc=pass\r\n{second}"));
    assert_eq!(chain.verify(&third), "pass relay.test us.test relay.test", "{third}");
    let (fourth, _) = forward(&site, &sink, "again@us.test", &third).await;
    assert_eq!(chain.verify(&fourth), "pass us.test relay.test us.test relay.test", "{fourth}");
    // One that was broken on its way.
    let (broken, _) = forward(&site, &sink, "away@us.test", &theirs.replace("Hello", "Hallo")).await;
    assert!(results(&broken, "Authentication-Results").contains("arc=fail"), "{broken}");
    assert_eq!(chain.verify(&broken), "ended us.test relay.test", "{broken}");
    site.until_empty().await;
    site.stop().await;
}
