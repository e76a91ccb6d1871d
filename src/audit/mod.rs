//! Who changed what, and who read what is people's own: a row in the same transaction as the change.
//!
//! Floor F3a. The change is an op of any room; [`Audited`] is an op around it.

mod audited;
mod mask;
mod prune;
mod row;

pub use audited::{Audited, Complete, Note};
pub use prune::{Prune, prune};
pub use row::{Act, AuditRow, CHECKS, Recorded, TABLES, rows};

/// The bus topic of a new row; its number is the [`crate::base::AuditId`].
pub const AUDIT_TOPIC: &str = "audit";

#[cfg(test)]
mod tests;
