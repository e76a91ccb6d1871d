//! Simple Authentication and Security Layer (RFC 4422): PLAIN and LOGIN as state machines. The server's side is shared by
//! SMTP, POP3 and IMAP: it decodes and checks the form of what the client says; whether the password is right is for the
//! directory to say. The client's side logs us in at smarthosts and peers.
//!
//! Floor F1: pure. Lines come in without their CRLF, challenges go out as base64 without the protocol's `334 ` or `+ `.
#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod exchange;
mod mechanism;
mod responder;

pub use exchange::{Credentials, Exchange, SaslError, Step};
pub use mechanism::Mechanism;
pub use responder::{Responder, Unspeakable};
