//! Mail theft by role swap: every way to get mail that waits for somebody else. Whoever is not the peer gets what they
//! would get where TURN is off, and the mail waits on for whom it is for.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::bait::Bait;
use crate::real::swap_roles::take_all;
use crate::real::swap_site::{SECRET, wait_until};
use crate::real::swap_talk::{Talk, auth_plain};

/// Where TURN is off.
const OFF: &str = "502 5.5.1 ";
/// A domain of somebody else.
const NOT_YOURS: &str = "450 4.7.1 ";
/// A wrong user name or secret.
const WRONG: &str = "535 5.7.8 ";

/// The listeners that peers may log in on, by STARTTLS.
const LISTENERS: [&str; 3] = ["smtp", "submission", "odmr"];
/// What a thief says.
const SWAPS: [&str; 4] = ["TURN", "ATRN", "ATRN branch.test", "ATRN branch.test,rival.test"];

#[test]
fn without_a_login_there_is_no_swap() {
    let bait = Bait::lay();
    for listener in LISTENERS {
        for swap in SWAPS {
            // RFC 2645 §5.2.1: on its own port ATRN asks for the login.
            let expected = if listener == "odmr" && swap.starts_with("ATRN") { "530 5.7.0 " } else { OFF };
            // The name in EHLO is believed by nobody: it is the peer's domain here.
            bait.talk(listener).say(swap, expected);
            let mut talk = bait.hub.under_tls(listener);
            talk.say(swap, expected);
            talk.say("EHLO branch.test", "250");
            talk.say(swap, expected);
        }
    }
    bait.is_untouched();
    bait.goes_to_branch();
}

#[test]
fn nobody_but_the_peer_logs_in_as_it() {
    let bait = Bait::lay();
    for listener in LISTENERS {
        for (user, secret) in [
            ("branch", "wrong"),
            ("branch", ""),
            ("", SECRET),
            ("branch.test", SECRET),
            ("BRANCH ", SECRET),
            ("nobody", SECRET),
            ("user@branch.test", SECRET),
            // A disabled one is as good as none, one that we dial does not dial us.
            ("off", SECRET),
            ("caller", SECRET),
        ] {
            let mut talk = bait.hub.under_tls(listener);
            let reply = talk.ask(&auth_plain(user, secret));
            assert!(reply.starts_with(WRONG) || reply.starts_with("501 5.5.2 "), "{user} on {listener}: {reply}");
            let reply = talk.ask("TURN");
            assert!(reply.starts_with(OFF), "{user} on {listener}: {reply}");
        }
    }
    bait.is_untouched();
    bait.goes_to_branch();
}

#[test]
fn a_refused_login_says_the_same_of_every_peer() {
    let bait = Bait::lay();
    for listener in LISTENERS {
        let answer = |user: &str, secret: &str| bait.hub.under_tls(listener).ask(&auth_plain(user, secret));
        let expected = answer("nobody", SECRET);
        for user in ["branch", "off", "caller", "hubert@hub.test", "far"] {
            assert_eq!(answer(user, "wrong"), expected, "{user} on {listener}");
        }
        assert_eq!(answer("off", SECRET), expected, "disabled, on {listener}");
    }
    bait.is_untouched();
}

#[test]
fn a_peer_gets_its_own_mail_and_nothing_else() {
    let bait = Bait::lay();
    for listener in LISTENERS {
        let mut talk = bait.hub.as_peer(listener, "rival");
        for domains in [
            "branch.test",
            "rival.test,branch.test",
            "branch.test,rival.test",
            "unknown.test",
            "hub.test",
            "sub.rival.test",
            "test",
            "rival.test.branch.test",
        ] {
            talk.say(&format!("ATRN {domains}"), NOT_YOURS);
        }
        for malformed in
            ["*", "@rival.test", "#rival", "rival.test branch.test", "rival.test,", ",", "rival.test,,branch.test"]
        {
            talk.say(&format!("ATRN {malformed}"), "501 5.5.4 ");
        }
        talk.say("QUIT", "221");
    }
    bait.is_untouched();
    // All that it may have, by the verb that names nothing.
    let mut talk = bait.hub.as_peer("smtp", "rival");
    talk.say("TURN", "250");
    assert_eq!(take_all(&mut talk), ["for-rival"]);
    bait.goes_to_branch();
}

#[test]
fn a_peer_uses_only_its_verbs_and_from_where_it_is() {
    let bait = Bait::lay();
    for listener in LISTENERS {
        let mut talk = bait.hub.as_peer(listener, "slow");
        for swap in ["TURN", "ATRN slow.test"] {
            talk.say(swap, OFF);
        }
        // From a network that is not its own, the right secret is not enough.
        let mut talk = bait.hub.under_tls(listener);
        let login = talk.ask(&auth_plain("far", SECRET));
        for swap in ["TURN", "ATRN far.test"] {
            let reply = talk.ask(swap);
            assert!(!reply.starts_with('2'), "{listener}: {login}, then {swap}: {reply}");
        }
    }
    bait.is_untouched();
}

