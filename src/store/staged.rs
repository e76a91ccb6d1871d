use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use rustix::fs::fstatvfs;
use zstd::stream::write::Decoder;

use super::before::Before;
use super::engine::Engine;
use super::error::OpenError;
use super::handle::{Medium, Options};
use super::restore::{exchange, lock, with_suffix};
use super::restored;
use super::schema::Schema;
use crate::base::Timestamp;

/// Octets that are written, or left out where they are all zero.
const PIECE_BYTES: usize = 64 * 1024;
/// Octets between two syncs, and two looks at the room on the disk.
const SYNC_EVERY_BYTES: u64 = 16 * 1024 * 1024;
/// What a compressed file begins with. RFC 8878 §3.1.1
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The window that is unpacked at most, as a power of two: 8 MiB of memory. RFC 8878 §3.1.1.1.2
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// What the names end in: of a copy that waits for the next start, and of one that was no good then.
const STAGED: &str = ".restore";
const REFUSED: &str = ".restore-refused";

/// The copies that this process has taken in.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// A copy that comes in, plain or as a `.zst` file, into a file of its own beside the data. Nothing else is changed, and
/// nothing is left of it unless it is staged.
pub struct Incoming {
    part: Part,
    reserve_bytes: u64,
    sink: Option<Sink>,
}

/// A copy that has come in whole, and was not looked at yet.
pub struct Arrived {
    part: Part,
}

enum Sink {
    Plain(Sparse),
    Compressed(Box<Decoder<'static, Sparse>>),
}

impl Incoming {
    /// Begins, beside the file at `data`; the disk keeps `reserve_bytes` free.
    ///
    /// # Errors
    /// The operating system's.
    pub fn beside(data: &Path, reserve_bytes: u64) -> io::Result<Self> {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = with_suffix(data, &format!("{STAGED}.{}-{number}.part", std::process::id()));
        // Fails also where a link lies there.
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self { part: Part { file, path: Some(path) }, reserve_bytes, sink: None })
    }

    /// The next octets. Blocks.
    ///
    /// # Errors
    /// The operating system's; [`io::ErrorKind::StorageFull`] when the disk has no more room than is kept free.
    pub fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        if self.sink.is_none() {
            let sparse = Sparse::over(self.part.file.try_clone()?, self.reserve_bytes);
            self.sink = Some(if bytes.starts_with(&ZSTD_MAGIC) {
                let mut decoder = Decoder::new(sparse)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                Sink::Compressed(Box::new(decoder))
            } else {
                Sink::Plain(sparse)
            });
        }
        match &mut self.sink {
            Some(Sink::Plain(sparse)) => sparse.write_all(bytes),
            Some(Sink::Compressed(decoder)) => decoder.write_all(bytes),
            None => Ok(()),
        }
    }

    /// All have come.
    ///
    /// # Errors
    /// As [`Incoming::push`].
    pub fn finish(self) -> io::Result<Arrived> {
        match self.sink {
            Some(Sink::Plain(sparse)) => sparse.finish()?,
            Some(Sink::Compressed(mut decoder)) => {
                decoder.flush()?;
                decoder.into_inner().finish()?;
            }
            None => {}
        }
        Ok(Arrived { part: self.part })
    }
}

impl Arrived {
    pub(super) fn path(&self) -> &Path {
        self.part.path.as_deref().unwrap_or(Path::new(""))
    }

    /// It was checked: at the next start it changes places with the file at `data`. One that waited already goes.
    pub(super) fn stage(self, data: &Path) -> io::Result<()> {
        self.name(|path| fs::rename(path, staged_path(data)))?;
        sync_folder(data)
    }

    /// Makes it the file's of whose place it takes: whoever restores it may be another than who serves it. Where there is
    /// none, it is made that of the folder's owner, if it can be.
    pub(super) fn give(&self, data: &Path) -> io::Result<()> {
        let (file, made) = (&self.part.file, self.part.file.metadata()?);
        let give_to = |there: &fs::Metadata| match (made.uid(), made.gid()) == (there.uid(), there.gid()) {
            true => Ok(()),
            false => fchown(file, Some(there.uid()), Some(there.gid())),
        };
        match fs::metadata(data) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => match give_to(&fs::metadata(folder_of(data))?) {
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
                given => given,
            },
            there => {
                let there = there?;
                give_to(&there)?;
                file.set_permissions(there.permissions())
            }
        }
    }

    /// Gives it the name that stays.
    pub(super) fn name(mut self, rename: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
        self.part.file.sync_all()?;
        rename(self.path())?;
        self.part.path = None;
        Ok(())
    }
}

