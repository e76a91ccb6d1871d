use std::collections::VecDeque;

use super::claims::Claim;
use super::way::Way;
use crate::base::{Address, MessageId, QueueId, Timestamp, limits};
use crate::queue::{Attempt, Sending};

/// Some recipients of one message at one destination: one transaction.
#[derive(Debug)]
pub(super) struct Bundle {
    pub(super) message: MessageId,
    pub(super) recipients: Vec<Recipient>,
}

/// A recipient that is ours to send to.
#[derive(Debug)]
pub(super) struct Recipient {
    pub(super) id: QueueId,
    pub(super) address: Address,
    /// Given back when it is dropped.
    pub(super) _claim: Claim,
}

impl Recipient {
    /// As it is being sent.
    pub(super) fn sending(&self) -> Sending {
        Sending { id: self.id, recipient: self.address.clone() }
    }
}

/// A place in the schedule.
pub(super) type Place = (Timestamp, QueueId);

/// What is known of a destination at the moment.
#[derive(Debug)]
pub(super) struct Destination {
    pub(super) way: Way,
    /// What is to be sent next: a window of what is due.
    pub(super) ready: VecDeque<Bundle>,
    /// Entries in it.
    pub(super) entries: usize,
    /// Sessions that run.
    pub(super) sessions: usize,
    /// Sessions that may: rises with every message that goes through.
    pub(super) limit: usize,
    /// The first entry that is due and found no room.
    pub(super) passed_over: Option<Place>,
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
            ready: VecDeque::new(),
            entries: 0,
            sessions: 0,
            limit: limits::SESSIONS_AT_FIRST,
            passed_over: None,
            trouble: None,
        }
    }

    /// Whether an entry can be sent now: without a claim, room is all that matters.
    pub(super) fn judge(&self, (due, id): Place, now: Timestamp) -> Offered {
        match &self.trouble {
            Some(trouble) if due <= trouble.at && now < trouble.until => Offered::Postpone(trouble.until),
            Some(trouble) if now < trouble.again_at || self.sessions > 0 => Offered::Later,
            // One message tries, with all its recipients.
            Some(_) if self.entries > 0 && !self.completes(id.message) => Offered::Later,
            Some(_) => Offered::Taken,
            None if self.entries >= limits::WINDOW_ENTRIES => Offered::Later,
            None => Offered::Taken,
        }
    }

    /// Takes an entry into the window, beside others of its message.
    pub(super) fn push(&mut self, recipient: Recipient) {
        self.entries += 1;
        let message = recipient.id.message;
        let completes = self.completes(message);
        match self.ready.back_mut().filter(|_| completes) {
            Some(last) => last.recipients.push(recipient),
            None => self.ready.push_back(Bundle { message, recipients: vec![recipient] }),
        }
    }

    /// Whether the last transaction is of this message and has room.
    fn completes(&self, message: MessageId) -> bool {
        self.ready
            .back()
            .is_some_and(|last| last.message == message && last.recipients.len() < limits::TRANSACTION_RECIPIENTS)
    }

    pub(super) fn pop(&mut self) -> Option<Bundle> {
        let bundle = self.ready.pop_front()?;
        self.entries -= bundle.recipients.len();
        Some(bundle)
    }

    /// Remembers that something due found no room.
    pub(super) fn pass_over(&mut self, place: Place) {
        self.passed_over = Some(self.passed_over.map_or(place, |first| first.min(place)));
    }

    /// Whether there is room for what found none.
    pub(super) fn is_hungry(&self, now: Timestamp) -> bool {
        self.passed_over.is_some()
            && match &self.trouble {
                Some(trouble) => now >= trouble.again_at && self.sessions == 0 && self.entries == 0,
                None => self.entries <= limits::WINDOW_ENTRIES / 4,
            }
    }

    /// Whether nothing would be lost if it were forgotten.
    pub(super) fn is_idle(&self) -> bool {
        self.sessions == 0 && self.ready.is_empty() && self.passed_over.is_none() && self.trouble.is_none()
    }
}
