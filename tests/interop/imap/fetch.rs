//! Programs that fetch mail from an account into local hands.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::account::{Account, name_of};
use super::letters::letter;
use crate::mails;
use crate::programs::{has, run, write_private};
use crate::read::with_crlf;
use crate::site::{PASSWORD, Site};

const USER: &str = "alice@example.test";
/// How long a letter may take to a program that waits for it.
const ARRIVAL_LIMIT: Duration = Duration::from_secs(30);

/// A folder, and a script that writes its standard input to the next file of it, which has its name once it is whole.
struct Inbox {
    folder: PathBuf,
    script: PathBuf,
}

impl Inbox {
    fn new(folder: &Path) -> Self {
        let (inbox, script) = (folder.join("inbox"), folder.join("mda"));
        fs::create_dir(&inbox).expect("a folder for the letters");
        let text = "cd '{}'\nn=$(ls | wc -l)\ncat >.new && mv .new \"$(printf %04d \"$n\")\"\n";
        fs::write(&script, text.replace("{}", &inbox.display().to_string())).expect("the script is written");
        Self { folder: inbox, script }
    }

    /// The names of the letters in it, each of which is whole.
    fn names(&self) -> Vec<String> {
        let entries =
            fs::read_dir(&self.folder).expect("the folder is read").map(|entry| entry.expect("an entry").path());
        let mut paths: Vec<PathBuf> = entries.filter(|path| !path.ends_with(".new")).collect();
        paths.sort();
        let check = |path: &PathBuf| {
            let content = with_crlf(&fs::read(path).expect("a letter is read"));
            // getmail says in a field of its own which mailbox a letter was in.
            let lines = content.split_inclusive(|byte| *byte == b'\n');
            let content = lines.filter(|line| !line.starts_with(b"X-getmail-")).collect::<Vec<_>>().concat();
            let name = name_of(&content);
            mails::assert_same(&name, &letter(&name), &content);
            name
        };
        paths.iter().map(check).collect()
    }
}

/// Ends a program when the test is over.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn fetchmail(site: &Site, folder: &Path, inbox: &Inbox, protocol: &str, options: &str) -> Command {
    let config = folder.join("fetchmailrc");
    let text = format!(
        "set invisible\nset no bouncemail\npoll 127.0.0.1 protocol imap service {} timeout 120\n\
         username \"{USER}\" password \"{PASSWORD}\" {protocol} no sslcertck no rewrite {options}\n\
         mda \"/bin/sh {}\"\n",
        site.port(if protocol == "ssl" { "imaps" } else { "imap" }),
        inbox.script.display(),
    );
    write_private(&config, &text);
    let mut command = Command::new("fetchmail");
    command.env("FETCHMAILHOME", folder).args(["--nosyslog", "--nodetach", "--fetchmailrc"]).arg(&config);
    command
}

#[test]
fn fetchmail_leaves_takes_and_waits() {
    if !has("fetchmail") {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (site, inbox) = (Site::start(folder.path()), Inbox::new(folder.path()));
    let account = Account::new(&site, USER, folder.path());
    account.deliver(&["one", "two", "three"]);
    account.change(&[serde_json::json!(["store", "INBOX", "two", "+FLAGS", "\\Seen"])]);

    // What is new, from INBOX, with STARTTLS; it stays, and is seen.
    let starttls = "sslproto \"auto\"";
    run(&mut fetchmail(&site, folder.path(), &inbox, starttls, "keep"), None, folder.path());
    assert_eq!(inbox.names(), ["one", "three"]);
    account.assert_holds("INBOX: one \\Seen, two \\Seen, three \\Seen");

    // All that is in another mailbox, and it goes.
    account.change(&[account.append("Archive", "five", ""), account.append("Archive", "four", "\\Seen")]);
    run(&mut fetchmail(&site, folder.path(), &inbox, "ssl", "nokeep fetchall folder Archive"), None, folder.path());
    assert_eq!(inbox.names(), ["one", "three", "five", "four"]);
    account.assert_holds("INBOX: one \\Seen, two \\Seen, three \\Seen");

    // What comes while it waits.
    let mut waiting = fetchmail(&site, folder.path(), &inbox, "ssl", "nokeep idle");
    let _waiting = Running(waiting.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("fetchmail starts"));
    account.deliver(&["six"]);
    let deadline = Instant::now() + ARRIVAL_LIMIT;
    while inbox.names().len() < 5 || account.read()["INBOX"].messages.len() > 3 {
        assert!(Instant::now() < deadline, "fetchmail waits for {:?}", inbox.names());
    }
    account.deliver(&["seven"]);
    while inbox.names().len() < 6 || account.read()["INBOX"].messages.len() > 3 {
        assert!(Instant::now() < deadline, "fetchmail waits for {:?}", inbox.names());
    }
    assert_eq!(inbox.names()[4..], ["six", "seven"]);
}

#[test]
fn getmail() {
    if !has("getmail") {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (site, inbox) = (Site::start(folder.path()), Inbox::new(folder.path()));
    let account = Account::new(&site, USER, folder.path());
    account.deliver(&["one", "two", "three", "five"]);
    account.change(&[account.append("Archive", "four", "")]);
    let config = folder.path().join("getmailrc");
    let fetch = |delete: bool| {
        let text = format!(
            "[retriever]\ntype = SimpleIMAPSSLRetriever\nserver = 127.0.0.1\nport = {}\nusername = {USER}\n\
             password = {PASSWORD}\ntimeout = 120\nmailboxes = (\"INBOX\", \"Archive\")\nmove_on_delete = Trash\n\n\
             [destination]\ntype = MDA_external\npath = /bin/sh\narguments = (\"{}\",)\nallow_root_commands = true\n\
             user = root\n\n[options]\nread_all = false\ndelete = {delete}\nreceived = false\ndelivered_to = false\nverbose = 0\n",
            site.port("imaps"),
            inbox.script.display(),
        );
        write_private(&config, &text);
        let mut command = Command::new("getmail");
        run(command.arg("--getmaildir").arg(folder.path()).arg("--rcfile").arg(&config), None, folder.path());
    };
    // It knows what it has had, and fetches once what stays.
    fetch(false);
    fetch(false);
    assert_eq!(inbox.names(), ["one", "two", "three", "five", "four"]);
    account.deliver(&["six"]);
    fetch(true);
    assert_eq!(inbox.names()[5..], ["six"]);
    account.assert_holds("Trash: one, two, three, five, six, four");
}
