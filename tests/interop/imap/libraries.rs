//! Libraries that programs speak IMAP with: each does the same day's work, and all of them leave the same account.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::account::Account;
use super::letters::{NAMES, letter};
use crate::programs::{has, run};
use crate::site::{PASSWORD, Site, say};

const USER: &str = "alice@example.test";
/// Where the scripts are.
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/imap/libraries");

/// Where `tests/interop/libraries fetch` has put what it fetched.
fn fetched() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder").join("libraries")
}

/// Runs a script that does the work with `program`, which is `needed` besides.
fn check(program: &Path, script: &str, needed: &Path) {
    if !needed.exists() {
        let fetch = "tests/interop/libraries fetch";
        assert!(std::env::var_os("PILLARBOX_TESTS_ALL").is_none_or(|all| all != "1"), "needs {fetch}");
        say(&format!("SKIPPED: {script} needs {fetch}"));
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let site = Site::start(folder.path());
    for name in NAMES {
        fs::write(folder.path().join(format!("{name}.eml")), letter(name)).expect("the letter is written");
    }
    let mut command = Command::new(program);
    command.arg(Path::new(SCRIPTS).join(script)).env("MODULES", fetched());
    command.env("IMAP_PORT", site.port("imap")).env("IMAPS_PORT", site.port("imaps"));
    run(command.env("IMAP_USER", USER).env("IMAP_PASSWORD", PASSWORD), None, folder.path());
    let account = Account::new(&site, USER, folder.path());
    let held = account.assert_holds(
        "INBOX: one \\Seen, two \\Flagged, five, six
         Archive: one \\Seen
         Project/Under: three $Important",
    );
    assert_eq!(held["Archive"].messages[0].date, "02-Jan-2026 02:04:05 +0000", "a copy keeps the date");
}

#[test]
fn imaplib() {
    if has("python3") {
        check(Path::new("python3"), "work_imaplib.py", Path::new(SCRIPTS));
    }
}

#[test]
fn imapclient() {
    let python = fetched().join("python/bin/python3");
    check(&python, "work_imapclient.py", &python);
}

#[test]
fn imapflow() {
    if has("node") {
        check(Path::new("node"), "work_imapflow.mjs", &fetched().join("node_modules/imapflow"));
    }
}
