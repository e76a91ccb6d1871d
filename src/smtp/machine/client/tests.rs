use std::collections::VecDeque;

use super::*;
use crate::base::{Address, ByMode, NotifyOn, Random, RcptOptions, Secret, SeededRandom};
use crate::sasl::{Channel, Mechanism};
use crate::smtp::wire::{Answer, AnswerError, AnswerReader, By, Outgoing, Wishes};

mod extensions;

fn answer(text: &str) -> Answer {
    let text: String = text.split('|').map(|line| format!("{line}\r\n")).collect();
    AnswerReader::default().read(text.as_bytes()).1.unwrap().unwrap()
}

fn rules() -> Rules {
    Rules {
        hostname: "mx.a.test".parse().unwrap(),
        start_tls: StartTls::Never,
        login: None,
        is_loopback: false,
        then: Then::Quit,
        messages_max: 10,
        require_tls: false,
    }
}

fn envelope(recipients: usize) -> Envelope {
    let name = |number| (format!("r{number}@b.test").parse::<Address>().unwrap(), RcptOptions::default());
    Envelope {
        sender: Some("a@a.test".parse().unwrap()),
        recipients: (0..recipients).map(name).collect(),
        size_bytes: 10,
        eight_bit: false,
        smtputf8: false,
        wishes: Wishes::default(),
    }
}

fn shown(effect: &Effect) -> String {
    match effect {
        Effect::Say(line) => line.masked(),
        Effect::StartTls => "tls".into(),
        Effect::Next(room) if *room == Room::ANY => "next".into(),
        Effect::Next(room) => format!("next for {} in {}", room.recipients, room.domains),
        Effect::Convert => "convert".into(),
        Effect::OpenAttempt(recipients) => format!("open {recipients:?}"),
        Effect::SendContent(Framing::Dots) => "content".into(),
        Effect::SendContent(Framing::Chunk) => "chunk".into(),
        Effect::SendEnd => "end".into(),
        Effect::Settle(fates) => {
            let fate = |fate: &Fate| format!("{}:{:?}:{:?}", fate.recipient, fate.verdict, fate.stage);
            format!("settle {}", fates.iter().map(fate).collect::<Vec<_>>().join(" "))
        }
        Effect::Fail(failure) => format!("fail {:?}{}", failure.stage, if failure.is_busy { " busy" } else { "" }),
        Effect::Answered(answer) => format!("answered {}", answer.code()),
        Effect::Swap => "swap".into(),
        Effect::Close => "close".into(),
        Effect::Drop => "drop".into(),
    }
}

/// Feeds the inputs; each must bring the effects beside it.
fn check(rules: Rules, steps: Vec<(Input, &str)>) -> State {
    let mut state = State::new(rules, None);
    for (number, (input, expected)) in steps.into_iter().enumerate() {
        let (next, effects) = step(state, input);
        state = next;
        assert_eq!(effects.iter().map(shown).collect::<Vec<_>>().join(", "), expected, "step {number}");
    }
    state
}

fn said(text: &str) -> Input {
    Input::Answer { answer: answer(text), is_followed: false }
}

/// Up to the 354, for two recipients.
fn up_to_data() -> Vec<(Input, &'static str)> {
    vec![
        (said("220 hi"), "EHLO mx.a.test"),
        (said("250-hi|250 PIPELINING"), "next"),
        (Input::Mail(envelope(2)), "MAIL FROM:<a@a.test>, RCPT TO:<r0@b.test>, RCPT TO:<r1@b.test>, DATA"),
        (said("250 ok"), ""),
        (said("250 ok"), ""),
        (said("550 no"), ""),
        (said("354 go"), "open [0], content"),
    ]
}

#[test]
fn the_end_of_data_needs_the_message_and_the_commit_in_any_order() {
    let delivered = "settle 1:Failed:Recipient 0:Delivered:End, next";
    for order in [[Input::Opened, Input::ContentSent], [Input::ContentSent, Input::Opened]] {
        let [first, second] = order;
        let mut steps = up_to_data();
        steps.extend([(first, ""), (second, "end"), (said("250 ok"), delivered), (Input::NoMail, "QUIT")]);
        steps.push((said("221 bye"), "close"));
        assert!(check(rules(), steps).is_closed());
    }
    // Neither counts twice.
    let mut steps = up_to_data();
    let broken = "settle 1:Failed:Recipient 0:Deferred:Data, fail Data, drop";
    steps.extend([(Input::Opened, ""), (Input::Opened, broken), (Input::ContentSent, "")]);
    check(rules(), steps);
}

