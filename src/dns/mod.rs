//! The Domain Name System: which servers take mail for a domain, and where they are.
//!
//! Floor F4a. What an answer holds is hostile: it is bounded here, and judged by `delivery`.

mod answer;
mod denials;
mod evidence;
mod proof;
mod prover;
mod resolver;
mod verifying;

#[cfg(test)]
pub(crate) mod scripted;

pub use answer::{DnsError, MailServers};
pub use evidence::Evidence;
pub use prover::{Anchors, HostAnswer, Prover};
pub use resolver::Resolver;
