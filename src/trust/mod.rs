//! What can be known of who a message is from: SPF (RFC 7208), DKIM (RFC 6376) and DMARC (RFC 7489, RFC 9989).
//!
//! Floor F3d. It only evaluates: what the DNS says is asked through [`Resolve`], and what becomes of the message is for
//! others to say.

mod answers;
mod bodies;
mod field;
mod judge;
mod verdicts;

pub use answers::{Answer, Question, Resolve};
pub use bodies::{BodyHashes, Hashed};
pub use field::without_forged_results;
pub use judge::{Arrival, Judge};
pub use verdicts::{Dkim, Dmarc, Spf, SpfOf, Verdicts, Word};

#[cfg(test)]
mod tests;