#[test]
fn an_attempt_that_is_not_opened_has_no_outcome_and_no_end() {
    for is_sent in [false, true] {
        let mut steps = up_to_data();
        if is_sent {
            steps.push((Input::ContentSent, ""));
        }
        steps.push((Input::NotOpened("held".into()), "settle 1:Failed:Recipient, fail Data, drop"));
        steps.extend([(Input::ContentSent, ""), (said("250 ok"), "")]);
        check(rules(), steps);
    }
}

#[test]
fn a_server_may_say_no_in_the_middle_of_the_message() {
    for (words, verdict) in
        [("552 too large", "Failed"), ("451 later", "Deferred"), ("250 ok", "Deferred"), ("421 bye", "Deferred")]
    {
        let mut steps = up_to_data();
        steps.push((Input::Opened, ""));
        let busy = if words.starts_with("421") { " busy" } else { "" };
        let expected = format!("settle 1:Failed:Recipient 0:{verdict}:Data, fail Data{busy}, drop");
        steps.push((said(words), &expected));
        check(rules(), steps);
    }
}

#[test]
fn what_the_driver_was_not_asked_for_ends_the_session() {
    for input in [
        Input::Opened,
        Input::ContentSent,
        Input::Secured(Channel::default()),
        Input::NoMail,
        Input::Mail(envelope(1)),
        Input::NotOpened(String::new()),
    ] {
        check(rules(), vec![(input, "fail Greeting, drop"), (said("220 hi"), "")]);
    }
}

#[test]
fn the_time_is_that_of_the_command() {
    let mut state = State::new(rules(), None);
    let mut seen = Vec::new();
    for (input, _) in up_to_data() {
        seen.push(state.patience());
        state = step(state, input).0;
    }
    state = step(step(state, Input::Opened).0, Input::ContentSent).0;
    seen.push(state.patience());
    state = step(step(state, said("250 ok")).0, Input::NoMail).0;
    seen.push(state.patience());
    use Patience::{Data, End, Greeting, Quit, Reply};
    assert_eq!(seen, [Greeting, Reply, Reply, Reply, Reply, Reply, Data, End, Quit]);
    let state = State::new(Rules { then: Then::Turn, ..rules() }, None);
    let (state, _) = step(step(step(state, said("220 hi")).0, said("250 hi")).0, Input::NoMail);
    assert_eq!(state.patience(), Patience::Turn);
}

/// What the server was told and has answered about the message at hand, kept apart from the machine.
#[derive(Default)]
struct Oracle {
    /// Lines that are not answered yet.
    asked: VecDeque<Asked>,
    is_secured: bool,
    offers_tls: bool,
    mail: Option<Transaction>,
    /// Of the message at hand: how many recipients there are.
    recipients: usize,
    messages: usize,
    fates: Vec<Fate>,
    delivered: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Hello,
    Tls,
    Mail,
    Rcpt(usize),
    Data,
    End,
    Other,
}

#[derive(Default)]
struct Transaction {
    is_sender_taken: bool,
    taken: Vec<usize>,
    named: usize,
    is_data_taken: bool,
    is_opened: bool,
    is_sent: bool,
    is_ended: bool,
    is_accepted: bool,
    is_answered: bool,
}

impl Oracle {
    fn heard(&mut self, answer: &Answer) {
        let is_good = answer.class() == 2;
        let Some(asked) = self.asked.pop_front() else { return };
        let mail = self.mail.get_or_insert_default();
        mail.is_answered |= matches!(asked, Asked::Mail | Asked::Rcpt(_) | Asked::Data);
        match asked {
            Asked::Hello => self.offers_tls = is_good && answer.lines().iter().any(|line| line == "STARTTLS"),
            Asked::Mail => mail.is_sender_taken = is_good,
            Asked::Rcpt(number) if is_good => mail.taken.push(number),
            Asked::Data => mail.is_data_taken = answer.class() == 3,
            Asked::End => mail.is_accepted = is_good,
            Asked::Tls | Asked::Rcpt(_) | Asked::Other => {}
        }
    }

