//! Peers: how they log in, swap roles, and what strangers see of them.

use super::*;

#[test]
fn a_peer_swaps_roles_once_and_alone() {
    let login = plain("branch", "branch");
    let peer = || {
        let session = Session::among_peers(Profile::Mx, true, false);
        let announced = "250-mx.test|250-PIPELINING|250-SIZE 1000|250-8BITMIME|250-ENHANCEDSTATUSCODES|250-SMTPUTF8|\
                         250-CHUNKING|250-LIMITS RCPTMAX=3|250-REQUIRETLS|250-AUTH SCRAM-SHA-256 PLAIN LOGIN|250-VRFY|250-EXPN|250 HELP";
        let after = announced
            .replace("250-REQUIRETLS", "250-DSN|250-REQUIRETLS|250-DELIVERBY|250-MT-PRIORITY MIXER")
            .replace("250-AUTH SCRAM-SHA-256 PLAIN LOGIN", "250-ETRN|250-ATRN|250-TURN")
            .replace("250-EXPN", "250-EXPN|250-VERB");
        converse(session, &[("EHLO c.test", announced), ("TURN", "502"), (&login, "235"), ("EHLO c.test", &after)])
    };
    let session = converse(peer(), &[("TURN x", "501 5.5.4"), ("TURN", "250 2.0.0,swap turn"), ("NOOP", "")]);
    assert!(session.is_closed());
    converse(peer(), &[("ATRN a.test,B.test", "250 2.0.0,swap atrn 2")]);
    // Mail before it, as by any other server; inside a transaction never.
    let said = [MAIL, RCPT, ("TURN", "503 5.5.1"), ("ATRN a.test", "503 5.5.1"), ("ETRN a.test", "503 5.5.1"), DATA];
    converse(peer(), &[&said[..], &[("TURN", "250 2.0.0,swap turn")]].concat());
    let wrong = ["ATRN a.test, b.test", "ATRN a.test,", "ATRN ,", "ATRN [192.0.2.1]", "ATRN a.test b.test"];
    converse(peer(), &wrong.map(|line| (line, "501 5.5.4")));
    // Nothing waits: the session goes on, and may ask again.
    converse(
        peer(),
        &[
            ("ATRN", "453 4.3.0"),
            MAIL,
            RCPT,
            DATA,
            ("ATRN", "453"),
            ("VRFY b", "250 2.1.5 b for a peer"),
            ("QUIT", "221,close"),
        ],
    );
    // What has come behind it is not read as the greeting of a server.
    converse(peer(), &[("ATRN late.test", "503 5.5.1,close"), ("NOOP", "")]);
    for line in ["TURN", "TURN x", "ATRN", "ATRN a.test", "ATRN !"] {
        let heard = peer().feed(Input::Line { line: line.as_bytes(), is_followed: true });
        assert!(heard.len() == 2 && heard[0].starts_with("503 5.5.1") && heard[1] == "close", "{line}: {heard:?}");
    }
    let tame = plain("branch", "etrn");
    let session = Session::among_peers(Profile::Mx, true, false);
    let said = [HELLO, (&tame, "235"), ("TURN", "502 5.5.1"), ("ATRN", "502 5.5.1"), ("ETRN a.test", "250 2.0.0")];
    converse(session, &said);
}

