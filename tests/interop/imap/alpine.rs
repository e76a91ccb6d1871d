//! alpine, driven by keys: it reads, marks, files, deletes, searches and sends.

use super::account::{Account, body_of};
use super::terminal::run_in_terminal;
use crate::programs::{has, write_private};
use crate::site::{PASSWORD, Site};

const USER: &str = "alice@example.test";
const FRIEND: &str = "bob@example.test";
/// What the person types when alpine asks.
const LOGIN: (&str, &str) = ("ENTER PASSWORD:", "pillarbox\r");

/// What the screen's first line ends with once the folder is open. What alpine says at the bottom then depends on how long
/// that took, and may be nothing.
const OPENED: [&str; 2] = [" of 6", " of 3"];

/// Each letter is reached by its number.
const FIRST: [(&str, &str); 12] = [
    LOGIN,
    (OPENED[0], "j1\r\r"),
    ("quiet letter", "<j2\r*"),
    ("Important", "\r"),
    ("Flagged message 2", "j3\rs"),
    ("SAVE ", "Archive\r"),
    ("3 of 6 DEL", "j4\rs"),
    ("SAVE ", "New box\r"),
    ("Create?", "y"),
    ("4 of 6 DEL", "j5\rd"),
    ("marked for deletion", "x"),
    ("xpunged", "q"),
];

/// The server searches bodies, and what it finds is marked; then a letter is written.
const SECOND: [(&str, &str); 11] = [
    LOGIN,
    (OPENED[1], ";"),
    ("SELECT", "t"),
    ("Select based on", "b"),
    ("to match", "Vis-\r"),
    ("matched", "a"),
    ("APPLY", "*"),
    ("Important", "\r"),
    ("lagged", "cbob@example.test\t\t\t\tSent from alpine\r\rHello from a pine.\r\x18"),
    ("Send message", "y"),
    LOGIN,
];

#[test]
fn alpine() {
    if !has("alpine") {
        return;
    }
    assert_eq!(LOGIN.1.trim_end(), PASSWORD);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let site = Site::start(folder.path());
    let account = Account::new(&site, USER, folder.path());
    account.deliver(&["one", "two", "three", "four", "five", "eight"]);
    let there = |port| format!("127.0.0.1:{}/ssl/novalidate-cert/user={USER}", site.port(port));
    let config = format!(
        "personal-name=Alice\nuser-domain=example.test\ninbox-path={{{imap}}}INBOX\nfolder-collections=Mail {{{imap}}}[]\n\
         default-fcc={{{imap}}}Sent\npostponed-folder={{{imap}}}Drafts\nread-message-folder=\nsmtp-server={smtp}\n\
         feature-list=quit-without-confirm,expunge-without-confirm,expunge-without-confirm-everywhere,\n\
         \tenable-aggregate-command-set,enable-flag-cmd,disable-password-file-saving\nsave-will-advance=no\n\
         last-version-used=6.26\nsort-key=arrival\ncustomized-hdrs=From: Alice <{USER}>\n",
        imap = there("imaps"),
        smtp = there("submissions"),
    );
    write_private(&folder.path().join("pinerc"), &config);
    let arguments = ["-p", "pinerc", "-i"];

    run_in_terminal("alpine", &arguments, &FIRST, folder.path());
    account.assert_holds("INBOX: one \\Seen, two \\Flagged, eight\nArchive: three\nNew box: four");

    let sends: Vec<_> = SECOND.into_iter().chain([("essage sent|DONE]", "q")]).collect();
    run_in_terminal("alpine", &arguments, &sends, folder.path());
    let held = account.read();
    let flags =
        |name: &str| &held["INBOX"].messages.iter().find(|message| message.name == name).expect("it is there").flags;
    assert!(flags("eight").contains("\\Flagged") && flags("one").len() == 1, "{:?}", held["INBOX"]);
    site.wait_for(FRIEND, 1);
    let received = Account::new(&site, FRIEND, folder.path()).only("INBOX");
    let sent = account.only("Sent");
    assert!(sent.content.windows(18).any(|octets| octets == b"Hello from a pine."), "{sent:?}");
    assert_eq!(sent.name, received.name);
    assert!(body_of(&sent.content) == body_of(&received.content), "what was sent is what is kept");
}
