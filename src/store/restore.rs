use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::before::Before;
use super::copy::verify_copy;
use super::error::OpenError;
use super::findings::Findings;
use super::restored;
use super::schema::Schema;
use super::staged::{Arrived, Incoming, is_same, staged_path, sync_folder};

/// Octets that are copied at a time.
const PIECE_BYTES: usize = 64 * 1024;

/// Puts a copy in the place of the file at `data`, which no server may have open. The copy is copied beside it, opened
/// and checked in full, and only then changes places with the file, which stays as `aside`; no number that the file has
/// given is given again, where it can be read. Says what was wrong with the copy where it isn't good; then nothing was
/// changed. Blocks for as long as that takes.
///
/// # Errors
/// [`OpenError`]; the file is as it was.
pub fn restore(copy: &Path, data: &Path, aside: &Path, schema: &'static Schema) -> Result<Findings, OpenError> {
    let failed = |error| OpenError::Io { path: data.to_owned(), error };
    let before = Before::hold(data, schema)?;
    let arrived = duplicate(copy, data, &mut |_| Ok(()))?;
    let findings = verify_copy(arrived.path(), schema, &mut |_| ControlFlow::Continue(()))?.unwrap_or_default();
    if findings.lines().is_empty() {
        let given = before.as_ref().map_or(&[][..], |before| &before.given);
        restored::mark(arrived.path(), schema, Some(&copy.display().to_string()), given)?;
        arrived.give(data).map_err(failed)?;
        let exchanged = match before {
            Some(before) if !before.bears_name(data).map_err(failed)? => {
                return Err(OpenError::Locked(data.to_owned()));
            }
            Some(_before) => arrived.name(|path| exchange(path, data, aside)),
            // One that was made since is a server's.
            None => arrived.name(|path| rename_to_free(path, data).and_then(|()| sync_folder(data))),
        };
        exchanged.map_err(failed)?;
    }
    Ok(findings)
}

/// Keeps the file, which no server may have open, as it is under another name, octet by octet.
///
/// # Errors
/// [`OpenError`]; the other name is not taken then.
pub(super) fn keep_a_copy(data: &Path, aside: &Path) -> Result<(), OpenError> {
    let failed = |error| OpenError::Io { path: aside.to_owned(), error };
    need_room(data, aside, 0)?;
    let arrived = {
        let _lock = lock(data)?;
        duplicate(data, aside, &mut |_| Ok(()))?
    };
    let name = |path: &Path| match aside.exists() {
        true => Err(io::ErrorKind::AlreadyExists.into()),
        false => exchange(path, aside, aside),
    };
    arrived.name(name).map_err(failed)
}

/// A copy that fills the disk would stop the server that is started next: so much is left free.
pub(super) fn need_room(data: &Path, aside: &Path, reserve_bytes: u64) -> Result<(), OpenError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| OpenError::Io { path, error }
    };
    let needed_bytes = fs::metadata(data).map_err(failed(data))?.blocks() * 512;
    let folder = aside.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = File::open(folder).map_err(failed(aside))?;
    let room = rustix::fs::fstatvfs(&folder).map_err(io::Error::from).map_err(failed(aside))?;
    let free_bytes = room.f_bavail.saturating_mul(room.f_frsize).saturating_sub(reserve_bytes);
    if free_bytes < needed_bytes {
        return Err(OpenError::NoRoom { path: aside.to_owned(), needed_bytes, free_bytes });
    }
    Ok(())
}

