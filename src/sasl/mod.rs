//! Simple Authentication and Security Layer (RFC 4422): PLAIN, LOGIN, SCRAM-SHA-256, CRAM-MD5 and EXTERNAL as state
//! machines. The server's side is shared by SMTP, POP3 and IMAP: it decodes and checks the form of what the client says; whether it is
//! true is for who knows the secret, or the certificate, to say. The client's side logs us in at smarthosts and peers.
//!
//! Floor F1: pure, so nonces and keys are passed in. Lines come in without their CRLF, challenges go out as base64 without
//! the protocol's `334 ` or `+ `.
#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod channel;
mod cram;
mod exchange;
mod external;
mod mechanism;
mod responder;
mod scram;

pub use channel::Channel;
pub use cram::CramProof;
pub use exchange::{Claim, Credentials, Exchange, SaslError, Seeds, Step, Terms, nonce};
pub use external::Shown;
pub use mechanism::Mechanism;
pub use responder::{Responder, Terms as ClientTerms, Unanswerable, Unspeakable};
pub use scram::ScramProof;
