use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::{
    ChunkEnd, DataEnd, Driver, Effect, Identity, Input, LoginRefusal, Node, Peer, Profile, Receipt, Rules, State,
    SwapAnswer, SwapRequest, Vrfy, Welcome, step,
};
use crate::base::{Enhanced, MessageId, Random, Reply, Secret, SeededRandom, limits};
use crate::sasl::{Channel, Claim, ClientTerms, Mechanism, Responder, Seeds};
use crate::smtp::wire::{DataFaults, ForwardPath, Verb};

/// A driver whose answers are simple: recipients at `x.test` are ours, `us` is the password, the log is what it did.
struct Script;

mod extensions;
mod peers;

struct Proof;

impl Receipt for Proof {
    fn message_id(&self) -> MessageId {
        MessageId(0)
    }

    fn story(&self) -> Vec<String> {
        vec!["to disk".into()]
    }
}

impl Driver for Script {
    type Account = String;
    type Peer = Branch;
    type Swap = String;
    type Recipient = String;
    type Body = ();
    /// Octets that have come.
    type Chunks = u64;
    type Receipt = Proof;

    fn runs_the_server(account: &String) -> bool {
        account == "root"
    }

    fn leads(recipient: &String) -> Vec<String> {
        vec![format!("to {recipient}")]
    }
}

/// A peer and the verbs that it may use.
#[derive(Clone)]
struct Branch(Vec<Verb>);

impl Peer for Branch {
    fn may(&self, verb: Verb) -> bool {
        self.0.contains(&verb)
    }
}

struct Session {
    state: Option<State<Script>>,
    /// What the next end of data brings.
    data: fn() -> DataEnd<()>,
    commits: Vec<(String, Vec<String>)>,
    delays: usize,
}

fn seeds() -> Seeds {
    Seeds { nonces: Secret::new([1; 32]), salts: Secret::new([2; 32]) }
}

impl Session {
    fn open(profile: Profile, is_secured: bool) -> (Self, Vec<String>) {
        let rules = Rules {
            profile,
            hostname: "mx.test".into(),
            message_bytes_max: 1000,
            recipients_max: 3,
            has_tls: true,
            allows_cleartext_login: false,
            takes_peers: false,
            takes_cram: false,
            takes_cram_in_clear: false,
            takes_etrn: false,
            release_max: None,
            vrfy: Vrfy::Known,
            seeds: seeds(),
        };
        Self::with(State::new(Arc::new(rules), is_secured.then(Channel::default)))
    }

