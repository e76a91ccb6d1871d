use std::net::IpAddr;

use crate::base::{AccountId, MailboxId, MessageId, SystemFlags, Timestamp, Uid};
use crate::message::Summary;
use crate::store::{Halt, Op, StagedBlob, StoreError, Tx};

/// Puts messages into a mailbox as they are, all or none (RFC 9051 §6.3.12, RFC 3502).
pub struct Append {
    /// Whose mailbox.
    pub account: AccountId,
    /// The mailbox.
    pub mailbox: MailboxId,
    /// The messages, in the order of their UIDs.
    pub messages: Vec<Appended>,
    /// Who does it, for the trace, as in `imap alice@example.test`.
    pub by: String,
    /// From where.
    pub peer_ip: Option<IpAddr>,
    /// Now.
    pub at: Timestamp,
}

/// A message that is put into a mailbox.
pub struct Appended {
    /// Its id.
    pub id: MessageId,
    /// Its header block, without the blank line.
    pub header_block: Vec<u8>,
    /// Its body from the blank line on; `None` when nothing stands behind the header block.
    pub body: Option<StagedBlob>,
    /// What mail programs ask of it.
    pub summary: Summary,
    /// Its system flags.
    pub flags: SystemFlags,
    /// Its keywords.
    pub keywords: Vec<String>,
    /// Its internal date.
    pub internal_date: Timestamp,
    /// The value of its Message-ID field, for the trace.
    pub message_id_field: Option<String>,
}

/// Where they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendedAt {
    /// UIDVALIDITY of the mailbox.
    pub uid_validity: u32,
    /// Their UIDs.
    pub uids: Vec<Uid>,
}

/// Why messages are not put into a mailbox. None is, then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppendRefused {
    /// `NO [TRYCREATE]`
    #[error("the mailbox was deleted")]
    Gone,
    /// `NO [OVERQUOTA]`
    #[error("the account is over quota")]
    OverQuota,
    /// `NO [LIMIT]`
    #[error("the mailbox has as many keywords as it may have")]
    TooManyKeywords,
}

impl Op for Append {
    type Plan = ();
    type Out = AppendedAt;
    type Refused = AppendRefused;

    fn name(&self) -> &'static str {
        "intake.append"
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<AppendRefused>> {
        todo!()
    }

    fn apply(&self, _: &mut Tx<'_>, (): ()) -> Result<AppendedAt, StoreError> {
        todo!()
    }
}
