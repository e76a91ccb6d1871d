use std::collections::VecDeque;

use super::effect::{Effect, Effects, Framing};
use super::fate::{Fate, Stage, Verdict, Words};
use super::state::{Link, Place, Progress, Slate};
use super::step::{self, Stepped};
use crate::base::{Address, ByMode, Enhanced, PassedOn, RcptOptions, limits};
use crate::smtp::wire::{Answer, Extensions, Outgoing, Size, Wishes};

/// The envelope of a message, and what the server must be able to take.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// `None` is the null reverse-path.
    pub sender: Option<Address>,
    /// For whom, and what is asked for each; their places here are their names in fates.
    pub recipients: Vec<(Address, RcptOptions)>,
    /// Octets of the message.
    pub size_bytes: u64,
    /// It holds octets above 127.
    pub eight_bit: bool,
    /// Its header needs SMTPUTF8; whether the envelope does is seen by itself.
    pub smtputf8: bool,
    /// What is asked for besides.
    pub wishes: Wishes,
}

impl Envelope {
    fn needs_smtputf8(&self) -> bool {
        let recipients = self.recipients.iter().map(|(address, _)| address);
        self.smtputf8 || self.sender.iter().chain(recipients).any(|address| !address.is_ascii())
    }

    /// All fates, when they are one.
    pub(super) fn fates(&self, verdict: Verdict, stage: Stage, words: &Words) -> Vec<Fate> {
        let fate = |recipient| Fate { recipient, verdict, stage, words: words.clone(), passed_on: PassedOn::default() };
        (0..self.recipients.len()).map(fate).collect()
    }

    /// What the server can't take for good, told before it is asked.
    fn misfit(&self, extensions: &Extensions) -> Option<Words> {
        if let Size::Max(limit) = extensions.size
            && self.size_bytes > limit
        {
            // RFC 1870 §6.3: not sent at all
            let text = format!("the server takes {limit} octets, and the message has {}", self.size_bytes);
            return Some(Words::own(Enhanced(5, 3, 4), text));
        }
        // RFC 6531 §3.2
        if self.needs_smtputf8() && !extensions.smtputf8 {
            return Some(Words::own(Enhanced(5, 6, 7), "the message needs SMTPUTF8, and the server does not have it"));
        }
        // RFC 8689 §4.2.1
        if self.wishes.require_tls && !extensions.require_tls {
            let text = "the message needs REQUIRETLS, and the server does not have it";
            return Some(Words::own(Enhanced(5, 7, 30), text));
        }
        // RFC 2852 §4.2: a server that knows of no deadline would keep the message beyond it.
        let by = self.wishes.by.filter(|by| by.mode == ByMode::Return);
        if by.is_some_and(|by| by.seconds <= 0) {
            return Some(Words::own(Enhanced(5, 4, 7), "the time by which it was to be delivered has passed"));
        }
        if by.is_some() && !extensions.deliver_by {
            let text =
                "the message is to come back when it is late, and the server can't see to that: it has no DELIVERBY";
            return Some(Words::own(Enhanced(5, 3, 3), text));
        }
        None
    }
}

/// A transaction up to the answer to DATA.
pub(super) struct Addressing {
    envelope: Envelope,
    /// Of each recipient.
    standings: Vec<Standing>,
    /// Recipients that were named to the server.
    named: usize,
    /// What is answered next, in this order.
    expected: VecDeque<Expected>,
    /// Whether MAIL was taken.
    sender: Sender,
    /// Whether anything was answered.
    is_answered: bool,
    /// What the server takes over, if it takes the message.
    passed_on: PassedOn,
}