    fn carried_out(&mut self, effect: &Effect, start_tls: StartTls) {
        match effect {
            // The end of the chunk is what is answered.
            Effect::Say(Outgoing::BdatLast(_)) => {
                assert!(self.asked.is_empty(), "octets that may not be wanted");
                self.mail.as_mut().expect("a message").is_data_taken = true;
            }
            Effect::Say(line) => {
                let asked = self.said(line, start_tls);
                self.asked.push_back(asked);
            }
            Effect::OpenAttempt(recipients) => {
                let mail = self.mail.as_ref().expect("a message");
                assert!(
                    mail.is_sender_taken && mail.is_data_taken && *recipients == mail.taken && !recipients.is_empty()
                );
            }
            Effect::SendEnd => {
                let mail = self.mail.as_mut().expect("a message");
                assert!(mail.is_data_taken, "an end of data without 354");
                let is_ready = mail.is_opened && mail.is_sent;
                assert!(is_ready || mail.taken.is_empty() || !mail.is_sender_taken, "an end of data too early");
                mail.is_ended = true;
                self.asked.push_back(Asked::End);
            }
            Effect::Settle(fates) => self.settle(fates),
            _ => {}
        }
    }

    fn said(&mut self, line: &Outgoing, start_tls: StartTls) -> Asked {
        match line {
            Outgoing::Ehlo(_) | Outgoing::Helo(_) => Asked::Hello,
            Outgoing::Starttls => {
                assert!(self.offers_tls && !self.is_secured, "STARTTLS that is not offered");
                Asked::Tls
            }
            Outgoing::Auth(..) | Outgoing::Response(_) => {
                assert!(self.is_secured, "a password in the clear");
                Asked::Other
            }
            Outgoing::Mail { .. } => {
                assert!(self.is_secured || start_tls != StartTls::Required, "mail in the clear");
                self.mail = Some(Transaction::default());
                Asked::Mail
            }
            Outgoing::Rcpt(..) => {
                let mail = self.mail.as_mut().expect("RCPT behind MAIL");
                mail.named += 1;
                Asked::Rcpt(mail.named - 1)
            }
            Outgoing::Data => Asked::Data,
            _ => Asked::Other,
        }
    }

    fn settle(&mut self, fates: &[Fate]) {
        for fate in fates {
            assert!(self.fates.iter().all(|other| other.recipient != fate.recipient), "two fates");
            if fate.verdict == Verdict::Delivered {
                let mail = self.mail.as_ref().expect("a message");
                let is_taken = mail.taken.contains(&fate.recipient) && mail.is_sender_taken;
                assert!(is_taken && mail.is_opened && mail.is_sent && mail.is_ended && mail.is_accepted);
                self.delivered += 1;
            }
            // It is not known whether the server has it: only behind the end of data, and without an answer to it.
            let is_uncertain = fate.stage == Stage::End && fate.words.code.is_none();
            assert!(!is_uncertain || self.mail.as_ref().is_some_and(|mail| mail.is_ended && !mail.is_accepted));
        }
        self.fates.extend_from_slice(fates);
    }

    /// At the end of a message: everybody has a fate, but for those who may have none.
    fn end_message(&mut self, was_refused: bool) {
        let mail = self.mail.take().unwrap_or_default();
        let open = self.recipients - self.fates.len();
        let is_untouched = self.messages > 1 && !mail.is_answered && self.fates.is_empty();
        let is_excused = is_untouched || (was_refused && open <= mail.taken.len());
        assert!(open == 0 || is_excused, "{open} of {} have no fate", self.recipients);
        (self.recipients, self.fates) = (0, Vec::new());
    }
}

const ANSWERS: [&str; 16] = [
    "250 ok",
    "250 ok",
    "250 ok",
    "250-mx|250-PIPELINING|250 STARTTLS",
    "250-mx|250-AUTH PLAIN LOGIN|250-SIZE 10|250 PIPELINING",
    "250-mx|250 SIZE 9",
    "220 go",
    "354 go",
    "354 go",
    "235 ok",
    "334 more",
    "550 5.1.1 no",
    "450 4.2.1 later",
    "503 what",
    "251 forwarded",
    "421 bye",
];

