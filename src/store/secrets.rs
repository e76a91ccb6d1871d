use std::collections::BTreeSet;
use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use redb::{ReadableTable, TableDefinition, TableError};

use super::engine::{Engine, commit};
use super::error::{OpenError, StoreError};
use super::key::Key;
use super::own::{DAMAGED, META, Number, PLAIN_UNTIL_COMPACTED, SetAside};
use super::row::encode_row;
use super::schema::{AnyTable, Schema};
use super::sealing::{Layout, Lies, Sealing, is_sealed};
use super::span::Span;
use super::tx::{Counters, Tx};
use super::view::{Read, View, encode_key, guarded};
use crate::base::KeyId;

/// Names that a line tells; more are counted.
const NAMED: usize = 5;

/// How the secrets lie in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrets {
    /// As they are.
    Plain,
    /// Sealed.
    Sealed {
        /// With this key.
        key: KeyId,
        /// They were not always: free pages of the file may still hold them as they were, until it is compacted.
        plain_until_compacted: bool,
    },
}

/// Secrets that do not open: with which keys they are sealed, and whose they are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unopened {
    keys: BTreeSet<KeyId>,
    names: Vec<String>,
}

impl fmt::Display for Unopened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<String> = self.keys.iter().map(KeyId::to_string).collect();
        let names = self.names.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
        write!(f, "{} ({names}", keys.join(" and "))?;
        match self.names.len().saturating_sub(NAMED) {
            0 => f.write_str(")"),
            more => write!(f, " and {more} more)"),
        }
    }
}

impl Engine {
    /// Refuses a file with secrets that do not open, unless they may stay as they are or are to be dropped.
    pub(super) fn judge_secrets(&self, schema: &Schema, path: &Path) -> Result<(), OpenError> {
        let known = match &*self.sealing {
            Sealing::Untouched | Sealing::WithoutKey => return Ok(()),
            Sealing::Plain => Vec::new(),
            Sealing::Keys(keys) => keys.ids(),
        };
        let mut unopened = Unopened::default();
        let judged = self.each_secret(schema, |secret| {
            if let Lies::Sealed(key) = secret.lies
                && !known.contains(&key)
            {
                unopened.keys.insert(key);
                unopened.names.push(secret.name());
            }
            Ok(())
        });
        judged.map_err(|error| super::engine::store_error(path, error))?;
        let path = path.to_owned();
        match unopened.names.is_empty() {
            true => Ok(()),
            false if known.is_empty() => Err(OpenError::Sealed { path, unopened }),
            false => Err(OpenError::OtherKey { path, unopened }),
        }
    }

    /// Writes every secret as it shall lie in the file from now on, in one transaction.
    pub(super) fn seal_secrets(&self, schema: &Schema) -> Result<(), StoreError> {
        let plain_key = PLAIN_UNTIL_COMPACTED.to_owned();
        let mut was_plain = self.view()?.has(&META, &plain_key)?;
        let (mut rows, mut dropped, mut sealed) = (Vec::new(), Vec::new(), 0);
        let wanted = match &*self.sealing {
            Sealing::Untouched => return Ok(()),
            Sealing::Plain | Sealing::WithoutKey => None,
            Sealing::Keys(keys) => Some(keys.first()),
        };
        self.each_secret(schema, |secret| {
            match (secret.lies, wanted) {
                (Lies::Nowhere, _) | (Lies::Plain, None) => return Ok(()),
                (Lies::Sealed(key), Some(first)) if key == first => return Ok(()),
                // Without the key it is read as a row that has no secret.
                (Lies::Sealed(_), None) => dropped.push(secret.name()),
                (lies, Some(_)) => {
                    was_plain |= lies == Lies::Plain;
                    sealed += 1;
                }
            }
            match secret.table.recode(secret.key, secret.row, &self.layout()) {
                Ok(row) => rows.push((secret.table.name(), secret.key.to_vec(), row)),
                // It is of no use, and costs nothing else.
                Err(StoreError::Damaged { what, .. }) => {
                    tracing::warn!(event = "secret_damaged", name = secret.name(), what, "a secret can't be read")
                }
                Err(error) => return Err(error),
            }
            Ok(())
        })?;
        if wanted.is_some() {
            let bare = self.bare_rows_aside(schema)?;
            was_plain |= !bare.is_empty();
            rows.extend(bare);
        }
        let is_noted = wanted.is_some() && was_plain;
        if !rows.is_empty() {
            let transaction = self.begin_write()?;
            let mut tx = Tx::new(&transaction, Counters::default(), Arc::default(), self.layout());
            for (table, key, row) in &rows {
                tx.put_bytes(table, key, row)?;
            }
            if is_noted {
                tx.put(&META, &plain_key, &Number(1))?;
            }
            let written = tx.finish()?;
            commit(transaction)?;
            self.live.grow(written.grown_bytes);
        }
        self.plain_until_compacted.store(is_noted, Ordering::SeqCst);
        for name in &dropped {
            tracing::warn!(event = "secret_dropped", name, "its secret was sealed and is dropped: set it anew");
        }
        if sealed > 0 {
            tracing::info!(event = "secrets_sealed", count = sealed, "secrets are sealed with the first key");
        }
        Ok(())
    }

