//! What strangers bring is looked at: whether their domain lets them send, and whether it has signed.

use mail_auth::common::crypto::Ed25519Key;
use mail_auth::common::headers::HeaderWriter;
use mail_auth::dkim::DkimSigner;
use pillarbox::dkim::{Algorithm, KeyPair, record_value};

use crate::dns::Zone;
use crate::forwarding::{say, site_in, taken};
use crate::sink::Sink;

const MESSAGE: &str = "From: Joe <joe@far.test>\r\nSubject: x\r\nDate: y\r\nAuthentication-Results: us.test; spf=pass forged\r\n\
    Authentication-Results: mx.far.test; dkim=pass\r\n\r\ntext \t here\r\n";

fn signed() -> (String, String) {
    let pair = KeyPair::generate(Algorithm::Ed25519).unwrap();
    let key = Ed25519Key::from_pkcs8_der(pair.private.expose()).unwrap();
    let signer = DkimSigner::from_key(key).domain("far.test").selector("s1").headers(["From", "Subject", "Date"]);
    let signature = signer.sign(MESSAGE.as_bytes()).unwrap().to_header();
    (signature + MESSAGE, record_value(pair.algorithm, &pair.public))
}

fn transaction(sender: &str, message: &str) -> String {
    format!("MAIL FROM:<{sender}>\r\nRCPT TO:<away@us.test>\r\nDATA\r\n{message}.\r\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_header_and_the_trace_say_who_a_message_is_from() {
    let sink = Sink::start("127.0.0.9:0");
    let (message, record) = signed();
    let zone = Zone::new()
        .text("far.test", "v=spf1 ip4:192.0.2.0/24 -all")
        .text("s1._domainkey.far.test", &record)
        .text("_dmarc.far.test", "v=DMARC1; p=reject");
    let site = site_in(zone, sink.address.port(), &[]).await;
    let heard = say(&site, &transaction("joe@far.test", &message)).await;
    let id = heard.split([' ', '\r']).find(|word| word.starts_with("m_")).unwrap_or_else(|| panic!("{heard}"));
    let seen = String::from_utf8(taken(&sink, 1).pop().unwrap().content).unwrap();
    let unfolded = seen.replace("\r\n\t", " ");
    assert!(unfolded.contains("Authentication-Results: us.test; spf=pass smtp.mailfrom=far.test; dkim=pass"), "{seen}");
    assert!(
        unfolded.contains(
            "dmarc=pass header.from=far.test policy.dmarc=reject; arc=none smtp.remote-ip=192.0.2.1\r\nReceived:"
        ),
        "{seen}"
    );
    assert!(!seen.contains("forged") && seen.contains("Authentication-Results: mx.far.test; dkim=pass"), "{seen}");
    let story = site.story(id.parse().unwrap());
    assert!(story.contains("kind: Checked"), "{story}");
    assert!(story.contains("spf=pass (far.test) dkim=pass (far.test) dmarc=pass (far.test)"), "{story}");
    say(&site, &transaction("joe@far.test", &message.replace("text", "tent"))).await;
    let seen = String::from_utf8(taken(&sink, 2).pop().unwrap().content).unwrap();
    assert!(seen.contains("dkim=fail header.d=far.test"), "{seen}");
    site.until_empty().await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dns_that_does_not_answer_keeps_no_mail_away() {
    let sink = Sink::start("127.0.0.9:0");
    let (message, _) = signed();
    let zone = Zone::new().silent("far.test").silent("s1._domainkey.far.test").silent("_dmarc.far.test");
    let site = site_in(zone, sink.address.port(), &[]).await;
    let heard = say(&site, &transaction("joe@far.test", &message)).await;
    assert!(heard.contains("250 2.0.0 m_"), "{heard}");
    let seen = String::from_utf8(taken(&sink, 1).pop().unwrap().content).unwrap();
    assert!(seen.contains("spf=temperror") && seen.contains("dkim=temperror"), "{seen}");
    site.until_empty().await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_proved_to_have_sent_it_is_told_that_it_can_not_be_delivered() {
    let sink = Sink::start("127.0.0.9:0");
    sink.refuse("b@there.test", "550 5.1.1 nobody");
    let zone = || Zone::new().mail("far.test", "127.0.0.9").mail("forged.test", "127.0.0.9");
    let zone = zone().text("far.test", "v=spf1 ip4:192.0.2.1 -all").text("forged.test", "v=spf1 -all");
    let site = site_in(zone, sink.address.port(), &[]).await;
    for sender in ["joe@forged.test", "joe@elsewhere.test", "joe@far.test"] {
        say(&site, &transaction(sender, MESSAGE)).await;
    }
    let seen = taken(&sink, 1);
    site.until_empty().await;
    assert_eq!(sink.count(), 1, "nobody else is told");
    assert_eq!((seen[0].sender.as_str(), seen[0].recipients.as_slice()), ("", &["joe@far.test".to_owned()][..]));
    site.stop().await;
}
