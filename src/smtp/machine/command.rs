use super::effect::Effect;
use super::input::Driver;
use super::limiter::{Count, Stepped};
use super::state::{Place, Profile, Vrfy};
use super::table::{Handler, Row};
use crate::smtp::wire::{self, CommandError, Verb, reply};

/// What a handler sees of a command line.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    pub(super) argument: &'a str,
    /// Whether octets have come behind the line.
    pub(super) is_followed: bool,
}

/// Carries out a command line.
pub(super) fn command<D: Driver>(place: Place<D>, line: &[u8], is_followed: bool) -> Stepped<D> {
    let request = match wire::parse(line) {
        Ok(request) => request,
        Err(CommandError::OtherProtocol) => return Stepped::drop_connection(),
        Err(CommandError::Unknown) => return Stepped::error(place, reply::UNKNOWN_COMMAND),
        Err(CommandError::Characters) => return Stepped::error(place, reply::BAD_CHARACTERS),
    };
    let Some(row) = Row::of(request.verb) else {
        return Stepped::error(place, reply::UNKNOWN_COMMAND);
    };
    let mut stepped = dispatch(place, row, Line { argument: request.argument, is_followed });
    if row.is_junk && stepped.count == Count::Nothing {
        stepped.count = Count::Junk;
    }
    if row.is_last_in_group && !stepped.effects.ask() {
        stepped.effects = stepped.effects.then(Effect::Flush);
    }
    stepped
}

fn dispatch<D: Driver>(place: Place<D>, row: &Row<D>, line: Line<'_>) -> Stepped<D> {
    if let Some(refusal) = barred(&place, row) {
        return Stepped::error(place, refusal);
    }
    match (&row.handler, place) {
        (Handler::NotBuilt, place) => Stepped::error(place, reply::NOT_IMPLEMENTED),
        (Handler::Anywhere(handler), place) => handler(place, line),
        (Handler::Ready(handler), Place::Ready(client)) => handler(client, line),
        (Handler::InTransaction(handler), Place::InTransaction(client, transaction)) => {
            handler(client, transaction, line)
        }
        // RFC 5321 §4.1.4: the order of commands
        (_, place @ Place::Connected(_)) => Stepped::error(place, reply::HELLO_FIRST),
        // RFC 3030 §2: nothing else brings a message on that has begun to come in chunks.
        (_, place @ Place::InChunks(..)) => Stepped::error(place, reply::IN_CHUNKS),
        (_, place @ Place::InTransaction(..)) => Stepped::error(place, reply::IN_TRANSACTION),
        (_, place) => Stepped::error(place, reply::MAIL_FIRST),
    }
}

/// What bars the session from a verb whatever its argument is.
fn barred<D: Driver>(place: &Place<D>, row: &Row<D>) -> Option<reply::Fixed> {
    let remote = place.remote()?;
    let profile = remote.rules.profile;
    if !row.profiles.contains(&profile) || (row.verb == Verb::Auth && !remote.takes_logins()) {
        return Some(reply::NOT_IMPLEMENTED);
    }
    if matches!(row.verb, Verb::Vrfy | Verb::Expn) && remote.rules.vrfy == Vrfy::Off {
        return Some(reply::NOT_IMPLEMENTED);
    }
    // RFC 5321 appendix F.1: to whoever is not a peer, TURN and ATRN are what they are where they are off. On the
    // listener that is for nothing else, ATRN asks for the login.
    if matches!(row.verb, Verb::Turn | Verb::Atrn) && !remote.is_peer_for(row.verb) {
        let may_yet = row.verb == Verb::Atrn && profile == Profile::Odmr && remote.identity.is_none();
        return Some(if may_yet { reply::LOGIN_FIRST } else { reply::NOT_IMPLEMENTED });
    }
    // RFC 4954 §4, §6
    if row.needs_tls && !remote.is_private() && !remote.may_log_in_in_clear() {
        return Some(reply::TLS_FIRST);
    }
    if row.needs_login && profile == Profile::Submission && remote.identity.is_none() {
        return Some(reply::LOGIN_FIRST);
    }
    None
}
