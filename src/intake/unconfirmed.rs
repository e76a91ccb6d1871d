use std::convert::Infallible;

use serde::{Deserialize, Serialize};

use crate::base::{MessageId, Timestamp};
use crate::postcard_row;
use crate::store::{AnyTable, CrossCheck, Halt, Op, StoreError, Table, Tx};

/// A hash of sender, recipient and received bytes.
pub(super) type Mark = [u8; 16];

/// The copies whose 250 the sender may have missed.
pub(super) static UNCONFIRMED: Table<Mark, Unconfirmed> = Table::new("unconfirmed");
/// The same by time, for their end after 5 days.
pub(super) static UNCONFIRMED_BY_TIME: Table<(Timestamp, Mark), ()> = Table::new("unconfirmed_by_time");
/// The room's tables.
pub const TABLES: &[&dyn AnyTable] = &[&UNCONFIRMED, &UNCONFIRMED_BY_TIME];
/// The room's cross-checks.
pub const CHECKS: &[CrossCheck] = &[];

/// A copy whose 250 the sender may have missed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Unconfirmed {
    pub(super) message: MessageId,
    pub(super) session: u64,
    pub(super) at: Timestamp,
}
postcard_row!(Unconfirmed, 1);

/// The sender has our 250: it sent something after it. To be given to [`crate::store::Store::ride`].
#[derive(Debug, Clone)]
pub struct Confirm {
    pub(super) session: u64,
    pub(super) marks: Vec<Mark>,
}

impl Op for Confirm {
    type Plan = ();
    type Out = ();
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "intake.confirm"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<Infallible>> {
        Ok(())
    }

    fn apply(&self, _tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        todo!()
    }
}
