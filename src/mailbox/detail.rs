use std::convert::Infallible;
use std::ops::ControlFlow;

use super::content::Content;
use super::message_row::{Front, HEADS, MESSAGES, Message, OWN_LINES};
use crate::base::{MailboxId, Uid};
use crate::message::{Scanned, StructureScanner, Summary};
use crate::store::{Halt, Op, Read, Span, Store, StoreError, Tx, View};

/// Calls `each` for the summaries of the messages of a run of UIDs, in their order, until it breaks. A message whose
/// summary is not kept (it came in before there were any) is passed over: [`summarise`] reads it.
///
/// # Errors
/// [`StoreError`]
pub fn summaries(
    read: &impl Read,
    mailbox: MailboxId,
    (first, last): (Uid, Uid),
    mut each: impl FnMut(Uid, Summary) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let span = Span::range((mailbox, first)..=(mailbox, last));
    read.scan(&OWN_LINES, span, |(_, uid), front| match front.summary() {
        Some(summary) => each(uid, summary),
        None => ControlFlow::Continue(()),
    })
}

/// The same where nothing is asked for but envelopes (as [`Summary::envelope`]) and the days on which the messages were
/// sent: a list of ten thousand messages does not look at what they consist of.
///
/// # Errors
/// [`StoreError`]
pub fn envelopes(
    read: &impl Read,
    mailbox: MailboxId,
    (first, last): (Uid, Uid),
    mut each: impl FnMut(Uid, &[u8], Option<i32>) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let span = Span::range((mailbox, first)..=(mailbox, last));
    read.scan(&OWN_LINES, span, |(_, uid), front| match front.envelope() {
        Some((envelope, sent_day)) => each(uid, envelope, sent_day),
        None => ControlFlow::Continue(()),
    })
}

/// A message's summary, by reading the message where it is not kept, and keeping it from then on; `None` when it is not
/// there (any more).
///
/// # Errors
/// [`StoreError`]
pub async fn summarise(store: &Store, mailbox: MailboxId, uid: Uid) -> Result<Option<Summary>, StoreError> {
    let (head, blob) = {
        let view = store.view()?;
        let Some(front) = view.get(&OWN_LINES, &(mailbox, uid))? else { return Ok(None) };
        if let Some(summary) = front.summary() {
            return Ok(Some(summary));
        }
        let Some(row) = view.get(&MESSAGES, &(mailbox, uid))? else { return Ok(None) };
        let head = view.get(&HEADS, &row.id)?.ok_or_else(|| missing(HEADS.name(), &row))?;
        (head.bytes, row.blob)
    };
    let mut scanner = StructureScanner::new(&head);
    if let Some(blob) = blob {
        let mut body = store.blob_reader(blob);
        while let Some(piece) = body.next().await? {
            scanner.push(&piece);
        }
    }
    let scanned: Scanned = scanner.finish();
    let summary = Summary::of(&head, scanned);
    if Front::new(&[], Some(&summary)).has_summary() {
        store.ride(KeepSummary { mailbox, uid, summary: summary.clone() });
    }
    Ok(Some(summary))
}

/// A message's header block as read, from its own lines (Return-Path) to its last field, without the blank line; `None`
/// when it is not there (any more).
///
/// # Errors
/// [`StoreError`]
pub fn head(read: &impl Read, mailbox: MailboxId, uid: Uid) -> Result<Option<Vec<u8>>, StoreError> {
    match read.get(&MESSAGES, &(mailbox, uid))? {
        Some(row) => front(read, (mailbox, uid), &row).map(Some),
        None => Ok(None),
    }
}

/// Begins to read `count` octets of a message's body from `first` on, where 0 is the blank line behind the header
/// block. Only the chunks that hold them are read. `None` when the message is not there (any more).
///
/// # Errors
/// [`StoreError`]
pub fn body(
    store: &Store,
    mailbox: MailboxId,
    uid: Uid,
    first: u64,
    count: u64,
) -> Result<Option<Content>, StoreError> {
    let Some(row) = store.view()?.get(&MESSAGES, &(mailbox, uid))? else { return Ok(None) };
    let count = count.min(row.body_bytes.saturating_sub(first));
    let body = row.blob.filter(|_| count > 0).map(|blob| store.blob_reader(blob).at(first));
    Ok(Some(Content::new(Vec::new(), body, count)))
}

