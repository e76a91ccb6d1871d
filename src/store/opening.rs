use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How far the opening of a file has come, for whoever waits for it, and the way to give it up. A file that was not
/// closed is looked through first, twice from end to end, which takes long where it is large.
#[derive(Debug, Default)]
pub struct Opening(Mutex<State>);

/// Where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Nothing of the file was read: perhaps another process has it.
    Waiting,
    /// It is ours, and is read.
    Reading,
    /// It was not closed, and is looked through: so many of a hundred parts are done.
    Repairing(u8),
    /// It is of an older version: it is copied first, then upgraded. So many of a hundred parts are done.
    Upgrading(u8),
}

#[derive(Debug, Default)]
struct State {
    read_bytes: u64,
    /// What looking through the file once reads, at most.
    data_bytes: u64,
    pass: Option<Pass>,
    repair_began: Option<Instant>,
    repair_took: Option<Duration>,
    upgrade_percent: Option<u8>,
    given_up: bool,
}

/// One way through the file.
#[derive(Debug, Clone, Copy)]
struct Pass {
    from_percent: u8,
    to_percent: u8,
    /// What had been read when it began.
    read_before: u64,
}

impl Opening {
    /// Where it stands.
    pub fn stage(&self) -> Stage {
        let state = self.lock();
        if let Some(percent) = state.upgrade_percent {
            return Stage::Upgrading(percent);
        }
        match state.pass {
            Some(pass) => Stage::Repairing(pass.percent(state.read_bytes, state.data_bytes)),
            None if state.read_bytes > 0 => Stage::Reading,
            None => Stage::Waiting,
        }
    }

    /// Ends it soon, with an error and with nothing written.
    pub fn give_up(&self) {
        self.lock().given_up = true;
    }

    /// How long the repair took, if there was one and it is over.
    pub fn repair_took(&self) -> Option<Duration> {
        self.lock().repair_took
    }

    /// So much was read of the file while it was not yet ours to change.
    pub(super) fn note_read(&self, bytes: u64) -> io::Result<()> {
        let mut state = self.lock();
        state.read_bytes += bytes;
        if state.given_up { Err(io::Error::other("the opening was given up")) } else { Ok(()) }
    }

    /// A repair of `data_bytes` has come to this part of itself, as redb names it; whether it goes on.
    pub(super) fn note_repair(&self, part: f64, data_bytes: u64) -> bool {
        let mut state = self.lock();
        state.data_bytes = data_bytes;
        state.repair_began.get_or_insert_with(Instant::now);
        // redb names 0 before it verifies what was committed last, 0.3 when that was torn and the state before it is
        // verified, 0.6 before it looks for free pages, and 0.9 when only its own small tables are left.
        let was_torn = state.pass.is_some_and(|pass| pass.from_percent == 33);
        let (from_percent, to_percent) = match (part, was_torn) {
            (..0.3, _) => (0, 50),
            (..0.6, _) => (33, 66),
            (..0.9, true) => (66, 99),
            (..0.9, false) => (50, 99),
            _ => (99, 99),
        };
        state.pass = Some(Pass { from_percent, to_percent, read_before: state.read_bytes });
        !state.given_up
    }

    /// An upgrade has come so far; an error where it was given up.
    pub(super) fn note_upgrade(&self, percent: u8) -> io::Result<()> {
        let mut state = self.lock();
        state.upgrade_percent = Some(percent);
        if state.given_up { Err(io::Error::other("the opening was given up")) } else { Ok(()) }
    }

    /// The upgrade is done.
    pub(super) fn note_upgraded(&self) {
        self.lock().upgrade_percent = None;
    }

    /// The file is open.
    pub(super) fn note_end(&self) {
        let mut state = self.lock();
        state.pass = None;
        state.repair_took = state.repair_began.map(|began| began.elapsed());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass {
    fn percent(self, read_bytes: u64, data_bytes: u64) -> u8 {
        let read = read_bytes.saturating_sub(self.read_before).min(data_bytes);
        let width = u64::from(self.to_percent - self.from_percent);
        let done = (width * read).checked_div(data_bytes).unwrap_or(width);
        self.from_percent + u8::try_from(done).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::Options;
    use super::super::engine::Engine;
    use super::super::error::OpenError;
    use super::super::fault::{FaultDisk, Operation};
    use super::super::tests::SCHEMA;
    use super::*;

    fn check(notes: &[(f64, u64)], expected: &[u8]) {
        let opening = Opening::default();
        let seen: Vec<u8> = notes
            .iter()
            .map(|(part, read_bytes)| {
                assert!(opening.note_repair(*part, 1000));
                opening.note_read(*read_bytes).unwrap();
                match opening.stage() {
                    Stage::Repairing(percent) => percent,
                    other => panic!("{other:?}"),
                }
            })
            .collect();
        assert_eq!(seen, expected, "{notes:?}");
    }

    #[test]
    fn progress_follows_what_is_read() {
        check(&[(0.0, 0)], &[0]);
        check(&[(0.0, 500), (0.6, 500), (0.9, 10)], &[25, 74, 99]);
        // It never says that it is done before it is, however much is read.
        check(&[(0.0, 5000), (0.6, 5000)], &[50, 99]);
        check(&[(0.0, 500), (0.3, 500), (0.6, 1000), (0.9, 0)], &[25, 49, 99, 99]);
    }

    /// What a server leaves that is killed at its first start.
    fn killed() -> Vec<u8> {
        let disk = FaultDisk::new();
        let _engine = Engine::open(&Options::faulty(Arc::clone(&disk), |_| {}), &SCHEMA).unwrap();
        disk.image()
    }

    fn open(image: Vec<u8>, opening: &Arc<Opening>) -> (Arc<FaultDisk>, Result<Engine, OpenError>) {
        let disk = FaultDisk::holding(image);
        let mut options = Options::faulty(Arc::clone(&disk), |_| {});
        options.opening = Arc::clone(opening);
        let engine = Engine::open(&options, &SCHEMA);
        (disk, engine)
    }

    #[test]
    fn a_file_that_was_closed_needs_no_repair_and_another_does() {
        let opening = Arc::new(Opening::default());
        assert_eq!(opening.stage(), Stage::Waiting);
        let (disk, engine) = open(killed(), &opening);
        engine.unwrap().close();
        assert!(opening.repair_took().is_some());
        assert_eq!(opening.stage(), Stage::Reading, "it is over");
        let again = Arc::new(Opening::default());
        open(disk.image(), &again).1.unwrap();
        assert_eq!(again.repair_took(), None);
    }

    #[test]
    fn what_is_given_up_has_written_nothing() {
        let opening = Arc::new(Opening::default());
        opening.give_up();
        let image = killed();
        let (disk, engine) = open(image.clone(), &opening);
        assert!(engine.is_err());
        assert!(disk.count(Operation::Write) == 0 && disk.image() == image);
        open(image, &Arc::new(Opening::default())).1.unwrap();
    }
}
