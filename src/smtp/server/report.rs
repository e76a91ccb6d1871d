use std::net::IpAddr;
use std::time::Instant;

use super::session::{End, Session, Smtp};
use crate::base::{Address, Reply, limits};
use crate::intake::{Accepted, Recipient};
use crate::smtp::machine::{Facts, Identity, Sender, State, Transaction};
use crate::smtp::wire::{self, ForwardPath, Verb};
use crate::trace::{Event, Kind, Refusal, Subject};

/// What the next reply answers, in case it is a refusal.
pub(super) struct Asked {
    verb: &'static str,
    kind: Kind,
    /// Empty for the null sender; `None` before there is one.
    sender: Option<String>,
    /// The first [`limits::TRACED_RECIPIENTS`].
    recipients: Vec<String>,
    /// Who it was that could not log in.
    account: Option<String>,
    /// What there is to say instead of the reply's text.
    why: Option<String>,
    helo: Option<String>,
    identity: Option<Identity<Smtp>>,
}

impl Asked {
    /// What a client that has said who it is asks by MAIL or RCPT: also of what the machine itself refuses.
    pub(super) fn line(state: &State<Smtp>, line: &[u8]) -> Option<Self> {
        let request = wire::parse(line).ok().filter(|request| matches!(request.verb, Verb::Mail | Verb::Rcpt))?;
        let facts = state.facts()?;
        let raw = || inside_brackets(request.argument);
        Some(match request.verb {
            Verb::Mail => {
                let read = wire::mail_arguments(request.argument).ok();
                let sender = read.map(|read| path_text(read.sender.map(|mailbox| mailbox.address).as_ref()));
                Self { sender: sender.or_else(raw), ..Self::of("MAIL", &facts) }
            }
            _ => {
                let read = wire::rcpt_arguments(request.argument, true).ok();
                let recipient = read.map(|read| forward_text(&read.recipient)).or_else(raw);
                // Behind a refused MAIL, what a client sends without waiting says nothing more.
                let sender = Some(path_text(state.sender()?.address.as_ref()));
                Self { sender, recipients: recipient.into_iter().collect(), ..Self::of("RCPT", &facts) }
            }
        })
    }

    /// What RCPT asks, with the address as it was read.
    pub(super) fn rcpt(facts: &Facts<Smtp>, sender: &Sender, recipient: &ForwardPath) -> Self {
        let sender = Some(path_text(sender.address.as_ref()));
        Self { sender, recipients: vec![forward_text(recipient)], ..Self::of("RCPT", facts) }
    }

    /// What DATA asks.
    pub(super) fn data(facts: &Facts<Smtp>, transaction: &Transaction<Smtp>) -> Self {
        let given = transaction.recipients.iter().map(|Recipient { given, .. }| given.to_string());
        Self {
            sender: Some(path_text(transaction.sender.address.as_ref())),
            recipients: given.take(limits::TRACED_RECIPIENTS).collect(),
            ..Self::of("DATA", facts)
        }
    }

    /// A login under that name, with a mechanism.
    pub(super) fn login(facts: &Facts<Smtp>, login: &str, mechanism: &str) -> Self {
        Self {
            kind: Kind::LoginFailed,
            account: Some(login.chars().take(limits::TRACED_LOGIN_CHARS).collect()),
            why: Some(format!("AUTH {mechanism}")),
            ..Self::of("AUTH", facts)
        }
    }

    /// A client that has not said who it is.
    pub(super) fn connection() -> Self {
        Self {
            verb: "CONNECT",
            kind: Kind::Rejected,
            sender: None,
            recipients: Vec::new(),
            account: None,
            why: None,
            helo: None,
            identity: None,
        }
    }

    /// The same message, whose sender went away or was too slow.
    pub(super) fn aborted(self, why: &str) -> Self {
        Self { kind: Kind::Aborted, why: Some(why.to_owned()), ..self }
    }

    fn of(verb: &'static str, facts: &Facts<Smtp>) -> Self {
        let (helo, identity) = (Some(facts.hello.name.clone()), facts.identity.clone());
        Self { verb, helo, identity, ..Self::connection() }
    }
}

/// Tells trace and log of a refusal.
pub(super) fn refused(session: &mut Session, asked: &Asked, reply: &Reply) {
    session.served.refused += u64::from(matches!(asked.verb, "RCPT" | "DATA"));
    tell(session, asked, Some(reply));
}

/// Tells trace and log of a message whose sender is gone before its end.
pub(super) fn aborted(session: &mut Session, asked: Asked, end: &End) {
    tell(session, &asked.aborted(&end.to_string()), None);
}

/// Tells the trace, at the end of a session in which nobody had logged in, how many refusals it was not told of.
pub(super) fn ended(session: &mut Session) {
    let Some((subject, left_out)) = session.told.left_out() else { return };
    let event = Event {
        peer_ip: Some(session.connection.peer().ip()),
        text: format!("and {left_out} more refusals in this session"),
        more: left_out - 1,
        ..Event::new(session.context.clock.now(), Kind::Rejected, session.actor(None))
    };
    session.context.store.ride(Refusal::of_stranger(subject, event));
}

