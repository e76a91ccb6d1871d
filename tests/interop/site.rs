//! A running mail server as a black box: the real program on free loopback ports, found by its ready file.
//!
//! With `PILLARBOX_AGAINST=postfix-dovecot` the tests of programs run against Postfix and Dovecot instead, which proves
//! the tests themselves.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::wire::Pop3;

/// What every account's password is.
pub const PASSWORD: &str = "pillarbox";
/// The listeners that are asked for, each on a port that the system picks.
const LISTENERS: [&str; 9] = ["smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s", "http", "https"];
/// The bearer token of [`Site::serve`].
pub const TOKEN: &str = "pbx_interop_0123456789abcdef0123456789abcdef";
/// How long a start may take before the test fails; only what is slower than this is a fault here.
const START_LIMIT: Duration = Duration::from_secs(60);
/// The same for a job; the largest are on files of gigabytes.
const JOB_LIMIT: Duration = Duration::from_secs(600);

/// The program under test.
pub fn binary() -> PathBuf {
    std::env::var_os("PILLARBOX_BIN").map_or_else(|| env!("CARGO_BIN_EXE_pillarbox").into(), PathBuf::from)
}

/// Whether [`binary`] is a release build; figures mean something only there.
pub fn is_release() -> bool {
    if std::env::var_os("PILLARBOX_BIN").is_some() {
        !binary().to_string_lossy().contains("/debug/")
    } else {
        !cfg!(debug_assertions)
    }
}

