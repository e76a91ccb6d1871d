use std::collections::BTreeMap;
use std::sync::Arc;

use super::Context;
use super::desk::Desk;
use super::lanes::{Bundle, Recipient, Turn};
use crate::base::{DomainName, QueueId, limits};
use crate::queue::{self, Entry, Outcome, Rules, Stage, State, Verdict, Waiting};
use crate::smtp::client::{Courier, Mail, NotOpened, Room};
use crate::store::{Read, StoreError};

/// The mail that waits for some domains, for a session with a peer: what the schedule says is passed over, what is held
/// by an operator is not sent. Each entry is offered once; what comes in during the session is sent in it.
pub struct PeerCourier {
    context: Arc<Context>,
    /// Each with the last entry that was looked at: ids only ever rise, so that what comes in stands behind it.
    domains: BTreeMap<DomainName, Option<QueueId>>,
    /// Recipients of the last message that the peer does not take in the same transaction.
    rest: Option<Bundle>,
    desk: Desk,
}

impl PeerCourier {
    /// A courier for what waits for `domains`. `actor` is for the trace, as in `atrn branch`.
    pub fn new(context: Arc<Context>, domains: Vec<DomainName>, actor: String) -> Self {
        let desk = Desk::new(Arc::clone(&context), actor);
        Self { context, domains: domains.into_iter().map(|domain| (domain, None)).collect(), rest: None, desk }
    }

    /// Waits until every outcome is in the file: a session that broke did not come to the end of its mail.
    pub async fn finish(&mut self) {
        self.desk.finish().await;
    }

    /// The next message of which some entry is free: with all its free entries in these domains.
    fn pick(&mut self) -> Result<Option<Bundle>, StoreError> {
        let view = self.context.store.view()?;
        let now = self.context.now();
        if queue::pause(&view, now)?.is_some() {
            return Ok(None);
        }
        let rules = Rules::at(&view, now)?;
        while let Some(first) = self.first(&view)? {
            let id = first.id.message;
            let mut recipients = Vec::new();
            let sender = queue::message_if_sound(&view, id)?.and_then(|message| message.sender);
            for waiting in queue::entries_of_message(&view, id)? {
                let host = &waiting.entry.recipient.host;
                let is_ours = host.name().is_some_and(|domain| match self.domains.get(domain) {
                    Some(seen) => seen.is_none_or(|seen| waiting.id > seen),
                    None => false,
                });
                if !is_ours || !is_for_peers(&waiting.entry) || recipients.len() >= limits::TRANSACTION_RECIPIENTS {
                    continue;
                }
                let is_released = matches!(waiting.entry.state, State::Waiting { released: true });
                if rules.of(&view, &waiting.entry, sender.as_ref(), is_released)?.is_some() {
                    continue;
                }
                if let Some(claim) = self.context.claims.claim(waiting.id) {
                    recipients.push(Recipient { id: waiting.id, address: waiting.entry.recipient, _claim: claim });
                }
            }
            let last = recipients.last().map_or(first.id, |recipient| recipient.id);
            // Looked at up to here, in every domain: what a message has beyond one transaction stands behind it.
            for seen in self.domains.values_mut() {
                *seen = Some(seen.map_or(last, |seen| seen.max(last)));
            }
            if !recipients.is_empty() {
                // In the order in which they came: its own mail is all that a peer is served.
                return Ok(Some(Bundle { message: id, turn: Turn::default(), recipients }));
            }
        }
        Ok(None)
    }

    /// The first entry, by id, of any of the domains that was not looked at yet.
    fn first(&self, read: &impl Read) -> Result<Option<Waiting>, StoreError> {
        let mut first: Option<Waiting> = None;
        for (domain, after) in &self.domains {
            let next = queue::entries_of_domain(read, domain.as_str(), *after, 1)?.pop();
            first = match (first, next) {
                (Some(first), Some(next)) if first.id < next.id => Some(first),
                (first, next) => next.or(first),
            };
        }
        Ok(first)
    }
}

impl Courier for PeerCourier {
    async fn next(&mut self, room: Room) -> Option<Mail> {
        // Its claims end: the client has no use for it.
        drop(self.desk.take_left());
        loop {
            if self.context.stop.is_cancelled() {
                return None;
            }
            let picked = match self.rest.take() {
                Some(rest) => Ok(Some(rest)),
                None => self.pick(),
            };
            match picked {
                Ok(Some(mut bundle)) => {
                    self.rest = bundle.cut(room);
                    if let Some(mail) = self.desk.load(bundle, is_for_peers) {
                        return Some(mail);
                    }
                }
                Ok(None) => {
                    self.desk.finish().await;
                    return None;
                }
                Err(error) => {
                    tracing::error!(%error, "the queue can't be read");
                    return None;
                }
            }
        }
    }

    async fn open(&mut self, recipients: &[QueueId]) -> Result<(), NotOpened> {
        self.desk.open(recipients).await
    }

    fn sign_again(&self, converted: Vec<u8>) -> Vec<u8> {
        self.desk.sign_again(converted)
    }

    async fn settle(&mut self, outcomes: Vec<Outcome>) {
        self.desk.settle(outcomes).await;
    }
}

/// What an operator has given another way goes that way, unless it is that of a peer.
fn is_for_peers(entry: &Entry) -> bool {
    match entry.state {
        State::Waiting { .. } => entry.via.is_none(),
        State::Parked { .. } => true,
        State::Held { .. } => false,
    }
}

/// Whether a peer's listener knows no MAIL, because it is for ATRN alone: that says nothing of the message.
// RFC 2645 §5.1; RFC 5321 §4.2.4
pub fn is_no_mail_here(outcome: &Outcome) -> bool {
    let attempt = &outcome.attempt;
    outcome.verdict == Verdict::Failed
        && attempt.stage == Stage::Sender
        && matches!(attempt.words.code, Some(500 | 502 | 503))
}
