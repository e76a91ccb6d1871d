use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use super::engine::Engine;
use super::error::StoreError;
use super::view::View;
use crate::base::limits;

/// The threads that run longer reads, so that no runtime's thread waits for the disk.
pub(super) struct Readers {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    engine: Arc<Engine>,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Reading>,
    closed: bool,
}

type Reading = Box<dyn FnOnce(&Engine) + Send>;

impl Readers {
    pub(super) fn start(engine: &Arc<Engine>) -> std::io::Result<Self> {
        let shared = Arc::new(Shared { engine: Arc::clone(engine), state: Mutex::default(), wake: Condvar::new() });
        let readers = Self { shared, threads: Mutex::default() };
        for number in 1..=limits::READER_THREADS {
            let shared = Arc::clone(&readers.shared);
            let thread = std::thread::Builder::new().name(format!("reader-{number}")).spawn(move || shared.run())?;
            lock(&readers.threads).push(thread);
        }
        Ok(readers)
    }

    /// Runs `read` on a view of its own, for who asked at that place.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        asked_at: &'static Location<'static>,
        read: impl FnOnce(&View) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (tell, told) = oneshot::channel();
        let reading: Reading = Box::new(move |engine| {
            if !tell.is_closed() {
                let found = catch_unwind(AssertUnwindSafe(|| read(&engine.view_for(asked_at)?)));
                drop(tell.send(found.unwrap_or_else(|_| {
                    engine.count_panic();
                    Err(StoreError::Storage("a read panicked".into()))
                })));
            }
        });
        {
            let mut state = self.shared.lock();
            if state.closed {
                return Err(StoreError::Closed);
            }
            state.waiting.push_back(reading);
        }
        self.shared.wake.notify_one();
        told.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Finishes what waits and ends the threads.
    pub(super) fn close(&self) {
        self.shared.lock().closed = true;
        self.shared.wake.notify_all();
        let threads = std::mem::take(&mut *lock(&self.threads));
        for thread in threads {
            if thread.thread().id() != std::thread::current().id() {
                // A reader's panic is caught where it happens.
                let _ = thread.join();
            }
        }
    }
}

impl Shared {
    fn run(&self) {
        loop {
            let mut state = self.lock();
            let reading = loop {
                match state.waiting.pop_front() {
                    Some(reading) => break reading,
                    None if state.closed => return,
                    None => state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner),
                }
            };
            drop(state);
            reading(&self.engine);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
