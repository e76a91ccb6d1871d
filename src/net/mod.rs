//! Listeners, permits and connections, taken and dialled: everything between the operating system's sockets and the
//! protocol drivers.
//!
//! Floor F4a.

mod accept;
mod connection;
mod deflate;
mod global;
mod listener;
mod permits;
mod pipe;
mod sessions;
mod transcript;

pub use accept::{Door, accept, bind, bind_with, turn_away};
pub use connection::{Connection, ConnectionError};
pub use global::may_be_dialled;
pub use listener::{Listener, ListenerError};
pub use permits::{Crowded, Permit, PermitLimits, Permits};
pub use sessions::{Sessions, panics};
pub use transcript::{Mark, Transcript};
