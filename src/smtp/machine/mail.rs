use std::sync::Arc;

use super::command::Line;
use super::effect::{Effect, Effects};
use super::input::{DataEnd, Driver, Receipt};
use super::limiter::{Count, Stepped};
use super::offer::Offer;
use super::state::{Client, Place, Profile};
use crate::base::{Address, Enhanced, MailOptions, RcptOptions, Reply, Timestamp, limits};
use crate::smtp::wire::{self, ArgumentError, DataFaults, LineEnds, MailArguments, MailParameters, reply};

/// Who sends, as MAIL said and the driver agreed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// The reverse-path; `None` is the null path.
    pub address: Option<Address>,
    /// SMTPUTF8 was given (RFC 6531).
    pub smtputf8: bool,
    /// Octets that the client announced.
    pub size_bytes: Option<u64>,
    /// What is asked for besides.
    pub parameters: MailParameters,
}

impl Sender {
    /// What is kept of what is asked for, for a message that comes in now.
    pub fn options(&self, now: Timestamp) -> MailOptions {
        let options = self.parameters.options(now);
        MailOptions { priority: options.priority.min(limits::PRIORITY_MAX), ..options }
    }

    // RFC 6710 §4.1: the server may change a priority, and says so.
    fn is_too_urgent(&self) -> bool {
        self.parameters.priority.is_some_and(|priority| priority > limits::PRIORITY_MAX)
    }
}

/// A mail transaction: it begins with MAIL, and is dropped by whatever ends it.
pub struct Transaction<D: Driver> {
    /// Who sends.
    pub sender: Arc<Sender>,
    /// For whom, in the order of RCPT.
    pub recipients: Vec<D::Recipient>,
}

/// RFC 5321 §4.1.1.2: opens a transaction.
pub(super) fn mail<D: Driver>(client: Client<D>, line: Line<'_>) -> Stepped<D> {
    let MailArguments { sender, size_bytes, smtputf8, parameters } = match wire::mail_arguments(line.argument) {
        Ok(arguments) => arguments,
        Err(error) => {
            return Stepped::error(Place::Ready(client), argument_refusal(error, reply::BAD_MAIL, reply::BAD_SENDER));
        }
    };
    // RFC 5321 §4.1.1.11: what is not announced is not known.
    if !client.remote.takes(&parameters) {
        return Stepped::error(Place::Ready(client), reply::UNKNOWN_PARAMETER);
    }
    // RFC 1870 §6.1
    if size_bytes.is_some_and(|size| size > client.remote.rules.message_bytes_max) {
        return Stepped::error(Place::Ready(client), reply::TOO_LARGE);
    }
    let sender = Arc::new(Sender { address: sender.map(|mailbox| mailbox.address), smtputf8, size_bytes, parameters });
    let effect = Effect::CheckSender { facts: client.facts(), sender: Arc::clone(&sender) };
    Stepped::well(Place::CheckingSender(client, Transaction { sender, recipients: Vec::new() }), Effects::one(effect))
}

/// What the driver said of the sender.
pub(super) fn sender_checked<D: Driver>(
    client: Client<D>,
    transaction: Transaction<D>,
    answer: Result<(), Reply>,
) -> Stepped<D> {
    match answer {
        Ok(()) => {
            let is_too_urgent = transaction.sender.is_too_urgent();
            let answer = if is_too_urgent { reply::PRIORITY_CHANGED } else { reply::SENDER_OK };
            Stepped::well(Place::InTransaction(client, transaction), Effects::reply(answer))
        }
        // RFC 5321 §3.8
        Err(last) if last.code() == 421 => Stepped::close(last),
        Err(refusal) => refused(Place::Ready(client), refusal, Count::Error),
    }
}

/// RFC 5321 §4.1.1.3: adds a recipient.
pub(super) fn rcpt<D: Driver>(client: Client<D>, transaction: Transaction<D>, line: Line<'_>) -> Stepped<D> {
    let arguments = match wire::rcpt_arguments(line.argument, transaction.sender.smtputf8) {
        Ok(arguments) => arguments,
        Err(error) => {
            let refusal = argument_refusal(error, reply::BAD_RCPT, reply::BAD_RECIPIENT);
            return Stepped::error(Place::InTransaction(client, transaction), refusal);
        }
    };
    if arguments.options != RcptOptions::default() && !client.remote.offers(Offer::Dsn) {
        return Stepped::error(Place::InTransaction(client, transaction), reply::UNKNOWN_PARAMETER);
    }
    // RFC 5321 §4.5.3.1.10: temporary, so that the client sends the rest in another transaction
    if transaction.recipients.len() >= client.remote.rules.recipients_max {
        let effects = Effects::reply(reply::TOO_MANY_RECIPIENTS);
        return Stepped::well(Place::InTransaction(client, transaction), effects);
    }
    let effect = Effect::CheckRecipient {
        facts: client.facts(),
        sender: Arc::clone(&transaction.sender),
        recipient: arguments.recipient,
        options: arguments.options,
    };
    Stepped::well(Place::CheckingRecipient(client, transaction), Effects::one(effect))
}

