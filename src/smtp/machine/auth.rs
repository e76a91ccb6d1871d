use super::command::Line;
use super::effect::{Effect, Effects};
use super::input::{Driver, Identity, LoginRefusal};
use super::limiter::{Count, Stepped};
use super::state::{Client, Place};
use crate::base::Reply;
use crate::sasl::{Exchange, Mechanism, SaslError, Step};
use crate::smtp::wire::reply;

/// RFC 4954 §4: begins an exchange.
pub(super) fn auth<D: Driver>(client: Client<D>, line: Line<'_>) -> Stepped<D> {
    let (name, initial) =
        line.argument.split_once(' ').map_or((line.argument, None), |(name, rest)| (name, Some(rest)));
    if client.remote.identity.is_some() {
        return Stepped::error(Place::Ready(client), reply::ALREADY_LOGGED_IN);
    }
    if name.is_empty() {
        return Stepped::error(Place::Ready(client), reply::BAD_AUTH);
    }
    let Some(mechanism) = Mechanism::parse(name.as_bytes()) else {
        return Stepped::error(Place::Ready(client), reply::UNKNOWN_MECHANISM);
    };
    proceed(client, mechanism, Exchange::start(mechanism, initial.map(str::as_bytes)))
}

/// The client's line in answer to a challenge.
pub(super) fn answer<D: Driver>(
    client: Client<D>,
    mechanism: Mechanism,
    exchange: Exchange,
    line: &[u8],
) -> Stepped<D> {
    proceed(client, mechanism, exchange.answer(line))
}

fn proceed<D: Driver>(client: Client<D>, mechanism: Mechanism, step: Result<Step, SaslError>) -> Stepped<D> {
    match step {
        Ok(Step::Challenge(exchange, challenge)) => {
            let effects = Effects::reply(Reply::plain(334, challenge)).then(Effect::Flush);
            Stepped::well(Place::LoggingIn(client, mechanism, exchange), effects)
        }
        Ok(Step::Done(credentials)) => {
            let effects = Effects::one(Effect::Authenticate { mechanism, credentials });
            Stepped::well(Place::CheckingLogin(client), effects)
        }
        Err(error) => {
            let (refusal, count) = match error {
                SaslError::Cancelled => (reply::LOGIN_CANCELLED, Count::Error),
                SaslError::Base64 | SaslError::Malformed => (reply::BAD_RESPONSE, Count::Error),
                // A login or password that is too long to be right is wrong.
                SaslError::TooLong | SaslError::AuthorizationId => (reply::BAD_LOGIN, Count::Login),
            };
            Stepped::error(Place::Ready(client), refusal).counted_as(count)
        }
    }
}

/// What the directory said.
pub(super) fn checked<D: Driver>(client: Client<D>, login: Result<Identity<D>, LoginRefusal>) -> Stepped<D> {
    match login {
        Ok(identity) => {
            let Client { mut remote, hello } = client;
            remote.identity = Some(identity);
            Stepped::well(Place::Ready(Client { remote, hello }), Effects::reply(reply::LOGGED_IN).then(Effect::Flush))
        }
        Err(LoginRefusal::Wrong) => Stepped::error(Place::Ready(client), reply::BAD_LOGIN).counted_as(Count::Login),
        // No guess, but it has cost us as much as one.
        Err(LoginRefusal::Unchecked(reply)) => {
            Stepped::well(Place::Ready(client), Effects::reply(reply)).counted_as(Count::Error)
        }
    }
}
