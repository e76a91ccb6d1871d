use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::row::{remove, rows};
use crate::base::{AuditId, Clock, Timestamp, limits};
use crate::store::{Halt, Op, Store, StoreError, Tx};

/// Forgets rows that are older than a moment, a slice at a time; says how many.
#[derive(Debug, Clone, Copy)]
pub struct Prune {
    /// What was done since then is kept.
    pub before: Timestamp,
    /// Rows of the slice.
    pub limit: usize,
}

impl Op for Prune {
    type Plan = Vec<AuditId>;
    type Out = usize;
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "audit.prune"
    }

    fn weight_bytes(&self) -> usize {
        64 * self.limit
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<Vec<AuditId>, Halt<Infallible>> {
        let old = rows(tx, None, None, Some(self.before), self.limit)?;
        Ok(old.into_iter().map(|(id, _)| id).collect())
    }

    fn apply(&self, tx: &mut Tx<'_>, old: Vec<AuditId>) -> Result<usize, StoreError> {
        old.iter().try_for_each(|id| remove(tx, *id))?;
        Ok(old.len())
    }
}

/// Prunes now and every hour, until `stop` is cancelled. `keep` is how long a row is kept; zero: for ever.
pub async fn prune(store: Store, clock: Arc<dyn Clock>, keep: Duration, stop: CancellationToken) {
    let keep_ms = u64::try_from(keep.as_millis()).unwrap_or(u64::MAX);
    if keep_ms == 0 {
        return;
    }
    loop {
        let before = Timestamp(clock.now().ms().saturating_sub(keep_ms));
        let slice = Prune { before, limit: limits::AUDIT_SLICE };
        loop {
            match store.write(slice).await.map(|gone| gone.into_inner()) {
                Ok(limits::AUDIT_SLICE) => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(%error, "the audit could not be pruned");
                    break;
                }
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(Duration::from_secs(limits::PRUNE_EVERY_S)) => {}
        }
    }
}
