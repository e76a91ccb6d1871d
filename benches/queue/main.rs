//! How fast mail goes out: messages per second from a full queue to one other server, with the CPU time that each costs.
//!
//! Pillarbox and Postfix take turns in one run, each on a fresh queue. The messages are queued while the server that they
//! are for is down; then it comes up, the queue is flushed by its operator's command, and the clock runs until that server
//! has all of them. Both have their default limits. The server is a sink of the tests, which is asked first how fast it
//! can take mail at all, or with `--smtp-sink` that of Postfix.
//!
//! With `--beside` the question is another: whether destinations that answer wait for those that do not. With `--queued N`
//! it is what everything takes while N recipients are queued.
//!
//! `benches/queue-against-postfix`, or `cargo bench --bench queue -- --alone` for Pillarbox without the peer.

mod beside;
#[path = "../../tests/world/dns.rs"]
#[allow(dead_code, reason = "shared with tests")]
mod dns;
#[path = "../../tests/interop/mails.rs"]
#[allow(dead_code, reason = "shared with tests/interop")]
mod mails;
#[path = "../intake/processes.rs"]
#[allow(dead_code, reason = "shared with the other bench")]
mod processes;
mod receiver;
mod scale;
#[path = "../../tests/world/sink.rs"]
#[allow(dead_code, reason = "shared with tests")]
mod sink;
#[path = "../../tests/interop/site.rs"]
#[allow(dead_code, reason = "shared with tests/interop")]
mod site;
#[path = "../intake/start.rs"]
#[allow(dead_code, reason = "shared with the other bench")]
mod start;
#[path = "../../tests/interop/wire.rs"]
#[allow(dead_code, reason = "shared with tests/interop")]
mod wire;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use dns::{Dns, Zone};
use processes::load_average;
use receiver::Receiver;
use sink::{Sink, free_port};
use site::{PASSWORD, Site};
use wire::Smtp;

const SINK: &str = "127.0.0.4";
const SENDER: &str = "alice@example.test";
const SIZE_BYTES: usize = 4 * 1024;
/// Connections over which the queue is filled, and over which the sink is asked.
const CONNECTIONS: usize = 16;
/// How long a queue may take to become empty.
const LIMIT: Duration = Duration::from_secs(300);

const OURS: &str = "Pillarbox";
const PEER: &str = "Postfix";

struct Options {
    messages: usize,
    rounds: usize,
    /// The mail goes to Postfix's smtp-sink.
    is_smtp_sink: bool,
    /// Healthy destinations beside others are measured.
    is_beside: bool,
    /// It is measured how a queue of so many recipients does.
    queued: Option<usize>,
    /// Only Pillarbox, or only the peer.
    only: Option<&'static str>,
}

/// What one run gave.
#[derive(Clone, Copy)]
struct Measure {
    /// From the flush until the sink has the last message.
    per_second: f64,
    /// The server's CPU milliseconds per message, until its queue is empty.
    cpu_ms: f64,
    /// The share of the machine that neither the server nor this process used while it ran.
    others_percent: f64,
    /// Connections that it took.
    connections: usize,
}

fn main() {
    let Some(options) = options() else { return };
    // On the disk of the build, not on a /tmp that may be memory.
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    println!("Disk: {}. Machine: {}, load {}.", start::describe_sync(scratch), processes::machine(), load_average());
    if let Some(queued) = options.queued {
        println!("Binary: {}.", site::binary().display());
        return scale::measure(scratch, queued);
    }
    println!("Binary: {}. {} messages, {} rounds.", site::binary().display(), options.messages, options.rounds);
    if options.is_beside {
        return beside::compare(scratch, options.messages, options.rounds);
    }
    println!("The sink takes {:.0} messages/s from smtp-source over {CONNECTIONS} connections.\n", ceiling());
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..options.rounds {
        let mut order = vec![OURS, PEER];
        // Who comes first changes with the round.
        if round % 2 == 1 {
            order.reverse();
        }
        for name in order.into_iter().filter(|name| options.only.is_none_or(|only| only == *name)) {
            let measure = Contender::start(scratch, name == PEER, options.is_smtp_sink).measure(options.messages);
            eprintln!(
                "round {}, {name}: {:.0}/s over {} connections, {:.3} ms CPU, others {:.0} %, load {}",
                round + 1,
                measure.per_second,
                measure.connections,
                measure.cpu_ms,
                measure.others_percent,
                load_average()
            );
            if name == PEER { &mut theirs } else { &mut ours }.push(measure);
        }
    }
    print(&ours, &theirs);
    println!("\nLoad at the end: {}.", load_average());
}

