use std::net::IpAddr;

use crate::base::{MailboxId, ModSeq, SystemFlags, Timestamp, Uid};
use crate::store::{Halt, Op, StoreError, Tx};

/// Changes the flags of messages: one modseq, one row of the log. Those that are not there (any more), and those that the
/// change leaves as they are, are passed over.
#[derive(Debug, Clone)]
pub struct ChangeFlags {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// The messages: first and last UID of each run.
    pub uids: Vec<(Uid, Uid)>,
    /// How.
    pub mode: FlagMode,
    /// Which system flags.
    pub flags: SystemFlags,
    /// Which keywords. A spelling that differs from a known one in case only is the known one.
    pub keywords: Vec<String>,
    /// Only messages whose modseq is no higher (RFC 7162 §3.1.3).
    pub unchanged_since: Option<ModSeq>,
}

/// How flags are changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlagMode {
    /// They become exactly these.
    Replace,
    /// These are set.
    Add,
    /// These are taken away.
    Remove,
}

/// What a [`ChangeFlags`] did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FlagsChanged {
    /// The modseq of the change; `None`: nothing had to be changed.
    pub modseq: Option<ModSeq>,
    /// Messages that were left alone because they had changed since.
    pub modified: Vec<Uid>,
}

/// Why flags are not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FlagsRefused {
    /// The mailbox is gone.
    #[error("the mailbox was deleted")]
    Gone,
    /// [`crate::base::limits::KEYWORDS`]: `NO [LIMIT]`
    #[error("the mailbox has as many keywords as it may have")]
    TooManyKeywords,
}

impl Op for ChangeFlags {
    type Plan = ();
    type Out = FlagsChanged;
    type Refused = FlagsRefused;
    fn name(&self) -> &'static str {
        "mailbox.change_flags"
    }
    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<FlagsRefused>> {
        todo!()
    }
    fn apply(&self, _: &mut Tx<'_>, (): ()) -> Result<FlagsChanged, StoreError> {
        todo!()
    }
}

/// Copies messages into a mailbox of the same account, or moves them there, in one transaction: they keep flags,
/// keywords and internal date. Those that are not there (any more) are passed over.
#[derive(Debug, Clone)]
pub struct CopyMessages {
    /// From where.
    pub from: MailboxId,
    /// The messages: first and last UID of each run.
    pub uids: Vec<(Uid, Uid)>,
    /// To where. May be the same.
    pub to: MailboxId,
    /// They are removed where they were: MOVE.
    pub moves: bool,
    /// Who does it, for the trace, as in `imap alice@example.test`.
    pub by: String,
    /// From where.
    pub peer_ip: Option<IpAddr>,
    /// Now.
    pub at: Timestamp,
}

/// What a [`CopyMessages`] did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Copied {
    /// UIDVALIDITY of the target.
    pub uid_validity: u32,
    /// Each message's UID there and here, by the former.
    pub uids: Vec<(Uid, Uid)>,
}

/// Why messages are not copied. Nothing is, then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CopyRefused {
    /// A mailbox is gone: `NO [TRYCREATE]` for the target.
    #[error("the mailbox was deleted")]
    Gone,
    /// `NO [OVERQUOTA]`
    #[error("the account is over quota")]
    OverQuota,
    /// `NO [LIMIT]`
    #[error("the mailbox has as many keywords as it may have")]
    TooManyKeywords,
}

impl Op for CopyMessages {
    type Plan = ();
    type Out = Copied;
    type Refused = CopyRefused;
    fn name(&self) -> &'static str {
        "mailbox.copy"
    }
    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<CopyRefused>> {
        todo!()
    }
    fn apply(&self, _: &mut Tx<'_>, (): ()) -> Result<Copied, StoreError> {
        todo!()
    }
}
