use super::row::OpenAttempt;
use crate::base::{QueueId, Timestamp};
use crate::store::{Halt, Op, StoreError, Tx};

/// Notes, before the end of data is sent, that these recipients of one message are about to be delivered. Until the
/// outcome is settled nobody may hold, bounce, drop or send them.
pub struct Open {
    /// The recipients.
    pub entries: Vec<QueueId>,
    /// The attempt.
    pub attempt: OpenAttempt,
}

/// Why a message may not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenRefused {
    /// The entry is gone, or was held meanwhile.
    #[error("{0} was changed meanwhile")]
    Changed(QueueId),
    /// Another attempt is open.
    #[error("{0} is being delivered")]
    InFlight(QueueId),
}

impl Op for Open {
    type Plan = ();
    type Out = ();
    type Refused = OpenRefused;

    fn name(&self) -> &'static str {
        "queue.open"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<(), Halt<OpenRefused>> {
        let _ = tx;
        todo!()
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        let _ = tx;
        todo!()
    }
}

/// At start: closes the attempts that a crash has left open. Their outcome is uncertain: the trace says so, and the
/// entries are due at once. Gives how many; call again until it is 0.
pub struct Recover {
    /// Now.
    pub at: Timestamp,
    /// At most so many at a time.
    pub limit: usize,
}

impl Op for Recover {
    type Plan = ();
    type Out = usize;
    type Refused = std::convert::Infallible;

    fn name(&self) -> &'static str {
        "queue.recover"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<Self::Refused>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<usize, StoreError> {
        let _ = tx;
        todo!()
    }
}
