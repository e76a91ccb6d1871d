//! How fast a large mailbox is read and changed over IMAP, beside Dovecot with Maildir and with mdbox, in one run: the
//! three take turns at each measure, with the same client and the same 10,000 messages (real mail, and generated).
//!
//! All acknowledge after a sync to disk (Dovecot with mail_fsync=always). A first round, which is not counted, fills
//! Dovecot's caches, so that it is compared at its best.
//!
//! `benches/imap-against-dovecot`, or `cargo bench --bench imap -- --alone` for Pillarbox without the peers.

#[path = "../../tests/world/dovecot.rs"]
mod dovecot;
#[path = "../../tests/corpus/generate.rs"]
#[allow(unused_imports, reason = "its tests run in tests/corpus")]
mod generate;
#[path = "../../tests/world/imap.rs"]
#[allow(dead_code, unused_imports, reason = "shared with tests")]
mod imap;
#[path = "../../tests/corpus/mails.rs"]
#[allow(dead_code, unused_imports, reason = "shared with tests/corpus")]
mod mails;
mod measures;
#[path = "../intake/processes.rs"]
#[allow(dead_code, reason = "shared with benches/intake")]
mod processes;
#[path = "../../tests/interop/site.rs"]
#[allow(dead_code, reason = "shared with tests/interop")]
mod site;
mod table;
#[path = "../../tests/interop/wire.rs"]
#[allow(dead_code, reason = "shared with tests/interop")]
mod wire;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use dovecot::Dovecot;
use measures::{MEASURES, Measure};
use site::Site;
use table::Table;

/// The servers, as the table names them.
const NAMES: [&str; 3] = ["Pillarbox", "Dovecot, Maildir", "Dovecot, mdbox"];
/// Whose mailbox is large.
const USER: &str = "bench@example.test";
/// Accounts whose sessions idle.
const IDLERS: usize = 100;

struct Options {
    rounds: usize,
    messages: usize,
    /// Only measures with this in their name.
    only: Option<String>,
    alone: bool,
}

fn main() {
    let Some(options) = options() else { return };
    // On the disk of the build, not on a /tmp that may be memory.
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    println!("Machine: {}, load {}.", processes::machine(), processes::load_average());
    let count = if options.alone { 1 } else { NAMES.len() };
    let contenders: Vec<Contender> = (0..count).map(|place| Contender::start(scratch.path(), place)).collect();
    let mails = mails::gather(options.messages);
    let bytes: usize = mails.iter().map(|mail| mail.content.len()).sum();
    println!(
        "Binary: {}. {} messages, {} MB, {} rounds.\n",
        site::binary().display(),
        mails.len(),
        bytes / 1_000_000,
        options.rounds
    );
    for contender in &contenders {
        measures::fill(contender, &mails);
    }
    drop(mails);
    let wanted: Vec<&Measure> = MEASURES
        .iter()
        .filter(|measure| options.only.as_ref().is_none_or(|only| measure.name.contains(only.as_str())))
        .collect();
    let mut table = Table::new(&wanted, count);
    for round in 0..=options.rounds {
        for (row, measure) in wanted.iter().enumerate() {
            if round > 0 && measure.once && round > 1 {
                continue;
            }
            // Who comes first changes with the round.
            for turn in 0..count {
                let place = (turn + round) % count;
                if round == 0 && measure.once {
                    continue;
                }
                let value = (measure.run)(&contenders[place]);
                eprintln!("round {round}, {}, {}: {value:.3} {}", measure.name, NAMES[place], measure.unit);
                if round > 0 {
                    table.add(row, place, value);
                }
            }
        }
    }
    table.print(&NAMES[..count]);
    println!("\nLoad at the end: {}.", processes::load_average());
}

fn options() -> Option<Options> {
    let mut options = Options { rounds: 5, messages: 10_000, only: None, alone: false };
    let mut is_bench = false;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().expect("a value after the option");
        match argument.as_str() {
            "--bench" => is_bench = true,
            "--alone" => options.alone = true,
            "--rounds" => options.rounds = value().parse().expect("a number"),
            "--messages" => options.messages = value().parse().expect("a number"),
            "--only" => options.only = Some(value()),
            other => panic!("--rounds N, --messages N, --only NAME or --alone, not {other}"),
        }
    }
    // `cargo test --all-targets` runs benches too, in a debug build.
    is_bench.then_some(options)
}

/// A server of the comparison.
pub struct Contender {
    server: Server,
    /// Its place in [`NAMES`].
    place: usize,
    folder: PathBuf,
}

enum Server {
    Pillarbox(Box<Site>),
    Dovecot(Dovecot),
}

impl Contender {
    fn start(scratch: &Path, place: usize) -> Self {
        let mut names = vec!["bench".to_owned()];
        names.extend((0..IDLERS).map(|number| format!("idle{number}")));
        let folder = scratch.join(place.to_string());
        std::fs::create_dir(&folder).expect("a folder");
        if place == 0 {
            let site = Site::serve(&folder, &["--listen", "imap=127.0.0.1:0"]);
            site.create_accounts(&names);
            return Self { server: Server::Pillarbox(Box::new(site)), place, folder };
        }
        let format = if place == 1 { "maildir" } else { "mdbox" };
        let (accounts, variables) = (names.join(" "), [("PEER_FORMAT", format), ("PEER_FSYNC", "always")]);
        // Its users must reach their mail.
        open_to_all(scratch);
        let server = Dovecot::start(&folder, &[variables[0], variables[1], ("PEER_ACCOUNTS", &accounts)]);
        Self { server: Server::Dovecot(server), place, folder }
    }

    /// Another one of the same kind, with nothing in it.
    pub fn fresh(&self) -> Self {
        let folder = self.folder.join("fresh");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir(&folder).expect("a folder");
        Self::start(&folder, self.place)
    }

    /// Where it listens for IMAP.
    pub fn address(&self) -> SocketAddr {
        match &self.server {
            Server::Pillarbox(site) => site.address("imap"),
            Server::Dovecot(dovecot) => dovecot.address(),
        }
    }

    /// The processes whose descendants, with themselves, are all of it.
    pub fn roots(&self) -> Vec<u32> {
        match &self.server {
            Server::Pillarbox(site) => site.roots(),
            Server::Dovecot(dovecot) => vec![dovecot.pid()],
        }
    }
}

fn open_to_all(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).expect("the folder's mode is set");
}
