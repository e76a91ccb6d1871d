use std::collections::{HashSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task;
use std::time::Duration;

use tokio::runtime::Handle;

use super::Context;
use super::lanes::{Bundle, Recipient};
use crate::base::{Enhanced, OriginalRecipient, QueueId, RcptOptions, limits};
use crate::queue::{self, Attempt, Entry, OpenAttempt, Outcome, Stage, State, Verdict, Words};
use crate::smtp::client::{self, Mail, NotOpened};
use crate::store::{StoreError, WriteError};
use crate::{dkim, intake};

/// How often an outcome is written that the store could not take.
const WRITES_MAX: u32 = 5;
/// How long it is waited for between two of these.
const WRITE_PAUSE: Duration = Duration::from_secs(1);

type Writing = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What every courier does: it reads a message, opens the attempt, writes the outcome.
pub(super) struct Desk {
    context: Arc<Context>,
    actor: String,
    /// The server that is spoken to, for the open attempt.
    pub(super) server: String,
    /// What is with the client now, without those whose outcome is known.
    current: Option<Bundle>,
    /// Of these, the ones whose attempt is open.
    opened: Vec<QueueId>,
    /// Outcomes that are on their way into the file.
    settling: VecDeque<Writing>,
    /// Outcomes that were given.
    pub(super) settled: usize,
    /// The store did not take an attempt.
    pub(super) not_opened: bool,
}

impl Desk {
    pub(super) fn new(context: Arc<Context>, actor: String) -> Self {
        let server = actor.clone();
        let (current, opened, settling) = (None, Vec::new(), VecDeque::new());
        Self { context, actor, server, current, opened, settling, settled: 0, not_opened: false }
    }

    /// Reads a message for those of its recipients that are still to be sent to, which is for `is_wanted` to say: since
    /// they were picked much may have happened. `None`: for none of them.
    pub(super) fn load(&mut self, bundle: Bundle, is_wanted: impl Fn(&Entry) -> bool) -> Option<Mail> {
        debug_assert!(self.current.is_none(), "one message at a time");
        match self.read(bundle, is_wanted) {
            Ok(Some((bundle, mail))) => {
                self.current = Some(bundle);
                Some(mail)
            }
            Ok(None) => None,
            Err(error) => {
                tracing::error!(%error, "a queued message can't be read");
                None
            }
        }
    }

    fn read(
        &self,
        mut bundle: Bundle,
        is_wanted: impl Fn(&Entry) -> bool,
    ) -> Result<Option<(Bundle, Mail)>, StoreError> {
        let store = &self.context.store;
        let view = store.view()?;
        let mut wanted = Vec::with_capacity(bundle.recipients.len());
        let mut recipients = Vec::with_capacity(bundle.recipients.len());
        for recipient in bundle.recipients {
            let is_free = !queue::is_open(&view, recipient.id)?;
            // It may go elsewhere by now.
            let is_meant = |entry: &Entry| entry.recipient == recipient.address && is_wanted(entry);
            let entry = queue::entry_if_sound(&view, recipient.id)?;
            if let Some(entry) = entry.filter(|entry| is_free && is_meant(entry)) {
                let (id, address) = (recipient.id, recipient.address.clone());
                recipients.push(client::Recipient { id, address, options: asked_of(&entry) });
                wanted.push(recipient);
            }
        }
        if wanted.is_empty() {
            return Ok(None);
        }
        bundle.recipients = wanted;
        let message = queue::message(&view, bundle.message)?;
        let Some(message) = message.filter(|message| !message.is_early(self.context.now())) else { return Ok(None) };
        drop(view);
        let Some(content) = queue::content(store, bundle.message)? else { return Ok(None) };
        let mail = Mail {
            id: bundle.message,
            sender: message.return_path.or(message.sender),
            recipients,
            eight_bit: message.eight_bit,
            smtputf8: message.smtputf8,
            options: message.options,
            content,
        };
        Ok(Some((bundle, mail)))
    }

    /// A message that was converted on its way out, signed anew where we had signed it. Mail is worth more than its
    /// signature: it goes also where the keys can't be read.
    pub(super) fn sign_again(&self, converted: Vec<u8>) -> Vec<u8> {
        let Context { store, clock, outbound, .. } = &*self.context;
        let unsigned = converted.clone();
        let signed = store.view().and_then(|view| outbound.signers.sign_again(&view, converted, clock.now()));
        signed.unwrap_or_else(|error| {
            tracing::error!(%error, "a converted message can't be signed anew");
            // The seal of before holds no more, and nobody could add another to a chain that is broken.
            dkim::split_seal(&unsigned).map_or_else(|| unsigned.clone(), |(_, rest)| rest.to_vec())
        })
    }

    /// Notes that the end of data is about to be sent.
    pub(super) async fn open(&mut self, recipients: &[QueueId]) -> Result<(), NotOpened> {
        let attempt =
            OpenAttempt { at: self.context.clock.now(), server: self.server.clone(), actor: self.actor.clone() };
        // From the moment on at which it may be in the file.
        self.opened = recipients.to_vec();
        let wanted: HashSet<QueueId> = recipients.iter().copied().collect();
        let current = self.current.iter().flat_map(|bundle| &bundle.recipients);
        let entries = current.filter(|recipient| wanted.contains(&recipient.id)).map(Recipient::sending).collect();
        let opened = self.context.store.write(queue::Open { entries, attempt }).await;
        opened.map(drop).map_err(|error| {
            self.opened.clear();
            self.not_opened = true;
            NotOpened(match error {
                WriteError::Refused(refused) => refused.to_string(),
                error => error.to_string(),
            })
        })
    }

    /// Writes outcomes down. They are handed to the store at once and in their order; that they are in the file is not
    /// waited for, so that a session has one sync to wait for with each message, that of its attempt.
    pub(super) async fn settle(&mut self, outcomes: Vec<Outcome>) {
        if outcomes.is_empty() {
            return;
        }
        self.settled += outcomes.len();
        let done = self.release(&outcomes);
        let mut writing: Writing = Box::pin(write(Arc::clone(&self.context), outcomes, done));
        if begin(&mut writing).is_pending() {
            self.settling.push_back(writing);
        }
        while self.settling.len() > limits::SETTLING {
            self.settle_first().await;
        }
    }

    /// Waits until every outcome is in the file.
    pub(super) async fn finish(&mut self) {
        while !self.settling.is_empty() {
            self.settle_first().await;
        }
    }

    /// What was given to the client and has no outcome.
    pub(super) fn take_left(&mut self) -> Option<Bundle> {
        self.current.take().filter(|bundle| !bundle.recipients.is_empty())
    }

    /// Takes something that the client was not given, to settle it without.
    pub(super) fn hold(&mut self, bundle: Bundle) {
        self.current = Some(bundle);
    }

    async fn settle_first(&mut self) {
        if let Some(writing) = self.settling.front_mut() {
            writing.await;
            self.settling.pop_front();
        }
    }

    /// Those with an outcome leave what is with the client; their claims last until it is in the file.
    fn release(&mut self, outcomes: &[Outcome]) -> Vec<Recipient> {
        self.opened.retain(|id| outcomes.iter().all(|outcome| outcome.entry != *id));
        let Some(current) = &mut self.current else { return Vec::new() };
        let has_outcome = |recipient: &Recipient| outcomes.iter().any(|outcome| outcome.entry == recipient.id);
        let (done, left) = std::mem::take(&mut current.recipients).into_iter().partition(has_outcome);
        current.recipients = left;
        if current.recipients.is_empty() {
            self.current = None;
        }
        done
    }
}

/// A session that ends in the middle of an attempt, by a panic or because nobody waits for it any more, gives no outcome,
/// and until the next start nobody would send what is open. Whether it was taken is uncertain.
impl Drop for Desk {
    fn drop(&mut self) {
        let opened = std::mem::take(&mut self.opened);
        let (Some(first), Ok(runtime)) = (opened.first(), Handle::try_current()) else { return };
        tracing::error!(message = %first.message, server = self.server, "a session ended in the middle of an attempt");
        let attempt = Attempt {
            at: self.context.clock.now(),
            actor: self.actor.clone(),
            server: self.server.split(' ').next().map(str::to_owned),
            server_ip: None,
            tls: None,
            stage: Stage::End,
            // RFC 3463 §3.4: other or undefined mail system status
            words: Words::own(Enhanced(4, 3, 0), "the session broke off before the server had answered"),
            duration_ms: 0,
        };
        let outcome = |entry| Outcome::new(entry, Verdict::Deferred, attempt.clone());
        let claims = self.current.take().map(|bundle| bundle.recipients).unwrap_or_default();
        runtime.spawn(write(Arc::clone(&self.context), opened.into_iter().map(outcome).collect(), claims));
    }
}

/// The first step of a write puts it into the store's queue; from there on it is done whether it is waited for or not.
fn begin(writing: &mut Writing) -> task::Poll<()> {
    writing.as_mut().poll(&mut task::Context::from_waker(task::Waker::noop()))
}

/// Writes outcomes, again and again where the store has a bad moment: an attempt that stays open is sent by nobody.
async fn write(context: Arc<Context>, outcomes: Vec<Outcome>, claims: Vec<Recipient>) {
    for turn in 1..=WRITES_MAX {
        let op = intake::Settle {
            outcomes: outcomes.clone(),
            outbound: Arc::clone(&context.outbound),
            at: context.now(),
            jitter: context.jitter(),
        };
        match context.store.write(op).await {
            Ok(_) => {
                outcomes.iter().for_each(note);
                drop(claims);
                return wake_if_due(&context, &outcomes);
            }
            Err(WriteError::Refused(refused)) => {
                tracing::error!(%refused, "an outcome was refused");
                return drop(claims);
            }
            Err(WriteError::Closed(_)) => return drop(claims),
            Err(error) => {
                tracing::error!(%error, turn, "an outcome could not be written");
                tokio::time::sleep(WRITE_PAUSE).await;
            }
        }
    }
    strand(&context, &outcomes).await;
    drop(claims);
}

/// Where the clock was set, what was put off may be due before its claim has ended: a look that came between has passed
/// over it, and no other one would come for a while.
fn wake_if_due(context: &Context, outcomes: &[Outcome]) {
    let Ok(view) = context.store.view() else { return };
    let now = context.now();
    let is_due = |outcome: &Outcome| {
        let entry = queue::entry_if_sound(&view, outcome.entry);
        outcome.verdict == Verdict::Deferred && entry.is_ok_and(|entry| entry.is_some_and(|entry| entry.due <= now))
    };
    if outcomes.iter().any(is_due) {
        context.wake();
    }
}

/// Leaves what can't be settled to an operator, by an op that does as little as there is to do.
async fn strand(context: &Context, outcomes: &[Outcome]) {
    for outcome in outcomes {
        let what = match outcome.verdict {
            Verdict::Delivered => "it was delivered",
            Verdict::Deferred => "it was deferred",
            Verdict::Failed => "it was refused for good",
        };
        let strand = queue::Strand {
            entries: vec![outcome.entry],
            actor: outcome.attempt.actor.clone(),
            reason: format!("{what}, which could not be written down: see the log"),
            at: context.now(),
        };
        if let Err(error) = context.store.write(strand).await {
            tracing::error!(%error, queue_id = %outcome.entry, "an entry stays in its attempt until the next start");
        }
    }
}

/// One line for each attempt; what the other side said goes to the log as a text value: its formats escape that.
fn note(outcome: &Outcome) {
    let Outcome { entry, verdict, attempt, .. } = outcome;
    tracing::info!(
        event = "delivery_attempt",
        msg_id = %entry.message,
        queue_id = %entry,
        outcome = match verdict {
            Verdict::Delivered => "relayed",
            Verdict::Deferred => "deferred",
            Verdict::Failed => "failed",
        },
        actor = attempt.actor,
        server = attempt.server.as_deref(),
        peer_ip = attempt.server_ip.map(tracing::field::display),
        stage = %attempt.stage,
        code = attempt.words.code,
        enhanced = attempt.words.enhanced.map(|(class, subject, detail)| format!("{class}.{subject}.{detail}")),
        elapsed_ms = attempt.duration_ms,
        text = attempt.words.text,
        "an attempt has ended"
    );
}

/// What the next server is asked for a recipient. Where an alias has led elsewhere, it is told the name that the sender
/// had used.
// RFC 3461 §5.2.1, §5.2.7.1
fn asked_of(entry: &Entry) -> RcptOptions {
    let named = || {
        let original = entry.original.as_ref().filter(|original| original.is_ascii())?;
        Some(OriginalRecipient { kind: "rfc822".to_owned(), address: original.to_string() })
    };
    RcptOptions { original: entry.options.original.clone().or_else(named), ..entry.options.clone() }
}

/// Whether an operator, a peer's wish or the schedule lets it go now.
pub(super) fn is_waiting(entry: &Entry) -> bool {
    matches!(entry.state, State::Waiting { .. })
}
