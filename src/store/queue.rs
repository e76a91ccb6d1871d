use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::committed::Committed;
use super::error::{StoreError, WriteError};
use super::job::{Job, OpJob, Verdict};
use super::op::Op;
use super::writer::Errand;
use crate::base::limits;
use crate::telemetry::metrics;

/// The ops that wait for the writer, in the order in which they came. One that rides keeps its place in that order
/// but wakes nobody. What rides and is expendable comes before the others, a share at a time: it tells of what was, and
/// there may be much of it.
pub(super) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
    places: Arc<Semaphore>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    /// What else the writer is asked for.
    errands: VecDeque<Errand>,
    /// How many of them somebody waits for.
    awaited: usize,
    /// What rides and is expendable.
    notes: VecDeque<Waiting>,
    notes_bytes: usize,
    dropped: u64,
    closing: bool,
    /// What those hear who come when nothing is taken any more.
    closed: Option<Verdict>,
}

struct Waiting {
    job: Box<dyn Job>,
    since: Instant,
    rides: bool,
}

/// What the writer is to do next.
pub(super) enum Next {
    Batch(Vec<Box<dyn Job>>),
    /// Something between two batches.
    Errand(Errand),
    /// Nothing came for as long as the writer was willing to wait.
    Idle,
    /// Everything is done, and no more comes.
    Close,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self { state: Mutex::default(), wake: Condvar::new(), places: Arc::new(Semaphore::new(limits::QUEUED_OPS)) }
    }

    /// Runs an op in the next batch and waits for its answer.
    pub(super) async fn write<O: Op>(&self, op: O) -> Result<Committed<O::Out>, WriteError<O::Refused>> {
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        let (tell, told) = oneshot::channel();
        let answer = Box::new(move |answer| drop(tell.send(answer)));
        self.push(Box::new(OpJob { op, outcome: None, answer: Some(answer), _place: place }), false);
        told.await.unwrap_or_else(|_| Err(WriteError::Closed("the writer has ended".into())))
    }

    /// Lets an op ride on the next batch.
    pub(super) fn ride<O: Op>(&self, op: O) {
        let place: Option<OwnedSemaphorePermit> = None;
        self.push(Box::new(OpJob { op, outcome: None, answer: None, _place: place }), true);
    }

    /// Sends the writer on an errand between two batches. It is dropped when the store closes before.
    pub(super) fn send(&self, errand: Errand) -> Result<(), StoreError> {
        let mut state = self.lock();
        if state.closed.is_some() || state.closing {
            return Err(StoreError::Closed);
        }
        state.errands.push_back(errand);
        drop(state);
        self.wake.notify_one();
        Ok(())
    }

    fn push(&self, job: Box<dyn Job>, rides: bool) {
        let since = Instant::now();
        let mut state = self.lock();
        if let Some(verdict) = state.closed.clone() {
            drop(state);
            return job.answer(verdict);
        }
        if rides && job.is_expendable() {
            let bytes = state.notes_bytes + job.weight_bytes();
            if state.notes.len() >= limits::RIDING_OPS || bytes > limits::RIDING_BYTES {
                state.dropped += 1;
                let dropped = state.dropped;
                drop(state);
                return tracing::warn!(op = job.name(), dropped, "too many ops ride: one is dropped");
            }
            state.notes_bytes = bytes;
            state.notes.push_back(Waiting { job, since, rides });
        } else {
            state.awaited += usize::from(!rides);
            state.waiting.push_back(Waiting { job, since, rides });
        }
        // The first that rides starts the writer's clock.
        let wakes = !rides || state.waiting.len() + state.notes.len() == 1;
        drop(state);
        if wakes {
            self.wake.notify_one();
        }
    }

    /// The next batch, or what else there is to do. Comes back after `patience` at the latest.
    pub(super) fn next(&self, patience: Option<Duration>) -> Next {
        let give_up = patience.map(|patience| Instant::now() + patience);
        let mut state = self.lock();
        loop {
            let ride_ends = state.ride_ends();
            if let Some(errand) = state.errands.pop_front() {
                return Next::Errand(errand);
            }
            if state.awaited > 0 || (state.closing && !state.is_empty()) {
                return Next::Batch(state.take());
            }
            if state.closing {
                return Next::Close;
            }
            let now = Instant::now();
            if ride_ends.is_some_and(|end| end <= now) {
                return Next::Batch(state.take());
            }
            if give_up.is_some_and(|end| end <= now) {
                return Next::Idle;
            }
            let until = [ride_ends, give_up].into_iter().flatten().min();
            state = match until {
                None => self.wake.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(until) => self.wake.wait_timeout(state, until - now).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
    }

    /// Lets the writer finish what waits, and end.
    pub(super) fn finish(&self) {
        self.lock().closing = true;
        self.wake.notify_one();
    }

    /// Takes nothing more, and answers what waits with the reason.
    pub(super) fn close(&self, verdict: &Verdict) {
        let left = {
            let mut state = self.lock();
            state.closed.get_or_insert_with(|| verdict.clone());
            (state.awaited, state.notes_bytes) = (0, 0);
            state.errands.clear();
            (std::mem::take(&mut state.waiting), std::mem::take(&mut state.notes))
        };
        for waiting in left.0.into_iter().chain(left.1) {
            waiting.job.answer(verdict.clone());
        }
    }

    pub(super) fn is_open(&self) -> bool {
        let state = self.lock();
        state.closed.is_none() && !state.closing
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.notes.is_empty()
    }

    fn ride_ends(&self) -> Option<Instant> {
        let firsts = [self.waiting.front(), self.notes.front()].into_iter().flatten();
        let since = firsts.filter(|first| first.rides).map(|first| first.since).min()?;
        Some(since + Duration::from_millis(limits::RIDE_WAIT_MS))
    }

    /// A share of what is expendable, and what waits, up to the ends of a batch.
    fn take(&mut self) -> Vec<Box<dyn Job>> {
        let mut batch = self.take_notes();
        let (mut count, mut bytes) = (0, 0);
        while let Some(next) = self.waiting.front() {
            bytes += next.job.weight_bytes();
            if count == limits::BATCH_OPS || (bytes > limits::BATCH_BYTES && count > 0) {
                break;
            }
            if let Some(next) = self.waiting.pop_front() {
                if !next.rides {
                    self.awaited -= 1;
                    metrics().waited_for_writer(next.since.elapsed());
                }
                batch.push(next.job);
                count += 1;
            }
        }
        batch
    }

    fn take_notes(&mut self) -> Vec<Box<dyn Job>> {
        let (mut notes, mut bytes) = (Vec::new(), 0);
        while let Some(next) = self.notes.front() {
            let weight = next.job.weight_bytes();
            if bytes > 0 && bytes + weight > limits::RIDING_BATCH_BYTES {
                break;
            }
            bytes += weight;
            self.notes_bytes -= weight;
            notes.extend(self.notes.pop_front().map(|next| next.job));
        }
        notes
    }
}

/// Waits for a future on a thread that may block.
pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    // A task of tokio that has used up its share would wait for the runtime, which waits for this thread.
    let mut future = pin!(tokio::task::unconstrained(future));
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::error::{Halt, StoreError};
    use super::super::tx::Tx;
    use super::*;

    struct Note {
        expendable: bool,
        bytes: usize,
    }

    impl Op for Note {
        type Plan = ();
        type Out = ();
        type Refused = ();

        fn name(&self) -> &'static str {
            "note"
        }

        fn weight_bytes(&self) -> usize {
            self.bytes
        }

        fn is_expendable(&self) -> bool {
            self.expendable
        }

        fn check(&self, _: &Tx<'_>) -> Result<(), Halt<()>> {
            Ok(())
        }

        fn apply(&self, _: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
            Ok(())
        }
    }

    /// What waits, notes that wait, and what was dropped.
    fn count(queue: &Queue) -> (usize, usize, u64) {
        let state = queue.lock();
        assert_eq!(state.notes.iter().map(|note| note.job.weight_bytes()).sum::<usize>(), state.notes_bytes);
        (state.waiting.len(), state.notes.len(), state.dropped)
    }

    #[test]
    fn of_too_many_that_ride_only_the_expendable_are_dropped() {
        let queue = Queue::new();
        for _ in 0..=limits::RIDING_OPS {
            queue.ride(Note { expendable: true, bytes: 1 });
        }
        assert_eq!(count(&queue), (0, limits::RIDING_OPS, 1));
        queue.ride(Note { expendable: false, bytes: 1 });
        assert_eq!(count(&queue), (1, limits::RIDING_OPS, 1));
    }

    #[test]
    fn what_rides_is_bounded_by_its_octets_in_memory_and_in_each_transaction() {
        let queue = Queue::new();
        let (each, batch) = (limits::RIDING_BATCH_BYTES / 4, || match queue.next(None) {
            Next::Batch(batch) => batch.len(),
            _ => panic!("there is a batch"),
        });
        let all = limits::RIDING_BYTES / each;
        for _ in 0..all + 3 {
            queue.ride(Note { expendable: true, bytes: each });
        }
        assert_eq!(count(&queue), (0, all, 3));
        // Somebody's op takes a share along, however much of the batch others take.
        for _ in 0..limits::BATCH_OPS + 1 {
            queue.ride(Note { expendable: false, bytes: 1 });
        }
        queue.finish();
        assert_eq!(batch(), limits::BATCH_OPS + 4);
        assert_eq!(count(&queue), (1, all - 4, 3));
        assert_eq!(batch(), 1 + 4);
        // One that is too heavy for a share goes alone.
        queue.ride(Note { expendable: true, bytes: 2 * limits::RIDING_BATCH_BYTES });
        let left: Vec<usize> = (0..(all - 8) / 4 + 1).map(|_| batch()).collect();
        assert_eq!((left.iter().sum::<usize>(), left.last()), (all - 8 + 1, Some(&1)));
        assert_eq!(count(&queue), (0, 0, 3));
    }
}
