use std::sync::Arc;

use super::accept::{Accept, Accepted, Body, Origin, Plan, Recipient, Refused};
use super::original::{Original, Source, original, original_in};
use super::outbound::Outbound;
use super::received::received_here;
use crate::base::{Address, MessageId, Timestamp};
use crate::directory::{self, Resolution};
use crate::message::{Scan, StructureScanner, Summary};
use crate::queue::Notify;
use crate::store::{Halt, Op, Read, Store, StoreError, Tx};
use crate::trace::{self, Event, Kind, Subject};

/// Delivers a message once more, as a new one with an id of its own: from the copy that is kept, or from the queue or a
/// mailbox that still holds it. The stories of both name each other.
pub struct Redeliver {
    of: MessageId,
    source: Source,
    accept: Accept,
}

/// What is to be delivered once more, and to whom.
pub struct Wish {
    /// The message.
    pub of: MessageId,
    /// Everybody who gets it, as resolved.
    pub recipients: Vec<Recipient>,
    /// Who asks for it, as in `http token 1f2e`, and from where.
    pub origin: Origin,
    /// Now.
    pub at: Timestamp,
    /// What the server knows of its way out.
    pub outbound: Arc<Outbound>,
}

/// Why a message is not delivered once more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RedeliverRefused {
    /// Its content is not kept any more.
    #[error("its content is not kept any more")]
    BodyGone,
    /// As any message may be refused.
    #[error("{0}")]
    Message(Refused),
}

/// What is known of a message that is to be delivered once more, before it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redeliverable {
    /// The sender of its envelope; `None`: the null sender.
    pub sender: Option<Address>,
    /// Octets.
    pub size_bytes: u64,
    /// The recipients as its sender had named them, where the trace tells: each once.
    pub recipients: Vec<Address>,
}

/// What is known of a message; `None` when its content is not kept any more. A long read: use [`Store::read`].
///
/// # Errors
/// [`StoreError`]
pub fn redeliverable(read: &impl Read, id: MessageId) -> Result<Option<Redeliverable>, StoreError> {
    let Some(original) = original(read, id)? else { return Ok(None) };
    let mut recipients: Vec<Address> = Vec::new();
    for event in trace::story(read, Subject::Message(id))? {
        if matches!(event.kind, Kind::Delivered | Kind::Queued)
            && let Some(address) = event.recipient.as_deref().and_then(|text| Address::parse(text).ok())
            && recipients.iter().all(|known| known.key() != address.key())
        {
            recipients.push(address);
        }
    }
    let size_bytes = original.head.len() as u64 + original.body_bytes;
    Ok(Some(Redeliverable { sender: original.sender, size_bytes, recipients }))
}

impl Redeliver {
    /// Reads the message, for [`Store::write`]; `None` when its content is not kept any more.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn prepare(store: &Store, wish: Wish) -> Result<Option<Self>, StoreError> {
        let Wish { of, recipients, origin, at, outbound } = wish;
        let found = store
            .read(move |view| {
                let Some(original) = original(view, of)? else { return Ok(None) };
                let notify = notify(view, original.sender.as_ref())?;
                Ok(Some((original, notify)))
            })
            .await?;
        let Some((Original { source, sender, head, blob, body_bytes }, notify)) = found else { return Ok(None) };
        let (mut scanner, mut eight_bit) = (StructureScanner::new(&head), !head.is_ascii());
        if let Some(blob) = blob {
            let mut body = store.blob_reader(blob);
            loop {
                match body.next().await {
                    Ok(Some(piece)) => {
                        eight_bit = eight_bit || !piece.is_ascii();
                        scanner.push(&piece);
                    }
                    Ok(None) => break,
                    // It may have been let go while it was read.
                    Err(error) => {
                        let is_there = store.read(move |view| original_in(view, of, source)).await?.is_some();
                        return if is_there { Err(error) } else { Ok(None) };
                    }
                }
            }
        }
        let id = outbound.ids.message(at);
        let only = match recipients.as_slice() {
            [Recipient { given, .. }] => Some(given),
            _ => None,
        };
        let trace_fields = received_here(outbound.hostname.as_str(), "REDELIVERY", id, only, at);
        let accept = Accept {
            id,
            at,
            session: None,
            origin,
            sender,
            recipients,
            notify,
            summary: Summary::of(&[trace_fields.as_bytes(), &head].concat(), scanner.finish()),
            trace_fields: trace_fields.into_bytes(),
            smtputf8: !head.is_ascii() && std::str::from_utf8(&head).is_ok(),
            // It has been there before: that is why it is asked for.
            delivered_to: Vec::new(),
            body: blob.map(|blob| Body::Stored { blob, size_bytes: body_bytes }),
            message_id_field: Scan::of(&head).message_id,
            header_block: head,
            eight_bit,
            outbound,
        };
        Ok(Some(Self { of, source, accept }))
    }
}

/// Of a stranger's message nobody is told who can't know of it: its sender has an answer already.
fn notify(read: &impl Read, sender: Option<&Address>) -> Result<Notify, StoreError> {
    let Some(sender) = sender else { return Ok(Notify::Postmaster) };
    Ok(match directory::resolve(read, sender)? {
        Resolution::Local(_) | Resolution::InternalOnly(_) | Resolution::Forwards { .. } => Notify::Sender,
        _ => Notify::Postmaster,
    })
}

impl Op for Redeliver {
    type Plan = Plan;
    type Out = Accepted;
    type Refused = RedeliverRefused;

    fn name(&self) -> &'static str {
        "intake.redeliver"
    }

    fn weight_bytes(&self) -> usize {
        self.accept.weight_bytes()
    }

    fn check(&self, tx: &Tx<'_>) -> Result<Plan, Halt<RedeliverRefused>> {
        // Its body must have a user at this moment: this one takes a further reference.
        let blob = match &self.accept.body {
            Some(Body::Stored { blob, .. }) => Some(*blob),
            _ => None,
        };
        let original = original_in(tx, self.of, self.source)?;
        if original.is_none_or(|original| original.blob != blob) {
            return Err(Halt::Refused(RedeliverRefused::BodyGone));
        }
        self.accept.check(tx).map_err(|halt| match halt {
            Halt::Refused(refused) => Halt::Refused(RedeliverRefused::Message(refused)),
            Halt::Broken(error) => Halt::Broken(error),
        })
    }

    fn apply(&self, tx: &mut Tx<'_>, plan: Plan) -> Result<Accepted, StoreError> {
        let accepted = self.accept.apply(tx, plan)?;
        let Accept { at, origin, .. } = &self.accept;
        let event = |text: String| Event {
            peer_ip: origin.peer_ip,
            text,
            ..Event::new(*at, Kind::Redelivered, origin.actor.as_str())
        };
        trace::record(tx, Subject::Message(self.of), event(format!("as {}", accepted.id)))?;
        trace::record(tx, Subject::Message(accepted.id), event(format!("of {}", self.of)))?;
        Ok(accepted)
    }
}