/// Writes past the test harness's capture: for what a person must see of a test that passes.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// A process that ends with the test, however that ends: dropping it kills it.
pub struct Guarded(pub Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server and where it listens. Dropping it ends it at once.
pub struct Site {
    process: Process,
    listeners: BTreeMap<String, SocketAddr>,
    stderr: PathBuf,
}

enum Process {
    Pillarbox(Child),
    /// The folder of `postfix-dovecot`.
    Peer(PathBuf),
}

impl Site {
    /// The server for tests of programs, with alice@ and bob@example.test: `pillarbox dev`, or the peer.
    pub fn start(folder: &Path) -> Self {
        match std::env::var("PILLARBOX_AGAINST").as_deref() {
            Ok("postfix-dovecot") => Self::peer(folder, "alice bob"),
            Ok(other) => panic!("PILLARBOX_AGAINST is postfix-dovecot or unset, not {other}"),
            Err(_) => Self::launch("dev", folder, &[], &[]),
        }
    }

    /// `pillarbox serve` on `folder`'s file, with `arguments` after the usual ones.
    pub fn serve(folder: &Path, arguments: &[&str]) -> Self {
        Self::serve_as(folder, "mx.example.test", arguments)
    }

    /// The same under another name.
    pub fn serve_as(folder: &Path, hostname: &str, arguments: &[&str]) -> Self {
        Self::serve_in(folder, hostname, arguments, &[])
    }

    /// `pillarbox serve` with what the image sets for malloc (Dockerfile).
    pub fn serve_as_the_image(folder: &Path, arguments: &[&str]) -> Self {
        Self::serve_in(folder, "mx.example.test", arguments, &[("MALLOC_TRIM_THRESHOLD_", "131072")])
    }

    fn serve_in(folder: &Path, hostname: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let token_file = folder.join("token");
        fs::write(&token_file, TOKEN).expect("the token file is written");
        let token_file = token_file.to_str().expect("a temporary path is UTF-8");
        let mut all = vec!["--hostname", hostname, "--http-token-file", token_file];
        all.extend(arguments);
        Self::launch("serve", folder, &all, environment)
    }

    /// The command line of a server on `folder`'s file, for starts that end otherwise than in a running server.
    pub fn command(command: &str, folder: &Path, arguments: &[&str]) -> Command {
        let mut line = Command::new(binary());
        line.arg(command).arg("--ready-file").arg(folder.join("ready.json"));
        // A file that is not in the folder is named among the arguments.
        if !arguments.contains(&"--data") {
            line.arg("--data").arg(data_file(folder));
        }
        for name in LISTENERS {
            let named =
                arguments.iter().any(|argument| argument.strip_prefix(name).is_some_and(|rest| rest.starts_with('=')));
            if !named {
                line.arg("--listen").arg(format!("{name}=127.0.0.1:0"));
            }
        }
        // An RSA key costs a debug build a second of a core, while others are measured or killed.
        if !arguments.iter().any(|argument| argument.starts_with("dkim.create_keys=")) {
            line.args(["--set", "dkim.create_keys=false"]);
        }
        line.args(arguments).env_remove("PILLARBOX_SET").stdin(Stdio::null());
        line
    }

    fn launch(command: &str, folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let ready_file = folder.join("ready.json");
        let _ = fs::remove_file(&ready_file);
        let stderr = folder.join("stderr.log");
        let log = File::options().create(true).append(true).open(&stderr).expect("the log file opens");
        let out = File::create(folder.join("stdout.log")).expect("the output file opens");
        let mut child = Self::command(command, folder, arguments)
            .envs(environment.iter().copied())
            .stdout(out)
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{} starts: {error}", binary().display()));
        let deadline = Instant::now() + START_LIMIT;
        let listeners = loop {
            if let Some(listeners) = read_ready_file(&ready_file) {
                break listeners;
            }
            if let Some(status) = child.try_wait().expect("a child can be asked") {
                panic!("the server ended at its start: {status}\n{}", fs::read_to_string(&stderr).unwrap_or_default());
            }
            assert!(Instant::now() < deadline, "no ready file: {}", fs::read_to_string(&stderr).unwrap_or_default());
            std::thread::sleep(Duration::from_millis(2));
        };
        Self { process: Process::Pillarbox(child), listeners, stderr }
    }

    /// Postfix and Dovecot with `accounts` (names at example.test, with spaces between), in `folder`.
    pub fn peer(folder: &Path, accounts: &str) -> Self {
        Self::peer_with(folder, &[("PEER_ACCOUNTS", accounts)])
    }

    /// Postfix and Dovecot in `folder`, with the variables that `postfix-dovecot` knows.
    pub fn peer_with(folder: &Path, variables: &[(&str, &str)]) -> Self {
        let folder = folder.join("peer");
        let status = peer_script().arg("start").arg(&folder).envs(variables.iter().copied()).status();
        assert!(status.is_ok_and(|status| status.success()), "the peer starts");
        let listeners = read_ready_file(&folder.join("ready.json")).expect("the peer's ready file");
        let stderr = folder.join("dovecot.log");
        Self { process: Process::Peer(folder), listeners, stderr }
    }

    /// Where the listener `name` is bound.
    pub fn address(&self, name: &str) -> SocketAddr {
        *self.listeners.get(name).unwrap_or_else(|| panic!("the ready file names {name}: {:?}", self.listeners))
    }

    /// The port of the listener `name`, as text for a command line.
    pub fn port(&self, name: &str) -> String {
        self.address(name).port().to_string()
    }

    /// The process that was started (of the peer: none, it is a tree of its own).
    pub fn pid(&self) -> u32 {
        match &self.process {
            Process::Pillarbox(child) => child.id(),
            Process::Peer(_) => panic!("the peer is not one process"),
        }
    }

    /// The processes whose descendants, with themselves, are all of the server.
    pub fn roots(&self) -> Vec<u32> {
        match &self.process {
            Process::Pillarbox(child) => vec![child.id()],
            Process::Peer(folder) => {
                let text = fs::read_to_string(folder.join("ready.json")).expect("the peer's ready file");
                let json: serde_json::Value = serde_json::from_str(&text).expect("the ready file is JSON");
                let pids = json["pids"].as_array().expect("the peer's ready file has pids");
                pids.iter().map(|pid| pid.as_u64().and_then(|pid| pid.try_into().ok()).expect("a pid")).collect()
            }
        }
    }

    /// The peer's Maildir of `account`, where its mail can be counted without asking it.
    pub fn maildir(&self, account: &str) -> PathBuf {
        match &self.process {
            Process::Pillarbox(_) => panic!("Pillarbox has no Maildir"),
            Process::Peer(folder) => folder.join("mail").join(account),
        }
    }

    /// Whether this is Postfix and Dovecot.
    pub fn is_peer(&self) -> bool {
        matches!(self.process, Process::Peer(_))
    }

    /// Waits until `user` has `count` messages: no wait at all for ours, where the 250 means that they are there.
    pub fn wait_for(&self, user: &str, count: usize) {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let there = Pop3::count_of(self.address("pop3"), user, PASSWORD).expect("the account can log in");
            if there == count {
                return;
            }
            assert!(self.is_peer(), "{count} messages with the 250, not {there}");
            assert!(Instant::now() < deadline, "{count} messages, not {there}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Creates example.test and an account for each name over REST, with [`PASSWORD`].
    pub fn create_accounts(&self, names: &[String]) {
        let status = self.put("/api/v1/domains/example.test", "{}");
        assert!(status == 200 || status == 201, "the domain is made: {status}");
        for name in names {
            let body = format!(r#"{{"password":"{PASSWORD}"}}"#);
            let status = self.put(&format!("/api/v1/accounts/{name}@example.test"), &body);
            assert!(status == 200 || status == 201, "the account {name} is made: {status}");
        }
    }

    /// PUTs JSON with the token of [`Site::serve`], and returns the status.
    fn put(&self, path: &str, json: &str) -> u16 {
        self.rest("PUT", path, json).0
    }

    /// Asks the REST interface with the token of [`Site::serve`]: the status and the body, which is null when it is
    /// empty.
    pub fn rest(&self, method: &str, path: &str, json: &str) -> (u16, serde_json::Value) {
        let address = self.address("http");
        let mut stream = TcpStream::connect(address).expect("the http listener answers");
        let request = Self::request(address, method, path, json);
        stream.write_all(request.as_bytes()).expect("the request is sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the answer is read");
        let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.unwrap_or_else(|| panic!("an HTTP answer to {method} {path}, not {answer:?}"));
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        (status, serde_json::from_str(body).unwrap_or_default())
    }

    /// The job that an answer names, when it has ended.
    pub fn ended(&self, started: &serde_json::Value) -> serde_json::Value {
        let path = format!("/api/v1/jobs/{}", started["id"].as_str().unwrap_or_else(|| panic!("a job, not {started}")));
        let deadline = Instant::now() + JOB_LIMIT;
        loop {
            let (_, job) = self.rest("GET", &path, "");
            if !matches!(job["state"].as_str(), Some("queued" | "running")) {
                return job;
            }
            assert!(Instant::now() < deadline, "a job that ends: {job}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The octets of a request with the token of [`Site::serve`], for who wants to see how it ends.
    pub fn request(address: SocketAddr, method: &str, path: &str, json: &str) -> String {
        format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{json}",
            json.len()
        )
    }

    /// Ends the server with SIGKILL, as a power cut would.
    pub fn kill(mut self) {
        if let Process::Pillarbox(child) = &mut self.process {
            child.kill().expect("the server runs until it is killed");
            child.wait().expect("a killed child can be waited for");
        }
    }

    /// Sends SIGTERM; the server goes on until it has stopped gracefully.
    pub fn terminate(&self) {
        let pid = rustix::process::Pid::from_raw(self.pid().cast_signed()).expect("a child's pid is not 0");
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("SIGTERM is sent");
    }

    /// Sends SIGTERM and waits for the end.
    pub fn stop(self) -> ExitStatus {
        self.terminate();
        self.wait(Duration::from_secs(60))
    }

    /// Waits for the server's end; it fails the test when that takes longer than `limit`.
    pub fn wait(mut self, limit: Duration) -> ExitStatus {
        let Process::Pillarbox(child) = &mut self.process else { panic!("the peer is not waited for") };
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = child.try_wait().expect("a child can be asked") {
                return status;
            }
            assert!(Instant::now() < deadline, "the server ends within {limit:?}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        match &mut self.process {
            Process::Pillarbox(child) => {
                let _ = child.kill();
                let _ = child.wait();
            }
            Process::Peer(folder) => drop(peer_script().arg("stop").arg(&*folder).status()),
        }
        let log = fs::read_to_string(&self.stderr).unwrap_or_default();
        if std::thread::panicking() {
            let start = log.char_indices().rev().nth(4000).map_or(0, |(at, _)| at);
            say(&format!("the server's last words:\n{}", &log[start..]));
        } else {
            assert!(!log.contains("panicked at"), "the server panicked:\n{log}");
        }
    }
}

/// The file that the server on `folder` keeps.
pub fn data_file(folder: &Path) -> PathBuf {
    folder.join("mail.redb")
}

/// Runs `pillarbox check` on `file` while no server has it; fails the test unless it is clean.
pub fn check(file: &Path) {
    let output = Command::new(binary()).arg("check").arg(file).stdin(Stdio::null()).output().expect("check runs");
    assert!(output.status.success(), "{} is clean: {} {output:?}", file.display(), output.status);
}

fn peer_script() -> Command {
    Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/postfix-dovecot"))
}

fn read_ready_file(path: &Path) -> Option<BTreeMap<String, SocketAddr>> {
    let text = fs::read_to_string(path).ok()?;
    let json: serde_json::Value = serde_json::from_str(&text).expect("the ready file is JSON");
    let listeners = json["listeners"].as_object().expect("the ready file has listeners");
    let address = |value: &serde_json::Value| value.as_str().and_then(|text| text.parse().ok());
    Some(listeners.iter().filter_map(|(name, value)| Some((name.clone(), address(value)?))).collect())
}
