//! The file: one redb database behind typed tables, one writer with group commit, readers, blobs, and the bus that
//! tells watchers what was committed.
//!
//! Floor F2: knows nothing of mail, and is the only room that names redb.

mod blob;
mod bus;
mod committed;
mod error;
mod handle;
mod key;
mod op;
mod row;
mod schema;
mod span;
mod table;
mod tx;

pub use blob::{BlobReader, BlobWriter, StagedBlob};
pub use bus::{Bus, Topic, Watch};
pub use committed::Committed;
pub use error::{Halt, OpenError, StoreError, WriteError};
pub use handle::{Health, Medium, Options, Store};
pub use key::{Key, PrefixOf};
pub use op::Op;
pub use row::Row;
pub use schema::{AnyTable, CrossCheck, Findings, Schema};
pub use span::Span;
pub use table::Table;
pub use tx::{Read, Tx, View};