#[test]
fn an_account_is_no_peer() {
    let bait = Bait::lay();
    let mut talk = bait.hub.submission("hubert");
    for swap in SWAPS {
        talk.say(swap, OFF);
    }
    talk.say("ETRN branch.test", "459 4.7.1 ");
    // On the ports where only peers log in, an account does not.
    for listener in ["smtp", "odmr"] {
        let mut talk = bait.hub.under_tls(listener);
        talk.say(&auth_plain("hubert@hub.test", "pillarbox"), WRONG);
        talk.say("TURN", OFF);
    }
    bait.is_untouched();
}

#[test]
fn a_peer_is_no_account() {
    let bait = Bait::lay();
    let mut talk = Talk::dial(bait.hub.site.address("pop3s"));
    talk.start_tls();
    assert!(talk.line().is_some_and(|line| line.starts_with("+OK")));
    for user in ["branch", "user@branch.test"] {
        talk.send(format!("USER {user}\r\n"));
        talk.line();
        talk.send(format!("PASS {SECRET}\r\n"));
        let answer = talk.line().unwrap_or_default();
        assert!(answer.starts_with("-ERR"), "{user}: {answer}");
    }
    let address = bait.hub.site.address("http");
    let basic = STANDARD.encode(format!("branch:{SECRET}"));
    for credentials in [format!("Bearer {SECRET}"), format!("Basic {basic}"), format!("Bearer branch:{SECRET}")] {
        let mut talk = Talk::dial(address);
        talk.send(format!(
            "GET /api/v1/queue HTTP/1.1\r\nHost: {address}\r\nAuthorization: {credentials}\r\nConnection: close\r\n\r\n"
        ));
        let answer = talk.line().unwrap_or_default();
        assert!(answer.starts_with("HTTP/1.1 401 "), "{credentials}: {answer}");
    }
    // And it is no user who may send anywhere: to us, and nowhere else.
    for listener in ["smtp", "submission"] {
        let mut talk = bait.hub.as_peer(listener, "branch");
        talk.say("MAIL FROM:<user@branch.test>", "250");
        for recipient in ["user@elsewhere.test", "user@rival.test", "user@branch.test"] {
            talk.say(&format!("RCPT TO:<{recipient}>"), "550 5.7.1 ");
        }
        talk.say("RCPT TO:<hubert@hub.test>", "250");
        talk.say("RSET", "250");
    }
    bait.is_untouched();
}

#[test]
fn a_swap_stands_last_in_its_group() {
    let bait = Bait::lay();
    for listener in LISTENERS {
        for swap in ["TURN", "ATRN branch.test", "ATRN"] {
            for behind in ["MAIL FROM:<x@branch.test>\r\n", "220 customer.example.test\r\n", "\r\n", "x", "TURN\r\n"] {
                let mut talk = bait.hub.as_peer(listener, "branch");
                talk.send(format!("{swap}\r\n{behind}"));
                let rest = talk.rest();
                assert!(rest.len() == 1 && rest[0].starts_with("503 5.5.1 "), "{swap} {behind:?}: {rest:?}");
            }
        }
    }
    bait.is_untouched();
    bait.goes_to_branch();
}

#[test]
fn a_swap_in_the_clear_behind_starttls_is_never_read() {
    let bait = Bait::lay();
    for listener in LISTENERS {
        for behind in ["TURN\r\n", "ATRN branch.test\r\n", &format!("{}\r\nTURN\r\n", auth_plain("branch", SECRET))] {
            let mut talk = bait.talk(listener);
            talk.send(format!("STARTTLS\r\n{behind}"));
            assert_eq!(talk.rest(), Vec::<String>::new(), "{listener}: {behind:?}");
        }
        // What was said before the handshake is forgotten.
        let mut talk = bait.talk(listener);
        talk.say("STARTTLS", "220");
        talk.start_tls();
        for swap in ["TURN", "ATRN branch.test"] {
            let reply = talk.ask(swap);
            assert!(["502", "503", "530"].iter().any(|code| reply.starts_with(code)), "{listener} {swap}: {reply}");
        }
    }
    bait.is_untouched();
}

#[test]
fn a_login_in_the_clear_is_forgotten_by_starttls() {
    let bait = Bait::lay();
    for listener in LISTENERS {
        let mut talk = bait.talk(listener);
        if !talk.ask(&auth_plain("branch", SECRET)).starts_with("235") {
            continue;
        }
        talk.say("STARTTLS", "220");
        talk.start_tls();
        talk.say("EHLO branch.test", "250");
        let reply = talk.ask("TURN");
        assert!(!reply.starts_with('2'), "{listener}: {reply}");
    }
    bait.is_untouched();
}

