//! Programs that submit mail over 465 (TLS from the start) and 587 (STARTTLS).

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::mails::{self, Mail};
use crate::programs::{has, run, write_private};
use crate::site::{PASSWORD, Site};
use crate::wire::Pop3;

const SENDER: &str = "alice@example.test";
const RECIPIENT: &str = "bob@example.test";
const LISTENERS: [&str; 2] = ["submissions", "submission"];

/// One message for a program to submit.
struct Task<'a> {
    site: &'a Site,
    /// `submissions` or `submission`.
    listener: &'a str,
    /// The message with CRLF line ends.
    file: &'a Path,
    /// For what the program needs besides.
    folder: &'a Path,
}

impl Task<'_> {
    fn port(&self) -> String {
        self.site.port(self.listener)
    }

    fn tls_from_the_start(&self) -> bool {
        self.listener == "submissions"
    }
}

/// Submits each of `mails` through both listeners with `submit`, and compares what the recipient reads.
fn check(program: &str, mails: &[Mail], submit: impl Fn(&Task)) {
    if !has(program) {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let site = Site::start(folder.path());
    let file = folder.path().join("mail.eml");
    let mut count = 0;
    for mail in mails {
        fs::write(&file, &mail.content).expect("the mail is written");
        for listener in LISTENERS {
            submit(&Task { site: &site, listener, file: &file, folder: folder.path() });
            count += 1;
            site.wait_for(RECIPIENT, count);
        }
    }
    let mut session = Pop3::login(site.address("pop3"), RECIPIENT, PASSWORD).expect("bob logs in");
    let read = session.retrieve_all().expect("all is read");
    assert_eq!(read.len(), mails.len() * LISTENERS.len(), "all that was submitted");
    let sent = mails.iter().flat_map(|mail| LISTENERS.iter().map(move |_| mail));
    for (mail, received) in sent.zip(&read) {
        mails::assert_same(mail.name, &mail.content, received);
    }
}

#[test]
fn swaks() {
    // swaks gives an empty body a line.
    let mails: Vec<Mail> = mails::all().into_iter().filter(|mail| mail.name != "empty").collect();
    check("swaks", &mails, |task| {
        // swaks ends the data with a CRLF of its own.
        let content = fs::read(task.file).expect("the mail is read");
        let file = task.folder.join("mail.swaks");
        fs::write(&file, content.strip_suffix(b"\r\n").expect("a mail ends with CRLF")).expect("the mail is written");
        let mut command = Command::new("swaks");
        command.args(["--server", "127.0.0.1", "--port", &task.port(), "--silent", "2", "--timeout", "120"]);
        command.arg(if task.tls_from_the_start() { "--tls-on-connect" } else { "--tls" });
        command.args(["--auth", if task.tls_from_the_start() { "PLAIN" } else { "LOGIN" }]);
        command.args(["--auth-user", SENDER, "--auth-password", PASSWORD, "--from", SENDER, "--to", RECIPIENT]);
        run(command.arg("--data").arg(format!("@{}", file.display())), None, task.folder);
    });
}

#[test]
fn msmtp() {
    check("msmtp", &mails::all(), |task| {
        let mut command = Command::new("msmtp");
        command.args(["--file=/dev/null", "--host=127.0.0.1", &format!("--port={}", task.port())]);
        command.args(["--tls=on", "--tls-certcheck=off", "--auth=plain"]);
        command.arg(format!("--tls-starttls={}", if task.tls_from_the_start() { "off" } else { "on" }));
        command.arg(format!("--user={SENDER}")).arg(format!("--passwordeval=echo {PASSWORD}"));
        command.arg(format!("--from={SENDER}")).arg("--").arg(RECIPIENT);
        run(&mut command, Some(task.file), task.folder);
    });
}

#[test]
fn smtplib() {
    const SCRIPT: &str = r#"
import smtplib, ssl, sys
port, listener, sender, recipient, password = sys.argv[1:]
context = ssl._create_unverified_context()
if listener == "submissions":
    session = smtplib.SMTP_SSL("127.0.0.1", int(port), context=context, timeout=120)
else:
    session = smtplib.SMTP("127.0.0.1", int(port), timeout=120)
    session.starttls(context=context)
session.login(sender, password)
session.sendmail(sender, [recipient], sys.stdin.buffer.read(), mail_options=["BODY=8BITMIME"])
session.quit()
"#;
    check("python3", &mails::all(), |task| {
        let mut command = Command::new("python3");
        command.args(["-c", SCRIPT, &task.port(), task.listener, SENDER, RECIPIENT, PASSWORD]);
        run(&mut command, Some(task.file), task.folder);
    });
}

#[test]
fn curl() {
    check("curl", &mails::all(), |task| {
        let config = task.folder.join("curlrc");
        write_private(&config, &format!("user = \"{SENDER}:{PASSWORD}\"\n"));
        let scheme = if task.tls_from_the_start() { "smtps" } else { "smtp" };
        let mut command = Command::new("curl");
        command.arg("--silent").arg("--show-error").arg("--config").arg(config);
        command.args(["--ssl-reqd", "--insecure", "--mail-from", SENDER, "--mail-rcpt", RECIPIENT]);
        command.arg("--upload-file").arg(task.file);
        run(command.arg(format!("{scheme}://127.0.0.1:{}/client.example.test", task.port())), None, task.folder);
    });
}
