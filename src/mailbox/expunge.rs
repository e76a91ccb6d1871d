use std::convert::Infallible;
use std::net::IpAddr;

use crate::base::{MailboxId, Timestamp, Uid};
use crate::store::{Halt, Op, StoreError, Tx};

/// Removes messages from a mailbox, in one transaction. Those that are not there (any more) are passed over.
#[derive(Debug, Clone)]
pub struct Expunge {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// The messages.
    pub uids: Vec<Uid>,
    /// Who does it, for the trace, as in `pop3 alice@example.test`.
    pub by: String,
    /// From where.
    pub peer_ip: Option<IpAddr>,
    /// Now.
    pub at: Timestamp,
}

/// What an [`Expunge`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expunged {
    /// How many messages it removed.
    pub messages: usize,
    /// Octets that they took.
    pub size_bytes: u64,
}

impl Op for Expunge {
    type Plan = ();
    type Out = Expunged;
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "mailbox.expunge"
    }

    fn weight_bytes(&self) -> usize {
        256 + 512 * self.uids.len()
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<Infallible>> {
        Ok(())
    }

    fn apply(&self, _tx: &mut Tx<'_>, (): ()) -> Result<Expunged, StoreError> {
        todo!()
    }
}