    /// A server that has peers.
    fn among_peers(profile: Profile, is_secured: bool, takes_etrn: bool) -> Self {
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
            takes_etrn,
            release_max: None,
            vrfy: Vrfy::Known,
            seeds: seeds(),
        };
        Self::with(State::new(Arc::new(rules), is_secured.then(Channel::default))).0
    }

    fn with(state: State<Script>) -> (Self, Vec<String>) {
        let mut session = Self { state: Some(state), data: || DataEnd::Taken(()), commits: Vec::new(), delays: 0 };
        let greeting = session.feed(Input::Connected);
        (session, greeting)
    }

    fn say(&mut self, line: &str) -> Vec<String> {
        self.feed(Input::Line { line: line.as_bytes(), is_followed: false })
    }

    /// Takes a step, answers what it asks, and writes down the replies.
    fn feed(&mut self, input: Input<'_, Script>) -> Vec<String> {
        let (state, effects) = step(self.state.take().unwrap(), input);
        self.state = Some(state);
        let asks = effects.ask();
        let mut heard = Vec::new();
        let mut answers = 0;
        for effect in effects {
            let answer = match effect {
                Effect::Reply(reply) => {
                    let mut out = Vec::new();
                    reply.write_to(&mut out);
                    heard.push(String::from_utf8(out).unwrap().trim_end().replace("\r\n", "|"));
                    continue;
                }
                Effect::Flush => continue,
                Effect::Delay => {
                    self.delays += 1;
                    continue;
                }
                Effect::Close => {
                    heard.push("close".into());
                    continue;
                }
                Effect::Drop => {
                    heard.push("drop".into());
                    continue;
                }
                Effect::CheckSender { sender, .. } => match &sender.address {
                    Some(address) if address.host.to_string() == "bad.test" => {
                        Input::Sender(Err(Reply::new(553, Enhanced(5, 7, 1), "not you")))
                    }
                    _ => Input::Sender(Ok(())),
                },
                Effect::CheckRecipient { recipient, .. } => Input::Recipient(match recipient {
                    ForwardPath::Postmaster => Ok("postmaster".into()),
                    ForwardPath::Mailbox(mailbox) if mailbox.address.host.to_string() == "x.test" => {
                        Ok(mailbox.address.to_string())
                    }
                    ForwardPath::Mailbox(_) => Err(Reply::new(550, Enhanced(5, 7, 1), "no relaying")),
                }),
                Effect::Authenticate { claim: Claim::Scram(shown), .. } => {
                    let branch = || Identity::Peer(Branch(vec![Verb::Turn]));
                    let proof = shown.verify("branch");
                    Input::Login(match proof {
                        Some(_) => Ok(Welcome { identity: branch(), proof }),
                        None => Err(LoginRefusal::Wrong),
                    })
                }
                Effect::Authenticate { claim: Claim::Certificate(shown), .. } => {
                    let is_branch = *shown.certificate() == [0xab; 32] && shown.acts_as("branch");
                    let branch = Welcome { identity: Identity::Peer(Branch(vec![Verb::Turn])), proof: None };
                    Input::Login(is_branch.then_some(branch).ok_or(LoginRefusal::Wrong))
                }
                Effect::Authenticate { claim: Claim::Cram(_), .. } => Input::Login(Err(LoginRefusal::Wrong)),
                Effect::Authenticate { claim: Claim::Password(credentials), .. } => {
                    let login = match credentials.password.expose().as_str() {
                        "us" => Ok(Identity::Account(credentials.login)),
                        "branch" => Ok(Identity::Peer(Branch(vec![Verb::Turn, Verb::Atrn, Verb::Etrn]))),
                        "etrn" => Ok(Identity::Peer(Branch(vec![Verb::Etrn]))),
                        "busy" => Err(LoginRefusal::Unchecked(Reply::new(454, Enhanced(4, 7, 0), "busy"))),
                        _ => Err(LoginRefusal::Wrong),
                    };
                    Input::Login(login.map(|identity| Welcome { identity, proof: None }))
                }
                Effect::Verify { identity, question } | Effect::Expand { identity, question } => {
                    let who = match identity {
                        Some(Identity::Account(account)) => account,
                        Some(Identity::Peer(_)) => "a peer".into(),
                        None => "a stranger".into(),
                    };
                    let utf8 = if question.smtputf8 { " in UTF-8" } else { "" };
                    Input::Verified(match question.name.as_str() {
                        "nobody" => Reply::new(550, Enhanced(5, 1, 1), "no such user"),
                        name => Reply::new(250, Enhanced(2, 1, 5), format!("{name} for {who}{utf8}")),
                    })
                }
                Effect::ReceiveChunk { before, chunk, bytes_max, .. } => {
                    let bytes = before.unwrap_or_default() + chunk.bytes;
                    Input::Chunk(match (self.data)() {
                        _ if bytes > bytes_max => ChunkEnd::End(DataEnd::TooLarge),
                        DataEnd::Taken(()) if !chunk.is_last => ChunkEnd::More(bytes),
                        end => ChunkEnd::End(end),
                    })
                }
                Effect::SkipChunk(_) => Input::Skipped,
                Effect::ReceiveData { .. } => Input::Data((self.data)()),
                Effect::Commit { transaction, .. } => {
                    let sender = transaction.sender.address.as_ref().map_or(String::new(), ToString::to_string);
                    self.commits.push((sender, transaction.recipients));
                    Input::Committed(Proof)
                }
                Effect::CheckSwap { request, .. } => Input::Swap(match request {
                    SwapRequest::Turn => SwapAnswer::Granted("turn".into()),
                    SwapRequest::Atrn(domains) if domains.is_empty() => {
                        SwapAnswer::Refused(Reply::new(453, Enhanced(4, 3, 0), "no mail"))
                    }
                    SwapRequest::Atrn(domains) if domains[0].as_str() == "late.test" => SwapAnswer::Followed,
                    SwapRequest::Atrn(domains) => SwapAnswer::Granted(format!("atrn {}", domains.len())),
                }),
                Effect::CheckEtrn { identity: Some(Identity::Peer(_)), node: Node::Domain(_) } => {
                    Input::Etrn(Reply::new(250, Enhanced(2, 0, 0), "started"))
                }
                Effect::CheckEtrn { .. } => Input::Etrn(Reply::new(459, Enhanced(4, 7, 1), "no")),
                Effect::Swap(how) => {
                    heard.push(format!("swap {how}"));
                    continue;
                }
                Effect::StartTls => Input::Secured(Channel::default()),
            };
            answers += 1;
            heard.extend(self.feed(answer));
        }
        assert_eq!(answers, usize::from(asks), "the driver is asked at most once, and last");
        heard
    }

    fn is_closed(&self) -> bool {
        self.state.as_ref().unwrap().is_closed()
    }
}

