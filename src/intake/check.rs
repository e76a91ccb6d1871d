use std::collections::HashMap;

use crate::base::BlobId;
use crate::store::{CrossCheck, Findings, StoreError, View};
use crate::{mailbox, queue};

/// The room's cross-checks.
pub const CHECKS: &[CrossCheck] = &[
    CrossCheck { name: "unconfirmed messages and their times", run: super::unconfirmed::check_times },
    CrossCheck { name: "bodies and who refers to them", run: check_bodies },
];

/// A body counts the copies in mailboxes and the queued messages that it belongs to.
fn check_bodies(view: &View, findings: &mut Findings) -> Result<(), StoreError> {
    let mut counts: HashMap<BlobId, u32> = HashMap::new();
    let mut count = |id| *counts.entry(id).or_default() += 1;
    mailbox::references(view, &mut count)?;
    queue::references(view, &mut count)?;
    view.each_blob(|id, blob| {
        let messages = counts.remove(&id).unwrap_or_default();
        if blob.references != messages {
            let counted = blob.references;
            findings.add(format!("blobs: body {id} counts {counted} references, and {messages} messages point to it"));
        }
    })
}
