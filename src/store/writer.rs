use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use redb::{Database, WriteTransaction};

use super::backend::Disk;
use super::blob_rows::Reap;
use super::engine::{Engine, commit};
use super::error::{PAGES, StoreError};
use super::job::{Job, OpJob, Verdict};
use super::journal::Journal;
use super::own::{LIVE_BYTES, META, Number};
use super::queue::{Next, Queue};
use super::repair::QuickRepair;
use super::tx::{Counters, Place, Tx};
use super::view::{damaged, guarded};
use crate::base::limits;
use crate::telemetry::metrics;

/// Chunks are reaped at least this often, also when the writer is never idle.
const REAP_AT_LEAST_EVERY: Duration = Duration::from_secs(1);

/// The one who changes the file: a step takes a batch and commits it in one transaction.
pub(super) struct Writer {
    engine: Arc<Engine>,
    counters: Counters,
    repair: QuickRepair,
    /// There are chunks to reap, and when some were last.
    reaping: bool,
    last_reaped: Instant,
    /// The disk was full when the batch began.
    is_full: bool,
    /// What a compaction that runs has to hear of.
    journal: Weak<Journal>,
}

/// What the writer does between two batches, for whoever needs the file to stand still.
pub(super) type Errand = Box<dyn FnOnce(&mut Writer) -> Result<(), StoreError> + Send>;

/// How a batch went before its commit.
enum Attempt {
    Committed,
    /// The job at this place must not be part of it, for that reason; nothing was changed.
    Guilty(usize, Verdict),
}

impl Writer {
    pub(super) fn new(engine: Arc<Engine>) -> Self {
        Self {
            engine,
            counters: Counters::default(),
            repair: QuickRepair::new(Instant::now()),
            reaping: false,
            last_reaped: Instant::now(),
            is_full: false,
            journal: Weak::new(),
        }
    }

    /// Runs the jobs in one transaction and commits it. The verdicts come in the jobs' order, and only after the sync.
    ///
    /// # Errors
    /// The file failed: nothing of the batch may be acknowledged, and nothing after it.
    pub(super) fn step(&mut self, batch: &mut [Box<dyn Job>]) -> Result<Vec<Verdict>, StoreError> {
        let mut verdicts = vec![Verdict::Committed; batch.len()];
        let mut next = 0;
        while next < batch.len() {
            let disk = self.engine.disk();
            let room = disk.room();
            disk.keep_ballast(room);
            self.is_full = room.full;
            let mut ready = Vec::with_capacity(batch.len() - next);
            let mut bytes = 0;
            while let Some(job) = batch.get(next) {
                let weight_bytes = job.weight_bytes();
                if !job.runs_when_full() && (room.full || !room.fits(weight_bytes)) {
                    verdicts[next] = Verdict::Full;
                    next += 1;
                    continue;
                }
                bytes += weight_bytes;
                // On a disk with little room the batch becomes several, and the room is looked at between them.
                if bytes > room.batch_bytes() && !ready.is_empty() {
                    break;
                }
                ready.push(next);
                next += 1;
            }
            self.commit_together(batch, ready, &mut verdicts)?;
        }
        Ok(verdicts)
    }

    fn commit_together(
        &mut self,
        batch: &mut [Box<dyn Job>],
        ready: Vec<usize>,
        verdicts: &mut [Verdict],
    ) -> Result<(), StoreError> {
        match self.attempt(batch, &ready)? {
            Attempt::Committed => {}
            Attempt::Guilty(place, verdict) if ready == [place] => verdicts[place] = verdict,
            // One op can't be rolled back alone: each gets a transaction of its own.
            Attempt::Guilty(..) => {
                for place in ready {
                    if let Attempt::Guilty(place, verdict) = self.attempt(batch, &[place])? {
                        verdicts[place] = verdict;
                    }
                }
            }
        }
        Ok(())
    }

    /// How long the writer waits for a batch before it looks after the file.
    fn patience(&self) -> Option<Duration> {
        let opens_at_once = self.engine.opens_at_once.load(Ordering::Relaxed);
        let wait_ms = match (self.reaping, opens_at_once) {
            (true, _) if self.last_reaped.elapsed() > REAP_AT_LEAST_EVERY => 0,
            (true, _) => limits::REAP_IDLE_MS,
            (false, false) => limits::WRITER_IDLE_MS,
            (false, true) if self.engine.live.is_changed() => limits::WRITER_REST_MS,
            (false, true) => return None,
        };
        Some(Duration::from_millis(wait_ms))
    }

    /// What there is to do for the file while nobody wants anything.
    fn look_after(&mut self) -> Result<(), StoreError> {
        if !self.reaping {
            return self.settle();
        }
        self.reaping = false;
        self.last_reaped = Instant::now();
        let mut batch: [Box<dyn Job>; 1] = [Box::new(OpJob { op: Reap, outcome: None, answer: None, _place: None })];
        self.step(&mut batch).map(drop)
    }

