use serde::Serialize;
use serde_json::Value;

use super::caller::Allowed;
use super::context::Context;
use super::problem::Problem;
use crate::audit::{Act, Audited, Note};
use crate::base::AuditId;
use crate::store::{Committed, Op, StoreError, Tx, WriteError};

impl<P> Allowed<P> {
    /// Makes a change and writes down who has made it, in one transaction. `target` is what is changed, by its name in
    /// the path; `show` shows it before and after, in the form in which the interface shows it: see [`shown`].
    pub async fn write<O, F>(
        &self,
        context: &Context,
        target: impl ToString,
        op: O,
        show: F,
    ) -> Result<Committed<O::Out>, WriteError<O::Refused>>
    where
        O: Op,
        F: Fn(&Tx<'_>) -> Result<Option<Value>, StoreError> + Send + 'static,
    {
        write_as(&self.act, context, target, op, show).await
    }

    /// Writes down that somebody reads what is people's own, or begins what one transaction does not do. It is on disk
    /// when this returns: before anything is given out.
    pub async fn note(
        &self,
        context: &Context,
        target: impl ToString,
        what: Option<Value>,
    ) -> Result<AuditId, Problem> {
        let note = Note { act: self.act.clone(), target: target.to_string(), at: context.clock.now(), after: what };
        Ok(context.store.write(note).await?.into_inner())
    }
}

/// The same where it is not a caller's permission that says who it is.
pub(super) async fn write_as<O, F>(
    act: &Act,
    context: &Context,
    target: impl ToString,
    op: O,
    show: F,
) -> Result<Committed<O::Out>, WriteError<O::Refused>>
where
    O: Op,
    F: Fn(&Tx<'_>) -> Result<Option<Value>, StoreError> + Send + 'static,
{
    let (act, target, at) = (act.clone(), target.to_string(), context.clock.now());
    context.store.write(Audited { op, act, target, at, show }).await
}

/// A thing as the interface shows it; `None` where there is none.
pub(super) fn shown<T: Serialize>(thing: Option<T>) -> Option<Value> {
    thing.and_then(|thing| serde_json::to_value(thing).ok())
}

/// Of which there is nothing to be shown but that it was done.
pub(super) fn nothing(_: &Tx<'_>) -> Result<Option<Value>, StoreError> {
    Ok(None)
}
