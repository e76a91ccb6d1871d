use std::convert::Infallible;
use std::sync::Arc;

use super::accept::own_lines;
use super::bounce::Bounce;
use super::outbound::Outbound;
use crate::base::{Enhanced, PassedOn, QueueId, Timestamp};
use crate::directory::{self, Account};
use crate::mailbox::{self, Incoming, Placement};
use crate::message::{StructureScanner, Summary};
use crate::queue::{self, Attempt, Entry, Message, Outcome, Stage, State, Verdict, Words};
use crate::store::{Halt, Op, Store, StoreError, Tx};

/// Who does what nobody asked for at this moment, for the trace.
const ACTOR: &str = "delivery";

/// Puts a queued message into the INBOX of its recipient, who is an account here: what its sender had put off until now.
/// Where the account is gone, the sender is told so; where it has no room, it is tried again.
// RFC 4865 §4
pub struct BringHome {
    entry: QueueId,
    summary: Summary,
    outbound: Arc<Outbound>,
    at: Timestamp,
    jitter: u32,
}

impl BringHome {
    /// Reads the message, for [`Store::write`]; `None` when it is not in the queue any more.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn prepare(
        store: &Store,
        entry: QueueId,
        outbound: Arc<Outbound>,
        at: Timestamp,
        jitter: u32,
    ) -> Result<Option<Self>, StoreError> {
        let Some(mut content) = queue::content(store, entry.message)? else { return Ok(None) };
        // The first piece is the whole head.
        let Some(head) = content.next().await? else { return Ok(None) };
        let mut scanner = StructureScanner::new(&head);
        while let Some(piece) = content.next().await? {
            scanner.push(&piece);
        }
        let summary = Summary::of(&head, scanner.finish());
        Ok(Some(Self { entry, summary, outbound, at, jitter }))
    }

    fn outcome(&self, tx: &mut Tx<'_>, message: &Message, entry: &Entry) -> Result<Outcome, StoreError> {
        let (verdict, words) = match directory::account(tx, &entry.recipient)? {
            None => (Verdict::Failed, Words::own(Enhanced(5, 1, 1), "the account is not here any more")),
            Some(account) if !account.fields.enabled => {
                (Verdict::Failed, Words::own(Enhanced(5, 2, 1), "the mailbox is disabled"))
            }
            Some(account) => match self.deliver(tx, message, &account)? {
                true => {
                    let what = format!("to the INBOX of {}", account.address);
                    (Verdict::Delivered, Words::own(Enhanced(2, 1, 5), what))
                }
                false => (Verdict::Deferred, Words::own(Enhanced(4, 2, 2), "the mailbox is full")),
            },
        };
        let attempt = Attempt {
            at: self.at,
            actor: ACTOR.to_owned(),
            server: None,
            server_ip: None,
            tls: None,
            stage: Stage::Mailbox,
            words,
            duration_ms: 0,
        };
        // There is nobody behind us who could report.
        Ok(Outcome { passed_on: PassedOn::default(), ..Outcome::new(self.entry, verdict, attempt) })
    }

    /// Whether there was room.
    fn deliver(&self, tx: &mut Tx<'_>, message: &Message, account: &Account) -> Result<bool, StoreError> {
        let Some(mailbox) = mailbox::inbox(tx, account.id)? else { return Ok(false) };
        let head = queue::head(tx, self.entry.message)?.unwrap_or_default();
        let own_lines = own_lines(message.sender.as_ref(), &account.address);
        let size_bytes = (own_lines.len() + head.len()) as u64 + message.body_bytes;
        if !mailbox::fits(tx, account, size_bytes)? {
            return Ok(false);
        }
        if let Some(blob) = message.blob {
            tx.retain_blob(blob, 1)?;
        }
        let incoming = Incoming {
            id: self.entry.message,
            head: &head,
            blob: message.blob,
            body_bytes: message.body_bytes,
            summary: Some(&self.summary),
            at: self.at,
        };
        mailbox::deliver(tx, &incoming, &[Placement { mailbox, own_lines: &own_lines }])?;
        Ok(true)
    }
}

impl Op for BringHome {
    type Plan = Option<(Message, Entry)>;
    type Out = ();
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "intake.bring_home"
    }

    fn weight_bytes(&self) -> usize {
        64 * 1024 + self.summary.envelope.len() + 512 * self.summary.structure.parts.len()
    }

    /// What was held, sent elsewhere or put off meanwhile is left alone.
    fn check(&self, tx: &Tx<'_>) -> Result<Self::Plan, Halt<Infallible>> {
        let is_ready = |entry: &Entry| matches!(entry.state, State::Waiting { .. }) && entry.due <= self.at;
        let entry = queue::entry(tx, self.entry)?.filter(is_ready);
        let message = queue::message(tx, self.entry.message)?.filter(|message| !message.is_early(self.at));
        let is_open = queue::open_attempt(tx, self.entry)?.is_some();
        Ok(message.zip(entry).filter(|_| !is_open))
    }

    fn apply(&self, tx: &mut Tx<'_>, plan: Self::Plan) -> Result<(), StoreError> {
        let Some((message, entry)) = plan else { return Ok(()) };
        let outcome = self.outcome(tx, &message, &entry)?;
        let settled = queue::settle(tx, &[outcome], &self.outbound.policy, self.at, self.jitter)?;
        match settled.as_ref().and_then(|settlement| Bounce::of(settlement, &self.outbound, self.at)) {
            Some(bounce) => bounce.send(tx),
            None => Ok(()),
        }
    }
}