/// The answer that moves the session on; random ones rarely come as far as a delivery.
fn fitting(asked: Option<&Asked>, random: usize) -> &'static str {
    match asked {
        Some(Asked::Hello) => [
            "250-mx|250-PIPELINING|250 STARTTLS",
            "250-mx|250-AUTH LOGIN|250 PIPELINING",
            "250-mx|250-AUTH SCRAM-SHA-256|250 PIPELINING",
            "250 mx",
            "250-mx|250-CHUNKING|250-8BITMIME|250 STARTTLS",
            "250-mx|250-PIPELINING|250-CHUNKING|250 DSN",
        ][random % 6],
        Some(Asked::Data) => "354 go",
        Some(Asked::Tls) | None => "220 go",
        _ => "250 ok",
    }
}

#[test]
fn whatever_a_server_says_nobody_is_delivered_to_without_a_yes() {
    let sessions = std::env::var("PILLARBOX_MODEL_SEQUENCES").map_or(20_000, |text| text.parse().unwrap());
    let random = SeededRandom::new(2920);
    let below = |limit: usize| random.next_u64() as usize % limit;
    let mut delivered = 0;
    for _ in 0..sessions {
        let start_tls = [StartTls::Never, StartTls::Offered, StartTls::Required][below(3)];
        let login = (below(4) == 0).then(|| Login {
            user: "u".into(),
            secret: Secret::new("s".to_owned()),
            mechanisms: Mechanism::ALL.to_vec(),
            nonce: "n".into(),
        });
        let then = [Then::Quit, Then::Turn, Then::Look, Then::Etrn(vec!["a.test".parse().unwrap()])][below(4)].clone();
        let mut state = State::new(Rules { start_tls, login, then, messages_max: 1 + below(4), ..rules() }, None);
        let mut oracle = Oracle::default();
        let mut driver: VecDeque<Input> = VecDeque::new();
        let mut was_refused = false;
        let mut steps = 0;
        while !state.is_closed() {
            steps += 1;
            assert!(steps < 500, "a session without end");
            let input = match driver.pop_front() {
                Some(input) => input,
                None => match below(200) {
                    0 => Input::TimedOut,
                    1 => Input::Lost("reset".into()),
                    2 => Input::Garbled(AnswerError::Form),
                    number => {
                        let fits = number < 185;
                        let text =
                            if fits { fitting(oracle.asked.front(), below(5)) } else { ANSWERS[below(ANSWERS.len())] };
                        Input::Answer { answer: answer(text), is_followed: oracle.asked.len() > 1 || below(60) == 0 }
                    }
                },
            };
            match &input {
                Input::Answer { answer, .. } => oracle.heard(answer),
                Input::Secured(_) => oracle.is_secured = true,
                Input::Opened => oracle.mail.as_mut().unwrap().is_opened = true,
                Input::ContentSent => oracle.mail.as_mut().unwrap().is_sent = true,
                Input::NotOpened(_) => was_refused = true,
                Input::Mail(envelope) => {
                    (oracle.recipients, oracle.messages) = (envelope.recipients.len(), oracle.messages + 1)
                }
                _ => {}
            }
            let (next, effects) = step(state, input);
            state = next;
            for effect in &effects {
                oracle.carried_out(effect, start_tls);
                match effect {
                    Effect::StartTls if below(5) == 0 => driver.push_back(Input::NotSecured("no".into())),
                    Effect::StartTls => driver.push_back(Input::Secured(Channel::default())),
                    Effect::Convert if below(2) == 0 => driver.push_back(Input::NotConverted("signed".into())),
                    Effect::Convert => driver.push_back(Input::Converted(11)),
                    Effect::Next(_) => {
                        oracle.end_message(was_refused);
                        let mail = Envelope {
                            eight_bit: below(9) == 0,
                            ..envelope(below(if below(9) == 0 { 120 } else { 5 }))
                        };
                        driver.push_back(if below(4) == 0 { Input::NoMail } else { Input::Mail(mail) });
                    }
                    Effect::OpenAttempt(_) if below(8) == 0 => driver.push_back(Input::NotOpened("no".into())),
                    Effect::OpenAttempt(_) => driver.push_back(Input::Opened),
                    Effect::SendContent(_) if below(8) == 0 => driver.push_back(Input::ContentBroken("no".into())),
                    Effect::SendContent(_) => driver.push_front(Input::ContentSent),
                    _ => {}
                }
            }
        }
        oracle.end_message(was_refused);
        delivered += oracle.delivered;
    }
    assert!(sessions < 1000 || delivered > sessions / 4, "only {delivered} deliveries: the sessions test little");
}
