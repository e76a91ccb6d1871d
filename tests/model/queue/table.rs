//! Where an entry may stand, and all that may move it.

use std::collections::BTreeMap;
use std::sync::Mutex;

use pillarbox::queue::{Entry, State};

/// Where an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stand {
    /// It was not queued yet.
    Nowhere,
    Waiting,
    Released,
    Parked,
    Held,
    /// In an attempt, out of [`Stand::Waiting`].
    Tried,
    /// In an attempt, out of [`Stand::Released`].
    ReleasedTried,
    /// In an attempt, out of [`Stand::Parked`].
    ParkedTried,
    Delivered,
    Failed,
    Expired,
    Dropped,
}

/// What moves an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    Enqueue,
    Retry,
    Hold,
    /// The time of a hold is over.
    EndHold,
    /// A rule holds its mail.
    HoldByRule,
    Redirect,
    Release,
    Drop,
    /// A flush of all, or of a sender.
    Flush,
    /// A flush of a domain or a peer.
    NamedFlush,
    Postpone,
    /// The clock was set back.
    Recall,
    Park,
    Unpark,
    Open,
    /// An outcome.
    Delivered,
    Deferred,
    Refused,
    /// An outcome that an operator has decided.
    Bounce,
    /// An outcome that time has decided.
    Overdue,
    Recover,
    Crash,
}

impl Stand {
    /// Of an entry that is there.
    pub fn of(entry: &Entry, is_open: bool) -> Self {
        match (&entry.state, is_open) {
            (State::Waiting { released: false }, false) => Self::Waiting,
            (State::Waiting { released: true }, false) => Self::Released,
            (State::Parked { .. }, false) => Self::Parked,
            (State::Held { .. }, _) => Self::Held,
            (State::Waiting { released: false }, true) => Self::Tried,
            (State::Waiting { released: true }, true) => Self::ReleasedTried,
            (State::Parked { .. }, true) => Self::ParkedTried,
        }
    }
}

