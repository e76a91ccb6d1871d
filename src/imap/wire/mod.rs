//! IMAP on the wire: command lines with their literals, commands, answers, mailbox names.
//!
//! Floor F1: pure. A framer finds where a command ends, a parser makes a value of it that borrows from its octets, and
//! writers put answers into a buffer.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod append;
mod command;
mod date;
mod fetch;
mod flag;
mod folders;
mod framer;
mod name;
mod parse;
mod reader;
mod search;
mod sequence;
mod status;
mod structure;
#[cfg(test)]
mod tests;
mod utf7;
mod write;

pub use append::{Append, AppendMessage, AppendRest, append, append_rest};
pub use command::{
    Command, Flag, FlagChange, FlagMode, IdPair, List, ListReturn, ListSelection, MessageSet, Password, Request,
    StatusItem, Store,
};
pub use date::write_date_time;
pub use fetch::{Fetch, FetchItem, Part, Partial, Section, SectionText};
pub use framer::{Frame, Framer, Literal};
pub use name::{NameError, mailbox_name, mailbox_pattern, matches, write_mailbox_name};
pub use parse::{ParseError, parse};
pub use search::{Search, SearchKey, SearchReturn, SentOrReceived, When};
pub use sequence::{SequenceSet, Star};
pub use status::{Answer, Code, Status};
pub use structure::write_structure;
pub use write::{write_answer, write_astring, write_nstring, write_number, write_ranges};
