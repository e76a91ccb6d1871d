use std::io;
use std::path::PathBuf;

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
from_engine!(redb::StorageError, redb::TableError, redb::TransactionError, redb::CommitError, io::Error);

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
    /// The op panicked or met a damaged row; it was undone and recorded.
    #[error("an internal error")]
    Panicked,
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
    /// The operating system refuses.
    #[error("{path}: {error}; check that the folder exists and that this user may write to it")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        error: io::Error,
    },
}
