use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use redb::StorageBackend;
use rustix::fs::fstatvfs;

use super::ballast::{Ballast, is_full};
use crate::base::limits;

/// Octets that a disk gives out at a time.
const BLOCK_BYTES: u64 = 4096;

/// The room that the file has to grow. Knows how much the disk has, and keeps a ballast that it gives back when the disk is
/// full, so that the transaction in flight still commits: redb takes nothing more after a failed write.
#[derive(Debug)]
pub(super) struct Space {
    /// `None` where it is in memory, or on a test's disk: there it has no end.
    file: Option<Arc<File>>,
    reserve_bytes: u64,
    ballast: Ballast,
    /// Octets that the file has to give before it needs new ones from the disk, as far as is known.
    reusable_bytes: AtomicU64,
}

/// The room on the disk before a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Room {
    /// `None` in memory.
    pub(super) free_bytes: Option<u64>,
    /// Octets that may be written before the disk is full.
    usable_bytes: u64,
    /// Below the reserve.
    pub(super) full: bool,
}

impl Room {
    /// Whether a change that adds so many octets can be made, which writes some more than these.
    pub(super) fn fits(&self, weight_bytes: usize) -> bool {
        weight_bytes as u64 <= self.usable_bytes / 2
    }

    /// Octets of rows that one transaction takes together: no more than a small part of the room, since the next look at
    /// it comes behind the commit.
    pub(super) fn batch_bytes(&self) -> usize {
        let part = usize::try_from(self.usable_bytes / 8).unwrap_or(usize::MAX);
        part.clamp(limits::TIGHT_BATCH_BYTES, limits::BATCH_BYTES)
    }
}

impl Space {
    /// Of what lies on no disk.
    pub(super) fn endless() -> Self {
        Self { file: None, reserve_bytes: 0, ballast: Ballast::of(Path::new(""), 0), reusable_bytes: AtomicU64::new(0) }
    }

    /// Of the file that has this name.
    pub(super) fn around(file: &Arc<File>, path: &Path, reserve_bytes: u64, ballast_bytes: u64) -> Self {
        let ballast = Ballast::of(path, ballast_bytes);
        Self { file: Some(Arc::clone(file)), reserve_bytes, ballast, ..Self::endless() }
    }

    /// Of the file that is to have the name of this one.
    pub(super) fn of_successor(&self, file: &Arc<File>, path: &Path) -> Self {
        Self::around(file, path, self.reserve_bytes, self.ballast.size_bytes())
    }

    /// Looks at the room. What was removed from the file since the start counts for half: a disk that is full takes
    /// mail again once enough is deleted, although the file doesn't get shorter. But some of the disk itself must be free
    /// too: not every page finds its place where others were.
    pub(super) fn room(&self) -> Room {
        let Some(free) = self.free_bytes() else {
            return Room { free_bytes: None, usable_bytes: u64::MAX, full: false };
        };
        let usable_bytes = free.saturating_add(self.reusable_bytes.load(Ordering::Relaxed) / 2);
        let full = usable_bytes < self.reserve_bytes || free < self.reserve_bytes / 4;
        Room { free_bytes: Some(free), usable_bytes, full }
    }

    /// A commit has made `freed_bytes` reusable, and used `used_bytes`.
    pub(super) fn note_reusable(&self, freed_bytes: u64, used_bytes: u64) {
        let before = self.reusable_bytes.load(Ordering::Relaxed);
        self.reusable_bytes.store((before + freed_bytes).saturating_sub(used_bytes), Ordering::Relaxed);
    }

    pub(super) fn reserve_bytes(&self) -> u64 {
        self.reserve_bytes
    }

    /// Octets of the ballast that are laid behind the end of the file.
    pub(super) fn behind_bytes(&self) -> u64 {
        if self.ballast.is_behind() { self.ballast.laid_bytes() } else { 0 }
    }

    /// Lays the ballast (again) where the disk has room for it; where it has little, a part, so that nobody else takes that
    /// too.
    pub(super) fn keep_ballast(&self, medium: &dyn StorageBackend, room: Room) {
        let size_bytes = self.ballast.size_bytes();
        let Some(free) = room.free_bytes.filter(|_| self.ballast.laid_bytes() < size_bytes) else { return };
        if free >= self.reserve_bytes.saturating_add(size_bytes) {
            self.lay_ballast(medium, size_bytes);
        } else if self.ballast.laid_bytes() == 0 {
            self.lay_ballast(medium, (free / 2).next_multiple_of(BLOCK_BYTES));
        }
    }

