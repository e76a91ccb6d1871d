use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mail_auth::arc::ArcSealer;
use mail_auth::{ArcOutput, AuthenticatedMessage, AuthenticationResults};

use super::*;

/// The message with a set of `relay.test`, and its record.
fn sealed() -> (String, String) {
    let pair = KeyPair::generate(Algorithm::Ed25519).unwrap();
    let key = Ed25519Key::from_pkcs8_der(pair.private.expose()).unwrap();
    let sealer = ArcSealer::from_key(key).domain("relay.test").selector("s1").headers(["From", "Subject"]);
    let parsed = AuthenticatedMessage::parse(MESSAGE.as_bytes()).unwrap();
    let results = AuthenticationResults::new("relay.test");
    let set = sealer.seal(&parsed, &results, &ArcOutput::default()).unwrap().to_header();
    (set + MESSAGE, record_value(pair.algorithm, &pair.public))
}

/// So many sets, whose newest signature is of the body of [`MESSAGE`]: what they say can only be told with their keys.
fn sets(count: usize) -> String {
    let mut hashes = BodyHashes::default();
    hashes.push(MESSAGE.split_at(MESSAGE.find("\r\n\r\n").unwrap() + 2).1.as_bytes());
    let hash = STANDARD.encode(hashes.finish().relaxed().0);
    let set = |number: usize| {
        let cv = if number == 1 { "none" } else { "pass" };
        let tags = format!("i={number}; a=rsa-sha256; d=relay.test; s=s{number}");
        format!(
            "ARC-Seal: {tags}; cv={cv}; b=aaaa\r\n\
             ARC-Message-Signature: {tags}; c=relaxed/relaxed; h=From; bh={hash}; b=aaaa\r\n\
             ARC-Authentication-Results: i={number}; relay.test; none\r\n"
        )
    };
    (1..=count).rev().map(set).collect()
}

/// What came of the chain, and how many keys were asked for.
async fn judged(zone: &Zone, message: &str) -> (Word, usize) {
    let word = verdicts(zone, "", message).await.arc.word;
    let asked = zone.asked.lock().unwrap();
    let keys = asked.iter().filter(|question| matches!(question, Question::Texts(name) if name.contains("_domainkey")));
    (word, keys.count())
}

#[tokio::test]
async fn a_chain_holds_until_something_is_changed() {
    let (message, record) = sealed();
    let zone = || Zone::default().text("s1._domainkey.relay.test", &record);
    let seen = verdicts(&zone(), "joe@far.test", &message).await;
    assert_eq!(seen.arc, Chain { word: Word::Pass, domain: Some(name("relay.test")) });
    assert!(seen.field(&name("mx.ours.test")).ends_with(";\r\n\tarc=pass smtp.remote-ip=192.0.2.1\r\n"));
    assert!(seen.to_string().ends_with(" arc=pass (relay.test)"), "{seen}");
    // RFC 8617 §5.2: it says nothing of who the message is from.
    assert!(!seen.prove(&"joe@relay.test".parse().unwrap()));
    for (from, to) in
        [("Hello", "Hallo"), ("Subject: x", "Subject: z"), ("i=1; relay", "i=1; delay"), ("cv=none", "cv=pass")]
    {
        assert_eq!(judged(&zone(), &message.replacen(from, to, 1)).await.0, Word::Fail, "{from}");
    }
    // RFC 8617 §5.2.1: no answer is a failure like any other.
    assert_eq!(judged(&Zone::default(), &message).await, (Word::Fail, 1));
    let silent = Zone::default().silent(Question::Texts("s1._domainkey.relay.test.".into()));
    assert_eq!(judged(&silent, &message).await, (Word::Fail, 1));
    let seen = verdicts(&zone(), "", MESSAGE).await;
    assert_eq!(seen.arc, Chain { word: Word::None, domain: None });
    assert!(seen.field(&name("mx.ours.test")).contains("arc=none") && !seen.to_string().contains(" arc="), "{seen}");
}

#[tokio::test]
async fn nothing_is_asked_of_a_chain_that_can_not_hold() {
    let check = async |chain: String| {
        assert_eq!(judged(&Zone::default(), &format!("{chain}{MESSAGE}")).await, (Word::Fail, 0), "{chain}");
    };
    let field = |name: &str| sets(1).lines().find(|line| line.starts_with(name)).unwrap().to_owned() + "\r\n";
    for name in ["ARC-Seal", "ARC-Message-Signature", "ARC-Authentication-Results"] {
        check(field(name)).await;
        check(sets(2) + &field(name)).await;
        check(sets(2).replacen(&field(name), "", 1)).await;
    }
    check(sets(51)).await;
    check(sets(400)).await;
    check(sets(3).replace("i=2;", "i=4;")).await;
    check(sets(2).replacen("cv=pass", "cv=fail", 1)).await;
    check(sets(2).replacen("cv=pass", "cv=none", 1)).await;
    check(sets(1).replace("cv=none", "cv=pass")).await;
    check(sets(1).replacen("cv=none", "cv=none; h=From", 1)).await;
    check(sets(1).replace("h=From", "h=From:arc-seal")).await;
    check(sets(1).replace("bh=", "l=1; bh=")).await;
    // RFC 6376 §5.4
    check(sets(1).replace("h=From", "h=Subject")).await;
    let names: String = (0..limits::SIGNED_FIELDS).map(|number| format!(":x{number}")).collect();
    check(sets(1).replace("h=From", &format!("h=From{names}"))).await;
    check(sets(1).replace("rsa-sha256", "rsa-sha1")).await;
    check(sets(2).replacen("i=1; a=rsa-sha256", "i=1; a=rsa-sha1", 1)).await;
    check(sets(1).replace("i=1", "i=x")).await;
}

#[tokio::test]
async fn a_long_chain_asks_for_its_keys_at_once_and_for_no_more_than_may_be() {
    let zone = Zone::default();
    assert_eq!(judged(&zone, &(sets(50) + MESSAGE)).await, (Word::Fail, 50));
    assert!(zone.asked() <= limits::TRUST_LOOKUPS, "{} questions", zone.asked());
}

#[test]
fn an_address_with_colons_is_quoted() {
    let dmarc = Dmarc { word: Word::None, domain: None, policy: "none" };
    let arc = Chain { word: Word::None, domain: None };
    let field = |peer_ip: Option<&str>| {
        let peer_ip = peer_ip.map(|ip| ip.parse().unwrap());
        Verdicts { spf: None, dkim: Vec::new(), dmarc: dmarc.clone(), arc: arc.clone(), peer_ip }
            .field(&name("mx.test"))
    };
    assert!(field(Some("2001:db8::1")).ends_with("\tarc=none smtp.remote-ip=\"2001:db8::1\"\r\n"));
    assert!(field(None).ends_with("\tarc=none\r\n"));
}
