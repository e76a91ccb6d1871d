//! The SMTP server as a machine that does no I/O: it takes lines and answers, and says what is to be done. The driver
//! (`smtp/server`) carries it out and feeds the answers back.
//!
//! Floor F1: pure. The state is an enum whose variants own what is true in them, and a step consumes it: there is no
//! field to forget to reset. A verb is a row of [`table`] and a function named after it.
#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod auth;
mod chunk;
pub mod client;
mod command;
mod effect;
mod hello;
mod input;
mod limiter;
mod mail;
mod offer;
mod session;
mod state;
mod step;
mod swap;
mod table;
#[cfg(test)]
mod tests;

pub use effect::{Effect, Effects, Question};
pub use input::{ChunkEnd, DataEnd, Driver, Identity, Input, LoginRefusal, Peer, Receipt, SwapAnswer, Welcome};
pub use mail::{Sender, Transaction};
pub use state::{Facts, Hello, Profile, Rules, State, Vrfy};
pub use step::step;
pub use swap::{Node, SwapRequest};