fn plain(login: &str, password: &str) -> String {
    format!("AUTH PLAIN {}", STANDARD.encode(format!("\0{login}\0{password}")))
}

/// Says the lines; each must bring the replies beside it (their beginnings, joined by a comma).
fn check(profile: Profile, is_secured: bool, dialogue: &[(&str, &str)]) -> Session {
    let (session, _) = Session::open(profile, is_secured);
    converse(session, dialogue)
}

fn converse(mut session: Session, dialogue: &[(&str, &str)]) -> Session {
    for (line, expected) in dialogue {
        let heard = session.say(line);
        let expected: Vec<&str> = expected.split(',').filter(|text| !text.is_empty()).collect();
        let fits = heard.len() == expected.len() && heard.iter().zip(&expected).all(|(a, b)| a.starts_with(b));
        assert!(fits, "{line}: {heard:?}, not {expected:?}");
    }
    session
}

const HELLO: (&str, &str) = ("EHLO c.test", "250-mx.test|250-PIPELINING");
const MAIL: (&str, &str) = ("MAIL FROM:<a@y.test>", "250 2.1.0");
const RCPT: (&str, &str) = ("RCPT TO:<b@x.test>", "250 2.1.5");
const DATA: (&str, &str) = ("DATA", "354 ,250 2.0.0 m_0000000000000 queued");

#[test]
fn a_message_is_taken_with_its_own_recipients() {
    let session = check(
        Profile::Mx,
        false,
        &[
            HELLO,
            ("MAIL FROM:<>", "250 2.1.0"),
            RCPT,
            ("RCPT TO:<c@y.test>", "550 5.7.1"),
            ("RCPT TO:<postmaster>", "250 2.1.5"),
            DATA,
            MAIL,
            RCPT,
            ("RSET", "250 2.0.0"),
            ("DATA", "503 5.5.1"),
            MAIL,
            ("RCPT TO:<d@x.test>", "250 2.1.5"),
            DATA,
            ("QUIT", "221 2.0.0,close"),
        ],
    );
    let expected = [("", vec!["b@x.test", "postmaster"]), ("a@y.test", vec!["d@x.test"])]
        .map(|(sender, recipients)| (sender.to_owned(), recipients.into_iter().map(str::to_owned).collect::<Vec<_>>()));
    assert_eq!(session.commits, expected);
}

