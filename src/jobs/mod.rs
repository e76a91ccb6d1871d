//! Runs long work in the background, writes its progress down, and cancels it when asked to.
//!
//! Floor F4c.

mod blocking;
mod decision;
mod runner;
mod task;

pub use blocking::blocking;
pub use decision::Decision;
pub use runner::{Jobs, NotCancelled, NotStarted, Order};
pub use task::{Failed, Task};

#[cfg(test)]
pub(crate) mod tests;
