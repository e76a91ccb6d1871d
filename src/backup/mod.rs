//! Copies of the file that were checked, beside it: made by hand and each day, and kept in a number.
//!
//! Floor F4c. Such a copy is what an operator takes elsewhere with any program that copies files: a plain copy of the file
//! itself, while the server runs, does not open.

mod folder;
pub mod items;
mod name;
mod restoring;
mod schedule;
mod standing;
mod work;

pub use folder::{BackupError, Backups, File, Lent};
pub use name::{Id, NoId, Origin};
pub use restoring::{LastStep, Restoring, Staged, UPLOAD, restore};
pub use schedule::Schedule;
pub use standing::{Checked, Standing, checks};
pub use work::{CHECK, DAILY, MAKE, RESTORE, make, verify};

#[cfg(test)]
mod tests;
