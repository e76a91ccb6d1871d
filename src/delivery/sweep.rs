use std::collections::HashMap;
use std::sync::Arc;

use super::Context;
use super::scan::put;
use super::way::{Choice, choose};
use crate::base::{QueueId, limits};
use crate::queue::{self, Park, State};
use crate::store::StoreError;

/// Looks at all that is parked, in slices: what no peer holds any more waits for its attempt again, what another one
/// holds now waits for that.
///
/// # Errors
/// [`StoreError`].
pub(super) async fn sweep(context: &Arc<Context>) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let slice = context.store.read(move |view| {
            let entries = queue::entries(view, after, limits::SCHEDULE_SLICE)?;
            let last = entries.last().map(|waiting| waiting.id);
            let mut moved: HashMap<Option<String>, Vec<QueueId>> = HashMap::new();
            for waiting in entries {
                let State::Parked { peer } = &waiting.entry.state else { continue };
                let sender = queue::message(view, waiting.id.message)?.and_then(|message| message.sender);
                let (host, via) = (&waiting.entry.recipient.host, waiting.entry.via.as_ref());
                let to = match choose(view, host, via, false, sender.as_ref())? {
                    Choice::Send(_) => None,
                    Choice::Park(holder) if holder == *peer => continue,
                    Choice::Park(holder) => Some(holder),
                };
                moved.entry(to).or_default().push(waiting.id);
            }
            Ok((moved, last))
        });
        let (moved, last) = slice.await?;
        for (peer, entries) in moved {
            let hold_expiry_seconds = context.outbound.policy.hold_expiry_seconds;
            if peer.is_some() {
                // Only what waits is parked.
                let entries = entries.clone();
                put(&context.store, Park { entries, peer: None, hold_expiry_seconds, at: context.now() }).await;
            }
            put(&context.store, Park { entries, peer, hold_expiry_seconds, at: context.now() }).await;
        }
        match last {
            Some(_) if context.stop.is_cancelled() => return Ok(()),
            Some(_) => after = last,
            None => return Ok(()),
        }
    }
}
