//! What a journey goes through: a server with accounts, some mail, and servers outside of which one takes all, one is not
//! ready yet, and one refuses.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::dns::{Dns, Zone};
use super::sink::{ALWAYS, Fault, Sink, Stage, free_port};
use super::site::{PASSWORD, Site};
use super::swap_site::{Swapper, message, submit_over};
use super::wire::Smtp;

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser/journeys");
/// The administrator of the journeys.
const ADMIN: &str = "admin@example.test";
/// Who is what.
const ACCOUNTS: [(&str, &[&str]); 5] = [
    ("admin", &["admin"]),
    ("olga", &["operator"]),
    ("dora", &["domain_admin:example.test"]),
    ("alice", &[]),
    ("bob", &[]),
];

/// A server and its world.
pub struct World {
    site: Site,
    folder: TempDir,
    // They serve as long as they are held.
    _dns: Dns,
    _sinks: [Sink; 3],
}

/// Where `tests/browser/fetch` has put what it fetched.
pub fn fetched() -> PathBuf {
    target().join("browser")
}

fn target() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder")
}

impl World {
    /// A running world with accounts and mail that waits.
    pub fn new() -> Self {
        let world = Self::bare();
        world.fill();
        world
    }

    /// A running world in which nothing is set up yet.
    pub fn bare() -> Self {
        let port = free_port();
        let zone = Zone::new()
            .mail("takes.test", "127.0.0.2")
            .mail("later.test", "127.0.0.3")
            .mail("refuses.test", "127.0.0.4")
            .broken("lost.test");
        let dns = Dns::start(zone);
        let sinks = [2, 3, 4].map(|last| Sink::start(&format!("127.0.0.{last}:{port}")));
        sinks[1].fail(Stage::Recipient, Fault::Reply("451 4.7.1 Greylisted, please come back in 5 minutes"), ALWAYS);
        sinks[2].fail(Stage::Recipient, Fault::Reply("550 5.1.1 No such user here"), ALWAYS);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (resolver, remote_port) = (dns.address.to_string(), port.to_string());
        let mut arguments = vec!["--resolver", &resolver, "--remote-port", &remote_port];
        for setting in ["delivery.allow_networks=127.0.0.0/8", "queue.retry_seconds=3600", "limits.refusal_delay_ms=0"]
        {
            arguments.extend(["--set", setting]);
        }
        let site = Site::serve_as(folder.path(), "mail.example.test", &arguments);
        Self { site, folder, _dns: dns, _sinks: sinks }
    }

    fn rest(&self, method: &str, path: &str, body: &Value) {
        let (status, answer) = self.site.rest(method, &format!("/api/v1{path}"), &body.to_string());
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
    }

    fn fill(&self) {
        self.rest("PUT", "/domains/example.test", &json!({}));
        for (name, roles) in ACCOUNTS {
            let account = json!({"password": PASSWORD, "roles": roles, "display_name": name});
            self.rest("PUT", &format!("/accounts/{name}@example.test"), &account);
        }
        let mut alice =
            Smtp::login(self.site.address("submission"), "alice@example.test", PASSWORD).expect("alice logs in");
        let long = "somebody.with.a.very.long.local.part.indeed@later.test";
        for (number, to) in [
            "ann@later.test",
            "ben@later.test",
            "cleo@later.test",
            long,
            "dan@lost.test",
            "eve@refuses.test",
            "bob@example.test",
        ]
        .into_iter()
        .enumerate()
        {
            let text = message("alice@example.test", to, &format!("Letter-{number}"));
            alice.submit("alice@example.test", &[to], text.as_bytes()).expect("it is taken");
        }
        alice.quit().expect("QUIT answers");
    }

    /// A server elsewhere whose mail is held here; it knows us as `hub`, and takes a swap.
    pub fn branch(&self) -> Swapper {
        let folder = self.folder.path().join("branch");
        fs::create_dir(&folder).expect("a folder");
        let branch = Swapper::start(&folder, "branch.test", &["x", "y"], &[]);
        branch.put_peer("hub", &["example.test"], &json!({}));
        let mut talk = branch.submission("x");
        submit_over(&mut talk, "x@branch.test", "bob@example.test", "from-the-branch");
        talk.say("QUIT", "221");
        branch
    }

    /// Runs the script of a journey, with `variables` besides the usual ones; fails the test with what it printed.
    pub fn run(&self, name: &str, variables: &[(&str, String)]) {
        let output = Command::new("node")
            .arg(Path::new(SCRIPTS).join(format!("{name}.mjs")))
            .env("BASE", format!("http://{}", self.site.address("http")))
            .env("TOKEN", fs::read_to_string(self.folder.path().join("token")).expect("the token file"))
            .env("ADMIN", ADMIN)
            .env("PASSWORD", PASSWORD)
            .env("SMTP_PORT", self.site.port("smtp"))
            .env("SUBMISSION_PORT", self.site.port("submission"))
            .env("IMAP_PORT", self.site.port("imap"))
            .env("MODULES", fetched())
            .env("SCREENSHOTS", target().join("screenshots"))
            .env("CHROMIUM", "/usr/bin/chromium")
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .output()
            .expect("node starts");
        assert!(output.status.success(), "{name}:\n{}", String::from_utf8_lossy(&output.stderr));
    }
}
