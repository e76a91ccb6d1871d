use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use super::content::inbox;
use super::log::{Change, ChangeKind, MODSEQ_LOG};
use super::message_row::{COPIES, HEADS, MESSAGES, Message, OWN_LINES};
use super::row::{
    KEYWORDS, Keywords, MAILBOX_BY_NAME, MAILBOXES, Mailbox, MailboxRef, SUBSCRIPTIONS, Subscription, USAGE, Usage,
};
use super::runs::Runs;
use super::{INBOX, SpecialUse};
use crate::base::{AccountId, BlobId, MailboxId, MessageId, ModSeq, SystemFlags, Uid, limits};
use crate::directory;
use crate::store::{CrossCheck, Findings, Key, Read, Row, Span, StoreError, Table, View};

/// The room's cross-checks.
pub const CHECKS: &[CrossCheck] = &[
    CrossCheck { name: "mailboxes and their accounts", run: check_mailboxes },
    CrossCheck { name: "what belongs to mailboxes and accounts", run: check_belongings },
    CrossCheck { name: "mailboxes and their logs", run: check_logs },
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

/// Mailboxes, their names and accounts belong together; every account has an INBOX, and one mailbox at most for each use.
fn check_mailboxes(view: &View, findings: &mut Findings) -> Result<(), StoreError> {
    let mut uses: HashSet<(AccountId, SpecialUse)> = HashSet::new();
    each(view, &MAILBOXES, |id, mailbox| {
        let name = view.get(&MAILBOX_BY_NAME, &(mailbox.account, mailbox.name.clone()))?;
        if name != Some(MailboxRef(id)) {
            findings.add(format!("mailbox_by_name: {} does not lead to mailbox {id}", mailbox.name));
        }
        if directory::account_by_id(view, mailbox.account)?.is_none() {
            findings.add(format!("mailboxes: mailbox {id} is of account {}, which is not there", mailbox.account));
        }
        if mailbox.special_use.is_some_and(|special_use| !uses.insert((mailbox.account, special_use))) {
            findings.add(format!("mailboxes: mailbox {id} is not the only one of its account for its use"));
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
    Ok(())
}

/// Keywords belong to mailboxes, subscriptions to accounts.
fn check_belongings(view: &View, findings: &mut Findings) -> Result<(), StoreError> {
    each(view, &KEYWORDS, |id, Keywords(names)| {
        if view.get(&MAILBOXES, &id)?.is_none() {
            findings.add(format!("keywords: a row of mailbox {id}, which is not there"));
        }
        let distinct: HashSet<String> =
            names.iter().filter(|name| !name.is_empty()).map(|name| name.to_ascii_lowercase()).collect();
        let used = names.iter().filter(|name| !name.is_empty()).count();
        if distinct.len() != used || names.len() > limits::KEYWORDS {
            findings.add(format!("keywords: those of mailbox {id} are too many, or one is there twice"));
        }
        Ok(())
    })?;
    each(view, &SUBSCRIPTIONS, |(account, name), Subscription(subscribed)| {
        if directory::account_by_id(view, account)?.is_none() {
            findings.add(format!("subscriptions: a row of account {account}, which is not there"));
        }
        if subscribed == (name == INBOX) {
            findings.add(format!("subscriptions: the row of account {account} for {name} says nothing"));
        }
        Ok(())
    })
}

/// A log has one row for each modseq from its floor to the mailbox's highest.
fn check_logs(view: &View, findings: &mut Findings) -> Result<(), StoreError> {
    let mut rows: HashMap<MailboxId, u64> = HashMap::new();
    each(view, &MODSEQ_LOG, |(id, modseq), _| {
        *rows.entry(id).or_default() += 1;
        match view.get(&MAILBOXES, &id)? {
            None => findings.add(format!("modseq_log: a row of mailbox {id}, which is not there")),
            Some(mailbox) if modseq > mailbox.modseq => {
                findings.add(format!("modseq_log: {modseq} of mailbox {id} is above its highest"));
            }
            Some(mailbox) if modseq <= mailbox.log_floor => {
                findings.add(format!("modseq_log: {modseq} of mailbox {id} is below its floor"));
            }
            Some(_) => {}
        }
        Ok(())
    })?;
    each(view, &MAILBOXES, |id, mailbox| {
        // The modseq of a new mailbox is 1, and nothing has changed yet.
        let expected = mailbox.modseq.0.saturating_sub(mailbox.log_floor.0.max(1));
        let found = rows.get(&id).copied().unwrap_or_default();
        if found != expected {
            findings.add(format!("modseq_log: mailbox {id} has {found} rows instead of {expected}"));
        }
        Ok(())
    })
}

#[derive(Default)]
struct Totals {
    mailboxes: HashMap<MailboxId, Counts>,
    accounts: HashMap<AccountId, Usage>,
    heads: HashMap<MessageId, u32>,
    copies: HashSet<(AccountId, MessageId, u32)>,
}

/// What the messages of a mailbox come to.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
struct Counts {
    messages: u32,
    size_bytes: u64,
    unseen: u32,
    deleted: u32,
}

impl Counts {
    fn add(&mut self, message: &Message) {
        self.messages += 1;
        self.size_bytes += message.size_bytes();
        self.unseen += u32::from(!message.flags.has(SystemFlags::SEEN));
        self.deleted += u32::from(message.flags.has(SystemFlags::DELETED));
    }
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
    let mut beside = Beside::default();
    each(view, &MESSAGES, |(id, uid), message| {
        totals.mailboxes.entry(id).or_default().add(&message);
        *totals.heads.entry(message.id).or_default() += 1;
        let Some(mailbox) = view.get(&MAILBOXES, &id)? else {
            findings.add(format!("messages: a row of mailbox {id}, which is not there"));
            return Ok(());
        };
        totals.accounts.entry(mailbox.account).or_default().add(message.size_bytes());
        if message.copy > 0 && !totals.copies.insert((mailbox.account, message.id, message.copy)) {
            findings.add(format!("messages: copy {} of {} is there twice", message.copy, message.id));
        }
        check_message(view, findings, (id, uid), &message, &mailbox)?;
        beside.check(view, findings, (id, uid), &message, &mailbox)
    })?;
    check_heads(view, findings, &totals.heads)?;
    each(view, &OWN_LINES, |(id, uid), _| {
        if !view.has(&MESSAGES, &(id, uid))? {
            findings.add(format!("own_lines: uid {uid} of mailbox {id} is no message"));
        }
        Ok(())
    })?;
    each(view, &MAILBOXES, |id, mailbox| {
        let sum = totals.mailboxes.get(&id).copied().unwrap_or_default();
        let Mailbox { messages, size_bytes, unseen, deleted, .. } = mailbox;
        if sum != (Counts { messages, size_bytes, unseen, deleted }) {
            findings.add(format!("mailboxes: mailbox {id} does not say what its {} messages take", sum.messages));
        }
        Ok(())
    })?;
    check_usage(view, findings, totals.accounts)
}

/// A head counts the messages that it belongs to, copies inside an account in a row of their own.
fn check_heads(view: &View, findings: &mut Findings, heads: &HashMap<MessageId, u32>) -> Result<(), StoreError> {
    each(view, &HEADS, |id, head| {
        let copies = view.get(&COPIES, &id)?.unwrap_or_default().references;
        let (counted, messages) = (head.references + copies, heads.get(&id).copied().unwrap_or(0));
        if counted != messages {
            findings.add(format!("heads: {id} counts {counted} references, and {messages} messages point to it"));
        }
        Ok(())
    })?;
    each(view, &COPIES, |id, _| {
        if !heads.contains_key(&id) {
            findings.add(format!("copies: {id} is no message"));
        }
        Ok(())
    })
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
    let front = view.get(&OWN_LINES, &at)?;
    if front.as_ref().map(|front| front.lines.len()) != Some(message.own_bytes as usize) {
        fault("its own lines are not of the size that it says");
    }
    if front.is_some_and(|front| front.has_summary() && front.summary().is_none()) {
        fault("its summary can't be read");
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
    if view.get(&COPIES, &message.id)?.unwrap_or_default().last < message.copy {
        fault("its copy's number was not given out");
    }
    Ok(())
}

/// What messages that follow each other have in common, so that it is read once.
#[derive(Default)]
struct Beside {
    keywords: Option<(MailboxId, u128)>,
    log: Option<((MailboxId, ModSeq), Option<Runs>)>,
}

impl Beside {
    /// The message's keywords have names, and the log tells of its last change.
    fn check(
        &mut self,
        view: &View,
        findings: &mut Findings,
        at: (MailboxId, Uid),
        message: &Message,
        mailbox: &Mailbox,
    ) -> Result<(), StoreError> {
        let mut fault = |what: &str| findings.add(format!("messages: uid {} of mailbox {}: {what}", at.1, at.0));
        let named = match self.keywords {
            Some((id, named)) if id == at.0 => named,
            _ => self.keywords.insert((at.0, named_keywords(view, at.0)?)).1,
        };
        if message.keywords & !named != 0 {
            fault("it has a keyword without a name");
        }
        let place = (at.0, message.modseq);
        if message.modseq <= mailbox.log_floor {
            return Ok(());
        }
        if self.log.as_ref().is_none_or(|(known, _)| *known != place) {
            let change = view.get(&MODSEQ_LOG, &place)?;
            let change = change.filter(|Change { kind, .. }| matches!(kind, ChangeKind::Added | ChangeKind::Flags));
            self.log = Some((place, change.map(|change| Runs::new(&change.uids))));
        }
        if !self.log.as_ref().is_some_and(|(_, uids)| uids.as_ref().is_some_and(|uids| uids.has(at.1))) {
            fault("the log does not tell of its last change");
        }
        Ok(())
    }
}

fn named_keywords(view: &View, mailbox: MailboxId) -> Result<u128, StoreError> {
    let Keywords(names) = view.get(&KEYWORDS, &mailbox)?.unwrap_or_default();
    let places = names.iter().take(limits::KEYWORDS).enumerate().filter(|(_, name)| !name.is_empty());
    Ok(places.fold(0, |named, (at, _)| named | 1 << at))
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
