//! CHUNKING, the parameters of MAIL and RCPT, VRFY, EXPN and VERB.

use super::*;

const CHUNK: (&str, &str) = ("BDAT 500", "250 2.0.0 Chunk");

#[test]
fn a_message_comes_in_chunks() {
    let taken = "250 2.0.0 m_0000000000000 queued";
    let session = check(
        Profile::Mx,
        false,
        &[
            HELLO,
            MAIL,
            RCPT,
            ("BDAT 500 LAST", taken),
            MAIL,
            RCPT,
            CHUNK,
            ("NOOP", "250"),
            ("VRFY bob", "252"),
            ("bdat 500", "250 2.0.0"),
            ("BDAT 0 LAST", taken),
            MAIL,
            RCPT,
            ("BDAT 0 last", taken),
            MAIL,
            RCPT,
            DATA,
        ],
    );
    assert_eq!(session.commits.len(), 4);
}

#[test]
fn nothing_else_goes_between_two_chunks() {
    let mut dialogue = vec![HELLO, MAIL, RCPT, CHUNK];
    dialogue.extend([MAIL.0, RCPT.0, "DATA", "AUTH PLAIN"].map(|line| (line, "50")));
    dialogue.push(("BDAT 1 LAST", "250 2.0.0 m_"));
    assert_eq!(check(Profile::Mx, false, &dialogue).commits.len(), 1);
    for reset in ["RSET", "EHLO c.test", "HELO c.test"] {
        let session = check(
            Profile::Mx,
            false,
            &[HELLO, MAIL, RCPT, CHUNK, (reset, "250"), ("BDAT 5 LAST", "503 5.5.1 Send MAIL"), MAIL, RCPT, DATA],
        );
        assert_eq!(session.commits.len(), 1, "{reset}");
    }
}

#[test]
fn chunks_that_nobody_wants_are_read_all_the_same() {
    check(Profile::Mx, false, &[("BDAT 5", "503 5.5.1 Send HELO"), HELLO, ("BDAT 5 LAST", "503 5.5.1 Send MAIL")]);
    check(Profile::Mx, false, &[HELLO, MAIL, ("BDAT 5 LAST", "554 5.5.1"), RCPT, DATA]);
    // Behind one that was refused the others of the group still come.
    let refused = [HELLO, MAIL, RCPT, ("BDAT 600", "250"), ("BDAT 600", "552 5.3.4"), ("BDAT 600 LAST", "503 5.5.1")];
    assert!(check(Profile::Mx, false, &[&refused[..], &[MAIL, RCPT, DATA]].concat()).commits.len() == 1);
    // On submission before the login.
    check(Profile::Submission, false, &[HELLO, (MAIL.0, "530 5.7.0"), ("BDAT 5 LAST", "503 5.5.1")]);
}

#[test]
fn where_the_next_command_begins_is_never_guessed() {
    for wrong in ["BDAT", "BDAT LAST", "BDAT x", "BDAT 5 FIRST", "BDAT -1", "BDAT 5LAST"] {
        let session = check(Profile::Mx, false, &[HELLO, MAIL, RCPT, (wrong, "501 5.5.4,close")]);
        assert!(session.is_closed(), "{wrong}");
    }
}

#[test]
fn what_is_wrong_in_a_chunk_is_what_is_wrong_in_data() {
    let check = |profile, data: fn() -> DataEnd<()>, line: &str, expected: &str| {
        let (mut session, _) = Session::open(profile, true);
        for line in ["EHLO c.test", &plain("alice", "us"), MAIL.0, RCPT.0] {
            session.say(line);
        }
        session.data = data;
        let heard = session.say(line).join(",");
        assert!(heard.starts_with(expected), "{line}: {heard}");
        assert!(session.commits.is_empty());
        session.is_closed()
    };
    let bare = || DataEnd::Faulty(DataFaults { bare_line_end: true, ..DataFaults::default() });
    for line in ["BDAT 5", "BDAT 5 LAST"] {
        assert!(check(Profile::Mx, bare, line, "550 5.5.2"));
        assert!(!check(Profile::Submission, || DataEnd::TooLarge, line, "552 5.3.4"));
    }
}

#[test]
fn small_chunks_without_end_are_junk() {
    let pieces = vec![("BDAT 1", "250 2.0.0"); limits::JUNK_COMMANDS as usize];
    let session = check(Profile::Mx, false, &[vec![HELLO, MAIL, RCPT], pieces].concat());
    assert_eq!(session.delays, 0);
    let many = limits::JUNK_COMMANDS + limits::ERRORS_HARD;
    let (mut session, _) = Session::open(Profile::Mx, false);
    for line in ["EHLO c.test", MAIL.0, RCPT.0] {
        session.say(line);
    }
    (0..many).for_each(|_| drop(session.say("BDAT 1")));
    assert!(session.is_closed() && session.commits.is_empty());
}