fn options() -> Option<Options> {
    let mut options =
        Options { messages: 2000, rounds: 5, is_smtp_sink: false, is_beside: false, queued: None, only: None };
    let mut is_bench = false;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value =
            || arguments.next().and_then(|text| text.parse::<usize>().ok()).expect("a number after the option");
        match argument.as_str() {
            "--bench" => is_bench = true,
            "--smtp-sink" => options.is_smtp_sink = true,
            "--beside" => options.is_beside = true,
            "--queued" => options.queued = Some(value()),
            "--alone" => options.only = Some(OURS),
            "--peer-alone" => options.only = Some(PEER),
            "--messages" => options.messages = value(),
            "--rounds" => options.rounds = value(),
            other => panic!(
                "--messages N, --rounds N, --smtp-sink, --beside, --queued N, --alone or --peer-alone, not {other}"
            ),
        }
    }
    // `cargo test --all-targets` runs benches too, in a debug build.
    is_bench.then_some(options)
}

/// Messages per second that the sink takes from Postfix's load generator; NaN where that is not installed.
fn ceiling() -> f64 {
    const MESSAGES: usize = 20_000;
    let sink = Sink::start_with(&format!("{SINK}:0"), false);
    let began = Instant::now();
    let status = Command::new("smtp-source")
        .args(["-s", &CONNECTIONS.to_string(), "-m", &MESSAGES.to_string(), "-l", &SIZE_BYTES.to_string(), "-d"])
        .args(["-f", "a@example.test", "-t", "b@sink.test", &sink.address.to_string()])
        .env("PATH", format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default()))
        .stdout(Stdio::null())
        .status();
    if status.is_ok_and(|status| status.success()) && sink.count() == MESSAGES {
        MESSAGES as f64 / began.elapsed().as_secs_f64()
    } else {
        f64::NAN
    }
}

/// A server with an empty queue, and the sink that its mail goes to, which is down.
struct Contender {
    site: Site,
    is_peer: bool,
    sink: Receiver,
    folder: tempfile::TempDir,
    /// It answers as long as the server asks.
    _dns: Dns,
}

impl Contender {
    fn start(scratch: &Path, is_peer: bool, is_smtp_sink: bool) -> Self {
        let port = free_port();
        let dns = Dns::start(Zone::new().mail("sink.test", SINK));
        let sink = Receiver::held(&format!("{SINK}:{port}"), is_smtp_sink);
        let folder = tempfile::tempdir_in(scratch).expect("a folder");
        let site = if is_peer {
            open_to_all(folder.path());
            let next = format!("sink.test=smtp:[{SINK}]:{port}");
            Site::peer_with(folder.path(), &[("PEER_NEXT", &next), ("PEER_DOMAIN", "postfix.test")])
        } else {
            let (resolver, port) = (dns.address.to_string(), port.to_string());
            let mut arguments = vec!["--resolver", &resolver, "--remote-port", &port];
            arguments.extend(["--set", "delivery.allow_networks=127.0.0.0/8"]);
            let site = Site::serve(folder.path(), &arguments);
            site.create_accounts(&["alice".to_owned()]);
            site
        };
        Self { site, is_peer, sink, folder, _dns: dns }
    }

