use crate::base::{Address, DomainName, MailOptions, MessageId, NotifyOn, RcptOptions, Timestamp, TlsWish};
use crate::delivery::Context;
use crate::dkim::Unsigned;
use crate::intake::{self, Accept, Body, Incoming, IncomingRefused, Origin, Recipient, Taken};
use crate::message::Scan;
use crate::queue::Notify;
use crate::store::{Halt, Op, StoreError, Tx, WriteError};
use crate::tlsreport::{Day, DayResults, Forget, Letter, Report};

/// Who sends it, for the trace.
const ACTOR: &str = "tls reports";

/// Why a report is not sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotSent {
    /// The file can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is refused as a message, as by a full disk.
    #[error(transparent)]
    Incoming(#[from] IncomingRefused),
    /// It can't be written.
    #[error(transparent)]
    Write(#[from] WriteError<intake::Refused>),
    /// Others take none that is not signed.
    #[error("{0} has no DKIM key that signs")]
    Unsigned(DomainName),
    /// The address in whose name it is to be sent is of no domain.
    #[error("{0} is of no domain")]
    NoDomain(Address),
}

/// A report to be sent.
pub(super) struct ToSend<'a> {
    pub(super) from: &'a Address,
    pub(super) to: &'a [Address],
    pub(super) domain: &'a DomainName,
    pub(super) day: Day,
    pub(super) results: &'a DayResults,
}

/// Queues a report, and forgets what it was made of, in one transaction.
pub(super) async fn send(out: &Context, report: &ToSend<'_>) -> Result<MessageId, NotSent> {
    let (at, hostname) = (out.clock.now(), &out.outbound.hostname);
    let submitter = report.from.host.name().ok_or_else(|| NotSent::NoDomain(report.from.clone()))?;
    let id = out.outbound.ids.message(at);
    let contact = report.from.to_string();
    let letter = Letter {
        report: Report {
            submitter,
            contact: &contact,
            id: &format!("{id}@{hostname}"),
            domain: report.domain,
            day: report.day,
            results: report.results,
        },
        from: report.from,
        to: report.to,
        message: id,
        at,
    };
    let text = letter.compose();
    let mut incoming = Incoming::to_be_sent(text.len() as u64);
    incoming.push(&text, &out.store).await;
    let taken = incoming.finish().await?;
    let signatures = signed(out, submitter, &taken, at)?;
    let recipients = recipients(out, report.to, text.len() as u64)?;
    let accept = accept(out, report.from, taken, signatures, recipients, (id, at));
    let op = Send { accept, done: Forget(vec![(report.day, report.domain.to_string())]) };
    out.store.write(op).await?.into_inner();
    Ok(id)
}

// RFC 8460 §3: by the domain that reports; others are to pass over what is not signed
fn signed(out: &Context, author: &DomainName, taken: &Taken, at: Timestamp) -> Result<Vec<u8>, NotSent> {
    let unsigned = || NotSent::Unsigned(author.clone());
    let body = taken.body_hash.ok_or_else(unsigned)?;
    let message = Unsigned { author, head: &taken.header_block, body, at };
    let signatures = out.outbound.signers.sign(&out.store.view()?, &message)?;
    if signatures.is_empty() { Err(unsigned()) } else { Ok(signatures) }
}

/// Those that there are. Nobody is told when it can't be delivered.
fn recipients(out: &Context, to: &[Address], size_bytes: u64) -> Result<Vec<Recipient>, StoreError> {
    let view = out.store.view()?;
    let mut found = Vec::new();
    for address in to {
        if let Ok(recipient) = intake::recipient(&view, address, size_bytes)? {
            let options = RcptOptions { notify: Some(NotifyOn::NEVER), original: None };
            found.push(Recipient { options, ..recipient });
        }
    }
    Ok(found)
}

fn accept(
    out: &Context,
    from: &Address,
    taken: Taken,
    signatures: Vec<u8>,
    recipients: Vec<Recipient>,
    (id, at): (MessageId, Timestamp),
) -> Accept {
    Accept {
        id,
        at,
        session: None,
        origin: Origin { actor: ACTOR.into(), ..Origin::default() },
        sender: Some(from.clone()),
        recipients,
        notify: Notify::Sender,
        seal: None,
        trace_fields: signatures,
        delivered_to: Scan::of(&taken.header_block).delivered_to,
        header_block: taken.header_block,
        summary: taken.summary,
        body: taken.body.map(Body::Staged),
        message_id_field: taken.message_id_field,
        eight_bit: taken.eight_bit,
        smtputf8: false,
        // RFC 8460 §3: it is delivered despite any failure of TLS
        options: MailOptions { tls: TlsWish::Optional, ..MailOptions::default() },
        outbound: out.outbound.clone(),
    }
}

/// Queues a report, and forgets what it was made of.
struct Send {
    accept: Accept,
    done: Forget,
}

impl Op for Send {
    type Plan = <Accept as Op>::Plan;
    type Out = ();
    type Refused = intake::Refused;

    fn name(&self) -> &'static str {
        "reporting.send"
    }

    fn weight_bytes(&self) -> usize {
        self.accept.weight_bytes()
    }

    fn check(&self, tx: &Tx<'_>) -> Result<Self::Plan, Halt<intake::Refused>> {
        self.accept.check(tx)
    }

    fn apply(&self, tx: &mut Tx<'_>, plan: Self::Plan) -> Result<(), StoreError> {
        self.accept.apply(tx, plan)?;
        self.done.apply(tx, ())
    }
}
