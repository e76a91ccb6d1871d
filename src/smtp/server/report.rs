use std::net::IpAddr;
use std::time::Instant;

use super::session::{Session, Smtp};
use crate::base::{Address, Reply};
use crate::intake::{Accepted, Recipient};
use crate::smtp::machine::{Facts, Identity, Sender, Transaction};
use crate::smtp::wire::ForwardPath;
use crate::trace::{Event, Kind, Record, Subject};

/// What the next reply answers, in case it is a refusal.
pub(super) struct Asked {
    /// RCPT or DATA.
    verb: &'static str,
    sender: String,
    /// `None` when the message has several.
    recipient: Option<String>,
    helo: String,
    identity: Option<Identity<Smtp>>,
}

impl Asked {
    pub(super) fn rcpt(facts: &Facts<Smtp>, sender: &Sender, recipient: &ForwardPath) -> Self {
        let recipient = match recipient {
            ForwardPath::Postmaster => "postmaster".to_owned(),
            ForwardPath::Mailbox(mailbox) => mailbox.address.to_string(),
        };
        Self::of("RCPT", facts, sender, Some(recipient))
    }

    pub(super) fn data(facts: &Facts<Smtp>, transaction: &Transaction<Smtp>) -> Self {
        Self::of("DATA", facts, &transaction.sender, only_recipient(transaction))
    }

    fn of(verb: &'static str, facts: &Facts<Smtp>, sender: &Sender, recipient: Option<String>) -> Self {
        let sender = path_text(sender.address.as_ref());
        Self { verb, sender, recipient, helo: facts.hello.name.clone(), identity: facts.identity.clone() }
    }
}

/// Tells trace and log of a refusal. What the client wrote goes to the log as text values: its formats escape those.
pub(super) fn refused(session: &mut Session, asked: &Asked, reply: &Reply) {
    session.served.refused += 1;
    let now = session.context.clock.now();
    let subject = Subject::Refused(session.context.ids.refused(now));
    let peer_ip = session.connection.peer().ip();
    let actor = session.actor(asked.identity.as_ref());
    tracing::info!(
        event = "smtp_refused",
        msg_id = %subject,
        account = account(asked.identity.as_ref()),
        %peer_ip,
        helo = asked.helo,
        verb = asked.verb,
        sender = asked.sender,
        recipient = asked.recipient.as_deref().unwrap_or_default(),
        code = reply.code(),
        enhanced = reply.enhanced().map(tracing::field::display),
        actor,
        text = %reply,
        "refused"
    );
    let event = Event {
        peer_ip: Some(peer_ip),
        helo: Some(asked.helo.clone()),
        tls: session.tls_text(),
        sender: Some(asked.sender.clone()),
        recipient: asked.recipient.clone(),
        ..Event::new(now, Kind::Rejected, actor).with_reply(reply)
    };
    session.context.store.ride(Record { subject, event });
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

fn path_text(path: Option<&Address>) -> String {
    path.map(ToString::to_string).unwrap_or_default()
}

fn only_recipient(transaction: &Transaction<Smtp>) -> Option<String> {
    match transaction.recipients.as_slice() {
        [Recipient { given, .. }] => Some(given.to_string()),
        _ => None,
    }
}
