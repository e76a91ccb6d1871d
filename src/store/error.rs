use std::io;
use std::path::PathBuf;

use super::secrets::Unopened;

/// Where damage lies that is of no table.
pub(super) const PAGES: &str = "(pages)";

/// The file could not be read or written, or holds what it should not.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The storage engine failed; nothing more is acknowledged after it.
    #[error("storage: {0}")]
    Storage(String),
    /// A row that does not decode.
    #[error("damaged row in table {table}: {what}")]
    Damaged {
        /// The table's name.
        table: &'static str,
        /// What is wrong with the row.
        what: String,
    },
    /// The store is closed or has failed.
    #[error("the store is closed")]
    Closed,
}

macro_rules! from_engine {
    ($($error:ty),*) => {$(
        impl From<$error> for StoreError {
            fn from(error: $error) -> Self {
                Self::Storage(error.to_string())
            }
        }
    )*};
}
from_engine!(io::Error);

impl From<redb::TransactionError> for StoreError {
    fn from(error: redb::TransactionError) -> Self {
        match error {
            redb::TransactionError::Storage(error) => error.into(),
            error => Self::Storage(error.to_string()),
        }
    }
}

impl From<redb::CommitError> for StoreError {
    fn from(error: redb::CommitError) -> Self {
        match error {
            redb::CommitError::Storage(error) => error.into(),
            error => Self::Storage(error.to_string()),
        }
    }
}

/// What can't be read because of the file itself is damage, which the next read may not meet; all else is a failure of
/// the disk.
impl From<redb::StorageError> for StoreError {
    fn from(error: redb::StorageError) -> Self {
        match error {
            redb::StorageError::Corrupted(what) => Self::Damaged { table: PAGES, what },
            // Pages lead behind the file's end.
            redb::StorageError::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Self::Damaged { table: PAGES, what: error.to_string() }
            }
            // A panic has left it behind, and those come of pages that contradict each other.
            error @ redb::StorageError::LockPoisoned(_) => Self::Damaged { table: PAGES, what: error.to_string() },
            error => Self::Storage(error.to_string()),
        }
    }
}

impl From<redb::TableError> for StoreError {
    fn from(error: redb::TableError) -> Self {
        match error {
            redb::TableError::Storage(error) => error.into(),
            // All tables are made when the file is opened: one that is of another type, or gone, is damage.
            error => Self::Damaged { table: "(tables)", what: error.to_string() },
        }
    }
}

/// Why an op's check stopped.
#[derive(Debug)]
pub enum Halt<R> {
    /// The op's own refusal.
    Refused(R),
    /// The file could not be read.
    Broken(StoreError),
}

impl<R> From<StoreError> for Halt<R> {
    fn from(error: StoreError) -> Self {
        Self::Broken(error)
    }
}

/// Why a write was not committed. Everything but `Refused` is a fault of ours and temporary.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError<R> {
    /// The op refused; the file is unchanged.
    #[error("refused")]
    Refused(R),
    /// The disk has less free space than the reserve.
    #[error("the disk is full")]
    Full,
    /// The op panicked; it was undone and recorded.
    #[error("an internal error")]
    Panicked,
    /// The op needs a row that is damaged, or pages that contradict each other; it was undone and recorded.
    #[error("{0}")]
    Damaged(String),
    /// The store is closing or has failed.
    #[error("the store is closed: {0}")]
    Closed(String),
}

/// Why the file could not be opened. Each is one clear line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("{0} is in use by another process: stop it first, or talk to it through its socket")]
    Locked(PathBuf),
    /// Made by a newer release.
    #[error(
        "{path} was written by a newer version (schema {found}, this program knows {known}): use the newer program"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        found: u32,
        /// The newest that this program knows.
        known: u32,
    },
    /// Not a file of ours, or damaged beyond opening.
    #[error("{path} can't be opened as a Pillarbox file: {what}; restore a backup, or name another file with --data")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the storage engine says.
        what: String,
    },
    /// Its secrets are sealed, and there is no key.
    #[error(
        "{path}: secrets in it are sealed with the key {unopened}, and no key is given: start with --key-file, or with \
         --without-key to drop them"
    )]
    Sealed {
        /// The file.
        path: PathBuf,
        /// What does not open.
        unopened: Unopened,
    },
    /// Its secrets are sealed with another key.
    #[error(
        "{path}: secrets in it are sealed with the key {unopened}, which is not in the key file: put it back there, or \
         start with --without-key to drop them"
    )]
    OtherKey {
        /// The file.
        path: PathBuf,
        /// What does not open.
        unopened: Unopened,
    },
    /// Made by an older release, and not to be changed: only a file that is opened to be served is upgraded.
    #[error(
        "{path} was written by an older version (schema {found}, this program has {known}): restore it as a whole, which \
         upgrades it"
    )]
    Older {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        found: u32,
        /// This program's.
        known: u32,
    },
    /// It is of an older version, and what leads to this one failed.
    #[error("{path} could not be upgraded from schema {found} and is as it was: {what}; the older program opens it")]
    NotUpgraded {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        found: u32,
        /// What went wrong.
        what: String,
    },
    /// A copy of it has to be kept first, and the disk has no room for one.
    #[error(
        "a copy of the file has to be kept first as {path}: it takes {needed_bytes} octets, and the disk has \
         {free_bytes} to give: make room"
    )]
    NoRoom {
        /// The copy.
        path: PathBuf,
        /// What it takes.
        needed_bytes: u64,
        /// What its disk has.
        free_bytes: u64,
    },
    /// The operating system refuses.
    #[error("{path}: {error}; check that the folder exists and that this user may write to it")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        error: io::Error,
    },
}