/// The file, kept from being opened by a server; `None` where there is none.
pub(super) fn lock(data: &Path) -> Result<Option<File>, OpenError> {
    let failed = |error| OpenError::Io { path: data.to_owned(), error };
    let file = match OpenOptions::new().read(true).write(true).open(data) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(failed)?,
    };
    match file.try_lock() {
        // Who had it until now may have put another in its place.
        Ok(()) if bears_name(&file, data).map_err(failed)? => Ok(Some(file)),
        Ok(()) => Err(OpenError::Locked(data.to_owned())),
        Err(fs::TryLockError::WouldBlock) => Err(OpenError::Locked(data.to_owned())),
        Err(fs::TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Whether the open file is the one of that name.
pub(super) fn bears_name(file: &File, path: &Path) -> io::Result<bool> {
    let open = file.metadata()?;
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        there => there.map(|there| (there.dev(), there.ino()) == (open.dev(), open.ino())),
    }
}

/// Copies octet by octet, and leaves holes where there is nothing. A `.zst` file is unpacked. `tell` hears how many octets
/// are read, and may end it.
pub(super) fn duplicate(
    from: &Path,
    data: &Path,
    tell: &mut dyn FnMut(u64) -> io::Result<()>,
) -> Result<Arrived, OpenError> {
    let mut source = File::open(from).map_err(|error| OpenError::Io { path: from.to_owned(), error })?;
    let mut copy = || {
        let (mut incoming, mut piece, mut read_bytes) = (Incoming::beside(data, 0)?, vec![0; PIECE_BYTES], 0);
        loop {
            match source.read(&mut piece)? {
                0 => return incoming.finish(),
                length => {
                    incoming.push(&piece[..length])?;
                    read_bytes += length as u64;
                    tell(read_bytes)?;
                }
            }
        }
    };
    copy().map_err(|error| OpenError::Io { path: data.to_owned(), error })
}

/// The new one gets the name, and the old one the other name: at no moment is there none. Made again after a crash in
/// between, it goes on where it was.
pub(super) fn exchange(new: &Path, data: &Path, aside: &Path) -> io::Result<()> {
    if data.exists() {
        // Under both names for a moment, so that the next step replaces nothing that has no other name.
        match fs::hard_link(data, aside) {
            Ok(()) => fs::rename(new, data)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && is_same(data, aside) => {
                fs::rename(new, data)?
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
            // Not every file system has second names. A crash in between leaves the new one where the next start looks for it.
            Err(_) => {
                let staged = staged_path(data);
                fs::rename(new, &staged)?;
                if let Err(error) = rename_to_free(data, aside) {
                    fs::rename(&staged, new)?;
                    return Err(error);
                }
                fs::rename(&staged, data)?;
            }
        }
    } else {
        rename_to_free(new, data)?;
    }
    sync_folder(data)
}

/// Gives a file that is finished its name, which nothing may have, and makes sure that it stays; else it has none. It may
/// keep the other name.
///
/// # Errors
/// The operating system's; [`io::ErrorKind::AlreadyExists`] where the name is taken.
pub fn give_name(finished: &Path, name: &Path) -> io::Result<()> {
    match fs::hard_link(finished, name) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
        // Not every file system has second names.
        Err(_) => rename_to_free(finished, name)?,
    }
    sync_folder(name).inspect_err(|_| {
        // Nothing can be done if it stays.
        let _ = fs::remove_file(name);
    })
}

/// Gives it the other name, which nothing may have.
fn rename_to_free(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Not every file system can promise to replace nothing.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) if to.exists() => Err(io::ErrorKind::AlreadyExists.into()),
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => fs::rename(from, to),
        done => Ok(done?),
    }
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown};

    use super::super::tests::{NOTES, SCHEMA, note, put, run};
    use super::super::{CopyOptions, Options, Read as _, Store};
    use super::*;

    fn open(path: &Path) -> Store {
        Store::open(Options { disk_reserve_bytes: 0, ..Options::at(path) }, &SCHEMA).unwrap()
    }

    fn text(path: &Path) -> Option<super::super::tests::Note> {
        open(path).view().unwrap().get(&NOTES, &(1, "a".into())).unwrap()
    }

    #[test]
    fn a_good_copy_takes_the_place_of_the_file_and_the_file_stays_aside() {
        let folder = tempfile::tempdir().unwrap();
        let [data, copy, aside, other] = ["mail", "copy", "aside", "other"].map(|name| folder.path().join(name));
        let store = open(&data);
        let _ = store.write_blocking(put(1, "a", "then")).unwrap();
        store.copy_to(&copy, CopyOptions::default(), &mut |_| ControlFlow::Continue(())).unwrap();
        let _ = store.write_blocking(put(1, "a", "now")).unwrap();
        assert!(matches!(restore(&copy, &data, &aside, &SCHEMA), Err(OpenError::Locked(_))));
        store.close();
        assert!(restore(&copy, &data, &aside, &SCHEMA).unwrap().lines().is_empty());
        let used_bytes = |path: &Path| fs::metadata(path).unwrap().blocks() * 512;
        assert!(used_bytes(&data) < used_bytes(&copy) + (1 << 20), "nothing is laid by for a copy that is marked");
        assert_eq!(
            (text(&data), text(&aside), text(&copy)),
            (Some(note("then")), Some(note("now")), Some(note("then")))
        );
        let marked = |path: &Path| open(path).write_blocking(run(|tx| tx.is_restored())).unwrap().into_inner();
        assert_eq!((marked(&data), marked(&aside), marked(&copy)), (true, false, false));
        let from = |path: &Path| open(path).write_blocking(run(|tx| tx.restored_from())).unwrap().into_inner();
        assert_eq!(from(&data).map(|from| from.copy), Some(copy.display().to_string()));
        let _ = open(&data).write_blocking(run(|tx| tx.forget_restored())).unwrap();
        assert_eq!(from(&data), None);
        assert!(!marked(&data), "it is seen to once");
        // Where there is nothing yet, the copy is all there is.
        assert!(restore(&copy, &other, &aside, &SCHEMA).unwrap().lines().is_empty());
        assert_eq!(text(&other), Some(note("then")));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4);
    }

    fn next_number(path: &Path) -> u64 {
        open(path).write_blocking(run(|tx| tx.next("number", |_| Ok(0)))).unwrap().into_inner()
    }

    #[test]
    fn a_number_that_the_file_of_before_gave_is_not_given_again() {
        let folder = tempfile::tempdir().unwrap();
        let [data, copy, aside, other] = ["mail", "copy", "aside", "other"].map(|name| folder.path().join(name));
        assert_eq!(next_number(&data), 1);
        open(&data).copy_to(&copy, CopyOptions::default(), &mut |_| ControlFlow::Continue(())).unwrap();
        assert_eq!((next_number(&data), next_number(&data)), (2, 3));
        assert!(restore(&copy, &data, &aside, &SCHEMA).unwrap().lines().is_empty());
        assert_eq!(next_number(&data), 4);
        // One that can't be read is restored all the same.
        fs::write(&data, [7; 100_000]).unwrap();
        assert!(restore(&copy, &data, &other, &SCHEMA).unwrap().lines().is_empty());
        assert_eq!(next_number(&data), 2);
    }

    #[test]
    fn the_new_file_is_whose_the_old_one_was() {
        let folder = tempfile::tempdir().unwrap();
        let [data, copy, aside, new] = ["mail", "copy", "aside", "new/mail"].map(|name| folder.path().join(name));
        open(&data).copy_to(&copy, CopyOptions::default(), &mut |_| ControlFlow::Continue(())).unwrap();
        fs::set_permissions(&data, fs::Permissions::from_mode(0o640)).unwrap();
        fs::create_dir(new.parent().unwrap()).unwrap();
        let is_root = chown(&data, Some(12), Some(34)).and_then(|()| chown(new.parent().unwrap(), Some(12), Some(34)));
        let before = fs::metadata(&data).unwrap();
        assert!(restore(&copy, &data, &aside, &SCHEMA).unwrap().lines().is_empty());
        let after = fs::metadata(&data).unwrap();
        assert_ne!(before.ino(), after.ino());
        assert_eq!((before.mode(), before.uid(), before.gid()), (after.mode(), after.uid(), after.gid()));
        // Where there was none, it is whose the folder is, and nobody else's.
        assert!(restore(&copy, &new, &aside, &SCHEMA).unwrap().lines().is_empty());
        let (made, folder) = (fs::metadata(&new).unwrap(), fs::metadata(new.parent().unwrap()).unwrap());
        assert_eq!((made.mode() & 0o777, made.uid(), made.gid()), (0o600, folder.uid(), folder.gid()));
        assert!(is_root.is_err() || (after.uid(), made.uid()) == (12, 12));
    }

    /// A folder has no second name anywhere, so here folders stand for the files of a disk on which nothing has one.
    #[test]
    fn without_second_names_a_file_changes_places_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let [data, aside, new, taken] = ["mail", "aside", "new", "taken"].map(|name| folder.path().join(name));
        for path in [&data, &new, &taken] {
            fs::create_dir(path).unwrap();
            fs::write(path.join("of"), path.file_name().unwrap().as_encoded_bytes()).unwrap();
        }
        let of = |path: &Path| fs::read_to_string(path.join("of")).unwrap();
        let names = || fs::read_dir(folder.path()).unwrap().count();
        let refused = exchange(&new, &data, &taken);
        assert_eq!(refused.map_err(|error| error.kind()), Err(io::ErrorKind::AlreadyExists));
        assert_eq!((of(&data), of(&new), of(&taken), names()), ("mail".into(), "new".into(), "taken".into(), 3));
        // After a crash the new one is where the next start looks for it, and that goes on from there.
        fs::rename(&new, staged_path(&data)).unwrap();
        exchange(&staged_path(&data), &data, &aside).unwrap();
        assert_eq!((of(&data), of(&aside), names()), ("new".into(), "mail".into(), 3));
        fs::rename(&data, staged_path(&data)).unwrap();
        exchange(&staged_path(&data), &data, &aside).unwrap();
        assert_eq!((of(&data), of(&aside), names()), ("new".into(), "mail".into(), 3));
        // What is finished gets a name that is free, and no other.
        let refused = give_name(&aside, &taken);
        assert_eq!(refused.map_err(|error| error.kind()), Err(io::ErrorKind::AlreadyExists));
        give_name(&aside, &new).unwrap();
        assert_eq!((of(&new), of(&taken), names()), ("mail".into(), "taken".into(), 3));
    }

    #[test]
    fn what_a_server_has_made_meanwhile_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let [data, other] = ["mail", "other"].map(|name| folder.path().join(name));
        open(&data).close();
        let file = lock(&data).unwrap().expect("it is there");
        assert!(bears_name(&file, &data).unwrap());
        // As a compaction hands over.
        fs::copy(&data, &other).unwrap();
        fs::rename(&other, &data).unwrap();
        assert!(!bears_name(&file, &data).unwrap());
        fs::remove_file(&data).unwrap();
        assert!(!bears_name(&file, &data).unwrap());
    }

    #[test]
    fn a_copy_that_is_not_good_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let [data, copy, aside] = ["mail", "copy", "aside"].map(|name| folder.path().join(name));
        let store = open(&data);
        let _ = store.write_blocking(put(1, "a", "now")).unwrap();
        store.close();
        fs::write(&copy, [7; 100_000]).unwrap();
        assert!(matches!(restore(&copy, &data, &aside, &SCHEMA), Err(OpenError::Damaged { .. })));
        assert!(matches!(restore(&folder.path().join("no"), &data, &aside, &SCHEMA), Err(OpenError::Io { .. })));
        // What stands where the old file would go is not replaced.
        fs::write(&aside, "mine").unwrap();
        let good = folder.path().join("good");
        open(&data).copy_to(&good, CopyOptions::default(), &mut |_| ControlFlow::Continue(())).unwrap();
        assert!(matches!(restore(&good, &data, &aside, &SCHEMA), Err(OpenError::Io { .. })));
        assert_eq!(text(&data), Some(note("now")));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4);
    }
}
