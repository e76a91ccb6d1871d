use std::borrow::Cow;

use super::effect::{Effect, Effects, Room};
use super::fate::{Failure, Stage, Verdict, Words};
use super::input::Input;
use super::state::{Afterwards, Link, Place, Progress, Slate, State};
use super::{envelope, hello, part};
use crate::base::Enhanced;
use crate::smtp::wire::{Answer, Outgoing};

/// A step before it is known whether the server has said too much.
pub(super) struct Stepped {
    place: Place,
    effects: Effects,
}

impl Stepped {
    pub(super) fn new(place: Place, effects: Effects) -> Self {
        Self { place, effects }
    }
}

/// Takes an input and says what is to be done.
pub fn step(state: State, input: Input) -> (State, Effects) {
    let place = state.0;
    let stepped = match input {
        _ if matches!(place, Place::Closed) => Stepped::new(Place::Closed, Effects::new()),
        Input::Answer { answer, is_followed } => answered(place, answer, is_followed),
        Input::TimedOut => broken(place, own(Enhanced(4, 4, 2), "the server did not answer in time"), Cause::Gone),
        Input::Lost(why) => {
            broken(place, own(Enhanced(4, 4, 2), format!("the connection was lost: {why}")), Cause::Gone)
        }
        Input::Garbled(error) => broken(place, own(Enhanced(4, 5, 0), error.to_string()), Cause::Nonsense),
        Input::NotSecured(why) => broken(place, own(Enhanced(4, 7, 5), why), Cause::Nonsense),
        Input::ContentBroken(why) => broken(place, own(Enhanced(4, 3, 0), why), Cause::Ours),
        Input::NotOpened(why) => not_opened(place, why),
        Input::Secured(channel) => match place {
            Place::Securing(session) => hello::secured(session, channel),
            place => unasked(place),
        },
        Input::Mail(envelope) => match place {
            Place::Idle(mut link, slate) => {
                link.messages += 1;
                match slate {
                    Slate::Clean => envelope::begin(link, envelope),
                    Slate::Written => {
                        let effects = vec![Effect::Say(Outgoing::Rset)];
                        Stepped::new(Place::Resetting(link, Afterwards::Begin(envelope)), effects)
                    }
                }
            }
            place => unasked(place),
        },
        Input::NoMail => match place {
            Place::Idle(link, slate) => part::part(link, slate, Effects::new()),
            place => unasked(place),
        },
        Input::Converted(size_bytes) => match place {
            Place::Converting(link, envelope) => envelope::converted(link, envelope, size_bytes),
            place => unasked(place),
        },
        Input::NotConverted(why) => match place {
            Place::Converting(link, envelope) => envelope::not_converted(link, envelope, why),
            place => unasked(place),
        },
        Input::Opened => sent(place, Progress::Opened),
        Input::ContentSent => sent(place, Progress::Sent),
    };
    (State(stepped.place), stepped.effects)
}

fn answered(place: Place, answer: Answer, is_followed: bool) -> Stepped {
    // RFC 5321 §3.8: 421 may come as the answer to anything; the server closes behind it.
    if answer.code() == 421 && !matches!(place, Place::Quitting) {
        return broken(place, (&answer).into(), Cause::Busy);
    }
    // A reply that nobody asked for would be taken for the answer to the next command, and every later one for another:
    // in the end a 250 for a message that was refused. Behind a 220 to STARTTLS or a 250 to TURN it would be worse.
    let stage = place.stage();
    let is_too_much = is_followed && place.outstanding() <= 1;
    let stepped = heard(place, answer);
    let goes_on = !matches!(stepped.place, Place::Closed | Place::Quitting) || stepped.swaps();
    if is_too_much && goes_on {
        return said_too_much(stepped, stage);
    }
    stepped
}

