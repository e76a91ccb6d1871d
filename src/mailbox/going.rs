use std::convert::Infallible;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::expunge::{Removal, remove_message};
use super::log::MODSEQ_LOG;
use super::message_row::MESSAGES;
use super::row::{KEYWORDS, MAILBOX_BY_NAME, MAILBOXES, MailboxRef, SUBSCRIPTIONS, USAGE, Usage};
use super::{MAILBOX_TOPIC, MAILBOXES_TOPIC, edit, usage};
use crate::base::{AccountId, MailboxId, Timestamp, limits};
use crate::directory;
use crate::postcard_row;
use crate::store::{Halt, Op, Read, Span, Store, StoreError, Table, Topic, Tx};

/// The mailboxes that are deleted, whose messages and log are still to be removed: nothing else knows them any more.
pub(super) static GOING: Table<MailboxId, Going> = Table::new("mailboxes_going");
/// The accounts that are deleted, and had too much beside their messages to lose it in one transaction.
pub(super) static GOING_ACCOUNTS: Table<AccountId, Going> = Table::new("accounts_going");

/// The bus topic of something that is to be swept.
const GOING_TOPIC: &str = "mailbox.going";
/// So long the sweep rests after a fault of ours.
const REST: Duration = Duration::from_secs(60);
/// Rows of a log that are read together: each may be long.
const LOG_ROWS: usize = 100;

/// What was deleted, by whom and how: for the trace of its messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Going {
    /// The account's address.
    pub(super) owner: Option<String>,
    /// The mailbox's name; of an account: nothing.
    pub(super) mailbox: Option<String>,
    pub(super) by: String,
    pub(super) at: Timestamp,
    pub(super) text: String,
    /// What the messages held is kept for a time.
    pub(super) is_kept: bool,
}
postcard_row!(Going, 1);

/// Whether the mailbox is deleted, and its messages are not all removed yet.
pub(super) fn is_going(read: &impl Read, mailbox: MailboxId) -> Result<bool, StoreError> {
    read.has(&GOING, &mailbox)
}

/// Whether what the mailbox holds is lost to everybody, although its rows are still there.
pub(super) fn is_lost(read: &impl Read, mailbox: MailboxId) -> Result<bool, StoreError> {
    if let Some(going) = read.get_if_sound(&GOING, &mailbox)? {
        return Ok(!going.is_kept);
    }
    match read.get_if_sound(&MAILBOXES, &mailbox)? {
        Some(row) => read.has(&GOING_ACCOUNTS, &row.account),
        None => Ok(false),
    }
}

/// Deletes a mailbox: from here on nobody finds it, its messages count for nothing, and the sweep removes them.
pub(super) fn let_go(tx: &mut Tx<'_>, id: MailboxId, going: &Going) -> Result<(), StoreError> {
    let row = edit::mailbox_row(tx, id)?;
    let all = usage(tx, row.account)?;
    let left = Usage {
        size_bytes: all.size_bytes.saturating_sub(row.size_bytes),
        messages: all.messages.saturating_sub(u64::from(row.messages)),
    };
    if left != all {
        tx.put(&USAGE, &row.account, &left)?;
    }
    tx.remove(&KEYWORDS, &id)?;
    tx.remove(&MAILBOXES, &id)?;
    tx.remove(&MAILBOX_BY_NAME, &(row.account, row.name.clone()))?;
    tx.put(&GOING, &id, &Going { mailbox: Some(row.name), ..going.clone() })?;
    tx.announce(Topic(MAILBOX_TOPIC, u64::from(id.0)));
    tx.announce(Topic(MAILBOXES_TOPIC, u64::from(row.account.0)));
    tx.announce(Topic(GOING_TOPIC, 0));
    Ok(())
}

/// Lets all mailboxes of an account go that the directory has just removed: at once, unless they are a great many.
pub(super) fn let_account_go(tx: &mut Tx<'_>, account: AccountId, going: &Going) -> Result<(), StoreError> {
    let mut budget = Budget::new();
    if !sweep_account(tx, account, going, &mut budget)? {
        tx.put(&GOING_ACCOUNTS, &account, going)?;
        tx.announce(Topic(GOING_TOPIC, 0));
    }
    Ok(())
}

/// Removes a slice of what was deleted, so much that others wait for it no longer than for a batch: call again while it
/// says that there may be more.
#[derive(Debug, Clone, Copy)]
pub struct Sweep;

/// What one transaction may still do.
struct Budget {
    /// Messages, and what counts as one.
    messages: usize,
    /// Octets of what is kept of them.
    kept_bytes: usize,
}

impl Budget {
    fn new() -> Self {
        Self { messages: limits::SWEPT_MESSAGES, kept_bytes: limits::SWEPT_HEADS_BYTES }
    }
}

