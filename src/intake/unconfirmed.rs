use std::convert::Infallible;
use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::session::Sessions;
use crate::base::{MessageId, Timestamp, limits};
use crate::postcard_row;
use crate::store::{AnyTable, Findings, Halt, Op, Read, Span, StoreError, Table, Tx, View};

/// A hash of sender, recipient and received bytes.
pub(super) type Mark = [u8; 16];

/// The copies whose 250 the sender may have missed, with the session that each came by.
pub(super) static UNCONFIRMED: Table<(Mark, u64), Unconfirmed> = Table::new("unconfirmed");
/// The same by time, for their end after 5 days.
pub(super) static UNCONFIRMED_BY_TIME: Table<(Timestamp, Mark, u64), ()> = Table::new("unconfirmed_by_time");
/// The room's tables.
pub const TABLES: &[&dyn AnyTable] = &[&UNCONFIRMED, &UNCONFIRMED_BY_TIME];

/// Rows whose time is over that are removed with each message.
const ENDED_AT_ONCE: usize = 16;

/// A copy whose 250 the sender may have missed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Unconfirmed {
    pub(super) message: MessageId,
    /// When the message first came in.
    pub(super) at: Timestamp,
}
postcard_row!(Unconfirmed, 1);

/// A copy that came by a session which ended before its sender said anything more.
#[derive(Debug, Clone, Copy)]
pub(super) struct Missed {
    pub(super) session: u64,
    pub(super) message: MessageId,
    pub(super) at: Timestamp,
}

/// The first copy of that mark whose session is over, so that the same bytes are a retransmission of it.
pub(super) fn find_missed(
    read: &impl Read,
    mark: &Mark,
    sessions: &Sessions,
    now: Timestamp,
) -> Result<Option<Missed>, StoreError> {
    let mut missed = None;
    read.scan(&UNCONFIRMED, Span::prefix(mark), |(_, session), row| {
        if sessions.is_live(session) || now.ms_since(row.at) >= limits::UNCONFIRMED_MS {
            return ControlFlow::Continue(());
        }
        missed = Some(Missed { session, message: row.message, at: row.at });
        ControlFlow::Break(())
    })?;
    Ok(missed)
}

/// Remembers a copy that `session` may have to bring again.
pub(super) fn put(tx: &mut Tx<'_>, mark: Mark, session: u64, row: &Unconfirmed) -> Result<(), StoreError> {
    remove(tx, mark, session)?;
    tx.put(&UNCONFIRMED_BY_TIME, &(row.at, mark, session), &())?;
    tx.put(&UNCONFIRMED, &(mark, session), row)
}

/// Forgets it.
pub(super) fn remove(tx: &mut Tx<'_>, mark: Mark, session: u64) -> Result<(), StoreError> {
    if let Some(row) = tx.remove(&UNCONFIRMED, &(mark, session))? {
        tx.remove(&UNCONFIRMED_BY_TIME, &(row.at, mark, session))?;
    }
    Ok(())
}

/// Removes some of those whose time is over. Called with each message that comes in, it removes them faster than they
/// can come.
pub(super) fn remove_ended(tx: &mut Tx<'_>, now: Timestamp) -> Result<(), StoreError> {
    let Some(last_ms) = now.ms().checked_sub(limits::UNCONFIRMED_MS) else { return Ok(()) };
    let span = Span::range(..(Timestamp(last_ms + 1), [0; 16], 0));
    for ((_, mark, session), ()) in tx.rows(&UNCONFIRMED_BY_TIME, span, ENDED_AT_ONCE)? {
        remove(tx, mark, session)?;
    }
    Ok(())
}

/// The sender has our 250: it sent something after it. To be given to [`crate::store::Store::ride`].
#[derive(Debug, Clone)]
pub struct Confirm {
    pub(super) session: u64,
    pub(super) marks: Vec<Mark>,
}

impl Op for Confirm {
    type Plan = ();
    type Out = ();
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "intake.confirm"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<Infallible>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        self.marks.iter().try_for_each(|mark| remove(tx, *mark, self.session))
    }
}

/// Each row stands in the other table too.
pub(super) fn check_times(view: &View, findings: &mut Findings) -> Result<(), StoreError> {
    for ((mark, session), row) in view.rows(&UNCONFIRMED, Span::all(), usize::MAX)? {
        let place = (row.at, mark, session);
        if !view.has(&UNCONFIRMED_BY_TIME, &place)? {
            let what = format!("unconfirmed_by_time: a row of {} is missing", row.message);
            findings.add(what).put(&UNCONFIRMED_BY_TIME, &place, &());
        }
    }
    for (place, ()) in view.rows(&UNCONFIRMED_BY_TIME, Span::all(), usize::MAX)? {
        let (at, mark, session) = place;
        if view.get(&UNCONFIRMED, &(mark, session))?.is_none_or(|row| row.at != at) {
            let what = format!("unconfirmed_by_time: nothing of session {session} is unconfirmed since {at}");
            findings.add(what).remove(&UNCONFIRMED_BY_TIME, &place);
        }
    }
    Ok(())
}
