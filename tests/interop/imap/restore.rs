//! What was deleted comes back from a backup: a message, a mailbox, an account, each read by another program before and
//! after, octet by octet and flag by flag.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::account::{Account, Mailboxes};
use crate::programs::{has, run};
use crate::site::{Site, binary, check, data_file};

const USER: &str = "alice@example.test";
const WORKING: &str = "Project/Under";
/// Selects INBOX, runs a command, and prints how many messages more the session then hears of.
const WATCHER: &str = "import imaplib, ssl, subprocess, sys\n\
    port, user, password, *command = sys.argv[1:]\n\
    session = imaplib.IMAP4_SSL('127.0.0.1', int(port), ssl_context=ssl._create_unverified_context())\n\
    session.login(user, password)\n\
    before = int(session.select('INBOX')[1][0])\n\
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)\n\
    session.noop()\n\
    heard = session.response('EXISTS')[1]\n\
    print(int(heard[-1]) - before if heard and heard[-1] else 0)\n";

/// The command line of the server's owner.
fn owner(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(arguments).arg("--data").arg(data_file(folder)).args(["-o", "json"]);
    command
}

/// The same, and what it prints.
fn own(folder: &Path, arguments: &[&str]) -> Value {
    serde_json::from_slice(&run(&mut owner(folder, arguments), None, folder)).unwrap_or_default()
}

/// What must be the same: all but UIDs, UIDVALIDITYs and the order.
fn same(held: &Mailboxes) -> BTreeMap<String, Vec<String>> {
    let messages = |name: &String| {
        let mut lines: Vec<String> = held[name]
            .messages
            .iter()
            .map(|one| format!("{} {:?} {} {}", one.name, one.flags, one.date, blake3::hash(&one.content)))
            .collect();
        lines.sort();
        lines
    };
    held.keys().map(|name| (format!("{name} {:?}", held[name].attributes), messages(name))).collect()
}

#[test]
fn what_was_deleted_comes_back_from_a_backup() {
    if !has("python3") {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let site = Site::start(folder.path());
    let account = Account::new(&site, USER, folder.path());
    account.deliver(&["one", "two", "five"]);
    let before = same(&account.change(&[
        json!(["create", WORKING]),
        json!(["subscribe", WORKING]),
        account.append(WORKING, "three", "\\Flagged $Important"),
        account.append(WORKING, "six", ""),
        account.append("Sent", "four", "\\Seen"),
        json!(["copy", "INBOX", "one", "Archive"]),
        json!(["store", "INBOX", "two", "+FLAGS", "\\Answered later"]),
    ]));
    let job = own(folder.path(), &["backup", "create", "--wait"]);
    let backup = job["result"]["id"].as_str().unwrap_or_else(|| panic!("a backup, not {job}")).to_owned();
    let id_of = |uid: u64| {
        let listed = own(folder.path(), &["mailbox", "messages", USER, "INBOX"]);
        let items = listed["items"].as_array().expect("a list").clone();
        items.iter().find(|one| one["uid"] == uid).expect("that UID")["id"].as_str().expect("an id").to_owned()
    };
    let (two, inbox) = (id_of(2), ["restore", "items", &backup, USER, "--wait"]);
    let restore = |more: &[&str], restored: u64| {
        let result = own(folder.path(), &[&inbox[..], more].concat())["result"].clone();
        assert_eq!(result["restored"], restored, "{more:?}: {result}");
        assert_eq!(same(&account.read()), before, "{more:?}");
        result
    };

    // A message, while somebody has the mailbox open.
    let remove = [json!(["store", "INBOX", "two", "+FLAGS", "\\Deleted"]), json!(["expunge", "INBOX"])];
    assert_ne!(same(&account.change(&remove)), before);
    let mut watcher = Command::new("python3");
    watcher.args(["-c", WATCHER, &site.port("imaps"), USER, crate::site::PASSWORD]);
    let command = owner(folder.path(), &[&inbox[..], &["--message", &two]].concat());
    watcher.arg(command.get_program()).args(command.get_args());
    assert_eq!(run(&mut watcher, None, folder.path()).trim_ascii(), b"1", "the open session hears of it");
    assert_eq!(same(&account.read()), before, "a message");
    assert_eq!(id_of(4), two, "it is the same message, under a new UID");
    restore(&["--message", &two], 0);

    // A mailbox.
    own(folder.path(), &["mailbox", "delete", USER, WORKING]);
    assert_ne!(same(&account.read()), before);
    let preview = own(folder.path(), &["restore", "items", &backup, USER, "--mailbox", WORKING, "--dry-run"]);
    assert_eq!((&preview["count"], &preview["mailboxes"][0]["made"]), (&json!(2), &json!(true)), "{preview}");
    restore(&["--mailbox", WORKING], 2);
    restore(&["--mailbox", WORKING], 0);

    // An account: its owner logs in with the password that it had.
    own(folder.path(), &["account", "delete", USER]);
    let accounts = own(folder.path(), &["backup", "accounts", &backup]);
    let gone = accounts["items"].as_array().expect("a list").iter().find(|one| one["address"] == USER).cloned();
    assert_eq!(gone.expect("alice is in the backup")["is_there"], false);
    assert_eq!(restore(&[], 7)["account_made"], true);
    let again = restore(&[], 0);
    assert_eq!(again["still_there"], 7, "{again}");

    assert!(site.stop().success());
    check(&data_file(folder.path()));
}
