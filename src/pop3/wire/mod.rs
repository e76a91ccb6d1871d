//! POP3 on the wire: lines, commands, replies, multi-line content.
//!
//! Floor F1: pure.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod command;
mod content;
mod framer;
mod reply;

pub use command::{Command, CommandError, parse};
pub use content::{DotStuffer, Top};
pub use framer::{Frame, Framer};
pub use reply::{Code, Reply};
