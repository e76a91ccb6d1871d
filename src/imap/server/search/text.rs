use std::ops::ControlFlow;

use super::decide::{Found, Known};
use super::query::Query;
use crate::base::MailboxId;
use crate::imap::server::selected::Target;
use crate::mailbox;
use crate::message::{Summary, TextSearch};
use crate::store::{Store, StoreError, View};

/// A message that is looked through.
struct Looking<'a> {
    query: &'a Query,
    target: &'a Target,
    head: &'a [u8],
    sent: Option<i32>,
    texts: TextSearch,
    bodies: TextSearch,
}

impl<'a> Looking<'a> {
    fn new(query: &'a Query, target: &'a Target, head: &'a [u8], summary: &Summary) -> Self {
        let search = |texts: &[String]| {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            TextSearch::new(&texts, &summary.structure)
        };
        let (mut texts, bodies) = (search(&query.texts), search(&query.bodies));
        // RFC 9051 §6.4.4: TEXT is the header or the body, BODY is the body alone.
        texts.push_head(head);
        Self { query, target, head, sent: summary.sent_day, texts, bodies }
    }

    /// Takes the next octets of the body, `None` at its end; the answer as soon as there is one.
    fn push(&mut self, piece: Option<&[u8]>) -> Option<bool> {
        if let Some(piece) = piece {
            if !self.query.texts.is_empty() {
                self.texts.push(piece);
            }
            if !self.query.bodies.is_empty() {
                self.bodies.push(piece);
            }
        }
        let is_final = piece.is_none();
        let known = Known {
            sent: Some(self.sent),
            head: Some(self.head),
            texts: Found { so_far: self.texts.found(), is_final },
            bodies: Found { so_far: self.bodies.found(), is_final },
        };
        self.query.decide(self.target, known)
    }
}

/// Decides by all that a short message holds, in one read; `None` when its summary is not kept.
pub(super) fn decide_short(
    view: &View,
    mailbox: MailboxId,
    query: &Query,
    target: &Target,
    head: &[u8],
) -> Result<Option<bool>, StoreError> {
    let uid = target.member.uid;
    let mut summary = None;
    mailbox::summaries(view, mailbox, (uid, uid), |_, found| {
        summary = Some(found);
        ControlFlow::Break(())
    })?;
    let Some(summary) = summary else { return Ok(None) };
    let mut looking = Looking::new(query, target, head, &summary);
    let mut body = Vec::new();
    mailbox::read_body(view, mailbox, uid, (0, u64::MAX), &mut body)?;
    Ok(looking.push(Some(&body)).or_else(|| looking.push(None)))
}

/// Decides by all that a message holds, in pieces. One that is gone, or can't be read, is not meant.
pub(super) async fn decide(store: &Store, mailbox: MailboxId, query: &Query, target: &Target) -> bool {
    match look(store, mailbox, query, target).await {
        Ok(is_meant) => is_meant.unwrap_or(false),
        Err(error) => {
            tracing::error!(%error, message = %target.member.message, "a message could not be searched");
            false
        }
    }
}

async fn look(store: &Store, mailbox: MailboxId, query: &Query, target: &Target) -> Result<Option<bool>, StoreError> {
    let uid = target.member.uid;
    let Some(summary) = mailbox::summarise(store, mailbox, uid).await? else { return Ok(None) };
    let Some(head) = mailbox::head(&store.view()?, mailbox, uid)? else { return Ok(None) };
    let mut looking = Looking::new(query, target, &head, &summary);
    let mut body = mailbox::body(store, mailbox, uid, 0, u64::MAX)?;
    loop {
        let piece = match &mut body {
            Some(body) => body.next().await?,
            None => None,
        };
        let decided = looking.push(piece.as_deref());
        if decided.is_some() || piece.is_none() {
            return Ok(decided);
        }
        // A long message is many pieces, which may all be there at once: others get their turn between.
        tokio::task::yield_now().await;
    }
}
