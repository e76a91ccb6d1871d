use std::collections::HashMap;
use std::ops::ControlFlow;

use super::content::inbox;
use super::row::{
    HEADS, MAILBOX_BY_NAME, MAILBOXES, MESSAGES, MODSEQ_LOG, Mailbox, MailboxRef, Message, OWN_LINES, USAGE, Usage,
};
use crate::base::{AccountId, BlobId, MailboxId, MessageId, Uid};
use crate::directory;
use crate::store::{AnyTable, CrossCheck, Findings, Key, Read, Row, Span, StoreError, Table, View};

/// The room's tables.
pub const TABLES: &[&dyn AnyTable] =
    &[&MAILBOXES, &MAILBOX_BY_NAME, &MESSAGES, &OWN_LINES, &HEADS, &USAGE, &MODSEQ_LOG];

/// The room's cross-checks.
pub const CHECKS: &[CrossCheck] = &[
    CrossCheck { name: "mailboxes and their accounts", run: check_mailboxes },
    CrossCheck { name: "messages and what they consist of", run: check_messages },
];

/// Calls `each` for every reference that the room has taken to a body: one for a copy of a message.
///
/// # Errors
/// [`StoreError`].
pub fn references(view: &View, mut each: impl FnMut(BlobId)) -> Result<(), StoreError> {
    view.scan(&MESSAGES, Span::all(), |_, message| {
        message.blob.into_iter().for_each(&mut each);
        ControlFlow::Continue(())
    })
}

/// Scans a table with reads of others in between.
fn each<K: Key, V: Row>(
    view: &View,
    table: &Table<K, V>,
    mut act: impl FnMut(K, V) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut outcome = Ok(());
    view.scan(table, Span::all(), |key, row| {
        outcome = act(key, row);
        if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    outcome
}

/// Mailboxes, their names and accounts belong together; every account has an INBOX.
fn check_mailboxes(view: &View, findings: &mut Findings) -> Result<(), StoreError> {
    each(view, &MAILBOXES, |id, mailbox| {
        let name = view.get(&MAILBOX_BY_NAME, &(mailbox.account, mailbox.name.clone()))?;
        if name != Some(MailboxRef(id)) {
            findings.add(format!("mailbox_by_name: {} does not lead to mailbox {id}", mailbox.name));
        }
        if directory::account_by_id(view, mailbox.account)?.is_none() {
            findings.add(format!("mailboxes: mailbox {id} is of account {}, which is not there", mailbox.account));
        }
        Ok(())
    })?;
    each(view, &MAILBOX_BY_NAME, |(account, name), MailboxRef(id)| {
        let mailbox = view.get(&MAILBOXES, &id)?;
        if !mailbox.is_some_and(|mailbox| mailbox.account == account && mailbox.name == name) {
            findings
                .add(format!("mailbox_by_name: {name} of account {account} leads to mailbox {id}, which is not it"));
        }
        Ok(())
    })?;
    for account in directory::accounts(view, None, None, usize::MAX)? {
        if inbox(view, account.id)?.is_none() {
            findings.add(format!("mailboxes: {} has no INBOX", account.address));
        }
    }
    each(view, &MODSEQ_LOG, |(id, modseq), _| {
        match view.get(&MAILBOXES, &id)? {
            None => findings.add(format!("modseq_log: a row of mailbox {id}, which is not there")),
            Some(mailbox) if modseq > mailbox.modseq => {
                findings.add(format!("modseq_log: {modseq} of mailbox {id} is above its highest"));
            }
            Some(_) => {}
        }
        Ok(())
    })
}

#[derive(Default)]
struct Totals {
    mailboxes: HashMap<MailboxId, Usage>,
    accounts: HashMap<AccountId, Usage>,
    heads: HashMap<MessageId, u32>,
}

impl Usage {
    fn add(&mut self, size_bytes: u64) {
        self.size_bytes += size_bytes;
        self.messages += 1;
    }
}

/// Every message has its parts, of the sizes that it says, and all counts are the sums of the messages.
fn check_messages(view: &View, findings: &mut Findings) -> Result<(), StoreError> {
    let mut totals = Totals::default();
    each(view, &MESSAGES, |(id, uid), message| {
        totals.mailboxes.entry(id).or_default().add(message.size_bytes());
        *totals.heads.entry(message.id).or_default() += 1;
        let Some(mailbox) = view.get(&MAILBOXES, &id)? else {
            findings.add(format!("messages: a row of mailbox {id}, which is not there"));
            return Ok(());
        };
        totals.accounts.entry(mailbox.account).or_default().add(message.size_bytes());
        check_message(view, findings, (id, uid), &message, &mailbox)
    })?;
    each(view, &HEADS, |id, head| {
        let messages = totals.heads.get(&id).copied().unwrap_or(0);
        if head.references != messages {
            findings
                .add(format!("heads: {id} counts {} references, and {messages} messages point to it", head.references));
        }
        Ok(())
    })?;
    each(view, &OWN_LINES, |(id, uid), _| {
        if !view.has(&MESSAGES, &(id, uid))? {
            findings.add(format!("own_lines: uid {uid} of mailbox {id} is no message"));
        }
        Ok(())
    })?;
    each(view, &MAILBOXES, |id, mailbox| {
        let sum = totals.mailboxes.get(&id).copied().unwrap_or_default();
        if (sum.messages, sum.size_bytes) != (u64::from(mailbox.messages), mailbox.size_bytes) {
            findings.add(format!("mailboxes: mailbox {id} does not say what its {} messages take", sum.messages));
        }
        Ok(())
    })?;
    check_usage(view, findings, totals.accounts)
}

fn check_message(
    view: &View,
    findings: &mut Findings,
    at: (MailboxId, Uid),
    message: &Message,
    mailbox: &Mailbox,
) -> Result<(), StoreError> {
    let mut fault =
        |what: &str| findings.add(format!("messages: uid {} of mailbox {} ({}): {what}", at.1, at.0, message.id));
    if at.1 >= mailbox.uid_next {
        fault("its uid is not below the next one");
    }
    if message.modseq > mailbox.modseq {
        fault("its modseq is above the mailbox's highest");
    }
    let own = view.get(&OWN_LINES, &at)?.map(|lines| lines.0.len());
    if own != Some(message.own_bytes as usize) {
        fault("its own lines are not of the size that it says");
    }
    let head = view.get(&HEADS, &message.id)?.map(|head| head.bytes.len());
    if head != Some(message.head_bytes as usize) {
        fault("its head is not of the size that it says");
    }
    let body = match message.blob {
        Some(blob) => view.blob(blob)?.map(|blob| blob.size_bytes),
        None => Some(0),
    };
    if body != Some(message.body_bytes) {
        fault("its body is not of the size that it says");
    }
    Ok(())
}

fn check_usage(view: &View, findings: &mut Findings, mut sums: HashMap<AccountId, Usage>) -> Result<(), StoreError> {
    each(view, &USAGE, |account, usage| {
        if usage != sums.remove(&account).unwrap_or_default() {
            findings.add(format!("usage: account {account} does not say what its mail takes"));
        }
        if directory::account_by_id(view, account)?.is_none() {
            findings.add(format!("usage: a row of account {account}, which is not there"));
        }
        Ok(())
    })?;
    for account in sums.keys() {
        findings.add(format!("usage: account {account} has mail and no row"));
    }
    Ok(())
}
