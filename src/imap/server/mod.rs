//! IMAP, the server's side of a session: states that own what is true in them, a table of commands, and a driver that
//! owns the connection.
//!
//! Floor F4b.

mod append;
mod capability;
mod context;
mod copy;
mod execute;
mod expunge;
mod fault;
mod fetch;
mod flags;
mod folders;
mod idle;
mod link;
mod login;
mod quota;
mod search;
mod secure;
mod select;
mod selected;
mod session;
mod snapshot;
mod store;
mod table;
mod view;

pub use context::Context;
pub use session::{refusal, refusal_early, serve};
pub use view::Views;

#[cfg(test)]
mod tests;
