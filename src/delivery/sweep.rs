use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::Context;
use super::scan::put;
use super::way::{Choice, choose};
use crate::base::{MessageId, QueueId, limits};
use crate::queue::{self, Park, Recall, State};
use crate::store::{StoreError, View};

/// Looks at all that is queued, in slices: what is parked and no peer holds any more waits for its attempt again, what
/// another one holds now waits for that; and what a clock that was ahead has stamped is called back. A part of it, behind
/// `after`: it says behind which entry it would go on, so that mail goes out meanwhile; `None`: it has come to the end.
///
/// # Errors
/// [`StoreError`].
pub(super) async fn sweep(context: &Arc<Context>, after: Option<QueueId>) -> Result<Option<QueueId>, StoreError> {
    let mut after = after;
    for _ in 0..limits::SCHEDULE_SLICES {
        let reading = Arc::clone(context);
        let slice = context.store.read(move |view| read(&reading, view, after)).await?;
        if !slice.ahead.is_empty() {
            let (policy, messages) = (context.outbound.policy.clone(), slice.ahead.into_iter().collect());
            put(&context.store, Recall { messages, policy, at: context.now(), jitter: context.jitter() }).await;
        }
        for (peer, entries) in slice.moved {
            let hold_expiry_seconds = context.outbound.policy.hold_expiry_seconds;
            if peer.is_some() {
                // Only what waits is parked.
                let entries = entries.clone();
                put(&context.store, Park { entries, peer: None, hold_expiry_seconds, at: context.now() }).await;
            }
            put(&context.store, Park { entries, peer, hold_expiry_seconds, at: context.now() }).await;
        }
        match slice.last {
            Some(_) if context.stop.is_cancelled() => return Ok(None),
            Some(_) => after = slice.last,
            None => return Ok(None),
        }
    }
    Ok(after)
}

/// Some entries that stand together.
struct Slice {
    /// Parked ones, by the peer that holds them now.
    moved: HashMap<Option<String>, Vec<QueueId>>,
    /// Messages of which something is stamped with a time that is too far ahead.
    ahead: BTreeSet<MessageId>,
    /// The last that was looked at; `None` when there was none.
    last: Option<QueueId>,
}

fn read(context: &Context, view: &View, after: Option<QueueId>) -> Result<Slice, StoreError> {
    let entries = queue::entries(view, after, limits::SCHEDULE_SLICE)?;
    let last = entries.last().map(|waiting| waiting.id);
    let mut slice = Slice { moved: HashMap::new(), ahead: BTreeSet::new(), last };
    let (policy, now) = (&context.outbound.policy, context.now());
    for waiting in entries {
        let message = match queue::message_if_sound(view, waiting.id.message) {
            // What is damaged waits for its repair.
            Err(StoreError::Damaged { .. }) => continue,
            message => message?,
        };
        if message.as_ref().is_some_and(|message| queue::is_ahead(message, &waiting.entry, policy, now)) {
            slice.ahead.insert(waiting.id.message);
        }
        let State::Parked { peer } = &waiting.entry.state else { continue };
        let sender = message.and_then(|message| message.sender);
        let (host, via) = (&waiting.entry.recipient.host, waiting.entry.via.as_ref());
        let to = match choose(view, host, via, false, sender.as_ref())? {
            Choice::Send(_) => None,
            Choice::Park(holder) if holder == *peer => continue,
            Choice::Park(holder) => Some(holder),
        };
        slice.moved.entry(to).or_default().push(waiting.id);
    }
    Ok(slice)
}
