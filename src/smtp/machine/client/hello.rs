use std::borrow::Cow;

use super::effect::Effect;
use super::fate::{Stage, Words};
use super::rules::{StartTls, Then};
use super::state::{Link, Place, Session, Slate};
use super::step::{self, Stepped};
use crate::base::{Enhanced, limits};
use crate::sasl::{Channel, ClientTerms, Mechanism, Responder, Unanswerable};
use crate::smtp::wire::{Answer, Extensions, Outgoing};

/// The greeting.
pub(super) fn greeting(session: Session, answer: &Answer) -> Stepped {
    // RFC 5321 §3.1: after anything but 220 there is only QUIT.
    if answer.class() == 2 { ehlo(session) } else { step::leave(Stage::Greeting, answer.into()) }
}

/// Says EHLO: at the start, and again inside TLS.
pub(super) fn ehlo(session: Session) -> Stepped {
    let effects = vec![Effect::Say(Outgoing::Ehlo(session.rules.hostname.clone()))];
    Stepped::new(Place::Ehlo(session), effects)
}

/// The answer to EHLO.
pub(super) fn ehlo_answered(session: Session, answer: &Answer) -> Stepped {
    match answer.class() {
        2 => {
            let extensions = Extensions::read(answer);
            secure(session, extensions)
        }
        // RFC 5321 §3.2: a server that does not know EHLO is greeted again, as of old.
        5 => {
            let effects = vec![Effect::Say(Outgoing::Helo(session.rules.hostname.clone()))];
            Stepped::new(Place::Helo(session), effects)
        }
        _ => step::leave(Stage::Hello, answer.into()),
    }
}

/// The answer to HELO.
pub(super) fn helo_answered(session: Session, answer: &Answer) -> Stepped {
    match answer.class() {
        2 => secure(session, Extensions::default()),
        _ => step::leave(Stage::Hello, answer.into()),
    }
}

fn secure(session: Session, extensions: Extensions) -> Stepped {
    match session.start_tls() {
        StartTls::Offered | StartTls::Required if extensions.starttls => {
            Stepped::new(Place::AskingTls(session, extensions), vec![Effect::Say(Outgoing::Starttls)])
        }
        StartTls::Required => {
            let words = Words::own(Enhanced(4, 7, 4), "TLS is required, and the server does not offer STARTTLS");
            step::leave(Stage::Tls, words)
        }
        StartTls::Never | StartTls::Offered => log_in(session, extensions),
    }
}

/// The answer to STARTTLS.
// RFC 3207 §4: 220, or 454 and 501, and then it is ours to say whether that is enough.
pub(super) fn starttls_answered(session: Session, extensions: Extensions, answer: &Answer) -> Stepped {
    match answer.class() {
        2 => Stepped::new(Place::Securing(session), vec![Effect::StartTls]),
        4 | 5 if session.rules.start_tls == StartTls::Offered => log_in(session, extensions),
        _ => step::leave(Stage::Tls, answer.into()),
    }
}

/// TLS is active: what was announced before it is forgotten.
// RFC 3207 §4.2
pub(super) fn secured(session: Session, channel: Channel) -> Stepped {
    ehlo(Session { tls: Some(channel), ..session })
}

fn log_in(session: Session, extensions: Extensions) -> Stepped {
    // RFC 8689 §4.2.1: another server may have it
    if session.rules.require_tls && !extensions.require_tls {
        return step::leave(Stage::Hello, Words::own(Enhanced(5, 7, 30), "the server does not have REQUIRETLS"));
    }
    let Some(login) = session.rules.login.clone() else {
        return ready(Link { session, extensions, messages: 0 });
    };
    let refuse = |text: Cow<'static, str>| step::leave(Stage::Login, Words::own(Enhanced(4, 7, 4), text));
    if !session.is_private() {
        return refuse("a password is not sent without TLS".into());
    }
    let channel = session.tls.clone().unwrap_or_default();
    let offers_plus = extensions.auth.contains(&Mechanism::ScramSha256Plus);
    let terms = ClientTerms { nonce: &login.nonce, channel: &channel, offers_plus };
    let mut offered = login.mechanisms.iter().filter(|mechanism| extensions.auth.contains(mechanism)).peekable();
    if offered.peek().is_none() {
        let names: Vec<&str> = login.mechanisms.iter().map(|mechanism| mechanism.name()).collect();
        return refuse(format!("the server offers none of AUTH {}", names.join(", ")).into());
    }
    // What this connection or these credentials don't fit is passed over.
    let found = offered.find_map(|mechanism| Responder::new(*mechanism, &login.user, &login.secret, &terms).ok());
    let Some(mut responder) = found else {
        return refuse("the login or the password can't be sent".into());
    };
    let mechanism = responder.mechanism();
    // RFC 4954 §4: without the initial response where the line would be too long with it
    let around = "AUTH  \r\n".len() + mechanism.name().len();
    let initial = responder.initial(limits::AUTH_INITIAL_LINE_BYTES.saturating_sub(around));
    let link = Link { session, extensions, messages: 0 };
    Stepped::new(Place::LoggingIn(link, responder), vec![Effect::Say(Outgoing::Auth(mechanism, initial))])
}

/// An answer in the AUTH exchange.
// RFC 4954 §4: 334 asks, 235 is success, everything else a failure.
pub(super) fn auth_answered(link: Link, mut responder: Responder, answer: &Answer) -> Stepped {
    match answer.class() {
        2 if responder.is_satisfied() => ready(link),
        // RFC 5802 §3: somebody stands in for the server.
        2 => step::leave(Stage::Login, Words::own(Enhanced(4, 7, 0), Unanswerable::Unproved.to_string())),
        3 => match responder.answer(&answer.text()) {
            Ok(response) => {
                Stepped::new(Place::LoggingIn(link, responder), vec![Effect::Say(Outgoing::Response(response))])
            }
            // A QUIT would be read as one more answer.
            Err(Unanswerable::Nonsense) => step::out_of_order(Place::LoggingIn(link, responder), answer),
            Err(why) => step::give_up(Place::LoggingIn(link, responder), why.to_string()),
        },
        _ => step::leave(Stage::Login, answer.into()),
    }
}

fn ready(link: Link) -> Stepped {
    match link.session.rules.then {
        Then::Look => step::quit(Vec::new()),
        _ => step::proceed(link, Slate::Clean, Vec::new()),
    }
}
