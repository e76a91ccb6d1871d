use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Subcommand;

use super::failure::Failure;
use super::output;
use crate::base::{Clock, KeyRing, Secret, SystemClock, SystemRandom};
use crate::server::{KeyFileError, read_key_file};

#[derive(Subcommand)]
pub enum KeyAction {
    /// Makes a file with a new key; what is there is not touched
    Create {
        /// The file, of mode 0600; keep a copy of it, and not beside the backups
        file: PathBuf,
    },
    /// Puts a new key before those that are there: the server's next start seals everything with it
    Rotate {
        /// The file
        file: PathBuf,
    },
    /// Prints the names of a file's keys, that which seals first
    Show {
        /// The file
        file: PathBuf,
    },
}

/// `pillarbox key …`: no server is asked.
pub fn act(action: KeyAction) -> Result<(), Failure> {
    match action {
        KeyAction::Create { file } => create(&file),
        KeyAction::Rotate { file } => rotate(&file),
        KeyAction::Show { file } => {
            let (_, ring) = read(&file)?;
            let names: String = ring.ids().iter().map(|id| format!("{id}\n")).collect();
            output::print(&names)
        }
    }
}

fn create(path: &Path) -> Result<(), Failure> {
    let content = line();
    let made = write_new(path, content.expose().as_bytes(), None);
    made.and_then(|()| sync_folder(path)).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            Failure::Usage(format!("{} is there already: name another file, or `key rotate` it", path.display()))
        }
        _ => failed(path, &error),
    })?;
    let (_, ring) = read(path)?;
    output::print(&format!(
        "{}: key {}; keep a copy of it elsewhere: without it what is sealed is lost\n",
        path.display(),
        ring.first()
    ))
}

/// The new file takes the old one's place in one step: at no moment is there none, or half of one.
fn rotate(path: &Path) -> Result<(), Failure> {
    let (old, before) = read(path)?;
    if !old.expose().is_ascii() {
        let what = "holds a key that is no text, beside which no other can stand: make another file with `key create`";
        return Err(Failure::Usage(format!("{} {what}", path.display())));
    }
    let content = Secret::new([line().expose().as_bytes(), old.expose()].concat());
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.part", std::process::id()));
    let beside = PathBuf::from(beside);
    let owner = fs::metadata(path).map(|there| (there.uid(), there.gid()));
    let done = owner.and_then(|owner| {
        write_new(&beside, content.expose(), Some(owner))?;
        fs::rename(&beside, path)?;
        sync_folder(path)
    });
    if let Err(error) = done {
        // Nothing can be done if it stays.
        let _ = fs::remove_file(&beside);
        return Err(failed(path, &error));
    }
    let (_, ring) = read(path)?;
    output::print(&format!(
        "{}: the next start seals everything with the key {}; {} opens older backups as long as its line is there\n",
        path.display(),
        ring.first(),
        before.first()
    ))
}

/// A key and when it was made.
fn line() -> Secret<String> {
    let key = KeyRing::new_line(&SystemRandom);
    Secret::new(format!("# made {}\n{}\n", SystemClock.now().rfc3339(), key.expose()))
}

fn read(path: &Path) -> Result<(Secret<Vec<u8>>, KeyRing), Failure> {
    let read = || -> Result<_, KeyFileError> {
        let content = read_key_file(path)?;
        let ring = KeyRing::parse(content.expose(), Arc::new(SystemRandom))?;
        Ok((content, ring))
    };
    read().map_err(|error| match error {
        KeyFileError::Io(error) => failed(path, &error),
        error => Failure::Usage(format!("{}: {error}", path.display())),
    })
}

fn write_new(path: &Path, content: &[u8], owner: Option<(u32, u32)>) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    if let Some((user, group)) = owner {
        fchown(&file, Some(user), Some(group))?;
    }
    file.write_all(content)?;
    file.sync_all()
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    let text = format!("{}: {error}", path.display());
    match error.kind() {
        io::ErrorKind::NotFound => Failure::NotFound(text),
        io::ErrorKind::PermissionDenied => Failure::Denied(text),
        _ => Failure::Failed(text),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn ids(path: &Path) -> Vec<String> {
        read(path).unwrap_or_else(|failure| panic!("{failure}")).1.ids().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_key_is_made_once_and_changed_by_putting_another_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let first = ids(&path);
        assert_eq!(first.len(), 1);
        let before = fs::read(&path).unwrap();
        assert_eq!(create(&path).unwrap_err().exit_code(), 2);
        assert_eq!(fs::read(&path).unwrap(), before, "what is there is not touched");
        rotate(&path).unwrap();
        let both = ids(&path);
        assert!(both.len() == 2 && both[0] != first[0] && both[1] == first[0], "{both:?}");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        rotate(&path).unwrap();
        assert_eq!(ids(&path)[1..], both);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn what_is_no_key_file_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let check = |content: &[u8], word: &str| {
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            let failure = rotate(&path).unwrap_err();
            assert!(failure.to_string().contains(word), "{failure}");
            assert_eq!((failure.exit_code(), fs::read(&path).unwrap()), (2, content.to_vec()));
        };
        check(&[200; 32], "no text");
        check(b"", "it holds no key");
        check(b"no key!\n", "line 1");
        assert_eq!(rotate(&folder.path().join("other")).unwrap_err().exit_code(), 3);
        assert_eq!(create(&folder.path().join("no/key")).unwrap_err().exit_code(), 3);
    }
}
