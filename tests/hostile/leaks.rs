//! What a stranger could learn from answers: whether mail waits, for whom, and whether there are peers at all.

use serde_json::json;

use crate::bait::Bait;
use crate::real::swap_talk::Talk;

/// Everything that could have to do with a swap, as a stranger says it; none of it ends the session.
const QUESTIONS: [&str; 17] = [
    "TURN",
    "TURN branch.test",
    "ATRN",
    "ATRN branch.test",
    "ATRN nothing.test",
    "ATRN branch.test,nothing.test",
    "ATRN *",
    "ETRN branch.test",
    "ETRN nothing.test",
    "ETRN @branch.test",
    "ETRN #branch",
    "HELP",
    "HELP ATRN",
    "VRFY user@branch.test",
    "MAIL FROM:<stranger@elsewhere.test>",
    "RCPT TO:<user@branch.test>",
    "TURN",
];

/// All answers on a listener, in the clear and under TLS.
fn answers(bait: &Bait, listener: &str) -> Vec<(String, String)> {
    let mut seen = Vec::new();
    let mut ask = |talk: &mut Talk, what: &str, questions: &[&str]| {
        for question in questions {
            seen.push((format!("{what} {question}"), talk.ask(question)));
        }
    };
    let mut talk = Talk::dial(bait.hub.site.address(listener));
    talk.expect("220");
    ask(&mut talk, "clear", &["TURN", "ATRN branch.test", "EHLO branch.test"]);
    ask(&mut talk, "clear", &QUESTIONS);
    let mut talk = bait.hub.under_tls(listener);
    ask(&mut talk, "tls", &["EHLO branch.test"]);
    ask(&mut talk, "tls", &QUESTIONS);
    seen
}

#[test]
fn answers_do_not_say_whether_mail_waits() {
    let (empty, laid) = (Bait::empty(&[]), Bait::lay());
    for listener in ["smtp", "submission", "odmr"] {
        assert_eq!(answers(&empty, listener), answers(&laid, listener), "{listener}");
    }
    // Nor to another peer.
    let ask = |bait: &Bait| {
        let mut talk = bait.hub.as_peer("smtp", "rival");
        ["ATRN branch.test", "ATRN rival.test,branch.test", "ETRN branch.test", "ETRN #branch"]
            .map(|line| talk.ask(line))
    };
    assert_eq!(ask(&empty), ask(&laid));
    laid.is_untouched();
}

#[test]
fn answers_do_not_say_whether_there_are_peers() {
    let (none, some) = (Bait::without_peers(&[]), Bait::lay());
    // That some peer may log in on port 25 is announced there, under TLS: whom, and what waits, is not.
    let without_auth = |(question, answer): (String, String)| {
        let lines = answer.lines().filter(|line| !line[4..].starts_with("AUTH "));
        (question, lines.map(|line| line.replace("250 ", "250-").replace(" AUTH ", " ")).collect::<Vec<_>>())
    };
    for listener in ["smtp", "submission", "odmr"] {
        let [none, some] =
            [&none, &some].map(|bait| answers(bait, listener).into_iter().map(without_auth).collect::<Vec<_>>());
        assert_eq!(none, some, "{listener}");
    }
    some.is_untouched();
}

#[test]
fn a_secret_is_shown_nowhere() {
    let bait = Bait::lay();
    bait.goes_to_branch();
    let secret = crate::real::swap_site::SECRET;
    let route = json!({
        "match": {"domain": "smart.test"}, "kind": "relay", "host": "[127.0.0.1]", "port": 9, "tls": "required",
        "auth": {"user": "us", "secret": secret},
    });
    let answer = bait.hub.rest("PUT", "/routes/smart", &route);
    assert_eq!(answer.status, 201, "{answer:?}");
    assert!(!answer.body.to_string().contains(secret), "{answer:?}");
    for path in ["/turn/peers", "/turn/peers/branch", "/turn/sessions", "/routes", "/routes/smart", "/queue"] {
        let shown = bait.hub.get(path).to_string();
        assert!(!shown.contains(secret), "{path}: {shown}");
    }
    let session = bait.hub.ended_session();
    let whole = bait.hub.get(&format!("/turn/sessions/{}", session["id"].as_str().unwrap_or_default())).to_string();
    assert!(!whole.contains(secret) && whole.contains("ATRN"), "{whole}");
}