/// Begins to read `count` octets of a message as read (own lines, head and body), from `first` on.
///
/// # Errors
/// [`StoreError`]
pub fn content_range(
    store: &Store,
    mailbox: MailboxId,
    uid: Uid,
    first: u64,
    count: u64,
) -> Result<Option<Content>, StoreError> {
    let view = store.view()?;
    let Some(row) = view.get(&MESSAGES, &(mailbox, uid))? else { return Ok(None) };
    let count = count.min(row.size_bytes().saturating_sub(first));
    let part = Part::of(&row, first, count);
    let mut head = Vec::new();
    part.read_front(&view, (mailbox, uid), &row, &mut head)?;
    let body = row.blob.filter(|_| part.body_bytes > 0).map(|blob| store.blob_reader(blob).at(part.body_at));
    Ok(Some(Content::new(head, body, count)))
}

/// Appends `count` octets of a message as read, from `first` on, to `out`, on a view that is open; false when it is not
/// there (any more). For short messages: [`content_range`] keeps no view open while it reads a long one.
///
/// # Errors
/// [`StoreError`]
pub fn read_range(
    view: &View,
    mailbox: MailboxId,
    uid: Uid,
    (first, count): (u64, u64),
    out: &mut Vec<u8>,
) -> Result<bool, StoreError> {
    let Some(row) = view.get(&MESSAGES, &(mailbox, uid))? else { return Ok(false) };
    let part = Part::of(&row, first, count.min(row.size_bytes().saturating_sub(first)));
    part.read_front(view, (mailbox, uid), &row, out)?;
    if let Some(blob) = row.blob.filter(|_| part.body_bytes > 0) {
        view.read_blob(blob, part.body_at, part.body_bytes, out)?;
    }
    Ok(true)
}

/// The same with places in the body, as in [`body`].
///
/// # Errors
/// [`StoreError`]
pub fn read_body(
    view: &View,
    mailbox: MailboxId,
    uid: Uid,
    (first, count): (u64, u64),
    out: &mut Vec<u8>,
) -> Result<bool, StoreError> {
    let Some(row) = view.get(&MESSAGES, &(mailbox, uid))? else { return Ok(false) };
    if let Some(blob) = row.blob.filter(|_| first < row.body_bytes && count > 0) {
        view.read_blob(blob, first, count, out)?;
    }
    Ok(true)
}

/// Where octets of a message as read lie.
struct Part {
    /// In its own lines and its head.
    front: std::ops::Range<usize>,
    body_at: u64,
    body_bytes: u64,
}

impl Part {
    fn of(row: &Message, first: u64, count: u64) -> Self {
        let front_bytes = row.size_bytes() - row.body_bytes;
        let end = first.saturating_add(count);
        let (from, to) = (first.min(front_bytes), end.min(front_bytes));
        let body_at = first.saturating_sub(front_bytes);
        Self { front: from as usize..to as usize, body_at, body_bytes: end.saturating_sub(front_bytes + body_at) }
    }

    fn read_front(
        &self,
        read: &impl Read,
        at: (MailboxId, Uid),
        row: &Message,
        out: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        if !self.front.is_empty() {
            let front = front(read, at, row)?;
            out.extend_from_slice(front.get(self.front.clone()).ok_or_else(|| missing(HEADS.name(), row))?);
        }
        Ok(())
    }
}

/// A message's own lines and its head.
pub(super) fn front(read: &impl Read, at: (MailboxId, Uid), row: &Message) -> Result<Vec<u8>, StoreError> {
    let head = read.get(&HEADS, &row.id)?.ok_or_else(|| missing(HEADS.name(), row))?.bytes;
    if row.own_bytes == 0 {
        return Ok(head);
    }
    let mut front = read.get(&OWN_LINES, &at)?.ok_or_else(|| missing(OWN_LINES.name(), row))?.lines;
    front.extend(head);
    Ok(front)
}

fn missing(table: &'static str, row: &Message) -> StoreError {
    StoreError::Damaged { table, what: format!("nothing there for message {}", row.id) }
}

/// Keeps the summary of a message that came in before summaries were kept.
struct KeepSummary {
    mailbox: MailboxId,
    uid: Uid,
    summary: Summary,
}

impl Op for KeepSummary {
    /// What to write, if there is something.
    type Plan = Option<Front>;
    type Out = ();
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "mailbox.keep_summary"
    }

    fn weight_bytes(&self) -> usize {
        2048
    }

    fn is_expendable(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<Option<Front>, Halt<Infallible>> {
        let front = tx.get(&OWN_LINES, &(self.mailbox, self.uid))?.filter(|front| front.summary().is_none());
        Ok(front.map(|front| Front::new(&front.lines, Some(&self.summary))).filter(Front::has_summary))
    }

    fn apply(&self, tx: &mut Tx<'_>, front: Option<Front>) -> Result<(), StoreError> {
        front.map_or(Ok(()), |front| tx.put(&OWN_LINES, &(self.mailbox, self.uid), &front))
    }
}