#[test]
fn commands_have_an_order() {
    for first in ["MAIL FROM:<a@y.test>", "RCPT TO:<b@x.test>", "DATA"] {
        check(Profile::Mx, false, &[(first, "503 5.5.1 Send HELO")]);
        check(Profile::Mx, false, &[HELLO, MAIL, ("EHLO c.test", "250-mx.test"), ("DATA", "503 5.5.1 Send MAIL")]);
    }
    check(Profile::Mx, false, &[HELLO, MAIL, ("MAIL FROM:<c@y.test>", "503 5.5.1"), ("DATA", "554 5.5.1"), RCPT, DATA]);
    check(Profile::Mx, false, &[HELLO, MAIL, RCPT, ("HELO c.test", "250 mx.test"), ("DATA", "503")]);
    // RFC 5321 §4.1.4: a refused EHLO changes nothing.
    check(Profile::Mx, false, &[HELLO, MAIL, RCPT, ("EHLO", "501 5.5.4"), DATA]);
    check(Profile::Mx, false, &[HELLO, MAIL, RCPT, ("STARTTLS now", "501 5.5.4"), DATA]);
    check(Profile::Mx, false, &[HELLO, ("MAIL FROM:<a@bad.test>", "553 5.7.1"), ("RCPT TO:<b@x.test>", "503")]);
}

#[test]
fn verbs_and_arguments_are_refused_as_the_table_says() {
    let session = check(
        Profile::Mx,
        false,
        &[
            ("NOOP whatever", "250 2.0.0"),
            ("HELP", "214-2.0.0 Commands:|214 2.0.0 EHLO HELO MAIL RCPT DATA RSET NOOP QUIT HELP STARTTLS VRFY EXPN"),
            ("HELP MAIL", "214 2.0.0 MAIL FROM:<address>"),
            ("HELP AUTH", "214 2.0.0 AUTH mechanism [initial-response] (not available"),
            ("HELP FOO", "504 5.5.4"),
            ("VRFY alice", "252 2.5.0"),
            ("EXPN staff", "252 2.5.0"),
            ("VRFY", "501 5.5.4"),
            ("EXPN", "501 5.5.4"),
            HELLO,
            ("AUTH PLAIN", "502 5.5.1"),
            ("TURN", "502 5.5.1"),
            ("ETRN x", "459 4.7.1"),
            ("RSET x", "501 5.5.4"),
            ("MAIL FROM:<a@y.test> SIZE=1001", "552 5.3.4"),
            ("MAIL FROM:a@y.test", "501 5.5.2"),
            ("MAIL FROM:<a>", "553 5.1.7"),
            MAIL,
        ],
    );
    assert_eq!(session.delays, 0);
    let session = check(
        Profile::Mx,
        false,
        &[
            HELLO,
            MAIL,
            ("RCPT TO:<b@x.test> NOTIFY=NEVER", "555 5.5.4"),
            ("RCPT TO:<é@x.test>", "553 5.6.7"),
            ("RCPT TO:<b>", "501 5.1.3"),
            ("DATA now", "501 5.5.4"),
            ("FOO", "500 5.5.1"),
            ("NO\tOP", "500 5.5.2"),
            RCPT,
            RCPT,
            RCPT,
            ("RCPT TO:<b@x.test>", "452 4.5.3"),
            DATA,
            ("GET / HTTP/1.1", "drop"),
        ],
    );
    assert!(session.is_closed());
    for verb in ["TURN", "ATRN", "ATRN x.test", "ATRN !", "SEND x", "SOML x", "SAML x"] {
        check(Profile::Mx, false, &[(verb, "502 5.5.1")]);
    }
}

