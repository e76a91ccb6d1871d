//! Power cuts and failing disks, in one process: random changes on a test disk against a model. What was acknowledged
//! must be there after every crash, what is there must be a state between two changes, and the file must open and
//! contradict itself nowhere: `check` is run on every file that is opened, and each fortieth is verified page by page.
//!
//! `PILLARBOX_TORN_CRASHES` says how many crashes (500), of which a fifth are of rows and bodies and the others of the
//! server's own changes, `PILLARBOX_TORN_FROM` with which one to begin, so that a long run can be made in slices, and
//! `PILLARBOX_RECOVERY_CRASHES` how many crashes while a file is being opened (20), `PILLARBOX_FAULTS` how many operations of
//! each kind fail (10). 10,000 take less than three minutes of
//! two cores.

mod chain;
mod mail;
mod rows;
mod world;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use crate::kill::count_from_environment;
use crate::site::say;
use chain::{CHAIN, Chain, Tally, Wrong, count};
use mail::Mail;
use pillarbox::store::fault::{Fault, FaultDisk, Operation};
use pillarbox::store::{Options, Store, verify};
use rows::Rows;
use world::World;

/// Operations of each kind that fail, one in each run: 300 on demand.
const FAULTS: u64 = 10;
/// Chains of crashes in which a disk that lies has been caught in each way long since.
const CHAINS_TO_CATCH: u64 = 2_000;

fn crashes() -> u64 {
    count_from_environment("PILLARBOX_TORN_CRASHES", 500)
}

#[test]
fn nothing_acknowledged_is_lost_in_a_power_cut() {
    survive::<Rows>("of rows and bodies", |crashes| crashes / 5);
}

#[test]
fn no_mail_is_lost_or_doubled_in_a_power_cut() {
    survive::<Mail>("of mail in mailboxes and in the queue", |crashes| crashes - crashes / 5);
}

#[test]
fn a_power_cut_while_a_file_is_opened_is_survived() {
    let (begin, crashes) = (Instant::now(), count_from_environment("PILLARBOX_RECOVERY_CRASHES", 20));
    let (rows, mail) = (Tally::default(), Tally::default());
    crash_while_opening::<Rows>(crashes.div_ceil(2), &rows);
    crash_while_opening::<Mail>(crashes.div_ceil(2), &mail);
    let all = rows.while_opening.load(Ordering::Relaxed) + mail.while_opening.load(Ordering::Relaxed);
    say(&format!(
        "pillarbox: {all} power cuts while a file was being opened, in {:.1} s",
        begin.elapsed().as_secs_f64()
    ));
}

/// The negative control: were the harness blind for what is lost, it would not see this either. A disk of which two of
/// three syncs are none leaves files that don't open, and some that do open and lack what was acknowledged.
#[test]
fn a_disk_that_lies_is_caught() {
    let rows = caught::<Rows>(&["rows", "bodies"]);
    let mail = caught::<Mail>(&["mailboxes", "queue"]);
    println!("caught a lying disk: {rows}; {mail}");
}

#[test]
fn no_failed_operation_is_acknowledged_or_loses_what_was() {
    fail_at_each::<Rows>(
        "of rows and bodies",
        &[Operation::Write, Operation::Sync, Operation::SetLen, Operation::Read],
    );
}

#[test]
fn no_failed_operation_loses_or_doubles_mail() {
    fail_at_each::<Mail>(
        "of mail in mailboxes, in the queue and in the trace",
        &[Operation::Write, Operation::Sync, Operation::SetLen],
    );
}

fn survive<W: World>(what: &str, share: impl Fn(u64) -> u64) {
    let (begin, from) = (Instant::now(), share(count_from_environment("PILLARBOX_TORN_FROM", 0)));
    let (crashes, tally) = (share(crashes()), Tally::default());
    run::<W>(from / CHAIN, crashes, &tally).unwrap_or_else(|wrong| panic!("{wrong}"));
    say(&format!("pillarbox: {what}: {tally}, in {:.1} s", begin.elapsed().as_secs_f64()));
    tally.assert_that_it_was_hard(crashes);
}

/// Lets chains crash on both cores until `crashes` are reached; the first one that goes wrong ends it.
fn run<W: World>(first: u64, crashes: u64, tally: &Tally) -> Result<(), String> {
    let (next, end) = (AtomicU64::new(first), first + crashes.div_ceil(CHAIN));
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= end {
                return Ok(());
            }
            if let Err(wrong) = run_chain::<W>(number, tally) {
                next.store(end, Ordering::Relaxed);
                return Err(wrong);
            }
        }
    };
    std::thread::scope(|scope| {
        let workers = [scope.spawn(work), scope.spawn(work)];
        workers.map(|worker| worker.join().unwrap_or(Err("a worker panicked".into()))).into_iter().collect()
    })
}

fn run_chain<W: World>(number: u64, tally: &Tally) -> Result<(), String> {
    let mut chain = Chain::<W>::new(seed_of(number));
    let again = number * CHAIN;
    for crash in 0..CHAIN {
        let told = |wrong| {
            format!("chain {number}, crash {crash}: {wrong} (repeat it by PILLARBOX_TORN_FROM={again}, scaled)")
        };
        chain.crash(tally).map_err(told)?;
    }
    let image = Options::faulty(FaultDisk::holding(chain.image), |_| {});
    let findings = verify(&image, W::SCHEMA).map_err(|error| format!("chain {number}: {error}"))?;
    if findings.lines().is_empty() { Ok(()) } else { Err(format!("chain {number}: {:?}", findings.lines())) }
}

