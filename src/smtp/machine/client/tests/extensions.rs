//! CHUNKING, LIMITS, DSN and what else a server may announce.

use super::*;
use crate::base::{PassedOn, Ret};

const TWO: &str = "MAIL FROM:<a@a.test>, RCPT TO:<r0@b.test>, RCPT TO:<r1@b.test>";

#[test]
fn where_there_is_chunking_the_message_is_one_chunk() {
    let up_to = || {
        vec![
            (said("220 hi"), "EHLO mx.a.test"),
            (said("250-hi|250-PIPELINING|250 CHUNKING"), "next"),
            (Input::Mail(envelope(2)), TWO),
            (said("250 ok"), ""),
            (said("550 no"), ""),
        ]
    };
    let delivered = "settle 0:Failed:Recipient 1:Delivered:End, next";
    for order in [[Input::Opened, Input::ContentSent], [Input::ContentSent, Input::Opened]] {
        let [first, second] = order;
        let mut steps = up_to();
        steps.push((said("250 ok"), "BDAT 10 LAST, open [1], chunk"));
        steps.extend([(first, ""), (second, "end"), (said("250 ok"), delivered)]);
        check(rules(), steps);
    }
    // Nobody wants it: not an octet is sent.
    let mut steps = up_to();
    steps.push((said("450 later"), "settle 0:Failed:Recipient 1:Deferred:Recipient, next"));
    steps.push((Input::Mail(envelope(1)), "RSET"));
    check(rules(), steps);
    // An attempt that may not be: the end is kept back.
    let mut steps = up_to();
    steps.push((said("250 ok"), "BDAT 10 LAST, open [1], chunk"));
    steps.push((Input::NotOpened("held".into()), "settle 0:Failed:Recipient, fail Data, drop"));
    check(rules(), steps);
    // Without PIPELINING each answer is waited for.
    check(
        rules(),
        vec![
            (said("220 hi"), "EHLO mx.a.test"),
            (said("250-hi|250 CHUNKING"), "next"),
            (Input::Mail(envelope(1)), "MAIL FROM:<a@a.test>"),
            (said("250 ok"), "RCPT TO:<r0@b.test>"),
            (said("250 ok"), "BDAT 10 LAST, open [0], chunk"),
        ],
    );
}

#[test]
fn a_servers_limits_are_kept() {
    let extensions = "250-hi|250 LIMITS MAILMAX=1 RCPTMAX=5 RCPTDOMAINMAX=1";
    check(
        rules(),
        vec![
            (said("220 hi"), "EHLO mx.a.test"),
            (said(extensions), "next for 5 in 1"),
            (Input::Mail(envelope(1)), "MAIL FROM:<a@a.test>"),
            (said("550 no"), "settle 0:Failed:Sender, QUIT"),
        ],
    );
}

/// What is said at MAIL and RCPT to a server with those extensions, and what it has taken over then.
fn ask(extensions: &str, wishes: Wishes, options: RcptOptions) -> (String, Option<PassedOn>) {
    let mut state = State::new(rules(), None);
    for line in ["220 hi", &format!("250-hi|250-CHUNKING|250 {extensions}")] {
        state = step(state, said(line)).0;
    }
    let recipients = vec![("r@b.test".parse().unwrap(), options)];
    let (mut state, effects) = step(state, Input::Mail(Envelope { recipients, wishes, ..envelope(1) }));
    let mut heard: Vec<String> = effects.iter().map(shown).collect();
    let mut passed_on = None;
    for input in [said("250 ok"), said("250 ok"), Input::Opened, Input::ContentSent, said("250 ok")] {
        let (next, effects) = step(state, input);
        state = next;
        for effect in &effects {
            match effect {
                Effect::Say(line @ Outgoing::Rcpt(..)) => heard.push(line.masked()),
                Effect::Settle(fates) => passed_on = fates.first().map(|fate| fate.passed_on),
                _ => {}
            }
        }
    }
    (heard.join(", "), passed_on)
}

#[test]
fn a_server_is_asked_for_what_it_has_announced() {
    let wishes = || Wishes {
        ret: Some(Ret::Full),
        envelope_id: Some("x".into()),
        require_tls: false,
        by: Some(By { seconds: 60, mode: ByMode::Notify, trace: false }),
        priority: Some(3),
    };
    let options = || RcptOptions { notify: Some(NotifyOn::NEVER), original: None };
    let check = |extensions: &str, mail: &str, rcpt: &str, reports, deadline| {
        let expected = format!("MAIL FROM:<a@a.test>{mail}, RCPT TO:<r@b.test>{rcpt}");
        let passed_on = Some(PassedOn { reports, deadline });
        assert_eq!(ask(extensions, wishes(), options()), (expected, passed_on), "{extensions}");
    };
    check("HELP", "", "", false, false);
    check("DSN", " RET=FULL ENVID=x", " NOTIFY=NEVER", true, false);
    check("DELIVERBY", " BY=60;N", "", false, true);
    check("MT-PRIORITY", " MT-PRIORITY=3", "", false, false);
}

#[test]
fn what_a_server_can_not_keep_it_does_not_get() {
    let check = |wishes: Wishes, extensions: &str, expected: &str| {
        let (heard, _) = ask(extensions, wishes, RcptOptions::default());
        assert!(heard.starts_with(expected), "{heard}");
    };
    let by = |seconds| Wishes { by: Some(By { seconds, mode: ByMode::Return, trace: false }), ..Wishes::default() };
    let refused = "settle 0:Failed:Sender, next";
    check(by(60), "HELP", refused);
    check(by(60), "DELIVERBY", "MAIL FROM:<a@a.test> BY=60;R");
    check(by(0), "DELIVERBY", refused);
    let tls = Wishes { require_tls: true, ..Wishes::default() };
    check(tls.clone(), "HELP", refused);
    check(tls, "REQUIRETLS", "MAIL FROM:<a@a.test> REQUIRETLS");
}

#[test]
fn a_message_of_eight_bits_is_converted_where_it_must_be() {
    let eight_bit = || Input::Mail(Envelope { eight_bit: true, ..envelope(1) });
    let begin = || {
        vec![
            (said("220 hi"), "EHLO mx.a.test"),
            (said("250-hi|250-PIPELINING|250 SIZE 12"), "next"),
            (eight_bit(), "convert"),
        ]
    };
    let mut steps = begin();
    steps.push((Input::Converted(12), "MAIL FROM:<a@a.test> SIZE=12, RCPT TO:<r0@b.test>, DATA"));
    check(rules(), steps);
    for input in [Input::Converted(13), Input::NotConverted("it is signed".into())] {
        let mut steps = begin();
        steps.push((input, "settle 0:Failed:Sender, next"));
        check(rules(), steps);
    }
    let mut steps = begin();
    steps.push((said("250 what"), "settle 0:Deferred:Sender, fail Sender, drop"));
    check(rules(), steps);
}

// RFC 8689 §4.2.1
#[test]
fn a_server_without_requiretls_is_left_where_every_message_needs_it() {
    let rules = || Rules { require_tls: true, ..rules() };
    check(rules(), vec![(said("220 hi"), "EHLO mx.a.test"), (said("250-hi|250 SIZE"), "fail Hello, QUIT")]);
    check(rules(), vec![(said("220 hi"), "EHLO mx.a.test"), (said("250-hi|250 REQUIRETLS"), "next")]);
}
