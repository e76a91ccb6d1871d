use super::row::{ENTRIES, MESSAGES, OPEN, State};
use super::tally::{self, Counts};
use crate::base::Timestamp;
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

/// The queue in numbers: a few rows are read, and the open attempts, however much waits.
///
/// # Errors
/// [`StoreError`].
pub fn summary(read: &impl Read, now: Timestamp) -> Result<Summary, StoreError> {
    let Counts { waiting, held, parked, size_bytes } = tally::counts(read)?;
    let due = tally::due(read, now)?.min(waiting);
    let oldest_at = read.first(&MESSAGES, Span::all())?.map(|(_, message)| message.at);
    let domains = tally::largest_domains(read, DOMAINS)?;
    let mut summary =
        Summary { due, waiting: waiting - due, in_flight: 0, held, parked, size_bytes, oldest_at, domains };
    // No more than there are connections.
    for id in read.keys(&OPEN, Span::all(), usize::MAX)? {
        let Some(entry) = read.get_if_sound(&ENTRIES, &id)? else { continue };
        let count = match entry.state {
            State::Waiting { .. } if entry.due <= now => &mut summary.due,
            State::Waiting { .. } => &mut summary.waiting,
            State::Held { .. } => &mut summary.held,
            State::Parked { .. } => &mut summary.parked,
        };
        *count = count.saturating_sub(1);
        summary.in_flight += 1;
    }
    Ok(summary)
}
