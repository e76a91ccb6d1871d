//! Simple Authentication and Security Layer (RFC 4422), the server's side: PLAIN and LOGIN as state machines that
//! SMTP, POP3 and IMAP share. They decode and check the form of what the client says; whether the password is right is
//! for the directory to say.
//!
//! Floor F1: pure. Lines come in without their CRLF, challenges go out as base64 without the protocol's `334 ` or `+ `.
#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod exchange;
mod mechanism;

pub use exchange::{Credentials, Exchange, SaslError, Step};
pub use mechanism::Mechanism;
