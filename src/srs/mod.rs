//! The Sender Rewriting Scheme: what comes from elsewhere and goes on elsewhere leaves with an address of ours for its
//! sender, and what is answered to that goes back to the first sender.
//!
//! Floor F3b. Who forwards, and who may send to such an address, is for `intake` and `smtp::server` to say.

mod address;
mod change;
mod check;
mod row;

pub use address::is_srs;
pub use change::{MakeKey, NotOurs, restore, rewrite};
pub use check::{CHECKS, TABLES};

#[cfg(test)]
mod tests;
