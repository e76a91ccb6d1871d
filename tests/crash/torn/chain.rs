use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pillarbox::base::SeededRandom;
use pillarbox::store::fault::{FaultDisk, Operation};
use pillarbox::store::{Options, Store, StoreError};

use super::world::{World, below};

/// Crashes after which a new chain begins with an empty disk.
pub const CHAIN: u64 = 40;
/// Changes that wait for the writer together, at most.
const TOGETHER: u64 = 3;

/// A file that crashes again and again.
pub struct Chain<W: World> {
    pub random: SeededRandom,
    pub image: Vec<u8>,
    /// It was open once: until then it is a new file under another name, which a crash leaves behind.
    pub made: bool,
    /// The states of which the file must hold one.
    pub allowed: Vec<W>,
    /// Changes that nobody knows of whether they were made, to be made once more.
    pub repeated: Vec<W::Change>,
    pub bodies_in_memory_bytes: usize,
    /// One sync of so many is honest.
    pub honest_one_in: u64,
    pub runtime: tokio::runtime::Runtime,
}

/// What was submitted to a store, and what came of it.
pub struct Outcome<W: World> {
    /// The state before, and after each change.
    pub states: Vec<W>,
    changes: Vec<W::Change>,
    pub acknowledged: usize,
    pub failed: bool,
}

/// What a crash must not leave.
#[derive(Debug)]
pub enum Wrong {
    /// A file that does not open.
    Shut(String),
    /// A state that it may not hold, and which parts of it are another.
    Another(Vec<&'static str>, String),
    /// A file that contradicts itself.
    Contradiction(String),
    /// Something was acknowledged behind a failure.
    Acknowledged,
}

/// What all chains went through.
#[derive(Default)]
pub struct Tally {
    pub crashes: AtomicU64,
    pub while_opening: AtomicU64,
    /// With changes that were not acknowledged, and how many of these had some of them in the file.
    in_flight: AtomicU64,
    in_flight_kept: AtomicU64,
    acknowledged: AtomicU64,
}

impl<W: World> Chain<W> {
    pub fn new(seed: u64) -> Self {
        let random = SeededRandom::new(seed);
        Self {
            image: Vec::new(),
            made: false,
            allowed: vec![W::default()],
            repeated: Vec::new(),
            bodies_in_memory_bytes: if below(&random, 2) == 0 { 0 } else { 1 << 20 },
            honest_one_in: 1,
            runtime: tokio::runtime::Builder::new_current_thread().build().expect("a runtime"),
            random,
        }
    }

    /// Opens the file, compares it, changes it, and crashes.
    pub fn crash(&mut self, tally: &Tally) -> Result<(), Wrong> {
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
                match self.compare(&store) {
                    Ok(state) => self.work(&store, &disk, state, recovers, tally)?,
                    Err(_) if disk.is_dark() => count(&tally.while_opening, 1),
                    Err(wrong) => return Err(wrong),
                }
            }
            Err(_) if disk.is_dark() => count(&tally.while_opening, 1),
            Err(error) => return Err(Wrong::Shut(error)),
        }
        if self.made {
            self.image = disk.image_after_power_cut(&self.random);
        }
        Ok(())
    }

    /// Crashes one to three times while the file that a crash has left is being opened.
    pub fn crash_while_opening(&mut self, tally: &Tally) -> Result<(), Wrong> {
        if !self.made {
            return Ok(());
        }
        let disk = FaultDisk::holding(self.image.clone());
        drop(self.open(&disk).map_err(Wrong::Shut)?);
        let steps: u64 =
            [Operation::Write, Operation::Sync, Operation::SetLen].map(|kind| disk.count(kind)).iter().sum();
        for _ in 0..=below(&self.random, 3) {
            let disk = FaultDisk::holding(std::mem::take(&mut self.image));
            disk.cut_power_after(below(&self.random, steps.max(1)));
            match self.open(&disk) {
                Ok(store) => drop(store),
                Err(_) if disk.is_dark() => {}
                Err(error) => return Err(Wrong::Shut(error)),
            }
            count(&tally.while_opening, u64::from(disk.is_dark()));
            self.image = disk.image_after_power_cut(&self.random);
        }
        Ok(())
    }

    fn work(&mut self, store: &Store, disk: &FaultDisk, state: W, recovers: bool, tally: &Tally) -> Result<(), Wrong> {
        if self.allowed.len() > 1 {
            count(&tally.in_flight, 1);
            count(&tally.in_flight_kept, u64::from(self.allowed[0] != state));
        }
        match below(&self.random, 2) {
            _ if recovers => {}
            0 => disk.cut_power_after(below(&self.random, 120)),
            _ => disk.cut_power_at_sync(below(&self.random, 12)),
        }
        let outcome = self.change(store, state, 12)?;
        self.allowed = outcome.states[outcome.acknowledged..].to_vec();
        self.repeated = outcome.changes[outcome.acknowledged..].to_vec();
        self.repeated.retain(W::is_repeated);
        count(&tally.acknowledged, outcome.acknowledged as u64);
        // At rest, or while it is being closed.
        if below(&self.random, 2) == 0 {
            disk.cut_power_after(below(&self.random, 2) * below(&self.random, 8));
        }
        Ok(())
    }

    pub fn open(&self, disk: &Arc<FaultDisk>) -> Result<Store, String> {
        let options = Options {
            cache_bytes: 1 << 20,
            bodies_in_memory_bytes: self.bodies_in_memory_bytes,
            ..Options::faulty(Arc::clone(disk), |_| {})
        };
        Store::open(options, W::SCHEMA).map_err(|error| error.to_string())
    }

    /// The file holds one of the states that it may hold, and contradicts itself nowhere.
    pub fn compare(&self, store: &Store) -> Result<W, Wrong> {
        let broken = |error: StoreError| Wrong::Contradiction(error.to_string());
        let state = self.runtime.block_on(W::read(store)).map_err(broken)?;
        if !self.allowed.contains(&state) {
            let parts = self.allowed[0].parts_that_differ(&state);
            let each: Vec<String> = self.allowed.iter().map(|allowed| difference(allowed, &state)).collect();
            return Err(Wrong::Another(parts, each.join("; ")));
        }
        let findings = store.check().map_err(broken)?;
        if findings.lines().is_empty() { Ok(state) } else { Err(Wrong::Contradiction(findings.lines().join("; "))) }
    }

    /// Makes random changes, some together, until one fails.
    pub fn change(&self, store: &Store, state: W, rounds: u64) -> Result<Outcome<W>, Wrong> {
        let mut outcome = Outcome { states: vec![state], changes: Vec::new(), acknowledged: 0, failed: false };
        let mut repeated = self.repeated.clone();
        for _ in 0..rounds {
            let together = match std::mem::take(&mut repeated) {
                repeated if repeated.is_empty() => self.choose(&outcome),
                repeated => once_more(&outcome.states[outcome.states.len() - 1], repeated),
            };
            let mut writes = Vec::new();
            for change in together {
                let next = outcome.states[outcome.states.len() - 1].after(&change);
                outcome.changes.push(change.clone());
                let Ok(write) = self.runtime.block_on(W::prepare(store, change)) else {
                    outcome.changes.pop();
                    outcome.failed = true;
                    break;
                };
                writes.push(write);
                outcome.states.push(next);
            }
            let gave_up = std::mem::take(&mut outcome.failed);
            for answer in self.runtime.block_on(write_all::<W>(store, writes)) {
                match answer {
                    Ok(()) if outcome.failed => return Err(Wrong::Acknowledged),
                    Ok(()) => outcome.acknowledged += 1,
                    Err(()) => outcome.failed = true,
                }
            }
            outcome.failed |= gave_up;
            if outcome.failed {
                break;
            }
        }
        Ok(outcome)
    }

    /// The changes of the next round.
    fn choose(&self, outcome: &Outcome<W>) -> Vec<W::Change> {
        let state = &outcome.states[outcome.states.len() - 1];
        let first = state.random(&self.random);
        let mut state = state.after(&first);
        let mut together = vec![first];
        for _ in 0..below(&self.random, TOGETHER) {
            let next = state.random(&self.random);
            if W::is_alone(&together[0]) || W::is_alone(&next) {
                break;
            }
            state = state.after(&next);
            together.push(next);
        }
        together
    }
}

