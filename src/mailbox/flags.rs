use super::edit::{Edit, each_message};
use super::keywords::Names;
use super::log::ChangeKind;
use super::row::MAILBOXES;
use super::runs::{Runs, weight_bytes};
use crate::base::{MailboxId, ModSeq, SystemFlags, Uid};
use crate::store::{Halt, Op, Read, StoreError, Tx};

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
    type Plan = Names;
    type Out = FlagsChanged;
    type Refused = FlagsRefused;

    fn name(&self) -> &'static str {
        "mailbox.change_flags"
    }

    fn weight_bytes(&self) -> usize {
        weight_bytes(&self.uids, 96)
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<Names, Halt<FlagsRefused>> {
        if !tx.has(&MAILBOXES, &self.mailbox)? {
            return Err(Halt::Refused(FlagsRefused::Gone));
        }
        match self.mode {
            FlagMode::Remove => Ok(Names::read(tx, self.mailbox)?),
            FlagMode::Replace | FlagMode::Add => {
                let names = Names::with(tx, self.mailbox, self.keywords.iter().map(String::as_str))?;
                names.ok_or(Halt::Refused(FlagsRefused::TooManyKeywords))
            }
        }
    }

    fn apply(&self, tx: &mut Tx<'_>, names: Names) -> Result<FlagsChanged, StoreError> {
        let keywords = names.bits(self.keywords.iter().map(String::as_str));
        let mut edit = Edit::begin(tx, self.mailbox, ChangeKind::Flags)?;
        let mut modified = Vec::new();
        each_message(tx, self.mailbox, &Runs::new(&self.uids), |tx, uid, message| {
            // RFC 7162 §3.1.3
            if self.unchanged_since.is_some_and(|since| message.modseq > since) {
                modified.push(uid);
                return Ok(());
            }
            let now = self.mode.apply((message.flags, message.keywords), (self.flags, keywords));
            if now == (message.flags, message.keywords) {
                return Ok(());
            }
            edit.set_flags(tx, uid, &message, now)
        })?;
        let modseq = edit.finish(tx)?;
        if modseq.is_some() {
            names.write(tx)?;
        }
        Ok(FlagsChanged { modseq, modified })
    }
}

impl FlagMode {
    fn apply(self, was: (SystemFlags, u128), these: (SystemFlags, u128)) -> (SystemFlags, u128) {
        match self {
            Self::Replace => these,
            Self::Add => (was.0 | these.0, was.1 | these.1),
            Self::Remove => (was.0 & !these.0, was.1 & !these.1),
        }
    }
}