#[test]
fn a_parameter_that_is_not_announced_is_not_known() {
    let unknown = "555 5.5.4";
    let of_strangers = ["RET=FULL", "ENVID=x", "REQUIRETLS", "HOLDFOR=5", "BY=5;R", "MT-PRIORITY=1"];
    for parameter in of_strangers {
        let line = format!("{} {parameter}", MAIL.0);
        check(Profile::Mx, false, &[HELLO, (&line, unknown), MAIL]);
    }
    check(Profile::Mx, false, &[HELLO, MAIL, ("RCPT TO:<b@x.test> NOTIFY=NEVER", unknown), RCPT]);
    check(Profile::Mx, true, &[HELLO, ("MAIL FROM:<a@y.test> REQUIRETLS", "250 2.1.0")]);
    check(Profile::Mx, true, &[HELLO, ("MAIL FROM:<a@y.test> REQUIRETLS=1", "501 5.5.4")]);
    let login = plain("alice", "us");
    let all = "MAIL FROM:<a@y.test> RET=HDRS ENVID=x REQUIRETLS BY=5;R MT-PRIORITY=4";
    check(
        Profile::Submission,
        true,
        &[
            HELLO,
            (&login, "235"),
            ("MAIL FROM:<a@y.test> HOLDFOR=5", unknown),
            (all, "250 2.1.0"),
            ("RCPT TO:<b@x.test> NOTIFY=SUCCESS ORCPT=rfc822;c@x.test", "250 2.1.5"),
            DATA,
            ("MAIL FROM:<a@y.test> MT-PRIORITY=9", "250 2.3.6"),
        ],
    );
}

#[test]
fn who_asks_for_names_is_told_by_who_they_are() {
    let with = |vrfy, profile| {
        let rules = Rules {
            profile,
            hostname: "mx.test".into(),
            message_bytes_max: 1000,
            recipients_max: 3,
            has_tls: true,
            allows_cleartext_login: false,
            takes_peers: true,
            takes_cram: false,
            takes_cram_in_clear: false,
            takes_etrn: false,
            release_max: None,
            vrfy,
            seeds: seeds(),
        };
        Session::with(State::new(Arc::new(rules), Some(Channel::default()))).0
    };
    let login = plain("alice", "us");
    let user = (login.as_str(), "235");
    let told = |who: &str| format!("250 2.1.5 bob for {who}");
    let ask = |session, first: Option<(&str, &str)>, expected: &str| {
        let dialogue: Vec<_> = first.into_iter().chain([("VRFY bob", expected), ("EXPN bob", expected)]).collect();
        converse(session, &[&[HELLO][..], &dialogue[..]].concat());
    };
    use Profile::{Mx, Submission};
    for profile in [Mx, Submission] {
        ask(with(Vrfy::Off, profile), None, "502 5.5.1");
        ask(with(Vrfy::Nobody, profile), None, "252 2.5.0");
        ask(with(Vrfy::Known, profile), None, "252 2.5.0");
        ask(with(Vrfy::Everybody, profile), None, &told("a stranger"));
    }
    ask(with(Vrfy::Nobody, Submission), Some(user), "252 2.5.0");
    ask(with(Vrfy::Known, Submission), Some(user), &told("alice"));
    converse(with(Vrfy::Known, Submission), &[HELLO, user, ("VRFY bob smtputf8", "250 2.1.5 bob for alice in UTF-8")]);
    // Names that are nobody's are counted as recipients that are.
    let mut session = converse(with(Vrfy::Everybody, Mx), &[HELLO]);
    (0..limits::UNKNOWN_RECIPIENTS_HARD).for_each(|_| drop(session.say("VRFY nobody")));
    assert!(session.is_closed());
    let off = "250-mx.test|250-PIPELINING|250-SIZE 1000|250-8BITMIME|250-ENHANCEDSTATUSCODES|250-SMTPUTF8|\
               250-CHUNKING|250-LIMITS RCPTMAX=3|250-REQUIRETLS|250-AUTH SCRAM-SHA-256 PLAIN LOGIN|250 HELP";
    converse(with(Vrfy::Off, Mx), &[("EHLO c.test", off)]);
}

#[test]
fn verb_is_for_those_who_run_the_server_and_for_peers() {
    check(Profile::Mx, false, &[HELLO, ("VERB", "502 5.7.0"), ("VERB ON", "502 5.7.0")]);
    let user = plain("alice", "us");
    check(Profile::Submission, true, &[HELLO, (&user, "235"), ("VERB ON", "502 5.7.0")]);
    let root = plain("root", "us");
    check(
        Profile::Submission,
        true,
        &[
            HELLO,
            (&root, "235"),
            ("VERB maybe", "501 5.5.4"),
            ("VERB", "250 2.0.0"),
            MAIL,
            ("RCPT TO:<b@x.test>", "250-2.1.5 Recipient OK|250 2.1.5 to b@x.test"),
            ("DATA", "354 ,250-2.0.0 m_0000000000000 queued|250 2.0.0 to disk"),
            ("VERB OFF", "250 2.0.0"),
            MAIL,
            ("RCPT TO:<b@x.test>", "250 2.1.5"),
            DATA,
        ],
    );
    let peer = plain("branch", "branch");
    converse(Session::among_peers(Profile::Mx, true, false), &[HELLO, (&peer, "235"), ("VERB on", "250 2.0.0")]);
}
