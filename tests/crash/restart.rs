//! The real program, started again within its process with a file that was restored: it stays where it was, turns nobody
//! away without a word, says that its UIDs are new, leaks nothing, and hears a signal in the middle.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::imap::Imap;
use crate::kill::serve;
use crate::site::{PASSWORD, Site, binary, data_file, say};
use crate::wire::{Pop3, Smtp, stuff};

const USER: &str = "u0@example.test";
const RESTARTS: usize = 5;
/// A fault that no slow machine explains.
const LIMIT: Duration = Duration::from_secs(120);
/// Memory that may come and go with caches and the allocator's arenas.
const GROWTH_KB: u64 = 48 * 1024;
/// What is told by each listener to whoever comes too early, and what by a server.
const EARLY: [&str; 4] = ["421 ", "* BYE ", "-ERR ", "HTTP/1.1 503 "];
const GREETINGS: [&str; 4] = ["220 ", "* OK ", "+OK ", "HTTP/1.1 200 "];

#[test]
fn restarted_with_a_restored_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let site = serve(folder.path(), None);
    site.create_accounts(&["u0".to_owned()]);
    send(&site, "then");
    let cookie = log_in(&site);
    assert_eq!(status_with(&site, &cookie), 200);
    let copy = backup(folder.path());
    let (pid, mut validity) = (site.pid(), uid_validity(&site));
    let mut held = Vec::new();
    for restart in 1..=RESTARTS {
        send(&site, "later");
        assert_eq!(count(&site), 2);
        let visitors = Visitors::at(&site);
        // A stop waits for who is in the middle of something: so there is time to see what others are told.
        let mut busy = in_content(&site);
        let restoring = restore(folder.path(), &copy);
        visitors.wait_for(&EARLY);
        let reply = busy.message(&stuff(b"Subject: the last\r\n\r\nword\r\n"));
        assert!(reply.as_ref().is_ok_and(|reply| reply.code == 250), "what was begun is brought to an end: {reply:?}");
        drop(busy);
        succeeded(restoring);
        let refused = visitors.finish();
        assert_eq!(refused, 0, "connections were refused");
        assert_eq!(count(&site), 1, "the file is that of then");
        assert_eq!(status_with(&site, &cookie), 401, "who was logged in then logs in anew");
        let rows = site.rest("GET", "/api/v1/audit?action=restored", "").1;
        let [row] = rows["items"].as_array().expect("a list").as_slice() else { panic!("one row, not {rows}") };
        assert_eq!((row["actor"].as_str(), row["after"]["copy"].as_str()), (Some("restore"), Some("upload")), "{row}");
        let now = uid_validity(&site);
        assert!(now > validity, "the UIDs are new: {now}, {validity}");
        validity = now;
        assert_eq!(aside(folder.path()), restart, "the file as it was lies beside it");
        assert!(folder.path().join("ready.json").exists() && site.pid() == pid);
        held.push(Held::settled(pid, held.first()));
    }
    let (first, last) = (&held[0], &held[RESTARTS - 1]);
    assert!(last.resident_kb < first.resident_kb + GROWTH_KB, "memory grows: {held:?}");

    // A signal that comes while nothing listens for connections is heard all the same.
    let visitors = Visitors::at(&site);
    let mut busy = in_content(&site);
    let mut restoring = restore(folder.path(), &copy);
    visitors.wait_for(&EARLY[..1]);
    site.terminate();
    let _ = busy.message(&stuff(b"Subject: the last\r\n\r\nword\r\n"));
    drop(busy);
    assert_eq!(site.wait(LIMIT).code(), Some(0), "SIGTERM ends the server with success");
    drop(visitors);
    let _ = restoring.kill();
    let _ = restoring.wait();
    // What was staged is put in place by the next start.
    let site = serve(folder.path(), None);
    assert_eq!(count(&site), 1);
    assert!(uid_validity(&site) > validity);
    assert!(site.stop().success());
    say(&format!(
        "pillarbox: restarted {RESTARTS} times with a restored file: {} descriptors, {} threads, {} to {} MB; nobody was refused",
        last.descriptors,
        last.threads,
        first.resident_kb / 1024,
        last.resident_kb / 1024
    ));
}

fn send(site: &Site, subject: &str) {
    let mut session = Smtp::connect(site.address("smtp")).expect("the server greets");
    let content = format!("Subject: {subject}\r\n\r\nx\r\n");
    session.submit("a@far.test", &[USER], content.as_bytes()).expect("it is taken");
}

/// A session that is in the middle of a message.
fn in_content(site: &Site) -> Smtp {
    let mut session = Smtp::connect(site.address("smtp")).expect("the server greets");
    assert_eq!(session.envelope("a@far.test", &[USER]).expect("a reply").code, 354);
    session
}

