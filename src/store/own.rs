//! The store's own tables.

use serde::{Deserialize, Serialize};

use super::row::Row;
use super::schema::AnyTable;
use super::table::Table;

/// Facts of the file as a whole.
pub(super) static META: Table<String, Number> = Table::new("meta");
/// The last number that each counter gave.
pub(super) static COUNTERS: Table<String, Number> = Table::new("counters");

/// The key of the schema's version in [`META`].
pub(super) const SCHEMA_VERSION: &str = "schema";

/// All of them.
pub(super) static TABLES: &[&dyn AnyTable] = &[&META, &COUNTERS];

/// A row that is a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Number(pub(super) u64);
crate::postcard_row!(Number, 1);

/// The row's bytes as they stand in the file.
pub(super) fn encode_row<V: Row>(row: &V) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    out.push(V::VERSION);
    row.encode(&mut out);
    out
}
