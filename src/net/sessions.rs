use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio_util::task::TaskTracker;

static PANICS: AtomicU64 = AtomicU64::new(0);

/// Panics of sessions since the process began. A test run in which it is not 0 at the end has failed.
pub fn panics() -> u64 {
    PANICS.load(Ordering::Relaxed)
}

/// The sessions that run, so that a stop can wait for them. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Sessions(TaskTracker);

impl Sessions {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs a session in a task of its own: a panic ends that session, is counted and hurts nobody else.
    pub fn spawn(&self, session: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(Guarded(Box::pin(session)));
    }

    /// How many run.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Waits until the last one has ended. To be called when no new ones begin.
    pub async fn drained(&self) {
        self.0.close();
        self.0.wait().await;
    }
}

struct Guarded<F>(Pin<Box<F>>);

impl<F: Future<Output = ()>> Future for Guarded<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let session = self.0.as_mut();
        // The session is dropped after a panic and never polled again, so nobody sees what it left half done.
        std::panic::catch_unwind(AssertUnwindSafe(|| session.poll(cx))).unwrap_or_else(|_| {
            PANICS.fetch_add(1, Ordering::Relaxed);
            tracing::error!("a session panicked");
            Poll::Ready(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_ends_one_session_and_is_counted() {
        let sessions = Sessions::new();
        let (done, seen) = tokio::sync::oneshot::channel();
        let before = panics();
        sessions.spawn(async {
            tokio::task::yield_now().await;
            panic!("on purpose");
        });
        sessions.spawn(async {
            tokio::task::yield_now().await;
            done.send(()).unwrap();
        });
        sessions.drained().await;
        assert!(seen.await.is_ok());
        // Other tests panic on purpose too, in the same process.
        assert!(sessions.count() == 0 && panics() > before);
    }
}
