use std::sync::Arc;

use super::error::StoreError;
use super::own::is_for_the_first_programs;
use super::row::{Row, close_row, encode_bare, encode_row, has_check, open_row};
use crate::base::{KeyId, KeyRing, Unsealed};

/// Set in the version byte of a row whose secret is sealed. Such a row is: this byte, the length of the sealed secret in
/// two octets, that, and the row's encoding without the secret.
const SEALED: u8 = 0x80;

/// How secrets lie in the file: those of rows that are a [`super::HoldsSecret`].
#[derive(Default)]
pub enum Sealing {
    /// As they are found: a sealed one reads as none, and its row can't be written. For copies and checks.
    #[default]
    Untouched,
    /// As they are. A file in which any is sealed is refused.
    Plain,
    /// Sealed. What lies there as it is, or is sealed with a key that is not the first, is sealed anew when the file is
    /// opened; a file in which one is sealed with a key that is not on the ring is refused.
    Keys(KeyRing),
    /// As they are; those that are sealed are dropped when the file is opened.
    WithoutKey,
}

impl Sealing {
    pub(super) fn is_untouched(&self) -> bool {
        matches!(self, Self::Untouched)
    }

    pub(super) fn keys(&self) -> Option<&KeyRing> {
        match self {
            Self::Keys(keys) => Some(keys),
            Self::Untouched | Self::Plain | Self::WithoutKey => None,
        }
    }
}

/// How rows lie in one file: how their secrets do, and whether each ends with a checksum.
#[derive(Clone, Default)]
pub struct Layout {
    /// How secrets do.
    pub(super) sealing: Arc<Sealing>,
    /// Every row that is to have a checksum has one. One without it is damaged then: what begins where no row does may
    /// look like a row of the first releases, which had none.
    pub(super) all_checked: bool,
}

impl Layout {
    /// Whether the row should have a checksum, and has none.
    fn lacks_check<V: Row>(&self, table: &str, key: &[u8], bytes: &[u8]) -> bool {
        V::CHECKED && self.all_checked && !has_check(bytes) && !is_for_the_first_programs(table, key)
    }
}

/// How the secret of a row lies in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lies {
    /// The row has none, or is damaged.
    Nowhere,
    /// As it is.
    Plain,
    /// Sealed with this key.
    Sealed(KeyId),
}

/// Why a row does not decode.
#[derive(Debug, thiserror::Error)]
pub(super) enum RowFault {
    #[error("the key does not decode")]
    Key,
    #[error("the row is empty")]
    Empty,
    #[error("the row is not what its checksum says")]
    Checksum,
    #[error("the row has no checksum, as every row of this file has")]
    Unchecked,
    #[error("the row (version {0}) does not decode")]
    Row(u8),
    #[error("its secret does not open: {0}")]
    Secret(#[from] Unsealed),
}

/// The row's bytes as they stand in the file.
///
/// # Errors
/// [`StoreError`]: a secret that can't be sealed is not written at all.
pub(super) fn encode<V: Row>(
    table: &'static str,
    key: &[u8],
    row: &V,
    sealing: &Sealing,
) -> Result<Vec<u8>, StoreError> {
    let bare = sealing.keys().zip(row.without_secret());
    let Some((keys, (bare, secret))) = bare else { return Ok(encode_row(table, key, row)) };
    let mut bare = encode_bare(&bare);
    let unsealed = || StoreError::Storage(format!("a secret of the table {table} can't be sealed"));
    let sealed = keys.seal(&place(table, key, &bare), secret.expose()).ok_or_else(unsealed)?;
    let length = u16::try_from(sealed.len()).map_err(|_| unsealed())?;
    bare[0] |= SEALED;
    bare.splice(1..1, length.to_be_bytes().into_iter().chain(sealed));
    Ok(close_row::<V>(table, key, bare))
}

/// The row that the bytes are.
pub(super) fn decode<V: Row>(table: &'static str, key: &[u8], bytes: &[u8], layout: &Layout) -> Result<V, RowFault> {
    if bytes.is_empty() {
        return Err(RowFault::Empty);
    }
    if layout.lacks_check::<V>(table, key, bytes) {
        return Err(RowFault::Unchecked);
    }
    let (version, rest) = open_row(table, key, bytes).ok_or(RowFault::Checksum)?;
    let fault = || RowFault::Row(version);
    if version & SEALED == 0 {
        return V::decode(version, rest).ok_or_else(fault);
    }
    let (sealed, bare) = split(version, rest).ok_or_else(fault)?;
    let row = V::decode(bare[0], &bare[1..]).filter(|_| V::HOLDS_SECRET.is_some()).ok_or_else(fault)?;
    match layout.sealing.keys() {
        Some(keys) => row.with_secret(keys.open(&place(table, key, &bare), sealed)?.expose()).ok_or_else(fault),
        None => Ok(row),
    }
}

/// Whether the row's secret is sealed.
pub(super) fn is_sealed(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|version| version & SEALED != 0)
}

/// How the secret of a row lies in the file.
pub(super) fn lies<V: Row>(table: &'static str, key: &[u8], bytes: &[u8], layout: &Layout) -> Lies {
    if layout.lacks_check::<V>(table, key, bytes) {
        return Lies::Nowhere;
    }
    let Some((version, rest)) = open_row(table, key, bytes) else { return Lies::Nowhere };
    if version & SEALED != 0 {
        return split(version, rest)
            .and_then(|(sealed, _)| KeyRing::key_of(sealed))
            .map_or(Lies::Nowhere, Lies::Sealed);
    }
    let row = V::decode(version, rest);
    if row.is_some_and(|row| row.without_secret().is_some()) { Lies::Plain } else { Lies::Nowhere }
}

/// The sealed secret, and the row without it as it would stand alone.
fn split(version: u8, rest: &[u8]) -> Option<(&[u8], Vec<u8>)> {
    let (length, rest) = rest.split_first_chunk()?;
    let (sealed, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    Some((sealed, [&[version & !SEALED], rest].concat()))
}

/// Where a secret belongs: to this row, with what else stands there. So nobody can lead it to another server.
fn place<'a>(table: &'static str, key: &'a [u8], bare: &'a [u8]) -> [&'a [u8]; 3] {
    [table.as_bytes(), key, bare]
}
