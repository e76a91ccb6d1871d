use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::base::{MailboxId, MessageId, Timestamp};
use crate::mailbox::Entry;

const CLEAR: Channel = Channel { is_tls: false, is_loopback: false, can_start_tls: true };
const LOOPBACK: Channel = Channel { is_loopback: true, ..CLEAR };
const TLS: Channel = Channel { is_tls: true, ..CLEAR };

/// Three messages of 100, 200 and 300 octets.
fn maildrop() -> Maildrop {
    let entry = |uid: u32| Entry {
        uid: Uid(uid),
        message: MessageId(uid.into()),
        uidl: format!("id{uid}"),
        size_bytes: 100 * u64::from(uid),
        internal_date: Timestamp(0),
    };
    Maildrop::new(MailboxId(1), (1..=3).map(entry).collect())
}

/// What the driver would do, as text.
fn shown(session: &Session, effect: Effect) -> String {
    let text = |reply: &Reply| {
        let mut out = Vec::new();
        reply.write_to(&mut out);
        String::from_utf8(out).unwrap().trim_end_matches("\r\n").replace("\r\n", "|")
    };
    match effect {
        Effect::Reply(reply) => text(&reply),
        Effect::Slow(reply) => format!("slow {}", text(&reply)),
        Effect::List(_, listing) => session.maildrop().unwrap().lines(listing).collect::<Vec<_>>().join("|"),
        Effect::Send { number, uid: Uid(uid), size_bytes, lines: None } => format!("send {number} {uid} {size_bytes}"),
        Effect::Send { number, lines: Some(lines), .. } => format!("top {number} {lines}"),
        Effect::Authenticate(_) | Effect::Look { .. } => unreachable!("answered in step"),
        Effect::StartTls(reply) => format!("tls {}", text(&reply)),
        Effect::Remove(uids) => format!("remove {:?}", uids.iter().map(|uid| uid.0).collect::<Vec<_>>()),
        Effect::Close(reply) => format!("close {}", text(&reply)),
        Effect::CloseSlow(reply) => format!("close slow {}", text(&reply)),
        Effect::Drop => "drop".into(),
    }
}

/// One line in, and what comes of it. The password says how a login ends.
fn step(session: Session, line: &str) -> (Session, String) {
    let (mut session, mut effect) = match line {
        "(oversize)" => session.step(Input::Oversize),
        line => session.step(Input::Line(line.as_bytes())),
    };
    if let Effect::Authenticate(credentials) = effect {
        let answer = match credentials.password.expose().as_str() {
            "right" => Ok(maildrop()),
            "in use" => Err(LoginRefusal::InUse),
            "busy" => Err(LoginRefusal::Busy),
            "broken" => Err(LoginRefusal::Broken),
            _ => Err(LoginRefusal::Credentials),
        };
        (session, effect) = session.step(Input::LoggedIn(answer));
    }
    if let Effect::Look { number, uid } = effect {
        assert_eq!(Uid(number), uid);
        (session, effect) = session.step(Input::Looked { number, is_there: true });
    }
    if let Effect::StartTls(_) = effect {
        session = session.tls_started();
    }
    let text = shown(&session, effect);
    (session, text)
}

fn check(channel: Channel, script: &[(&str, &str)]) {
    let mut session = Session::new(channel);
    for (line, expected) in script {
        let seen;
        (session, seen) = step(session, line);
        assert_eq!(seen, *expected, "after {line:?} in {script:?}");
    }
}

const LOGGED_IN: (&str, &str) = ("PASS right", "+OK 3 messages (600 octets)");
const NAMED: (&str, &str) = ("USER alice", "+OK now the password");
const FAILED: &str = "slow -ERR [AUTH] authentication failed";
const LOG_IN_FIRST: &str = "-ERR log in first";
const GONE: &str = "-ERR no such message";

#[test]
fn a_maildrop_is_listed_read_and_emptied() {
    check(
        TLS,
        &[
            NAMED,
            LOGGED_IN,
            ("STAT", "+OK 3 600"),
            ("LIST", "1 100|2 200|3 300"),
            ("LIST 2", "+OK 2 200"),
            ("UIDL", "1 id1|2 id2|3 id3"),
            ("UIDL 3", "+OK 3 id3"),
            ("RETR 1", "send 1 1 100"),
            ("TOP 2 0", "top 2 0"),
            ("DELE 2", "+OK message 2 will be deleted at QUIT"),
            ("DELE 2", GONE),
            ("RETR 2", GONE),
            ("TOP 2 1", GONE),
            ("LIST 2", GONE),
            ("UIDL 2", GONE),
            ("STAT", "+OK 2 400"),
            ("LIST", "1 100|3 300"),
            ("UIDL", "1 id1|3 id3"),
            ("RSET", "+OK 3 messages (600 octets)"),
            ("LIST", "1 100|2 200|3 300"),
            ("DELE 3", "+OK message 3 will be deleted at QUIT"),
            ("DELE 1", "+OK message 1 will be deleted at QUIT"),
            ("NOOP", "+OK"),
            ("QUIT", "remove [1, 3]"),
        ],
    );
    check(
        TLS,
        &[
            NAMED,
            LOGGED_IN,
            ("DELE 1", "+OK message 1 will be deleted at QUIT"),
            ("RSET", "+OK 3 messages (600 octets)"),
            ("QUIT", "close +OK bye"),
        ],
    );
    for number in ["0", "4", "4294967295", "99999999999999999999"] {
        check(TLS, &[NAMED, LOGGED_IN, (&format!("RETR {number}"), GONE), (&format!("DELE {number}"), GONE)]);
    }
}

