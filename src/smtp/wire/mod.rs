//! SMTP on the wire (RFC 5321). The server's side: bytes to lines, lines to commands, the content of DATA to the message,
//! and the fixed replies. The client's side: commands to lines, a message to the content of DATA, bytes to replies.
//!
//! Floor F1: pure. Two layers: a framer that finds lines and enforces sizes, then a parser from one framed line to a
//! value. Only CRLF ends a line, but in replies (see [`AnswerReader`]).
#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod answer;
mod arguments;
mod chunk;
mod command;
mod data;
mod encode;
mod extensions;
mod framer;
mod mask;
mod outgoing;
mod parameters;
mod path;
pub mod reply;

pub use answer::{Answer, AnswerError, AnswerReader};
pub use arguments::{ArgumentError, MailArguments, RcptArguments, client_name, mail_arguments, rcpt_arguments};
pub use chunk::{Chunk, bdat};
pub use command::{CommandError, Request, Verb, parse};
pub use data::{DataDecoder, DataFaults, Decoded, LineEnds};
pub use encode::{BareLineEnd, ChunkGuard, DataEncoder, END_OF_DATA};
pub use extensions::{Extensions, Limits, Size};
pub use framer::{Frame, Framed, Framer, LineLimit};
pub use mask::Mask;
pub use outgoing::{Outgoing, Wishes};
pub use parameters::{By, Hold, MailParameters};
pub use path::{ForwardPath, Mailbox, PathError};
