use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use super::content::inbox;
use super::going::{GOING, GOING_ACCOUNTS, is_going};
use super::log::{Change, ChangeKind, MODSEQ_LOG};
use super::message_row::{COPIES, Copies, Front, HEADS, Head, MESSAGES, Message, OWN_LINES};
use super::row::{
    KEYWORDS, Keywords, MAILBOX_BY_NAME, MAILBOXES, Mailbox, MailboxRef, NUMBERS, SUBSCRIPTIONS, Subscription, USAGE,
    Usage, VALIDITIES, highest_number, highest_validity,
};
use super::runs::Runs;
use super::{INBOX, SpecialUse};
use crate::base::{AccountId, BlobId, MailboxId, MessageId, ModSeq, SystemFlags, Uid, limits};
use crate::directory;
use crate::store::{CrossCheck, Finding, Findings, Key, Read, Row, Span, StoreError, Table, Tally, View};

/// The room's cross-checks.
pub const CHECKS: &[CrossCheck] = &[
    CrossCheck { name: "mailboxes and their accounts", run: check_mailboxes },
    CrossCheck { name: "what belongs to mailboxes and accounts", run: check_belongings },
    CrossCheck { name: "what is deleted and not removed yet", run: check_going },
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
    act: impl FnMut(K, V) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    each_of(view, table, Span::all(), act)
}

fn each_of<K: Key, V: Row>(
    view: &View,
    table: &Table<K, V>,
    span: Span<K>,
    mut act: impl FnMut(K, V) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut outcome = Ok(());
    view.scan(table, span, |key, row| {
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
            let finding = findings.add(format!("mailbox_by_name: {} does not lead to mailbox {id}", mailbox.name));
            if name.is_none() {
                finding.put(&MAILBOX_BY_NAME, &(mailbox.account, mailbox.name.clone()), &MailboxRef(id));
            }
        }
        if !has_owner(view, mailbox.account)? {
            findings.add(format!("mailboxes: mailbox {id} is of account {}, which is not there", mailbox.account));
        }
        if mailbox.special_use.is_some_and(|special_use| !uses.insert((mailbox.account, special_use))) {
            let what = format!("mailboxes: mailbox {id} is not the only one of its account for its use");
            findings.add(what).put(&MAILBOXES, &id, &Mailbox { special_use: None, ..mailbox });
        }
        Ok(())
    })?;
    each(view, &MAILBOX_BY_NAME, |(account, name), MailboxRef(id)| {
        let mailbox = view.get(&MAILBOXES, &id)?;
        if mailbox.as_ref().is_some_and(|mailbox| mailbox.account == account && mailbox.name == name) {
            return Ok(());
        }
        let what = format!("mailbox_by_name: {name} of account {account} leads to mailbox {id}, which is not it");
        let finding = findings.add(what);
        if mailbox.is_some() || is_going(view, id)? || directory::account_by_id(view, account)?.is_none() {
            finding.remove(&MAILBOX_BY_NAME, &(account, name));
        } else {
            made_anew(view, finding, account, &name, id)?;
        }
        Ok(())
    })?;
    for account in directory::accounts(view, None, None, usize::MAX)? {
        if inbox(view, account.id)?.is_none() {
            let finding = findings.add(format!("mailboxes: {} has no INBOX", account.address));
            let number = highest_number(view)?.max(view.counter(NUMBERS)?) + 1;
            if let Ok(number) = u32::try_from(number) {
                let id = MailboxId(number);
                let finding = finding.put(&MAILBOX_BY_NAME, &(account.id, INBOX.to_owned()), &MailboxRef(id));
                made_anew(view, finding.raise(NUMBERS, u64::from(number)), account.id, INBOX, id)?;
            }
        }
    }
    check_counters(view, findings)
}

/// Mends by a row for a mailbox that has lost its own, with its messages. Its UIDVALIDITY is a new one, since nobody knows
/// which UIDs were given (RFC 9051 §2.3.1.1); its counts and its log are put right behind it.
fn made_anew(
    view: &View,
    finding: Finding<'_>,
    account: AccountId,
    name: &str,
    id: MailboxId,
) -> Result<(), StoreError> {
    let mut modseq = view.last(&MODSEQ_LOG, Span::prefix(&id))?.map_or(ModSeq(1), |((_, modseq), _)| modseq);
    let mut uid_next = Uid(1);
    view.scan(&MESSAGES, Span::prefix(&id), |(_, uid), message| {
        modseq = modseq.max(message.modseq);
        uid_next = Uid(uid.0.saturating_add(1));
        ControlFlow::Continue(())
    })?;
    let last = highest_validity(view)?.max(view.counter(VALIDITIES)?);
    let Ok(uid_validity) = u32::try_from(last + 1) else { return Ok(()) };
    let mailbox = Mailbox {
        account,
        name: name.to_owned(),
        uid_validity,
        uid_next,
        modseq,
        messages: 0,
        size_bytes: 0,
        unseen: 0,
        deleted: 0,
        special_use: None,
        log_floor: modseq,
    };
    finding.put(&MAILBOXES, &id, &mailbox).raise(VALIDITIES, last + 1);
    Ok(())
}

