use std::convert::Infallible;

use serde::{Deserialize, Serialize};

use crate::postcard_row;
use crate::store::{Halt, Op, Read, StoreError, Table, Tx};

/// How long messages are kept, under key 0: what lets a message go runs deep in a transaction and has no settings.
pub(super) static KEPT_FOR: Table<u8, KeptFor> = Table::new("kept_for");

/// Milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct KeptFor(u64);
postcard_row!(KeptFor, 1);

/// Says how long messages are kept from now on, those that are kept already among them.
#[derive(Debug, Clone, Copy)]
pub struct KeepFor {
    /// `queue.keep_delivered_seconds`, in milliseconds; 0: nothing is kept.
    pub ms: u64,
}

impl Op for KeepFor {
    type Plan = bool;
    type Out = ();
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "kept.keep_for"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<bool, Halt<Infallible>> {
        Ok(kept_for_ms(tx)? != self.ms)
    }

    fn apply(&self, tx: &mut Tx<'_>, is_new: bool) -> Result<(), StoreError> {
        if is_new { tx.put(&KEPT_FOR, &0, &KeptFor(self.ms)) } else { Ok(()) }
    }
}

/// How long messages are kept, in milliseconds; 0: not at all.
///
/// # Errors
/// [`StoreError`]
pub fn kept_for_ms(read: &impl Read) -> Result<u64, StoreError> {
    Ok(read.get_if_sound(&KEPT_FOR, &0)?.unwrap_or_default().0)
}
