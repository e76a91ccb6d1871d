//! POP3, the server's side of a session: a machine that decides, and a driver that owns the connection, performs what
//! the machine asks for and feeds the answers back.
//!
//! Floor F4b. The maildrop is the account's INBOX as it was at login; what a session deletes is removed in one
//! transaction at QUIT, and only then.

mod context;
mod driver;
mod lease;
mod maildrop;
mod session;

pub use context::Context;
pub use driver::{refusal, refusal_early, serve};
pub use lease::Leases;
