//! What the server can say of itself while it runs: figures, the newest lines of its log, and rings of what happened
//! last.
//!
//! Floor F0: imports nothing but `base`, so that every room can count and tell.

mod log;
mod metrics;
mod ring;

pub use log::{FilterError, LogFilter, LogKeeper, LogLine, log, on_filter, set_filter, unset_filter, usual_filter};
pub use metrics::{Level, Metrics, metrics, pop3_verb, smtp_verb};
pub use ring::{Ring, Since};