fn heard(place: Place, answer: Answer) -> Stepped {
    match place {
        Place::Greeting(session) => hello::greeting(session, &answer),
        Place::Ehlo(session) => hello::ehlo_answered(session, &answer),
        Place::Helo(session) => hello::helo_answered(session, &answer),
        Place::AskingTls(session, extensions) => hello::starttls_answered(session, extensions, &answer),
        Place::LoggingIn(link, responder) => hello::auth_answered(link, responder, &answer),
        Place::Resetting(link, afterwards) if answer.class() == 2 => match afterwards {
            Afterwards::Begin(envelope) => envelope::begin(link, envelope),
            Afterwards::Part => part::part(link, Slate::Clean, Effects::new()),
        },
        Place::Addressing(link, addressing) => envelope::heard(link, addressing, &answer),
        Place::Sending(_, taken, _) if matches!(answer.class(), 4 | 5) => {
            // The server has said no in the middle of the message, and takes no more of it.
            let (verdict, words) = (Verdict::of_refusal(&answer), Words::from(&answer));
            let fates = taken.all(verdict, Stage::Data, &words);
            let failure = Failure { stage: Stage::Data, words, is_busy: false };
            Stepped::new(Place::Closed, vec![Effect::Settle(fates), Effect::Fail(failure), Effect::Drop])
        }
        Place::Ending(link, taken) => match answer.class() {
            2 => {
                let fates = taken.all(Verdict::Delivered, Stage::End, &(&answer).into());
                proceed(link, Slate::Clean, vec![Effect::Settle(fates)])
            }
            4 | 5 => {
                let fates = taken.all(Verdict::of_refusal(&answer), Stage::End, &(&answer).into());
                proceed(link, Slate::Clean, vec![Effect::Settle(fates)])
            }
            _ => out_of_order(Place::Ending(link, taken), &answer),
        },
        // Whatever it says of an empty message for nobody.
        Place::Withdrawing(link, fates) if answer.class() != 3 => {
            proceed(link, Slate::Clean, vec![Effect::Settle(fates)])
        }
        Place::Swapping => part::swap_answered(answer),
        Place::Flushing(rest) => part::flush_answered(rest, answer),
        Place::Quitting => Stepped::new(Place::Closed, vec![Effect::Close]),
        place => out_of_order(place, &answer),
    }
}

/// The message goes out, and the attempt is committed: the end of data needs both.
fn sent(place: Place, done: Progress) -> Stepped {
    match place {
        Place::Sending(link, taken, Progress::Neither) => {
            Stepped::new(Place::Sending(link, taken, done), Effects::new())
        }
        Place::Sending(link, taken, before) if before != done => {
            Stepped::new(Place::Ending(link, taken), vec![Effect::SendEnd])
        }
        place => unasked(place),
    }
}

/// The attempt could not be committed: not one octet of the end of data may go out, and so no other either. What the
/// recipients are now is in the file, and not ours to say.
fn not_opened(place: Place, why: String) -> Stepped {
    let Place::Sending(_, taken, _) = place else { return unasked(place) };
    let words = own(Enhanced(4, 3, 0), why);
    let failure = Failure { stage: Stage::Data, words, is_busy: false };
    Stepped::new(Place::Closed, vec![Effect::Settle(taken.fates), Effect::Fail(failure), Effect::Drop])
}

/// Between two messages: the next one, or the end.
pub(super) fn proceed(link: Link, slate: Slate, mut effects: Effects) -> Stepped {
    // RFC 9422 §4.1
    let messages_max = link.extensions.limits.mails.unwrap_or(usize::MAX).min(link.session.rules.messages_max);
    if link.messages >= messages_max {
        return part::part(link, slate, effects);
    }
    let limits = link.extensions.limits;
    let room = Room {
        recipients: limits.recipients.unwrap_or(Room::ANY.recipients),
        domains: limits.domains.unwrap_or(Room::ANY.domains),
    };
    effects.push(Effect::Next(room));
    Stepped::new(Place::Idle(link, slate), effects)
}

