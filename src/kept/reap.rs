use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::keep::forget;
use super::policy::kept_for_ms;
use super::row::BY_TIME;
use crate::base::{Clock, MessageId, Timestamp, limits};
use crate::store::{Halt, Op, Read, Span, Store, StoreError, Tx};

/// Forgets a slice of the messages that are kept, the oldest first: call again while [`Reaped::more`] says so.
#[derive(Debug, Clone, Copy)]
pub struct Reap {
    /// Now: what was let go longer ago than messages are kept goes.
    pub at: Timestamp,
    /// The disk is full: the oldest go, whatever their time.
    pub is_full: bool,
    /// At most so many.
    pub limit: usize,
}

/// What a slice has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reaped {
    /// Messages that are forgotten.
    pub messages: usize,
    /// There may be more.
    pub more: bool,
}

impl Op for Reap {
    type Plan = Vec<(Timestamp, MessageId)>;
    type Out = Reaped;
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "kept.reap"
    }

    fn weight_bytes(&self) -> usize {
        512 * (self.limit + 1)
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<Self::Plan, Halt<Infallible>> {
        // What is to be kept for a minute goes when a minute has passed, not before.
        let end = self.at.ms().checked_sub(kept_for_ms(tx)?).map(|end| end.saturating_add(1));
        let span = match end {
            _ if self.is_full => Span::all(),
            Some(end) => Span::range(..(Timestamp(end), MessageId(0))),
            None => return Ok(Vec::new()),
        };
        Ok(tx.rows(&BY_TIME, span, self.limit)?.into_iter().map(|(place, ())| place).collect())
    }

    fn apply(&self, tx: &mut Tx<'_>, over: Self::Plan) -> Result<Reaped, StoreError> {
        for (at, id) in &over {
            forget(tx, *at, *id)?;
        }
        Ok(Reaped { messages: over.len(), more: over.len() == self.limit })
    }
}

/// Forgets what is not to be kept any more, until `stop` is cancelled: now and then by time, and at once while the disk
/// is full.
pub async fn reap(store: Store, clock: Arc<dyn Clock>, stop: CancellationToken) {
    reap_with(store, clock, stop, || tokio::time::sleep(Duration::from_secs(1))).await;
}

/// The same with its pauses: each is a second.
pub(super) async fn reap_with<F: Future<Output = ()>>(
    store: Store,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
    mut pause: impl FnMut() -> F,
) {
    let mut pauses = 0;
    while !stop.is_cancelled() {
        let is_full = store.health().full;
        if is_full || pauses == 0 {
            let reap = Reap { at: clock.now(), is_full, limit: limits::REAPED_MESSAGES };
            match store.write(reap).await.map(|reaped| reaped.into_inner()) {
                // While the disk is full, a slice and a pause: the room is seen when the bodies too are gone from the
                // file, and what else makes room has the writer meanwhile.
                Ok(Reaped { more: true, .. }) if !is_full => continue,
                Ok(Reaped { messages, .. }) if messages > 0 => {
                    tracing::debug!(messages, is_full, "forgot messages that were kept");
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "kept messages could not be forgotten"),
            }
        }
        pauses = (pauses + 1) % limits::REAP_EVERY_S;
        tokio::select! {
            () = stop.cancelled() => return,
            () = pause() => {}
        }
    }
}
