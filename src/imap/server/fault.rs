use std::fmt::Display;

use super::link::End;
use super::selected::SyncError;
use crate::imap::wire::{Answer, Code};

/// A fault of ours: the cause goes to the log, and the client may come again. RFC 5530 §3
pub(super) fn unavailable(cause: &dyn Display) -> Answer {
    tracing::error!(%cause, "an imap command failed for a fault of ours");
    Answer::no("not possible at the moment").with(Code::Unavailable)
}

/// The disk has less room than the reserve: of the codes that programs know, the one that says that there is no room for
/// more, and that deleting makes some. RFC 5530 §3
pub(super) fn disk_full() -> Answer {
    Answer::no("the server's disk has no room for it at the moment").with(Code::OverQuota)
}

/// No answer to a command in the middle of which the client could not be told what has changed.
pub(super) fn unsynced(error: SyncError) -> Result<Answer, End> {
    match error {
        SyncError::End(end) => Err(end),
        SyncError::Store(error) => Ok(unavailable(&error)),
        // The session finds it out again when the command is over, and ends.
        SyncError::Gone => Ok(Answer::no("the mailbox was deleted").with(Code::NonExistent)),
    }
}

/// A command names a message by a number that there is not. RFC 9051 §6.4.9
pub(super) fn no_such_number() -> Answer {
    Answer::bad("there is no message of that number")
}

/// The mailbox was opened by EXAMINE. RFC 9051 §6.3.3
pub(super) fn read_only() -> Answer {
    Answer::no("the mailbox is open for reading only")
}