/// The end of a session in which everything was said.
pub(super) fn quit(mut effects: Effects) -> Stepped {
    effects.push(Effect::Say(Outgoing::Quit));
    Stepped::new(Place::Quitting, effects)
}

/// The end of a session that leads nowhere, with a server that still answers.
pub(super) fn leave(stage: Stage, words: Words) -> Stepped {
    quit(vec![Effect::Fail(Failure { stage, words, is_busy: false })])
}

/// An answer that can't be one to what was said.
pub(super) fn out_of_order(place: Place, answer: &Answer) -> Stepped {
    let words =
        own(Enhanced(4, 5, 0), format!("the server's answer makes no sense here: {} {}", answer.code(), answer.text()));
    broken(place, words, Cause::Nonsense)
}

/// What the server says is not to be trusted any further.
pub(super) fn give_up(place: Place, why: String) -> Stepped {
    broken(place, own(Enhanced(4, 7, 0), why), Cause::Nonsense)
}

/// The driver is wrong.
fn unasked(place: Place) -> Stepped {
    broken(place, own(Enhanced(4, 3, 0), "an internal error"), Cause::Ours)
}

/// The answer itself holds; what would have followed does not take place.
fn said_too_much(stepped: Stepped, stage: Stage) -> Stepped {
    let words = own(Enhanced(4, 5, 0), "the server said more than it was asked");
    let is_kept = |effect: &Effect| matches!(effect, Effect::Settle(_) | Effect::Answered(_));
    let mut effects: Effects = stepped.effects.into_iter().filter(is_kept).collect();
    let place = if matches!(stepped.place, Place::Closed) { Place::Swapping } else { stepped.place };
    let mut broken = broken(place, words, Cause::Nonsense);
    for effect in &mut broken.effects {
        if let Effect::Fail(failure) = effect {
            failure.stage = stage;
        }
    }
    effects.append(&mut broken.effects);
    Stepped::new(broken.place, effects)
}

impl Stepped {
    fn swaps(&self) -> bool {
        self.effects.iter().any(|effect| matches!(effect, Effect::Swap))
    }
}

/// Why a session breaks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// 421.
    Busy,
    /// The connection is lost, or the server silent.
    Gone,
    /// What it says makes no sense.
    Nonsense,
    /// Ourselves.
    Ours,
}

/// The session is over at once, and so is every recipient that is not yet: deferred.
fn broken(place: Place, words: Words, cause: Cause) -> Stepped {
    let stage = place.stage();
    let fates = match place {
        // Nothing depends on the answer to QUIT.
        Place::Quitting => return Stepped::new(Place::Closed, vec![Effect::Drop]),
        // A connection that was kept for the next message and turns out to be closed: it may be sent over another.
        Place::Addressing(ref link, ref addressing)
            if cause == Cause::Gone && link.messages > 1 && !addressing.is_answered() =>
        {
            Vec::new()
        }
        Place::Addressing(_, addressing) => addressing.fates(Verdict::Deferred, stage, &words),
        Place::Converting(_, envelope) => envelope.fates(Verdict::Deferred, stage, &words),
        // Behind the end of data, the words have a code only if the server has answered: without one, it is not known
        // whether it has the message.
        Place::Sending(_, taken, _) | Place::Ending(_, taken) => taken.all(Verdict::Deferred, stage, &words),
        Place::Withdrawing(_, fates) => fates,
        _ => Vec::new(),
    };
    let is_busy = matches!(cause, Cause::Busy | Cause::Gone);
    let mut effects = Effects::new();
    if !fates.is_empty() {
        effects.push(Effect::Settle(fates));
    }
    effects.extend([Effect::Fail(Failure { stage, words, is_busy }), Effect::Drop]);
    Stepped::new(Place::Closed, effects)
}

fn own(enhanced: Enhanced, text: impl Into<Cow<'static, str>>) -> Words {
    Words::own(enhanced, text)
}
