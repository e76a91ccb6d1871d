use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use super::engine::Engine;
use super::error::{OpenError, PAGES, StoreError};
use super::handle::Options;
use super::schema::Schema;
use super::view::{View, damaged};

/// Octets of the page cache: who looks into a copy reads most of it once.
const CACHE_BYTES: usize = 8 * 1024 * 1024;

/// A copy of the file that is only read: what the storage engine writes at its opening stays in memory, and the copy is
/// left as it is. Several may have it open at the same time, also while it is checked; no server may. Cheap to clone; the
/// last clone closes it.
#[derive(Clone)]
pub struct Archive(Arc<Opened>);

struct Opened(Arc<Engine>);

impl Archive {
    /// Opens the copy at `path`, by this program's or an older schema. A copy that was closed well opens at once; one
    /// that was not is repaired in memory, which reads all of it. Blocks.
    ///
    /// # Errors
    /// [`OpenError`]: a copy by a newer program is refused.
    pub fn open(path: &Path, schema: &Schema) -> Result<Self, OpenError> {
        let options = Options { cache_bytes: CACHE_BYTES, ..Options::at(path) };
        Ok(Self(Arc::new(Opened(Arc::new(Engine::open_archive(&options, schema)?)))))
    }

    /// Runs `read` on a view of all that the copy holds. Blocks. Pages that contradict each other are an error and no
    /// panic.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn read<T>(&self, read: impl FnOnce(&View) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let engine = &self.0.0;
        catch_unwind(AssertUnwindSafe(|| read(&engine.view()?)))
            .unwrap_or_else(|_| Err(damaged(PAGES, "the copy's pages contradict each other")))
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use super::super::own::{META, Number, SCHEMA_VERSION};
    use super::super::queue::block_on;
    use super::super::tests::{SCHEMA, run};
    use super::super::*;
    use super::*;
    use crate::base::BlobId;

    /// A file with a short and a long body, closed.
    fn file(folder: &tempfile::TempDir) -> std::path::PathBuf {
        let path = folder.path().join("mail.redb");
        let store = Store::open(Options { disk_reserve_bytes: 0, ..Options::at(&path) }, &SCHEMA).unwrap();
        for body in [vec![7; 300_000], b"short".to_vec()] {
            let mut writer = store.blob_writer();
            block_on(writer.write(&body)).unwrap();
            let staged = block_on(writer.finish()).unwrap();
            store.write_blocking(run(move |tx| tx.adopt_blob(&staged, 1))).unwrap().into_inner();
        }
        store.close();
        path
    }

    #[test]
    fn a_copy_is_read_by_several_and_not_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = file(&folder);
        let before = std::fs::read(&path).unwrap();
        let (one, other) = (Archive::open(&path, &SCHEMA).unwrap(), Archive::open(&path, &SCHEMA).unwrap());
        for archive in [&one, &other] {
            let mut bytes = Vec::new();
            archive.read(|view| view.read_blob(BlobId(1), 299_990, 99, &mut bytes)).unwrap();
            archive.read(|view| view.read_blob(BlobId(2), 0, u64::MAX, &mut bytes)).unwrap();
            assert_eq!(bytes, [&[7; 10][..], b"short"].concat());
        }
        // It is checked meanwhile, and no server opens it.
        assert!(verify(&Options::at(&path), &SCHEMA).unwrap().lines().is_empty());
        assert!(matches!(Store::open(Options::at(&path), &SCHEMA), Err(OpenError::Locked(_))));
        drop((one, other));
        assert!(before == std::fs::read(&path).unwrap(), "to look at it changed it");
        let store = Store::open(Options { disk_reserve_bytes: 0, ..Options::at(&path) }, &SCHEMA).unwrap();
        assert!(matches!(Archive::open(&path, &SCHEMA), Err(OpenError::Locked(_))), "a server has it open");
        store.close();
    }

    #[test]
    fn what_is_no_copy_is_refused_in_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("copy.redb");
        let check = |expected: &str| {
            let said = Archive::open(&path, &SCHEMA).map(drop).unwrap_err().to_string();
            assert!(said.contains(expected) && !said.contains('\n'), "{said}");
        };
        check("No such file");
        std::fs::write(&path, b"").unwrap();
        check("it is empty");
        std::fs::write(&path, [7; 100_000]).unwrap();
        check("can't be opened");
        std::fs::remove_file(&path).unwrap();
        std::fs::rename(file(&folder), &path).unwrap();
        let store = Store::open(Options { disk_reserve_bytes: 0, ..Options::at(&path) }, &SCHEMA).unwrap();
        let newer = Number(u64::from(SCHEMA.version) + 1);
        store.write_blocking(run(move |tx| tx.put(&META, &SCHEMA_VERSION.to_owned(), &newer))).unwrap().into_inner();
        store.close();
        check("written by a newer version");
    }
}
