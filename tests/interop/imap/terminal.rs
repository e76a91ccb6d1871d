//! Runs programs that want a terminal, in one of their own.

use std::path::Path;
use std::process::Command;

use crate::programs::run;

/// How long one run in a terminal may take.
const RUN_LIMIT_S: &str = "120";

/// Runs `program` with `arguments` in a terminal, and fails the test unless it succeeds. For each pair of `answers` in
/// turn, it waits until the program shows the first text, and presses the keys of the second.
pub fn run_in_terminal(program: &str, arguments: &[&str], answers: &[(&str, &str)], folder: &Path) {
    let mut command = Command::new("python3");
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/imap/terminal.py")).arg(RUN_LIMIT_S);
    for (shown, keys) in answers {
        command.args(["--when", shown, keys]);
    }
    run(command.arg(program).args(arguments), None, folder);
}
