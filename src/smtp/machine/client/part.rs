use std::collections::VecDeque;

use super::effect::{Effect, Effects};
use super::rules::Then;
use super::state::{Afterwards, Link, Place, Slate};
use super::step::{self, Stepped};
use crate::base::DomainName;
use crate::smtp::wire::{Answer, Outgoing};

/// All our mail is sent: what is said now.
pub(super) fn part(link: Link, slate: Slate, mut effects: Effects) -> Stepped {
    let verb = match &link.session.rules.then {
        Then::Quit | Then::Look => return step::quit(effects),
        // RFC 821 §3.8, RFC 2645 §5.2, RFC 1985 §5.2: never inside a transaction
        _ if slate == Slate::Written => {
            effects.push(Effect::Say(Outgoing::Rset));
            return Stepped::new(Place::Resetting(link, Afterwards::Part), effects);
        }
        Then::Turn => Outgoing::Turn,
        Then::Atrn(domains) => Outgoing::Atrn(domains.clone()),
        Then::Etrn(domains) => return flush(domains.iter().cloned().collect(), effects),
    };
    effects.push(Effect::Say(verb));
    Stepped::new(Place::Swapping, effects)
}

/// The answer to TURN or ATRN. From a 250 on, the server is the client.
pub(super) fn swap_answered(answer: Answer) -> Stepped {
    if answer.code() == 250 {
        return Stepped::new(Place::Closed, vec![Effect::Answered(answer), Effect::Swap]);
    }
    step::quit(vec![Effect::Answered(answer)])
}

/// An answer to ETRN. What is refused for one domain may be had for the next.
pub(super) fn flush_answered(rest: VecDeque<DomainName>, answer: Answer) -> Stepped {
    flush(rest, vec![Effect::Answered(answer)])
}

fn flush(mut domains: VecDeque<DomainName>, mut effects: Effects) -> Stepped {
    let Some(domain) = domains.pop_front() else {
        return step::quit(effects);
    };
    effects.push(Effect::Say(Outgoing::Etrn(domain)));
    Stepped::new(Place::Flushing(domains), effects)
}
