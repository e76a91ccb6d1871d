//! How much longer a sender waits for the 250 while a backup is made: mail comes in at a steady rate into a large file, and
//! the server makes copies of it, one behind the other, or none.
//!
//! Windows without and with copies take turns in one run, on the same file; each copy is made, checked in full and deleted.
//! What is compared is the 99th percentile of the wait for the 250 behind the end of the content, by its median over the
//! rounds. Both sync: every 250 is a commit on disk.
//!
//! `cargo bench --bench backup`: 2 GB, 5 rounds, within 12 minutes; `-- --megabytes 100 --rounds 2 --seconds 10` to try.

#[path = "../../tests/interop/mails.rs"]
#[allow(dead_code, reason = "shared with tests/interop")]
mod mails;
#[path = "../intake/processes.rs"]
#[allow(dead_code, reason = "shared with the other bench")]
mod processes;
#[path = "../../tests/interop/site.rs"]
#[allow(dead_code, reason = "shared with tests/interop")]
mod site;
#[path = "../intake/start.rs"]
#[allow(dead_code, reason = "shared with the other bench")]
mod start;
#[path = "../../tests/interop/wire.rs"]
#[allow(dead_code, reason = "shared with tests/interop")]
mod wire;

use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pillarbox::base::{Random, SeededRandom};

use processes::load_average;
use site::{Site, data_file};
use wire::{Smtp, stuff};

const RECIPIENT: &str = "u0@example.test";
const SENDER: &str = "sender@load.test";
/// Octets of a message that arrives while it is measured, and of one that fills the file.
const SIZE_BYTES: usize = 4 * 1024;
const FILL_BYTES: usize = 2 * 1024 * 1024;
const FILL_CONNECTIONS: u64 = 4;
/// Messages a second, and the connections over which they come: one that waits holds up no other.
const RATE: u32 = 20;
const CONNECTIONS: u32 = 10;
/// What the 99th percentile may grow by.
const GROWTH_MS_MAX: f64 = 250.0;

struct Options {
    megabytes: u64,
    rounds: usize,
    seconds: u64,
}

/// What a window gave.
struct Measure {
    p50_ms: f64,
    p99_ms: f64,
    messages: usize,
    copies: usize,
}

