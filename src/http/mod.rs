//! The REST interface and the admin page, over plain TCP, TLS and the unix socket beside the data file.
//!
//! Floor F5: it reads and writes through the same functions of the rooms below as the protocols do. A request passes
//! `frame` (id, host, the form of refusals), then a handler of `api`, whose first argument is who may call it.

mod admin;
mod answers;
mod api;
mod app;
mod audited;
mod body;
mod caller;
mod check;
mod context;
mod cookie;
mod document;
mod early;
mod etag;
mod frame;
mod health;
mod json;
mod large_body;
mod limiter;
mod live;
mod managed;
#[cfg(test)]
mod memory;
mod metrics;
mod once;
mod page;
mod problem;
mod raw_body;
mod routes;
mod scopes;
mod segment;
mod start;
mod stream;
mod switches;
#[cfg(test)]
mod tests;
mod validate;
mod via;
mod well_known;

pub use api::state::{StateFileError, apply_state};
pub use check::CHECKS;
pub use context::{Context, Readiness};
pub use document::openapi;
pub use early::Early;
pub use limiter::Limiter;
pub use live::{Hub, Mail, News};
pub use once::InFlight;
pub use segment::path_segment;
pub use start::{Handle, Sockets, StartError, socket_path, start};

/// The room's tables.
pub const TABLES: &[&dyn crate::store::AnyTable] =
    &[&managed::MANAGED, &answers::ANSWERS, &answers::ANSWER_ORDER, &answers::ANSWERS_OF];
