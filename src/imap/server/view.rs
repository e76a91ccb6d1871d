use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

use tokio::sync::watch;

use super::snapshot::Snapshot;
use crate::base::MailboxId;
use crate::store::{Store, StoreError};

/// The mailboxes that sessions have open: each is kept in memory once, brought up to date when it was changed, and dropped
/// with its last session. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Views(Arc<Mutex<HashMap<MailboxId, Weak<View>>>>);

/// A mailbox that somebody has open.
#[derive(Debug)]
pub(super) struct View {
    pub(super) mailbox: MailboxId,
    /// The newest snapshot that was asked for; `None`: the mailbox is gone.
    newest: tokio::sync::Mutex<Option<Snapshot>>,
    /// Told whenever a change was committed.
    changed: watch::Sender<u64>,
}

impl Views {
    /// The view of a mailbox, read from the file where nobody has it open; `None` when there is no such mailbox.
    pub(super) async fn open(&self, store: &Store, mailbox: MailboxId) -> Result<Option<Arc<View>>, StoreError> {
        let _ = (store, mailbox);
        todo!()
    }
}

impl View {
    /// The mailbox as it is now: everything that was committed before this was called is in it. `None`: it is gone.
    pub(super) async fn now(&self, store: &Store) -> Result<Option<Snapshot>, StoreError> {
        let _ = (store, &self.newest);
        todo!()
    }

    /// Is told of changes: after each, [`View::now`] differs.
    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}