/// How a recipient stands.
enum Standing {
    Open,
    Accepted,
    Over(Verdict, Stage, Words),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sender {
    Unsaid,
    Said,
    Accepted,
    Refused,
}

#[derive(Clone, Copy)]
enum Expected {
    Mail,
    Rcpt(usize),
    Data,
}

/// A transaction whose message is on its way.
pub(super) struct Taken {
    /// Of those that were refused.
    pub(super) fates: Vec<Fate>,
    pub(super) accepted: Vec<usize>,
    passed_on: PassedOn,
}

impl Taken {
    /// All fates, when those that were accepted share theirs.
    pub(super) fn all(self, verdict: Verdict, stage: Stage, words: &Words) -> Vec<Fate> {
        let Self { mut fates, accepted, passed_on } = self;
        let passed_on = if verdict == Verdict::Delivered { passed_on } else { PassedOn::default() };
        let fate = |recipient| Fate { recipient, verdict, stage, words: words.clone(), passed_on };
        fates.extend(accepted.into_iter().map(fate));
        fates
    }
}

/// Takes a message on.
pub(super) fn begin(link: Link, envelope: Envelope) -> Stepped {
    if let Some(words) = envelope.misfit(&link.extensions) {
        return refuse(link, &envelope, &words);
    }
    // RFC 6152 §3
    if envelope.eight_bit && !link.extensions.eight_bit_mime {
        return Stepped::new(Place::Converting(link, envelope), vec![Effect::Convert]);
    }
    address(link, envelope)
}

/// It is 7-bit now.
pub(super) fn converted(link: Link, envelope: Envelope, size_bytes: u64) -> Stepped {
    let envelope = Envelope { size_bytes, eight_bit: false, ..envelope };
    match envelope.misfit(&link.extensions) {
        Some(words) => refuse(link, &envelope, &words),
        None => address(link, envelope),
    }
}

/// It can't be made so.
pub(super) fn not_converted(link: Link, envelope: Envelope, why: String) -> Stepped {
    let text = format!("the message needs 8BITMIME, which the server does not have, and can't be converted: {why}");
    refuse(link, &envelope, &Words::own(Enhanced(5, 6, 3), text))
}

/// Not one command is said of it.
fn refuse(link: Link, envelope: &Envelope, words: &Words) -> Stepped {
    let fates = envelope.fates(Verdict::Failed, Stage::Sender, words);
    step::proceed(link, Slate::Clean, vec![Effect::Settle(fates)])
}

fn address(link: Link, envelope: Envelope) -> Stepped {
    let standings = envelope.recipients.iter().map(|_| Standing::Open).collect();
    let Extensions { dsn, deliver_by, .. } = link.extensions;
    let addressing = Addressing {
        envelope,
        standings,
        named: 0,
        expected: VecDeque::new(),
        sender: Sender::Unsaid,
        is_answered: false,
        passed_on: PassedOn { reports: dsn, deadline: deliver_by },
    };
    say(link, addressing)
}

/// Says what can be said before an answer is needed.
// RFC 2920 §3.1: MAIL, RCPT and DATA in one group, DATA as its last
fn say(link: Link, mut addressing: Addressing) -> Stepped {
    let group = if link.extensions.pipelining { limits::PIPELINED_COMMANDS } else { 1 };
    let mut effects = Effects::new();
    if addressing.sender == Sender::Unsaid {
        addressing.sender = Sender::Said;
        addressing.expected.push_back(Expected::Mail);
        effects.push(Effect::Say(addressing.mail(&link.extensions)));
    }
    while effects.len() < group
        && let Some((recipient, options)) = addressing.envelope.recipients.get(addressing.named)
    {
        // RFC 3461 §5.2.1
        let options = if link.extensions.dsn { options.clone() } else { RcptOptions::default() };
        effects.push(Effect::Say(Outgoing::Rcpt(recipient.clone(), options)));
        addressing.expected.push_back(Expected::Rcpt(addressing.named));
        addressing.named += 1;
    }
    let all_are_named = addressing.named == addressing.envelope.recipients.len();
    // Without a group, it is known by now whether anybody wants the message.
    let is_group_open = effects.is_empty() || link.extensions.pipelining;
    if all_are_named && is_group_open {
        if effects.is_empty() && !addressing.has_accepted() {
            return finish(link, addressing, Slate::Written);
        }
        match link.extensions.chunking {
            // Its octets follow at once, so it is known first who wants them.
            true if effects.is_empty() => return send_chunk(link, addressing),
            true => {}
            false => {
                effects.push(Effect::Say(Outgoing::Data));
                addressing.expected.push_back(Expected::Data);
            }
        }
    }
    Stepped::new(Place::Addressing(link, addressing), effects)
}

/// An answer to MAIL, RCPT or DATA.
pub(super) fn heard(link: Link, mut addressing: Addressing, answer: &Answer) -> Stepped {
    let Some(expected) = addressing.expected.pop_front() else {
        return step::out_of_order(Place::Addressing(link, addressing), answer);
    };
    addressing.is_answered = true;
    match (expected, answer.class()) {
        (Expected::Mail, 2) => addressing.sender = Sender::Accepted,
        (Expected::Mail, 4 | 5) => {
            addressing.sender = Sender::Refused;
            addressing.end_open(Verdict::of_refusal(answer), Stage::Sender, &answer.into());
        }
        // What is said to recipients of a sender that was refused means nothing.
        (Expected::Rcpt(_), 2 | 4 | 5) if addressing.sender == Sender::Refused => {}
        (Expected::Rcpt(recipient), 2) => addressing.set(recipient, Standing::Accepted),
        (Expected::Rcpt(recipient), 4 | 5) => {
            let standing = Standing::Over(Verdict::of_refusal(answer), Stage::Recipient, answer.into());
            addressing.set(recipient, standing);
        }
        (Expected::Data, 3) => return data_taken(link, addressing),
        (Expected::Data, 4 | 5) => {
            let slate = if addressing.sender == Sender::Accepted { Slate::Written } else { Slate::Clean };
            addressing.end_open(Verdict::of_refusal(answer), Stage::Data, &answer.into());
            return finish(link, addressing, slate);
        }
        _ => {
            addressing.expected.push_front(expected);
            return step::out_of_order(Place::Addressing(link, addressing), answer);
        }
    }
    if !addressing.expected.is_empty() {
        Stepped::new(Place::Addressing(link, addressing), Effects::new())
    } else if addressing.sender == Sender::Refused {
        finish(link, addressing, Slate::Clean)
    } else {
        say(link, addressing)
    }
}

fn data_taken(link: Link, addressing: Addressing) -> Stepped {
    let taken = addressing.into_taken();
    if taken.accepted.is_empty() {
        // RFC 2920 §3.1: DATA went out before it was known that nobody wants the message.
        return Stepped::new(Place::Withdrawing(link, taken.fates), vec![Effect::SendEnd]);
    }
    let effects = vec![Effect::OpenAttempt(taken.accepted.clone()), Effect::SendContent(Framing::Dots)];
    Stepped::new(Place::Sending(link, taken, Progress::Neither), effects)
}

/// The whole message is one chunk.
// RFC 3030 §2
fn send_chunk(link: Link, addressing: Addressing) -> Stepped {
    let bdat = Outgoing::BdatLast(addressing.envelope.size_bytes);
    let taken = addressing.into_taken();
    let open = Effect::OpenAttempt(taken.accepted.clone());
    let effects = vec![Effect::Say(bdat), open, Effect::SendContent(Framing::Chunk)];
    Stepped::new(Place::Sending(link, taken, Progress::Neither), effects)
}

fn finish(link: Link, addressing: Addressing, slate: Slate) -> Stepped {
    let taken = addressing.into_taken();
    step::proceed(link, slate, vec![Effect::Settle(taken.fates)])
}

impl Addressing {
    /// All fates, when those that are not over share theirs.
    pub(super) fn fates(mut self, verdict: Verdict, stage: Stage, words: &Words) -> Vec<Fate> {
        self.end_open(verdict, stage, words);
        self.into_taken().fates
    }