/// Where a copy lies that waits for the next start, to change places with the file at `data`.
pub fn staged_path(data: &Path) -> PathBuf {
    with_suffix(data, STAGED)
}

/// Before a file is opened: puts the copy in its place that waits for that, if one does; the file as it was stays beside it,
/// under the name that this gives. Every step leaves either the one file whole or the other, and is made again by the next
/// start where a crash came between. A copy that can't be opened any more is put aside instead.
///
/// # Errors
/// [`OpenError`]; the file is as it was.
pub fn put_in_place(options: &Options, schema: &'static Schema) -> Result<Option<PathBuf>, OpenError> {
    let Medium::File(data) = &options.medium else { return Ok(None) };
    let lock = lock(data)?;
    sweep(data);
    let staged = staged_path(data);
    let failed = |error| OpenError::Io { path: staged.clone(), error };
    let there = match fs::symlink_metadata(&staged) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        there => there.map_err(failed)?,
    };
    let options = Options { sealing: Arc::clone(&options.sealing), ..Options::at(&staged) };
    drop(lock);
    let before = Before::hold(data, schema)?;
    let looked = if there.is_file() {
        // Again, where a crash came in between. And more numbers may have been given since it was staged.
        let given = before.as_ref().map_or(&[][..], |before| &before.given);
        Engine::look(&options, schema).map(drop).and_then(|()| restored::mark(&staged, schema, None, given))
    } else {
        Err(failed(io::ErrorKind::InvalidInput.into()))
    };
    if let Err(error) = looked {
        let is_no_good = matches!(
            error,
            OpenError::Damaged { .. } | OpenError::Newer { .. } | OpenError::Sealed { .. } | OpenError::OtherKey { .. }
        );
        // What is wrong with the disk says nothing of the copy: the next start tries again.
        if there.is_file() && !is_no_good {
            return Err(error);
        }
        tracing::error!(event = "restore_refused", %error, "what was to be restored is put aside");
        fs::rename(&staged, with_suffix(data, REFUSED)).map_err(failed)?;
        return Ok(None);
    }
    let since = there.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    let aside = free_aside(data, Timestamp(since.as_secs() * 1000));
    exchange(&staged, data, &aside).map_err(|error| OpenError::Io { path: data.to_owned(), error })?;
    Ok(Some(aside))
}

/// Where the file goes whose place is taken: by the time at which the copy was staged, so that the name is the same after a
/// crash in between; the next second's where another restore has that one.
fn free_aside(data: &Path, mut at: Timestamp) -> PathBuf {
    loop {
        let aside = with_suffix(data, &format!(".before-restore-{}", at.in_a_name()));
        if fs::symlink_metadata(&aside).is_err() || is_same(data, &aside) {
            return aside;
        }
        at = at.plus_ms(1000);
    }
}

/// Removes what a crash has left of copies that came in.
fn sweep(data: &Path) {
    let (Some(folder), Some(name)) = (data.parent(), data.file_name()) else { return };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let begin = format!("{}{STAGED}.", name.to_string_lossy());
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_left =
            |name: &OsStr| name.to_str().is_some_and(|name| name.starts_with(&begin) && name.ends_with(".part"));
        if is_left(&entry.file_name())
            && let Err(error) = fs::remove_file(entry.path())
        {
            tracing::warn!(event = "restore_not_swept", path = %entry.path().display(), %error);
        }
    }
}

pub(super) fn sync_folder(of: &Path) -> io::Result<()> {
    File::open(folder_of(of))?.sync_all()
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A file that is being made; removed unless it got another name.
struct Part {
    file: File,
    path: Option<PathBuf>,
}

impl Drop for Part {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // Nothing can be done if it stays.
            let _ = fs::remove_file(path);
        }
    }
}

/// Writes one octet behind the other, and leaves holes where there are only zeros. Syncs as it goes, so that what is dirty
/// doesn't make the syncs of others on the disk wait long.
pub(super) struct Sparse {
    file: File,
    reserve_bytes: u64,
    len: u64,
    synced: u64,
}

