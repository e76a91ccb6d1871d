use super::QUEUE_TOPIC;
use super::entry::{add, leave, message_of, remove, replace};
use super::row::{ENTRIES, Entry, MESSAGES, Message, NEVER, OPEN, State};
use super::rule::{RuleAction, Rules};
use super::via::Via;
use crate::base::{Address, QueueId, Timestamp};
use crate::store::{Halt, Op, Read, StoreError, Topic, Tx};
use crate::trace::{self, Event, Kind, Subject};

/// Does something to entries, all or none.
pub struct Act {
    /// To which.
    pub entries: Vec<QueueId>,
    /// What.
    pub action: Action,
    /// Who, for the trace.
    pub actor: String,
    /// Now.
    pub at: Timestamp,
}

/// What an operator may do to an entry. (A bounce is an outcome: `intake::Settle`.)
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Tries it now, also when its domain is held for a peer: for one attempt. What is held stays held.
    Retry,
    /// Keeps it until it is released; what is held already gets another reason and time.
    Hold {
        /// Why.
        reason: String,
        /// When it is released by itself; `None`: never.
        until: Option<Timestamp>,
    },
    /// Ends the hold: due now.
    Release,
    /// Sends it to another address, or by another way, due now; what is held stays held. No courier may know it by its
    /// old address: the caller has claimed it.
    Redirect {
        /// Where it goes now; `None`: where it went.
        to: Option<Address>,
        /// By which way; `None`: as routes and peers say.
        via: Option<Via>,
    },
    /// Removes it; nobody is told but the trace.
    Drop,
}

/// Why an operator's wish is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no such entry (any more).
    #[error("{0} is not in the queue")]
    Gone(QueueId),
    /// It is being delivered at this moment.
    #[error("{0} is being delivered")]
    InFlight(QueueId),
    /// Its row, or that of its message, does not decode.
    #[error("{0} is damaged in the file: see `pillarbox check`")]
    Damaged(QueueId),
    /// The action does not go with its state: it is held and can't be retried, or is not held and can't be released.
    #[error("{0} is not in a state for that")]
    State(QueueId),
}

impl Op for Act {
    type Plan = ();
    type Out = ();
    type Refused = Refused;

    fn name(&self) -> &'static str {
        "queue.act"
    }

    fn weight_bytes(&self) -> usize {
        512 * (self.entries.len() + 1)
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<(), Halt<Refused>> {
        for id in &self.entries {
            let entry = sound_entry(tx, *id)?;
            if matches!(self.action, Action::Drop | Action::Redirect { .. }) {
                sound_message(tx, *id)?;
            }
            if tx.has(&OPEN, id)? {
                return Err(Halt::Refused(Refused::InFlight(*id)));
            }
            let is_held = matches!(entry.state, State::Held { .. });
            let fits = match self.action {
                Action::Retry => !is_held,
                Action::Release => is_held,
                Action::Hold { .. } | Action::Redirect { .. } | Action::Drop => true,
            };
            if !fits {
                return Err(Halt::Refused(Refused::State(*id)));
            }
        }
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        for id in &self.entries {
            // One that is named twice may be gone.
            if let Some(entry) = tx.get(&ENTRIES, id)? {
                self.act(tx, *id, &entry)?;
            }
        }
        tx.announce(Topic(QUEUE_TOPIC, 0));
        Ok(())
    }
}

/// The entry of that id, for what is decided of it: a damaged one is named, so that it costs only itself.
///
/// # Errors
/// [`Refused::Gone`], [`Refused::Damaged`].
pub fn sound_entry(read: &impl Read, id: QueueId) -> Result<Entry, Halt<Refused>> {
    sound(id, read.get(&ENTRIES, &id))?.ok_or(Halt::Refused(Refused::Gone(id)))
}

/// The same for the message of an entry.
///
/// # Errors
/// [`Refused::Damaged`], also where there is none.
pub fn sound_message(read: &impl Read, id: QueueId) -> Result<Message, Halt<Refused>> {
    sound(id, read.get(&MESSAGES, &id.message))?.ok_or(Halt::Refused(Refused::Damaged(id)))
}