    /// Lays so much of it, unless as much is there.
    pub(super) fn lay_ballast(&self, medium: &dyn StorageBackend, bytes: u64) {
        if let (Some(file), Ok(len)) = (&self.file, medium.len()) {
            self.ballast.lay(file, len, bytes);
        }
    }

    /// Makes a change of the file, once more with the room of the ballast where the disk is full.
    pub(super) fn absorb(&self, medium: &dyn StorageBackend, change: impl Fn() -> io::Result<()>) -> io::Result<()> {
        match change() {
            Err(error) if is_full(&error) && self.drop_ballast(medium) => change(),
            done => done,
        }
    }

    /// Changes the length of the file.
    pub(super) fn set_len(&self, medium: &dyn StorageBackend, len: u64) -> io::Result<()> {
        // Else what lies past the old end would be somewhere inside the file, and no room any more for a write elsewhere.
        if self.ballast.is_behind()
            && let (Some(file), Ok(old)) = (&self.file, medium.len())
        {
            let laid_bytes = self.ballast.laid_bytes();
            self.ballast.give_back(file, old);
            let done = medium.set_len(len);
            self.lay_ballast(medium, laid_bytes);
            return done;
        }
        self.absorb(medium, || medium.set_len(len))
    }

    /// Gives the ballast back; whether there was one.
    fn drop_ballast(&self, medium: &dyn StorageBackend) -> bool {
        let (Some(file), Ok(len)) = (&self.file, medium.len()) else { return false };
        let is_dropped = self.ballast.give_back(file, len);
        if is_dropped {
            tracing::error!(event = "ballast_given", "the disk is full: the room laid by is given to the file");
        }
        is_dropped
    }

    /// Octets free for us on the file's disk; `None` when it isn't on one, or doesn't say.
    fn free_bytes(&self) -> Option<u64> {
        let room = fstatvfs(self.file.as_ref()?).ok()?;
        Some(room.f_bavail.saturating_mul(room.f_frsize))
    }

    #[cfg(test)]
    pub(super) fn laid_bytes(&self) -> u64 {
        self.ballast.laid_bytes()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use redb::backends::FileBackend;

    use super::*;

    const KIB: u64 = 1024;

    /// The file with the room around it, as one run of the server has it.
    fn opened(path: &Path, reserve_bytes: u64) -> (Arc<File>, FileBackend, Space) {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path).unwrap();
        let medium = FileBackend::new(file.try_clone().unwrap()).unwrap();
        let file = Arc::new(file);
        let space = Space::around(&file, path, reserve_bytes, 1024 * KIB);
        (file, medium, space)
    }

    #[test]
    fn a_file_that_grows_has_its_ballast_behind_its_new_end() {
        let allocated_bytes = |file: &File| file.metadata().unwrap().blocks() * 512;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mail.pbx");
        let (file, medium, space) = opened(&path, 0);
        space.set_len(&medium, 64 * KIB).unwrap();
        space.keep_ballast(&medium, space.room());
        assert_eq!(space.behind_bytes(), 1024 * KIB);
        let before = allocated_bytes(&file);
        space.set_len(&medium, 8192 * KIB).unwrap();
        assert_eq!(space.behind_bytes(), 1024 * KIB);
        let length = medium.len().unwrap();
        assert_eq!((length, allocated_bytes(&file)), (8192 * KIB, before), "it took nothing of the room inside");
        // Another run finds what this one has laid.
        drop((file, medium, space));
        let (file, medium, space) = opened(&path, u64::MAX);
        space.lay_ballast(&medium, u64::MAX);
        assert_eq!((space.laid_bytes(), allocated_bytes(&file)), (1024 * KIB, before));
        assert!(space.drop_ballast(&medium));
        assert_eq!(allocated_bytes(&file), before - 1024 * KIB);
    }

    #[test]
    fn a_batch_is_no_more_than_the_room_allows() {
        let check = |usable_bytes: u64, batch_bytes: usize, fits: usize| {
            let room = Room { free_bytes: Some(usable_bytes), usable_bytes, full: false };
            assert_eq!(room.batch_bytes(), batch_bytes, "{usable_bytes}");
            assert!(room.fits(fits) && !room.fits(fits + 1), "{usable_bytes}");
        };
        check(256 << 20, limits::BATCH_BYTES, 128 << 20);
        check(8 << 20, 1 << 20, 4 << 20);
        check(0, limits::TIGHT_BATCH_BYTES, 0);
    }
}
