//! The real program on a disk that fails: the n-th write or sync ends with EIO, which strace puts in its way. From then
//! on nothing more is acknowledged, who waits hears that it is not now, the process ends with code 74 within two
//! seconds, and the next one starts with all that was acknowledged.

mod load;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::dns::{Dns, Zone};
use crate::imap::Imap;
use crate::kill::count_from_environment;
use crate::kill::load::id_of;
use crate::sink::{ALWAYS, Fault, Sink, Stage, free_port};
use crate::site::{self, Guarded, PASSWORD, Site, data_file, say};
use crate::wire::Pop3;
use crate::yardstick::Yardstick;
use load::{ALICE, DAVE, Heard, Load};

/// Failing disks of one run: 3 in tests/all, 20 on demand: `PILLARBOX_DISK_ERRORS`.
const ERRORS: u64 = 3;
/// Which one fails, counted from the moment at which the load begins.
const PLACES: [u64; 5] = [20, 100, 5, 1, 2];
/// From the failure to the end of the process, as a thread that only runs sees it: two seconds on a quiet machine.
const END_LIMIT: Duration = Duration::from_secs(2);

#[test]
fn after_an_error_nothing_is_acknowledged_and_nothing_is_lost() {
    let (mut acknowledged, mut put_off, mut slowest, mut by_the_wall) = (0, 0, Duration::ZERO, Duration::ZERO);
    let errors = count_from_environment("PILLARBOX_DISK_ERRORS", ERRORS);
    for number in 0..errors {
        // Each place with each call, then the same with a disk that goes on failing.
        let call = ["fdatasync", "pwrite64"][(number % 2) as usize];
        let place = PLACES[(number % 5) as usize];
        let lasting = if number / 10 % 2 == 1 { "+" } else { "" };
        let Some(seen) = fail(call, &format!("{place}{lasting}")) else { return };
        acknowledged += seen.acknowledged;
        put_off += seen.put_off;
        assert!(seen.until_end < END_LIMIT, "{call} {place}: the end came {:?} after the failure", seen.until_end);
        slowest = slowest.max(seen.until_end);
        by_the_wall = by_the_wall.max(seen.until_end_by_the_wall);
    }
    assert!(put_off > 0, "somebody was in the middle of something");
    say(&format!(
        "pillarbox: {errors} disks failed under load: {acknowledged} acknowledged messages each there once, {put_off} \
         senders put off, exit code 74 after {by_the_wall:?} at the latest ({slowest:?} of a thread that only runs)"
    ));
}

struct Seen {
    acknowledged: usize,
    put_off: usize,
    until_end: Duration,
    until_end_by_the_wall: Duration,
}

/// `None`, and a line that says so, where no program may be traced.
fn fail(call: &str, when: &str) -> Option<Seen> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let port = free_port();
    let sink = Sink::start(&format!("127.0.0.4:{port}"));
    sink.fail(Stage::End, Fault::Reply("451 4.3.0 not now"), ALWAYS);
    let dns = Dns::start(Zone::new().mail("far.test", "127.0.0.4"));
    let (resolver, port) = (dns.address.to_string(), port.to_string());
    let mut arguments = vec!["--resolver", &resolver, "--remote-port", &port];
    arguments.extend(["--set", "delivery.allow_networks=127.0.0.0/8", "--set", "http.requests_per_minute=1000000"]);
    let site = Site::serve(folder.path(), &arguments);
    site.create_accounts(&["alice".to_owned(), "dave".to_owned()]);
    let load = Load::new(&site);
    let strace = Strace::attach(site.pid(), call, when, folder.path())?;
    let yardstick = Yardstick::start();
    let heard = load.run(&site);
    let status = site.wait(Duration::from_secs(60));
    let marks = yardstick.stop();
    let (failed, ended) = strace.failure_and_end();
    let (until_end, until_end_by_the_wall) = (marks.between(failed, ended), ended.saturating_sub(failed));
    assert_eq!(status.code(), Some(74), "{call} {when}: {status}");
    for refusal in &heard.refusals {
        assert!(is_put_off(refusal), "{call} {when}: {refusal}");
    }
    let log = fs::read_to_string(folder.path().join("stderr.log")).expect("the server's log");
    assert!(log.contains("the file failed: nothing more is acknowledged"), "{log}");

    let site = Site::serve(folder.path(), &arguments);
    verify(&site, &heard);
    assert!(site.stop().success(), "the server stops");
    site::check(&data_file(folder.path()));
    let acknowledged = heard.sent.len() + heard.appended.len() + heard.posted.len() + heard.queued.len();
    Some(Seen { acknowledged, put_off: heard.refusals.len(), until_end, until_end_by_the_wall })
}

