//! What came of TLS at the servers of other domains, day by day, and the report of it that they ask for.
//!
//! Floor F3a. TLSRPT (RFC 8460): `delivery` notes what its sessions show; `reporting` finds out who wants to know, and
//! sends a day's report when the day is over. What is noted stays for a few days at most.

mod check;
mod json;
mod mail;
mod record;
mod row;
mod write;

pub use check::CHECKS;
pub use json::Report;
pub use mail::Letter;
pub use record::{Wanted, wanted};
pub use row::{
    Day, DayResults, Failure, FailureCount, PolicyResults, PolicySeen, ResultKind, TABLES, days_before, results,
};
pub use write::{Forget, Note};

#[cfg(test)]
mod tests;