/// No mailbox gets a number or a UIDVALIDITY that another has.
fn check_counters(view: &View, findings: &mut Findings) -> Result<(), StoreError> {
    let last = highest_number(view)?;
    if last > view.counter(NUMBERS)? {
        findings.add("mailboxes: the counter of their numbers is behind").raise(NUMBERS, last);
    }
    let highest = highest_validity(view)?;
    if highest > view.counter(VALIDITIES)? {
        findings.add("mailboxes: the counter of UIDVALIDITY is behind").raise(VALIDITIES, highest);
    }
    Ok(())
}

/// Keywords belong to mailboxes, subscriptions to accounts.
fn check_belongings(view: &View, findings: &mut Findings) -> Result<(), StoreError> {
    each(view, &KEYWORDS, |id, Keywords(names)| {
        if view.get(&MAILBOXES, &id)?.is_none() {
            findings.add(format!("keywords: a row of mailbox {id}, which is not there")).set_aside(&KEYWORDS, &id);
        }
        let distinct: HashSet<String> =
            names.iter().filter(|name| !name.is_empty()).map(|name| name.to_ascii_lowercase()).collect();
        let used = names.iter().filter(|name| !name.is_empty()).count();
        if distinct.len() != used || names.len() > limits::KEYWORDS {
            let what = format!("keywords: those of mailbox {id} are too many, or one is there twice");
            findings.add(what).put(&KEYWORDS, &id, &Keywords(distinct_keywords(names)));
        }
        Ok(())
    })?;
    each(view, &SUBSCRIPTIONS, |(account, name), Subscription(subscribed)| {
        if !has_owner(view, account)? {
            let what = format!("subscriptions: a row of account {account}, which is not there");
            findings.add(what).set_aside(&SUBSCRIPTIONS, &(account, name.clone()));
        }
        if subscribed == (name == INBOX) {
            let what = format!("subscriptions: the row of account {account} for {name} says nothing");
            findings.add(what).remove(&SUBSCRIPTIONS, &(account, name));
        }
        Ok(())
    })
}

/// Each once, at its place, as many as there may be; the bits of the others have no name.
fn distinct_keywords(mut names: Vec<String>) -> Vec<String> {
    names.truncate(limits::KEYWORDS);
    let mut seen = HashSet::new();
    for name in &mut names {
        if !seen.insert(name.to_ascii_lowercase()) {
            name.clear();
        }
    }
    names
}

