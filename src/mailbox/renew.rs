use std::convert::Infallible;
use std::ops::ControlFlow;

use super::edit::mailbox_row;
use super::folder_op::next_uid_validity;
use super::row::{MAILBOXES, Mailbox};
use crate::base::{MailboxId, Timestamp, limits};
use crate::store::{Halt, Op, Read, Span, StoreError, Tx};

/// At the first start of a file that was put in the place of another: gives every mailbox a new UIDVALIDITY. UIDs that
/// mail programs have seen since the copy was made will be given to other messages, which the old number forbids (RFC
/// 9051 §2.3.1.1). Does nothing in any other file; gives how many it were.
#[derive(Debug, Clone, Copy)]
pub struct RenewUidValidity {
    /// Now.
    pub at: Timestamp,
}

impl Op for RenewUidValidity {
    type Plan = Option<Vec<MailboxId>>;
    type Out = usize;
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "mailbox.renew_uid_validity"
    }

    fn weight_bytes(&self) -> usize {
        // It may be long: nothing else waits in its batch.
        limits::BATCH_BYTES
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<Self::Plan, Halt<Infallible>> {
        if !tx.is_restored()? {
            return Ok(None);
        }
        let mut ids = Vec::new();
        tx.scan(&MAILBOXES, Span::all(), |id, _| {
            ids.push(id);
            ControlFlow::Continue(())
        })?;
        Ok(Some(ids))
    }

    fn apply(&self, tx: &mut Tx<'_>, ids: Self::Plan) -> Result<usize, StoreError> {
        let Some(ids) = ids else { return Ok(0) };
        for id in &ids {
            let row = mailbox_row(tx, *id)?;
            let uid_validity = next_uid_validity(tx, self.at)?;
            tx.put(&MAILBOXES, id, &Mailbox { uid_validity, ..row })?;
        }
        tx.forget_restored()?;
        Ok(ids.len())
    }
}
