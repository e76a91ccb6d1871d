use crate::base::{BlobId, limits};
use crate::store::{CrossCheck, Findings, StoreError, Tally, Tx, View};
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
        Subject::Message(id) => Ok(queue::holds(tx, id)? || kept::holds(tx, id)?),
        Subject::Refused(_) => Ok(false),
    }
}

/// A body counts the copies in mailboxes, the queued messages and the kept ones that it belongs to.
fn check_bodies(view: &View, findings: &mut Findings) -> Result<(), StoreError> {
    let mut counts: Tally<BlobId> = Tally::new(limits::TALLIED_AT_ONCE);
    loop {
        let mut count = |id| counts.count(id);
        mailbox::references(view, &mut count)?;
        queue::references(view, &mut count)?;
        kept::references(view, &mut count)?;
        let mut outcome = Ok(());
        view.each_blob_of(counts.range(), |id, blob| {
            let messages = counts.take(&id);
            if blob.references != messages && outcome.is_ok() {
                let counted = blob.references;
                let what = format!("blobs: body {id} counts {counted} references, and {messages} messages point to it");
                outcome = findings.add(what).count_references(view, id, messages).map(drop);
            }
        })?;
        outcome?;
        for (id, messages) in counts.named(1) {
            findings.add(format!("blobs: body {id} is not there, and {messages} messages point to it"));
        }
        if !counts.begin_next() {
            return Ok(());
        }
    }
}
