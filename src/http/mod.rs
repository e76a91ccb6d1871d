//! The REST interface and the admin page, over plain TCP, TLS and the unix socket beside the data file.
//!
//! Floor F5: it reads and writes through the same functions of the rooms below as the protocols do.

mod context;
mod start;

pub use context::{Context, Readiness};
pub use start::{Handle, Listen, StartError, socket_path, start};
