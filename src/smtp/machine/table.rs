use super::command::Line;
use super::input::Driver;
use super::limiter::Stepped;
use super::mail::Transaction;
use super::state::{Client, Place, Remote};
use super::{auth, hello, mail, session};
use crate::smtp::wire::Verb;

/// What is known of a verb.
pub(super) struct Row<D: Driver> {
    pub(super) verb: Verb,
    /// What it takes, for HELP.
    pub(super) syntax: &'static str,
    /// Refused with 538 where a password could be read on the way.
    pub(super) needs_tls: bool,
    /// Refused with 530 on submission before AUTH.
    pub(super) needs_login: bool,
    /// RFC 2920 §3.1: the client waits for the reply, so it must not stay in the write buffer.
    pub(super) is_last_in_group: bool,
    /// Moves no mail.
    pub(super) is_junk: bool,
    pub(super) handler: Handler<D>,
}

/// The states that a verb is allowed in, and the function that it has for them. What the function does not get is gone.
pub(super) enum Handler<D: Driver> {
    /// Always.
    Anywhere(fn(Place<D>, Line<'_>) -> Stepped<D>),
    /// Behind HELO or EHLO, outside a transaction.
    Ready(fn(Client<D>, Line<'_>) -> Stepped<D>),
    /// Inside a transaction.
    InTransaction(fn(Client<D>, Transaction<D>, Line<'_>) -> Stepped<D>),
    /// Known, not built.
    NotBuilt,
}

impl<D: Driver> Row<D> {
    const DEFAULT: Self = Self {
        verb: Verb::Noop,
        syntax: "",
        needs_tls: false,
        needs_login: false,
        is_last_in_group: false,
        is_junk: false,
        handler: Handler::NotBuilt,
    };

    /// Every verb.
    // RFC 2920 §3.1 says which verbs end a group.
    #[rustfmt::skip]
    pub(super) const ALL: &'static [Self] = &[
        Self { verb: Verb::Ehlo, syntax: "host.name", is_last_in_group: true, is_junk: true, handler: Handler::Anywhere(hello::ehlo), ..Self::DEFAULT },
        Self { verb: Verb::Helo, syntax: "host.name", is_last_in_group: true, is_junk: true, handler: Handler::Anywhere(hello::helo), ..Self::DEFAULT },
        Self { verb: Verb::Mail, syntax: "FROM:<address> [SIZE=n] [BODY=8BITMIME] [SMTPUTF8]", needs_login: true, handler: Handler::Ready(mail::mail), ..Self::DEFAULT },
        Self { verb: Verb::Rcpt, syntax: "TO:<address>", handler: Handler::InTransaction(mail::rcpt), ..Self::DEFAULT },
        Self { verb: Verb::Data, is_last_in_group: true, handler: Handler::InTransaction(mail::data), ..Self::DEFAULT },
        Self { verb: Verb::Rset, is_junk: true, handler: Handler::Anywhere(session::rset), ..Self::DEFAULT },
        Self { verb: Verb::Noop, syntax: "[anything]", is_last_in_group: true, is_junk: true, handler: Handler::Anywhere(session::noop), ..Self::DEFAULT },
        Self { verb: Verb::Quit, is_last_in_group: true, handler: Handler::Anywhere(session::quit), ..Self::DEFAULT },
        Self { verb: Verb::Help, syntax: "[verb]", is_last_in_group: true, is_junk: true, handler: Handler::Anywhere(session::help), ..Self::DEFAULT },
        Self { verb: Verb::Starttls, is_last_in_group: true, handler: Handler::Anywhere(session::starttls), ..Self::DEFAULT },
        Self { verb: Verb::Auth, syntax: "mechanism [initial-response]", needs_tls: true, is_last_in_group: true, is_junk: true, handler: Handler::Ready(auth::auth), ..Self::DEFAULT },
        Self { verb: Verb::Vrfy, syntax: "address", is_last_in_group: true, is_junk: true, handler: Handler::Anywhere(session::vrfy), ..Self::DEFAULT },
        Self { verb: Verb::Expn, syntax: "list", is_last_in_group: true, is_junk: true, handler: Handler::Anywhere(session::expn), ..Self::DEFAULT },
        Self { verb: Verb::Turn, is_last_in_group: true, ..Self::DEFAULT },
        Self { verb: Verb::Atrn, is_last_in_group: true, ..Self::DEFAULT },
        Self { verb: Verb::Etrn, ..Self::DEFAULT },
        Self { verb: Verb::Bdat, ..Self::DEFAULT },
        Self { verb: Verb::Send, ..Self::DEFAULT },
        Self { verb: Verb::Soml, ..Self::DEFAULT },
        Self { verb: Verb::Saml, ..Self::DEFAULT },
    ];

    pub(super) fn of(verb: Verb) -> Option<&'static Self> {
        Self::ALL.iter().find(|row| row.verb == verb)
    }

    /// Whether this session could use the verb now or after a login: what HELP lists.
    pub(super) fn is_offered(&self, remote: &Remote<D>) -> bool {
        match self.verb {
            Verb::Starttls => remote.may_start_tls(),
            Verb::Auth => remote.may_log_in(),
            _ => !matches!(self.handler, Handler::NotBuilt),
        }
    }
}
