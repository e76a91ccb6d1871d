use super::row::{HEADS, MAILBOX_BY_NAME, MAILBOXES, MESSAGES, MODSEQ_LOG, OWN_LINES, USAGE};
use crate::store::{AnyTable, CrossCheck};

/// The room's tables.
pub const TABLES: &[&dyn AnyTable] =
    &[&MAILBOXES, &MAILBOX_BY_NAME, &MESSAGES, &OWN_LINES, &HEADS, &USAGE, &MODSEQ_LOG];
/// The room's cross-checks.
pub const CHECKS: &[CrossCheck] = &[];
