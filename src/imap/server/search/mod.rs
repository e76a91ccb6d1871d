//! SEARCH: what is in memory decides first, then summaries and heads, which are read in slices on the threads that read,
//! and last the text of messages, one after the other.

mod answer;
mod decide;
mod query;
mod text;

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use answer::Found;
use decide::Known;
use query::Query;

use super::context::{Context, Enabled};
use super::fault::unavailable;
use super::flags::runs;
use super::link::{End, Link};
use super::selected::{Selected, Target};
use crate::base::{MailboxId, Uid};
use crate::imap::wire::{Answer, Search};
use crate::mailbox;
use crate::store::{StoreError, View};

/// Messages that are read together.
const SLICE_MESSAGES: usize = 400;
/// Octets of a message up to which its text is read with that of others.
const SHORT_BYTES: u64 = 64 * 1024;
/// Messages whose text is read together.
const SLICE_TEXTS: usize = 100;

/// SEARCH and UID SEARCH. RFC 9051 §6.4.4, RFC 4731; the tag stands in an ESEARCH response.
pub(super) async fn search(
    link: &mut Link,
    context: &Context,
    selected: &mut Selected,
    enabled: Enabled,
    tag: &[u8],
    search: &Search<'_>,
) -> Result<Answer, End> {
    // RFC 6855 §3
    if enabled.utf8 && search.charset.is_some() {
        return Ok(Answer::bad("with UTF8=ACCEPT there is no other charset"));
    }
    let query = match Query::of(selected, search.charset.as_deref(), &search.key) {
        Ok(query) => Arc::new(query),
        Err(answer) => return Ok(answer),
    };
    let mut found = Vec::new();
    let mut open = Vec::new();
    for (number, member) in selected.told.iter() {
        let target = Target { number, member: *member };
        match query.decide(&target, Known::default()) {
            Some(true) => found.push(target),
            Some(false) => {}
            None => open.push(target),
        }
    }
    if !open.is_empty() {
        match look_closer(context, selected.mailbox, &query, open).await {
            Ok(more) => found.extend(more),
            Err(error) => return Ok(unavailable(&error)),
        }
        found.sort_unstable_by_key(|target| target.number);
    }
    let found = Found { messages: &found, is_uid: search.is_uid, tells_modseq: query.asks_modseq };
    match search.returns {
        None => found.write(link.output()),
        Some(returns) => found.write_extended(link.output(), tag, returns),
    }
    Ok(Answer::ok("SEARCH done"))
}

/// Reads what is needed of the messages that are still open; gives back those that are meant.
async fn look_closer(
    context: &Context,
    mailbox: MailboxId,
    query: &Arc<Query>,
    open: Vec<Target>,
) -> Result<Vec<Target>, StoreError> {
    let mut found = Vec::new();
    let slice_messages = if query.asks_text() { SLICE_TEXTS } else { SLICE_MESSAGES };
    for slice in open.chunks(slice_messages) {
        let (targets, asked): (Arc<[Target]>, _) = (slice.into(), Arc::clone(query));
        let decided = context.store.read(move |view| decide_slice(view, mailbox, &asked, &targets)).await?;
        for (target, decided) in slice.iter().zip(decided) {
            let is_meant = match decided {
                Some(is_meant) => is_meant,
                None => text::decide(&context.store, mailbox, query, target).await,
            };
            if is_meant {
                found.push(*target);
            }
        }
    }
    Ok(found)
}

/// Decides by summaries and heads, and by the text of short messages. Runs on a thread that reads.
fn decide_slice(
    view: &View,
    mailbox: MailboxId,
    query: &Query,
    targets: &[Target],
) -> Result<Vec<Option<bool>>, StoreError> {
    let sent = if query.asks_sent { sent_days(view, mailbox, targets)? } else { HashMap::new() };
    let mut decided = Vec::with_capacity(targets.len());
    for target in targets {
        let known = Known { sent: sent.get(&target.member.uid).copied(), ..Known::default() };
        decided.push(match decide_one(view, mailbox, query, target, known) {
            // One that can't be read is not meant, and the others are found.
            Err(StoreError::Damaged { .. }) => Some(false),
            is_meant => is_meant?,
        });
    }
    Ok(decided)
}

fn decide_one(
    view: &View,
    mailbox: MailboxId,
    query: &Query,
    target: &Target,
    known: Known<'_>,
) -> Result<Option<bool>, StoreError> {
    let is_meant = query.decide(target, known);
    if is_meant.is_some() || !(query.asks_head || query.asks_text()) {
        return Ok(is_meant);
    }
    // A message that is gone has no fields.
    let head = mailbox::head(view, mailbox, target.member.uid)?.unwrap_or_default();
    let is_meant = query.decide(target, Known { head: Some(&head), ..known });
    if is_meant.is_none() && target.member.size_bytes <= SHORT_BYTES {
        return text::decide_short(view, mailbox, query, target, &head);
    }
    Ok(is_meant)
}

/// The days on which the messages were sent, of those whose summary is kept.
fn sent_days(view: &View, mailbox: MailboxId, targets: &[Target]) -> Result<HashMap<Uid, Option<i32>>, StoreError> {
    let mut days = HashMap::with_capacity(targets.len());
    for run in runs(targets) {
        mailbox::envelopes(view, mailbox, run, |uid, _, sent_day| {
            days.insert(uid, sent_day);
            ControlFlow::Continue(())
        })?;
    }
    Ok(days)
}