/// Chains of another `PILLARBOX_SEED` are others.
fn seed_of(chain: u64) -> u64 {
    static SEED: LazyLock<u64> = LazyLock::new(|| count_from_environment("PILLARBOX_SEED", 1));
    (*SEED << 40) + chain
}

/// Crashes, each followed by crashes while what it has left is opened, until there are enough of these.
fn crash_while_opening<W: World>(crashes: u64, tally: &Tally) {
    for number in 0.. {
        let mut chain = Chain::<W>::new(seed_of(number));
        for crash in 0..CHAIN {
            if tally.while_opening.load(Ordering::Relaxed) >= crashes {
                return;
            }
            let steps = chain.crash(tally).and_then(|()| chain.crash_while_opening(tally));
            steps.unwrap_or_else(|wrong| panic!("chain {number}, crash {crash}: {wrong}"));
        }
    }
}

/// Lets a lying disk crash until it was caught in each way: by a file that does not open, and by one that holds other
/// `parts` than were acknowledged, each of them once.
fn caught<W: World>(parts: &[&'static str]) -> String {
    let (mut shut, mut lost, tally) = (0, BTreeMap::new(), Tally::default());
    for number in 0..CHAINS_TO_CATCH {
        let mut chain = Chain::<W> { honest_one_in: 3, ..Chain::new(seed_of(number)) };
        match (0..CHAIN).try_for_each(|_| chain.crash(&tally)) {
            Err(Wrong::Shut(_)) => shut += 1,
            Err(Wrong::Another(which, _)) => which.into_iter().for_each(|part| *lost.entry(part).or_insert(0) += 1),
            Err(_) | Ok(()) => {}
        }
        if shut > 0 && parts.iter().all(|part| lost.contains_key(part)) {
            let crashes = tally.crashes.load(Ordering::Relaxed);
            return format!("{shut} files did not open and {lost:?} were lost in {crashes} crashes");
        }
    }
    panic!("a lying disk is not caught: {shut} files did not open, {lost:?} were lost");
}

/// Lets each of the first operations of every kind fail, once and from then on, on a new file and on one with content.
fn fail_at_each<W: World>(what: &str, operations: &[Operation]) {
    const EIO: i32 = 5;
    const ENOSPC: i32 = 28;
    let (begin, numbers) = (Instant::now(), count_from_environment("PILLARBOX_FAULTS", FAULTS));
    let used = used_file::<W>();
    let (mut tried, mut met) = (0, 0);
    for operation in operations {
        for (errno, lasting) in [(EIO, false), (EIO, true), (ENOSPC, false), (ENOSPC, true)] {
            for number in 1..=numbers {
                let fault = Fault { operation: *operation, number, lasting, errno };
                tried += 2;
                met += u64::from(fail(fault, Chain::<W>::new(number)));
                met += u64::from(fail(fault, used_chain(number, &used)));
            }
        }
    }
    say(&format!(
        "pillarbox: {what}: {met} of {tried} faults met an operation, in {:.1} s",
        begin.elapsed().as_secs_f64()
    ));
    assert!(met > 8 * numbers.min(20), "only {met} of the faults met an operation");
}

/// A file with some content that a killed process left.
fn used_file<W: World>() -> (Vec<u8>, W) {
    let chain = Chain::<W>::new(1);
    let disk = FaultDisk::new();
    let store = chain.open(&disk).expect("opens");
    let outcome = chain.change(&store, W::default(), 20).expect("changes");
    (disk.image(), outcome.states[outcome.acknowledged].clone())
}

fn used_chain<W: World>(seed: u64, (image, state): &(Vec<u8>, W)) -> Chain<W> {
    Chain { image: image.clone(), made: true, allowed: vec![state.clone()], ..Chain::new(seed) }
}

/// Whether the fault met an operation.
fn fail<W: World>(fault: Fault, mut chain: Chain<W>) -> bool {
    let told = Arc::new(AtomicU64::new(0));
    let disk = FaultDisk::holding(std::mem::take(&mut chain.image));
    disk.fail(fault);
    let tell = {
        let told = Arc::clone(&told);
        move |_: &_| count(&told, 1)
    };
    // Without a cache it reads more.
    let options = Options { cache_bytes: 0, ..Options::faulty(Arc::clone(&disk), tell) };
    let met = |disk: &FaultDisk| disk.count(fault.operation) >= fault.number;
    match Store::open(options, W::SCHEMA) {
        Ok(store) => {
            chain.made = true;
            let state = chain.allowed[0].clone();
            let outcome = chain.change(&store, state, 10).expect("acknowledges nothing after a failure");
            if outcome.failed {
                let end = Instant::now() + Duration::from_secs(2);
                while told.load(Ordering::SeqCst) == 0 && Instant::now() < end {
                    std::thread::sleep(Duration::from_millis(1));
                }
                assert_eq!(told.load(Ordering::SeqCst), 1, "{fault:?}: told once, and within two seconds");
                assert!(!store.health().writable);
            }
            chain.allowed = outcome.states[outcome.acknowledged..].to_vec();
        }
        Err(error) => assert!(met(&disk), "{fault:?}: nothing failed, but {error}"),
    }
    if chain.made {
        for image in [disk.image(), disk.image_after_power_cut(&chain.random)] {
            let store = chain.open(&FaultDisk::holding(image)).unwrap_or_else(|error| panic!("{fault:?}: {error}"));
            chain.compare(&store).unwrap_or_else(|wrong| panic!("{fault:?}: {wrong}"));
        }
    }
    met(&disk)
}