#[test]
fn strangers_see_no_peer() {
    let said = [
        HELLO,
        ("AUTH PLAIN", "502 5.5.1"),
        ("TURN", "502 5.5.1"),
        ("ATRN a.test", "502 5.5.1"),
        ("ETRN a.test", "459 4.7.1"),
        ("ETRN @a.test", "459 4.7.1"),
        ("ETRN #branch", "459 4.7.1"),
        ("ETRN", "501 5.5.4"),
        ("ETRN a.test b.test", "501 5.5.4"),
        ("HELP", "214-2.0.0 Commands:|214 2.0.0 EHLO HELO MAIL RCPT DATA RSET NOOP QUIT HELP STARTTLS VRFY EXPN"),
        ("HELP ETRN", "214 2.0.0 ETRN domain|@domain|#peer (not available in this session)"),
        MAIL,
        ("ETRN a.test", "503 5.5.1"),
        ("TURN", "502 5.5.1"),
    ];
    check(Profile::Mx, false, &said);
    converse(Session::among_peers(Profile::Mx, false, false), &said);
    for profile in [Profile::Mx, Profile::Submission] {
        let heard =
            |mut session: Session| ["EHLO c.test", "HELP", "TURN", "ATRN", "ETRN a.test"].map(|line| session.say(line));
        assert_eq!(heard(Session::open(profile, false).0), heard(Session::among_peers(profile, false, false)));
    }
    // Where ETRN may be used from, it is announced.
    let near = converse(Session::among_peers(Profile::Mx, false, true), &[]);
    let announced = "250-mx.test|250-PIPELINING|250-SIZE 1000|250-8BITMIME|250-ENHANCEDSTATUSCODES|250-SMTPUTF8|\
                     250-CHUNKING|250-LIMITS RCPTMAX=3|250-STARTTLS|250-ETRN|250-VRFY|250-EXPN|250 HELP";
    converse(near, &[("ETRN a.test", "503 5.5.1 Send HELO"), ("EHLO c.test", announced)]);
}

#[test]
fn the_listener_for_peers_knows_nothing_else() {
    use Profile::Odmr;
    let announced = "250-mx.test|250-PIPELINING|250-ENHANCEDSTATUSCODES|250-STARTTLS|250-ATRN|250 HELP";
    let secured =
        "250-mx.test|250-PIPELINING|250-ENHANCEDSTATUSCODES|250-AUTH SCRAM-SHA-256 PLAIN LOGIN|250-ATRN|250 HELP";
    let login = plain("branch", "branch");
    let mut dialogue = vec![
        ("EHLO c.test", announced),
        ("ATRN a.test", "530 5.7.0"),
        ("TURN", "502 5.5.1"),
        (&login, "538 5.7.11"),
        ("STARTTLS", "220 2.0.0"),
        ("ATRN", "530 5.7.0"),
        ("EHLO c.test", secured),
        ("HELP", "214-2.0.0 Commands:|214 2.0.0 EHLO HELO RSET NOOP QUIT HELP AUTH ATRN"),
    ];
    let others =
        ["MAIL FROM:<a@y.test>", "RCPT TO:<b@x.test>", "DATA", "VRFY b", "EXPN b", "ETRN a.test", "BDAT 1 LAST"];
    dialogue.extend(others.map(|line| (line, "502 5.5.1")));
    dialogue.extend([
        (login.as_str(), "235 2.7.0"),
        ("MAIL FROM:<a@y.test>", "502 5.5.1"),
        ("ETRN a.test", "502 5.5.1"),
    ]);
    dialogue.extend([
        ("RSET", "250"),
        ("NOOP", "250"),
        ("ATRN", "453 4.3.0"),
        ("ATRN a.test", "250 2.0.0,swap atrn 1"),
    ]);
    check(Odmr, false, &dialogue);
    check(Odmr, true, &[("EHLO c.test", secured), (&login, "235"), ("TURN", "250 2.0.0,swap turn")]);
}

#[test]
fn a_peer_behind_a_swap_sends_and_does_nothing_else() {
    let rules = Rules {
        profile: Profile::Reversed,
        hostname: "mx.test".into(),
        message_bytes_max: 1000,
        recipients_max: 3,
        has_tls: true,
        allows_cleartext_login: true,
        takes_peers: true,
        takes_cram: false,
        takes_cram_in_clear: false,
        takes_etrn: true,
        release_max: None,
        vrfy: Vrfy::Known,
        seeds: seeds(),
    };
    let all = Branch(vec![Verb::Turn, Verb::Atrn, Verb::Etrn]);
    let (session, _) = Session::with(State::reversed(Arc::new(rules), None, all));
    let announced = "250-mx.test|250-PIPELINING|250-SIZE 1000|250-8BITMIME|250-ENHANCEDSTATUSCODES|\
                     250-SMTPUTF8|250-CHUNKING|250 LIMITS RCPTMAX=3";
    let login = plain("branch", "branch");
    let mut dialogue = vec![("MAIL FROM:<a@y.test>", "503 5.5.1 Send HELO"), ("EHLO c.test", announced)];
    let others = ["STARTTLS", login.as_str(), "TURN", "ATRN", "ATRN a.test", "ETRN a.test", "VRFY b", "EXPN b", "HELP"];
    dialogue.extend(others.map(|line| (line, "502 5.5.1")));
    dialogue.extend([MAIL, RCPT, DATA, MAIL, ("RSET", "250"), ("NOOP", "250"), ("QUIT", "221 2.0.0,close")]);
    let session = converse(session, &dialogue);
    assert_eq!(session.commits.len(), 1);
}

