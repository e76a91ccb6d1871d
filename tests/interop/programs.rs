//! Runs other people's programs.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::site::say;

/// How long one run of a program may take before the test fails rather than hangs.
const RUN_LIMIT: Duration = Duration::from_secs(300);

/// Whether `program` can be run here. Where it can't, the test says so and ends, or fails when all must run
/// (`PILLARBOX_TESTS_ALL=1`).
pub fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|folder| folder.join(program).is_file()) {
        return true;
    }
    assert!(std::env::var_os("PILLARBOX_TESTS_ALL").is_none_or(|all| all != "1"), "needs {program}");
    say(&format!("SKIPPED: needs {program}"));
    false
}

/// Runs `command` with `input` as its standard input and returns its standard output; fails the test unless it
/// succeeds.
pub fn run(command: &mut Command, input: Option<&Path>, folder: &Path) -> Vec<u8> {
    let (out, err) = (folder.join("program.out"), folder.join("program.err"));
    let stdin = input.map_or_else(Stdio::null, |path| File::open(path).expect("the input opens").into());
    let mut child = command
        .current_dir(folder)
        .stdin(stdin)
        .stdout(File::create(&out).expect("a file for the output"))
        .stderr(File::create(&err).expect("a file for the errors"))
        // Nothing of the person's own configuration counts.
        .env("HOME", folder)
        .env("LC_ALL", "C")
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?} starts: {error}"));
    let deadline = Instant::now() + RUN_LIMIT;
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child can be asked") {
            break status;
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            panic!("{command:?} takes longer than {RUN_LIMIT:?}");
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let output = fs::read(&out).expect("the output is read");
    assert!(
        status.success(),
        "{command:?}: {status}\n{}\n{}",
        String::from_utf8_lossy(&fs::read(&err).unwrap_or_default()),
        String::from_utf8_lossy(&output[..output.len().min(2000)])
    );
    output
}

/// Writes a program's configuration, readable by its owner only: several programs insist on that.
pub fn write_private(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, text).expect("the configuration is written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("its mode is set");
}
