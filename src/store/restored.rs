//! The mark of a file that was put in the place of another: what was given out since the copy was made is not known to it.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use super::engine::{Engine, commit, own_schema, store_error};
use super::error::{OpenError, StoreError};
use super::handle::Options;
use super::own::{COUNTERS, META, Number, RESTORED, RESTORED_FROM, RestoredFrom};
use super::schema::Schema;
use super::tx::{Counters, Tx};
use super::view::Read;

/// The one row of its table.
const ONLY: u8 = 0;

/// Marks a copy that was checked and that no server has open, before it gets the name of the file: a crash behind that
/// can't take the mark away. `from`: which copy it is, where that is known. `given`: the last number that each counter gave
/// in the file of whose place it takes, as far as that is known; none of them is given again.
pub(super) fn mark(
    copy: &Path,
    schema: &'static Schema,
    from: Option<&str>,
    given: &[(String, Number)],
) -> Result<(), OpenError> {
    let failed = |error| OpenError::Io { path: copy.to_owned(), error };
    let file = File::options().write(true).open(copy).map_err(failed)?;
    let modified = file.metadata().and_then(|there| there.modified()).map_err(failed)?;
    let options = Options { disk_ballast_bytes: 0, ..Options::at(copy) };
    let from = from.map(|copy| RestoredFrom { at: options.clock.now(), copy: copy.to_owned() });
    // One of an older version stays so until it is opened under its name.
    let schema = own_schema(&options, schema)?;
    let engine = Engine::open(&options, schema)?;
    let marked = write_mark(&engine, from, given);
    engine.close();
    marked.map_err(|error| store_error(copy, error))?;
    // Whoever goes by when it came finds no difference.
    file.set_modified(modified).and_then(|()| file.sync_all()).map_err(failed)
}

fn write_mark(engine: &Engine, from: Option<RestoredFrom>, given: &[(String, Number)]) -> Result<(), StoreError> {
    let transaction = engine.begin_write()?;
    let mut tx = Tx::new(&transaction, Counters::default(), Arc::default(), engine.layout());
    tx.mark_restored()?;
    if let Some(from) = from {
        tx.put(&RESTORED_FROM, &ONLY, &from)?;
    }
    for (counter, last) in given {
        if tx.get(&COUNTERS, counter)?.is_none_or(|known| known.0 < last.0) {
            tx.put(&COUNTERS, counter, last)?;
        }
    }
    tx.finish()?;
    commit(transaction)
}

impl Tx<'_> {
    /// Whether the file was put in the place of another, and nobody has drawn the conclusions yet.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn is_restored(&self) -> Result<bool, StoreError> {
        self.has(&META, &RESTORED.to_owned())
    }

    /// From which copy, where that is known.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn restored_from(&self) -> Result<Option<RestoredFrom>, StoreError> {
        self.get_if_sound(&RESTORED_FROM, &ONLY)
    }

    /// Says that it was.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn mark_restored(&mut self) -> Result<(), StoreError> {
        self.put(&META, &RESTORED.to_owned(), &Number(1))
    }

    /// The conclusions are drawn in this transaction.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn forget_restored(&mut self) -> Result<(), StoreError> {
        self.remove(&RESTORED_FROM, &ONLY)?;
        self.remove(&META, &RESTORED.to_owned()).map(drop)
    }
}
