//! Power cuts and failing disks, in one process: random changes on a test disk against a model. What was acknowledged
//! must be there after every crash, what is there must be a state between two changes, and the file must open.
//!
//! `PILLARBOX_TORN_CRASHES` says how many crashes (500).

mod workload;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pillarbox::base::SeededRandom;
use pillarbox::store::fault::{Fault, FaultDisk, Operation};
use pillarbox::store::{Options, Store, verify};
use workload::{Change, Model, SCHEMA, Write, below};

/// Crashes after which a chain begins with an empty disk again.
const CHAIN: u64 = 40;
/// Changes that wait for the writer together, at most.
const TOGETHER: u64 = 3;

fn crashes() -> u64 {
    std::env::var("PILLARBOX_TORN_CRASHES").ok().and_then(|number| number.parse().ok()).unwrap_or(500)
}

/// A file that crashes again and again.
struct Chain {
    random: SeededRandom,
    image: Vec<u8>,
    /// It was open once: until then it is a new file under another name, which a crash leaves behind.
    made: bool,
    /// The states of which the file must hold one.
    allowed: Vec<Model>,
    bodies_in_memory_bytes: usize,
    /// One sync of so many is honest.
    honest_one_in: u64,
    runtime: tokio::runtime::Runtime,
}

/// What all chains went through.
#[derive(Default)]
struct Tally {
    crashes: AtomicU64,
    while_opening: AtomicU64,
    /// With changes that were not acknowledged, and how many of these had some of them in the file.
    in_flight: AtomicU64,
    in_flight_kept: AtomicU64,
    acknowledged: AtomicU64,
}

/// What was submitted to a store, and what came of it.
struct Outcome {
    /// The state before, and after each change.
    states: Vec<Model>,
    acknowledged: usize,
    failed: bool,
}

impl Chain {
    fn new(seed: u64) -> Self {
        let random = SeededRandom::new(seed);
        let bodies_in_memory_bytes = if below(&random, 2) == 0 { 0 } else { 1 << 20 };
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        Self {
            random,
            image: Vec::new(),
            made: false,
            allowed: vec![Model::default()],
            bodies_in_memory_bytes,
            honest_one_in: 1,
            runtime,
        }
    }

    /// Opens the file, compares it, changes it, and crashes.
    fn crash(&mut self, tally: &Tally) -> Result<(), String> {
        count(&tally.crashes, 1);
        let disk = FaultDisk::holding(std::mem::take(&mut self.image));
        disk.lie(self.honest_one_in);
        // One in four crashes while it recovers from the one before.
        let recovers = below(&self.random, 4) == 0;
        if recovers {
            disk.cut_power_after(below(&self.random, 20));
        }
        match self.open(&disk) {
            Ok(store) => {
                self.made = true;
                let model = match self.compare(&store) {
                    Ok(model) => model,
                    Err(_) if disk.is_dark() => {
                        count(&tally.while_opening, 1);
                        self.go_dark(&disk);
                        return Ok(());
                    }
                    Err(wrong) => return Err(wrong),
                };
                if self.allowed.len() > 1 {
                    count(&tally.in_flight, 1);
                    count(&tally.in_flight_kept, u64::from(self.allowed[0] != model));
                }
                if !recovers {
                    disk.cut_power_after(below(&self.random, 90));
                }
                let outcome = self.change(&store, model, 12)?;
                self.allowed = outcome.states[outcome.acknowledged..].to_vec();
                count(&tally.acknowledged, outcome.acknowledged as u64);
                // At rest, or while it is being closed.
                if below(&self.random, 2) == 0 {
                    disk.cut_power_after(below(&self.random, 2) * below(&self.random, 8));
                }
            }
            Err(_) if disk.is_dark() => count(&tally.while_opening, 1),
            Err(error) => return Err(format!("the file does not open: {error}")),
        }
        self.go_dark(&disk);
        Ok(())
    }

    fn go_dark(&mut self, disk: &FaultDisk) {
        if self.made {
            self.image = disk.image_after_power_cut(&self.random);
        }
    }

    fn open(&self, disk: &Arc<FaultDisk>) -> Result<Store, String> {
        let options = Options {
            cache_bytes: 1 << 20,
            bodies_in_memory_bytes: self.bodies_in_memory_bytes,
            ..Options::faulty(Arc::clone(disk), |_| {})
        };
        Store::open(options, &SCHEMA).map_err(|error| error.to_string())
    }

    /// The file holds one of the states that it may hold, and contradicts itself nowhere.
    fn compare(&self, store: &Store) -> Result<Model, String> {
        let model = self.runtime.block_on(Model::read(store)).map_err(|error| error.to_string())?;
        if !self.allowed.contains(&model) {
            return Err(format!("not one of the {} states that may be there", self.allowed.len()));
        }
        let findings = store.check().map_err(|error| error.to_string())?;
        if findings.lines().is_empty() { Ok(model) } else { Err(findings.lines().join("; ")) }
    }