/// The same changes on another state.
fn once_more<W: World>(state: &W, changes: Vec<W::Change>) -> Vec<W::Change> {
    let (mut state, mut again) = (state.clone(), Vec::new());
    for change in changes {
        let change = state.once_more(change);
        state = state.after(&change);
        again.push(change);
    }
    again
}

/// Submits the writes in their order before it waits for the first.
async fn write_all<W: World>(store: &Store, writes: Vec<W::Write>) -> Vec<Result<(), ()>> {
    let mut writes = writes.into_iter();
    let mut next = || {
        let write = writes.next();
        async { Some(W::write(store, write?).await) }
    };
    let (first, second, third) = (next(), next(), next());
    let (first, second, third) = tokio::join!(biased; first, second, third);
    [first, second, third].into_iter().flatten().collect()
}

/// Where what is there differs first from what may be there.
fn difference<W: World>(allowed: &W, there: &W) -> String {
    let (allowed, there) = (format!("{allowed:#?}"), format!("{there:#?}"));
    let same = allowed.lines().zip(there.lines()).take_while(|(allowed, there)| allowed == there).count();
    let around =
        |text: &str| text.lines().skip(same.saturating_sub(4)).take(12).map(str::trim).collect::<Vec<_>>().join(" ");
    format!("line {same}: …{}… instead of …{}…", around(&there), around(&allowed))
}

impl Tally {
    /// The crashes came at all kinds of moments.
    pub fn assert_that_it_was_hard(&self, crashes: u64) {
        let counted = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        assert!(counted(&self.while_opening) * 25 > crashes, "too few crashes while opening: {self}");
        assert!(counted(&self.in_flight) * 5 > crashes, "too few crashes with changes in flight: {self}");
        assert!(counted(&self.in_flight_kept) * 50 > crashes, "too few that were committed unheard: {self}");
        assert!(counted(&self.acknowledged) > crashes, "too few changes: {self}");
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shut(error) => write!(f, "the file does not open: {error}"),
            Self::Another(parts, how) => write!(f, "it holds {} that it may not hold: {how}", parts.join(" and ")),
            Self::Contradiction(findings) => write!(f, "it contradicts itself: {findings}"),
            Self::Acknowledged => f.write_str("acknowledged after a failure"),
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        write!(
            f,
            "{} power cuts, {} while opening, {} with changes in flight (of which {} had some of them in the file), \
             {} changes acknowledged",
            counted(&self.crashes),
            counted(&self.while_opening),
            counted(&self.in_flight),
            counted(&self.in_flight_kept),
            counted(&self.acknowledged),
        )
    }
}

pub fn count(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}