impl Op for Sweep {
    type Plan = ();
    /// Whether there may be more.
    type Out = bool;
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "mailbox.sweep"
    }

    fn weight_bytes(&self) -> usize {
        limits::SWEPT_HEADS_BYTES
    }

    fn runs_when_full(&self) -> bool {
        // It writes no head then: to delete must make room.
        true
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<Infallible>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<bool, StoreError> {
        let mut budget = Budget::new();
        while budget.messages > 0 && budget.kept_bytes > 0 {
            if let Some((id, going)) = tx.first(&GOING, Span::all())? {
                match tx.has(&MAILBOXES, &id)? {
                    // A mark that can only be wrong: what somebody can still see is not removed.
                    true => drop(tx.remove(&GOING, &id)?),
                    false => sweep_mailbox(tx, id, &going, &mut budget)?,
                }
            } else if let Some((id, going)) = tx.first(&GOING_ACCOUNTS, Span::all())? {
                let is_there = directory::account_by_id(tx, id)?.is_some();
                if is_there || sweep_account(tx, id, &going, &mut budget)? {
                    tx.remove(&GOING_ACCOUNTS, &id)?;
                }
            } else {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Removes messages, then the log, then the mark.
fn sweep_mailbox(tx: &mut Tx<'_>, id: MailboxId, going: &Going, budget: &mut Budget) -> Result<(), StoreError> {
    let Going { by, at, text, is_kept, owner, mailbox } = going;
    let removal = Removal { by, peer_ip: None, at: *at, text, is_kept: *is_kept };
    let place = (owner.as_deref(), mailbox.as_deref().unwrap_or_default());
    for (key, message) in tx.rows(&MESSAGES, Span::prefix(&id), budget.messages)? {
        let kept_bytes = remove_message(tx, key, &message, place, &removal)?;
        budget.messages -= 1;
        budget.kept_bytes = budget.kept_bytes.saturating_sub(kept_bytes);
        if budget.kept_bytes == 0 {
            return Ok(());
        }
    }
    while budget.messages > 0 {
        let rows = tx.rows(&MODSEQ_LOG, Span::prefix(&id), LOG_ROWS.min(budget.messages))?;
        if rows.is_empty() {
            budget.messages -= 1;
            return tx.remove(&GOING, &id).map(drop);
        }
        budget.messages -= rows.len();
        for (key, _) in rows {
            tx.remove(&MODSEQ_LOG, &key)?;
        }
    }
    Ok(())
}

/// Lets mailboxes go and removes subscriptions; whether there are none left.
fn sweep_account(tx: &mut Tx<'_>, id: AccountId, going: &Going, budget: &mut Budget) -> Result<bool, StoreError> {
    for (key, MailboxRef(mailbox)) in tx.rows(&MAILBOX_BY_NAME, Span::prefix(&id), budget.messages)? {
        budget.messages -= 1;
        match tx.get_if_sound(&MAILBOXES, &mailbox)? {
            Some(row) if row.account == id && row.name == key.1 => let_go(tx, mailbox, going)?,
            // A name that leads to what is another's is damage that ends here,
            Some(_) => drop(tx.remove(&MAILBOX_BY_NAME, &key)?),
            // and a row that can't be read keeps neither the account nor its messages.
            None => {
                tx.remove(&MAILBOXES, &mailbox)?;
                tx.remove(&KEYWORDS, &mailbox)?;
                tx.remove(&MAILBOX_BY_NAME, &key)?;
                tx.put(&GOING, &mailbox, &Going { mailbox: Some(key.1), ..going.clone() })?;
            }
        }
    }
    let subscriptions = tx.rows(&SUBSCRIPTIONS, Span::prefix(&id), budget.messages)?;
    budget.messages -= subscriptions.len();
    for (key, _) in subscriptions {
        tx.remove(&SUBSCRIPTIONS, &key)?;
    }
    let is_done = budget.messages > 0;
    if is_done {
        tx.remove(&USAGE, &id)?;
        budget.messages -= 1;
    }
    Ok(is_done)
}

/// Removes what was deleted, slice by slice, until `stop` is cancelled: also what the last run of the server has left.
pub async fn sweep(store: Store, stop: CancellationToken) {
    let mut watch = store.bus().watch(GOING_TOPIC);
    loop {
        match store.write(Sweep).await.map(|more| more.into_inner()) {
            Ok(true) if !stop.is_cancelled() => {}
            Ok(_) => {
                let heard = stop.run_until_cancelled(watch.next()).await;
                if heard.flatten().is_none() {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "what was deleted could not be removed from the file");
                if stop.run_until_cancelled(tokio::time::sleep(REST)).await.is_none() {
                    return;
                }
            }
        }
    }
}
