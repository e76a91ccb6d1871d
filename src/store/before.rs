//! The file whose place another takes.

use std::fs::File;
use std::io;
use std::path::Path;

use super::engine::Engine;
use super::error::OpenError;
use super::handle::Options;
use super::own::{COUNTERS, Number};
use super::restore::{bears_name, lock};
use super::schema::Schema;
use super::span::Span;
use super::view::Read;

/// The file whose place another takes: no server opens it meanwhile.
pub(super) struct Before {
    held: Held,
    /// The last number that each of its counters gave, as far as it can be read: what takes its place gives none of them
    /// again.
    pub(super) given: Vec<(String, Number)>,
}

enum Held {
    /// Whatever the storage engine writes stays in memory.
    Open(Box<Engine>),
    /// It can't be opened, and may be restored for that.
    Locked(File),
}

impl Before {
    /// `None` where there is no file.
    ///
    /// # Errors
    /// [`OpenError::Locked`] when another has it open; [`OpenError::Io`].
    pub(super) fn hold(data: &Path, schema: &Schema) -> Result<Option<Self>, OpenError> {
        let options = Options { disk_reserve_bytes: 0, disk_ballast_bytes: 0, ..Options::at(data) };
        match Engine::look(&options, schema) {
            Ok(engine) => {
                let given = engine.view().and_then(|view| view.rows(&COUNTERS, Span::all(), usize::MAX));
                Ok(Some(Self { held: Held::Open(Box::new(engine)), given: given.unwrap_or_default() }))
            }
            Err(error @ OpenError::Locked(_)) => Err(error),
            Err(_) => Ok(lock(data)?.map(|file| Self { held: Held::Locked(file), given: Vec::new() })),
        }
    }

    /// Whether it is still the one of that name.
    pub(super) fn bears_name(&self, data: &Path) -> io::Result<bool> {
        match &self.held {
            Held::Open(engine) => engine.disk().has_its_name(),
            Held::Locked(file) => bears_name(file, data),
        }
    }
}