    /// Makes random changes, some together, until one fails.
    fn change(&self, store: &Store, model: Model, rounds: u64) -> Result<Outcome, String> {
        let mut outcome = Outcome { states: vec![model], acknowledged: 0, failed: false };
        for _ in 0..rounds {
            let together = 1 + below(&self.random, TOGETHER);
            let mut writes = Vec::new();
            for _ in 0..together {
                let change = Change::random(&self.random);
                let next = outcome.states[outcome.states.len() - 1].after(&change);
                match self.runtime.block_on(Write::prepare(store, change)) {
                    Ok(write) => writes.push(write),
                    Err(_) => {
                        outcome.failed = true;
                        break;
                    }
                }
                outcome.states.push(next);
            }
            for answer in self.runtime.block_on(write_all(store, writes)) {
                match answer {
                    Ok(()) if outcome.failed => return Err("acknowledged after a failure".into()),
                    Ok(()) => outcome.acknowledged += 1,
                    Err(()) => outcome.failed = true,
                }
            }
            if outcome.failed {
                break;
            }
        }
        Ok(outcome)
    }
}

/// Submits the writes in their order before it waits for the first.
async fn write_all(store: &Store, writes: Vec<Write>) -> Vec<Result<(), ()>> {
    let mut writes = writes.into_iter();
    let mut next = || {
        let write = writes.next();
        async { Some(store.write(write?).await.map(drop).map_err(drop)) }
    };
    let (first, second, third) = (next(), next(), next());
    let (first, second, third) = tokio::join!(biased; first, second, third);
    [first, second, third].into_iter().flatten().collect()
}

/// Lets chains crash on both cores until `crashes` are reached; the first one that goes wrong ends it.
fn run(crashes: u64, honest_one_in: u64, base_seed: u64, tally: &Tally) -> Result<(), String> {
    let next_seed = AtomicU64::new(0);
    let chain = |seed: u64| {
        let mut chain = Chain::new(base_seed + seed);
        chain.honest_one_in = honest_one_in;
        for crash in 0..CHAIN {
            chain.crash(tally).map_err(|wrong| format!("seed {seed}, crash {crash}: {wrong}"))?;
        }
        let image = Options::faulty(FaultDisk::holding(chain.image), |_| {});
        let findings = verify(&image, &SCHEMA).map_err(|error| format!("seed {seed}: {error}"))?;
        if findings.lines().is_empty() { Ok(()) } else { Err(format!("seed {seed}: {:?}", findings.lines())) }
    };
    let work = || {
        loop {
            let seed = next_seed.fetch_add(1, Ordering::Relaxed);
            if seed * CHAIN >= crashes {
                return Ok(());
            }
            if let Err(wrong) = chain(seed) {
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

fn count(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

#[test]
fn nothing_acknowledged_is_lost_in_a_power_cut() {
    let begin = Instant::now();
    let tally = Tally::default();
    run(crashes(), 1, 1_000_000, &tally).expect("every crash is survived");
    let counted = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    println!(
        "{} power cuts in {:.1} s: {} while opening, {} with changes in flight (of which {} had some of them in the \
         file); {} changes acknowledged, none lost",
        counted(&tally.crashes),
        begin.elapsed().as_secs_f64(),
        counted(&tally.while_opening),
        counted(&tally.in_flight),
        counted(&tally.in_flight_kept),
        counted(&tally.acknowledged),
    );
    assert!(counted(&tally.while_opening) * 20 > crashes(), "too few crashes while opening");
    assert!(counted(&tally.in_flight) * 4 > crashes(), "too few crashes with changes in flight");
}

#[test]
fn a_disk_that_lies_is_caught() {
    let tally = Tally::default();
    let wrong = run(2_000, 3, 2_000_000, &tally).expect_err("a disk that ignores two of three syncs loses something");
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

/// A file with some content that a killed process left.
fn used_file() -> (Vec<u8>, Model) {
    let chain = Chain::new(1);
    let disk = FaultDisk::new();
    let store = chain.open(&disk).expect("opens");
    let outcome = chain.change(&store, Model::default(), 20).expect("changes");
    (disk.image(), outcome.states[outcome.acknowledged].clone())
}

fn used_chain(seed: u64, (image, model): &(Vec<u8>, Model)) -> Chain {
    Chain { image: image.clone(), made: true, allowed: vec![model.clone()], ..Chain::new(seed) }
}

/// Whether the fault met an operation.
fn fail(fault: Fault, mut chain: Chain) -> bool {
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
    match Store::open(options, &SCHEMA) {
        Ok(store) => {
            chain.made = true;
            let model = chain.allowed[0].clone();
            let outcome = chain.change(&store, model, 10).expect("acknowledges nothing after a failure");
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