#[test]
fn nobody_submits_without_login() {
    use Profile::Submission;
    let login = plain("alice", "us");
    check(
        Submission,
        false,
        &[
            (
                "EHLO c.test",
                "250-mx.test|250-PIPELINING|250-SIZE 1000|250-8BITMIME|250-ENHANCEDSTATUSCODES|250-SMTPUTF8|250-CHUNKING|250-LIMITS RCPTMAX=3|250-DSN|250-DELIVERBY|250-MT-PRIORITY MIXER|250-STARTTLS|250-VRFY|250-EXPN|250 HELP",
            ),
            ("MAIL FROM:<a@y.test>", "530 5.7.0"),
            (&login, "538 5.7.11"),
            ("STARTTLS", "220 2.0.0"),
            (&login, "503 5.5.1"),
            (
                "EHLO c.test",
                "250-mx.test|250-PIPELINING|250-SIZE 1000|250-8BITMIME|250-ENHANCEDSTATUSCODES|250-SMTPUTF8|250-CHUNKING|250-LIMITS RCPTMAX=3|250-DSN|250-REQUIRETLS|250-DELIVERBY|250-MT-PRIORITY MIXER|250-AUTH PLAIN LOGIN|250-VRFY|250-EXPN|250 HELP",
            ),
            ("STARTTLS", "503 5.5.1"),
            (&login, "235 2.7.0"),
            (&login, "503 5.5.1"),
            MAIL,
            (&login, "503 5.5.1"),
            RCPT,
            ("VRFY bob", "250 2.1.5 bob for alice"),
            DATA,
        ],
    );
    let wrong = plain("alice", "them");
    let busy = plain("alice", "busy");
    let session = check(
        Submission,
        true,
        &[
            HELLO,
            ("AUTH", "501 5.5.4"),
            ("AUTH CRAM-MD5", "504 5.5.4"),
            ("AUTH PLAIN !", "501 5.5.2"),
            (&busy, "454 4.7.0"),
            ("AUTH LOGIN", "334 VXNlcm5hbWU6"),
            ("*", "501 5.7.0"),
            ("AUTH LOGIN", "334 VXNlcm5hbWU6"),
            ("YWxpY2U=", "334 UGFzc3dvcmQ6"),
            ("QUI", "501 5.5.2"),
            (&wrong, "535 5.7.8"),
            (&wrong, "535 5.7.8"),
            (&wrong, "535 5.7.8,421 4.7.0,close"),
        ],
    );
    assert!(session.is_closed());
}

#[test]
fn a_login_that_is_not_tried_is_repeated_no_more_often_than_a_wrong_command() {
    let (busy, right) = (plain("alice", "busy"), plain("alice", "us"));
    let refused = (busy.as_str(), "454 4.7.0");
    let before = limits::ERRORS_HARD as usize - 1;
    let session =
        check(Profile::Submission, true, &[vec![HELLO], vec![refused; before], vec![(&right, "235")]].concat());
    assert_eq!(session.delays, before - limits::ERRORS_SOFT as usize);
    let last = (busy.as_str(), "454 4.7.0,421 4.7.0,close");
    let session = check(Profile::Submission, true, &[vec![HELLO], vec![refused; before], vec![last]].concat());
    assert!(session.is_closed());
}

#[test]
fn what_came_behind_starttls_closes_without_a_word() {
    let (mut session, _) = Session::open(Profile::Mx, false);
    session.say("EHLO c.test");
    assert_eq!(session.feed(Input::Line { line: b"STARTTLS", is_followed: true }), ["drop"]);
}

#[test]
fn starttls_forgets_what_was_said() {
    check(Profile::Mx, false, &[HELLO, MAIL, RCPT, ("STARTTLS", "220 2.0.0"), ("DATA", "503 5.5.1 Send HELO")]);
}