fn sound<T>(id: QueueId, found: Result<T, StoreError>) -> Result<T, Halt<Refused>> {
    found.map_err(|error| match error {
        StoreError::Damaged { .. } => Halt::Refused(Refused::Damaged(id)),
        error => error.into(),
    })
}

impl Refused {
    /// The entry that it is about.
    pub fn id(self) -> QueueId {
        let (Self::Gone(id) | Self::InFlight(id) | Self::Damaged(id) | Self::State(id)) = self;
        id
    }
}

impl Act {
    fn act(&self, tx: &mut Tx<'_>, id: QueueId, entry: &Entry) -> Result<(), StoreError> {
        let (kind, text) = match &self.action {
            Action::Retry => (Kind::Retried, String::new()),
            Action::Hold { reason, until: None } => (Kind::Held, reason.clone()),
            Action::Hold { reason, until: Some(until) } => (Kind::Held, format!("{reason} (until {until})")),
            Action::Release => (Kind::Released, String::new()),
            Action::Redirect { to, via } => (Kind::Redirected, redirection(to.as_ref(), via.as_ref())),
            Action::Drop => (Kind::Dropped, String::new()),
        };
        let event = Event {
            recipient: Some(entry.recipient.to_string()),
            entry: Some(id.number),
            text,
            ..Event::new(self.at, kind, self.actor.as_str())
        };
        trace::record(tx, Subject::Message(id.message), event)?;
        let (state, due) = match &self.action {
            Action::Retry => (State::Waiting { released: true }, self.at),
            Action::Hold { reason, until } => (State::Held { reason: reason.clone() }, until.unwrap_or(NEVER)),
            // For one attempt, where a rule would hold it again.
            Action::Release => (State::Waiting { released: self.is_ruled(tx, id, entry)? }, self.at),
            Action::Redirect { to, via } => return self.redirect(tx, id, entry, to.as_ref(), via.clone()),
            Action::Drop => {
                let message = message_of(tx, id)?;
                remove(tx, id, entry)?;
                return leave(tx, id.message, &message, 1, self.at);
            }
        };
        replace(tx, id, entry, &Entry { state, due, ..entry.clone() })
    }

    /// Whether a rule holds mail like this.
    fn is_ruled(&self, tx: &Tx<'_>, id: QueueId, entry: &Entry) -> Result<bool, StoreError> {
        let Some(message) = tx.get_if_sound(&MESSAGES, &id.message)? else { return Ok(false) };
        let rule = Rules::at(tx, self.at)?.of(tx, entry, message.sender.as_ref(), false)?;
        Ok(rule.is_some_and(|rule| rule.fields.action == RuleAction::Hold))
    }

    fn redirect(
        &self,
        tx: &mut Tx<'_>,
        id: QueueId,
        entry: &Entry,
        to: Option<&Address>,
        via: Option<Via>,
    ) -> Result<(), StoreError> {
        let (state, due) = match &entry.state {
            State::Held { .. } => (entry.state.clone(), entry.due),
            // Another domain, or another way, may be held for another peer, or for none.
            State::Waiting { .. } | State::Parked { .. } => (State::Waiting { released: false }, self.at),
        };
        let new = Entry { state, due, via, ..entry.clone() };
        let Some(to) = to else { return replace(tx, id, entry, &new) };
        let message = message_of(tx, id)?;
        // RFC 6531 §3.4: the envelope needs it now.
        if !to.is_ascii() && !message.smtputf8 {
            tx.put(&MESSAGES, &id.message, &Message { smtputf8: true, ..message })?;
        }
        let original = entry.original.clone().or_else(|| Some(entry.recipient.clone()));
        remove(tx, id, entry)?;
        add(tx, id, &Entry { recipient: to.clone(), original, ..new })
    }
}

/// For the trace, as in `to b@else.test by the route smart`.
fn redirection(to: Option<&Address>, via: Option<&Via>) -> String {
    let to = to.map(|to| format!("to {to}"));
    let via = via.map(|via| format!("by {via}"));
    to.into_iter().chain(via).collect::<Vec<_>>().join(" ")
}
