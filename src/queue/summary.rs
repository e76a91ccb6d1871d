use std::collections::HashSet;
use std::ops::ControlFlow;

use super::row::{BY_DOMAIN, ENTRIES, MESSAGES, OPEN, State};
use crate::base::{QueueId, Timestamp};
use crate::store::{Read, Span, StoreError};

/// Domains that a summary names.
const DOMAINS: usize = 10;

/// The queue in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Entries whose time has come.
    pub due: u64,
    /// Entries that wait for their time.
    pub waiting: u64,
    /// Entries with an open attempt.
    pub in_flight: u64,
    /// Entries that an operator holds.
    pub held: u64,
    /// Entries that wait for a peer.
    pub parked: u64,
    /// Octets of all messages.
    pub size_bytes: u64,
    /// When the oldest message came in.
    pub oldest_at: Option<Timestamp>,
    /// The domains with the most entries, the most first, at most ten.
    pub domains: Vec<(String, u64)>,
}

/// The queue in numbers: a long read, use [`crate::store::Store::read`].
///
/// # Errors
/// [`StoreError`].
pub fn summary(read: &impl Read, now: Timestamp) -> Result<Summary, StoreError> {
    let mut summary = Summary::default();
    // No more than there are connections.
    let open: HashSet<QueueId> = read.rows(&OPEN, Span::all(), usize::MAX)?.into_iter().map(|(id, _)| id).collect();
    read.scan(&ENTRIES, Span::all(), |id, entry| {
        let count = match entry.state {
            _ if open.contains(&id) => &mut summary.in_flight,
            State::Waiting { .. } if entry.due <= now => &mut summary.due,
            State::Waiting { .. } => &mut summary.waiting,
            State::Held { .. } => &mut summary.held,
            State::Parked { .. } => &mut summary.parked,
        };
        *count += 1;
        ControlFlow::Continue(())
    })?;
    read.scan(&MESSAGES, Span::all(), |_, message| {
        summary.size_bytes += u64::from(message.head_bytes) + message.body_bytes;
        summary.oldest_at = Some(summary.oldest_at.map_or(message.at, |oldest| oldest.min(message.at)));
        ControlFlow::Continue(())
    })?;
    summary.domains = domains(read)?;
    Ok(summary)
}

/// The largest domains. The index has each one's entries side by side: nothing is kept but the best so far.
fn domains(read: &impl Read) -> Result<Vec<(String, u64)>, StoreError> {
    let (mut best, mut current) = (Vec::with_capacity(DOMAINS + 1), None::<(String, u64)>);
    let keep = |best: &mut Vec<(String, u64)>, domain: Option<(String, u64)>| {
        if let Some((domain, count)) = domain {
            let place = best.partition_point(|(_, other)| *other >= count);
            best.insert(place, (domain, count));
            best.truncate(DOMAINS);
        }
    };
    read.scan(&BY_DOMAIN, Span::all(), |(domain, _), ()| {
        match &mut current {
            Some((known, count)) if *known == domain => *count += 1,
            _ => keep(&mut best, current.replace((domain, 1))),
        }
        ControlFlow::Continue(())
    })?;
    keep(&mut best, current);
    Ok(best)
}
