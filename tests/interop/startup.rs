//! What a start that cannot succeed says: one clear line, and an exit code.

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;

use crate::site::{Site, data_file};

/// Starts `serve` in `folder` with `arguments` and expects it to end with `code`, having said one line on stderr that
/// names each of `words`.
fn check(folder: &Path, arguments: &[&str], code: i32, words: &[&str]) {
    let output = Site::command("serve", folder, arguments)
        .args(["--hostname", "mx.example.test"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .expect("the program starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert_eq!(said.trim_end().lines().count(), 1, "one line: {said}");
    for word in words {
        assert!(said.contains(word), "{word} in {said:?}");
    }
    assert!(!folder.join("ready.json").exists(), "no ready file of a server that does not run");
}

#[test]
fn a_port_that_is_taken() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("a bound address").to_string();
    check(folder.path(), &["--listen", &format!("smtp={address}")], 4, &["smtp", &address]);
}

#[test]
fn a_file_that_another_server_has() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let _site = Site::serve(folder.path(), &[]);
    std::fs::remove_file(folder.path().join("ready.json")).expect("the first server's ready file");
    check(folder.path(), &[], 4, &[&data_file(folder.path()).display().to_string()]);
}

#[test]
fn a_file_that_is_no_store() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = data_file(folder.path());
    std::fs::write(&file, "not a store\n".repeat(1000)).expect("the file is written");
    check(folder.path(), &[], 65, &[&file.display().to_string()]);
    let content = std::fs::read(&file).expect("the file is read");
    assert_eq!(content, "not a store\n".repeat(1000).as_bytes(), "it is left as it was");
}

#[test]
fn a_setting_that_does_not_exist() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    check(folder.path(), &["--set", "limits.mesage_bytes=1"], 2, &["limits.mesage_bytes", "limits.message_bytes"]);
}
