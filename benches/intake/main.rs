//! How fast mail comes in: messages accepted and visible in the mailbox per second, with the CPU time that each costs,
//! idle memory, and the time to the first 220.
//!
//! Pillarbox and Postfix + Dovecot (LMTP, Maildir) take turns in one run, with the same client. Both acknowledge after a
//! sync to disk: Pillarbox's 250 means that the message is committed in the mailbox; Postfix's that its queue file is
//! synced, and the delivery to the Maildir follows. So the clock runs until every message is in its mailbox: counted by
//! POP3 for Pillarbox, and by the files of the Maildirs for Dovecot.
//!
//! `benches/against-postfix-dovecot`, or `cargo bench --bench intake -- --alone` for Pillarbox without the peer.

mod processes;
mod report;
mod sender;
#[path = "../../tests/interop/site.rs"]
#[allow(dead_code, reason = "shared with tests/interop")]
mod site;
mod start;
#[path = "../../tests/interop/wire.rs"]
#[allow(dead_code, reason = "shared with tests/interop")]
mod wire;

use std::path::{Path, PathBuf};

use processes::{Memory, load_average};
use report::{Row, median};
use sender::{Cell, Measure};
use site::Site;

/// What is measured: each number of connections with each size.
const CONNECTIONS: [usize; 3] = [1, 8, 64];
const SIZES_BYTES: [usize; 2] = [4 * 1024, 100 * 1024];
/// Mailboxes that the messages go to in turn, each to one.
const ACCOUNTS: usize = 16;

const OURS: &str = "Pillarbox";
const PEER: &str = "Postfix + Dovecot";

struct Options {
    seconds: f64,
    rounds: usize,
    /// Only this number of connections.
    connections: Option<usize>,
    /// Only this size.
    size_bytes: Option<usize>,
    /// Only Pillarbox, or only the peer.
    only: Option<&'static str>,
}

fn main() {
    let Some(options) = options() else { return };
    // On the disk of the build, not on a /tmp that may be memory.
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    println!("Disk: {}. Machine: {}, load {}.", start::describe_sync(scratch), processes::machine(), load_average());
    println!("Binary: {}. {} s a cell, {} rounds.\n", site::binary().display(), options.seconds, options.rounds);
    let cells: Vec<Cell> = SIZES_BYTES
        .into_iter()
        .flat_map(|size_bytes| CONNECTIONS.map(|connections| Cell { connections, size_bytes }))
        .filter(|cell| options.connections.is_none_or(|wanted| wanted == cell.connections))
        .filter(|cell| options.size_bytes.is_none_or(|wanted| wanted == cell.size_bytes))
        .collect();
    let mut rows: Vec<Row> = cells.iter().map(|cell| Row::new(*cell)).collect();
    let mut beside = Vec::new();
    for round in 0..options.rounds {
        // A fresh file and fresh Maildirs each round.
        let contenders = [OURS, PEER]
            .map(|name| (options.only.unwrap_or(name) == name).then(|| Contender::new(scratch, name == PEER)));
        let memory = || contenders.each_ref().map(|contender| contender.as_ref().map(Contender::memory));
        let idle = memory();
        for row in &mut rows {
            // Who comes first changes with the round.
            let mut order: Vec<&Contender> = contenders.iter().flatten().collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for contender in order {
                let measure = contender.measure(row.cell, options.seconds);
                eprintln!(
                    "round {}, {}, {} connections, {} octets: {:.0}/s, {:.3} ms CPU, others {:.0} %, load {}",
                    round + 1,
                    if contender.is_peer { PEER } else { OURS },
                    row.cell.connections,
                    row.cell.size_bytes,
                    measure.per_second,
                    measure.cpu_ms,
                    measure.others_percent,
                    load_average()
                );
                row.add(contender.is_peer, measure);
            }
        }
        let loaded = memory();
        let first_220 = contenders.map(|contender| contender.map(Contender::time_to_220));
        beside.push(Beside { idle, loaded, first_220 });
    }
    report::print(&rows);
    print_beside(&beside);
    println!("\nLoad at the end: {}.", load_average());
}

