//! The load: connections that each send one message after the other, until the time is over.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pillarbox::base::{Random, SeededRandom};

use crate::processes;
use crate::site::{PASSWORD, Site};
use crate::wire::{Pop3, Smtp};

/// How long the last messages may take to appear before the run is given up.
const VISIBLE_LIMIT: Duration = Duration::from_secs(120);
/// Every message of all runs has a number of its own, so that no body is like another.
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// One setting of the measurement.
#[derive(Clone, Copy)]
pub struct Cell {
    /// Connections at a time.
    pub connections: usize,
    /// Octets of a message.
    pub size_bytes: usize,
}

/// What one run of a cell gave.
#[derive(Clone, Copy)]
pub struct Measure {
    /// Messages accepted and visible, per second from the first MAIL until the last is visible.
    pub per_second: f64,
    /// Milliseconds of CPU time of the server per message.
    pub cpu_ms: f64,
    /// The share of the machine that neither the server nor this client used while it ran.
    pub others_percent: f64,
}

/// Sends for `seconds` to `accounts` of example.test in turn, and waits until all is visible.
pub fn measure(site: &Site, accounts: &[String], cell: Cell, seconds: f64) -> Measure {
    let smtp = site.address("smtp");
    let before = count(site, accounts);
    let tail = tail(cell.size_bytes);
    let start = Barrier::new(cell.connections + 1);
    let roots = site.roots();
    let (cpu, busy, own) = (processes::cpu_seconds(&roots), processes::machine_busy_seconds(), own_cpu_seconds());
    let (sent, began) = std::thread::scope(|scope| {
        let senders: Vec<_> = (0..cell.connections)
            .map(|_| {
                let (tail, start) = (&tail, &start);
                scope.spawn(move || send(smtp, accounts, tail, start, seconds))
            })
            .collect();
        start.wait();
        let began = Instant::now();
        let sent: usize = senders.into_iter().map(|sender| sender.join().expect("a sender does not fail")).sum();
        (sent, began)
    });
    wait_until_visible(site, accounts, before + sent);
    let elapsed = began.elapsed().as_secs_f64();
    let cpu = processes::cpu_seconds(&roots) - cpu;
    let own = own_cpu_seconds() - own;
    let others = processes::machine_busy_seconds() - busy - cpu - own;
    Measure {
        per_second: sent as f64 / elapsed,
        cpu_ms: cpu * 1000.0 / sent as f64,
        others_percent: (others / elapsed / processes::cores() as f64 * 100.0).max(0.0),
    }
}

fn own_cpu_seconds() -> f64 {
    // Not of its children: those are the servers.
    processes::own_cpu_seconds(std::process::id())
}

/// One connection: the number of messages that got their 250.
fn send(smtp: SocketAddr, accounts: &[String], tail: &[u8], start: &Barrier, seconds: f64) -> usize {
    let mut session = Smtp::connect(smtp).expect("the server greets");
    let mut message = Vec::with_capacity(tail.len() + 512);
    let mut sent = 0;
    start.wait();
    let deadline = Instant::now() + Duration::from_secs_f64(seconds);
    while Instant::now() < deadline {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let recipient = format!("{}@example.test", accounts[number % accounts.len()]);
        let reply = session.envelope("sender@elsewhere.test", &[&recipient]).expect("a reply to DATA");
        assert_eq!(reply.code, 354, "{}", reply.text);
        message.clear();
        message.extend_from_slice(
            format!(
                "Date: Thu, 01 Jan 2026 12:00:00 +0000\r\nFrom: <sender@elsewhere.test>\r\nTo: <{recipient}>\r\n\
                 Subject: number {number}\r\nMessage-ID: <{number}@bench.test>\r\n\r\nThis is message {number}.\r\n"
            )
            .as_bytes(),
        );
        message.extend_from_slice(tail);
        let reply = session.message(&message).expect("a reply to the message");
        assert_eq!(reply.code, 250, "{}", reply.text);
        sent += 1;
    }
    session.quit().expect("QUIT answers");
    sent
}

/// The rest of a message: base64 of random octets, as attachments are, and the end of data.
fn tail(size_bytes: usize) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let random = SeededRandom::new(4096);
    let mut tail = Vec::with_capacity(size_bytes);
    let mut octets = [0_u8; 76];
    // The head of each message is about 200 octets.
    while tail.len() + 200 < size_bytes {
        random.fill(&mut octets);
        tail.extend(octets.iter().map(|octet| ALPHABET[usize::from(octet % 64)]));
        tail.extend_from_slice(b"\r\n");
    }
    tail.extend_from_slice(b".\r\n");
    tail
}

/// Waits until all mailboxes together have `count` messages. For ours that is one round of STAT, which insists.
fn wait_until_visible(site: &Site, accounts: &[String], count_wanted: usize) {
    let deadline = Instant::now() + VISIBLE_LIMIT;
    loop {
        let there = count(site, accounts);
        if there == count_wanted {
            return;
        }
        assert!(site.is_peer(), "{count_wanted} messages with the last 250, not {there}");
        assert!(Instant::now() < deadline, "{count_wanted} messages, not {there}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn count(site: &Site, accounts: &[String]) -> usize {
    let of = |account: &String| {
        if site.is_peer() {
            let maildir = site.maildir(account);
            return files(&maildir.join("new")) + files(&maildir.join("cur"));
        }
        let address = format!("{account}@example.test");
        Pop3::count_of(site.address("pop3"), &address, PASSWORD).expect("the account logs in")
    };
    accounts.iter().map(of).sum()
}

fn files(folder: &Path) -> usize {
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}
