use super::effect::{Effect, Effects};
use super::input::Driver;
use super::state::{Place, State};
use crate::base::{Reply, limits};
use crate::smtp::wire::reply;

/// What a session has done wrong since it last brought a message.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    errors: u32,
    junk: u32,
    recipients: u32,
    logins: u32,
}

/// What a step is counted as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    /// As nothing.
    Nothing,
    /// As a message that was accepted: what came before is forgiven.
    Message,
    /// As a command that moves no mail.
    Junk,
    /// As an error.
    Error,
    /// As a recipient that was refused for good.
    Recipient,
    /// As a failed login.
    Login,
}

/// A step before the limits were applied to it.
pub(super) struct Stepped<D: Driver> {
    pub(super) place: Place<D>,
    pub(super) effects: Effects<D>,
    pub(super) count: Count,
}

impl<D: Driver> Stepped<D> {
    /// Everything is as it should be.
    pub(super) fn well(place: Place<D>, effects: Effects<D>) -> Self {
        Self { place, effects, count: Count::Nothing }
    }

    /// A refusal that is the client's fault.
    pub(super) fn error(place: Place<D>, reply: reply::Fixed) -> Self {
        Self { place, effects: Effects::reply(reply), count: Count::Error }
    }

    /// The end of the session, with a last reply.
    pub(super) fn close(reply: impl Into<Reply>) -> Self {
        Self::well(Place::Closed, Effects::reply(reply).then(Effect::Close))
    }

    /// The end of the session, without a word.
    pub(super) fn drop_connection() -> Self {
        Self::well(Place::Closed, Effects::one(Effect::Drop))
    }

    #[must_use]
    pub(super) fn counted_as(self, count: Count) -> Self {
        Self { count, ..self }
    }

    /// Counts the step and slows or ends a session that has gone too far.
    pub(super) fn limited(mut self) -> (State<D>, Effects<D>) {
        let verdict = self.place.counts().map_or(Verdict::Fine, |counts| counts.add(self.count));
        match verdict {
            Verdict::Fine => (State(self.place), self.effects),
            Verdict::Slow => (State(self.place), self.effects.delayed()),
            // RFC 5321 §3.8: the 421 comes behind the reply to the command.
            Verdict::Over(last) => {
                // Nobody asks any more: there is no state left for the answer.
                let effects = if self.effects.ask() { Effects::none() } else { self.effects };
                (State(Place::Closed), effects.then(Effect::Reply(last.into())).then(Effect::Close))
            }
        }
    }
}

enum Verdict {
    Fine,
    Slow,
    Over(reply::Fixed),
}

impl Counts {
    fn add(&mut self, count: Count) -> Verdict {
        match count {
            Count::Nothing => Verdict::Fine,
            Count::Message => {
                // Failed logins and refused recipients stay: a message is no licence to guess.
                (self.errors, self.junk) = (0, 0);
                Verdict::Fine
            }
            Count::Junk => {
                self.junk += 1;
                if self.junk > limits::JUNK_COMMANDS { self.add(Count::Error) } else { Verdict::Fine }
            }
            Count::Error => {
                self.errors += 1;
                judge(self.errors, limits::ERRORS_SOFT, limits::ERRORS_HARD, reply::TOO_MANY_ERRORS)
            }
            Count::Recipient => {
                self.recipients += 1;
                let (soft, hard) = (limits::UNKNOWN_RECIPIENTS_SOFT, limits::UNKNOWN_RECIPIENTS_HARD);
                judge(self.recipients, soft, hard, reply::TOO_MANY_UNKNOWN)
            }
            Count::Login => {
                self.logins += 1;
                judge(self.logins, limits::LOGIN_FAILURES, limits::LOGIN_FAILURES, reply::TOO_MANY_LOGINS)
            }
        }
    }
}

fn judge(count: u32, soft: u32, hard: u32, last: reply::Fixed) -> Verdict {
    if count >= hard {
        Verdict::Over(last)
    } else if count > soft {
        Verdict::Slow
    } else {
        Verdict::Fine
    }
}