/// Says what a client with this secret says: all that it hears from AUTH on.
fn log_in(session: &mut Session, mechanism: Mechanism, secret: &str, last: &str) -> Vec<String> {
    let channel = Channel::default();
    let terms = ClientTerms { nonce: "ours", channel: &channel, offers_plus: false };
    let mut client = Responder::new(mechanism, "branch", &Secret::new(secret.to_owned()), &terms).unwrap();
    let mut heard = session.say(&format!("AUTH {}", mechanism.name()));
    loop {
        let Some(challenge) =
            heard.last().and_then(|line| line.strip_prefix("334").map(|text| text.trim_start().to_owned()))
        else {
            return heard;
        };
        // What a proof of the server's is answered with is up to the test.
        let answer = client.answer(&challenge).unwrap();
        let answer = if client.is_satisfied() { last } else { answer.expose() };
        heard.extend(session.say(answer));
    }
}

#[test]
fn a_peer_proves_its_secret_and_is_shown_that_we_know_it() {
    let open = || Session::among_peers(Profile::Odmr, true, false);
    let hello = |session: &mut Session| session.say("EHLO c.test");
    let mut session = open();
    hello(&mut session);
    let heard = log_in(&mut session, Mechanism::ScramSha256, "branch", "");
    assert_eq!(heard.len(), 4, "{heard:?}");
    assert!(heard[..3].iter().all(|line| line.starts_with("334")) && heard[3].starts_with("235 2.7.0"), "{heard:?}");
    assert_eq!(session.say("TURN"), ["250 2.0.0 OK, roles are swapped now", "swap turn"]);
    for (secret, last, expected) in
        [("wrong", "", "535 5.7.8"), ("branch", "*", "501 5.7.0"), ("branch", "AAAA", "501 5.5.2")]
    {
        let mut session = open();
        hello(&mut session);
        let heard = log_in(&mut session, Mechanism::ScramSha256, secret, last);
        assert!(heard.last().is_some_and(|line| line.starts_with(expected)), "{heard:?}");
        assert_eq!(session.say("ATRN"), ["530 5.7.0 Authentication required"]);
    }
    // No two exchanges are begun alike, and what was proved in one proves nothing in another.
    let mut session = open();
    hello(&mut session);
    let first = STANDARD.encode("n,,n=branch,r=x");
    let mut begin = || {
        let heard = session.say(&format!("AUTH SCRAM-SHA-256 {first}"));
        session.say("*");
        heard
    };
    assert_ne!(begin(), begin());
}

#[test]
fn what_is_taken_in_the_clear_is_cram_md5_on_its_port() {
    let open = |profile, takes_cram, takes_cram_in_clear, is_secured: bool| {
        let rules = Rules {
            profile,
            hostname: "mx.test".into(),
            message_bytes_max: 1000,
            recipients_max: 3,
            has_tls: true,
            allows_cleartext_login: false,
            takes_peers: true,
            takes_cram,
            takes_cram_in_clear,
            takes_etrn: false,
            release_max: None,
            vrfy: Vrfy::Known,
            seeds: seeds(),
        };
        let mut session = Session::with(State::new(Arc::new(rules), is_secured.then(Channel::default))).0;
        let announced = session.say("EHLO c.test").concat();
        let mechanisms = announced.split('|').find_map(|line| line[4..].strip_prefix("AUTH "));
        let asked = session.say("AUTH CRAM-MD5").concat();
        session.say("*");
        let plain = session.say("AUTH PLAIN").concat();
        (mechanisms.unwrap_or_default().to_owned(), asked[..3].to_owned(), plain[..3].to_owned())
    };
    let check = |profile, cram, in_clear, is_secured, expected: (&str, &str, &str)| {
        let (mechanisms, asked, plain) = open(profile, cram, in_clear, is_secured);
        assert_eq!((&*mechanisms, &*asked, &*plain), expected, "{profile:?} {cram} {in_clear} {is_secured}");
    };
    check(Profile::Odmr, true, true, false, ("CRAM-MD5", "334", "538"));
    check(Profile::Odmr, true, false, false, ("", "538", "538"));
    check(Profile::Odmr, true, true, true, ("SCRAM-SHA-256 PLAIN LOGIN CRAM-MD5", "334", "334"));
    check(Profile::Odmr, false, false, true, ("SCRAM-SHA-256 PLAIN LOGIN", "504", "334"));
    check(Profile::Mx, true, true, false, ("", "502", "502"));
    check(Profile::Mx, true, true, true, ("SCRAM-SHA-256 PLAIN LOGIN CRAM-MD5", "334", "334"));
    check(Profile::Submission, true, true, false, ("", "538", "538"));
    check(Profile::Submission, true, true, true, ("PLAIN LOGIN", "504", "334"));
}

