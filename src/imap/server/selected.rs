use std::sync::Arc;

use super::context::Enabled;
use super::link::End;
use super::link::Link;
use super::snapshot::Snapshot;
use super::view::View;
use crate::base::{MailboxId, Uid};
use crate::imap::wire::MessageSet;
use crate::mailbox::Member;
use crate::store::{Store, StoreError};

/// An open mailbox, as the client knows it.
pub(super) struct Selected {
    pub(super) mailbox: MailboxId,
    /// Its name when it was opened.
    pub(super) name: String,
    /// EXAMINE
    pub(super) read_only: bool,
    /// What the client has been told: numbers of messages are those in here, whatever has happened since.
    pub(super) told: Snapshot,
    pub(super) view: Arc<View>,
    /// The first UID that is `\Recent` in this session (RFC 3501 §2.3.2).
    pub(super) recent_from: Uid,
}

/// A message that a command is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    /// Its number, as the client knows it.
    pub(super) number: u32,
    /// What is known of it.
    pub(super) member: Member,
}

impl Selected {
    /// The messages of a set, by number. UIDs that are not there are passed over (RFC 9051 §6.4.9); a number that is not
    /// there makes the command `BAD`: `None`.
    pub(super) fn targets(&self, messages: &MessageSet) -> Option<Vec<Target>> {
        let _ = messages;
        todo!()
    }

    /// Tells the client what has changed since it was told last. `expunges`: removals may be told now, which changes the
    /// numbers of messages (RFC 9051 §7.5.1: not during FETCH, STORE, SEARCH). `silent`: UIDs whose flags the
    /// client has just set itself with `.SILENT` to what they are: these are taken over without a word (but with MODSEQ
    /// where CONDSTORE is enabled, RFC 7162 §3.1.3).
    pub(super) async fn sync(
        &mut self,
        link: &mut Link,
        store: &Store,
        enabled: Enabled,
        expunges: bool,
        silent: &[(Uid, Uid)],
    ) -> Result<(), SyncError> {
        let _ = (link, store, enabled, expunges, silent);
        todo!()
    }
}

/// Why the client could not be told.
#[derive(Debug, thiserror::Error)]
pub(super) enum SyncError {
    #[error(transparent)]
    End(#[from] End),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another session has deleted the mailbox: the session ends with BYE (RFC 2180 §3.3).
    #[error("the mailbox was deleted")]
    Gone,
}
