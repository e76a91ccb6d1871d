use super::policy::Policy;
use super::row::Notify;
use crate::base::{Address, BlobId, MessageId, QueueId, Timestamp};
use crate::store::{StoreError, Tx};

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
}

/// Queues a message, due at once. Numbers its recipients from 0 on, in their order. Announces [`super::QUEUE_TOPIC`].
///
/// # Errors
/// [`StoreError`].
pub fn enqueue(tx: &mut Tx<'_>, message: &NewMessage<'_>, policy: &Policy) -> Result<Vec<QueueId>, StoreError> {
    let _ = (tx, message, policy);
    todo!()
}
