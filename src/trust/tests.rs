mod chain;

use std::collections::HashMap;
use std::sync::Mutex;

use mail_auth::MessageAuthenticator;
use mail_auth::common::crypto::Ed25519Key;
use mail_auth::common::headers::HeaderWriter;
use mail_auth::dkim::{Canonicalization, DkimSigner};
use mail_auth::hickory_resolver::TokioResolver;
use mail_auth::hickory_resolver::config::ResolverConfig;
use mail_auth::hickory_resolver::net::runtime::TokioRuntimeProvider;

use super::*;
use crate::base::{Address, DomainName, limits};
use crate::dkim::{Algorithm, KeyPair, record_value};

const CLIENT: &str = "192.0.2.1";

/// The DNS.
#[derive(Default)]
struct Zone {
    records: HashMap<Question, Answer>,
    asked: Mutex<Vec<Question>>,
}

impl Resolve for Zone {
    async fn ask(&self, question: &Question) -> Answer {
        self.asked.lock().unwrap().push(question.clone());
        self.records.get(question).cloned().unwrap_or(Answer::Nothing)
    }
}

impl Zone {
    fn text(mut self, name: &str, text: &str) -> Self {
        let question = Question::Texts(format!("{name}."));
        match self.records.entry(question).or_insert_with(|| Answer::Texts(Vec::new())) {
            Answer::Texts(texts) => texts.push(text.to_owned()),
            other => panic!("{other:?}"),
        }
        self
    }

    fn mx(mut self, name: &str, host: &str) -> Self {
        self.records.insert(Question::Mx(format!("{name}.")), Answer::Mx(vec![(10, format!("{host}."))]));
        self
    }

    fn host(mut self, name: &str, ip: &str) -> Self {
        self.records.insert(Question::V4(format!("{name}.")), Answer::V4(vec![ip.parse().unwrap()]));
        self
    }