/// A log has one row for each modseq from its floor to the mailbox's highest. One that has not is cut off: to read the
/// mailbox anew is what its clients then do.
fn check_logs(view: &View, findings: &mut Findings) -> Result<(), StoreError> {
    let mut rows: HashMap<MailboxId, u64> = HashMap::new();
    each(view, &MODSEQ_LOG, |(id, modseq), _| {
        *rows.entry(id).or_default() += 1;
        match view.get(&MAILBOXES, &id)? {
            None if is_going(view, id)? => {}
            None => {
                let what = format!("modseq_log: a row of mailbox {id}, which is not there");
                findings.add(what).remove(&MODSEQ_LOG, &(id, modseq));
            }
            Some(mailbox) if modseq > mailbox.modseq => {
                let finding = findings.add(format!("modseq_log: {modseq} of mailbox {id} is above its highest"));
                finding.put(&MAILBOXES, &id, &Mailbox { modseq, log_floor: modseq, ..mailbox });
            }
            Some(mailbox) if modseq <= mailbox.log_floor => {
                let what = format!("modseq_log: {modseq} of mailbox {id} is below its floor");
                findings.add(what).remove(&MODSEQ_LOG, &(id, modseq));
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
            let what = format!("modseq_log: mailbox {id} has {found} rows instead of {expected}");
            findings.add(what).put(&MAILBOXES, &id, &Mailbox { log_floor: mailbox.modseq, ..mailbox });
        }
        Ok(())
    })
}

/// Whether the account is there, or was deleted and still has mailboxes to lose.
fn has_owner(view: &View, account: AccountId) -> Result<bool, StoreError> {
    Ok(directory::account_by_id(view, account)?.is_some() || view.has(&GOING_ACCOUNTS, &account)?)
}

/// What is deleted is not there too. Where it is, it stays: mail is rather there too long than too short.
fn check_going(view: &View, findings: &mut Findings) -> Result<(), StoreError> {
    each(view, &GOING, |id, _| {
        if view.has(&MAILBOXES, &id)? {
            findings.add(format!("mailboxes_going: mailbox {id} is there, and deleted")).remove(&GOING, &id);
        }
        Ok(())
    })?;
    each(view, &GOING_ACCOUNTS, |account, _| {
        if directory::account_by_id(view, account)?.is_some() {
            let what = format!("accounts_going: account {account} is there, and deleted");
            findings.add(what).remove(&GOING_ACCOUNTS, &account);
        }
        Ok(())
    })
}

#[derive(Default)]
struct Totals {
    mailboxes: HashMap<MailboxId, Counts>,
    accounts: HashMap<AccountId, Usage>,
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
    let (mut heads, mut has_copies) = (Tally::new(limits::TALLIED_AT_ONCE), false);
    let mut beside = Beside::default();
    each(view, &MESSAGES, |(id, uid), message| {
        totals.mailboxes.entry(id).or_default().add(&message);
        heads.count(message.id);
        has_copies |= message.copy > 0;
        let Some(mailbox) = view.get(&MAILBOXES, &id)? else {
            if is_going(view, id)? {
                return Ok(());
            }
            findings.add(format!("messages: a row of mailbox {id}, which is not there"));
            return Ok(());
        };
        totals.accounts.entry(mailbox.account).or_default().add(message.size_bytes());
        check_message(view, findings, (id, uid), &message, &mailbox)?;
        beside.check(view, findings, (id, uid), &message, &mailbox)
    })?;
    check_heads(view, findings, heads)?;
    if has_copies {
        check_copies(view, findings)?;
    }
    each(view, &OWN_LINES, |(id, uid), _| {
        if !view.has(&MESSAGES, &(id, uid))? {
            let what = format!("own_lines: uid {uid} of mailbox {id} is no message");
            findings.add(what).set_aside(&OWN_LINES, &(id, uid));
        }
        Ok(())
    })?;
    each(view, &MAILBOXES, |id, mailbox| {
        let sum = totals.mailboxes.get(&id).copied().unwrap_or_default();
        let Mailbox { messages, size_bytes, unseen, deleted, .. } = mailbox;
        if sum != (Counts { messages, size_bytes, unseen, deleted }) {
            let what = format!("mailboxes: mailbox {id} does not say what its {} messages take", sum.messages);
            let Counts { messages, size_bytes, unseen, deleted } = sum;
            findings.add(what).put(&MAILBOXES, &id, &Mailbox { messages, size_bytes, unseen, deleted, ..mailbox });
        }
        Ok(())
    })?;
    check_usage(view, findings, totals.accounts)
}

/// A head counts the messages that it belongs to, copies inside an account in a row of their own.
fn check_heads(view: &View, findings: &mut Findings, mut messages: Tally<MessageId>) -> Result<(), StoreError> {
    loop {
        check_heads_of(view, findings, &messages)?;
        if !messages.begin_next() {
            return Ok(());
        }
        view.scan(&MESSAGES, Span::all(), |_, message| {
            messages.count(message.id);
            ControlFlow::Continue(())
        })?;
    }
}

/// The same for those that were counted in one pass.
fn check_heads_of(view: &View, findings: &mut Findings, counts: &Tally<MessageId>) -> Result<(), StoreError> {
    each_of(view, &HEADS, Span::range(counts.range()), |id, head| {
        let copies = view.get(&COPIES, &id)?;
        let copied = copies.unwrap_or_default().references;
        let counted = u64::from(head.references) + u64::from(copied);
        let messages = counts.get(&id);
        if counted != u64::from(messages) {
            let what = format!("heads: {id} counts {counted} references, and {messages} messages point to it");
            let finding = findings.add(what);
            if messages == 0 {
                finding.set_aside(&HEADS, &id);
                return Ok(());
            }
            let copied = copied.min(messages);
            let finding = finding.put(&HEADS, &id, &Head { references: messages - copied, ..head });
            if let Some(copies) = copies.filter(|copies| copies.references != copied) {
                finding.put(&COPIES, &id, &Copies { references: copied, ..copies });
            }
        }
        Ok(())
    })?;
    each_of(view, &COPIES, Span::range(counts.range()), |id, _| {
        if counts.get(&id) == 0 {
            findings.add(format!("copies: {id} is no message")).remove(&COPIES, &id);
        }
        Ok(())
    })
}

/// No account has two copies of a message with one number: a maildrop would have two messages of one name.
fn check_copies(view: &View, findings: &mut Findings) -> Result<(), StoreError> {
    let mut copies: Tally<(MessageId, u32, AccountId)> = Tally::new(limits::TALLIED_AT_ONCE);
    loop {
        let mut owner = None;
        each(view, &MESSAGES, |(id, _), message| {
            if message.copy > 0 {
                if owner.is_none_or(|(mailbox, _)| mailbox != id) {
                    owner = Some((id, view.get(&MAILBOXES, &id)?.map(|mailbox| mailbox.account)));
                }
                let account = owner.and_then(|(_, account)| account);
                account.into_iter().for_each(|account| copies.count((message.id, message.copy, account)));
            }
            Ok(())
        })?;
        for ((id, copy, account), _) in copies.named(2) {
            findings.add(format!("messages: account {account} has copy {copy} of {id} twice"));
        }
        if !copies.begin_next() {
            return Ok(());
        }
    }
}

fn check_message(
    view: &View,
    findings: &mut Findings,
    at: (MailboxId, Uid),
    message: &Message,
    mailbox: &Mailbox,
) -> Result<(), StoreError> {
    let text = |what: &str| format!("messages: uid {} of mailbox {} ({}): {what}", at.1, at.0, message.id);
    if at.1 >= mailbox.uid_next {
        let row = Mailbox { uid_next: Uid(at.1.0.saturating_add(1)), ..mailbox.clone() };
        findings.add(text("its uid is not below the next one")).put(&MAILBOXES, &at.0, &row);
    }
    if message.modseq > mailbox.modseq {
        let row = Mailbox { modseq: message.modseq, log_floor: message.modseq, ..mailbox.clone() };
        findings.add(text("its modseq is above the mailbox's highest")).put(&MAILBOXES, &at.0, &row);
    }
    let front = view.get(&OWN_LINES, &at)?;
    let own_bytes = front.as_ref().and_then(|front| u32::try_from(front.lines.len()).ok());
    if own_bytes != Some(message.own_bytes) {
        let finding = findings.add(text("its own lines are not of the size that it says"));
        let finding = match own_bytes {
            Some(_) => finding,
            // What the envelope said of it is lost; the message is not.
            None => finding.put(&OWN_LINES, &at, &Front::new(&[], None)),
        };
        finding.put(&MESSAGES, &at, &Message { own_bytes: own_bytes.unwrap_or(0), ..*message });
    }
    if let Some(front) = front.filter(|front| front.has_summary() && front.summary().is_none()) {
        // It is made anew when somebody asks for it.
        findings.add(text("its summary can't be read")).put(&OWN_LINES, &at, &Front::new(&front.lines, None));
    }
    let head_bytes = view.get(&HEADS, &message.id)?.and_then(|head| u32::try_from(head.bytes.len()).ok());
    if head_bytes != Some(message.head_bytes) {
        let finding = findings.add(text("its head is not of the size that it says"));
        if let Some(head_bytes) = head_bytes {
            finding.put(&MESSAGES, &at, &Message { head_bytes, ..*message });
        }
    }
    let body = match message.blob {
        Some(blob) => view.blob(blob)?.map(|blob| blob.size_bytes),
        None => Some(0),
    };
    if body != Some(message.body_bytes) {
        // Nothing says what it was.
        findings.add(text("its body is not of the size that it says"));
    }
    let copies = view.get(&COPIES, &message.id)?.unwrap_or_default();
    if copies.last < message.copy {
        let row = Copies { last: message.copy, ..copies };
        findings.add(text("its copy's number was not given out")).put(&COPIES, &message.id, &row);
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
        let text = |what: &str| format!("messages: uid {} of mailbox {}: {what}", at.1, at.0);
        let named = match self.keywords {
            Some((id, named)) if id == at.0 => named,
            _ => self.keywords.insert((at.0, named_keywords(view, at.0)?)).1,
        };
        if message.keywords & !named != 0 {
            let row = Message { keywords: message.keywords & named, ..*message };
            findings.add(text("it has a keyword without a name")).put(&MESSAGES, &at, &row);
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
            let row = Mailbox { log_floor: mailbox.modseq, ..mailbox.clone() };
            findings.add(text("the log does not tell of its last change")).put(&MAILBOXES, &at.0, &row);
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
        let sum = sums.remove(&account).unwrap_or_default();
        if usage != sum {
            let what = format!("usage: account {account} does not say what its mail takes");
            findings.add(what).put(&USAGE, &account, &sum);
        }
        if !has_owner(view, account)? {
            let finding = findings.add(format!("usage: a row of account {account}, which is not there"));
            if sum == Usage::default() {
                finding.remove(&USAGE, &account);
            }
        }
        Ok(())
    })?;
    for (account, sum) in sums {
        findings.add(format!("usage: account {account} has mail and no row")).put(&USAGE, &account, &sum);
    }
    Ok(())
}