impl Sparse {
    /// Over an empty file.
    pub(super) fn over(file: File, reserve_bytes: u64) -> Self {
        Self { file, reserve_bytes, len: 0, synced: 0 }
    }

    pub(super) fn finish(self) -> io::Result<()> {
        self.file.set_len(self.len)?;
        self.file.sync_all()
    }

    fn need_room(&self) -> io::Result<()> {
        let room = fstatvfs(&self.file)?;
        let free_bytes = room.f_bavail.saturating_mul(room.f_frsize);
        if free_bytes < self.reserve_bytes.saturating_add(SYNC_EVERY_BYTES) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

impl Write for Sparse {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.len == 0 || self.len - self.synced >= SYNC_EVERY_BYTES {
            self.need_room()?;
            self.file.sync_data()?;
            self.synced = self.len;
        }
        let piece = &bytes[..bytes.len().min(PIECE_BYTES)];
        if piece.iter().any(|octet| *octet != 0) {
            self.file.write_all_at(piece, self.len)?;
        }
        self.len += piece.len() as u64;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether two names are of the same file.
pub(super) fn is_same(one: &Path, other: &Path) -> bool {
    match (fs::symlink_metadata(one), fs::symlink_metadata(other)) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::super::tests::{NOTES, Note, SCHEMA, note, put, run};
    use super::super::{CopyOptions, Read, Store};
    use super::*;

    /// A folder with a file that says `now`, a copy of it that says `then`, and the copy's octets.
    struct Site {
        folder: tempfile::TempDir,
        data: PathBuf,
        octets: Vec<u8>,
    }

    fn open(path: &Path) -> Store {
        Store::open(Options { disk_reserve_bytes: 0, disk_ballast_bytes: 0, ..Options::at(path) }, &SCHEMA).unwrap()
    }

    fn text(path: &Path) -> Option<Note> {
        open(path).view().unwrap().get(&NOTES, &(1, "a".into())).unwrap()
    }

    fn swap(data: &Path) -> Option<PathBuf> {
        put_in_place(&Options::at(data), &SCHEMA).unwrap()
    }

    impl Site {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let [data, copy] = ["mail", "copy"].map(|name| folder.path().join(name));
            let store = open(&data);
            let _ = store.write_blocking(put(1, "a", "then")).unwrap();
            store.copy_to(&copy, CopyOptions::default(), &mut |_| ControlFlow::Continue(())).unwrap();
            let _ = store.write_blocking(put(1, "a", "now")).unwrap();
            store.close();
            let octets = fs::read(&copy).unwrap();
            fs::remove_file(copy).unwrap();
            Self { folder, data, octets }
        }

        fn receive(&self, octets: &[u8]) -> io::Result<Arrived> {
            let mut incoming = Incoming::beside(&self.data, 0)?;
            for piece in octets.chunks(100_000) {
                incoming.push(piece)?;
            }
            incoming.finish()
        }

        fn stage(&self) {
            self.receive(&self.octets).unwrap().stage(&self.data).unwrap();
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(self.folder.path()).unwrap();
            let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }

        /// The file says `then`, and `aside` says `now`; the file alone is marked.
        fn is_swapped(&self, aside: &Path) {
            let marked = |path: &Path| open(path).write_blocking(run(|tx| tx.is_restored())).unwrap().into_inner();
            assert_eq!((marked(&self.data), marked(aside)), (true, false));
            assert_eq!((text(&self.data), text(aside)), (Some(note("then")), Some(note("now"))));
            let mut names = ["mail", aside.file_name().unwrap().to_str().unwrap()];
            names.sort_unstable();
            assert_eq!(self.names(), names);
        }
    }

    #[test]
    fn two_restores_of_one_second_keep_both_files() {
        let site = Site::new();
        let staged_at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_795_341_900);
        let asides: Vec<PathBuf> = (0..2)
            .map(|_| {
                site.stage();
                File::open(staged_path(&site.data)).unwrap().set_modified(staged_at).unwrap();
                swap(&site.data).expect("it is put in place")
            })
            .collect();
        assert_ne!(asides[0], asides[1]);
        assert_eq!((text(&asides[0]), text(&asides[1])), (Some(note("now")), Some(note("then"))));
    }

    #[test]
    fn numbers_that_were_given_behind_the_staging_are_not_given_again() {
        let site = Site::new();
        let next = || open(&site.data).write_blocking(run(|tx| tx.next("number", |_| Ok(0)))).unwrap().into_inner();
        site.stage();
        assert_eq!((next(), next()), (1, 2));
        assert!(swap(&site.data).is_some());
        assert_eq!((next(), text(&site.data)), (3, Some(note("then"))));
    }

    #[test]
    fn what_is_staged_changes_places_with_the_file_at_the_next_start() {
        let site = Site::new();
        assert_eq!(swap(&site.data), None);
        site.stage();
        assert_eq!(fs::metadata(staged_path(&site.data)).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(text(&site.data), Some(note("now")), "nothing is changed before");
        let running = open(&site.data);
        let busy = put_in_place(&Options::at(&site.data), &SCHEMA);
        assert!(matches!(busy, Err(OpenError::Locked(_))), "{busy:?}");
        running.close();
        let aside = swap(&site.data).unwrap();
        site.is_swapped(&aside);
        assert_eq!(swap(&site.data), None, "once");
    }

    #[test]
    fn a_crash_at_any_step_leaves_one_file_whole_and_the_next_start_goes_on() {
        // While it came in.
        let site = Site::new();
        std::mem::forget(site.receive(&site.octets[..50_000]).unwrap());
        assert_eq!(site.names().len(), 2);
        assert_eq!((swap(&site.data), text(&site.data)), (None, Some(note("now"))));
        assert_eq!(site.names(), ["mail"]);
        // Between the file's second name and the copy's new one.
        site.stage();
        let aside = {
            let other = Site::new();
            fs::copy(staged_path(&site.data), staged_path(&other.data)).unwrap();
            let at = fs::metadata(staged_path(&site.data)).unwrap().modified().unwrap();
            File::open(staged_path(&other.data)).unwrap().set_modified(at).unwrap();
            site.folder.path().join(swap(&other.data).unwrap().file_name().unwrap())
        };
        fs::hard_link(&site.data, &aside).unwrap();
        assert_eq!(swap(&site.data).as_deref(), Some(aside.as_path()));
        site.is_swapped(&aside);
        // Where the file has only its second name, and the copy not yet its own: on disks without hard links.
        let site = Site::new();
        site.stage();
        let aside = site.folder.path().join("aside");
        fs::rename(&site.data, &aside).unwrap();
        swap(&site.data).unwrap();
        site.is_swapped(&aside);
    }

    #[test]
    fn what_is_no_good_is_not_put_in_place() {
        let site = Site::new();
        site.receive(&[7; 100_000]).unwrap().stage(&site.data).unwrap();
        assert_eq!((swap(&site.data), text(&site.data)), (None, Some(note("now"))));
        assert_eq!(site.names(), ["mail", "mail.restore-refused"]);
        // Nor is one put aside that somebody reads just now, or that the disk does not give: the next start tries again.
        site.stage();
        let read = open(&staged_path(&site.data));
        let refused = put_in_place(&Options::at(&site.data), &SCHEMA);
        assert!(matches!(refused, Err(OpenError::Locked(_))), "{refused:?}");
        read.close();
        assert_eq!(site.names(), ["mail", "mail.restore", "mail.restore-refused"]);
        fs::remove_file(staged_path(&site.data)).unwrap();
        symlink("mail", staged_path(&site.data)).unwrap();
        assert_eq!((swap(&site.data), text(&site.data)), (None, Some(note("now"))));
        assert!(matches!(site.receive(b"").map(|arrived| arrived.path().exists()), Ok(true)));
        assert_eq!(site.names(), ["mail", "mail.restore-refused"], "what is not staged is removed");
    }

    #[test]
    fn a_compressed_one_is_unpacked_and_the_room_on_the_disk_is_kept() {
        let site = Site::new();
        let packed = zstd::encode_all(&site.octets[..], 1).unwrap();
        let arrived = site.receive(&packed).unwrap();
        assert!(fs::read(arrived.path()).unwrap() == site.octets);
        let mut incoming = Incoming::beside(&site.data, u64::MAX / 2).unwrap();
        assert_eq!(incoming.push(&site.octets).unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert!(site.receive(&[&packed[..4], &[0xff; 50]].concat()).is_err());
    }
}
