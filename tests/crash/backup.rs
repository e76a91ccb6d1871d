//! D10: copies made while mail comes in and the server is killed between them: each opens, holds what was acknowledged
//! before it was asked for, and serves it elsewhere.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use pillarbox::base::{Random, SeededRandom};

use crate::kill::compare::Expect;
use crate::kill::load::{Attempt, Load, Outcome};
use crate::kill::{accounts, addresses, count_from_environment, empty, seed, serve, verify};
use crate::site::{self, Site, binary, data_file, say};

/// Copies of one run; 50 on demand: `PILLARBOX_BACKUPS`.
const BACKUPS: u64 = 3;
/// So many messages are acknowledged before a copy is asked for.
const ACKNOWLEDGED_MIN: usize = 20;
/// Of each sender between two messages. A load without rests adds more while a copy is made than there was to copy: each
/// round would take longer than the last.
const REST: Duration = Duration::from_millis(100);

#[test]
fn backed_up_under_load() {
    let seed = seed();
    let random = SeededRandom::new(seed);
    let backups = count_from_environment("PILLARBOX_BACKUPS", BACKUPS);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut site = serve(folder.path(), None);
    site.create_accounts(&accounts());
    let (mut held, mut slowest, mut unfinished, mut round) = (0, Duration::ZERO, 0, 0);
    // Some copies are made before the kill comes; on with it until it has come upon one.
    while round < backups || (unfinished == 0 && round < 5 * backups) {
        let seed = seed.wrapping_add(round << 32);
        let load = Load::start_with_rests(site.address("smtp"), &addresses(), seed, REST);
        load.wait_for(ACKNOWLEDGED_MIN);
        std::thread::sleep(Duration::from_millis(random.next_u64() % 1000));
        let asked = Instant::now();
        let made = backup(folder.path(), &["--compact"][..usize::from(round % 3 == 2)]).output().expect("it runs");
        assert!(made.status.success(), "a backup is made: {made:?}");
        slowest = slowest.max(asked.elapsed());
        let id = serde_json::from_slice::<serde_json::Value>(&made.stdout).expect("JSON")["result"]["id"].clone();
        // And one that the kill comes upon.
        let kept = folder.path().join("mail.backups");
        let mut cut_off =
            backup(folder.path(), &[]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
        while !is_at_work(&kept) && cut_off.try_wait().expect("a child can be asked").is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(random.next_u64() % 100));
        site.kill();
        let _ = cut_off.wait();
        let mut attempts = load.finish();
        unfinished += usize::from(is_at_work(&kept));

        let acknowledged =
            |attempts: &[Attempt]| attempts.iter().filter(|one| one.outcome == Outcome::Acknowledged).count();
        site = serve(folder.path(), None);
        verify(&site, &attempts, Expect::Acknowledged);
        empty(&site);
        for name in names(&kept) {
            assert!(name.ends_with(".redb"), "the start sweeps what a kill has left: {name}");
            site::check(&kept.join(name));
        }
        // What was acknowledged later may be in it or not.
        for attempt in attempts.iter_mut().filter(|attempt| attempt.known_at > asked) {
            attempt.outcome = Outcome::Unknown;
        }
        held += acknowledged(&attempts);
        restored_elsewhere(&kept.join(format!("{}.redb", id.as_str().expect("an id"))), &attempts);
        for name in names(&kept) {
            fs::remove_file(kept.join(name)).expect("the copy is removed");
        }
        round += 1;
    }
    assert!(unfinished > 0, "no kill of {round} came upon a copy");
    assert!(held > 0, "the load had messages acknowledged before the copies");
    say(&format!(
        "pillarbox: {round} backups under load, each served elsewhere: {held} messages that were acknowledged before; \
         slowest {slowest:?}; {unfinished} others were cut off by the kill"
    ));
    assert!(site.stop().success(), "the server stops");
}

/// `pillarbox backup create`, through the server's socket.
fn backup(folder: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(["backup", "create", "--wait", "-o", "json"]).args(more).arg("--data").arg(data_file(folder));
    command.stdin(Stdio::null());
    command
}

/// A plain `cp` of the copy is put in a fresh place, and a server there has the messages.
fn restored_elsewhere(copy: &Path, attempts: &[Attempt]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let carried: PathBuf = folder.path().join("carried.redb");
    let copied = Command::new("cp").arg("--sparse=always").arg(copy).arg(&carried).status();
    assert!(copied.is_ok_and(|status| status.success()), "the copy is copied");
    site::check(&carried);
    let restored =
        Command::new(binary()).arg("restore").arg(&carried).arg("--data").arg(data_file(folder.path())).output();
    let restored = restored.expect("restore runs");
    assert!(restored.status.success(), "it is restored: {restored:?}");
    let site: Site = serve(folder.path(), None);
    verify(&site, attempts, Expect::Acknowledged);
    assert!(site.stop().success(), "the server stops");
    site::check(&data_file(folder.path()));
}

/// Whether a copy is being made there, or was.
fn is_at_work(folder: &Path) -> bool {
    names(folder).iter().any(|name| name.ends_with(".part"))
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the folder is there");
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}
