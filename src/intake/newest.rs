use crate::store::{Read, Span, StoreError};
use crate::trace::{EVENTS, Subject};
use crate::{job, kept, mailbox, queue, turn};

/// The newest id that the file knows of a message, a refused transaction, a job or a session with a peer: new ids begin
/// above it, whatever the clock says. 0 in an empty file.
///
/// # Errors
/// [`StoreError`].
pub fn newest_id(read: &impl Read) -> Result<u64, StoreError> {
    let traced = read.last(&EVENTS, Span::all())?.map_or(0, |((subject, _), _)| match subject {
        Subject::Message(id) => id.0,
        Subject::Refused(id) => id.0,
    });
    // The trace is kept for a time, mail for as long as its owner wants, and what is queued until it is gone.
    let kept = mailbox::newest(read)?.map_or(0, |id| id.0);
    let queued = queue::newest(read)?.map_or(0, |id| id.0);
    let let_go = kept::newest(read)?.map_or(0, |id| id.0);
    let job = job::newest(read)?.map_or(0, |id| id.0);
    let session = turn::newest(read)?.map_or(0, |id| id.0);
    Ok(traced.max(kept).max(queued).max(let_go).max(job).max(session))
}