    fn silent(mut self, question: Question) -> Self {
        self.records.insert(question, Answer::Unanswered);
        self
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

fn judge() -> Judge {
    let config = ResolverConfig::from_name_servers(Vec::new());
    let resolver = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).build().unwrap();
    Judge::new(MessageAuthenticator(resolver))
}

fn name(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

async fn verdicts(zone: &Zone, sender: &str, message: &str) -> Verdicts {
    let (header_block, body) = message.split_at(message.find("\r\n\r\n").unwrap() + 2);
    let mut hashes = BodyHashes::default();
    body.as_bytes().chunks(7).for_each(|piece| hashes.push(piece));
    let sender = (!sender.is_empty()).then(|| Address::parse(sender).unwrap());
    let arrival = Arrival {
        peer_ip: Some(CLIENT.parse().unwrap()),
        helo: "mx.far.test",
        hostname: &name("mx.ours.test"),
        sender: sender.as_ref(),
        header_block: header_block.as_bytes(),
        body: Some(hashes.finish()),
    };
    judge().judge(&arrival, zone).await
}

const MESSAGE: &str =
    "From: Joe <joe@far.test>\r\nTo: a@ours.test\r\nSubject: x\r\nDate: y\r\n\r\nHello  Bob \r\n\r\n\r\n";

async fn spf(zone: Zone) -> Word {
    verdicts(&zone, "joe@far.test", MESSAGE).await.spf.unwrap().word
}

#[tokio::test]
async fn a_domain_says_who_sends_for_it() {
    let check = async |record: &str, expected: Word| {
        let zone = Zone::default().text("far.test", "other").text("far.test", record);
        let zone = zone.mx("far.test", "mx.far.test").host("mx.far.test", CLIENT).host("www.far.test", "192.0.2.9");
        let zone = zone.text("in.far.test", "v=spf1 ip4:192.0.2.0/24 -all");
        assert_eq!(spf(zone).await, expected, "{record}");
    };
    check("v=spf1 ip4:192.0.2.1 -all", Word::Pass).await;
    check("V=SPF1 ip4:192.0.2.1 -all", Word::Pass).await;
    check("v=spf1 mx -all", Word::Pass).await;
    check("v=spf1 a:mx.far.test -all", Word::Pass).await;
    check("v=spf1 include:in.far.test -all", Word::Pass).await;
    check("v=spf1 redirect=in.far.test", Word::Pass).await;
    check("v=spf1 a:www.far.test -all", Word::Fail).await;
    check("v=spf1 a:www.far.test ~all", Word::SoftFail).await;
    check("v=spf1 a:www.far.test", Word::Neutral).await;
    check("v=spf1 include:nowhere.test -all", Word::PermError).await;
    check("v=spf1 nonsense -all", Word::PermError).await;
    check("v=spf1 a:x1.test a:x2.test a:x3.test ip4:192.0.2.1 -all", Word::PermError).await;
    check("v=spf10 ip4:192.0.2.1 -all", Word::None).await;
}

#[tokio::test]
async fn two_records_are_an_error_and_no_answer_is_temporary() {
    let two = Zone::default().text("far.test", "v=spf1 -all").text("far.test", "v=spf1 +all");
    assert_eq!(spf(two).await, Word::PermError);
    assert_eq!(spf(Zone::default()).await, Word::None);
    assert_eq!(spf(Zone::default().silent(Question::Texts("far.test.".into()))).await, Word::TempError);
    let mx = Zone::default().text("far.test", "v=spf1 mx -all").silent(Question::Mx("far.test.".into()));
    assert_eq!(spf(mx).await, Word::TempError);
}

#[tokio::test]
async fn no_record_asks_without_end() {
    let mut zone = Zone::default().text("far.test", "v=spf1 include:i0.test -all");
    for number in 0..30 {
        zone = zone.text(&format!("i{number}.test"), &format!("v=spf1 include:i{}.test -all", number + 1));
    }
    let seen = verdicts(&zone, "joe@far.test", MESSAGE).await;
    assert_eq!(seen.spf.unwrap().word, Word::PermError);
    assert!(zone.asked() < 20, "{} questions", zone.asked());
    let looping = Zone::default().text("far.test", "v=spf1 redirect=far.test");
    assert_eq!(spf(looping).await, Word::PermError);
}

#[tokio::test]
async fn without_a_sender_the_client_s_name_is_asked() {
    let zone = Zone::default().text("mx.far.test", "v=spf1 ip4:192.0.2.1 -all");
    let seen = verdicts(&zone, "", MESSAGE).await;
    assert_eq!(seen.spf, Some(Spf { word: Word::Pass, of: SpfOf::Helo(name("mx.far.test")) }));
    assert!(seen.field(&name("mx.ours.test")).contains("spf=pass smtp.helo=mx.far.test;"));
    assert!(!seen.prove(&"joe@mx.far.test".parse().unwrap()));
}

/// The message with a signature of `far.test`, and its record.
fn signed(message: &str, form: Canonicalization) -> (String, String) {
    signed_over(message, form, &["From", "Subject", "Date"])
}

fn signed_over(message: &str, form: Canonicalization, fields: &[&str]) -> (String, String) {
    let pair = KeyPair::generate(Algorithm::Ed25519).unwrap();
    let key = Ed25519Key::from_pkcs8_der(pair.private.expose()).unwrap();
    let signer = DkimSigner::from_key(key).domain("far.test").selector("s1").headers(fields.iter().copied());
    let signer = signer.body_canonicalization(form).header_canonicalization(form);
    let signature = signer.sign(message.as_bytes()).unwrap().to_header();
    (signature + message, record_value(pair.algorithm, &pair.public))
}

#[tokio::test]
async fn a_signature_holds_until_something_is_changed() {
    for form in [Canonicalization::Relaxed, Canonicalization::Simple] {
        let (message, record) = signed(MESSAGE, form);
        let zone =
            Zone::default().text("s1._domainkey.far.test", &record).text("_dmarc.far.test", "v=DMARC1; p=reject");
        let seen = verdicts(&zone, "bounce@other.test", &message).await;
        assert_eq!((seen.dkim.len(), seen.dkim[0].word, seen.dmarc.word), (1, Word::Pass, Word::Pass), "{seen}");
        assert_eq!((seen.dkim[0].domain.as_str(), seen.dkim[0].selector.as_str()), ("far.test", "s1"));
        assert!(seen.prove(&"joe@far.test".parse().unwrap()) && seen.prove(&"joe@in.far.test".parse().unwrap()));
        assert!(!seen.prove(&"bounce@other.test".parse().unwrap()));
        for (from, to) in [("Hello", "Hallo"), ("Subject: x", "Subject: z")] {
            let seen = verdicts(&zone, "bounce@other.test", &message.replace(from, to)).await;
            assert_eq!((seen.dkim[0].word, seen.dmarc.word), (Word::Fail, Word::Fail), "{seen}");
            assert_eq!(seen.dmarc.policy, "reject");
        }
        let silent = Zone::default().silent(Question::Texts("s1._domainkey.far.test.".into()));
        assert_eq!(verdicts(&silent, "", &message).await.dkim[0].word, Word::TempError);
        assert_eq!(verdicts(&Zone::default(), "", &message).await.dkim[0].word, Word::PermError);
    }
}

#[tokio::test]
async fn many_signatures_cost_no_more_than_some() {
    let (message, record) = signed(MESSAGE, Canonicalization::Relaxed);
    let signature = message.strip_suffix(MESSAGE).unwrap();
    let many = signature.repeat(100) + MESSAGE;
    let zone = Zone::default().text("s1._domainkey.far.test", &record);
    let seen = verdicts(&zone, "", &many).await;
    assert_eq!(seen.dkim.len(), limits::DKIM_SIGNATURES);
    assert!(seen.dkim.iter().all(|dkim| dkim.word == Word::Pass));
    let different: String = (0..100).map(|number| signature.replace("s1", &format!("s{number}"))).collect();
    let zone = Zone::default();
    verdicts(&zone, "", &(different + MESSAGE)).await;
    assert!(zone.asked() <= limits::TRUST_LOOKUPS, "{} questions", zone.asked());
}

#[tokio::test]
async fn a_signature_by_a_key_that_there_can_not_be_counts_as_none() {
    let (message, _) = signed(MESSAGE, Canonicalization::Relaxed);
    for selector in ["x".repeat(64), "x.".repeat(126) + "xx", "s1..s2".into(), "s1.".into()] {
        let named = message.replacen("s=s1;", &format!("s={selector};"), 1);
        let seen = verdicts(&Zone::default(), "", &named).await;
        assert!(seen.dkim.is_empty(), "{selector}: {seen}");
    }
    let seen = verdicts(&Zone::default(), "", &message.replacen("s=s1;", "s=s1.in;", 1)).await;
    assert_eq!(seen.dkim[0].selector, "s1.in");
}

#[tokio::test]
async fn from_is_answered_for_by_its_own_domain_alone() {
    let check = async |record: &str, sender: &str, expected: (Word, &str)| {
        let zone = Zone::default().text("_dmarc.far.test", record);
        let zone = zone.text("far.test", "v=spf1 ip4:192.0.2.1 -all").text("in.far.test", "v=spf1 ip4:192.0.2.1 -all");
        let zone = zone.text("other.test", "v=spf1 ip4:192.0.2.1 -all");
        let seen = verdicts(&zone, sender, MESSAGE).await;
        assert_eq!((seen.dmarc.word, seen.dmarc.policy), expected, "{record} {sender}");
    };
    check("v=DMARC1; p=quarantine", "joe@far.test", (Word::Pass, "quarantine")).await;
    check("v=DMARC1; p=quarantine", "joe@in.far.test", (Word::Pass, "quarantine")).await;
    check("v=DMARC1; p=quarantine; aspf=s", "joe@in.far.test", (Word::Fail, "quarantine")).await;
    check("v=DMARC1; p=reject", "joe@other.test", (Word::Fail, "reject")).await;
    check("v=DMARC1", "joe@far.test", (Word::None, "none")).await;
    check("nonsense", "joe@far.test", (Word::None, "none")).await;
}

#[tokio::test]
async fn the_field_says_what_was_found() {
    let (message, record) = signed(MESSAGE, Canonicalization::Relaxed);
    let zone = Zone::default().text("s1._domainkey.far.test", &record).text("_dmarc.far.test", "v=DMARC1; p=reject");
    let zone = zone.text("far.test", "v=spf1 ip4:192.0.2.1 -all");
    let seen = verdicts(&zone, "joe@far.test", &message).await;
    let field = seen.field(&name("mx.ours.test"));
    let begins = &seen.dkim[0].begins;
    assert_eq!(begins.len(), 8);
    assert_eq!(
        field,
        format!(
            "Authentication-Results: mx.ours.test;\r\n\tspf=pass smtp.mailfrom=far.test;\r\n\tdkim=pass \
             header.d=far.test header.s=s1 header.b=\"{begins}\";\r\n\tdmarc=pass header.from=far.test \
             policy.dmarc=reject;\r\n\tarc=none smtp.remote-ip=192.0.2.1\r\n"
        )
    );
    assert_eq!(seen.to_string(), "spf=pass (far.test) dkim=pass (far.test) dmarc=pass (far.test)");
    let hostile = message.replace("s=s1", "s=s1;\r\n evil=pass");
    let seen = verdicts(&zone, "joe@far.test", &hostile).await;
    assert!(!seen.field(&name("mx.ours.test")).contains("evil"));
}

// RFC 6376 §5.4
#[tokio::test]
async fn a_signature_that_leaves_from_out_is_none() {
    for (fields, expected) in [(["Subject", "From"], 1), (["Subject", "Date"], 0)] {
        let (message, record) = signed_over(MESSAGE, Canonicalization::Relaxed, &fields);
        let zone = Zone::default().text("s1._domainkey.far.test", &record);
        let seen = verdicts(&zone, "joe@far.test", &message).await.dkim;
        assert_eq!(seen.iter().filter(|one| one.word == Word::Pass).count(), expected, "{fields:?}");
        assert_eq!(seen.len(), expected, "{fields:?}");
    }
}

#[test]
fn what_others_write_in_our_name_is_taken_out() {
    let check = |value: &str, is_forged: bool| {
        let block = format!("A: b\r\nAuthentication-Results: {value}\r\nC: d\r\n");
        let kept = without_forged_results(block.as_bytes(), &name("mx.ours.test"));
        let expected = if is_forged { "A: b\r\nC: d\r\n" } else { &block };
        assert_eq!(std::str::from_utf8(&kept).unwrap(), expected, "{value}");
    };
    for forged in [
        "mx.ours.test; spf=pass",
        "MX.Ours.Test;spf=pass",
        "mx.ours.test 1; none",
        "(a (b) \\) c) mx.ours.test; spf=pass",
        "\"mx.ours.test\"; spf=pass",
        "\r\n\tmx.ours.test; spf=pass",
        "mx.ours.test",
        "mx.ours.(x)test.; spf=pass",
    ] {
        check(forged, true);
    }
    for other in ["mx.far.test; spf=pass", "xmx.ours.test; spf=pass", "(mx.ours.test) mx.far.test; spf=pass", ""] {
        check(other, false);
    }
}
