//! What can be known of who a message is from, and who has passed it on: SPF (RFC 7208), DKIM (RFC 6376), DMARC (RFC 7489,
//! RFC 9989) and ARC (RFC 8617).
//!
//! Floor F3d. It only evaluates: what the DNS says is asked through [`Resolve`], and what becomes of the message is for
//! others to say.

mod answers;
mod bodies;
mod chain;
mod field;
mod judge;
mod verdicts;

pub use answers::{Answer, Question, Resolve};
pub use bodies::{BodyHashes, Hashed};
pub use field::without_forged_results;
pub use judge::{Arrival, Judge};
pub use verdicts::{Chain, Dkim, Dmarc, Spf, SpfOf, Verdicts, Word};

#[cfg(test)]
mod tests;
