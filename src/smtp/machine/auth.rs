use super::command::Line;
use super::effect::{Effect, Effects};
use super::input::{Driver, Identity, LoginRefusal, Welcome};
use super::limiter::{Count, Stepped};
use super::state::{Client, Place};
use crate::base::Reply;
use crate::sasl::{Exchange, Mechanism, SaslError, Step};
use crate::smtp::wire::reply;

/// RFC 4954 §4: begins an exchange.
pub(super) fn auth<D: Driver>(mut client: Client<D>, line: Line<'_>) -> Stepped<D> {
    let (name, initial) =
        line.argument.split_once(' ').map_or((line.argument, None), |(name, rest)| (name, Some(rest)));
    if client.remote.identity.is_some() {
        return Stepped::error(Place::Ready(client), reply::ALREADY_LOGGED_IN);
    }
    if name.is_empty() {
        return Stepped::error(Place::Ready(client), reply::BAD_AUTH);
    }
    let known = Mechanism::parse(name.as_bytes());
    let Some(mechanism) = known.filter(|mechanism| client.remote.mechanisms().contains(mechanism)) else {
        // RFC 4954 §6: it is there, inside TLS.
        let is_for_tls = known.is_some() && client.remote.may_log_in_in_clear();
        let refusal = if is_for_tls { reply::TLS_FIRST } else { reply::UNKNOWN_MECHANISM };
        return Stepped::error(Place::Ready(client), refusal);
    };
    let terms = client.remote.next_terms();
    proceed(client, mechanism, Exchange::start(mechanism, initial.map(str::as_bytes), Some(terms)))
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
        Ok(Step::Done(claim)) => {
            let effects = Effects::one(Effect::Authenticate { mechanism, claim });
            Stepped::well(Place::CheckingLogin(client), effects)
        }
        Err(error) => {
            let (refusal, count) = match error {
                SaslError::Cancelled => (reply::LOGIN_CANCELLED, Count::Error),
                SaslError::Base64 | SaslError::Malformed => (reply::BAD_RESPONSE, Count::Error),
                // A login or password that is too long to be right is wrong.
                SaslError::TooLong | SaslError::AuthorizationId | SaslError::ChannelBinding => {
                    (reply::BAD_LOGIN, Count::Login)
                }
                SaslError::Unavailable => (reply::UNKNOWN_MECHANISM, Count::Error),
            };
            Stepped::error(Place::Ready(client), refusal).counted_as(count)
        }
    }
}

/// What those said who know the secret.
pub(super) fn checked<D: Driver>(client: Client<D>, login: Result<Welcome<D>, LoginRefusal>) -> Stepped<D> {
    match login {
        Ok(Welcome { identity, proof: None }) => logged_in(client, identity),
        // RFC 4954 §4: what is said along with success is a challenge of its own, and answered with an empty line.
        Ok(Welcome { identity, proof: Some(proof) }) => {
            let effects = Effects::reply(Reply::plain(334, proof)).then(Effect::Flush);
            Stepped::well(Place::Confirming(client, identity), effects)
        }
        Err(LoginRefusal::Wrong) => Stepped::error(Place::Ready(client), reply::BAD_LOGIN).counted_as(Count::Login),
        // No guess, but it has cost us as much as one.
        Err(LoginRefusal::Unchecked(reply)) => {
            Stepped::well(Place::Ready(client), Effects::reply(reply)).counted_as(Count::Error)
        }
    }
}

/// The client's line behind our own proof.
pub(super) fn confirmed<D: Driver>(client: Client<D>, identity: Identity<D>, line: &[u8]) -> Stepped<D> {
    match line {
        b"" => logged_in(client, identity),
        b"*" => Stepped::error(Place::Ready(client), reply::LOGIN_CANCELLED),
        _ => Stepped::error(Place::Ready(client), reply::BAD_RESPONSE),
    }
}

fn logged_in<D: Driver>(client: Client<D>, identity: Identity<D>) -> Stepped<D> {
    let Client { mut remote, hello } = client;
    remote.identity = Some(identity);
    Stepped::well(Place::Ready(Client { remote, hello }), Effects::reply(reply::LOGGED_IN).then(Effect::Flush))
}
