//! What a domain asks of TLS on the way to its mail servers: its policies read, kept and judged.
//!
//! Floor F3a. MTA-STS (RFC 8461): who looks for a policy in the DNS and fetches it is `delivery`, by `fetch`; here are the
//! readers of what came, and the policies that are in force until they expire, so that nobody who holds back the DNS or
//! the web server of a domain can hold back its policy. A domain of ours asks the same of others: `http` publishes that. And
//! DANE (RFC 7672): the records that a server is proved by, and what they match.

mod check;
mod own;
mod row;
mod sts_policy;
mod sts_record;
mod tlsa;
mod write;

pub use check::CHECKS;
pub use row::{Known, TABLES, policies, policy};
pub use sts_policy::{Mode, MxPattern, StsFault, StsPolicy};
pub use sts_record::sts_id;
pub use tlsa::{Matching, Selector, Shown, Tlsa, Usage, agile};
pub use write::{Forget, Keep, Use};

#[cfg(test)]
mod tests;
