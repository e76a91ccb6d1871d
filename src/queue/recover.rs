use super::QUEUE_TOPIC;
use super::entry::{Change, Changed, replace};
use super::outcome::{Attempt, Stage, Words};
use super::row::{ENTRIES, Entry, OPEN, OpenAttempt, State};
use crate::base::{Address, Enhanced, QueueId, Timestamp};
use crate::store::{Halt, Op, Read, Span, StoreError, Topic, Tx};
use crate::trace::{self, Event, Kind, Subject};

/// Notes, before the end of data is sent, that these recipients of one message are about to be delivered. Until the
/// outcome is settled nobody may hold, bounce, drop or send them.
pub struct Open {
    /// The recipients.
    pub entries: Vec<Sending>,
    /// The attempt.
    pub attempt: OpenAttempt,
}

/// An entry as it is being sent: what the row says now, it must still have said when the message was read for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sending {
    /// The entry.
    pub id: QueueId,
    /// The address that was named to the server.
    pub recipient: Address,
}

impl Sending {
    /// An operator may have held it, or sent it elsewhere: what is delivered there is not to be recorded as delivered here.
    fn is(&self, entry: &Entry) -> bool {
        !matches!(entry.state, State::Held { .. }) && entry.recipient == self.recipient
    }
}

/// Why a message may not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenRefused {
    /// The entry is gone, was held meanwhile, or goes elsewhere now.
    #[error("{0} was changed meanwhile")]
    Changed(QueueId),
    /// Another attempt is open.
    #[error("{0} is being delivered")]
    InFlight(QueueId),
}

impl Op for Open {
    type Plan = Vec<Entry>;
    type Out = ();
    type Refused = OpenRefused;

    fn name(&self) -> &'static str {
        "queue.open"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<Vec<Entry>, Halt<OpenRefused>> {
        let mut entries = Vec::with_capacity(self.entries.len());
        for sending in &self.entries {
            let id = sending.id;
            if tx.has(&OPEN, &id)? {
                return Err(Halt::Refused(OpenRefused::InFlight(id)));
            }
            let same = tx.get(&ENTRIES, &id)?.filter(|entry| sending.is(entry));
            entries.push(same.ok_or(Halt::Refused(OpenRefused::Changed(id)))?);
        }
        Ok(entries)
    }

    fn apply(&self, tx: &mut Tx<'_>, entries: Vec<Entry>) -> Result<(), StoreError> {
        for (Sending { id, .. }, entry) in self.entries.iter().zip(entries) {
            tx.put(&OPEN, id, &self.attempt)?;
            tx.tell(|| Changed { id: *id, entry, change: Change::Opened });
        }
        Ok(())
    }
}

/// At start: closes the attempts that a crash has left open. Their outcome is uncertain: the trace says so, and the
/// entries are due at once, but what is parked still waits for its peer. An attempt whose row is damaged is closed too:
/// nobody knows to which server it was. Gives how many; call again until it is 0.
pub struct Recover {
    /// Now.
    pub at: Timestamp,
    /// At most so many at a time.
    pub limit: usize,
}

impl Op for Recover {
    type Plan = Vec<QueueId>;
    type Out = usize;
    type Refused = std::convert::Infallible;

    fn name(&self) -> &'static str {
        "queue.recover"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<Self::Plan, Halt<Self::Refused>> {
        Ok(tx.keys(&OPEN, Span::all(), self.limit)?)
    }

    fn apply(&self, tx: &mut Tx<'_>, left: Self::Plan) -> Result<usize, StoreError> {
        for id in &left {
            let unknown = || OpenAttempt { at: self.at, server: "a server".into(), actor: "delivery".into() };
            let open = tx.remove(&OPEN, id)?.unwrap_or_else(unknown);
            if let Some(entry) = tx.get_if_sound(&ENTRIES, id)? {
                self.close(tx, *id, &entry, &open)?;
            }
        }
        if !left.is_empty() {
            tx.announce(Topic(QUEUE_TOPIC, 0));
        }
        Ok(left.len())
    }
}

impl Recover {
    fn close(&self, tx: &mut Tx<'_>, id: QueueId, entry: &Entry, open: &OpenAttempt) -> Result<(), StoreError> {
        let text = format!("the server stopped before {} had answered: it may have the message", open.server);
        let server = open.server.split(' ').next().map(str::to_owned);
        let event = Event {
            recipient: Some(entry.recipient.to_string()),
            entry: Some(id.number),
            server: server.clone(),
            stage: Some(Stage::End.to_string()),
            text: text.clone(),
            ..Event::new(self.at, Kind::Uncertain, open.actor.as_str())
        };
        trace::record(tx, Subject::Message(id.message), event)?;
        let last = Attempt {
            at: open.at,
            actor: open.actor.clone(),
            server,
            server_ip: None,
            tls: None,
            stage: Stage::End,
            // RFC 3463 §3.5: bad connection
            words: Words::own(Enhanced(4, 4, 2), text),
            duration_ms: 0,
        };
        let due = if matches!(entry.state, State::Waiting { .. }) { self.at } else { entry.due };
        let attempts = entry.attempts.saturating_add(1);
        replace(tx, id, entry, &Entry { due, attempts, last: Some(last), ..entry.clone() })
    }
}
