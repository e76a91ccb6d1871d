use std::sync::Arc;

use super::bounce::Bounce;
use super::outbound::Outbound;
use crate::base::{QueueId, Timestamp};
use crate::queue::{self, Fate, Outcome, Refused, Stage, Verdict};
use crate::store::{Halt, Op, StoreError, Tx};

/// Writes the outcomes of one message: what was delivered leaves the queue, what was deferred gets its next time, and of
/// what failed or expired the sender is told by a bounce *in the same transaction*: into their mailbox here, or queued
/// when they are elsewhere. A bounce that can't be returned goes to the postmaster; so does one for mail with the null
/// sender and for forwarded mail of strangers who have proved nothing. Also used for an operator's bounce.
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
    type Out = Vec<(QueueId, Fate)>;
    type Refused = Refused;

    fn name(&self) -> &'static str {
        "intake.settle"
    }

    fn weight_bytes(&self) -> usize {
        // A bounce with its copy of the header, where there is one.
        16 * 1024 + 4096 * self.outcomes.len()
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    /// What an attempt has brought is always taken. What was decided here, without an attempt, is refused for an entry
    /// that is gone or damaged, and for one whose message may be crossing the wire at this moment.
    fn check(&self, tx: &Tx<'_>) -> Result<(), Halt<Refused>> {
        for outcome in self.outcomes.iter().filter(|outcome| is_decision(outcome)) {
            if queue::is_open(tx, outcome.entry)? {
                return Err(Halt::Refused(Refused::InFlight(outcome.entry)));
            }
            queue::sound_entry(tx, outcome.entry)?;
            queue::sound_message(tx, outcome.entry)?;
        }
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<Self::Out, StoreError> {
        let Some(settlement) = queue::settle(tx, &self.outcomes, &self.outbound.policy, self.at, self.jitter)? else {
            return Ok(Vec::new());
        };
        if let Some(bounce) = Bounce::of(&settlement, &self.outbound, self.at) {
            bounce.send(tx)?;
        }
        Ok(settlement.entries.into_iter().map(|settled| (settled.id, settled.fate)).collect())
    }
}

/// Whether an operator, or time, has ended it: no server was asked.
fn is_decision(outcome: &Outcome) -> bool {
    outcome.verdict == Verdict::Failed && outcome.attempt.stage == Stage::Queue
}