// RFC 1939 §3
#[test]
fn every_command_has_its_state() {
    for command in ["STAT", "LIST", "LIST 1", "UIDL", "RETR 1", "TOP 1 1", "DELE 1", "NOOP", "RSET"] {
        check(TLS, &[(command, LOG_IN_FIRST), NAMED, (command, LOG_IN_FIRST), LOGGED_IN]);
    }
    for command in ["USER a", "PASS a", "AUTH PLAIN", "AUTH", "STLS"] {
        check(TLS, &[NAMED, LOGGED_IN, (command, "-ERR you are logged in already"), ("STAT", "+OK 3 600")]);
    }
    check(TLS, &[("QUIT", "close +OK bye"), ("NOOP", "drop")]);
    check(TLS, &[("PASS right", "-ERR USER comes first")]);
    check(TLS, &[NAMED, ("XTND", "-ERR unknown command"), ("CAPA x", "-ERR usage: CAPA"), LOGGED_IN]);
    check(
        TLS,
        &[
            NAMED,
            ("(oversize)", "-ERR the line is too long"),
            LOGGED_IN,
            ("(oversize)", "-ERR the line is too long"),
            ("STAT", "+OK 3 600"),
        ],
    );
    check(TLS, &[("GET / HTTP/1.1", "drop"), ("QUIT", "drop")]);
    check(TLS, &[NAMED, LOGGED_IN, ("POST / HTTP/1.1", "drop")]);
}

// RFC 2449 §8, RFC 3206
#[test]
fn logins_fail_alike_and_not_for_ever() {
    check(TLS, &[NAMED, ("PASS wrong", FAILED), ("PASS right", "-ERR USER comes first"), NAMED, LOGGED_IN]);
    let third = "close slow -ERR [AUTH] authentication failed";
    check(
        TLS,
        &[NAMED, ("PASS a", FAILED), ("AUTH PLAIN AGEAYg==", FAILED), NAMED, ("PASS c", third), ("QUIT", "drop")],
    );
    check(
        TLS,
        &[
            NAMED,
            ("PASS in use", "-ERR [IN-USE] another session has this maildrop, try again later"),
            NAMED,
            ("PASS busy", "-ERR [SYS/TEMP] too many logins at a time, try again later"),
            NAMED,
            ("PASS broken", "-ERR [SYS/TEMP] an internal error, try again later"),
            NAMED,
            LOGGED_IN,
        ],
    );
}

// RFC 5034 §4
#[test]
fn auth_is_an_exchange_or_one_line() {
    // alice and right
    check(TLS, &[("AUTH PLAIN AGFsaWNlAHJpZ2h0", LOGGED_IN.1)]);
    check(TLS, &[("AUTH plain", "+ "), ("AGFsaWNlAHJpZ2h0", LOGGED_IN.1), ("STAT", "+OK 3 600")]);
    check(TLS, &[("AUTH LOGIN", "+ VXNlcm5hbWU6"), ("YWxpY2U=", "+ UGFzc3dvcmQ6"), ("cmlnaHQ=", LOGGED_IN.1)]);
    check(TLS, &[("AUTH", "+OK mechanisms|PLAIN|LOGIN|.")]);
    check(TLS, &[("AUTH PLAIN", "+ "), ("*", "-ERR the exchange was cancelled"), NAMED, LOGGED_IN]);
    // A line of the exchange is never a command.
    check(TLS, &[("AUTH PLAIN", "+ "), ("QUIT", "-ERR the response does not have the mechanism's form"), NAMED]);
    check(TLS, &[("AUTH PLAIN", "+ "), ("(oversize)", "-ERR the line is too long"), NAMED, LOGGED_IN]);
    check(TLS, &[("AUTH CRAM-MD5", "-ERR this mechanism is not available")]);
    check(TLS, &[("AUTH PLAIN ====", "-ERR the response is not base64")]);
    let session = Session::new(TLS);
    assert_eq!(session.line_bytes_max(), 255);
    assert_eq!(step(session, "AUTH PLAIN").0.line_bytes_max(), 12_290);
}

#[test]
fn passwords_are_not_taken_in_the_clear() {
    let refused = "-ERR use STLS first: passwords are not taken in the clear";
    for command in ["USER alice", "PASS right", "AUTH PLAIN", "AUTH LOGIN", "AUTH PLAIN AGFsaWNlAHJpZ2h0"] {
        check(CLEAR, &[(command, refused), ("PASS right", refused)]);
    }
    check(CLEAR, &[("AUTH", "+OK mechanisms|."), ("STLS", "tls +OK begin TLS"), NAMED, LOGGED_IN]);
    check(LOOPBACK, &[NAMED, LOGGED_IN]);
}