/// Every transition that there is.
#[rustfmt::skip]
pub const TABLE: &[(Stand, Cause, Stand)] = {
    use {Cause as C, Stand as S};
    &[
        (S::Nowhere, C::Enqueue, S::Waiting),

        (S::Waiting, C::Retry, S::Released),
        (S::Waiting, C::Flush, S::Waiting),
        (S::Waiting, C::NamedFlush, S::Released),
        (S::Waiting, C::Postpone, S::Waiting),
        (S::Waiting, C::Recall, S::Waiting),
        (S::Waiting, C::Park, S::Parked),
        (S::Waiting, C::Hold, S::Held),
        (S::Waiting, C::HoldByRule, S::Held),
        (S::Waiting, C::Redirect, S::Waiting),
        (S::Waiting, C::Drop, S::Dropped),
        (S::Waiting, C::Open, S::Tried),
        // An attempt that did not come as far as the message.
        (S::Waiting, C::Deferred, S::Waiting),
        (S::Waiting, C::Deferred, S::Expired),
        (S::Waiting, C::Refused, S::Failed),
        (S::Waiting, C::Bounce, S::Failed),
        (S::Waiting, C::Overdue, S::Waiting),

        (S::Released, C::Retry, S::Released),
        (S::Released, C::Flush, S::Released),
        (S::Released, C::NamedFlush, S::Released),
        (S::Released, C::Postpone, S::Released),
        (S::Released, C::Recall, S::Released),
        (S::Released, C::Hold, S::Held),
        (S::Released, C::Redirect, S::Waiting),
        (S::Released, C::Drop, S::Dropped),
        (S::Released, C::Open, S::ReleasedTried),
        (S::Released, C::Deferred, S::Waiting),
        (S::Released, C::Deferred, S::Expired),
        (S::Released, C::Refused, S::Failed),
        (S::Released, C::Bounce, S::Failed),
        (S::Released, C::Overdue, S::Waiting),

        (S::Parked, C::Retry, S::Released),
        (S::Parked, C::NamedFlush, S::Released),
        (S::Parked, C::Recall, S::Parked),
        (S::Parked, C::Unpark, S::Waiting),
        (S::Parked, C::Hold, S::Held),
        (S::Parked, C::Redirect, S::Waiting),
        (S::Parked, C::Drop, S::Dropped),
        (S::Parked, C::Open, S::ParkedTried),
        (S::Parked, C::Deferred, S::Parked),
        (S::Parked, C::Deferred, S::Expired),
        (S::Parked, C::Refused, S::Failed),
        (S::Parked, C::Bounce, S::Failed),
        (S::Parked, C::Overdue, S::Parked),
        (S::Parked, C::Overdue, S::Expired),

        (S::Held, C::Hold, S::Held),
        (S::Held, C::Release, S::Waiting),
        (S::Held, C::Recall, S::Held),
        (S::Held, C::EndHold, S::Waiting),
        (S::Held, C::Redirect, S::Held),
        (S::Held, C::Drop, S::Dropped),
        // Of an attempt that was under way when it was held.
        (S::Held, C::Deferred, S::Held),
        (S::Held, C::Refused, S::Held),
        (S::Held, C::Overdue, S::Held),
        (S::Held, C::Bounce, S::Failed),

        (S::Tried, C::Delivered, S::Delivered),
        (S::Tried, C::Deferred, S::Waiting),
        (S::Tried, C::Deferred, S::Expired),
        (S::Tried, C::Refused, S::Failed),
        // It stays where it is, and expires sooner.
        (S::Tried, C::Recall, S::Tried),
        (S::Tried, C::Recover, S::Waiting),

        (S::ReleasedTried, C::Delivered, S::Delivered),
        (S::ReleasedTried, C::Deferred, S::Waiting),
        (S::ReleasedTried, C::Deferred, S::Expired),
        (S::ReleasedTried, C::Refused, S::Failed),
        // It stays where it is, and expires sooner.
        (S::ReleasedTried, C::Recall, S::ReleasedTried),
        (S::ReleasedTried, C::Recover, S::Released),

        (S::ParkedTried, C::Delivered, S::Delivered),
        (S::ParkedTried, C::Deferred, S::Parked),
        (S::ParkedTried, C::Deferred, S::Expired),
        (S::ParkedTried, C::Refused, S::Failed),
        // It stays where it is, and expires sooner.
        (S::ParkedTried, C::Recall, S::ParkedTried),
        (S::ParkedTried, C::Recover, S::Parked),
    ]
};

/// How often each transition was seen.
#[derive(Default)]
pub struct Seen(Mutex<BTreeMap<(Stand, Cause, Stand), u64>>);

impl Seen {
    /// Notes a transition; an error when the table does not have it.
    pub fn note(&self, from: Stand, cause: Cause, to: Stand) -> Result<(), String> {
        if !TABLE.contains(&(from, cause, to)) {
            return Err(format!("{from:?} became {to:?} by {cause:?}: the table of transitions does not have it"));
        }
        *self.0.lock().unwrap().entry((from, cause, to)).or_default() += 1;
        Ok(())
    }

    /// What was not seen of the table.
    pub fn missing(&self) -> Vec<(Stand, Cause, Stand)> {
        let seen = self.0.lock().unwrap();
        TABLE.iter().filter(|transition| !seen.contains_key(transition)).copied().collect()
    }

    /// Every transition of the table was seen. Says which was the rarest.
    pub fn assert_complete(&self) {
        assert_eq!(self.missing(), [], "never seen");
        let seen = self.0.lock().unwrap();
        let (rarest, times) = seen.iter().min_by_key(|(_, times)| **times).expect("some");
        println!(
            "{} transitions, {} of them; the rarest {times} times: {rarest:?}",
            seen.values().sum::<u64>(),
            seen.len()
        );
    }
}
