//! What other domains are told: each day, what came of TLS at their mail servers (TLSRPT, RFC 8460).
//!
//! Floor F4c. What is to be told stands in the file, and goes from there in the transaction that queues the report: none is
//! lost by a stop, and none is sent twice.

mod reporter;
mod send;

pub use reporter::Reporter;