// RFC 2595 §4
#[test]
fn stls_forgets_what_was_said_in_the_clear() {
    check(LOOPBACK, &[NAMED, ("STLS", "tls +OK begin TLS"), ("PASS right", "-ERR USER comes first")]);
    check(TLS, &[("STLS", "-ERR TLS is active already")]);
    check(CLEAR, &[("STLS", "tls +OK begin TLS"), ("STLS", "-ERR TLS is active already")]);
    check(Channel { can_start_tls: false, ..CLEAR }, &[("STLS", "-ERR TLS is not available")]);
}

// RFC 2449 §5
#[test]
fn capabilities_are_what_is_true_now() {
    const COMMON: &str = "+OK capabilities|TOP|UIDL|RESP-CODES|AUTH-RESP-CODE|PIPELINING|EXPIRE NEVER";
    let check = |channel, script: &[(&str, &str)], expected: &str| {
        check(channel, &[script, &[("CAPA", &*format!("{COMMON}{expected}|."))]].concat());
    };
    check(CLEAR, &[], "|STLS");
    check(CLEAR, &[("STLS", "tls +OK begin TLS")], "|USER|SASL PLAIN LOGIN");
    check(LOOPBACK, &[], "|USER|SASL PLAIN LOGIN|STLS");
    check(Channel { can_start_tls: false, ..LOOPBACK }, &[], "|USER|SASL PLAIN LOGIN");
    check(TLS, &[NAMED], "|USER|SASL PLAIN LOGIN");
    check(TLS, &[NAMED, LOGGED_IN], "|USER|SASL PLAIN LOGIN|IMPLEMENTATION Pillarbox");
}

#[test]
fn errors_are_slow_and_then_the_end() {
    let mut session = Session::new(TLS);
    for count in 1..=20 {
        let seen;
        (session, seen) = step(session, "WHAT");
        let expected = match count {
            1..=10 => "-ERR unknown command",
            11..=19 => "slow -ERR unknown command",
            _ => "close slow -ERR too many errors",
        };
        assert_eq!(seen, expected, "{count}");
    }
    let mut session = Session::new(TLS);
    for count in 1..=101 {
        let seen;
        (session, seen) = step(session, "USER alice");
        let expected = if count <= 100 { NAMED.1 } else { "close -ERR too many commands without a login" };
        assert_eq!(seen, expected, "{count}");
    }
    // A client that is logged in may ask as often as it likes.
    let mut session = step(step(Session::new(TLS), NAMED.0).0, LOGGED_IN.0).0;
    for _ in 0..1000 {
        let (next, seen) = step(session, "NOOP");
        assert_eq!(seen, "+OK");
        session = step(next, "RETR 9").0;
    }
}

proptest! {
    #[test]
    fn any_sequence_agrees_with_a_set_of_marks(commands in proptest::collection::vec((0..6_u8, 0..5_u32), 1..40)) {
        let mut session = step(step(Session::new(TLS), NAMED.0).0, LOGGED_IN.0).0;
        let mut marked = BTreeSet::new();
        for (command, number) in commands {
            let is_there = (1..=3).contains(&number) && !marked.contains(&number);
            let kept = (1..=3).filter(|n| !marked.contains(n));
            let expected = match command {
                0 => format!("+OK {} {}", 3 - marked.len(), kept.sum::<u32>() * 100),
                1 => kept.map(|n| format!("{n} id{n}")).collect::<Vec<_>>().join("|"),
                2 => {
                    marked.clear();
                    "+OK 3 messages (600 octets)".into()
                }
                _ if !is_there => GONE.into(),
                3 => format!("send {number} {number} {number}00"),
                4 => format!("+OK {number} {number}00"),
                _ => {
                    marked.insert(number);
                    format!("+OK message {number} will be deleted at QUIT")
                }
            };
            let line = match command {
                0 => "STAT".into(),
                1 => "UIDL".into(),
                2 => "RSET".into(),
                3 => format!("RETR {number}"),
                4 => format!("LIST {number}"),
                _ => format!("DELE {number}"),
            };
            let seen;
            (session, seen) = step(session, &line);
            prop_assert_eq!(seen, expected, "{}", line);
        }
        let expected = if marked.is_empty() { "close +OK bye".into() } else { format!("remove {:?}", marked.iter().collect::<Vec<_>>()) };
        prop_assert_eq!(step(session, "QUIT").1, expected);
    }

    #[test]
    fn nobody_reaches_a_maildrop_without_the_password(lines in proptest::collection::vec(
        "(USER|PASS|AUTH|STAT|LIST|RETR|QUIT|STLS)?( |\\*|[a-zA-Z0-9+/=]{0,12}){0,3}", 0..60)) {
        let mut session = Session::new(LOOPBACK);
        for line in lines.iter().filter(|line| !line.contains("right") && !line.contains("cmlnaHQ")) {
            session = step(session, line).0;
            prop_assert!(session.maildrop().is_none());
        }
    }
}