    fn measure(mut self, messages: usize) -> Measure {
        self.fill(messages);
        // The attempts that the last of them caused are to be over, too.
        std::thread::sleep(Duration::from_secs(3));
        assert_eq!(self.waiting(), messages, "all are queued");
        self.sink.up();
        let roots = self.site.roots();
        let own = || processes::own_cpu_seconds(std::process::id());
        let (cpu, busy, own_before) = (processes::cpu_seconds(&roots), processes::machine_busy_seconds(), own());
        let began = Instant::now();
        self.flush();
        let last = self.sink.wait_for(messages, LIMIT);
        while self.waiting() > 0 {
            assert!(began.elapsed() < LIMIT, "an empty queue within {LIMIT:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
        let elapsed = began.elapsed().as_secs_f64();
        let cpu = processes::cpu_seconds(&roots) - cpu;
        let others = processes::machine_busy_seconds() - busy - cpu - (own() - own_before);
        let (taken, connections) = self.sink.totals();
        assert_eq!(taken, messages, "each message once");
        Measure {
            per_second: messages as f64 / (last - began).as_secs_f64(),
            cpu_ms: cpu * 1000.0 / messages as f64,
            others_percent: (others / elapsed / processes::cores() as f64 * 100.0).max(0.0),
            connections,
        }
    }

    /// Puts `messages` into the queue, each to a recipient of its own.
    fn fill(&self, messages: usize) {
        let (site, is_peer) = (&self.site, self.is_peer);
        std::thread::scope(|scope| {
            for connection in 0..CONNECTIONS {
                scope.spawn(move || {
                    let mut session = if is_peer {
                        Smtp::connect(site.address("smtp")).expect("the server greets")
                    } else {
                        Smtp::login(site.address("submission"), SENDER, PASSWORD).expect("alice logs in")
                    };
                    for number in (connection..messages).step_by(CONNECTIONS) {
                        let content = mails::of_size(&format!("bench-{number}"), number as u64, SIZE_BYTES);
                        let recipient = format!("u{number}@sink.test");
                        session.submit(SENDER, &[&recipient], &content).expect("it is taken");
                    }
                    session.quit().expect("QUIT answers");
                });
            }
        });
    }

    /// Makes all mail due.
    fn flush(&self) {
        if self.is_peer {
            let postqueue =
                Command::new("/usr/sbin/postqueue").arg("-c").arg(self.peer().join("postfix")).arg("-f").status();
            assert!(postqueue.is_ok_and(|status| status.success()), "postqueue -f");
        } else {
            let (status, answer) = self.site.rest("POST", "/api/v1/queue/flush", r#"{"all":true}"#);
            assert_eq!(status, 202, "{answer}");
        }
    }

    /// How many messages are queued.
    fn waiting(&self) -> usize {
        if self.is_peer {
            let spool = self.peer().join("spool");
            return ["incoming", "active", "deferred"].iter().map(|queue| files(&spool.join(queue))).sum();
        }
        let (status, summary) = self.site.rest("GET", "/api/v1/queue/summary", "");
        assert_eq!(status, 200, "{summary}");
        let states = ["due", "waiting", "in_flight", "held", "held_for_peers"];
        let count =
            |state| summary[state].as_u64().unwrap_or_else(|| panic!("a count of what is {state} in {summary}"));
        states.map(count).iter().sum::<u64>().try_into().expect("a small number")
    }

    fn peer(&self) -> PathBuf {
        self.folder.path().join("peer")
    }
}

/// Queue files, in folders of folders.
fn files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { 1 }).sum()
}

fn open_to_all(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).expect("the folder's mode is set");
}

fn print(ours: &[Measure], theirs: &[Measure]) {
    let of = |measures: &[Measure], value: fn(&Measure) -> f64| median(measures.iter().map(value).collect());
    let ratios: Vec<f64> = ours.iter().zip(theirs).map(|(ours, theirs)| ours.per_second / theirs.per_second).collect();
    let lowest = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = ratios.iter().copied().fold(0.0, f64::max);
    let ratio = match ratios.len() {
        0 => "–".to_owned(),
        _ => format!("{:.2} ({lowest:.2} to {highest:.2})", median(ratios)),
    };
    let all: Vec<Measure> = ours.iter().chain(theirs).copied().collect();
    println!(
        "| Pillarbox messages/s | Postfix messages/s | ratio (lowest to highest) | CPU ms/message | theirs | other load |\n\
         |---:|---:|---:|---:|---:|---:|"
    );
    println!(
        "| {:.0} | {:.0} | {ratio} | {:.2} | {:.2} | {:.0} % |",
        of(ours, |measure| measure.per_second),
        of(theirs, |measure| measure.per_second),
        of(ours, |measure| measure.cpu_ms),
        of(theirs, |measure| measure.cpu_ms),
        of(&all, |measure| measure.others_percent),
    );
}

/// The middle value; of an even number of values the mean of the two in the middle.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        count if count.is_multiple_of(2) => f64::midpoint(values[middle - 1], values[middle]),
        _ => values[middle],
    }
}
