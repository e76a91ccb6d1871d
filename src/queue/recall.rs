use std::convert::Infallible;

use super::QUEUE_TOPIC;
use super::entry::replace;
use super::policy::Policy;
use super::read::entries_of_message;
use super::row::{Entry, MESSAGES, Message, OPEN, State};
use crate::base::{DeliverBy, MailOptions, MessageId, Timestamp, limits};
use crate::store::{Halt, Op, Read, StoreError, Topic, Tx};

/// Calls back what a clock that was ahead has stamped. A message that came in at a time that is not yet counts from now
/// on: its entries are given up, when they are parked for a peer too, as long after now as they would have been. And
/// what waits for longer than any pause makes it wait gets the pause anew; what was never tried is due. So nothing
/// stands still until the time comes that the clock showed once.
///
/// Without an effect on what is in order. What is held keeps the end that its operator gave it; what waits in an open
/// attempt stays due when it is, which its outcome will say.
pub struct Recall {
    /// Which; those that are gone are passed over.
    pub messages: Vec<MessageId>,
    /// The pauses.
    pub policy: Policy,
    /// Now.
    pub at: Timestamp,
    /// For the time of a next attempt: see [`Policy::next`].
    pub jitter: u32,
}

impl Op for Recall {
    type Plan = ();
    type Out = ();
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "queue.recall"
    }

    fn weight_bytes(&self) -> usize {
        1024 * (self.messages.len() + 1)
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<Infallible>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        for id in &self.messages {
            let Some(message) = tx.get(&MESSAGES, id)? else { continue };
            for waiting in entries_of_message(tx, *id)? {
                let is_open = tx.has(&OPEN, &waiting.id)?;
                if let Some(entry) = self.recalled(&message, &waiting.entry, is_open) {
                    replace(tx, waiting.id, &waiting.entry, &entry)?;
                }
            }
            if message.at > self.at {
                // With all its entries at once: by this it is seen that it was ahead.
                let options = self.moved(&message);
                tx.put(&MESSAGES, id, &Message { at: self.at, options, ..message })?;
            }
        }
        tx.announce(Topic(QUEUE_TOPIC, 0));
        Ok(())
    }
}

impl Recall {
    /// The entry as it is to be; `None` when it is so.
    fn recalled(&self, message: &Message, entry: &Entry, is_open: bool) -> Option<Entry> {
        let earlier = |at| self.earlier(message, at);
        let wished = message.options.release_at.map(earlier);
        let due = match &entry.state {
            State::Waiting { .. } if !is_open && is_far(wished, entry, &self.policy, self.at) => match entry.attempts {
                0 => wished.map_or(self.at, |at| at.max(self.at)),
                attempts => self.policy.next(self.at, attempts, self.jitter),
            },
            // Its end counts from when it came in.
            State::Parked { .. } => earlier(entry.due),
            State::Waiting { .. } | State::Held { .. } => entry.due,
        };
        let new = Entry { due, expires_at: earlier(entry.expires_at), ..entry.clone() };
        (new != *entry).then_some(new)
    }

    /// What was counted from when a message came in, counted from when that was.
    fn earlier(&self, message: &Message, at: Timestamp) -> Timestamp {
        Timestamp(at.ms().saturating_sub(message.at.ms_since(self.at)))
    }

    /// What its sender asks for, with the times as they are to be.
    fn moved(&self, message: &Message) -> MailOptions {
        let earlier = |at| self.earlier(message, at);
        MailOptions {
            release_at: message.options.release_at.map(earlier),
            deliver_by: message.options.deliver_by.map(|by| DeliverBy { at: earlier(by.at), ..by }),
            ..message.options.clone()
        }
    }
}

/// Whether [`Recall`] has something to do for an entry of that message.
pub fn is_ahead(message: &Message, entry: &Entry, policy: &Policy, now: Timestamp) -> bool {
    let is_waiting = matches!(entry.state, State::Waiting { .. });
    message.at > now || is_waiting && is_far(message.options.release_at, entry, policy, now)
}

/// Whether a waiting entry is due later than anything makes it wait for: its sender too, who may want it to be sent at a
/// time.
fn is_far(wished: Option<Timestamp>, entry: &Entry, policy: &Policy, now: Timestamp) -> bool {
    entry.due > latest(entry, policy, now).max(wished.unwrap_or_default())
}

/// The last moment at which a waiting entry may be due: its own longest pause, or that of a destination that can't be
/// reached.
fn latest(entry: &Entry, policy: &Policy, now: Timestamp) -> Timestamp {
    policy.next(now, entry.attempts, u32::MAX).max(now.plus_ms(limits::TROUBLE_MS))
}