/// The cookie of a browser's session.
fn log_in(site: &Site) -> String {
    let body = format!(r#"{{"email":"{USER}","password":"{PASSWORD}"}}"#);
    let answer = ask(site, &Site::request(site.address("http"), "POST", "/api/v1/session", &body));
    let field = answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")).expect("a cookie");
    field.split(';').next().unwrap_or_default().to_owned()
}

fn status_with(site: &Site, cookie: &str) -> u16 {
    let request = format!(
        "GET /api/v1/session HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\nSec-Fetch-Site: same-origin\r\n\
         Connection: close\r\n\r\n"
    );
    ask(site, &request).split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status")
}

fn ask(site: &Site, request: &str) -> String {
    let mut stream = TcpStream::connect(site.address("http")).expect("the http listener answers");
    stream.write_all(request.as_bytes()).expect("the request is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the answer is read");
    answer
}

fn count(site: &Site) -> usize {
    Pop3::count_of(site.address("pop3"), USER, PASSWORD).expect("the account can log in")
}

fn uid_validity(site: &Site) -> u64 {
    let mut session = Imap::login(site.address("imap"), USER, PASSWORD).expect("the account can log in");
    session.ok("SELECT INBOX").expect("it opens").code_number("UIDVALIDITY").expect("a UIDVALIDITY")
}

fn backup(folder: &Path) -> PathBuf {
    let made = command(folder, &["backup", "create", "--wait", "-o", "json"]).output().expect("it runs");
    assert!(made.status.success(), "a backup is made: {made:?}");
    let id = serde_json::from_slice::<serde_json::Value>(&made.stdout).expect("JSON")["result"]["id"].clone();
    folder.join("mail.backups").join(format!("{}.redb", id.as_str().expect("an id")))
}

fn restore(folder: &Path, copy: &Path) -> Child {
    let mut restore = command(folder, &["restore", copy.to_str().expect("UTF-8"), "--restart"]);
    restore.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs")
}

fn succeeded(restoring: Child) {
    let said = restoring.wait_with_output().expect("it ends");
    assert!(said.status.success(), "{said:?}");
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.ends_with("the server has started again with the copy\n"), "{said}");
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(arguments).arg("--data").arg(data_file(folder)).stdin(Stdio::null());
    command
}

/// How many files of before lie there.
fn aside(folder: &Path) -> usize {
    let names = fs::read_dir(folder).expect("the folder is there");
    names.filter(|entry| entry.as_ref().is_ok_and(|entry| is_aside(&entry.file_name().to_string_lossy()))).count()
}

fn is_aside(name: &str) -> bool {
    name.contains(".before-restore-")
}

/// Clients that come again and again to each listener, and read what they are told.
struct Visitors {
    stop: Arc<AtomicBool>,
    told: Arc<Mutex<BTreeSet<String>>>,
    threads: Vec<JoinHandle<usize>>,
}

impl Visitors {
    fn at(site: &Site) -> Self {
        let (stop, told) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(BTreeSet::new())));
        let visit = |name: &str| {
            let (address, stop, told) = (site.address(name), Arc::clone(&stop), Arc::clone(&told));
            let is_web = name == "http";
            std::thread::spawn(move || {
                let mut refused = 0;
                while !stop.load(Ordering::SeqCst) {
                    match visit(address, is_web) {
                        Err(_) => refused += 1,
                        // The web server lets go of who has asked for nothing yet.
                        Ok(line) if line.is_empty() && is_web => {}
                        Ok(line) => {
                            told.lock().expect("nobody panics").insert(line);
                        }
                    }
                    std::thread::sleep(Duration::from_millis(10));
                }
                refused
            })
        };
        let threads = ["smtp", "imap", "pop3", "http"].map(visit).into();
        Self { stop, told, threads }
    }

    /// Until each of these was heard.
    fn wait_for(&self, words: &[&str]) {
        let deadline = Instant::now() + LIMIT;
        loop {
            let told = self.told.lock().expect("nobody panics").clone();
            if words.iter().all(|word| told.iter().any(|line| line.starts_with(word))) {
                return;
            }
            assert!(Instant::now() < deadline, "{words:?} are said, not only {told:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// How many connections were refused; all others were told something that makes sense.
    fn finish(mut self) -> usize {
        self.stop.store(true, Ordering::SeqCst);
        let refused = self.threads.drain(..).map(|thread| thread.join().expect("it ends")).sum();
        for line in self.told.lock().expect("nobody panics").iter() {
            let is_known = EARLY.iter().chain(&GREETINGS).any(|word| line.starts_with(word));
            assert!(is_known, "{line:?} is a greeting");
        }
        refused
    }
}

impl Drop for Visitors {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

/// The first line that comes. An error: the connection was refused.
fn visit(address: SocketAddr, is_web: bool) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    let mut line = String::new();
    // What follows may come upon the end of a connection that was not refused.
    if is_web {
        let _ = stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    }
    let _ = BufReader::new(stream).read_line(&mut line);
    Ok(line)
}

/// What a process holds.
#[derive(Debug, Clone)]
struct Held {
    descriptors: usize,
    threads: usize,
    resident_kb: u64,
}

impl Held {
    fn now(pid: u32) -> Self {
        let count = |what: &str| fs::read_dir(format!("/proc/{pid}/{what}")).expect("it runs").count();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a process has memory");
        let resident_kb = resident.trim().trim_end_matches(" kB").parse().expect("a number");
        Self { descriptors: count("fd"), threads: count("task"), resident_kb }
    }

    /// When no more is open than before: what the last connections held goes a moment behind them.
    fn settled(pid: u32, before: Option<&Self>) -> Self {
        let Some(before) = before else {
            // The least of a second: nothing is under way by then.
            let seen: Vec<Self> = (0..20)
                .map(|_| {
                    std::thread::sleep(Duration::from_millis(50));
                    Self::now(pid)
                })
                .collect();
            let least = |of: fn(&Self) -> usize| seen.iter().map(of).min().unwrap_or_default();
            let resident_kb = seen.last().map_or(0, |held| held.resident_kb);
            return Self {
                descriptors: least(|held| held.descriptors),
                threads: least(|held| held.threads),
                resident_kb,
            };
        };
        let deadline = Instant::now() + LIMIT;
        loop {
            let held = Self::now(pid);
            if held.descriptors <= before.descriptors && held.threads <= before.threads {
                return held;
            }
            assert!(Instant::now() < deadline, "a restart leaks: {held:?}, {before:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
