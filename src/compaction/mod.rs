//! Compaction of the file as a job: when somebody asks for it, and by itself at a quiet hour when most of the file is free.
//!
//! Floor F4c.

mod schedule;
mod work;

pub use schedule::Schedule;
pub use work::{KIND, compact};

#[cfg(test)]
mod tests;
