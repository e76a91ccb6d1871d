//! SMTP on the wire (RFC 5321), the receiving side: bytes to lines, lines to commands, the content of DATA to the
//! message, and the fixed replies.
//!
//! Floor F1: pure. Two layers: a framer that finds lines and enforces sizes, then a parser from one framed line to a
//! value. Only CRLF ends a line.
#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod arguments;
mod command;
mod data;
mod framer;
mod path;
pub mod reply;

pub use arguments::{ArgumentError, MailArguments, RcptArguments, client_name, mail_arguments, rcpt_arguments};
pub use command::{CommandError, Request, Verb, parse};
pub use data::{DataDecoder, DataFaults, Decoded, LineEnds};
pub use framer::{Frame, Framed, Framer, LineLimit};
pub use path::{ForwardPath, Mailbox, PathError};
