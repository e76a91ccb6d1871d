use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::base::{QueueId, limits};
use crate::delivery::is_no_mail_here;
use crate::queue::{Outcome, Verdict};
use crate::smtp::client::{Courier, Mail, NotOpened, Room};

/// A courier whose session has an end: when it has taken its time or is cancelled, no more messages are begun. What is
/// being sent is sent to its end.
pub(super) struct Bounded<C> {
    inner: C,
    until: Instant,
    cancel: CancellationToken,
    takes_mail: bool,
}

impl<C> Bounded<C> {
    /// For a session that begins now.
    pub(super) fn new(inner: C, cancel: CancellationToken) -> Self {
        let until = Instant::now() + Duration::from_secs(limits::TURN_SESSION_S);
        Self { inner, until, cancel, takes_mail: true }
    }

    /// The courier itself, at the end of the session.
    pub(super) fn into_inner(self) -> C {
        self.inner
    }

    /// When the session must have come to its end.
    pub(super) fn until(&self) -> Instant {
        self.until
    }
}

impl<C: Courier> Courier for Bounded<C> {
    async fn next(&mut self, room: Room) -> Option<Mail> {
        if !self.takes_mail || self.cancel.is_cancelled() || self.until <= Instant::now() {
            return None;
        }
        self.inner.next(room).await
    }

    async fn open(&mut self, recipients: &[QueueId]) -> Result<(), NotOpened> {
        self.inner.open(recipients).await
    }

    fn sign_again(&self, converted: Vec<u8>) -> Vec<u8> {
        self.inner.sign_again(converted)
    }

    async fn settle(&mut self, mut outcomes: Vec<Outcome>) {
        for outcome in &mut outcomes {
            // A listener that is for ATRN alone knows no MAIL: that says nothing of the message, which waits for
            // another session.
            if is_no_mail_here(outcome) {
                outcome.verdict = Verdict::Deferred;
                self.takes_mail = false;
            }
        }
        self.inner.settle(outcomes).await;
    }
}
