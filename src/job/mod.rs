//! Long work that an operator has asked for: a row each, with its progress and what came of it.
//!
//! Floor F3a. The rows; the work itself is run by `jobs`.

mod row;
mod write;

pub use row::{Job, JobState, Progress, TABLES, job, jobs, newest};
pub use write::{Changed, Interrupt, PutJob, Report};

use crate::store::CrossCheck;

/// What must hold between them: a job stands for itself.
pub const CHECKS: &[CrossCheck] = &[];

#[cfg(test)]
mod tests;