    /// Whether anything was answered: otherwise the message may be sent over another connection as if it had not been
    /// taken up.
    pub(super) fn is_answered(&self) -> bool {
        self.is_answered
    }

    pub(super) fn expects_data(&self) -> bool {
        matches!(self.expected.front(), Some(Expected::Data))
    }

    pub(super) fn outstanding(&self) -> usize {
        self.expected.len()
    }

    pub(super) fn stage(&self) -> Stage {
        match self.expected.front() {
            Some(Expected::Rcpt(_)) => Stage::Recipient,
            Some(Expected::Data) => Stage::Data,
            Some(Expected::Mail) | None => Stage::Sender,
        }
    }

    fn mail(&self, extensions: &Extensions) -> Outgoing {
        let wishes = &self.envelope.wishes;
        Outgoing::Mail {
            sender: self.envelope.sender.clone(),
            size_bytes: (extensions.size != Size::Unknown).then_some(self.envelope.size_bytes),
            eight_bit: self.envelope.eight_bit,
            smtputf8: self.envelope.needs_smtputf8(),
            wishes: Wishes {
                ret: wishes.ret.filter(|_| extensions.dsn),
                envelope_id: wishes.envelope_id.clone().filter(|_| extensions.dsn),
                require_tls: wishes.require_tls,
                by: wishes.by.filter(|_| extensions.deliver_by),
                priority: wishes.priority.filter(|_| extensions.mt_priority),
            },
        }
    }

    fn has_accepted(&self) -> bool {
        self.standings.iter().any(|standing| matches!(standing, Standing::Accepted))
    }

    fn set(&mut self, recipient: usize, standing: Standing) {
        if let Some(place) = self.standings.get_mut(recipient) {
            *place = standing;
        }
    }

    /// Ends every recipient that is not over.
    fn end_open(&mut self, verdict: Verdict, stage: Stage, words: &Words) {
        for standing in &mut self.standings {
            if !matches!(standing, Standing::Over(..)) {
                *standing = Standing::Over(verdict, stage, words.clone());
            }
        }
    }

    fn into_taken(self) -> Taken {
        let mut taken = Taken { fates: Vec::new(), accepted: Vec::new(), passed_on: self.passed_on };
        for (recipient, standing) in self.standings.into_iter().enumerate() {
            match standing {
                Standing::Over(verdict, stage, words) => {
                    taken.fates.push(Fate { recipient, verdict, stage, words, passed_on: PassedOn::default() });
                }
                // All are named and answered when this is asked.
                Standing::Accepted | Standing::Open => taken.accepted.push(recipient),
            }
        }
        taken
    }
}
