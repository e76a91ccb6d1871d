use std::sync::Arc;

use super::Context;
use super::board::Board;
use super::desk::{Desk, is_waiting};
use super::lanes::Bundle;
use super::peer::is_no_mail_here;
use super::way::{To, Way};
use crate::base::QueueId;
use crate::queue::{Attempt, Outcome, Stage, Verdict};
use crate::smtp::client::{Courier, Mail, NotOpened, Room};

/// Who sends what the schedule says, for the trace.
pub(super) const ACTOR: &str = "delivery";

/// Brings a destination's mail to a session, as long as there is some.
pub(super) struct QueueCourier {
    context: Arc<Context>,
    board: Arc<Board>,
    key: String,
    /// A peer is dialled, at the port where it gives mail: it may take none there.
    is_peer: bool,
    /// What the session was begun for.
    first: Option<Bundle>,
    /// Recipients of the last message that the server does not take in the same transaction.
    rest: Option<Bundle>,
    pub(super) desk: Desk,
}

impl QueueCourier {
    pub(super) fn new(context: Arc<Context>, board: Arc<Board>, key: String, way: &Way, first: Bundle) -> Self {
        let desk = Desk::new(Arc::clone(&context), ACTOR.to_owned());
        let is_peer = matches!(way.to, To::Peer { .. });
        Self { context, board, key, is_peer, first: Some(first), rest: None, desk }
    }

    /// Puts what the session has in its hands first again: another server is tried.
    pub(super) fn rewind(&mut self) {
        if let Some(left) = self.desk.take_left() {
            self.first = Some(left);
        }
    }

    /// Settles what the session has in its hands without a server; whether there was something.
    pub(super) async fn give_up(&mut self, verdict: Verdict, attempt: &Attempt, dialogue: &Arc<str>) -> bool {
        self.rewind();
        let Some(bundle) = self.first.take() else { return false };
        let outcome =
            |id: QueueId| Outcome { dialogue: Arc::clone(dialogue), ..Outcome::new(id, verdict, attempt.clone()) };
        let outcomes = bundle.recipients.iter().map(|recipient| outcome(recipient.id)).collect();
        self.desk.hold(bundle);
        self.desk.settle(outcomes).await;
        true
    }

    /// The same for all that is ready for the destination.
    pub(super) async fn give_up_all(&mut self, verdict: Verdict, attempt: &Attempt, dialogue: &Arc<str>) {
        while self.give_up(verdict, attempt, dialogue).await {
            self.first = self.board.next(&self.key);
        }
    }

    /// Keeps recipients for the session's next message.
    fn put_by(&mut self, rest: Bundle) {
        if let Some(other) = self.rest.replace(rest) {
            self.board.give_back(&self.key, other);
        }
    }

    /// Waits until every outcome is in the file, and gives back what has none.
    pub(super) async fn finish(&mut self) {
        self.desk.finish().await;
        self.rewind();
        for bundle in self.first.take().into_iter().chain(self.rest.take()) {
            self.board.give_back(&self.key, bundle);
        }
    }
}

impl Courier for QueueCourier {
    async fn next(&mut self, room: Room) -> Option<Mail> {
        // What the client has dropped without an outcome is for another session.
        if let Some(left) = self.desk.take_left() {
            self.board.give_back(&self.key, left);
            return None;
        }
        loop {
            if self.context.stop.is_cancelled() {
                return None;
            }
            let mut bundle = match self.first.take().or_else(|| self.rest.take()) {
                Some(first) => first,
                None => self.board.next(&self.key)?,
            };
            if let Some(rest) = bundle.cut(room) {
                self.put_by(rest);
            }
            let now = self.context.now();
            if let Some(mail) = self.desk.load(bundle, |entry| is_waiting(entry) && entry.due <= now) {
                return Some(mail);
            }
        }
    }

    async fn open(&mut self, recipients: &[QueueId]) -> Result<(), NotOpened> {
        self.desk.open(recipients).await
    }

    fn sign_again(&self, converted: Vec<u8>) -> Vec<u8> {
        self.desk.sign_again(converted)
    }

    async fn settle(&mut self, mut outcomes: Vec<Outcome>) {
        for outcome in outcomes.iter_mut().filter(|outcome| self.is_peer && is_no_mail_here(outcome)) {
            // What is released to the peer waits for it again.
            outcome.verdict = Verdict::Deferred;
        }
        let delivered = outcomes.iter().filter(|outcome| outcome.verdict == Verdict::Delivered).count();
        self.board.answered(&self.key, delivered);
        if !outcomes.is_empty() && outcomes.iter().all(puts_off) {
            self.board.slowed(&self.key);
        }
        self.desk.settle(outcomes).await;
    }
}

/// Whether the server, and not only the recipient's mailbox, takes no more at the moment.
fn puts_off(outcome: &Outcome) -> bool {
    let Attempt { stage, words, .. } = &outcome.attempt;
    let is_of_server = matches!(stage, Stage::Sender | Stage::Data | Stage::End);
    outcome.verdict == Verdict::Deferred && is_of_server && words.code.is_some_and(|code| (400..500).contains(&code))
}
