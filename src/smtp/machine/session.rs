use super::command::Line;
use super::effect::{Effect, Effects, Question};
use super::input::{Driver, Identity};
use super::limiter::{Count, Stepped};
use super::state::{Place, Remote, Vrfy};
use super::table::Row;
use crate::base::{Enhanced, Reply};
use crate::sasl::Channel;
use crate::smtp::wire::{Verb, reply};

/// RFC 5321 §4.1.1.5: drops the transaction, keeps TLS, login and hello.
pub(super) fn rset<D: Driver>(place: Place<D>, line: Line<'_>) -> Stepped<D> {
    if !line.argument.is_empty() {
        return Stepped::error(place, reply::NO_ARGUMENT);
    }
    Stepped::well(place.without_transaction(), Effects::reply(reply::OK))
}

/// RFC 5321 §4.1.1.9
pub(super) fn noop<D: Driver>(place: Place<D>, _: Line<'_>) -> Stepped<D> {
    Stepped::well(place, Effects::reply(reply::OK))
}

/// RFC 5321 §4.1.1.10
pub(super) fn quit<D: Driver>(place: Place<D>, line: Line<'_>) -> Stepped<D> {
    if !line.argument.is_empty() {
        return Stepped::error(place, reply::NO_ARGUMENT);
    }
    Stepped::close(reply::BYE)
}

/// RFC 5321 §3.5.3, §7.3: for strangers the same answer for every name, so that VRFY is no list of our users.
pub(super) fn vrfy<D: Driver>(place: Place<D>, line: Line<'_>) -> Stepped<D> {
    if line.argument.is_empty() {
        return Stepped::error(place, reply::BAD_VRFY);
    }
    ask(place, line, |identity, question| Effect::Verify { identity, question })
}

/// The same for lists.
pub(super) fn expn<D: Driver>(place: Place<D>, line: Line<'_>) -> Stepped<D> {
    if line.argument.is_empty() {
        return Stepped::error(place, reply::BAD_EXPN);
    }
    ask(place, line, |identity, question| Effect::Expand { identity, question })
}

fn ask<D: Driver>(
    place: Place<D>,
    line: Line<'_>,
    effect: fn(Option<Identity<D>>, Question) -> Effect<D>,
) -> Stepped<D> {
    let (vrfy, identity) =
        place.remote().map_or((Vrfy::Off, None), |remote| (remote.rules.vrfy, remote.identity.clone()));
    let is_told = match vrfy {
        Vrfy::Off | Vrfy::Nobody => false,
        Vrfy::Known => identity.is_some(),
        Vrfy::Everybody => true,
    };
    if !is_told {
        return Stepped::well(place, Effects::reply(reply::NOT_VERIFIED));
    }
    // RFC 6531 §3.7.4.2: the parameter stands behind the name.
    let (name, smtputf8) = match line.argument.rsplit_once(' ') {
        Some((name, last)) if last.eq_ignore_ascii_case("SMTPUTF8") => (name.trim_end_matches(' '), true),
        _ => (line.argument, false),
    };
    let question = Question { name: name.to_owned(), smtputf8 };
    Stepped::well(Place::Verifying(Box::new(place)), Effects::one(effect(identity, question)))
}

/// What the directory said. The transaction, if one is open, goes on.
pub(super) fn verified<D: Driver>(place: Place<D>, answer: Reply) -> Stepped<D> {
    // A name that is nobody's is one more that was tried.
    let count = if answer.code() == 550 { Count::Recipient } else { Count::Nothing };
    Stepped::well(place, Effects::reply(answer).then(Effect::Flush)).counted_as(count)
}

/// Sendmail's verb, in no RFC: replies that tell more, for those who run the server and for peers.
pub(super) fn verb<D: Driver>(place: Place<D>, line: Line<'_>) -> Stepped<D> {
    if !place.remote().is_some_and(Remote::may_be_verbose) {
        return Stepped::well(place, Effects::reply(reply::NOT_VERBOSE)).counted_as(Count::Junk);
    }
    let is_on = match line.argument {
        "" => true,
        word if word.eq_ignore_ascii_case("ON") => true,
        word if word.eq_ignore_ascii_case("OFF") => false,
        _ => return Stepped::error(place, reply::BAD_VERB),
    };
    Stepped::well(place.verbose(is_on), Effects::reply(reply::VERBOSE_OK))
}

/// RFC 5321 §4.1.1.8: what this session can use, or how one verb is used.
pub(super) fn help<D: Driver>(place: Place<D>, line: Line<'_>) -> Stepped<D> {
    let Some(remote) = place.remote() else {
        return Stepped::error(place, reply::NOT_IMPLEMENTED);
    };
    if line.argument.is_empty() {
        let offered: Vec<&str> =
            Row::<D>::ALL.iter().filter(|row| row.is_offered(remote)).map(|row| row.verb.name()).collect();
        let answer = Reply::new(214, Enhanced(2, 0, 0), "Commands:").and(offered.join(" "));
        return Stepped::well(place, Effects::reply(answer));
    }
    match Verb::parse(line.argument).and_then(Row::<D>::of) {
        None => Stepped::error(place, reply::UNKNOWN_TOPIC),
        Some(row) => {
            let syntax = format!("{} {}", row.verb.name(), row.syntax);
            let available = if row.is_offered(remote) { "" } else { " (not available in this session)" };
            let text = format!("{}{available}", syntax.trim_end());
            Stepped::well(place, Effects::reply(Reply::new(214, Enhanced(2, 0, 0), text)))
        }
    }
}

/// RFC 3207: everything that was said in clear text is forgotten.
pub(super) fn starttls<D: Driver>(place: Place<D>, line: Line<'_>) -> Stepped<D> {
    // RFC 3207 §4.2; CVE-2011-0411: octets behind the command would be read as if they had come through TLS.
    if line.is_followed {
        return Stepped::drop_connection();
    }
    let (is_secured, has_tls) =
        place.remote().map_or((false, false), |remote| (remote.is_secured(), remote.rules.has_tls));
    let refusal = if is_secured {
        reply::ALREADY_SECURED
    } else if !has_tls {
        reply::NOT_IMPLEMENTED
    } else if !line.argument.is_empty() {
        reply::NO_ARGUMENT
    } else {
        let Some(remote) = place.into_remote() else {
            return Stepped::drop_connection();
        };
        let effects = Effects::reply(reply::READY_FOR_TLS).then(Effect::StartTls);
        return Stepped::well(Place::Securing(remote), effects);
    };
    Stepped::error(place, refusal)
}

/// The handshake is done.
pub(super) fn secured<D: Driver>(remote: Remote<D>, channel: Channel) -> Stepped<D> {
    let remote = Remote { tls: Some(channel), identity: None, is_verbose: false, ..remote };
    Stepped::well(Place::Connected(remote), Effects::none())
}