/// What the driver said of the recipient.
pub(super) fn recipient_checked<D: Driver>(
    client: Client<D>,
    mut transaction: Transaction<D>,
    answer: Result<D::Recipient, Reply>,
) -> Stepped<D> {
    match answer {
        Ok(recipient) => {
            let lines = if client.remote.is_verbose { D::leads(&recipient) } else { Vec::new() };
            transaction.recipients.push(recipient);
            let answer = at_length(lines, reply::RECIPIENT_OK.into());
            Stepped::well(Place::InTransaction(client, transaction), Effects::reply(answer))
        }
        Err(refusal) => refused(Place::InTransaction(client, transaction), refusal, Count::Recipient),
    }
}

/// RFC 5321 §4.1.1.4: what follows is the message.
pub(super) fn data<D: Driver>(client: Client<D>, transaction: Transaction<D>, line: Line<'_>) -> Stepped<D> {
    if !line.argument.is_empty() {
        return Stepped::error(Place::InTransaction(client, transaction), reply::NO_ARGUMENT);
    }
    // RFC 2920 §3.1: a client that pipelines sends DATA before it knows that every recipient was refused.
    if transaction.recipients.is_empty() {
        return Stepped::error(Place::InTransaction(client, transaction), reply::NO_RECIPIENTS);
    }
    let line_ends = line_ends(client.remote.rules.profile);
    let bytes_max = client.remote.rules.message_bytes_max;
    let go_ahead = Reply::plain(354, "Send the message, end with <CRLF>.<CRLF>");
    let effects = Effects::reply(go_ahead).then(Effect::Flush).then(Effect::ReceiveData {
        facts: client.facts(),
        line_ends,
        bytes_max,
    });
    Stepped::well(Place::Receiving(client, transaction), effects)
}

/// What is done with line ends that are none.
pub(super) fn line_ends(profile: Profile) -> LineEnds {
    match profile {
        Profile::Submission => LineEnds::Normalized,
        Profile::Mx | Profile::Odmr | Profile::Reversed => LineEnds::Strict,
    }
}

/// The end of data was seen.
pub(super) fn received<D: Driver>(client: Client<D>, transaction: Transaction<D>, end: DataEnd<D::Body>) -> Stepped<D> {
    match end {
        DataEnd::Taken(body) => {
            let effect = Effect::Commit { facts: client.facts(), transaction, body };
            Stepped::well(Place::Committing(client), Effects::one(effect))
        }
        DataEnd::Faulty(faults) => faulty(client, faults),
        DataEnd::TooLarge => Stepped::error(Place::Ready(client), reply::TOO_LARGE),
        DataEnd::Refused(refusal) => refused(Place::Ready(client), refusal, Count::Error),
    }
}

/// A bare line end or a NUL from another server is what SMTP smuggling is made of: nothing more is taken from that connection.
fn faulty<D: Driver>(client: Client<D>, faults: DataFaults) -> Stepped<D> {
    let is_suspect = faults.bare_line_end || faults.nul;
    let refusal = if faults.bare_line_end {
        reply::BARE_LINE_END
    } else if faults.nul {
        reply::NUL_IN_DATA
    } else {
        reply::DATA_LINE_TOO_LONG
    };
    if is_suspect && client.remote.rules.profile != Profile::Submission {
        return Stepped::close(refusal);
    }
    Stepped::error(Place::Ready(client), refusal)
}

/// The message is on disk: the only way to a 250 behind the end of data.
pub(super) fn committed<D: Driver>(client: Client<D>, receipt: &D::Receipt) -> Stepped<D> {
    let lines = if client.remote.is_verbose { receipt.story() } else { Vec::new() };
    let answer = at_length(lines, Reply::new(250, Enhanced(2, 0, 0), format!("{} queued", receipt.message_id())));
    Stepped::well(Place::Ready(client), Effects::reply(answer)).counted_as(Count::Message)
}

/// A reply with the lines that VERB asks for behind its own: of the same code, so that no client is led astray.
fn at_length(lines: Vec<String>, answer: Reply) -> Reply {
    lines.into_iter().take(limits::VERBOSE_LINES).fold(answer, Reply::and)
}

/// It is not.
pub(super) fn not_committed<D: Driver>(client: Client<D>, refusal: Reply) -> Stepped<D> {
    refused(Place::Ready(client), refusal, Count::Error)
}

/// A refusal by the driver: only one that is permanent counts against the client.
fn refused<D: Driver>(place: Place<D>, refusal: Reply, count: Count) -> Stepped<D> {
    let count = if refusal.code() >= 500 { count } else { Count::Nothing };
    Stepped::well(place, Effects::reply(refusal)).counted_as(count)
}

fn argument_refusal(error: ArgumentError, syntax: reply::Fixed, address: reply::Fixed) -> reply::Fixed {
    match error {
        ArgumentError::Syntax => syntax,
        ArgumentError::Address => address,
        ArgumentError::UnknownParameter => reply::UNKNOWN_PARAMETER,
        ArgumentError::ParameterValue => reply::BAD_PARAMETER,
        ArgumentError::NeedsSmtpUtf8 => reply::NEEDS_SMTPUTF8,
    }
}
