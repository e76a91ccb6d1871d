//! The wiring: everything that the rooms need, made once and handed to them; listeners, signals, the ready file.
//!
//! Floor F6.

mod config;
mod doors;
mod error;
mod house;
mod key_file;
mod meter;
mod own;
mod preset;
mod ready;
mod restored;
mod run;
mod signals;
mod sizing;
mod start;

pub use config::{Config, ListenFlag, Preset, name_servers};
pub use error::ServerError;
pub use house::{House, SessionFuture};
pub use key_file::{KeyFileError, read_key_file};
pub use run::run;