/// What the client wrote goes to the log as text values: its formats escape those.
fn tell(session: &mut Session, asked: &Asked, reply: Option<&Reply>) {
    let now = session.context.clock.now();
    let is_stranger = asked.identity.is_none();
    let is_login = asked.kind == Kind::LoginFailed;
    let ids = &session.context.ids;
    let new = || Subject::Refused(ids.refused(now));
    // Guesses are few in a session, and each is about somebody else.
    let subject = if is_stranger && !is_login { session.told.story(new) } else { new() };
    let peer_ip = session.connection.peer().ip();
    let actor = session.actor(asked.identity.as_ref());
    tracing::info!(
        event = "smtp_refused",
        msg_id = %subject,
        account = account(asked.identity.as_ref()),
        %peer_ip,
        helo = asked.helo.as_deref(),
        verb = asked.verb,
        sender = asked.sender.as_deref(),
        recipient = asked.recipients.first().map(String::as_str),
        login = asked.account.as_deref(),
        code = reply.map(Reply::code),
        enhanced = reply.and_then(Reply::enhanced).map(tracing::field::display),
        actor,
        why = asked.why.as_deref(),
        text = reply.map(tracing::field::display),
        "refused"
    );
    let event = Event {
        peer_ip: Some(peer_ip),
        helo: asked.helo.clone(),
        tls: session.tls_text(),
        sender: asked.sender.clone(),
        account: asked.account.clone(),
        ..Event::new(now, asked.kind, actor)
    };
    let event = reply.map_or(event.clone(), |reply| event.with_reply(reply));
    let text = asked.why.clone().unwrap_or_else(|| event.text.clone());
    let event = Event { text, ..event };
    let mut events = match asked.recipients.as_slice() {
        [] => vec![event],
        named => named.iter().map(|named| Event { recipient: Some(named.clone()), ..event.clone() }).collect(),
    };
    // Of a wrong password the dialogue says nothing more, and guesses are many.
    let dialogue = match is_login {
        true => None,
        false if is_stranger => {
            let dialogue = session.dialogue();
            session.told.told(&mut events, dialogue)
        }
        false => Some((0, session.dialogue())).filter(|(_, text)| !text.is_empty()),
    };
    if !events.is_empty() {
        session.context.store.ride(Refusal { subject, events, dialogue, is_stranger });
    }
}

/// What the log says of a message that is taken in.
pub(super) struct Summary {
    actor: String,
    account: Option<String>,
    /// When the message's end was seen.
    since: Instant,
    peer_ip: IpAddr,
    helo: String,
    tls: Option<String>,
    sender: String,
    recipient: Option<String>,
    recipients: usize,
    bytes: u64,
}

impl Summary {
    pub(super) fn of(session: &Session, facts: &Facts<Smtp>, transaction: &Transaction<Smtp>, bytes: u64) -> Self {
        Self {
            actor: session.actor(facts.identity.as_ref()),
            account: account(facts.identity.as_ref()),
            since: Instant::now(),
            peer_ip: session.connection.peer().ip(),
            helo: facts.hello.name.clone(),
            tls: session.tls_text(),
            sender: path_text(transaction.sender.address.as_ref()),
            recipient: only_recipient(transaction),
            recipients: transaction.recipients.len(),
            bytes,
        }
    }

    pub(super) fn accepted(self, accepted: &Accepted) {
        tracing::info!(
            event = "smtp_accepted",
            msg_id = %accepted.id,
            again = accepted.again,
            account = self.account,
            peer_ip = %self.peer_ip,
            elapsed_ms = self.since.elapsed().as_millis() as u64,
            actor = self.actor,
            helo = self.helo,
            tls = self.tls.as_deref().unwrap_or_default(),
            sender = self.sender,
            recipient = self.recipient.as_deref().unwrap_or_default(),
            recipients = self.recipients,
            size_bytes = self.bytes,
            "accepted"
        );
    }
}

/// The account that has logged in, or the peer.
fn account(identity: Option<&Identity<Smtp>>) -> Option<String> {
    Some(match identity? {
        Identity::Account(account) => account.login.to_string(),
        Identity::Peer(peer) => peer.name.clone(),
    })
}

/// What stands where an address should be, as far as it can be shown.
fn inside_brackets(argument: &str) -> Option<String> {
    let inside = argument.split_once('<').map_or(argument, |(_, rest)| rest);
    let inside = inside.split(['>', ' ']).next().unwrap_or_default();
    let shown: String = inside.chars().take(limits::TRACED_LOGIN_CHARS).collect();
    (!shown.is_empty()).then_some(shown)
}

fn forward_text(path: &ForwardPath) -> String {
    match path {
        ForwardPath::Postmaster => "postmaster".to_owned(),
        ForwardPath::Mailbox(mailbox) => mailbox.address.to_string(),
    }
}

fn path_text(path: Option<&Address>) -> String {
    path.map(ToString::to_string).unwrap_or_default()
}

fn only_recipient(transaction: &Transaction<Smtp>) -> Option<String> {
    match transaction.recipients.as_slice() {
        [Recipient { given, .. }] => Some(given.to_string()),
        _ => None,
    }
}
