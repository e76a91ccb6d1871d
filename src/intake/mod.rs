//! The one way in: a message comes in, and is on disk for all its recipients or for none.
//!
//! Floor F3e.

mod accept;
mod added;
mod append;
mod bounce;
mod check;
mod home;
mod incoming;
mod newest;
mod original;
mod outbound;
mod received;
mod recipient;
mod redeliver;
mod session;
mod settle;
mod unconfirmed;

pub use accept::{Accept, Accepted, Body, Origin, Recipient, Refused, forwarders};
pub use added::{Added, missing_fields};
pub use append::{Append, AppendRefused, Appended, AppendedAt};
pub use check::{CHECKS, needs_story};
pub use home::BringHome;
pub use incoming::{Incoming, IncomingRefused, Taken};
pub use newest::newest_id;
pub use original::{Source, has_content};
pub use outbound::{Outbound, Srs};
pub use received::{Received, received, received_here};
pub use recipient::recipient;
pub use redeliver::{Redeliver, RedeliverRefused, Redeliverable, Wish, redeliverable};
pub use session::{Session, Sessions};
pub use settle::Settle;
pub use unconfirmed::{Confirm, TABLES};

#[cfg(test)]
mod tests;