#[test]
fn data_can_end_badly() {
    let check = |profile, end: fn() -> DataEnd<()>, expected: &[&str]| {
        let (mut session, _) = Session::open(profile, true);
        session.data = end;
        session.say("EHLO c.test");
        session.say(&plain("alice", "us"));
        for line in ["MAIL FROM:<a@y.test>", "RCPT TO:<b@x.test>"] {
            session.say(line);
        }
        let heard = session.say("DATA");
        assert!(heard[1..].iter().zip(expected).all(|(a, b)| a.starts_with(b)), "{heard:?}");
        assert_eq!((heard.len() - 1, session.is_closed()), (expected.len(), expected.contains(&"close")));
        assert!(session.commits.is_empty());
    };
    let bare = || DataEnd::Faulty(DataFaults { bare_line_end: true, ..DataFaults::default() });
    let nul = || DataEnd::Faulty(DataFaults { nul: true, ..DataFaults::default() });
    let long = || DataEnd::Faulty(DataFaults { long_line: true, ..DataFaults::default() });
    check(Profile::Mx, bare, &["550 5.5.2", "close"]);
    check(Profile::Mx, nul, &["550 5.5.2", "close"]);
    check(Profile::Submission, nul, &["550 5.5.2"]);
    check(Profile::Mx, long, &["554 5.6.0"]);
    check(Profile::Mx, || DataEnd::TooLarge, &["552 5.3.4"]);
    check(Profile::Mx, || DataEnd::Refused(Reply::new(452, Enhanced(4, 3, 1), "full")), &["452 4.3.1"]);
}

#[test]
fn a_session_that_goes_wrong_is_slowed_and_ended() {
    let run = |lines: &[&str], line: &str| {
        let (mut session, _) = Session::open(Profile::Mx, false);
        for line in lines {
            session.say(line);
        }
        let mut said = 0;
        let last = loop {
            let heard = session.say(line);
            said += 1;
            if session.is_closed() {
                break heard.join(",");
            }
        };
        (said, session.delays, last)
    };
    let over = |reply: &str, text: &str| format!("{reply},421 4.7.0 {text},close");
    // The last one is closed on, and not slowed as well.
    assert_eq!(run(&[], "FOO"), (20, 9, over("500 5.5.1 Unknown command", "Too many errors")));
    assert_eq!(run(&[], "NOOP"), (120, 9, over("250 2.0.0 OK", "Too many errors")));
    assert_eq!(
        run(&["EHLO c", "MAIL FROM:<>"], "RCPT TO:<a@y.test>"),
        (20, 14, over("550 5.7.1 no relaying", "Too many refused recipients"))
    );
}

#[test]
fn a_message_forgives_errors() {
    let (mut session, _) = Session::open(Profile::Mx, false);
    session.say("EHLO c.test");
    for _ in 0..5 {
        for line in ["FOO"; 9].into_iter().chain(["MAIL FROM:<>", "RCPT TO:<b@x.test>", "DATA"]) {
            session.say(line);
        }
    }
    assert_eq!((session.commits.len(), session.delays), (5, 0));
}

#[test]
fn events_end_a_session() {
    let check = |input, expected: &str| {
        let (mut session, greeting) = Session::open(Profile::Mx, false);
        assert_eq!(greeting, ["220 mx.test ESMTP Pillarbox"]);
        let heard = session.feed(input).join(",");
        assert!(heard.starts_with(expected) && heard.ends_with(",close") && session.is_closed(), "{heard}");
    };
    check(Input::Stop, "421 4.3.2");
    check(Input::LoggedOut, "421 4.7.0");
    check(Input::Idle, "421 4.4.2");
    check(Input::Exhausted, "421 4.7.0");

    check(Input::EarlyTalk, "554 5.5.1");
    // Nobody asked: the driver is wrong, and the client is told to try again.
    check(Input::Committed(Proof), "421 4.3.0");
    check(Input::Recipient(Ok("b@x.test".into())), "421 4.3.0");
}

/// What the machine may have accepted, told in another way: the sender and recipients since the last reset.
#[derive(Default)]
struct Oracle {
    greeted: bool,
    secured: bool,
    sender: Option<String>,
    recipients: Vec<String>,
    messages: Vec<(String, Vec<String>)>,
}

