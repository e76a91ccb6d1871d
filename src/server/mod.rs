//! The wiring: everything that the rooms need, made once and handed to them; listeners, signals, the ready file.
//!
//! Floor F6.

mod config;
mod error;
mod house;
mod meter;
mod own;
mod preset;
mod ready;
mod run;
mod sizing;

pub use config::{Config, ListenFlag, Preset, name_servers};
pub use error::ServerError;
pub use house::{House, SessionFuture};
pub use run::run;
