//! The one way in: a message comes in, and is on disk for all its recipients or for none.
//!
//! Floor F3e.

mod accept;
mod append;
mod bounce;
mod check;
mod incoming;
mod newest;
mod outbound;
mod received;
mod session;
mod settle;
mod unconfirmed;

pub use accept::{Accept, Accepted, Origin, Recipient, Refused};
pub use append::{Append, AppendRefused, Appended, AppendedAt};
pub use check::{CHECKS, needs_story};
pub use incoming::{Incoming, IncomingRefused, Taken};
pub use newest::newest_id;
pub use outbound::Outbound;
pub use received::{Received, received};
pub use session::{Session, Sessions};
pub use settle::Settle;
pub use unconfirmed::{Confirm, TABLES};

#[cfg(test)]
mod tests;
