use super::effect::{Effect, Effects};
use super::input::{Driver, Input};
use super::limiter::Stepped;
use super::state::{Place, State};
use super::{auth, chunk, command, mail, session, swap};
use crate::base::{Enhanced, Reply};
use crate::smtp::wire::reply;

/// Takes one input and says what is to be done.
///
/// An answer to a question that was not asked is a fault of the driver: the session is closed with a temporary reply.
pub fn step<D: Driver>(state: State<D>, input: Input<'_, D>) -> (State<D>, Effects<D>) {
    let place = state.0;
    let stepped = match (place, input) {
        (Place::Closed, _) => Stepped::well(Place::Closed, Effects::none()),
        (place, Input::Stop) => end(place, reply::SHUTTING_DOWN),
        (place, Input::LoggedOut) => end(place, reply::LOGGED_OUT),
        (place, Input::Idle) => end(place, reply::IDLE),
        (place, Input::Exhausted) => end(place, reply::SESSION_TOO_LONG),
        (place @ Place::Connected(_), Input::Connected) => greeting(place),
        (Place::Connected(_), Input::EarlyTalk) => Stepped::close(reply::EARLY_TALKER),
        (Place::LoggingIn(client, mechanism, exchange), Input::Line { line, .. }) => {
            auth::answer(client, mechanism, exchange, line)
        }
        (Place::Confirming(client, identity), Input::Line { line, .. }) => auth::confirmed(client, identity, line),
        // RFC 4954 §4: a line that can't be read ends the exchange.
        (Place::LoggingIn(client, ..) | Place::Confirming(client, _), Input::LineTooLong) => {
            Stepped::error(Place::Ready(client), reply::LONG_RESPONSE)
        }
        (Place::LoggingIn(client, ..) | Place::Confirming(client, _), Input::BareLf) => {
            Stepped::error(Place::Ready(client), reply::BARE_LINE_FEED)
        }
        (place, Input::BareLf) if takes_lines(&place) => Stepped::error(place, reply::BARE_LINE_FEED),
        (place, Input::LineTooLong) if takes_lines(&place) => Stepped::error(place, reply::LINE_TOO_LONG),
        (place, Input::Line { line, is_followed }) if takes_lines(&place) => command::command(place, line, is_followed),
        (Place::CheckingLogin(client), Input::Login(login)) => auth::checked(client, login),
        (Place::CheckingSender(client, transaction), Input::Sender(answer)) => {
            mail::sender_checked(client, transaction, answer)
        }
        (Place::CheckingRecipient(client, transaction), Input::Recipient(answer)) => {
            mail::recipient_checked(client, transaction, answer)
        }
        (Place::Verifying(place), Input::Verified(answer)) => session::verified(*place, answer),
        (Place::Receiving(client, transaction), Input::Data(end)) => mail::received(client, transaction, end),
        (Place::ReceivingChunk(client, transaction, is_last), Input::Chunk(end)) => {
            chunk::received(client, transaction, is_last, end)
        }
        (Place::Skipping(place, refusal), Input::Skipped) => chunk::skipped(*place, refusal),
        (Place::Committing(client), Input::Committed(receipt)) => mail::committed(client, &receipt),
        (Place::Committing(client), Input::NotCommitted(refusal)) => mail::not_committed(client, refusal),
        (Place::CheckingSwap(client), Input::Swap(answer)) => swap::swap_checked(client, answer),
        (Place::CheckingEtrn(client), Input::Etrn(answer)) => swap::etrn_checked(client, answer),
        (Place::Securing(remote), Input::Secured(channel)) => session::secured(remote, channel),
        _ => end_by_fault(),
    };
    stepped.limited()
}

/// RFC 5321 §3.1. The name of the program is told, its version is not.
fn greeting<D: Driver>(place: Place<D>) -> Stepped<D> {
    let hostname = place.remote().map_or("", |remote| &remote.rules.hostname);
    let reply = Reply::plain(220, format!("{hostname} ESMTP Pillarbox"));
    Stepped::well(place, Effects::reply(reply).then(Effect::Flush))
}

fn takes_lines<D: Driver>(place: &Place<D>) -> bool {
    matches!(place, Place::Connected(_) | Place::Ready(_) | Place::InTransaction(..) | Place::InChunks(..))
}

/// An event that ends the session. In the middle of a TLS handshake there is nobody who could read a reply.
fn end<D: Driver>(place: Place<D>, last: reply::Fixed) -> Stepped<D> {
    if matches!(place, Place::Securing(_)) { Stepped::drop_connection() } else { Stepped::close(last) }
}

pub(super) fn end_by_fault<D: Driver>() -> Stepped<D> {
    let last = Reply::our_fault(421, Enhanced(4, 3, 0), "Temporary server error", "the driver gave the wrong answer");
    Stepped::well(Place::Closed, Effects::reply(last).then(Effect::Close))
}
