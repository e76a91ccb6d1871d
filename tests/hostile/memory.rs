//! What many connections can make an IMAP server hold in memory: the real program on real sockets, measured by its peak.

use std::fs;

use tokio::net::TcpStream;

use crate::real::site::{PASSWORD, Site};
use crate::wire::Wire;

/// How many connections attack.
const CONNECTIONS: usize = 15;
/// What one of them may make the server hold: a command of the greatest length, what was read and not yet used, TLS and
/// the session, twice over because vectors grow by doubling.
const PER_CONNECTION_BYTES: u64 = 2 * (256 + 64 + 64) * 1024;
/// What the server may take beside that: arenas of the allocator, threads.
const SLACK_BYTES: u64 = 12 * 1024 * 1024;

async fn connect(site: &Site) -> Wire {
    let mut wire = Wire::new(TcpStream::connect(site.address("imap")).await.expect("the server listens"));
    wire.line().await.expect("a greeting").expect("a greeting");
    wire
}

async fn log_in(site: &Site) -> Wire {
    let mut wire = connect(site).await;
    ask(&mut wire, &format!("LOGIN alice@example.test {PASSWORD}")).await;
    wire
}

async fn ask(wire: &mut Wire, command: &str) {
    wire.send(format!("a {command}\r\n").as_bytes()).await;
    loop {
        let response = wire.response().await.expect("an answer").expect("the session goes on");
        if response.starts_with(b"a ") {
            assert!(response.starts_with(b"a OK "), "{command}: {}", String::from_utf8_lossy(&response));
            return;
        }
    }
}

/// VmHWM of a process.
fn peak_bytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a running process has a status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM is listed");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number of kB");
    kib * 1024
}

fn site(folder: &std::path::Path) -> Site {
    let site = Site::serve(folder, &["--set", "store.cache_bytes=8388608"]);
    site.create_accounts(&["alice".to_owned()]);
    site
}

/// Holds what the attack made the server take against what it may.
fn check(site: &Site, before: u64, attack: &str) {
    let taken = peak_bytes(site.pid()).saturating_sub(before);
    let allowed = CONNECTIONS as u64 * PER_CONNECTION_BYTES + SLACK_BYTES;
    assert!(taken <= allowed, "{attack}: {} KiB, allowed are {} KiB", taken / 1024, allowed / 1024);
}

#[tokio::test]
async fn endless_lines_and_literals_take_no_memory() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let site = site(folder.path());
    let mut wires = Vec::new();
    for _ in 0..CONNECTIONS {
        wires.push(log_in(&site).await);
    }
    let before = peak_bytes(site.pid());
    // 16 MiB over each connection: a line without an end, a literal that is refused, one as long as it may be.
    let piece = vec![b'x'; 1024 * 1024];
    for wire in &mut wires {
        wire.send(b"b SEARCH TEXT ").await;
        for _ in 0..16 {
            wire.send(&piece).await;
        }
    }
    check(&site, before, "lines without an end");
    for wire in &mut wires {
        wire.send(b"\r\nc LIST \"\" {16777216+}\r\n").await;
        for _ in 0..16 {
            wire.send(&piece).await;
        }
    }
    check(&site, before, "literals that are refused");
    for wire in &mut wires {
        wire.send(b"\r\nd SEARCH TEXT {262000+}\r\n").await;
        wire.send(&piece[..261_000]).await;
    }
    check(&site, before, "literals that are taken");
    for wire in &mut wires {
        wire.send(&[&piece[..1000], b"\r\ne NOOP\r\n"].concat()).await;
        loop {
            let response = wire.response().await.expect("an answer").expect("the session goes on");
            if response.starts_with(b"e ") {
                assert!(response.starts_with(b"e OK "), "{}", String::from_utf8_lossy(&response));
                break;
            }
        }
    }
}

/// A megabyte of deflated octets can stand for a gigabyte.
#[tokio::test]
async fn what_inflates_without_end_takes_no_memory() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let site = site(folder.path());
    let mut wires = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut wire = log_in(&site).await;
        ask(&mut wire, "COMPRESS DEFLATE").await;
        wire.compress().expect("nothing stands behind the OK");
        wires.push(wire);
    }
    let before = peak_bytes(site.pid());
    let piece = vec![b'x'; 1024 * 1024];
    for wire in &mut wires {
        wire.send(b"b SEARCH TEXT ").await;
        for _ in 0..64 {
            wire.send(&piece).await;
        }
        wire.send(b"\r\n").await;
    }
    for wire in &mut wires {
        let response = wire.response().await.expect("an answer").expect("the session goes on");
        assert!(response.starts_with(b"b BAD "), "{}", String::from_utf8_lossy(&response));
        ask(wire, "NOOP").await;
    }
    check(&site, before, "64 MiB out of some KiB");
}

/// Who asks for much and reads nothing is not served beyond what fits on the way.
#[tokio::test]
async fn a_client_that_does_not_read_takes_no_memory() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let site = site(folder.path());
    let mut wires = Vec::new();
    for _ in 0..CONNECTIONS {
        wires.push(log_in(&site).await);
    }
    let message =
        [b"Subject: large\r\n\r\n".as_slice(), &b"0123456789abcdef0123456789abcdef\r\n".repeat(120_000)].concat();
    wires[0].send(&[format!("a APPEND INBOX {{{}+}}\r\n", message.len()).as_bytes(), &message, b"\r\n"].concat()).await;
    let response = wires[0].response().await.expect("an answer").expect("the session goes on");
    assert!(response.starts_with(b"a OK "), "{}", String::from_utf8_lossy(&response));
    for wire in &mut wires {
        ask(wire, "EXAMINE INBOX").await;
    }
    let before = peak_bytes(site.pid());
    for wire in &mut wires {
        wire.send(&b"b FETCH 1 BODY.PEEK[]\r\n".repeat(100)).await;
    }
    // The first goes through to its end while the others stand still.
    ask(&mut log_in(&site).await, "NOOP").await;
    check(&site, before, "bodies that nobody reads");
}
