//! Messages that nobody has any more, kept for a time: an operator can deliver them once more.
//!
//! Floor F3a. A message has homes in `mailbox` and in `queue`, which know nothing of each other. Whichever lets the last
//! use that it knows of go hands the reference to the body over to [`keep`], instead of releasing it; where the other
//! was there before, there is a row already, and the second reference is released. So a message has one row here at
//! most, and a row has one reference. What a mailbox or the queue still holds may be here too: it costs nothing but its
//! head. No quota counts it.
//!
//! A row goes when its time is over, and the oldest go at once while the disk is full: what is deleted then gives room.

mod check;
mod keep;
mod policy;
mod reap;
mod row;

pub use check::{CHECKS, references};
pub use keep::{Leaving, keep};
pub use policy::{KeepFor, kept_for_ms};
pub use reap::{Reap, Reaped, reap};
pub use row::{Kept, TABLES, holds, kept, newest};

#[cfg(test)]
mod tests;
