//! Messages as bytes: the header block and the body, header fields, the addresses in them; the parts of a message, what
//! mail programs ask of it, and the texts in it.
//!
//! Floor F1: pure and streaming; nothing here waits, panics or takes more than linear time, whatever the bytes are.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod address_list;
mod addresses_shown;
mod boundary;
mod charset;
mod cursor;
mod date;
mod encoded_word;
mod envelope;
mod field;
mod heading;
mod html;
mod line_ends;
mod nstring;
mod parameter;
mod preview;
pub mod report;
mod scan;
mod scanner;
mod seven_bit;
mod splitter;
mod summary;
#[cfg(test)]
mod tests;
mod text_decoder;
mod text_search;
mod tls_required;
mod transfer;

pub use address_list::{AddressListError, addresses};
pub use encoded_word::decode_field;
pub use field::{Field, Fields, fields, without_bcc};
pub use line_ends::LineEnds;
pub use parameter::decoded_parameter;
pub use scan::Scan;
pub use scanner::{Scanned, StructureScanner};
pub use seven_bit::{NotSevenBit, seven_bit};
pub use splitter::{HeaderError, HeaderSplitter};
pub use summary::{Parameters, Part, PartKind, Structure, Summary};
pub use text_decoder::TextDecoder;
pub use text_search::{TextSearch, fold};
pub use tls_required::gives_up_tls;
pub use transfer::TransferDecoder;
