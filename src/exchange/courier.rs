use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::base::QueueId;
use crate::delivery::is_no_mail_here;
use crate::queue::{Outcome, Verdict};
use crate::smtp::client::{Courier, Mail, NotOpened, Room};
use crate::turn::SessionLimits;

/// A courier whose session has an end: when it has taken its time, has carried what it may, or is cancelled, no more
/// messages are begun. What is being sent is sent to its end.
pub(super) struct Bounded<C> {
    inner: C,
    until: Instant,
    cancel: CancellationToken,
    takes_mail: bool,
    limits: SessionLimits,
    /// Messages that were begun, and their octets.
    begun: (u64, u64),
}

impl<C> Bounded<C> {
    /// For a session that begins now.
    pub(super) fn new(inner: C, cancel: CancellationToken, limits: SessionLimits) -> Self {
        let until = Instant::now() + limits.duration();
        Self { inner, until, cancel, takes_mail: true, limits, begun: (0, 0) }
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
        let (messages, size_bytes) = self.begun;
        let is_over = self.cancel.is_cancelled() || self.until <= Instant::now();
        if !self.takes_mail || is_over || self.limits.are_reached(messages, size_bytes) {
            return None;
        }
        let mail = self.inner.next(room).await?;
        self.begun = (messages + 1, size_bytes + mail.content.size_bytes());
        Some(mail)
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
