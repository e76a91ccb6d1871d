//! Programs that read mail by POP3: what they leave stays, what they delete is gone after QUIT.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::mails::{self, Mail};
use crate::programs::{has, run, write_private};
use crate::site::{PASSWORD, Site};
use crate::wire::{Pop3, Smtp};

const USER: &str = "alice@example.test";

/// Reading everything with a program, once.
struct Task<'a> {
    site: &'a Site,
    /// How many messages wait.
    count: usize,
    /// Whether they stay on the server.
    keep: bool,
    /// Empty, for this run only.
    folder: &'a Path,
}

/// How a program hands on what it read.
#[derive(Clone, Copy)]
enum LineEnds {
    /// As it was sent.
    Kept,
    /// As the local system has them: LF.
    Local,
}

/// Delivers `mails`, reads them with `read` (in order) twice, first keeping and then deleting, and compares.
fn check(program: &str, mails: &[Mail], line_ends: LineEnds, read: impl Fn(&Task) -> Vec<Vec<u8>>) {
    if !has(program) {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let site = Site::start(folder.path());
    let mut session = Smtp::connect(site.address("smtp")).expect("the server greets");
    for (number, mail) in mails.iter().enumerate() {
        session.submit("someone@elsewhere.test", &[USER], &mail.content).expect("the mail is taken");
        site.wait_for(USER, number + 1);
    }
    session.quit().expect("QUIT answers");
    for keep in [true, false] {
        let own = folder.path().join(if keep { "keep" } else { "delete" });
        fs::create_dir(&own).expect("a folder for the run");
        let received = read(&Task { site: &site, count: mails.len(), keep, folder: &own });
        assert_eq!(received.len(), mails.len(), "{program} reads all, keep {keep}");
        for (mail, received) in mails.iter().zip(received) {
            let received = match line_ends {
                LineEnds::Kept => received,
                LineEnds::Local => with_crlf(&received),
            };
            mails::assert_same(mail.name, &mail.content, &received);
        }
        let left = Pop3::count_of(site.address("pop3"), USER, PASSWORD);
        assert_eq!(left.expect("alice logs in"), if keep { mails.len() } else { 0 }, "after {program}, keep {keep}");
    }
}

/// What a program wrote with local line ends, with the line ends of the wire.
pub fn with_crlf(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + content.len() / 40);
    for line in content.split_inclusive(|byte| *byte == b'\n') {
        out.extend_from_slice(line.strip_suffix(b"\n").unwrap_or(line));
        if line.ends_with(b"\n") {
            out.extend_from_slice(b"\r\n");
        }
    }
    out
}

/// The files of `folder` in the order of their names.
fn files(folder: &Path) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(folder).expect("the program made its folder");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("a message is read")).collect()
}

/// Makes a folder and a script in it that writes its standard input to the next file of it; returns both.
fn mda(task: &Task) -> (PathBuf, PathBuf) {
    let mailbox = task.folder.join("mailbox");
    fs::create_dir(&mailbox).expect("a folder for the messages");
    let script = task.folder.join("mda");
    let text = format!("n=$(ls '{0}' | wc -l)\nexec cat >\"{0}/$(printf %04d \"$n\")\"\n", mailbox.display());
    fs::write(&script, text).expect("the script is written");
    (mailbox, script)
}

#[test]
fn curl() {
    check("curl", &mails::all(), LineEnds::Kept, |task| {
        let config = task.folder.join("curlrc");
        write_private(&config, &format!("user = \"{USER}:{PASSWORD}\"\n"));
        let curl = || {
            let mut command = Command::new("curl");
            command.args(["--silent", "--show-error", "--insecure", "--config"]).arg(&config);
            command
        };
        let url = format!("pop3s://127.0.0.1:{}", task.site.port("pop3s"));
        let numbers = 1..=task.count;
        let received = numbers.clone().map(|n| run(curl().arg(format!("{url}/{n}")), None, task.folder)).collect();
        // Each run is a session, so the first message is deleted again and again.
        for _ in numbers.filter(|_| !task.keep) {
            run(curl().args(["--request", "DELE 1", "--head", &url]), None, task.folder);
        }
        received
    });
}

