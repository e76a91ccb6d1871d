use tokio::sync::OwnedSemaphorePermit;

use super::committed::Committed;
use super::error::{Halt, StoreError, WriteError};
use super::op::Op;
use super::tx::Tx;

/// What became of a job, once its batch is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Its batch is committed and synced (or there was nothing to commit): it gives its own answer.
    Committed,
    /// The disk is below the reserve.
    Full,
    /// It panicked; it was undone.
    Panicked,
    /// It met a damaged row, or the file is damaged as a whole.
    Damaged(String),
    /// The store is closed, or failed.
    Closed(String),
}

/// An op and the one who waits for it, whatever their types.
pub(super) trait Job: Send {
    fn name(&self) -> &'static str;
    fn weight_bytes(&self) -> usize;
    fn runs_when_full(&self) -> bool;
    fn is_expendable(&self) -> bool;
    /// Runs the op; keeps its answer for [`Job::answer`].
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), StoreError>;
    fn answer(self: Box<Self>, verdict: Verdict);
}

/// Who is told.
pub(super) type Answer<O> = Box<dyn FnOnce(Result<Committed<<O as Op>::Out>, WriteError<<O as Op>::Refused>>) + Send>;

/// The one kind of [`Job`] there is.
pub(super) struct OpJob<O: Op> {
    pub(super) op: O,
    pub(super) outcome: Option<Result<O::Out, O::Refused>>,
    /// `None` for an op that rides.
    pub(super) answer: Option<Answer<O>>,
    /// The place in the queue, given back when the job is over.
    pub(super) _place: Option<OwnedSemaphorePermit>,
}

impl<O: Op> Job for OpJob<O> {
    fn name(&self) -> &'static str {
        self.op.name()
    }

    fn weight_bytes(&self) -> usize {
        self.op.weight_bytes()
    }

    fn runs_when_full(&self) -> bool {
        self.op.runs_when_full()
    }

    fn is_expendable(&self) -> bool {
        self.op.is_expendable()
    }

    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        self.outcome = None;
        self.outcome = Some(match self.op.check(tx) {
            Ok(plan) => Ok(self.op.apply(tx, plan)?),
            Err(Halt::Refused(reason)) => Err(reason),
            Err(Halt::Broken(error)) => return Err(error),
        });
        Ok(())
    }

    fn answer(self: Box<Self>, verdict: Verdict) {
        let Some(answer) = self.answer else { return };
        answer(match (verdict, self.outcome) {
            (Verdict::Committed, Some(Ok(out))) => Ok(Committed::new(out)),
            (Verdict::Committed, Some(Err(reason))) => Err(WriteError::Refused(reason)),
            (Verdict::Full, _) => Err(WriteError::Full),
            (Verdict::Damaged(what), _) => Err(WriteError::Damaged(what)),
            (Verdict::Closed(why), _) => Err(WriteError::Closed(why)),
            (Verdict::Panicked, _) | (Verdict::Committed, None) => Err(WriteError::Panicked),
        });
    }
}
