//! The file: one redb database behind typed tables, one writer with group commit, readers, blobs, and the bus that
//! tells watchers what was committed.
//!
//! Floor F2: knows nothing of mail, and is the only room that names redb.

mod archive;
mod backend;
mod ballast;
mod before;
mod blob_check;
mod blob_read;
mod blob_rows;
mod blob_write;
mod bus;
mod check;
mod committed;
mod compact;
mod compact_rows;
mod copy;
mod damage;
mod draft;
mod engine;
mod error;
pub mod fault;
mod findings;
mod frame;
mod handle;
mod held;
mod job;
mod journal;
mod key;
mod ladder;
mod live;
mod mend;
mod migration;
mod op;
mod open_views;
mod opening;
mod own;
mod packed;
mod progress;
mod queue;
mod readers;
mod repair;
mod restore;
mod restored;
mod row;
mod schema;
mod sealing;
mod secrets;
mod snapshot;
mod space;
mod span;
mod staged;
mod table;
mod tally;
mod tx;
mod view;
mod writer;

pub use archive::Archive;
pub use blob_read::{BlobFacts, BlobReader};
pub use blob_write::{BlobWriter, StagedBlob};
pub use bus::{Bus, Topic, Watch};
pub use check::{verify, verify_telling};
pub use committed::Committed;
pub use compact::{CompactError, CompactProgress, Compacted};
pub use copy::{Copied, CopyError, CopyOptions, CopyProgress};
pub use damage::end_where_damage_aborts;
pub use draft::Draft;
pub use error::{Halt, OpenError, StoreError, WriteError};
pub use findings::{Finding, Findings};
pub use handle::{Health, Medium, Options, Store};
pub use key::{Key, PrefixOf};
pub use mend::{Repaired, repair};
pub use migration::{Migration, Upgrade};
pub use op::Op;
pub use open_views::OldestView;
pub use opening::{Opening, Stage};
pub use own::RestoredFrom;
pub use packed::{pack, unpack};
pub use progress::{CheckPart, CheckProgress, Tell};
pub use restore::{give_name, restore};
pub use row::{HoldsSecret, Row};
pub use schema::{AnyTable, CrossCheck, Schema};
pub use sealing::{Lies, Sealing};
pub use secrets::{Secrets, Unopened};
pub use span::Span;
pub use staged::{Arrived, Incoming, put_in_place, staged_path};
pub use table::Table;
pub use tally::Tally;
pub use tx::Tx;
pub use view::{Read, View};

#[cfg(test)]
mod blob_tests;
#[cfg(test)]
mod compact_tests;
#[cfg(test)]
mod copy_tests;
#[cfg(test)]
mod draft_tests;
#[cfg(test)]
mod migration_tests;
#[cfg(test)]
mod sealing_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod unchecked_tests;
