use std::collections::HashMap;

use crate::base::BlobId;
use crate::store::{CrossCheck, Findings, StoreError, Tx, View};
use crate::trace::Subject;
use crate::{kept, mailbox, queue};

/// The room's cross-checks.
pub const CHECKS: &[CrossCheck] = &[
    CrossCheck { name: "unconfirmed messages and their times", run: super::unconfirmed::check_times },
    CrossCheck { name: "bodies and who refers to them", run: check_bodies },
];

/// Whether the story of a message is needed, however old it is: it is still queued, or kept and
/// can be delivered once more. For [`crate::trace::prune`].
///
/// # Errors
/// [`StoreError`].
pub fn needs_story(tx: &Tx<'_>, subject: Subject) -> Result<bool, StoreError> {
    match subject {
        Subject::Message(id) => Ok(queue::message(tx, id)?.is_some() || kept::kept(tx, id)?.is_some()),
        Subject::Refused(_) => Ok(false),
    }
}

/// A body counts the copies in mailboxes, the queued messages and the kept ones that it belongs to.
fn check_bodies(view: &View, findings: &mut Findings) -> Result<(), StoreError> {
    let mut counts: HashMap<BlobId, u32> = HashMap::new();
    let mut count = |id| *counts.entry(id).or_default() += 1;
    mailbox::references(view, &mut count)?;
    queue::references(view, &mut count)?;
    kept::references(view, &mut count)?;
    view.each_blob(|id, blob| {
        let messages = counts.remove(&id).unwrap_or_default();
        if blob.references != messages {
            let counted = blob.references;
            findings.add(format!("blobs: body {id} counts {counted} references, and {messages} messages point to it"));
        }
    })
}
