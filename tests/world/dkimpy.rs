use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Debian's own, which has what its packages bring.
const PYTHON: &str = "/usr/bin/python3";

/// Whether these modules, which are in those packages, can be used here.
pub fn is_here(modules: &str, packages: &str) -> bool {
    let mut python = Command::new(PYTHON);
    let runs = python.args(["-c", &format!("import {modules}")]).stderr(Stdio::null()).status();
    if runs.is_ok_and(|status| status.success()) {
        return true;
    }
    assert!(std::env::var_os("PILLARBOX_TESTS_ALL").is_none_or(|all| all != "1"), "needs {packages}");
    let _ = writeln!(std::io::stderr(), "SKIPPED: needs {packages}");
    false
}

/// What a script says of what it reads.
pub fn run(script: &Path, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut command = Command::new(PYTHON);
    command.arg(script).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("python3 starts");
    let mut stdin = child.stdin.take().expect("its input");
    stdin.write_all(input).expect("the message is written");
    drop(stdin);
    let output = child.wait_with_output().expect("python3 ends");
    assert!(output.status.success(), "dkimpy runs");
    output.stdout
}
