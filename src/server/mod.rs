//! The wiring: everything that the rooms need, made once and handed to them; listeners, signals, the ready file.

mod config;

use std::process::ExitCode;

pub use config::{Config, ListenFlag, Preset, SettingFlag};

/// Runs the server until it is told to stop; a start-up error is one line on stderr.
pub fn run(config: Config) -> ExitCode {
    let _ = config;
    todo!()
}
