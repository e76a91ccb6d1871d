//! mutt and neomutt, driven by keys: they read, mark, file, delete, search and send.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::account::{Account, body_of};
use super::certificate;
use super::letters::letter;
use super::terminal::run_in_terminal;
use crate::mails;
use crate::programs::{has, write_private};
use crate::read::with_crlf;
use crate::site::{PASSWORD, Site};

const USER: &str = "alice@example.test";
const FRIEND: &str = "bob@example.test";

/// What is pressed in the first session: each letter is found by a limit, its number or a pattern that the server searches
/// for, and handled.
const FIRST: [&str; 9] = [
    // Read one, and keep what is read.
    "<limit>~s \"Letter one\"<enter><display-message><exit><pipe-message>cat >one.read<enter>",
    "<limit>~s \"Letter two\"<enter><flag-message><pipe-message>cat >two.read<enter>",
    // File three in a mailbox that is there, and four in one that is not.
    "<limit>~s \"Letter three\"<enter><pipe-message>cat >three.read<enter><save-message>=Archive<enter>",
    "<limit>~s \"Letter four\"<enter><save-message>=New/deep<enter>",
    "<limit>~s five<enter><delete-message>",
    // The server searches its texts.
    "<limit>=b \"Vis-\"<enter><set-flag>r",
    "<limit>=b \"quiet letter\"<enter><copy-message>=Trash<enter>",
    "<limit>all<enter><sync-mailbox>",
    "<quit>",
];

/// The second session begins with what the first has cached.
const SECOND: [&str; 5] = [
    "<limit>~s \"Letter one\"<enter><toggle-new>",
    "<limit>~F<enter><delete-message><limit>all<enter><sync-mailbox>",
    "<change-folder>=Archive<enter><tag-pattern>~A<enter><tag-prefix><clear-flag>N<tag-prefix><flag-message>",
    "<change-folder>=New/deep<enter><tag-pattern>~A<enter><tag-prefix><save-message>=INBOX<enter><sync-mailbox>",
    "<quit>",
];

/// What is pressed where a new letter can be sent.
const DRAFT: &str = "<postpone-message><quit>";

fn check(program: &str, settings: &str) {
    if !has(program) {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let site = Site::start(folder.path());
    let account = Account::new(&site, USER, folder.path());
    account.deliver(&["one", "two", "three", "four", "five"]);
    account.change(&[account.append("INBOX", "eight", "")]);
    let config = folder.path().join("muttrc");
    write_private(&config, &(common_settings(&site, folder.path()) + settings));

    press(program, folder.path(), &FIRST);
    account.assert_holds(
        "INBOX: one \\Seen, two \\Flagged, eight \\Answered \\Seen
         Archive: three
         New/deep: four
         Trash: one \\Seen",
    );
    for name in ["one", "two", "three"] {
        let read = fs::read(folder.path().join(format!("{name}.read"))).expect("what was piped");
        mails::assert_same(name, &letter(name), &with_crlf(&read));
    }
    account.deliver(&["six"]);
    account.change(&[json!(["store", "INBOX", "eight", "-FLAGS", "\\Answered"])]);
    press(program, folder.path(), &SECOND);
    account.assert_holds(
        "INBOX: one, four, six, eight \\Seen
         Archive: three \\Flagged \\Seen
         New/deep:
         Trash: one \\Seen",
    );

    // Writes a letter, leaves it in Drafts, and sends it later.
    fs::write(folder.path().join("text"), "Grüße from the terminal.\n").expect("the text is written");
    press(program, folder.path(), &["<mail>", FRIEND, "<enter>Sent from here<enter>", DRAFT]);
    let draft = account.only("Drafts");
    assert!(draft.flags.contains("\\Draft") && draft.name == "sent", "{draft:?}");
    press(program, folder.path(), &["<recall-message><attach-file>one.read<enter><send-message><quit>"]);
    site.wait_for(FRIEND, 1);
    let sent = account.only("Sent");
    assert!(sent.flags == ["\\Seen".to_owned()].into() && sent.name == "sent", "{sent:?}");
    assert!(sent.content.windows(13).any(|octets| octets == b"quiet letter."), "with its attachment");
    assert_eq!(account.read()["Drafts"].messages, [], "it is no draft any more");
    let received = Account::new(&site, FRIEND, folder.path()).only("INBOX");
    // neomutt dates what it keeps and what it sends each for itself.
    assert!(body_of(&sent.content) == body_of(&received.content), "what was sent is what is kept");
}

/// Runs `program` in a terminal with `keys` pressed, one group after the other.
fn press(program: &str, folder: &Path, keys: &[&str]) {
    let file = folder.join("keys");
    fs::write(&file, format!("push '{}'\n", keys.concat())).expect("the keys are written");
    run_in_terminal(program, &["-F", "muttrc", "-e", "source keys"], &[], folder);
}

fn common_settings(site: &Site, folder: &Path) -> String {
    format!(
        "set folder = \"imaps://127.0.0.1:{imaps}/\" imap_user = \"{USER}\" imap_pass = \"{PASSWORD}\"\n\
         set spoolfile = \"+INBOX\" record = \"+Sent\" postponed = \"+Drafts\" mbox = \"\"\n\
         set smtp_url = \"smtps://{USER}@127.0.0.1:{submissions}/\" smtp_pass = \"{PASSWORD}\"\n\
         set ssl_force_tls = yes certificate_file = \"{certificate}\"\n\
         set from = \"{USER}\" realname = \"Alice\" use_from = yes charset = utf-8 send_charset = utf-8\n\
         set sort = mailbox-order delete = yes quit = yes mark_old = no move = no confirmappend = no\n\
         set confirmcreate = no wait_key = no sleep_time = 0 beep = no header_cache = \"{cache}\"\n\
         set editor = \"cp text\" recall = no postpone = yes\nmy_hdr Message-ID: <sent@example.test>\n",
        imaps = site.port("imaps"),
        submissions = site.port("submissions"),
        certificate = certificate(site, folder).display(),
        cache = folder.join("cache").display(),
    )
}

#[test]
fn mutt() {
    check("mutt", "set imap_condstore = yes imap_qresync = yes imap_deflate = yes\n");
}

#[test]
fn neomutt() {
    check("neomutt", "set imap_condstore = yes imap_qresync = yes\n");
}
