use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::blob_rows::Reap;
use super::engine::Engine;
use super::error::StoreError;
use super::job::{Job, OpJob, Verdict};
use super::queue::{Next, Queue};
use super::repair::QuickRepair;
use super::tx::{Counters, Tx};
use crate::base::limits;
use crate::telemetry::metrics;

/// Chunks are reaped at least this often, also when the writer is never idle.
const REAP_AT_LEAST_EVERY: Duration = Duration::from_secs(1);

/// The one who changes the file: a step takes a batch and commits it in one transaction.
pub(super) struct Writer {
    engine: Arc<Engine>,
    counters: Counters,
    repair: QuickRepair,
    last_commit: Instant,
    /// There are chunks to reap, and when some were last.
    reaping: bool,
    last_reaped: Instant,
    /// The disk was full when the batch began.
    is_full: bool,
}

/// How a batch went before its commit.
enum Attempt {
    Committed,
    /// The job at this place must not be part of it; nothing was changed.
    Guilty(usize),
}

impl Writer {
    pub(super) fn new(engine: Arc<Engine>) -> Self {
        Self {
            engine,
            counters: Counters::default(),
            repair: QuickRepair::new(),
            last_commit: Instant::now(),
            reaping: false,
            last_reaped: Instant::now(),
            is_full: false,
        }
    }

    /// Runs the jobs in one transaction and commits it. The verdicts come in the jobs' order, and only after the sync.
    ///
    /// # Errors
    /// The file failed: nothing of the batch may be acknowledged, and nothing after it.
    pub(super) fn step(&mut self, batch: &mut [Box<dyn Job>]) -> Result<Vec<Verdict>, StoreError> {
        let room = self.engine.disk.room();
        self.engine.disk.keep_ballast(room);
        self.is_full = room.full;
        let mut verdicts = vec![Verdict::Committed; batch.len()];
        let mut ready = Vec::with_capacity(batch.len());
        for (place, job) in batch.iter().enumerate() {
            if room.full && !job.runs_when_full() {
                verdicts[place] = Verdict::Full;
            } else {
                ready.push(place);
            }
        }
        match self.attempt(batch, &ready)? {
            Attempt::Committed => {}
            Attempt::Guilty(place) if ready == [place] => verdicts[place] = Verdict::Panicked,
            // One op can't be rolled back alone: each gets a transaction of its own.
            Attempt::Guilty(_) => {
                for place in ready {
                    if let Attempt::Guilty(place) = self.attempt(batch, &[place])? {
                        verdicts[place] = Verdict::Panicked;
                    }
                }
            }
        }
        Ok(verdicts)
    }

    /// How long the writer waits for a batch before it looks after the file.
    fn patience(&self) -> Option<Duration> {
        let wait_ms = match (self.reaping, self.repair.due()) {
            (true, _) if self.last_reaped.elapsed() > REAP_AT_LEAST_EVERY => 0,
            (true, _) => limits::REAP_IDLE_MS,
            (false, true) => limits::WRITER_IDLE_MS,
            (false, false) => return None,
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
        transaction.commit()?;
        self.repair.done();
        Ok(())
    }

    fn attempt(&mut self, batch: &mut [Box<dyn Job>], places: &[usize]) -> Result<Attempt, StoreError> {
        // Lives outside of what may panic: dropped while unwinding, it would skip its abort and leak pages.
        let mut transaction = self.engine.begin_write()?;
        let tx = Tx::new(&transaction, std::mem::take(&mut self.counters), self.engine.bus.ears());
        let mut tx = tx.on_full_disk(self.is_full);
        for place in places {
            let job = &mut batch[*place];
            let fault = match catch_unwind(AssertUnwindSafe(|| job.run(&mut tx))) {
                Ok(Ok(())) => continue,
                Ok(Err(StoreError::Damaged { table, what })) => format!("damaged row in table {table}: {what}"),
                Ok(Err(error)) => return Err(error),
                Err(panic) => format!("panic: {}", panic_text(&*panic)),
            };
            drop(tx);
            transaction.abort()?;
            if let [place] = places {
                self.engine.count_panic();
                tracing::error!(op = batch[*place].name(), %fault, "an op failed and was undone");
            }
            return Ok(Attempt::Guilty(*place));
        }
        let written = tx.finish()?;
        self.counters = written.counters;
        self.reaping |= written.reaping;
        let Some(bytes) = written.bytes else {
            transaction.abort()?;
            return Ok(Attempt::Committed);
        };
        let since = std::mem::replace(&mut self.last_commit, Instant::now()).elapsed();
        transaction.set_quick_repair(self.repair.wanted(self.engine.disk.len(), bytes, since));
        let begin = Instant::now();
        transaction.commit()?;
        metrics().committed(places.len(), begin.elapsed());
        self.engine.disk.note_reusable(written.freed_bytes, bytes);
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
            Next::Idle => guard(|| writer.look_after()).map(|()| Vec::new()),
            Next::Close => break,
        };
        match done {
            Ok(verdicts) => batch.into_iter().zip(verdicts).for_each(|(job, verdict)| job.answer(verdict)),
            Err(error) => {
                engine.failed.store(true, Ordering::SeqCst);
                let why = error.to_string();
                tracing::error!(error = %why, "the file failed: nothing more is acknowledged");
                queue.close(&why);
                batch.into_iter().for_each(|job| job.answer(Verdict::Closed(why.clone())));
                engine.bus.close();
                return on_failure(&error);
            }
        }
    }
    queue.close("it was asked to close");
    engine.bus.close();
}

/// A panic of the writer itself is a failure of the file.
fn guard<T>(step: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(step))
        .unwrap_or_else(|panic| Err(StoreError::Storage(format!("the writer panicked: {}", panic_text(&*panic)))))
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
                assert!(tx.next("number")? == 0, "this op is made to panic");
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
