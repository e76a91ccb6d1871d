//! A running server, and programs that are run against it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The bearer token of every server here.
const TOKEN: &str = "pbx_provision_0123456789abcdef0123456789abcdef";
/// What every account's password is, and its sha512-crypt hash as other servers keep it.
pub const PASSWORD: &str = "Hello world!";
pub const PASSWORD_HASH: &str =
    "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1";
/// How long a start may take before the test fails.
const START_LIMIT: Duration = Duration::from_secs(120);

/// The program under test.
pub fn binary() -> PathBuf {
    std::env::var_os("PILLARBOX_BIN").map_or_else(|| env!("CARGO_BIN_EXE_pillarbox").into(), PathBuf::from)
}

/// A file of this folder.
pub fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/provision").join(name)
}

/// Whether `program` is there. Where it is not, the test says so and ends, or fails when all must run.
pub fn has(program: &Path) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if program.is_file() || std::env::split_paths(&path).any(|folder| folder.join(program).is_file()) {
        return true;
    }
    assert!(std::env::var_os("PILLARBOX_TESTS_ALL").is_none_or(|all| all != "1"), "needs {}", program.display());
    let _ = writeln!(std::io::stderr(), "SKIPPED: needs {}", program.display());
    false
}

/// A server on a file of its own, on loopback ports that the system picks. Dropping it ends it.
pub struct Site {
    pub folder: tempfile::TempDir,
    child: Child,
    listeners: BTreeMap<String, String>,
}

impl Site {
    /// Starts one.
    pub fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let log = File::create(folder.path().join("log")).expect("the log opens");
        let mut child = serve(folder.path(), arguments).stderr(log).spawn().expect("the server starts");
        let deadline = Instant::now() + START_LIMIT;
        let ready = loop {
            let text = fs::read_to_string(folder.path().join("ready.json")).unwrap_or_default();
            if let Ok(ready) = serde_json::from_str::<Value>(&text) {
                break ready;
            }
            let log = || fs::read_to_string(folder.path().join("log")).unwrap_or_default();
            assert!(child.try_wait().expect("a child can be asked").is_none(), "the server ended: {}", log());
            assert!(Instant::now() < deadline, "no ready file: {}", log());
            std::thread::sleep(Duration::from_millis(5));
        };
        let listeners = ready["listeners"].as_object().expect("the listeners are named");
        let listeners =
            listeners.iter().filter_map(|(name, at)| Some((name.clone(), at.as_str()?.to_owned()))).collect();
        Self { folder, child, listeners }
    }

    /// Where a listener is bound.
    pub fn address(&self, name: &str) -> &str {
        &self.listeners[name]
    }

    /// Runs a program that finds the server in its environment; what it has printed.
    pub fn run(&self, program: &Path, arguments: &[&str]) -> Output {
        Command::new(program)
            .args(arguments)
            .current_dir(self.folder.path())
            .env("HOME", self.folder.path())
            .env("LC_ALL", "C.UTF-8")
            .env("PILLARBOX", binary())
            .env("PILLARBOX_URL", format!("http://{}", self.address("http")))
            .env("PILLARBOX_TOKEN", TOKEN)
            .env("PASSWORD_HASH", PASSWORD_HASH)
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("{} starts: {error}", program.display()))
    }

    /// The same for one that must succeed; what it has printed.
    pub fn must(&self, program: &Path, arguments: &[&str]) -> String {
        let output = self.run(program, arguments);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{} {arguments:?}: {}\n{text}{errors}", program.display(), output.status);
        text
    }

    /// The command line against this server.
    pub fn pillarbox(&self, arguments: &[&str]) -> String {
        self.must(&binary(), arguments)
    }

    /// The state as the command line gets it.
    pub fn state(&self) -> Value {
        serde_json::from_str(&self.pillarbox(&["state", "get", "-o", "json"])).expect("the state is JSON")
    }

    /// Logs in by IMAP and SMTP, and sends a message to oneself.
    pub fn log_in(&self, address: &str, password: &str) {
        let (imap, smtp) = (self.address("imap"), self.address("submission"));
        let seen = self.must(&file("log_in.py"), &[imap, smtp, address, password]);
        assert_eq!(seen.trim(), "1 Subject: here I am");
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command line of a server on a file in `folder`.
pub fn serve(folder: &Path, arguments: &[&str]) -> Command {
    let token = folder.join("token");
    fs::write(&token, TOKEN).expect("the token is written");
    let mut command = Command::new(binary());
    command.arg("serve").arg("--data").arg(folder.join("pillarbox.redb"));
    command.arg("--ready-file").arg(folder.join("ready.json")).arg("--http-token-file").arg(token);
    command.args(["--hostname", "mx.example.test", "--resolver", "127.0.0.1:9"]);
    for name in ["smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s", "http", "https"] {
        command.arg("--listen").arg(format!("{name}=127.0.0.1:0"));
    }
    command.args(arguments).env_remove("PILLARBOX_SET").env_remove("PILLARBOX_STATE");
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}
