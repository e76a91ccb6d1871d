use super::lanes::{Lanes, Turn};
use super::way::Way;
use crate::base::{QueueId, Timestamp, limits};
use crate::queue::Attempt;

/// A place in the schedule.
pub(super) type Place = (Timestamp, QueueId);

/// What is known of a destination at the moment.
#[derive(Debug)]
pub(super) struct Destination {
    pub(super) way: Way,
    /// What is to be sent next: a window of what is due.
    pub(super) ready: Lanes,
    /// The servers that were found for it, where they are known: other destinations may have the same.
    pub(super) site: Option<String>,
    /// Sessions that run.
    pub(super) sessions: usize,
    /// Sessions that may: rises with every message that goes through.
    pub(super) limit: usize,
    /// A server of it has answered, since something is known of it.
    pub(super) is_known: bool,
    /// A look at the schedule for it is under way.
    pub(super) is_looked_for: bool,
    /// It could not be reached.
    pub(super) trouble: Option<Trouble>,
}

/// Nobody at a destination takes mail at the moment. One session at a time tries whether that has changed.
#[derive(Debug, Clone)]
pub(super) struct Trouble {
    /// Times in a row.
    pub(super) failures: u32,
    /// When the last session that failed began. What was due by then is postponed; what has become due since, also because
    /// an operator wishes so, may be the next try.
    pub(super) at: Timestamp,
    /// Not before this.
    pub(super) again_at: Timestamp,
    /// Until when what is due is postponed.
    pub(super) until: Timestamp,
    /// What happened, for those that expire by it.
    pub(super) attempt: Attempt,
}

/// What became of an entry that was offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Offered {
    /// It will be sent.
    Taken,
    /// Not now: there is no room, or somebody else has it.
    Later,
    /// It is to be postponed until then.
    Postpone(Timestamp),
}

impl Destination {
    pub(super) fn new(way: Way) -> Self {
        Self {
            way,
            ready: Lanes::default(),
            site: None,
            sessions: 0,
            limit: limits::SESSIONS_AT_FIRST,
            is_known: false,
            is_looked_for: false,
            trouble: None,
        }
    }

    /// Whether an entry can be sent now: without a claim, room is all that matters.
    pub(super) fn judge(&self, turn: &Turn, (due, id): Place, now: Timestamp) -> Offered {
        match &self.trouble {
            Some(trouble) if due <= trouble.at && now < trouble.until => Offered::Postpone(trouble.until),
            Some(trouble) if now < trouble.again_at || self.sessions > 0 => Offered::Later,
            // One message tries, with all its recipients.
            Some(_) if !self.ready.is_empty() && !self.ready.completes(turn, id.message) => Offered::Later,
            Some(_) => Offered::Taken,
            None if !self.ready.has_room(&turn.sender) => Offered::Later,
            None if self.is_full_at_first(&turn.sender) && !self.ready.completes(turn, id.message) => Offered::Later,
            None => Offered::Taken,
        }
    }

    fn is_full_at_first(&self, sender: &str) -> bool {
        self.is_first() && self.ready.len_of(sender) >= limits::WINDOW_ENTRIES_AT_FIRST
    }

    /// Whether more may be taken in; `true`: one message alone, to try.
    pub(super) fn may_try(&self, now: Timestamp) -> Option<bool> {
        match &self.trouble {
            Some(trouble) if now >= trouble.again_at && self.sessions == 0 && self.ready.is_empty() => Some(true),
            Some(_) => None,
            // What waits for an answer is not looked for again and again.
            None if self.is_first() && !self.ready.is_empty() => None,
            None => Some(false),
        }
    }

    /// Whether nobody there has answered yet, nor was tried in vain.
    pub(super) fn is_first(&self) -> bool {
        !self.is_known && self.trouble.is_none()
    }

    /// Whether nothing would be lost if it were forgotten.
    pub(super) fn is_idle(&self) -> bool {
        let is_quiet = self.sessions == 0 && self.ready.is_empty() && !self.is_looked_for;
        is_quiet && !self.ready.has_passed_over() && self.trouble.is_none()
    }
}