fn main() -> ExitCode {
    let Some(options) = options() else { return ExitCode::SUCCESS };
    // On the disk of the build, not on a /tmp that may be memory.
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    println!("Disk: {}. Machine: {}, load {}.", start::describe_sync(scratch), processes::machine(), load_average());
    let folder = tempfile::tempdir_in(scratch).expect("a temporary folder");
    let site =
        Site::serve(folder.path(), &["--set", "backup.daily_at=off", "--set", "limits.connections_per_address=100"]);
    site.create_accounts(&["u0".to_owned()]);
    let began = Instant::now();
    fill(&site, folder.path(), options.megabytes * 1_000_000);
    let bytes = on_disk(folder.path());
    println!(
        "Binary: {}. The file takes {} MB, filled in {:?}.\n",
        site::binary().display(),
        bytes / 1_000_000,
        began.elapsed()
    );
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for round in 0..options.rounds {
        for is_copied in [false, true] {
            let measure = window(&site, folder.path(), Duration::from_secs(options.seconds), is_copied);
            println!(
                "round {}, {}: p50 {:.1} ms, p99 {:.1} ms, {} messages, {} copies, load {}",
                round + 1,
                if is_copied { "with" } else { "without" },
                measure.p50_ms,
                measure.p99_ms,
                measure.messages,
                measure.copies,
                load_average()
            );
            if is_copied { &mut with } else { &mut without }.push(measure.p99_ms);
        }
    }
    let (without, with) = (median(without), median(with));
    let growth = with - without;
    println!(
        "\np99 of the wait for 250: {without:.1} ms without a copy, {with:.1} ms with one; it grows by {growth:.1} ms"
    );
    println!("(medians of {} rounds; at most {GROWTH_MS_MAX} ms are allowed).", options.rounds);
    println!("Disk at the end: {}. Load: {}.", start::describe_sync(scratch), load_average());
    assert!(site.stop().success(), "the server stops");
    if growth < GROWTH_MS_MAX { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn options() -> Option<Options> {
    let mut options = Options { megabytes: 2000, rounds: 5, seconds: 30 };
    let mut is_bench = false;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value =
            || arguments.next().and_then(|text| text.parse::<u64>().ok()).expect("a number after the option");
        match argument.as_str() {
            "--bench" => is_bench = true,
            "--megabytes" => options.megabytes = value(),
            "--rounds" => options.rounds = value() as usize,
            "--seconds" => options.seconds = value(),
            other => panic!("--megabytes N, --rounds N or --seconds N, not {other}"),
        }
    }
    // `cargo test --all-targets` runs benches too, in a debug build.
    is_bench.then_some(options)
}

/// Sends large messages until the file takes that much of its disk.
fn fill(site: &Site, folder: &Path, bytes: u64) {
    let smtp = site.address("smtp");
    std::thread::scope(|scope| {
        for connection in 0..FILL_CONNECTIONS {
            scope.spawn(move || {
                let mut session = Smtp::connect(smtp).expect("the server greets");
                for number in 0.. {
                    if on_disk(folder) >= bytes {
                        return;
                    }
                    let id = format!("fill.{connection}.{number}");
                    session.submit(SENDER, &[RECIPIENT], &noise(&id, connection << 32 | number)).expect("it is taken");
                }
            });
        }
    });
}

/// A message that compresses little, as pictures do.
fn noise(id: &str, seed: u64) -> Vec<u8> {
    let random = SeededRandom::new(seed);
    let mut octets = vec![0; FILL_BYTES];
    random.fill(&mut octets);
    let mut message =
        format!("From: {SENDER}\r\nMessage-ID: <{id}@example.test>\r\nSubject: noise\r\n\r\n").into_bytes();
    for line in octets.chunks(76) {
        // 64 printable characters.
        message.extend(line.iter().map(|octet| b'0' + octet % 64));
        message.extend(b"\r\n");
    }
    message
}

/// Lets mail arrive for so long, and until the copy that is being made then is finished.
fn window(site: &Site, folder: &Path, length: Duration, is_copied: bool) -> Measure {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let (smtp, is_over) = (site.address("smtp"), AtomicBool::new(false));
    let (mut waits, copies) = std::thread::scope(|scope| {
        let is_over = &is_over;
        let senders: Vec<_> = (0..CONNECTIONS)
            .map(|connection| scope.spawn(move || arrive(smtp, connection, &NUMBER, is_over)))
            .collect();
        let (end, mut copies) = (Instant::now() + length, 0);
        while is_copied && Instant::now() < end {
            copy(folder);
            copies += 1;
        }
        std::thread::sleep(end.saturating_duration_since(Instant::now()));
        is_over.store(true, Ordering::SeqCst);
        let waits: Vec<f64> = senders.into_iter().flat_map(|sender| sender.join().expect("it sends")).collect();
        (waits, copies)
    });
    waits.sort_by(f64::total_cmp);
    let at = |percent: usize| waits[(waits.len() * percent / 100).min(waits.len() - 1)];
    Measure { p50_ms: at(50), p99_ms: at(99), messages: waits.len(), copies }
}

/// One sender's part of the mail, at its times; the milliseconds that each message waited for its 250.
fn arrive(smtp: SocketAddr, connection: u32, number: &AtomicU64, is_over: &AtomicBool) -> Vec<f64> {
    let mut session = Smtp::connect(smtp).expect("the server greets");
    let period = Duration::from_secs(1) * CONNECTIONS / RATE;
    let (mut due, mut waits) = (Instant::now() + period * connection / CONNECTIONS, Vec::new());
    while !is_over.load(Ordering::SeqCst) {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        due += period;
        let seed = number.fetch_add(1, Ordering::Relaxed);
        let content = stuff(&mails::of_size(&format!("bench.{seed}"), seed, SIZE_BYTES));
        let reply = session.envelope(SENDER, &[RECIPIENT]).expect("the envelope is answered");
        assert_eq!(reply.code, 354, "{}", reply.text);
        let sent = Instant::now();
        let reply = session.message(&content).expect("the content is answered");
        assert_eq!(reply.code, 250, "{}", reply.text);
        waits.push(sent.elapsed().as_secs_f64() * 1000.0);
    }
    waits
}

/// One copy, from the request to its end, and away with it.
fn copy(folder: &Path) {
    let run = |arguments: &[&str]| {
        let mut command = Command::new(site::binary());
        command.args(arguments).arg("--data").arg(data_file(folder)).stdin(Stdio::null());
        let output = command.output().expect("pillarbox runs");
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        output.stdout
    };
    let job: serde_json::Value =
        serde_json::from_slice(&run(&["backup", "create", "--wait", "-o", "json"])).expect("JSON");
    run(&["backup", "delete", job["result"]["id"].as_str().expect("an id")]);
}

fn on_disk(folder: &Path) -> u64 {
    std::fs::metadata(data_file(folder)).map_or(0, |there| there.blocks() * 512)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
