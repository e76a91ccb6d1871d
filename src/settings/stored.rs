use serde::{Deserialize, Serialize};

use super::value::Setter;
use crate::base::Timestamp;
use crate::store::{AnyTable, Read, Row, Span, StoreError, Table};

/// The settings that the file holds.
pub static SETTINGS: Table<String, SettingRow> = Table::new("settings");
/// The room's tables.
pub const TABLES: &[&dyn AnyTable] = &[&SETTINGS];

/// A setting's value in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingRow {
    /// The value as text.
    pub value: String,
    /// When it was set.
    pub changed_at: Timestamp,
    /// By whom.
    pub setter: Setter,
}

impl Row for SettingRow {
    const VERSION: u8 = 2;

    fn encode(&self, out: &mut Vec<u8>) {
        // Writing plain data to memory can't fail; an empty row would be seen as damage.
        if let Ok(bytes) = postcard::to_stdvec(self) {
            out.extend_from_slice(&bytes);
        }
    }

    fn decode(version: u8, bytes: &[u8]) -> Option<Self> {
        let row = match version {
            // It ended before `setter`: there was but one way to set it.
            1 => [bytes, &[Setter::Page as u8]].concat(),
            2 => bytes.to_vec(),
            _ => return None,
        };
        let (row, rest) = postcard::take_from_bytes(&row).ok()?;
        rest.is_empty().then_some(row)
    }
}

/// What the file sets, for [`super::Settings::gather`].
///
/// # Errors
/// [`StoreError`].
pub fn stored(read: &impl Read) -> Result<Vec<(String, SettingRow)>, StoreError> {
    read.rows(&SETTINGS, Span::all(), usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_the_first_version_are_read() {
        let old = postcard::to_stdvec(&("7", Timestamp(9))).unwrap();
        let row = SettingRow { value: "7".into(), changed_at: Timestamp(9), setter: Setter::Page };
        assert_eq!(SettingRow::decode(1, &old), Some(row.clone()));
        let mut new = Vec::new();
        row.encode(&mut new);
        assert_eq!(SettingRow::decode(2, &new), Some(row));
        assert_eq!((SettingRow::decode(3, &new), SettingRow::decode(2, &old)), (None, None));
    }
}
