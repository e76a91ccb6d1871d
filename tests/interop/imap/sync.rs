//! Programs that keep a Maildir and an account alike: what is done on either side is done on the other.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use super::account::{Account, Mailboxes, name_of};
use super::letters::letter;
use super::{certificate, fingerprint};
use crate::mails;
use crate::programs::{has, run, write_private};
use crate::read::with_crlf;
use crate::site::{PASSWORD, Site};

const USER: &str = "alice@example.test";

/// A program that keeps both sides alike.
struct Program {
    name: &'static str,
    /// Runs it once on the Maildirs in the folder.
    sync: fn(&Site, &Path),
    /// How it spells the umlaut of a mailbox's name in the name of a folder.
    umlaut: &'static str,
    /// Whether a folder that goes on one side goes on the other.
    removes_folders: bool,
    /// The field that it adds to what it uploads.
    own_field: &'static str,
    /// What becomes of `three`, which is marked as deleted here: its place in INBOX, or nothing.
    marked_deleted: &'static str,
}

impl Program {
    /// What is in `mail`'s Maildirs must be what the account holds: the same letters with the same flags.
    fn assert_alike(&self, account: &Account, mail: &Path, held: &Mailboxes) {
        let selectable = held.iter().filter(|(_, mailbox)| !mailbox.attributes.contains("\\Noselect"));
        for (name, mailbox) in selectable {
            let mut local = maildir(&mail.join(name.replace('Ü', self.umlaut)));
            assert_eq!(local.len(), mailbox.messages.len(), "{}: as many letters in {name}", self.name);
            for message in &mailbox.messages {
                let at = local.iter().position(|(content, _)| name_of(content) == message.name);
                let (content, letters) = local.remove(at.unwrap_or_else(|| panic!("{name} has {}", message.name)));
                let content = account.without_own_field(&with_crlf(&content));
                let expected = account.without_own_field(&message.content);
                let what = format!("{} in {name}", message.name);
                assert!(content == expected, "{what}: {}", mails::difference(&expected, &content));
                let expected: String =
                    FLAGS.iter().filter(|(_, flag)| message.flags.contains(*flag)).map(|(letter, _)| *letter).collect();
                assert_eq!(
                    letters, expected,
                    "{}: the flags of {} in {name}: {:?}",
                    self.name, message.name, message.flags
                );
            }
        }
    }
}

/// Maildir's letters for flags, in the order in which a file's name has them.
const FLAGS: [(char, &str); 5] =
    [('D', "\\Draft"), ('F', "\\Flagged"), ('R', "\\Answered"), ('S', "\\Seen"), ('T', "\\Deleted")];

/// The contents in a Maildir, and their flags.
fn maildir(folder: &Path) -> Vec<(Vec<u8>, String)> {
    files(folder).iter().map(|path| (fs::read(path).expect("a letter is read"), flags_of(path))).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let list = |part| fs::read_dir(folder.join(part)).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    ["cur", "new"].into_iter().flat_map(list).map(|entry| entry.expect("an entry").path()).collect()
}

fn flags_of(path: &Path) -> String {
    let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
    // Besides flags that a program knows, it may keep letters of its own.
    let letters = name.split_once(":2,").map_or("", |(_, letters)| letters);
    letters.chars().filter(|letter| FLAGS.iter().any(|(flag, _)| flag == letter)).collect()
}

/// Marks the letter `name` in a Maildir as a mail program does: by the file's name.
fn mark(folder: &Path, name: &str, letters: &str) {
    let path = files(folder).into_iter().find(|path| name_of(&fs::read(path).expect("a letter is read")) == name);
    let path = path.unwrap_or_else(|| panic!("{} has {name}", folder.display()));
    let base = path.file_name().and_then(|name| name.to_str()).expect("a name").split(":2,").next().expect("a base");
    fs::rename(&path, folder.join("cur").join(format!("{base}:2,{letters}"))).expect("the file is renamed");
}

/// Puts the letter `name` into a Maildir, which is made if it is not there.
fn put(folder: &Path, name: &str, letters: &str) {
    ["cur", "new", "tmp"].iter().for_each(|part| fs::create_dir_all(folder.join(part)).expect("a Maildir"));
    let content = String::from_utf8(letter(name)).expect("the letter is UTF-8").replace("\r\n", "\n");
    fs::write(folder.join(format!("cur/1234567890.{name}.here:2,{letters}")), content).expect("the letter is written");
}