#[test]
fn who_has_shown_a_certificate_may_log_in_by_it() {
    let open = |profile, takes_peers, client_certificate: Option<[u8; 32]>| {
        let rules = Rules {
            profile,
            hostname: "mx.test".into(),
            message_bytes_max: 1000,
            recipients_max: 3,
            has_tls: true,
            allows_cleartext_login: true,
            takes_peers,
            takes_cram: false,
            takes_cram_in_clear: false,
            takes_etrn: false,
            release_max: None,
            vrfy: Vrfy::Known,
            seeds: seeds(),
        };
        let channel = Channel { client_certificate, ..Channel::default() };
        Session::with(State::new(Arc::new(rules), Some(channel))).0
    };
    let check = |profile, takes_peers, shown: Option<[u8; 32]>, mechanisms: &str, external: &str| {
        let mut session = open(profile, takes_peers, shown);
        let announced = session.say("EHLO c.test").concat();
        let seen = announced.split('|').find_map(|line| line[4..].strip_prefix("AUTH ")).unwrap_or_default();
        let answer = session.say("AUTH EXTERNAL =").concat();
        assert_eq!((seen, &answer[..3]), (mechanisms, external), "{profile:?} {takes_peers} {shown:?}");
        assert_eq!(external == "235", session.say("TURN").concat().starts_with("250"));
    };
    let (branch, stranger) = (Some([0xab; 32]), Some([1; 32]));
    check(Profile::Mx, true, branch, "SCRAM-SHA-256 EXTERNAL PLAIN LOGIN", "235");
    check(Profile::Mx, false, branch, "EXTERNAL", "235");
    check(Profile::Odmr, false, branch, "SCRAM-SHA-256 EXTERNAL PLAIN LOGIN", "235");
    check(Profile::Mx, true, stranger, "SCRAM-SHA-256 EXTERNAL PLAIN LOGIN", "535");
    check(Profile::Mx, true, None, "SCRAM-SHA-256 PLAIN LOGIN", "504");
    check(Profile::Odmr, true, None, "SCRAM-SHA-256 PLAIN LOGIN", "504");
    check(Profile::Mx, false, None, "", "502");
    // Where people send, it is nobody's.
    check(Profile::Submission, true, branch, "PLAIN LOGIN", "504");
    // The name that the client wants to act as; an empty one in two ways; none at all.
    for (lines, expected) in [
        (vec!["AUTH EXTERNAL YnJhbmNo"], "235 2.7.0"),
        (vec!["AUTH EXTERNAL cml2YWw="], "535 5.7.8"),
        (vec!["AUTH EXTERNAL", ""], "235 2.7.0"),
        (vec!["AUTH EXTERNAL", "YnJhbmNo"], "235 2.7.0"),
        (vec!["AUTH EXTERNAL", "*"], "501 5.7.0"),
        (vec!["AUTH EXTERNAL", "="], "501 5.5.2"),
        (vec!["AUTH EXTERNAL YgA="], "501 5.5.2"),
    ] {
        let mut session = open(Profile::Mx, false, branch);
        session.say("EHLO c.test");
        let answer = lines.iter().fold(String::new(), |_, line| session.say(line).concat());
        assert!(answer.starts_with(expected), "{lines:?}: {answer}");
    }
}
