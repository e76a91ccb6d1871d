//! The file: one redb database behind typed tables, one writer with group commit, readers, blobs, and the bus that
//! tells watchers what was committed.
//!
//! Floor F2: knows nothing of mail, and is the only room that names redb.

mod backend;
mod blob_read;
mod blob_rows;
mod blob_write;
mod bus;
mod check;
mod committed;
mod draft;
mod engine;
mod error;
pub mod fault;
mod frame;
mod handle;
mod held;
mod job;
mod key;
mod ladder;
mod op;
mod own;
mod queue;
mod readers;
mod repair;
mod row;
mod schema;
mod span;
mod table;
mod tx;
mod view;
mod writer;

pub use blob_read::{BlobFacts, BlobReader};
pub use blob_write::{BlobWriter, StagedBlob};
pub use bus::{Bus, Topic, Watch};
pub use check::verify;
pub use committed::Committed;
pub use draft::Draft;
pub use error::{Halt, OpenError, StoreError, WriteError};
pub use handle::{Health, Medium, Options, Store};
pub use key::{Key, PrefixOf};
pub use op::Op;
pub use row::Row;
pub use schema::{AnyTable, CrossCheck, Findings, Schema};
pub use span::Span;
pub use table::Table;
pub use tx::Tx;
pub use view::{Read, View};

#[cfg(test)]
mod blob_tests;
#[cfg(test)]
mod draft_tests;
#[cfg(test)]
mod tests;
