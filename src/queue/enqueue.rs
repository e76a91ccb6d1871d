use super::QUEUE_TOPIC;
use super::entry::add;
use super::index;
use super::policy::Policy;
use super::row::{Entry, HEADS, Lines, MESSAGES, Message, Notify, State};
use super::tally;
use crate::base::{Address, BlobId, MailOptions, MessageId, QueueId, RcptOptions, Timestamp};
use crate::store::{StoreError, Topic, Tx};

/// A message for recipients elsewhere.
#[derive(Debug, Clone)]
pub struct NewMessage<'a> {
    /// Its id.
    pub id: MessageId,
    /// The sender of the envelope; `None`: the null sender.
    pub sender: Option<Address>,
    /// Who is told when it can't be delivered.
    pub notify: Notify,
    /// Trace fields and header block.
    pub head: &'a [u8],
    /// The body, with one reference for the queue; `None` when nothing stands behind the header block.
    pub blob: Option<BlobId>,
    /// Octets of the body.
    pub body_bytes: u64,
    /// It holds octets above 127.
    pub eight_bit: bool,
    /// It needs SMTPUTF8.
    pub smtputf8: bool,
    /// Now.
    pub at: Timestamp,
    /// What its sender asks for besides.
    pub options: MailOptions,
    /// The address that it leaves with in the place of its sender.
    pub return_path: Option<Address>,
    /// Its recipients elsewhere, each address once, at least one.
    pub recipients: Vec<NewEntry>,
}

/// A recipient elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntry {
    /// Where it goes.
    pub recipient: Address,
    /// The address that the sender had named, where an alias led elsewhere.
    pub original: Option<Address>,
    /// What the sender asks for it.
    pub options: RcptOptions,
}

/// Queues a message, due at once, or when its sender wants it to be released. Numbers its recipients from 0 on, in their
/// order. Announces [`super::QUEUE_TOPIC`]. The trace is the caller's: it knows who brings the message.
///
/// # Errors
/// [`StoreError`].
pub fn enqueue(tx: &mut Tx<'_>, message: &NewMessage<'_>, policy: &Policy) -> Result<Vec<QueueId>, StoreError> {
    // A transaction's recipients and the octets of a head are bounded, far below.
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let row = Message {
        sender: message.sender.clone(),
        notify: message.notify,
        blob: message.blob,
        head_bytes: count(message.head.len()),
        body_bytes: message.body_bytes,
        eight_bit: message.eight_bit,
        smtputf8: message.smtputf8,
        at: message.at,
        entries: count(message.recipients.len()),
        options: message.options.clone(),
        return_path: message.return_path.clone(),
    };
    tx.put(&MESSAGES, &message.id, &row)?;
    tally::sized(tx, &row, true)?;
    index::came(tx, message.id, &row)?;
    tx.put(&HEADS, &message.id, &Lines(message.head.to_vec()))?;
    let begins_at = row.begins_at();
    let expires_at = begins_at.plus_ms(policy.expiry_ms(message.sender.is_none()));
    let expires_at = row.returns_at().map_or(expires_at, |at| at.min(expires_at));
    let mut ids = Vec::with_capacity(message.recipients.len());
    for (number, new) in (0..).zip(&message.recipients) {
        let id = QueueId { message: message.id, number };
        let entry = Entry {
            recipient: new.recipient.clone(),
            original: new.original.clone(),
            state: State::Waiting { released: false },
            due: begins_at,
            expires_at,
            attempts: 0,
            delay_told: false,
            last: None,
            via: None,
            options: new.options.clone(),
        };
        add(tx, id, &entry)?;
        ids.push(id);
    }
    tx.announce(Topic(QUEUE_TOPIC, 0));
    Ok(ids)
}
