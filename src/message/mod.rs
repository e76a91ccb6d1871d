//! Messages as bytes: the header block and the body, header fields, the addresses in them.
//!
//! Floor F1: pure and streaming; nothing here waits, panics or takes more than linear time, whatever the bytes are.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod address_list;
mod field;
pub mod report;
mod scan;
mod splitter;
mod structure;
mod summary;

pub use address_list::{AddressListError, addresses};
pub use field::{Field, Fields, fields, without_bcc};
pub use scan::Scan;
pub use splitter::{HeaderError, HeaderSplitter};
pub use structure::{Scanned, StructureScanner, TextSearch};
pub use summary::{Part, PartKind, Structure, Summary};