impl Oracle {
    fn hear(&mut self, line: &str, heard: &[String]) {
        let reset = |oracle: &mut Self| (oracle.sender, oracle.recipients) = (None, Vec::new());
        let inside = |line: &str| line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
        let is_good = |code: &str| heard.iter().any(|reply| reply.starts_with(code));
        match line.split(' ').next().unwrap() {
            "EHLO" | "HELO" if is_good("250") => {
                self.greeted = true;
                reset(self);
            }
            "RSET" if is_good("250") => reset(self),
            "STARTTLS" if is_good("220") => {
                assert!(!self.secured, "TLS twice");
                (self.greeted, self.secured) = (false, true);
                reset(self);
            }
            "MAIL" if is_good("250") => {
                assert!(self.greeted && self.sender.is_none(), "MAIL out of order");
                self.sender = Some(inside(line));
            }
            "RCPT" if is_good("250") => {
                assert!(self.sender.is_some(), "RCPT without MAIL");
                self.recipients.push(inside(line));
            }
            "DATA" if is_good("354") => {
                assert!(!self.recipients.is_empty(), "DATA without RCPT");
                let sender = self.sender.take().expect("DATA without MAIL");
                let recipients = std::mem::take(&mut self.recipients);
                if is_good("250") {
                    self.messages.push((sender, recipients));
                }
            }
            _ => {}
        }
    }
}

#[test]
fn whatever_is_said_a_message_has_the_sender_and_recipients_since_the_last_reset() {
    // The first are what a transaction is made of; they come three times of four.
    const GOOD: usize = 6;
    const LINES: [&str; 18] = [
        "EHLO c.test",
        "MAIL FROM:<a@y.test>",
        "MAIL FROM:<>",
        "RCPT TO:<b@x.test>",
        "RCPT TO:<c@x.test>",
        "DATA",
        "HELO c.test",
        "EHLO",
        "MAIL FROM:<a@bad.test>",
        "MAIL FROM:nobody",
        "RCPT TO:<d@y.test>",
        "RCPT TO:<e>",
        "RSET",
        "RSET x",
        "NOOP",
        "VRFY b",
        "STARTTLS",
        "FOO",
    ];
    const ENDS: [fn() -> DataEnd<()>; 3] =
        [|| DataEnd::Taken(()), || DataEnd::TooLarge, || DataEnd::Refused(Reply::new(451, Enhanced(4, 3, 0), "later"))];
    let sequences = std::env::var("PILLARBOX_MODEL_SEQUENCES").map_or(20_000, |text| text.parse().unwrap());
    let random = SeededRandom::new(5321);
    let below = |limit: usize| random.next_u64() as usize % limit;
    let mut messages = 0;
    for _ in 0..sequences {
        let (mut session, _) = Session::open(Profile::Mx, false);
        let mut oracle = Oracle::default();
        let mut said = Vec::new();
        for _ in 0..1 + below(40) {
            session.data = ENDS[below(3)];
            let line = LINES[below(if below(4) > 0 { GOOD } else { LINES.len() })];
            said.push(line);
            oracle.hear(line, &session.say(line));
        }
        assert_eq!(session.commits, oracle.messages, "{said:?}");
        messages += oracle.messages.len();
    }
    assert!(sequences < 1000 || messages > sequences / 10, "only {messages} messages: the sequences test little");
}

proptest! {
    #[test]
    fn no_line_breaks_the_machine(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..8), verb in 0..5usize) {
        let (mut session, _) = Session::open(Profile::Submission, true);
        session.say("EHLO c.test");
        for line in lines {
            let verb: &[u8] = [&b"MAIL FROM:<"[..], b"AUTH PLAIN ", b"RCPT TO:<", b"EHLO ", b""][verb];
            let line = [verb, &line].concat();
            let heard = session.feed(Input::Line { line: &line, is_followed: false });
            prop_assert!(!heard.is_empty() || session.is_closed());
            prop_assert!(heard.iter().all(|reply| !reply.contains(['\r', '\n'])));
        }
        prop_assert!(session.commits.is_empty());
    }
}
