//! From a crash to the first 220: how long it takes, and what clients are told meanwhile.

mod answers;
mod fill;
mod slow;

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::kill::compare::Expect;
use crate::kill::load::{Attempt, Load};
use crate::kill::{accounts, addresses, count_from_environment, seed, verify};
use crate::site::{self, Site, data_file, is_release, say};
use crate::wire::Smtp;
use answers::{Answers, Said};
use slow::Slow;

/// Octets of the file before the first kill, beyond those up to which a repair takes no second: 10 GB on demand,
/// `PILLARBOX_START_BYTES`.
const FILE_BYTES: u64 = 320_000_000;
/// Kills of each kind; 20 on demand: `PILLARBOX_START_KILLS`.
const KILLS: u64 = 2;
/// Octets of a file whose repair has enough to read.
const REPAIRED_BYTES: u64 = 16_000_000;
/// What "lightly loaded" is.
const LIGHT_MESSAGES_PER_S: u32 = 20;
/// For so long before each kill.
const LIGHT_S: u32 = 3;
/// So many messages are acknowledged before a kill in a burst.
const ACKNOWLEDGED_MIN: usize = 20;
/// The whole process's peak with a page cache of 32 MiB: what fits a machine with 512 MB, however large the file is.
const PEAK_LIMIT_BYTES: u64 = 200_000_000;
/// A fault that no slow machine explains.
const START_LIMIT: Duration = Duration::from_secs(60);

/// A server with the page cache of a small machine.
fn serve(folder: &Path, smtp: Option<SocketAddr>) -> Site {
    let smtp = smtp.map_or_else(|| "smtp=127.0.0.1:0".to_owned(), |address| format!("smtp={address}"));
    Site::serve(
        folder,
        &["--listen", &smtp, "--set", "store.cache_bytes=33554432", "--set", "disk.reserve_bytes=1073741824"],
    )
}

/// How often the servers of `folder` had to repair the file.
pub fn repairs(folder: &Path) -> usize {
    fs::read_to_string(folder.join("stderr.log")).expect("the log is read").matches("repair_begun").count()
}

/// A server that was killed and is there again.
struct Restart {
    site: Site,
    /// The code of the first greeting, and how long after the start it came.
    first: (u16, Duration),
    served: Duration,
}

impl Restart {
    /// Starts the server on the file that is there, and asks for its greeting until that is 220.
    fn on(folder: &Path, smtp: SocketAddr) -> Self {
        let began = Instant::now();
        std::thread::scope(|scope| {
            let site = scope.spawn(|| serve(folder, Some(smtp)));
            let mut first = None;
            let served = loop {
                // Refused: nothing listens yet.
                if let Ok((_, greeting)) = Smtp::greeting(smtp) {
                    let seen = (greeting.code, began.elapsed());
                    first.get_or_insert(seen);
                    match greeting.code {
                        220 => break seen.1,
                        421 => {}
                        _ => panic!("{}", greeting.text),
                    }
                }
                assert!(began.elapsed() < START_LIMIT * 10, "no 220");
                std::thread::sleep(Duration::from_millis(2));
            };
            let site = site.join().expect("the server starts");
            Self { site, first: first.expect("220 was the first, or another"), served }
        })
    }
}

#[test]
fn a_file_that_was_idle_or_lightly_used_opens_at_once_and_no_other_takes_a_silent_start() {
    if !is_release() {
        say("SKIPPED: the time to the first 220 needs a release binary (PILLARBOX_BIN)");
        return;
    }
    let (kills, seed) = (count_from_environment("PILLARBOX_START_KILLS", KILLS), seed());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut site = serve(folder.path(), None);
    site.create_accounts(&accounts());
    fill::fill(
        site.address("smtp"),
        &data_file(folder.path()),
        count_from_environment("PILLARBOX_START_BYTES", FILE_BYTES),
    );
    let smtp = site.address("smtp");
    let file_bytes = fs::metadata(data_file(folder.path())).expect("the file is there").blocks() * 512;

    let filled = peak_bytes(site.pid());

    let (mut idle, mut light, mut burst, mut first, mut peak) = (vec![], vec![], vec![], vec![], filled);
    let (mut light_repairs, mut otherwise) = (0, 0);
    for is_light in [false, true] {
        for _ in 0..kills {
            if is_light {
                load_lightly(smtp);
            } else {
                wait_until_it_opens_at_once(&site);
            }
            let (opens_at_once, before) = (opens_at_once(&site), repairs(folder.path()));
            site.kill();
            let restart = Restart::on(folder.path(), smtp);
            let repaired = repairs(folder.path()) - before;
            otherwise += usize::from(opens_at_once == (repaired > 0));
            if is_light {
                light_repairs += repaired;
                light.push(restart.served);
            } else {
                idle.push(restart.served);
            }
            site = restart.site;
        }
    }
    // A commit of the background may have come between the look at the figure and the kill; once, but not as a rule.
    assert!(
        otherwise <= 1,
        "{otherwise} of {} files were repaired, or not, against what the figure had said",
        2 * kills
    );
    // What is light is decided by how busy the machine is, of which many know more than few.
    assert!(light_repairs < kills as usize || kills <= KILLS, "each of {kills} files was repaired");
    let before = repairs(folder.path());
    for kill in 0..kills {
        let load = Load::start(smtp, &addresses(), seed.wrapping_add(kill));
        load.wait_for(ACKNOWLEDGED_MIN);
        std::thread::sleep(Duration::from_secs(2));
        site.kill();
        load.finish();
        let restart = Restart::on(folder.path(), smtp);
        burst.push(restart.served);
        first.push(restart.first.1);
        site = restart.site;
        peak = peak.max(peak_bytes(site.pid()));
    }
    let burst_repairs = repairs(folder.path()) - before;
    assert!(site.stop().success(), "the server stops");
    site::check(&data_file(folder.path()));
    let slowest = |times: &[Duration]| times.iter().max().copied().unwrap_or_default();
    say(&format!(
        "pillarbox: start: a file of {:.1} GB, {kills} kills of each kind: 220 after at most {:?} when it was idle, {:?} at \
         {LIGHT_MESSAGES_PER_S} messages a second ({light_repairs} of them repaired); in a burst an answer after {:?} and \
         220 after {:?} ({burst_repairs} of them repaired); with a page cache of 32 MiB {} MB of memory at most, filling and \
         repairing",
        file_bytes as f64 / 1e9,
        slowest(&idle),
        slowest(&light),
        slowest(&first),
        slowest(&burst),
        peak / 1_000_000
    ));
    assert!(peak < PEAK_LIMIT_BYTES, "{peak} octets of memory");
    for times in [&idle, &light, &first] {
        assert!(slowest(times) < START_LIMIT, "{times:?}");
    }
}