#[test]
fn there_is_no_swap_in_a_transaction() {
    let bait = Bait::lay();
    for listener in ["smtp", "submission"] {
        let mut talk = bait.hub.as_peer(listener, "branch");
        talk.say("MAIL FROM:<user@branch.test>", "250");
        for swap in ["TURN", "ATRN branch.test", "ETRN branch.test"] {
            talk.say(swap, "503 5.5.1 ");
        }
        talk.say("RCPT TO:<hubert@hub.test>", "250");
        for swap in ["TURN", "ATRN branch.test", "ETRN branch.test"] {
            talk.say(swap, "503 5.5.1 ");
        }
        // It is the transaction that it was.
        talk.say("DATA", "354");
        talk.send("Subject: whole\r\n\r\nx\r\n.\r\n");
        talk.expect("250");
        talk.say("QUIT", "221");
    }
    assert_eq!(bait.hub.subjects("hubert"), ["whole", "whole"]);
    bait.is_untouched();
    bait.goes_to_branch();
}

#[test]
fn a_peer_has_one_swap_at_a_time() {
    let bait = Bait::lay();
    let mut first = bait.hub.as_peer("smtp", "branch");
    first.say("TURN", "250");
    first.send("220 customer.example.test\r\n");
    first.hear("EHLO");
    for listener in LISTENERS {
        let mut second = bait.hub.as_peer(listener, "branch");
        second.say("TURN", "450 4.3.2 ");
        second.say("ATRN branch.test", "450 4.3.2 ");
        second.say("QUIT", "221");
    }
    // Another one is not held up.
    let mut rival = bait.hub.as_peer("smtp", "rival");
    rival.say("TURN", "250");
    assert_eq!(take_all(&mut rival), ["for-rival"]);
    // The first one goes, and its place is free.
    first.cut();
    wait_until("the peer's place", || {
        let mut talk = bait.hub.as_peer("smtp", "branch");
        let reply = talk.ask("ATRN branch.test");
        if reply.starts_with("250") {
            assert_eq!(take_all(&mut talk), ["for-branch", "for-branch"]);
            return true;
        }
        assert!(reply.starts_with("450 4.3.2 "), "{reply}");
        false
    });
}

#[test]
fn a_session_swaps_once() {
    let bait = Bait::lay();
    let mut talk = bait.hub.as_peer("smtp", "branch");
    talk.say("TURN", "250");
    assert_eq!(take_all(&mut talk), ["for-branch", "for-branch"]);
    // It is over: whatever is said now, nobody answers.
    talk.send("TURN\r\nEHLO branch.test\r\n");
    assert_eq!(talk.rest(), Vec::<String>::new());
}

#[test]
fn etrn_is_answered_alike_whatever_waits() {
    let bait = Bait::lay();
    for listener in ["smtp", "submission"] {
        let mut talk = bait.hub.under_tls(listener);
        let expected = talk.say("ETRN branch.test", "459 4.7.1 ");
        for node in ["rival.test", "nothing.test", "@branch.test", "#branch", "#nobody", "hub.test"] {
            assert_eq!(talk.ask(&format!("ETRN {node}")), expected, "{node} on {listener}");
        }
        // A peer has its own and nobody else's.
        let mut talk = bait.hub.as_peer(listener, "rival");
        for node in ["branch.test", "nothing.test", "#branch", "@branch.test", "hub.test"] {
            assert_eq!(talk.ask(&format!("ETRN {node}")), expected, "{node} as rival on {listener}");
        }
    }
    bait.is_untouched();
}

#[test]
fn ten_thousand_etrns_are_one_flush() {
    let bait = Bait::lay();
    // Where its mail goes when it is released: nobody is there.
    let dead = json!({"verbs": ["etrn"], "host": "[127.0.0.1]", "port": 9});
    bait.hub.put_peer("slow", &["slow.test"], &dead);
    let mut asked = 0;
    while asked < 10_000 {
        let mut talk = bait.hub.as_peer("smtp", "slow");
        for _ in 0..500 {
            let reply = talk.ask("ETRN slow.test");
            asked += 1;
            if !reply.starts_with("25") {
                // Too much talk that moves no mail ends the session.
                assert!(reply.starts_with("421 4.7.0 ") || reply == "closed", "{reply}");
                break;
            }
        }
    }
    let slow = || bait.hub.queue().into_iter().find(|entry| entry["domain"] == "slow.test").expect("it waits");
    wait_until("the one attempt", || slow()["attempts"] == 1);
    wait_until("it is held again", || slow()["state"] == "held");
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(slow()["attempts"], 1, "{}", slow());
}
