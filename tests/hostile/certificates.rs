//! Mail theft by certificate: a peer that is known by one (SASL EXTERNAL) is who holds its key, and nobody who shows
//! something else, whatever stands in it and whatever is said beside it.

use rustls::SupportedProtocolVersion;
use serde_json::json;

use crate::bait::Bait;
use crate::real::swap_roles::take_all;
use crate::real::swap_talk::{Shown, Talk, auth_plain};

const VERSIONS: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS12, &rustls::version::TLS13];
/// The listeners that ask for a certificate, by STARTTLS.
const LISTENERS: [&str; 2] = ["smtp", "odmr"];
/// A wrong login.
const WRONG: &str = "535 5.7.8 ";

/// The bait, in which `rival` is known by this certificate.
fn lay(rival: &Shown) -> Bait {
    let bait = Bait::lay();
    bait.hub.put_peer("rival", &["rival.test"], &json!({"auth": {"client_cert_sha256": rival.sha256()}}));
    bait
}

/// A session behind EHLO inside TLS in which this was shown; `None`: the server did not go along.
fn showing(bait: &Bait, listener: &str, shown: &Shown, version: &'static SupportedProtocolVersion) -> Option<Talk> {
    let mut talk = bait.talk(listener);
    talk.say("STARTTLS", "220");
    let is_there = talk.start_tls_showing(shown, version) && talk.ask("EHLO rival.test").starts_with("250");
    is_there.then_some(talk)
}

/// Nothing is to be had here.
fn is_shut_out(talk: &mut Talk) {
    for swap in ["TURN", "ATRN rival.test", "ATRN"] {
        let reply = talk.ask(swap);
        assert!(reply.starts_with("502 5.5.1 ") || reply.starts_with("530 5.7.0 "), "{swap}: {reply}");
    }
}

#[test]
fn only_who_holds_the_key_is_the_peer() {
    let rival = Shown::new("rival.test", [2020, 2090]);
    let bait = lay(&rival);
    let others = [
        Shown::new("stranger.test", [2020, 2090]),
        // The same subject, and the dates of one that has ended.
        Shown::new("rival.test", [2020, 2090]),
        Shown::new("rival.test", [2001, 2002]),
    ];
    for listener in LISTENERS {
        let expected = bait.hub.under_tls(listener).say(&auth_plain("nobody", "x"), WRONG);
        for version in VERSIONS {
            for other in &others {
                let mut talk = showing(&bait, listener, other, version).expect("any certificate is taken");
                // As a wrong password is, whatever name stands beside it.
                for response in ["=", "cml2YWw=", "YnJhbmNo"] {
                    let reply = talk.ask(&format!("AUTH EXTERNAL {response}"));
                    assert_eq!(reply, expected);
                    if response == "=" {
                        is_shut_out(&mut talk);
                    }
                }
                // The third wrong one ends it.
                assert!(talk.reply().starts_with("421 4.7.0 "));
            }
            // Everybody may have seen the certificate.
            assert!(showing(&bait, listener, &Shown::stolen(&rival), version).is_none(), "{listener}");
        }
    }
    bait.is_untouched();
    let mut talk = showing(&bait, "smtp", &rival, VERSIONS[0]).expect("the peer itself");
    talk.say("AUTH EXTERNAL =", "235 2.7.0 ");
    talk.say("ATRN branch.test", "450 4.7.1 ");
    talk.say("TURN", "250");
    assert_eq!(take_all(&mut talk), ["for-rival"]);
    bait.goes_to_branch();
}

#[test]
fn a_certificate_is_good_for_its_peer_alone() {
    let rival = Shown::new("rival.test", [2020, 2090]);
    let bait = lay(&rival);
    for listener in LISTENERS {
        // branch and far have secrets, hubert is an account.
        for name in ["branch", "far", "off", "nobody", "hubert@hub.test", "RIVAL", "rival.test"] {
            let mut talk = showing(&bait, listener, &rival, VERSIONS[1]).expect("the peer itself");
            let name = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, name);
            talk.say(&format!("AUTH EXTERNAL {name}"), WRONG);
            is_shut_out(&mut talk);
        }
        // Nor is there another way in for it: it has no secret, not even an empty one.
        for secret in ["", "x"] {
            let mut talk = showing(&bait, listener, &rival, VERSIONS[1]).expect("the peer itself");
            let reply = talk.ask(&auth_plain("rival", secret));
            assert!(reply.starts_with(WRONG) || reply.starts_with("501 5.5.2 "), "{reply}");
        }
    }
    bait.is_untouched();
}

#[test]
fn without_a_certificate_there_is_no_external() {
    let rival = Shown::new("rival.test", [2020, 2090]);
    let bait = lay(&rival);
    for listener in ["smtp", "submission", "odmr"] {
        for response in ["", " =", " cml2YWw="] {
            let ask = format!("AUTH EXTERNAL{response}");
            // In the clear on loopback, and inside TLS in which none was shown.
            for mut talk in [bait.talk(listener), bait.hub.under_tls(listener)] {
                assert!(!talk.say("EHLO rival.test", "250").contains("EXTERNAL"));
                talk.say(&ask, "504 5.5.4 ");
                is_shut_out(&mut talk);
            }
        }
    }
    // Where people send, none is asked for, so none is shown.
    let mut talk = showing(&bait, "submission", &rival, VERSIONS[1]).expect("nobody minds it");
    assert!(!talk.say("EHLO rival.test", "250").contains("EXTERNAL"));
    talk.say("AUTH EXTERNAL =", "504 5.5.4 ");
    // Nor is it asked for any more once no peer is known by one.
    bait.hub.put_peer("rival", &["rival.test"], &json!({}));
    let mut talk = showing(&bait, "smtp", &rival, VERSIONS[1]).expect("nobody minds it");
    assert!(!talk.say("EHLO rival.test", "250").contains("EXTERNAL"));
    bait.is_untouched();
}

#[test]
fn a_login_ends_with_the_certificate() {
    let (rival, next) = (Shown::new("rival.test", [2020, 2090]), Shown::new("rival.test", [2020, 2090]));
    let bait = lay(&rival);
    let mut talk = showing(&bait, "smtp", &rival, VERSIONS[1]).expect("the peer itself");
    talk.say("AUTH EXTERNAL cml2YWw=", "235 2.7.0 ");
    // Another one is pinned meanwhile.
    bait.hub.put_peer("rival", &["rival.test"], &json!({"auth": {"client_cert_sha256": next.sha256()}}));
    for swap in ["TURN", "ATRN rival.test"] {
        talk.say(swap, "450 4.7.1 ");
    }
    bait.is_untouched();
    let mut talk = showing(&bait, "smtp", &next, VERSIONS[1]).expect("the peer itself");
    talk.say("AUTH EXTERNAL =", "235 2.7.0 ");
    talk.say("TURN", "250");
    assert_eq!(take_all(&mut talk), ["for-rival"]);
}
