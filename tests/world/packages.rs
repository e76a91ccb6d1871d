//! The packages that the program is built of, as cargo knows them without asking anybody.

use std::process::Command;

use serde_json::Value;

/// Those that this machine builds: nothing else needs to be on it.
///
/// # Panics
/// Where cargo can't tell.
pub fn packages() -> Vec<Value> {
    let compiler = Command::new("rustc").arg("-vV").output().expect("rustc runs");
    let compiler = String::from_utf8(compiler.stdout).expect("rustc speaks UTF-8");
    let host = compiler.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host");
    let arguments = ["metadata", "--offline", "--locked", "--format-version", "1", "--filter-platform", host];
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("metadata is JSON");
    metadata["packages"].as_array().expect("metadata has packages").clone()
}