/// Waits until a crash would need no repair.
fn wait_until_it_opens_at_once(site: &Site) {
    let deadline = Instant::now() + START_LIMIT;
    while !opens_at_once(site) {
        assert!(Instant::now() < deadline, "an idle file opens at once");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether a crash now would need no repair, by the server's own word.
fn opens_at_once(site: &Site) -> bool {
    answers::metrics(site.address("http")).contains("\npillarbox_db_opens_at_once 1.0\n")
}

/// Sends small messages at their pace; the last was just acknowledged when it returns.
fn load_lightly(smtp: SocketAddr) {
    let mut session = Smtp::connect(smtp).expect("the server greets");
    let began = Instant::now();
    for number in 0..LIGHT_MESSAGES_PER_S * LIGHT_S {
        let due = Duration::from_secs(1) * number / LIGHT_MESSAGES_PER_S;
        std::thread::sleep(due.saturating_sub(began.elapsed()));
        let content = crate::mails::of_size(&format!("light{number}"), u64::from(number), 4096);
        session.submit("light@load.test", &["u0@example.test"], &content).expect("it is taken");
    }
}

#[test]
fn while_the_file_is_repaired_every_client_is_told_so() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let site = Site::serve(folder.path(), &[]);
    site.create_accounts(&accounts());
    let (smtp, seed) = (site.address("smtp"), seed());
    let answers = Answers::of(&site);
    let mut running = Some(site);
    let mut attempts = Vec::new();
    let (slow, mut last) = loop {
        let site = running.take().unwrap_or_else(|| serve(folder.path(), Some(smtp)));
        attempts.extend(kill_when_it_needs_repair(site, folder.path(), seed.wrapping_add(attempts.len() as u64)));
        // Each read of the file takes a while, so that the repair lasts until the test has seen enough.
        let slow = Slow::start(folder.path(), &answers.listen());
        // The last commit may have come between the look at the figure and the kill.
        match answers.wait_for_repair() {
            Some(percent) => break (slow, percent),
            None => assert_eq!(slow.terminate().code(), Some(0)),
        }
    };
    answers.check(folder.path());
    while last < 3 {
        let Said::Repairing(percent) = answers.smtp() else { panic!("it is still being repaired") };
        assert!(percent >= last, "{percent} % after {last} %");
        last = percent;
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(!folder.path().join("ready.json").exists(), "nothing is ready");
    // Told to stop, it does at once, and has changed nothing.
    assert_eq!(slow.terminate().code(), Some(0));
    site::check(&data_file(folder.path()));
    assert!(!data_file(folder.path()).with_extension("sock").exists(), "the unix socket is gone");

    let slow = Slow::start(folder.path(), &answers.listen());
    assert!(answers.wait_for_repair().is_some(), "it still has to be repaired");
    slow.hasten();
    // From the first greeting on the listener was never closed.
    answers.wait_for_220();
    slow.wait_until_ready(folder.path());
    assert_eq!(slow.terminate().code(), Some(0));
    let before = repairs(folder.path());
    assert!(before >= 2, "both starts repaired");
    let site = serve(folder.path(), None);
    assert_eq!(repairs(folder.path()), before, "what was stopped needs no repair");
    verify(&site, &attempts, Expect::Acknowledged);
}

/// Kills a server in a burst, at a moment at which a crash needs a repair that takes a while.
fn kill_when_it_needs_repair(site: Site, folder: &Path, seed: u64) -> Vec<Attempt> {
    let load = Load::start(site.address("smtp"), &addresses(), seed);
    let deadline = Instant::now() + START_LIMIT;
    let is_large = || fs::metadata(data_file(folder)).is_ok_and(|there| there.blocks() * 512 > REPAIRED_BYTES);
    while !is_large() || opens_at_once(&site) {
        assert!(Instant::now() < deadline, "a load of many senders leaves a file that needs repair");
        std::thread::sleep(Duration::from_millis(5));
    }
    site.kill();
    load.finish()
}

/// VmHWM of a process.
fn peak_bytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a running process has a status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM is listed");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number of kB");
    kib * 1024
}
