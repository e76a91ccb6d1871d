use std::collections::HashSet;
use std::sync::Arc;

use super::accept::{Accept, Accepted, Body, Origin, Plan, Recipient, Refused};
use super::original::{Original, Source, has_content, original, original_in};
use super::outbound::Outbound;
use super::received::received_here;
use crate::base::{Address, MailOptions, MessageId, QueueId, Timestamp};
use crate::directory::{self, Resolution};
use crate::message::{Scan, StructureScanner, Summary};
use crate::queue::{self, Notify, Via};
use crate::store::{Halt, Op, Read, Store, StoreError, Tx};
use crate::trace::{self, Event, Kind, Subject};

/// Delivers a message once more, as a new one with an id of its own: from the copy that is kept, or from the queue or a
/// mailbox that still holds it. The stories of both name each other.
pub struct Redeliver {
    of: MessageId,
    via: Option<Via>,
    accept: Accept,
}

/// What is to be delivered once more, and to whom.
pub struct Wish {
    /// The message.
    pub of: MessageId,
    /// Where it was a moment ago: [`Redeliverable::source`].
    pub source: Source,
    /// Everybody who gets it, as resolved.
    pub recipients: Vec<Recipient>,
    /// By which way it goes to those elsewhere; `None`: as routes and peers say.
    pub via: Option<Via>,
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
    /// The keys of all addresses that have had it: those recipients, and whose mailbox it was put into.
    pub known_to: HashSet<String>,
    /// It came by an envelope. What its owner has put into a mailbox, as a draft or a copy of what was sent, was never
    /// mail to somebody.
    pub is_mail: bool,
    /// Where it is.
    pub source: Source,
}

/// What is known of a message; `None` when its content is not kept any more. A long read: use [`Store::read`].
///
/// # Errors
/// [`StoreError`]
pub fn redeliverable(read: &impl Read, id: MessageId) -> Result<Option<Redeliverable>, StoreError> {
    let Some(original) = original(read, id)? else { return Ok(None) };
    let address = |text: Option<&str>| text.and_then(|text| Address::parse(text).ok());
    let (mut recipients, mut known_to, mut owners) = (Vec::new(), HashSet::new(), HashSet::new());
    for event in trace::story(read, Subject::Message(id))? {
        if !matches!(event.kind, Kind::Delivered | Kind::Queued) {
            continue;
        }
        if let Some(address) = address(event.recipient.as_deref())
            && known_to.insert(address.key())
        {
            recipients.push(address);
        }
        owners.extend(address(event.account.as_deref()).map(|owner| owner.key()));
    }
    known_to.extend(owners);
    let Original { source, sender, is_mail, head, body_bytes, .. } = original;
    let size_bytes = head.len() as u64 + body_bytes;
    Ok(Some(Redeliverable { sender, size_bytes, recipients, known_to, is_mail, source }))
}

impl Redeliver {
    /// Reads the message, for [`Store::write`]; `None` when its content is not kept any more, or it is no mail.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn prepare(store: &Store, wish: Wish) -> Result<Option<Self>, StoreError> {
        let Wish { of, source, recipients, via, origin, at, outbound } = wish;
        let found = store
            .read(move |view| {
                // It may have gone elsewhere since it was seen there.
                let found = match original_in(view, of, source)? {
                    None => original(view, of)?,
                    found => found,
                };
                let Some(original) = found.filter(|original| original.is_mail) else { return Ok(None) };
                let notify = notify(view, original.sender.as_ref())?;
                Ok(Some((original, notify)))
            })
            .await?;
        let Some((Original { sender, seal, head, blob, body_bytes, tls, .. }, notify)) = found else { return Ok(None) };
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
                        return if has_content(&store.view()?, of)? { Err(error) } else { Ok(None) };
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
            // It still holds: what is signed has not changed.
            seal,
            summary: Summary::of(&[trace_fields.as_bytes(), &head].concat(), scanner.finish()),
            trace_fields: trace_fields.into_bytes(),
            smtputf8: !head.is_ascii() && std::str::from_utf8(&head).is_ok(),
            // It has been there before: that is why it is asked for.
            delivered_to: Vec::new(),
            body: blob.map(|blob| Body::Stored { blob, size_bytes: body_bytes }),
            message_id_field: Scan::of(&head).message_id,
            header_block: head,
            eight_bit,
            options: MailOptions { tls, ..MailOptions::default() },
            outbound,
        };
        Ok(Some(Self { of, via, accept }))
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
        // Its body must have a user at this moment, of which this one takes a further reference. Who that is does not
        // matter: wherever the message has gone since it was read, it has taken its body along.
        if !has_content(tx, self.of)? {
            return Err(Halt::Refused(RedeliverRefused::BodyGone));
        }
        self.accept.check(tx).map_err(|halt| match halt {
            Halt::Refused(refused) => Halt::Refused(RedeliverRefused::Message(refused)),
            Halt::Broken(error) => Halt::Broken(error),
        })
    }

    fn apply(&self, tx: &mut Tx<'_>, plan: Plan) -> Result<Accepted, StoreError> {
        let accepted = self.accept.apply(tx, plan)?;
        let mut of = format!("of {}", self.of);
        if let Some(via) = &self.via {
            let ids: Vec<QueueId> = accepted.queued.iter().map(|(_, id)| *id).collect();
            queue::send_via(tx, &ids, via)?;
            of.push_str(&format!(", by {via}"));
        }
        let Accept { at, origin, .. } = &self.accept;
        let event = |text: String| Event {
            peer_ip: origin.peer_ip,
            text,
            ..Event::new(*at, Kind::Redelivered, origin.actor.as_str())
        };
        trace::record(tx, Subject::Message(self.of), event(format!("as {}", accepted.id)))?;
        trace::record(tx, Subject::Message(accepted.id), event(of))?;
        Ok(accepted)
    }
}
