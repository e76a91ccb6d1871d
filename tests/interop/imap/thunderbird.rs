//! Thunderbird without a display: it is set up for an account, and reads, marks, files, deletes, searches and sends.

use std::fs;
use std::process::Command;

use super::account::Account;
use super::certificate;
use super::letters::letter;
use crate::mails;
use crate::programs::{has, run};
use crate::read::with_crlf;
use crate::site::{PASSWORD, Site};

const USER: &str = "alice@example.test";
const FRIEND: &str = "bob@example.test";

#[test]
fn thunderbird() {
    if !has("thunderbird") {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let site = Site::start(folder.path());
    let account = Account::new(&site, USER, folder.path());
    account.deliver(&["one", "two", "three", "four", "five", "seven"]);
    certificate(&site, folder.path());
    fs::write(folder.path().join("six.eml"), letter("six")).expect("the letter is written");
    let mut command = Command::new("python3");
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/imap/thunderbird.py")).arg(folder.path());
    command.args([site.port("imaps"), site.port("submissions"), site.port("smtp")]);
    run(command.args([USER, PASSWORD, FRIEND]), None, folder.path());

    for name in ["two", "three", "five"] {
        let read = fs::read(folder.path().join(format!("{name}.read"))).expect("what Thunderbird has read");
        let has_crlf = read.windows(2).any(|octets| octets == b"\r\n");
        mails::assert_same(name, &letter(name), &if has_crlf { read } else { with_crlf(&read) });
    }
    let sent = account.only("Sent");
    assert!(sent.flags.contains("\\Seen") && sent.name == "sent", "{sent:?}");
    let received = Account::new(&site, FRIEND, folder.path()).only("INBOX");
    mails::assert_same("sent", &sent.content, &received.content);
    account.assert_holds(
        "INBOX: one \\Seen, two \\Flagged \\Seen $label1, six
         Archive: one \\Seen
         Made here: three, four
         Trash: five
         Sent: sent \\Seen",
    );
}