    /// Makes the file open without repair, when the last commit did not.
    pub(super) fn settle(&mut self) -> Result<(), StoreError> {
        let mut transaction = self.engine.begin_write()?;
        transaction.set_quick_repair(true);
        let (counters, layout) = (std::mem::take(&mut self.counters), self.engine.layout());
        let mut tx = Tx::new(&transaction, counters, Arc::default(), layout);
        tx = tx.telling_changes(self.is_compacting());
        if let Some(live_bytes) = self.engine.live.changed() {
            tx.put(&META, &LIVE_BYTES.to_owned(), &Number(live_bytes))?;
        }
        let written = tx.finish()?;
        self.counters = written.counters;
        commit(transaction)?;
        self.tell_journal(written.changed);
        self.engine.opens_at_once.store(true, Ordering::Relaxed);
        Ok(())
    }

    pub(super) fn disk(&self) -> Arc<Disk> {
        self.engine.disk()
    }

    /// Whether the file is being compacted.
    pub(super) fn is_compacting(&self) -> bool {
        self.journal.strong_count() > 0
    }

    /// From here on the journal hears of every row that is written or removed, until it is dropped.
    pub(super) fn keep_journal(&mut self, journal: &Arc<Journal>) {
        self.journal = Arc::downgrade(journal);
    }

    /// Goes on with another file, which holds the same.
    pub(super) fn go_on_with(&mut self, disk: Arc<Disk>, database: Database, live_bytes: u64) {
        self.engine.replace(disk, database);
        self.engine.live.count(live_bytes);
        self.engine.opens_at_once.store(true, Ordering::Relaxed);
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What was changed is told when it is committed: who then looks at the file sees it.
    fn tell_journal(&self, changed: Vec<Place>) {
        if let Some(journal) = self.journal.upgrade() {
            journal.note(changed);
        }
    }

    fn attempt(&mut self, batch: &mut [Box<dyn Job>], places: &[usize]) -> Result<Attempt, StoreError> {
        let began = Instant::now();
        // Lives outside of what may panic: dropped while unwinding, it would skip its abort and leak pages.
        let mut transaction = self.engine.begin_write()?;
        let (counters, layout) = (std::mem::take(&mut self.counters), self.engine.layout());
        let tx = Tx::new(&transaction, counters, self.engine.bus.ears(), layout);
        let mut tx = tx.on_full_disk(self.is_full).telling_changes(self.is_compacting());
        for place in places {
            let job = &mut batch[*place];
            let (fault, verdict) = match catch_unwind(AssertUnwindSafe(|| job.run(&mut tx))) {
                Ok(Ok(())) => continue,
                Ok(Err(error @ StoreError::Damaged { .. })) => (error.to_string(), Verdict::Damaged(error.to_string())),
                Ok(Err(error)) => return Err(error),
                Err(panic) => (format!("panic: {}", panic_text(&*panic)), Verdict::Panicked),
            };
            drop(tx);
            abort(transaction)?;
            if let [place] = places {
                if verdict == Verdict::Panicked {
                    self.engine.count_panic();
                }
                tracing::error!(op = batch[*place].name(), %fault, "an op failed and was undone");
            }
            return Ok(Attempt::Guilty(*place, verdict));
        }
        let written = tx.finish()?;
        self.counters = written.counters;
        self.reaping |= written.reaping;
        let Some(bytes) = written.bytes else {
            abort(transaction)?;
            return Ok(Attempt::Committed);
        };
        let disk = self.engine.disk();
        let commit_began = Instant::now();
        let is_recorded = self.repair.wanted(disk.len(), bytes, commit_began);
        transaction.set_quick_repair(is_recorded);
        commit(transaction)?;
        let ended = Instant::now();
        self.repair.committed(began, ended);
        self.engine.opens_at_once.store(is_recorded, Ordering::Relaxed);
        metrics().committed(places.len(), ended - commit_began);
        disk.note_reusable(written.freed_bytes, bytes);
        self.engine.live.grow(written.grown_bytes);
        self.tell_journal(written.changed);
        self.engine.bus.publish(&written.topics, &written.news);
        Ok(Attempt::Committed)
    }
}

/// The thread around the steps.
pub(super) fn run(mut writer: Writer, queue: &Queue, on_failure: &dyn Fn(&StoreError)) {
    let engine = Arc::clone(&writer.engine);
    loop {
        let mut batch = Vec::new();
        let done = match queue.next(writer.patience()) {
            Next::Batch(jobs) => {
                batch = jobs;
                guard(|| writer.step(&mut batch))
            }
            Next::Errand(errand) => guard(|| errand(&mut writer)).map(|()| Vec::new()),
            Next::Idle => guard(|| writer.look_after()).map(|()| Vec::new()),
            Next::Close => {
                // How many octets the rows have is only in memory so far.
                if engine.live.is_changed()
                    && let Err(error) = guard(|| writer.settle())
                {
                    tracing::warn!(%error, "the octets of the rows are not noted; a compaction counts them anew");
                }
                break;
            }
        };
        match done {
            Ok(verdicts) => batch.into_iter().zip(verdicts).for_each(|(job, verdict)| job.answer(verdict)),
            Err(error) => {
                engine.failed.store(true, Ordering::SeqCst);
                let why = error.to_string();
                tracing::error!(error = %why, "the file failed: nothing more is acknowledged");
                let verdict = match error {
                    StoreError::Damaged { .. } => Verdict::Damaged(why),
                    _ => Verdict::Closed(why),
                };
                queue.close(&verdict);
                batch.into_iter().for_each(|job| job.answer(verdict.clone()));
                engine.bus.close();
                return on_failure(&error);
            }
        }
    }
    queue.close(&Verdict::Closed("it was asked to close".into()));
    engine.bus.close();
}

fn abort(transaction: WriteTransaction) -> Result<(), StoreError> {
    guarded(PAGES, || Ok(transaction.abort()?))
}

/// A panic of the writer itself is one of the storage engine, over pages that contradict each other.
fn guard<T>(step: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(step))
        .unwrap_or_else(|panic| Err(damaged(PAGES, &format!("the writer panicked: {}", panic_text(&*panic)))))
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a text".into())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::super::fault::{Fault, FaultDisk, Operation};
    use super::super::tests::{NOTES, SCHEMA, note, put, run};
    use super::super::{Op, Options};
    use super::*;

