use std::sync::Arc;

use super::command::Line;
use super::effect::Effects;
use super::input::Driver;
use super::limiter::Stepped;
use super::state::{Client, Hello, Place, Profile, Remote};
use super::table::Row;
use crate::base::Reply;
use crate::sasl::Mechanism;
use crate::smtp::wire::{self, Verb, reply};

/// RFC 5321 §4.1.1.1: the client names itself; an open transaction is dropped, as by RSET.
pub(super) fn helo<D: Driver>(place: Place<D>, line: Line<'_>) -> Stepped<D> {
    greet(place, line, false)
}

/// The same, and the answer lists what can be had.
pub(super) fn ehlo<D: Driver>(place: Place<D>, line: Line<'_>) -> Stepped<D> {
    greet(place, line, true)
}

fn greet<D: Driver>(place: Place<D>, line: Line<'_>, is_extended: bool) -> Stepped<D> {
    // RFC 5321 §4.1.4: a refused EHLO leaves the state as it was.
    let Ok(name) = wire::client_name(line.argument) else {
        return Stepped::error(place, reply::BAD_CLIENT_NAME);
    };
    let Some(remote) = place.into_remote() else {
        return Stepped::drop_connection();
    };
    let answer = if is_extended { extensions(&remote) } else { Reply::plain(250, remote.rules.hostname.clone()) };
    let hello = Arc::new(Hello { name: name.to_owned(), is_extended });
    Stepped::well(Place::Ready(Client { remote, hello }), Effects::reply(answer))
}

fn extensions<D: Driver>(remote: &Remote<D>) -> Reply {
    let profile = remote.rules.profile;
    let mut answer = Reply::plain(250, remote.rules.hostname.clone()).and("PIPELINING"); // RFC 2920
    if profile != Profile::Odmr {
        answer = answer
            .and(format!("SIZE {}", remote.rules.message_bytes_max)) // RFC 1870
            .and("8BITMIME"); // RFC 6152
    }
    answer = answer.and("ENHANCEDSTATUSCODES"); // RFC 2034
    if profile != Profile::Odmr {
        answer = answer
            .and("SMTPUTF8") // RFC 6531
            .and("CHUNKING") // RFC 3030
            .and(format!("LIMITS RCPTMAX={}", remote.rules.recipients_max)); // RFC 9422
    }
    answer = remote.announce(answer);
    // RFC 3207 §4.2: not offered again once it is active
    if remote.may_start_tls() {
        answer = answer.and("STARTTLS");
    }
    // RFC 4954 §3
    if remote.may_log_in() {
        let names: Vec<&str> = remote.mechanisms().into_iter().map(Mechanism::name).collect();
        answer = answer.and(format!("AUTH {}", names.join(" ")));
    }
    // RFC 1985 §4; RFC 2645 §5.1; TURN has no keyword of its own: who may use it sees it by its name.
    for verb in [Verb::Etrn, Verb::Atrn, Verb::Turn] {
        if Row::of(verb).is_some_and(|row| row.is_offered(remote)) {
            answer = answer.and(verb.name());
        }
    }
    for verb in [Verb::Vrfy, Verb::Expn, Verb::Verb, Verb::Help] {
        if Row::of(verb).is_some_and(|row| row.is_offered(remote)) {
            answer = answer.and(verb.name());
        }
    }
    answer
}