#[test]
fn fetchmail() {
    // fetchmail itself breaks lines of more than 8,191 characters.
    check("fetchmail", &mails::plain(), LineEnds::Local, |task| {
        let (mailbox, script) = mda(task);
        let config = task.folder.join("fetchmailrc");
        let keep = if task.keep { "keep" } else { "nokeep" };
        write_private(
            &config,
            &format!(
                "set invisible\nset no bouncemail\npoll 127.0.0.1 protocol pop3 service {} timeout 120\n\
                 username \"{USER}\" password \"{PASSWORD}\" ssl no sslcertck no rewrite fetchall {keep}\n\
                 mda \"/bin/sh {}\"\n",
                task.site.port("pop3s"),
                script.display(),
            ),
        );
        let mut command = Command::new("fetchmail");
        command.env("FETCHMAILHOME", task.folder).args(["--nosyslog", "--nodetach", "--fetchmailrc"]);
        run(command.arg(&config), None, task.folder);
        files(&mailbox)
    });
}

#[test]
fn getmail() {
    check("getmail", &mails::all(), LineEnds::Local, |task| {
        let (mailbox, script) = mda(task);
        let config = task.folder.join("getmailrc");
        write_private(
            &config,
            &format!(
                "[retriever]\ntype = SimplePOP3SSLRetriever\nserver = 127.0.0.1\nport = {}\nusername = {USER}\n\
                 password = {PASSWORD}\ntimeout = 120\n\n[destination]\ntype = MDA_external\npath = /bin/sh\n\
                 arguments = (\"{}\",)\nallow_root_commands = true\nuser = root\n\n\
                 [options]\nread_all = true\ndelete = {}\nreceived = false\n\
                 delivered_to = false\nverbose = 0\n",
                task.site.port("pop3s"),
                script.display(),
                !task.keep,
            ),
        );
        let mut command = Command::new("getmail");
        command.arg("--getmaildir").arg(task.folder).arg("--rcfile").arg(&config);
        run(&mut command, None, task.folder);
        files(&mailbox)
    });
}

#[test]
fn mpop() {
    check("mpop", &mails::all(), LineEnds::Local, |task| {
        let (mailbox, script) = mda(task);
        let mut command = Command::new("mpop");
        command.args(["--file=/dev/null", "--host=127.0.0.1", &format!("--port={}", task.site.port("pop3s"))]);
        command.args(["--tls=on", "--tls-starttls=off", "--tls-certcheck=off", "--received-header=off"]);
        command.arg(format!("--user={USER}")).arg(format!("--passwordeval=echo {PASSWORD}"));
        command.arg(format!("--keep={}", if task.keep { "on" } else { "off" }));
        command.arg(format!("--uidls-file={}", task.folder.join("uidls").display()));
        command.args(["--auth=user", "--quiet"]).arg(format!("--delivery=mda,/bin/sh {}", script.display()));
        run(&mut command, None, task.folder);
        files(&mailbox)
    });
}

#[test]
fn poplib() {
    const SCRIPT: &str = r#"
import os, poplib, ssl, sys
poplib._MAXLINE = 1 << 20
port, user, password, keep, folder = sys.argv[1:]
session = poplib.POP3_SSL("127.0.0.1", int(port), context=ssl._create_unverified_context(), timeout=120)
session.user(user)
session.pass_(password)
count, size = session.stat()
total = 0
for number in range(1, count + 1):
    lines = session.retr(number)[1]
    message = b"".join(line + b"\r\n" for line in lines)
    assert len(message) == int(session.list(number).split()[2]), "the size that LIST gives"
    total += len(message)
    with open(os.path.join(folder, "%04d" % number), "wb") as file:
        file.write(message)
    if keep != "true":
        session.dele(number)
assert total == size, "the size that STAT gives"
assert len({line.split()[1] for line in session.uidl()[1]}) == (count if keep == "true" else 0)
session.quit()
"#;
    check("python3", &mails::all(), LineEnds::Kept, |task| {
        let mailbox = task.folder.join("mailbox");
        fs::create_dir(&mailbox).expect("a folder for the messages");
        let mut command = Command::new("python3");
        command.args(["-c", SCRIPT, &task.site.port("pop3s"), USER, PASSWORD, &task.keep.to_string()]).arg(&mailbox);
        run(&mut command, None, task.folder);
        files(&mailbox)
    });
}
