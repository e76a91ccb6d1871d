//! The command line: arguments, exit codes, and a client of the REST interface.
//!
//! Floor F6.

use std::process::ExitCode;

/// Runs the command that the arguments name.
pub fn run() -> ExitCode {
    todo!()
}
