//! What happened to each message, and to each transaction that was refused before it became one.
//!
//! Floor F3a. An event is written in the transaction of the change that it tells of; a refusal changes nothing, and
//! its event rides on a later batch.

mod event;
mod prune;
mod record;
mod search;
mod traffic;
mod transcript;
mod verdict;

pub use event::{Event, Kind, Subject};
pub use prune::{Needed, Prune, Pruned, prune};
pub use record::{EVENTS, Record, Recorded, TABLES, follow, record};
pub use search::{CHECKS, Wanted, find, story};
pub use traffic::{Hour, SaveTraffic, Traffic};
pub use transcript::{Refusal, keep_transcript, transcript};
pub use verdict::{Code, Direction, Outcome, RecipientVerdict, UnknownWord, Verdict, verdict};

#[cfg(test)]
mod tests;
