//! Runs long work in the background, writes its progress down, and cancels it when asked to.
//!
//! Floor F4c.

mod runner;
mod task;

pub use runner::{Jobs, NotStarted, Order};
pub use task::{Failed, Task};

#[cfg(test)]
mod tests;
