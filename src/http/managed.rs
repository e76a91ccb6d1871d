use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::base::Timestamp;
use crate::postcard_row;
use crate::store::{Read, StoreError, Table, Tx};

/// What a desired state has named, by section and key. A row outlives the thing that it is about, until the next state
/// is applied; a thing that was made anew since is not meant by it.
pub(super) static MANAGED: Table<(String, String), Managed> = Table::new("managed");

/// What keeps a thing as it is. It can be changed by hand all the same: the next state that is applied sets it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ManagedBy {
    /// A desired state that was applied has named it.
    State,
}

/// That a state keeps something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Managed {
    at: Timestamp,
}
postcard_row!(Managed, 1);

/// What keeps the thing of that section and key as it is; `None`: people alone.
pub(super) fn managed_by(
    read: &impl Read,
    section: &str,
    key: &str,
    created_at: Timestamp,
) -> Result<Option<ManagedBy>, StoreError> {
    let row = read.get(&MANAGED, &(section.to_owned(), key.to_owned()))?;
    Ok(row.filter(|row| created_at <= row.at).map(|_| ManagedBy::State))
}

/// Marks the thing as kept by a state.
pub(super) fn mark(
    tx: &mut Tx<'_>,
    section: &str,
    key: &str,
    created_at: Timestamp,
    at: Timestamp,
) -> Result<(), StoreError> {
    if managed_by(tx, section, key, created_at)?.is_some() {
        return Ok(());
    }
    tx.put(&MANAGED, &(section.to_owned(), key.to_owned()), &Managed { at })
}

/// Forgets the mark of a thing that was removed.
pub(super) fn unmark(tx: &mut Tx<'_>, section: &str, key: &str) -> Result<(), StoreError> {
    tx.remove(&MANAGED, &(section.to_owned(), key.to_owned())).map(drop)
}
