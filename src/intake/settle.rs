use std::sync::Arc;

use super::outbound::Outbound;
use crate::base::Timestamp;
use crate::queue::{Fate, Outcome};
use crate::store::{Halt, Op, StoreError, Tx};

/// Writes the outcomes of one message: what was delivered leaves the queue, what was deferred gets its next time, and of
/// what failed or expired the sender is told by a bounce *in the same transaction*: into their mailbox here, or queued
/// when they are elsewhere. A bounce that can't be returned goes to the postmaster; so does one for mail with the null
/// sender and for forwarded strangers' mail. Also used for an operator's bounce.
pub struct Settle {
    /// The outcomes, all of one message.
    pub outcomes: Vec<Outcome>,
    /// What the server knows of itself.
    pub outbound: Arc<Outbound>,
    /// Now.
    pub at: Timestamp,
    /// For the next attempt's time: 0..=2000.
    pub jitter: u32,
}

impl Op for Settle {
    type Plan = ();
    type Out = Vec<(crate::base::QueueId, Fate)>;
    type Refused = crate::queue::Refused;

    fn name(&self) -> &'static str {
        "intake.settle"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<(), Halt<Self::Refused>> {
        let _ = tx;
        todo!()
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<Self::Out, StoreError> {
        let _ = tx;
        todo!()
    }
}
