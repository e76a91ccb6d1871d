use super::error::{Halt, StoreError};
use super::tx::Tx;

/// A change of the file. Check comes before any write, since one op of a batch can't be rolled back alone; it takes
/// `&self`, because it may run again.
pub trait Op: Send + 'static {
    /// What `check` found out and `apply` needs.
    type Plan;
    /// What the caller gets once it is committed.
    type Out: Send + 'static;
    /// The op's own reasons to refuse.
    type Refused: Send + 'static;

    /// The op's name, for the log.
    fn name(&self) -> &'static str;

    /// How much it adds to the file, roughly; batches are cut by it.
    fn weight_bytes(&self) -> usize {
        256
    }

    /// Whether it may run when the disk is below the reserve: deletions, outcomes, small changes of state.
    fn runs_when_full(&self) -> bool {
        false
    }

    /// Whether it may be dropped when too many ops ride ([`super::Store::ride`]): notes that nothing depends on.
    fn is_expendable(&self) -> bool {
        false
    }

    /// Looks whether the change may be made. Writes nothing.
    ///
    /// # Errors
    /// [`Halt::Refused`] with the op's reason, or [`Halt::Broken`], as in [`Op::apply`].
    fn check(&self, tx: &Tx<'_>) -> Result<Self::Plan, Halt<Self::Refused>>;

    /// Makes the change.
    ///
    /// # Errors
    /// A [`StoreError`]: a damaged row undoes this op, as a panic does, and everything else ends the process. What can
    /// be foreseen belongs into `check`.
    fn apply(&self, tx: &mut Tx<'_>, plan: Self::Plan) -> Result<Self::Out, StoreError>;
}
