use std::ops::ControlFlow;

use super::row::{BY_TIME, KEPT, Kept};
use crate::base::{BlobId, MessageId};
use crate::store::{CrossCheck, Findings, Read, Span, StoreError, View};

/// The room's cross-checks.
pub const CHECKS: &[CrossCheck] = &[CrossCheck { name: "kept messages and their times", run: check_kept }];

/// Calls `each` for every reference that the room has taken to a body: one for a message.
///
/// # Errors
/// [`StoreError`]
pub fn references(view: &View, mut each: impl FnMut(BlobId)) -> Result<(), StoreError> {
    view.scan(&KEPT, Span::all(), |_, kept| {
        kept.blob.into_iter().for_each(&mut each);
        ControlFlow::Continue(())
    })
}

/// Every message stands once at its time, and has a body of the size that it says.
fn check_kept(view: &View, findings: &mut Findings) -> Result<(), StoreError> {
    let mut broken = Ok(());
    view.scan(&KEPT, Span::all(), |id, kept| {
        broken = check_one(view, findings, id, &kept);
        if broken.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    broken?;
    let mut broken = Ok(());
    view.scan(&BY_TIME, Span::all(), |(at, id), ()| match view.get(&KEPT, &id) {
        Ok(kept) => {
            if kept.is_none_or(|kept| kept.at != at) {
                findings.add(format!("kept_by_time: {id} is not kept since {at}")).remove(&BY_TIME, &(at, id));
            }
            ControlFlow::Continue(())
        }
        Err(error) => {
            broken = Err(error);
            ControlFlow::Break(())
        }
    })?;
    broken
}

fn check_one(view: &View, findings: &mut Findings, id: MessageId, kept: &Kept) -> Result<(), StoreError> {
    if !view.has(&BY_TIME, &(kept.at, id))? {
        findings.add(format!("kept: {id} does not stand at its time")).put(&BY_TIME, &(kept.at, id), &());
    }
    let body = match kept.blob {
        Some(blob) => view.blob(blob)?.map(|blob| blob.size_bytes),
        None => Some(0),
    };
    if body != Some(kept.body_bytes) {
        // It can't be delivered once more. Its row by time goes in the next round.
        findings.add(format!("kept: the body of {id} is not of the size that it says")).set_aside(&KEPT, &id);
    }
    Ok(())
}
