use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

/// Octets that are written at a time where the ballast has to be a file.
const PIECE_BYTES: usize = 1024 * 1024;

/// Room of the disk that is laid by, to be given to the file when the disk is full: behind the file's end (allocated, not
/// part of its length) where the file system can do that, else in a file beside it.
#[derive(Debug)]
pub(super) struct Ballast {
    size_bytes: u64,
    /// The name of the file beside.
    beside: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    place: Option<Place>,
    laid_bytes: u64,
    /// The file system has refused to lay room by behind the end.
    only_beside: bool,
    /// That there can be no ballast is said once.
    is_told: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Behind,
    Beside,
}

impl Ballast {
    /// For the file at `path`; nothing is laid yet.
    pub(super) fn of(path: &Path, size_bytes: u64) -> Self {
        let mut beside = path.as_os_str().to_owned();
        beside.push(".ballast");
        Self { size_bytes, beside: PathBuf::from(beside), state: Mutex::default() }
    }

    pub(super) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Octets of it that are laid.
    pub(super) fn laid_bytes(&self) -> u64 {
        self.state().laid_bytes
    }

    /// Lays so much of it, unless as much is there. What an earlier run of the server has laid is found again, on a full
    /// disk too.
    pub(super) fn lay(&self, file: &File, len: u64, bytes: u64) {
        let mut state = self.state();
        let bytes = bytes.min(self.size_bytes);
        if state.laid_bytes >= bytes {
            return;
        }
        let laid = if state.only_beside {
            self.lay_beside(bytes)
        } else {
            match fallocate(file, FallocateFlags::KEEP_SIZE, len, bytes) {
                Ok(()) => Ok(Place::Behind),
                Err(Errno::NOSPC | Errno::DQUOT) => {
                    // A part of it may be there.
                    if state.place.is_none() {
                        let _ = file.set_len(len);
                    }
                    return;
                }
                Err(_) => {
                    state.only_beside = true;
                    self.lay_beside(bytes)
                }
            }
        };
        match laid {
            Ok(place) => (state.place, state.laid_bytes) = (Some(place), bytes),
            Err(error) if is_full(&error) => {}
            Err(error) => {
                if !std::mem::replace(&mut state.is_told, true) {
                    tracing::warn!(%error, "no room can be laid by for a full disk");
                }
            }
        }
    }

    /// Gives it back; whether there was one.
    pub(super) fn give_back(&self, file: &File, len: u64) -> bool {
        let mut state = self.state();
        state.laid_bytes = 0;
        match state.place.take() {
            // Truncating to the length that it has frees what is allocated behind it.
            Some(Place::Behind) => file.set_len(len).is_ok(),
            Some(Place::Beside) => fs::remove_file(&self.beside).is_ok(),
            None => false,
        }
    }

    /// Whether it lies where the file grows.
    pub(super) fn is_behind(&self) -> bool {
        self.state().place == Some(Place::Behind)
    }

    fn lay_beside(&self, bytes: u64) -> io::Result<Place> {
        let there = fs::symlink_metadata(&self.beside);
        if there.is_ok_and(|there| there.is_file() && there.blocks() * 512 >= bytes) {
            return Ok(Place::Beside);
        }
        let written = self.write_beside(bytes);
        if written.is_err() {
            let _ = fs::remove_file(&self.beside);
        }
        written.map(|()| Place::Beside)
    }

    /// Octets that no file system can make smaller, on the disk.
    fn write_beside(&self, bytes: u64) -> io::Result<()> {
        let _ = fs::remove_file(&self.beside);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.beside)?;
        let mut octets = blake3::Hasher::new().update(b"ballast").finalize_xof();
        let mut piece = vec![0; PIECE_BYTES];
        let mut left = bytes;
        while left > 0 {
            let now = usize::try_from(left).map_or(PIECE_BYTES, |left| left.min(PIECE_BYTES));
            octets.fill(&mut piece[..now]);
            file.write_all(&piece[..now])?;
            left -= now as u64;
        }
        file.sync_all()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an operation failed for want of room.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: u64 = 1024;

    fn file(folder: &Path) -> (PathBuf, File) {
        let path = folder.join("mail.pbx");
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).unwrap();
        file.set_len(64 * KIB).unwrap();
        (path, file)
    }

    fn allocated_bytes(file: &File) -> u64 {
        file.metadata().unwrap().blocks() * 512
    }

    #[test]
    fn it_lies_past_the_end_and_is_given_back_once() {
        let folder = tempfile::tempdir().unwrap();
        let (path, file) = file(folder.path());
        let ballast = Ballast::of(&path, 1024 * KIB);
        let without = allocated_bytes(&file);
        // A part, where there is no room for more, and then all.
        ballast.lay(&file, 64 * KIB, 256 * KIB);
        assert_eq!((ballast.laid_bytes(), allocated_bytes(&file)), (256 * KIB, without + 256 * KIB));
        ballast.lay(&file, 64 * KIB, u64::MAX);
        assert!(ballast.is_behind(), "the test's file system can lay room by");
        assert_eq!((file.metadata().unwrap().len(), allocated_bytes(&file)), (64 * KIB, without + 1024 * KIB));
        assert!(ballast.give_back(&file, 64 * KIB) && !ballast.give_back(&file, 64 * KIB));
        assert_eq!((file.metadata().unwrap().len(), allocated_bytes(&file)), (64 * KIB, without));
    }

    #[test]
    fn where_nothing_can_be_laid_behind_a_file_it_is_a_file_beside() {
        let folder = tempfile::tempdir().unwrap();
        let (path, file) = file(folder.path());
        let before = allocated_bytes(&file);
        let beside = folder.path().join("mail.pbx.ballast");
        let refused = |size_bytes| {
            let ballast = Ballast::of(&path, size_bytes);
            ballast.state().only_beside = true;
            ballast
        };
        let ballast = refused(1500 * KIB);
        ballast.lay(&file, 64 * KIB, u64::MAX);
        let written = fs::read(&beside).unwrap();
        assert_eq!((written.len() as u64, allocated_bytes(&file)), (1500 * KIB, before));
        assert!(ballast.laid_bytes() == 1500 * KIB && !ballast.is_behind());
        // The next run finds it; one that wants more makes another.
        let next = refused(1500 * KIB);
        next.lay(&file, 64 * KIB, u64::MAX);
        assert_eq!(fs::read(&beside).unwrap(), written);
        let larger = refused(1600 * KIB);
        larger.lay(&file, 64 * KIB, u64::MAX);
        assert_eq!(fs::metadata(&beside).unwrap().len(), 1600 * KIB);
        assert!(larger.give_back(&file, 64 * KIB) && !beside.exists());
        assert!(larger.laid_bytes() == 0 && !larger.give_back(&file, 64 * KIB));
    }

    #[test]
    fn a_file_system_that_refuses_to_lay_room_behind_gets_a_file_beside() {
        let folder = tempfile::tempdir().unwrap();
        let (path, _) = file(folder.path());
        let ballast = Ballast::of(&path, 64 * KIB);
        // One that is open for reading alone is refused by every file system.
        ballast.lay(&File::open(&path).unwrap(), 64 * KIB, u64::MAX);
        assert_eq!(ballast.state().place, Some(Place::Beside));
        assert_eq!(fs::metadata(folder.path().join("mail.pbx.ballast")).unwrap().len(), 64 * KIB);
    }
}