    pub(super) fn secrets(&self) -> Secrets {
        match self.sealing.keys() {
            Some(keys) => Secrets::Sealed {
                key: keys.first(),
                plain_until_compacted: self.plain_until_compacted.load(Ordering::SeqCst),
            },
            None => Secrets::Plain,
        }
    }

    /// Calls `each` for every row that may hold a secret.
    fn each_secret(
        &self,
        schema: &Schema,
        mut each: impl FnMut(&SecretRow<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let view = self.view()?;
        for table in schema.tables {
            match each_secret_of(&view, *table, &self.layout(), &mut each) {
                // Pages that do not read cost what is in them, and not the start.
                Err(error @ StoreError::Damaged { .. }) => {
                    tracing::error!(event = "secret_damaged", name = table.name(), %error, "secrets can't be read")
                }
                done => done?,
            }
        }
        Ok(())
    }

    /// The rows of tables with secrets that a repair has set aside, and that hold them as they were: without what was in
    /// them. Nothing can read that any more, so nothing can seal the secret alone.
    fn bare_rows_aside(&self, schema: &Schema) -> Result<Vec<RawRow>, StoreError> {
        let holds_secrets =
            |name: &str| schema.tables.iter().any(|table| table.name() == name && table.holds_secrets().is_some());
        let mut rows = Vec::new();
        let scanned = self.view()?.scan(&DAMAGED, Span::all(), |place, aside| {
            if holds_secrets(&place.0) && !aside.row.is_empty() && !is_sealed(&aside.row) {
                let (name, key) = (&place.0, encode_key(&place));
                tracing::warn!(event = "secret_dropped", name, "a damaged row may have held a secret: it is emptied");
                let bare = encode_row(DAMAGED.name(), &key, &SetAside { row: Vec::new(), ..aside });
                rows.push((DAMAGED.name(), key, bare));
            }
            ControlFlow::Continue(())
        });
        match scanned {
            Err(error @ StoreError::Damaged { .. }) => {
                tracing::error!(event = "secret_damaged", name = DAMAGED.name(), %error, "rows set aside can't be read")
            }
            done => done?,
        }
        Ok(rows)
    }
}

/// Calls `each` for every row of a table that may hold a secret.
fn each_secret_of(
    view: &View,
    table: &'static dyn AnyTable,
    layout: &Layout,
    each: &mut dyn FnMut(&SecretRow<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let (Some(what), name) = (table.holds_secrets(), table.name()) else { return Ok(()) };
    let definition = TableDefinition::<&[u8], &[u8]>::new(name);
    let opened = guarded(name, || match view.transaction().open_table(definition) {
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        opened => Ok(Some(opened?)),
    })?;
    let Some(opened) = opened else { return Ok(()) };
    let mut rows = guarded(name, || Ok(opened.iter()?))?;
    while let Some((key, row)) = guarded(name, || Ok(rows.next().transpose()?))? {
        let (key, row) = guarded(name, || Ok((key.value(), row.value())))?;
        each(&SecretRow { table, what, key, row, lies: table.secret(key, row, layout) })?;
    }
    Ok(())
}

/// A row as it stands in the file: its table, its key and itself.
type RawRow = (&'static str, Vec<u8>, Vec<u8>);

/// A row that may hold a secret.
struct SecretRow<'a> {
    table: &'static dyn AnyTable,
    what: &'static str,
    key: &'a [u8],
    row: &'a [u8],
    lies: Lies,
}

impl SecretRow<'_> {
    /// What it is and its key, where that is a name.
    fn name(&self) -> String {
        let mut key = self.key;
        format!("{} {}", self.what, String::read(&mut key).unwrap_or_default()).trim_end().to_owned()
    }
}
