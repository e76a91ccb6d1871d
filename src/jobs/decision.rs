use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

/// Whether a job does its last step or is cancelled: one of both, whoever comes first. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Decision {
    stop: CancellationToken,
    fate: Arc<Mutex<Fate>>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Fate {
    #[default]
    Open,
    Cancelled,
    Taken,
}

impl Decision {
    pub(super) fn new(stop: CancellationToken) -> Self {
        Self { stop, fate: Arc::default() }
    }

    /// Right before the step that can't be taken back: whether it may be done. If so, the job can't be cancelled any more.
    #[must_use]
    pub fn take(&self) -> bool {
        // A server that stops has promised nothing to anybody, but what begins now may come upon its end.
        !self.stop.is_cancelled() && self.turn(Fate::Taken)
    }

    /// Whether it comes before the last step.
    pub(super) fn cancel(&self) -> bool {
        self.turn(Fate::Cancelled)
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.now() == Fate::Cancelled
    }

    pub(super) fn is_taken(&self) -> bool {
        self.now() == Fate::Taken
    }

    fn now(&self) -> Fate {
        *self.fate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self, wanted: Fate) -> bool {
        let mut fate = self.fate.lock().unwrap_or_else(PoisonError::into_inner);
        if *fate == Fate::Open {
            *fate = wanted;
        }
        *fate == wanted
    }
}