/// A temporary error of SMTP, IMAP or HTTP.
fn is_put_off(refusal: &str) -> bool {
    ["451 4.3.", "421 4.3.", "421 4.", "NO [UNAVAILABLE]", "BYE [UNAVAILABLE]", "503"]
        .iter()
        .any(|start| refusal.starts_with(start))
}

/// What was acknowledged is there, once.
fn verify(site: &Site, heard: &Heard) {
    let mut pop3 = Pop3::login(site.address("pop3"), DAVE, PASSWORD).expect("dave logs in");
    let contents = pop3.retrieve_all().expect("RETR answers");
    let there: BTreeSet<String> = contents.iter().map(|content| id_of(content)).collect();
    assert_eq!(there.len(), contents.len(), "no message is there twice");
    let lost: Vec<&String> = heard.sent.iter().filter(|id| !there.contains(*id)).collect();
    assert!(lost.is_empty(), "acknowledged by SMTP and lost: {lost:?}");
    let mut imap = Imap::login(site.address("imap"), ALICE, PASSWORD).expect("alice logs in");
    imap.ok("SELECT INBOX").expect("SELECT");
    let fetched = imap.ok("UID FETCH 1:* (ENVELOPE)").expect("FETCH");
    let shown: Vec<String> = fetched.fetches().map(|(_, items)| format!("{items:?}")).collect();
    for id in &heard.appended {
        let copies = shown.iter().filter(|item| item.contains(&format!("<{id}@"))).count();
        assert_eq!(copies, 1, "{id} was acknowledged by APPEND");
    }
    for id in heard.posted.iter().chain(&heard.queued) {
        let (status, story) = site.rest("GET", &format!("/api/v1/trace/{id}"), "");
        assert_eq!(status, 200, "{id} was acknowledged: {story}");
    }
    let queue = load::queue(site);
    for id in &heard.queued {
        let entries = queue.iter().filter(|entry| entry["message_id"] == id.as_str()).count();
        assert_eq!(entries, 1, "{id} waits for elsewhere");
    }
}

/// A strace that lets one call of a process fail.
struct Strace {
    child: Guarded,
    out: std::path::PathBuf,
}

impl Strace {
    fn attach(pid: u32, call: &str, when: &str, folder: &Path) -> Option<Self> {
        let (out, err) = (folder.join("strace.out"), folder.join("strace.err"));
        let child = Command::new("strace")
            .args(["-f", "-ttt", "-e", &format!("trace={call}"), "-e", "signal=none"])
            .args(["-e", &format!("inject={call}:error=EIO:when={when}")])
            .arg("-o")
            .arg(&out)
            .args(["-p", &pid.to_string()])
            .stderr(Stdio::piped())
            .spawn()
            .expect("strace is there");
        let mut child = Guarded(child);
        // It says so once every thread is attached; without leave it ends instead.
        let mut said = BufReader::new(child.0.stderr.take().expect("its output is ours"));
        let mut line = String::new();
        said.read_line(&mut line).expect("strace says something");
        if !line.contains(" attached") {
            let _ = child.0.wait();
            say(&format!("SKIPPED: a disk error needs leave to trace a process: {}", line.trim()));
            return None;
        }
        // Nobody reads on: it must not wait for that.
        let mut rest = File::create(err).expect("a file is made");
        std::thread::spawn(move || std::io::copy(&mut said, &mut rest));
        Some(Self { child, out })
    }

    /// When the first call failed, and when the process ended, as strace saw both: since 1970.
    fn failure_and_end(mut self) -> (Duration, Duration) {
        let _ = self.child.0.wait();
        let seen = fs::read_to_string(&self.out).expect("what strace saw");
        let at = |line: &str| {
            let mut words = line.split_ascii_whitespace().filter_map(|word| word.parse::<f64>().ok());
            // The thread's number, and the time.
            Duration::from_secs_f64(words.nth(1).unwrap_or_else(|| panic!("a time in {line:?}")))
        };
        let failed = seen.lines().find(|line| line.contains("(INJECTED)")).expect("a call has failed");
        let ended = seen.lines().rfind(|line| line.contains("+++ exited")).expect("the process has ended");
        (at(failed), at(ended))
    }
}