/// Both ways: a first run onto an empty folder, one after changes on both sides, and one that has nothing to do.
fn check(program: &Program) {
    if !has(program.name) {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let site = Site::start(folder.path());
    let mut account = Account::new(&site, USER, folder.path());
    account.own_field = program.own_field;
    account.deliver(&["one", "two", "three"]);
    let held = account.change(&[
        account.append("Archive", "four", "\\Seen \\Flagged"),
        json!(["create", "Work/Übersicht"]),
        account.append("Work/Übersicht", "five", "\\Answered"),
        json!(["create", "Empty"]),
        json!(["subscribe", "Empty"]),
    ]);
    let mail = folder.path().join("mail");
    fs::create_dir(&mail).expect("a folder for the mail");
    (program.sync)(&site, folder.path());
    program.assert_alike(&account, &mail, &held);
    assert_eq!(account.read(), held, "reading changed nothing");

    mark(&mail.join("INBOX"), "one", "S");
    mark(&mail.join("INBOX"), "two", "FRS");
    mark(&mail.join("INBOX"), "three", "ST");
    put(&mail.join("Sent"), "six", "S");
    put(&mail.join("Made here"), "seven", "F");
    fs::remove_file(files(&mail.join("Archive")).remove(0)).expect("four is removed");
    fs::remove_dir_all(mail.join("Empty")).expect("the empty folder is removed");
    account.deliver(&["eight"]);
    account.change(&[
        json!(["store", "INBOX", "one", "+FLAGS", "\\Flagged"]),
        json!(["store", "Work/Übersicht", "five", "-FLAGS", "\\Answered"]),
        json!(["store", "Work/Übersicht", "five", "+FLAGS", "\\Draft"]),
        json!(["copy", "Work/Übersicht", "five", "Trash"]),
        json!(["create", "Made there/deep"]),
        account.append("Made there/deep", "six", "\\Seen"),
    ]);
    (program.sync)(&site, folder.path());
    let empty = if program.removes_folders { "" } else { "Empty:" };
    let held = account.assert_holds(&format!(
        "INBOX: one \\Seen \\Flagged, two \\Answered \\Flagged \\Seen, eight{}
         Sent: six \\Seen
         Trash: five \\Draft
         Work/Übersicht: five \\Draft
         Made here: seven \\Flagged
         Made there/deep: six \\Seen
         {empty}",
        program.marked_deleted
    ));
    program.assert_alike(&account, &mail, &held);
    (program.sync)(&site, folder.path());
    assert_eq!(account.read(), held, "there was nothing left to do");
    program.assert_alike(&account, &mail, &held);

    // A letter that moves on the server moves here, and one that is deleted goes.
    account.change(&[
        json!(["move", "INBOX", "two", "Work/Übersicht"]),
        json!(["store", "INBOX", "eight", "+FLAGS", "\\Deleted"]),
        json!(["expunge", "INBOX"]),
    ]);
    (program.sync)(&site, folder.path());
    let held = account.read();
    assert!(held["INBOX"].messages.iter().all(|message| !["two", "eight"].contains(&message.name.as_str())));
    program.assert_alike(&account, &mail, &held);
}

#[test]
fn mbsync() {
    fn sync(site: &Site, folder: &Path) {
        // One run in TLS from the start and the next with STARTTLS.
        let config = folder.join("mbsyncrc");
        let with_starttls = config.exists();
        let (kind, port) = if with_starttls { ("STARTTLS", "imap") } else { ("IMAPS", "imaps") };
        let text = format!(
            "IMAPAccount there\nHost localhost\nPort {}\nUser {USER}\nPass {PASSWORD}\nSSLType {kind}\n\
             CertificateFile {}\n\nIMAPStore there\nAccount there\n\n\
             MaildirStore here\nPath {mail}/\nInbox {mail}/INBOX\nSubFolders Verbatim\n\n\
             Channel all\nFar :there:\nNear :here:\nPatterns *\nCreate Both\nRemove Both\nExpunge Both\n\
             CopyArrivalDate yes\nSyncState {state}/\n",
            site.port(port),
            certificate(site, folder).display(),
            mail = folder.join("mail").display(),
            state = folder.join("state").display(),
        );
        write_private(&config, &text);
        fs::create_dir_all(folder.join("state")).expect("a folder for its state");
        run(Command::new("mbsync").arg("-V").arg("-c").arg(&config).arg("all"), None, folder);
    }
    check(&Program {
        name: "mbsync",
        sync,
        umlaut: "&ANw-",
        removes_folders: true,
        own_field: "X-TUID:",
        marked_deleted: "",
    });
}

#[test]
fn offlineimap() {
    fn sync(site: &Site, folder: &Path) {
        let config = folder.join("offlineimaprc");
        let text = format!(
            "[general]\naccounts = all\nmetadata = {data}\nmaxsyncaccounts = 1\n\n\
             [Account all]\nlocalrepository = here\nremoterepository = there\nutf8foldernames = yes\n\n\
             [Repository here]\ntype = Maildir\nlocalfolders = {mail}\nsep = /\nsync_deletes = yes\n\n\
             [Repository there]\ntype = IMAP\nremotehost = 127.0.0.1\nremoteport = {port}\nremoteuser = {USER}\n\
             remotepass = {PASSWORD}\nssl = yes\ntls_level = tls_compat\n\
             cert_fingerprint = {fingerprint}\nmaxconnections = 2\nusecompression = yes\nexpunge = yes\n",
            data = folder.join("offlineimap").display(),
            mail = folder.join("mail").display(),
            port = site.port("imaps"),
            fingerprint = fingerprint(site, folder),
        );
        write_private(&config, &text);
        run(Command::new("offlineimap").args(["-o", "-u", "basic", "-c"]).arg(&config), None, folder);
    }
    check(&Program {
        name: "offlineimap",
        sync,
        umlaut: "Ü",
        removes_folders: false,
        own_field: "X-OfflineIMAP:",
        marked_deleted: ", three \\Deleted \\Seen",
    });
}
