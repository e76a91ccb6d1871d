use std::net::IpAddr;
use std::sync::Arc;

use super::session::Session;
use super::unconfirmed::{Confirm, Mark};
use crate::base::{Address, MessageId, Timestamp};
use crate::directory::Delivery;
use crate::store::{Halt, Op, StagedBlob, StoreError, Tx};

/// Takes a message in for all its recipients, in one transaction.
pub struct Accept {
    /// Its id, which the trace field already names.
    pub id: MessageId,
    /// Now.
    pub at: Timestamp,
    /// The session that it comes by.
    pub session: Arc<Session>,
    /// Where it comes from.
    pub origin: Origin,
    /// The sender of the envelope; `None`: the null sender.
    pub sender: Option<Address>,
    /// Everybody who gets it, as resolved when they were named. An account that is named twice gets one copy.
    pub recipients: Vec<Recipient>,
    /// What we put before the header block: [`super::received`].
    pub trace_fields: Vec<u8>,
    /// The header block as received, each line with its CRLF, without the blank line behind it.
    pub header_block: Vec<u8>,
    /// The body, from the blank line on; `None` when nothing stands behind the header block.
    pub body: Option<StagedBlob>,
    /// The value of its Message-ID field, for the trace.
    pub message_id_field: Option<String>,
}

/// Where a message comes from, for the trace.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// Who brings it: the protocol, and the account where one is logged in, as in `submission alice@example.test`.
    pub actor: String,
    /// The address of the other side.
    pub peer_ip: Option<IpAddr>,
    /// The name that it gave itself.
    pub helo: Option<String>,
    /// TLS version and cipher suite.
    pub tls: Option<String>,
}

/// A recipient of the envelope and where it leads.
#[derive(Debug, Clone)]
pub struct Recipient {
    /// As it was named.
    pub given: Address,
    /// The accounts.
    pub deliveries: Vec<Delivery>,
}

/// The message is on disk.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// Its id; of a retransmission, the id that it got the first time.
    pub id: MessageId,
    /// It was a retransmission, and nothing was stored.
    pub again: bool,
    session: u64,
    marks: Vec<Mark>,
}

impl Accepted {
    /// What to ride once the sender has sent anything after our 250.
    pub fn confirm(&self) -> Confirm {
        Confirm { session: self.session, marks: self.marks.clone() }
    }
}

/// Why a message is not taken in. It is then stored for nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It does not fit under the quota of this recipient: `452 4.2.2`.
    #[error("{0} is over quota")]
    OverQuota(Address),
    /// It has been delivered to this recipient before, as its Delivered-To says: `554 5.4.6`.
    #[error("the message is in a loop: it was delivered to {0} before")]
    Loop(Address),
    /// This recipient was deleted since it was named: `451 4.3.0`, and the next try will tell.
    #[error("{0} is gone")]
    Gone(Address),
}

impl Op for Accept {
    type Plan = ();
    type Out = Accepted;
    type Refused = Refused;

    fn name(&self) -> &'static str {
        "intake.accept"
    }

    fn check(&self, _tx: &Tx<'_>) -> Result<(), Halt<Refused>> {
        todo!()
    }

    fn apply(&self, _tx: &mut Tx<'_>, (): ()) -> Result<Accepted, StoreError> {
        todo!()
    }
}
