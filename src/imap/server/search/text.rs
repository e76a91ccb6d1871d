use super::decide::{Found, Known};
use super::query::Query;
use crate::base::MailboxId;
use crate::imap::server::selected::Target;
use crate::mailbox;
use crate::message::TextSearch;
use crate::store::{Store, StoreError};

/// Decides by all that a message holds. One that is gone, or can't be read, is not meant.
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
    let mut texts = TextSearch::new(&refs(&query.texts), &summary.structure);
    texts.push_head(&head);
    let mut bodies = TextSearch::new(&refs(&query.bodies), &summary.structure);
    let mut content = mailbox::body(store, mailbox, uid, 0, u64::MAX)?;
    loop {
        let piece = match &mut content {
            Some(content) => content.next().await?,
            None => None,
        };
        if let Some(piece) = &piece {
            texts.push(piece);
            bodies.push(piece);
        }
        let known = |found| Found { so_far: found, is_final: piece.is_none() };
        let known = Known {
            sent: Some(summary.sent_day),
            head: Some(&head),
            texts: known(texts.found()),
            bodies: known(bodies.found()),
        };
        let decided = query.decide(target, known);
        if decided.is_some() || piece.is_none() {
            return Ok(decided);
        }
    }
}

fn refs(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}
