//! Power cuts and failing disks, in one process: random changes on a test disk against a model. What was acknowledged
//! must be there after every crash, what is there must be a state between two changes, and the file must open.
//!
//! `PILLARBOX_TORN_CRASHES` says how many crashes (500), and a fifth of it for the server's own changes.

mod chain;
mod mail;
mod rows;
mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chain::{CHAIN, Chain, Tally, count};
use mail::Mail;
use pillarbox::store::fault::{Fault, FaultDisk, Operation};
use pillarbox::store::{Options, Store, verify};
use rows::Rows;
use world::World;

fn crashes() -> u64 {
    std::env::var("PILLARBOX_TORN_CRASHES").ok().and_then(|number| number.parse().ok()).unwrap_or(500)
}

#[test]
fn nothing_acknowledged_is_lost_in_a_power_cut() {
    survive::<Rows>("rows and bodies", crashes());
}

#[test]
fn no_mail_is_lost_or_doubled_in_a_power_cut() {
    survive::<Mail>("mail", crashes() / 5);
}

#[test]
fn a_disk_that_lies_is_caught() {
    let tally = Tally::default();
    let wrong = run::<Rows>(2_000, 3, &tally).expect_err("a disk that ignores two of three syncs loses something");
    println!("caught after {} crashes: {wrong}", tally.crashes.load(Ordering::Relaxed));
}

#[test]
fn no_failed_operation_is_acknowledged_or_loses_what_was() {
    const EIO: i32 = 5;
    const ENOSPC: i32 = 28;
    // The first 40 of each kind in the long run.
    let numbers = if crashes() >= 10_000 { 40 } else { 10 };
    let used = used_file();
    let mut met = 0;
    for operation in [Operation::Write, Operation::Sync, Operation::SetLen, Operation::Read] {
        for (errno, lasting) in [(EIO, false), (EIO, true), (ENOSPC, false), (ENOSPC, true)] {
            for number in 1..=numbers {
                let fault = Fault { operation, number, lasting, errno };
                met += u64::from(fail(fault, Chain::new(number)));
                met += u64::from(fail(fault, used_chain(number, &used)));
            }
        }
    }
    println!("{met} faults met their operation");
    assert!(met > 10 * numbers, "only {met} of the faults met an operation");
}

fn survive<W: World>(what: &str, crashes: u64) {
    let begin = Instant::now();
    let tally = Tally::default();
    run::<W>(crashes, 1, &tally).expect("every crash is survived");
    println!("{what}, {:.1} s: {tally}", begin.elapsed().as_secs_f64());
    tally.assert_that_it_was_hard(crashes);
}

/// Lets chains crash on both cores until `crashes` are reached; the first one that goes wrong ends it.
fn run<W: World>(crashes: u64, honest_one_in: u64, tally: &Tally) -> Result<(), String> {
    let next_seed = AtomicU64::new(0);
    let work = || {
        loop {
            let seed = next_seed.fetch_add(1, Ordering::Relaxed);
            if seed * CHAIN >= crashes {
                return Ok(());
            }
            if let Err(wrong) = run_chain::<W>(seed, honest_one_in, tally) {
                next_seed.store(crashes, Ordering::Relaxed);
                return Err(wrong);
            }
        }
    };
    std::thread::scope(|scope| {
        let workers = [scope.spawn(work), scope.spawn(work)];
        workers.map(|worker| worker.join().unwrap_or(Err("a worker panicked".into()))).into_iter().collect()
    })
}

fn run_chain<W: World>(seed: u64, honest_one_in: u64, tally: &Tally) -> Result<(), String> {
    let mut chain = Chain::<W> { honest_one_in, ..Chain::new(seed) };
    for crash in 0..CHAIN {
        chain.crash(tally).map_err(|wrong| format!("seed {seed}, crash {crash}: {wrong}"))?;
    }
    let image = Options::faulty(FaultDisk::holding(chain.image), |_| {});
    let findings = verify(&image, W::SCHEMA).map_err(|error| format!("seed {seed}: {error}"))?;
    if findings.lines().is_empty() { Ok(()) } else { Err(format!("seed {seed}: {:?}", findings.lines())) }
}

/// A file with some content that a killed process left.
fn used_file() -> (Vec<u8>, Rows) {
    let chain = Chain::new(1);
    let disk = FaultDisk::new();
    let store = chain.open(&disk).expect("opens");
    let outcome = chain.change(&store, Rows::default(), 20).expect("changes");
    (disk.image(), outcome.states[outcome.acknowledged].clone())
}

fn used_chain(seed: u64, (image, state): &(Vec<u8>, Rows)) -> Chain<Rows> {
    Chain { image: image.clone(), made: true, allowed: vec![state.clone()], ..Chain::new(seed) }
}

/// Whether the fault met an operation.
fn fail(fault: Fault, mut chain: Chain<Rows>) -> bool {
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
    match Store::open(options, Rows::SCHEMA) {
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
