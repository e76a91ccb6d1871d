//! imapfilter sorts an account by rules.

use std::fs;
use std::process::Command;

use serde_json::json;

use super::account::Account;
use super::certificate;
use super::letters::{NAMES, letter};
use crate::mails;
use crate::programs::{has, run};
use crate::site::{PASSWORD, Site};

const USER: &str = "alice@example.test";

#[test]
fn imapfilter() {
    if !has("imapfilter") {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let site = Site::start(folder.path());
    let account = Account::new(&site, USER, folder.path());
    account.deliver(&NAMES[..6]);
    account.change(&[
        account.append("INBOX", "seven", "\\Seen \\Flagged"),
        account.append("INBOX", "eight", "\\Seen"),
        json!(["store", "INBOX", "three", "+FLAGS", "important"]),
    ]);
    let mut command = Command::new("imapfilter");
    command.arg("-c").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/imap/filter.lua"));
    command.arg("-t").arg(certificate(&site, folder.path()));
    command.env("IMAP_PORT", site.port("imaps")).env("IMAP_USER", USER).env("IMAP_PASSWORD", PASSWORD);
    run(command.env("IMAPFILTER_HOME", folder.path()), None, folder.path());
    let held = account.assert_holds(
        "INBOX: two, three \\Answered, five \\Flagged \\Seen large, eight \\Seen
         Archive: five \\Flagged \\Seen large
         Lists/quiet: one, seven \\Flagged \\Seen
         New name:",
    );
    assert_eq!(held["Lists/quiet"].messages[1].date, "02-Jan-2026 02:04:05 +0000", "a move keeps the date");
    mails::assert_same("two", &letter("two"), &fs::read(folder.path().join("two.read")).expect("what was fetched"));
}