fn options() -> Option<Options> {
    let mut options = Options { seconds: 4.0, rounds: 3, connections: None, size_bytes: None, only: None };
    let mut is_bench = false;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value =
            || arguments.next().and_then(|text| text.parse::<f64>().ok()).expect("a number after the option");
        match argument.as_str() {
            "--bench" => is_bench = true,
            "--alone" => options.only = Some(OURS),
            "--peer-alone" => options.only = Some(PEER),
            "--seconds" => options.seconds = value(),
            "--connections" => options.connections = Some(value() as usize),
            "--kib" => options.size_bytes = Some(value() as usize * 1024),
            "--rounds" => options.rounds = value() as usize,
            other => panic!("--seconds N, --rounds N, --connections N, --kib N, --alone or --peer-alone, not {other}"),
        }
    }
    // `cargo test --all-targets` runs benches too, in a debug build.
    is_bench.then_some(options)
}

/// A server of the comparison on a folder of its own.
struct Contender {
    site: Site,
    is_peer: bool,
    folder: tempfile::TempDir,
    accounts: Vec<String>,
}

impl Contender {
    fn new(scratch: &Path, is_peer: bool) -> Self {
        let accounts: Vec<String> = (0..ACCOUNTS).map(|number| format!("u{number}")).collect();
        let folder = tempfile::tempdir_in(scratch).expect("a folder");
        let site = if is_peer {
            // Dovecot's own users must reach their mail.
            open_to_all(folder.path());
            Site::peer(folder.path(), &accounts.join(" "))
        } else {
            let site = Site::serve(folder.path(), &[]);
            site.create_accounts(&accounts);
            site
        };
        Self { site, is_peer, folder, accounts }
    }

    fn measure(&self, cell: Cell, seconds: f64) -> Measure {
        sender::measure(&self.site, &self.accounts, cell, seconds)
    }

    fn memory(&self) -> Memory {
        processes::memory(&self.site.roots())
    }

    /// Seconds from starting again, on the file or Maildirs that the run left, to the first 220.
    fn time_to_220(self) -> f64 {
        let smtp = self.site.address("smtp");
        let folder: PathBuf = self.folder.path().to_owned();
        start::time_to_220(self.site, &folder, smtp)
    }
}

fn open_to_all(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).expect("the folder's mode is set");
}

/// What is measured once a round, of ours and of the peer.
struct Beside {
    idle: [Option<Memory>; 2],
    loaded: [Option<Memory>; 2],
    first_220: [Option<f64>; 2],
}

fn print_beside(rounds: &[Beside]) {
    println!("\n| | Pillarbox | Postfix + Dovecot |\n|---|---:|---:|");
    let line = |name: &str, value: &dyn Fn(&Beside, usize) -> Option<f64>, unit: &str, digits: usize| {
        let of = |index: usize| {
            let values: Vec<f64> = rounds.iter().filter_map(|round| value(round, index)).collect();
            if values.is_empty() { "–".to_owned() } else { format!("{:.digits$} {unit}", median(values)) }
        };
        println!("| {name} | {} | {} |", of(0), of(1));
    };
    line("memory before the load, RSS summed", &|round, index| Some(round.idle[index]?.rss_mb), "MB", 1);
    line("the same, shared pages counted once (PSS)", &|round, index| Some(round.idle[index]?.pss_mb), "MB", 1);
    line("memory after the load, RSS summed", &|round, index| Some(round.loaded[index]?.rss_mb), "MB", 1);
    line("the same, PSS", &|round, index| Some(round.loaded[index]?.pss_mb), "MB", 1);
    line(
        "from start to the first 220, with the mail of the run",
        &|round, index| Some(round.first_220[index]? * 1000.0),
        "ms",
        0,
    );
}
