//! What happened to each message, and to each transaction that was refused before it became one.
//!
//! Floor F3a. An event is written in the transaction of the change that it tells of; a refusal changes nothing, and
//! its event rides on a later batch. What anybody could do again and again does not let a story grow without end, nor the
//! table of stories: what is alike is counted, and of the refusals of strangers the oldest go.

mod event;
mod prune;
mod record;
mod refusal;
mod search;
mod shorten;
mod strangers;
mod traffic;
mod transcript;
mod verdict;

pub use event::{Event, Kind, Subject};
pub use prune::{Needed, Prune, Pruned, prune};
#[cfg(test)]
pub use record::Record;
pub use record::{EVENTS, Recorded, TABLES, follow, record};
pub use refusal::Refusal;
pub use search::{CHECKS, Wanted, find, story};
pub use traffic::{Hour, SaveTraffic, Traffic};
pub use transcript::{keep_transcript, transcript};
pub use verdict::{Code, Direction, Outcome, RecipientVerdict, UnknownWord, Verdict, verdict};

#[cfg(test)]
mod bounds_tests;
#[cfg(test)]
mod tests;
