use super::command::Line;
use super::input::Driver;
use super::limiter::Stepped;
use super::mail::Transaction;
use super::state::{Client, Place, Profile, Remote, Vrfy};
use super::{auth, chunk, hello, mail, session, swap};
use crate::smtp::wire::Verb;

/// What is known of a verb.
pub(super) struct Row<D: Driver> {
    pub(super) verb: Verb,
    /// The sessions that know it; in others it is not implemented.
    pub(super) profiles: &'static [Profile],
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

const ALL: &[Profile] = &[Profile::Mx, Profile::Submission, Profile::Odmr, Profile::Reversed];
/// Where mail comes in.
const INWARD: &[Profile] = &[Profile::Mx, Profile::Submission, Profile::Reversed];
/// Where the other side has dialled us.
const DIALLED: &[Profile] = &[Profile::Mx, Profile::Submission, Profile::Odmr];
const OLD: &[Profile] = &[Profile::Mx, Profile::Submission];

impl<D: Driver> Row<D> {
    const DEFAULT: Self = Self {
        verb: Verb::Noop,
        profiles: ALL,
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
        Self { verb: Verb::Mail, profiles: INWARD, syntax: "FROM:<address> [SIZE=n] [BODY=8BITMIME] [SMTPUTF8] [those of other keywords of EHLO]", needs_login: true, handler: Handler::Ready(mail::mail), ..Self::DEFAULT },
        Self { verb: Verb::Rcpt, profiles: INWARD, syntax: "TO:<address> [NOTIFY=NEVER|SUCCESS,FAILURE,DELAY] [ORCPT=type;address]", handler: Handler::InTransaction(mail::rcpt), ..Self::DEFAULT },
        Self { verb: Verb::Data, profiles: INWARD, is_last_in_group: true, handler: Handler::InTransaction(mail::data), ..Self::DEFAULT },
        Self { verb: Verb::Rset, is_junk: true, handler: Handler::Anywhere(session::rset), ..Self::DEFAULT },
        Self { verb: Verb::Noop, syntax: "[anything]", is_last_in_group: true, is_junk: true, handler: Handler::Anywhere(session::noop), ..Self::DEFAULT },
        Self { verb: Verb::Quit, is_last_in_group: true, handler: Handler::Anywhere(session::quit), ..Self::DEFAULT },
        Self { verb: Verb::Help, profiles: DIALLED, syntax: "[verb]", is_last_in_group: true, is_junk: true, handler: Handler::Anywhere(session::help), ..Self::DEFAULT },
        Self { verb: Verb::Starttls, profiles: DIALLED, is_last_in_group: true, handler: Handler::Anywhere(session::starttls), ..Self::DEFAULT },
        Self { verb: Verb::Auth, profiles: DIALLED, syntax: "mechanism [initial-response]", needs_tls: true, is_last_in_group: true, is_junk: true, handler: Handler::Ready(auth::auth), ..Self::DEFAULT },
        Self { verb: Verb::Vrfy, profiles: OLD, syntax: "name [SMTPUTF8]", is_last_in_group: true, is_junk: true, handler: Handler::Anywhere(session::vrfy), ..Self::DEFAULT },
        Self { verb: Verb::Expn, profiles: OLD, syntax: "list [SMTPUTF8]", is_last_in_group: true, is_junk: true, handler: Handler::Anywhere(session::expn), ..Self::DEFAULT },
        Self { verb: Verb::Turn, profiles: DIALLED, is_last_in_group: true, handler: Handler::Ready(swap::turn), ..Self::DEFAULT },
        Self { verb: Verb::Atrn, profiles: DIALLED, syntax: "[domain[,domain...]]", is_last_in_group: true, handler: Handler::Ready(swap::atrn), ..Self::DEFAULT },
        Self { verb: Verb::Etrn, profiles: OLD, syntax: "domain|@domain|#peer", is_junk: true, handler: Handler::Ready(swap::etrn), ..Self::DEFAULT },
        Self { verb: Verb::Bdat, profiles: INWARD, syntax: "octets [LAST]", handler: Handler::Anywhere(chunk::bdat), ..Self::DEFAULT },
        Self { verb: Verb::Verb, profiles: DIALLED, syntax: "[ON|OFF]", is_last_in_group: true, is_junk: true, handler: Handler::Anywhere(session::verb), ..Self::DEFAULT },
        Self { verb: Verb::Send, profiles: OLD, ..Self::DEFAULT },
        Self { verb: Verb::Soml, profiles: OLD, ..Self::DEFAULT },
        Self { verb: Verb::Saml, profiles: OLD, ..Self::DEFAULT },
    ];

    pub(super) fn of(verb: Verb) -> Option<&'static Self> {
        Self::ALL.iter().find(|row| row.verb == verb)
    }

    /// Whether this session could use the verb now or after a login: what HELP lists.
    pub(super) fn is_offered(&self, remote: &Remote<D>) -> bool {
        let is_there = self.profiles.contains(&remote.rules.profile);
        is_there
            && match self.verb {
                Verb::Starttls => remote.may_start_tls(),
                Verb::Auth => remote.may_log_in(),
                Verb::Turn => remote.is_peer_for(Verb::Turn),
                // fetchmail gives up where it is not announced before the login.
                Verb::Atrn if remote.identity.is_none() => remote.rules.profile == Profile::Odmr,
                Verb::Atrn => remote.is_peer_for(Verb::Atrn),
                Verb::Etrn => remote.may_etrn(),
                Verb::Vrfy | Verb::Expn => remote.rules.vrfy != Vrfy::Off,
                Verb::Verb => remote.may_be_verbose(),
                _ => !matches!(self.handler, Handler::NotBuilt),
            }
    }
}