    fn job<O: Op>(op: O, told: &mpsc::Sender<bool>) -> Box<dyn Job> {
        let told = told.clone();
        let answer = move |answer: Result<_, _>| told.send(answer.is_ok()).expect("the test listens");
        Box::new(OpJob { op, outcome: None, answer: Some(Box::new(answer)), _place: None })
    }

    #[test]
    fn a_batch_is_answered_after_its_commit_and_not_at_all_without_one() {
        let disk = FaultDisk::new();
        let engine = Engine::open(&Options::faulty(Arc::clone(&disk), |_| {}), &SCHEMA).unwrap();
        let mut writer = Writer::new(Arc::new(engine));
        let (tell, told) = mpsc::channel();
        let panics = || {
            run(|tx| {
                tx.put(&NOTES, &(9, "a".into()), &note("never"))?;
                assert!(tx.next("number", |_| Ok(0))? == 0, "this op is made to panic");
                Ok(())
            })
        };
        let mut batch = vec![job(put(1, "a", "one"), &tell), job(panics(), &tell), job(put(2, "a", "two"), &tell)];
        let verdicts = writer.step(&mut batch).unwrap();
        assert_eq!(verdicts, [Verdict::Committed, Verdict::Panicked, Verdict::Committed]);
        assert!(told.try_recv().is_err(), "the step itself tells nobody");
        batch.into_iter().zip(verdicts).for_each(|(job, verdict)| job.answer(verdict));
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [true, false, true]);

        disk.fail(Fault { operation: Operation::Sync, number: 1, lasting: false, errno: 5 });
        let mut batch = vec![job(put(3, "a", "three"), &tell)];
        assert!(matches!(writer.step(&mut batch), Err(StoreError::Storage(_))));
        assert!(matches!(writer.step(&mut batch), Err(StoreError::Storage(_))), "nothing works after a failed sync");
    }

    #[test]
    fn what_is_told_is_heard_once_and_only_when_it_is_on_disk() {
        let disk = FaultDisk::new();
        let engine = Engine::open(&Options::faulty(Arc::clone(&disk), |_| {}), &SCHEMA).unwrap();
        let (tell, heard) = mpsc::channel::<u32>();
        engine.bus.hear::<u32>(|| true, move |number| tell.send(*number).expect("the test listens"));
        let mut writer = Writer::new(Arc::new(engine));
        let telling = |number: u32, is_good: bool| {
            let op = run(move |tx| {
                tx.put(&NOTES, &(number, "a".into()), &note("told"))?;
                tx.tell(|| number);
                assert!(is_good, "this op is made to panic");
                Ok(())
            });
            Box::new(OpJob { op, outcome: None, answer: None, _place: None }) as Box<dyn Job>
        };
        // The panic undoes the batch, and its good ops run again, one by one.
        writer.step(&mut [telling(1, true), telling(2, false), telling(3, true)]).unwrap();
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), [1, 3]);
        disk.fail(Fault { operation: Operation::Sync, number: 1, lasting: false, errno: 5 });
        assert!(writer.step(&mut [telling(4, true)]).is_err());
        assert_eq!(heard.try_iter().count(), 0, "nothing is told that may not be on disk");
    }
}
