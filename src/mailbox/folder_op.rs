use std::collections::HashSet;
use std::ops::ControlFlow;

use super::content::inbox;
use super::copy::{Translation, move_messages, moving};
use super::edit::mailbox_row;
use super::folder::{SpecialUse, below, mailboxes, superiors};
use super::going::{Going, let_go};
use super::keywords::Names;
use super::row::{
    MAILBOX_BY_NAME, MAILBOXES, Mailbox, MailboxRef, NUMBERS, SUBSCRIPTIONS, Subscription, VALIDITIES, highest_number,
    highest_validity,
};
use super::runs::Runs;
use super::{INBOX, MAILBOX_TOPIC, MAILBOXES_TOPIC};
use crate::base::{AccountId, MailboxId, ModSeq, Timestamp, Uid, limits};
use crate::directory;
use crate::store::{Halt, Op, Read, Row, Span, StoreError, Table, Topic, Tx};
use crate::trace::{Event, Kind};

/// Why a mailbox is not created, renamed or deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FolderRefused {
    /// `NO [ALREADYEXISTS]`
    #[error("there is a mailbox of that name")]
    Exists,
    /// `NO [NONEXISTENT]`
    #[error("there is no mailbox of that name")]
    NotFound,
    /// INBOX is not deleted or created. `NO [CANNOT]`
    #[error("INBOX is always there")]
    Inbox,
    /// A mailbox can't be moved below itself. `NO [CANNOT]`
    #[error("a mailbox can't be moved below itself")]
    BelowItself,
    /// [`crate::base::limits::MAILBOXES_PER_ACCOUNT`]. `NO [LIMIT]`
    #[error("the account has as many mailboxes as it may have")]
    TooMany,
    /// [`crate::base::limits::MAILBOX_NAME_BYTES`], [`crate::base::limits::MAILBOX_LEVELS`]. `NO [CANNOT]`
    #[error("a mailbox below it would get too long a name")]
    TooLong,
    /// Another mailbox of the account has that special use. `NO [USEATTR]`
    #[error("another mailbox has that special use")]
    SpecialUse,
}

/// Creates a mailbox, and those above it that are not there.
#[derive(Debug, Clone)]
pub struct CreateMailbox {
    /// Whose.
    pub account: AccountId,
    /// Its name, as [`Mailbox::name`] has it.
    pub name: String,
    /// What it is for.
    pub special_use: Option<SpecialUse>,
    /// Now.
    pub at: Timestamp,
}

/// Deletes a mailbox with its messages; those below it stay. From here on there is no such mailbox, and [`super::sweep`]
/// removes what it held.
#[derive(Debug, Clone)]
pub struct DeleteMailbox {
    /// Whose.
    pub account: AccountId,
    /// Its name.
    pub name: String,
    /// Who does it, for the trace of its messages, as in `imap alice@example.test`.
    pub by: String,
    /// Now.
    pub at: Timestamp,
}

/// Gives a mailbox, and those below it, another name. INBOX: its messages move to the new mailbox, and INBOX stays.
#[derive(Debug, Clone)]
pub struct RenameMailbox {
    /// Whose.
    pub account: AccountId,
    /// The name that it has.
    pub from: String,
    /// The name that it gets. Mailboxes above it are created where they are not there.
    pub to: String,
    /// Now.
    pub at: Timestamp,
}

/// Subscribes to a name, or no longer. The name need not be a mailbox (RFC 9051 §6.3.7).
#[derive(Debug, Clone)]
pub struct Subscribe {
    /// Who.
    pub account: AccountId,
    /// To what.
    pub name: String,
    /// Whether from now on.
    pub subscribed: bool,
}

impl Op for CreateMailbox {
    type Plan = ();
    type Out = ();
    type Refused = FolderRefused;

    fn name(&self) -> &'static str {
        "mailbox.create"
    }

    fn check(&self, tx: &Tx<'_>) -> Result<(), Halt<FolderRefused>> {
        // RFC 9051 §6.3.4
        if self.name == INBOX {
            return Err(Halt::Refused(FolderRefused::Inbox));
        }
        check_account(tx, self.account)?;
        if is_there(tx, self.account, &self.name)? {
            return Err(Halt::Refused(FolderRefused::Exists));
        }
        // RFC 6154 §3
        if is_taken(tx, self.account, self.special_use)? {
            return Err(Halt::Refused(FolderRefused::SpecialUse));
        }
        has_room(tx, self.account, missing_superiors(tx, self.account, &self.name)?.len() + 1)
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        add_superiors(tx, self.account, &self.name, self.at)?;
        add_mailbox(tx, self.account, &self.name, self.special_use, self.at).map(drop)
    }
}

impl Op for DeleteMailbox {
    type Plan = MailboxId;
    type Out = ();
    type Refused = FolderRefused;

    fn name(&self) -> &'static str {
        "mailbox.delete"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<MailboxId, Halt<FolderRefused>> {
        // RFC 9051 §6.3.5
        if self.name == INBOX {
            return Err(Halt::Refused(FolderRefused::Inbox));
        }
        let found = tx.get(&MAILBOX_BY_NAME, &(self.account, self.name.clone()))?;
        found.map(|MailboxRef(id)| id).ok_or(Halt::Refused(FolderRefused::NotFound))
    }

    fn apply(&self, tx: &mut Tx<'_>, id: MailboxId) -> Result<(), StoreError> {
        let owner = directory::account_by_id(tx, self.account)?.map(|account| account.address.to_string());
        let going = Going {
            owner,
            mailbox: None,
            by: self.by.clone(),
            at: self.at,
            text: "the mailbox was deleted".to_owned(),
            is_kept: true,
        };
        let_go(tx, id, &going)
    }
}

/// What a [`RenameMailbox`] renames.
#[derive(Debug)]
pub enum RenamePlan {
    /// The messages of INBOX move to the new name.
    Inbox(MailboxId),
    /// Mailboxes and the names that they get.
    Mailboxes(Vec<(MailboxId, String)>),
}

impl Op for RenameMailbox {
    type Plan = RenamePlan;
    type Out = ();
    type Refused = FolderRefused;

    fn name(&self) -> &'static str {
        "mailbox.rename"
    }

    fn weight_bytes(&self) -> usize {
        limits::BATCH_BYTES
    }

    fn check(&self, tx: &Tx<'_>) -> Result<RenamePlan, Halt<FolderRefused>> {
        if self.to == INBOX || is_there(tx, self.account, &self.to)? {
            return Err(Halt::Refused(FolderRefused::Exists));
        }
        let missing = missing_superiors(tx, self.account, &self.to)?.len();
        // RFC 9051 §6.3.6: of INBOX only the messages move, and what is below it stays.
        if self.from == INBOX {
            has_room(tx, self.account, missing + 1)?;
            return inbox(tx, self.account)?.map(RenamePlan::Inbox).ok_or(Halt::Refused(FolderRefused::NotFound));
        }
        if below(&self.to, &self.from).is_some() {
            return Err(Halt::Refused(FolderRefused::BelowItself));
        }
        let renamed = self.renamed(tx)?;
        if renamed.is_empty() {
            return Err(Halt::Refused(FolderRefused::NotFound));
        }
        // A name that nobody can type would hide its mail.
        if renamed.iter().any(|(_, name)| is_too_long(name)) {
            return Err(Halt::Refused(FolderRefused::TooLong));
        }
        let moving: HashSet<MailboxId> = renamed.iter().map(|(id, _)| *id).collect();
        for (_, name) in &renamed {
            let holder = tx.get(&MAILBOX_BY_NAME, &(self.account, name.clone()))?;
            if holder.is_some_and(|MailboxRef(id)| !moving.contains(&id)) {
                return Err(Halt::Refused(FolderRefused::Exists));
            }
        }
        has_room(tx, self.account, missing)?;
        Ok(RenamePlan::Mailboxes(renamed))
    }

    fn apply(&self, tx: &mut Tx<'_>, plan: RenamePlan) -> Result<(), StoreError> {
        match plan {
            RenamePlan::Inbox(inbox) => {
                add_superiors(tx, self.account, &self.to, self.at)?;
                let to = add_mailbox(tx, self.account, &self.to, None, self.at)?;
                Names::read(tx, inbox)?.copied_to(to).write(tx)?;
                let all = Runs::new(&[(Uid(1), Uid(u32::MAX))]).below(mailbox_row(tx, inbox)?.uid_next);
                let event = moving(tx, (inbox, to), Event::new(self.at, Kind::Moved, "rename"))?;
                move_messages(tx, (inbox, to), &all, &Translation::none(), &event).map(drop)
            }
            RenamePlan::Mailboxes(renamed) => {
                self.rename(tx, renamed)?;
                // Now, when the old names are free: one of them may stand above the new one.
                add_superiors(tx, self.account, &self.to, self.at)
            }
        }
    }
}

impl RenameMailbox {
    /// What is renamed, and the names that it gets: the mailbox, and those below it.
    fn renamed(&self, read: &impl Read) -> Result<Vec<(MailboxId, String)>, StoreError> {
        let mut found = Vec::new();
        if let Some(MailboxRef(id)) = read.get(&MAILBOX_BY_NAME, &(self.account, self.from.clone()))? {
            found.push((id, self.to.clone()));
        }
        // `0` stands behind `/`.
        let all_below =
            Span::range((self.account, format!("{}/", self.from))..(self.account, format!("{}0", self.from)));
        read.scan(&MAILBOX_BY_NAME, all_below, |(_, name), MailboxRef(id)| {
            found.extend(below(&name, &self.from).map(|rest| (id, format!("{}/{rest}", self.to))));
            ControlFlow::Continue(())
        })?;
        // One whose row is damaged stays where it is, and costs the account none of the others.
        let mut sound = Vec::with_capacity(found.len());
        for (id, name) in found {
            if read.get_if_sound(&MAILBOXES, &id)?.is_some() {
                sound.push((id, name));
            }
        }
        Ok(sound)
    }

    fn rename(&self, tx: &mut Tx<'_>, renamed: Vec<(MailboxId, String)>) -> Result<(), StoreError> {
        let mut rows = Vec::with_capacity(renamed.len());
        for (id, name) in renamed {
            let row = mailbox_row(tx, id)?;
            tx.remove(&MAILBOX_BY_NAME, &(self.account, row.name.clone()))?;
            rows.push((id, Mailbox { name, ..row }));
        }
        for (id, row) in rows {
            tx.put(&MAILBOX_BY_NAME, &(self.account, row.name.clone()), &MailboxRef(id))?;
            tx.put(&MAILBOXES, &id, &row)?;
            tx.announce(Topic(MAILBOX_TOPIC, u64::from(id.0)));
        }
        announce(tx, self.account);
        Ok(())
    }
}

impl Op for Subscribe {
    type Plan = ();
    type Out = ();
    type Refused = FolderRefused;

    fn name(&self) -> &'static str {
        "mailbox.subscribe"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<(), Halt<FolderRefused>> {
        check_account(tx, self.account)?;
        let is_new = self.subscribed && !tx.has(&SUBSCRIPTIONS, &(self.account, self.name.clone()))?;
        if is_new && count(tx, &SUBSCRIPTIONS, self.account)? >= limits::MAILBOXES_PER_ACCOUNT {
            return Err(Halt::Refused(FolderRefused::TooMany));
        }
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        set_subscription(tx, self.account, &self.name, self.subscribed)?;
        announce(tx, self.account);
        Ok(())
    }
}

/// A session may outlive its account.
fn check_account(tx: &Tx<'_>, account: AccountId) -> Result<(), Halt<FolderRefused>> {
    match directory::account_by_id(tx, account)? {
        Some(_) => Ok(()),
        None => Err(Halt::Refused(FolderRefused::NotFound)),
    }
}

fn is_too_long(name: &str) -> bool {
    name.len() > limits::MAILBOX_NAME_BYTES || name.split('/').count() > limits::MAILBOX_LEVELS
}

/// Makes the mailboxes of a new account: INBOX and one for each special use, subscribed.
pub(super) fn add_first_mailboxes(tx: &mut Tx<'_>, account: AccountId, at: Timestamp) -> Result<(), StoreError> {
    add_mailbox(tx, account, INBOX, None, at)?;
    for (special_use, _, name) in SpecialUse::ALL {
        add_mailbox(tx, account, name, Some(special_use), at)?;
        set_subscription(tx, account, name, true)?;
    }
    Ok(())
}

pub(super) fn add_mailbox(
    tx: &mut Tx<'_>,
    account: AccountId,
    name: &str,
    special_use: Option<SpecialUse>,
    at: Timestamp,
) -> Result<MailboxId, StoreError> {
    let id = MailboxId(fit("mailbox number", tx.next(NUMBERS, highest_number)?)?);
    let uid_validity = next_uid_validity(tx, at)?;
    let mailbox = Mailbox {
        account,
        name: name.to_owned(),
        uid_validity,
        uid_next: Uid(1),
        // RFC 7162 §3.1.2.1: never 0
        modseq: ModSeq(1),
        messages: 0,
        size_bytes: 0,
        unseen: 0,
        deleted: 0,
        special_use,
        log_floor: ModSeq(1),
    };
    tx.put(&MAILBOXES, &id, &mailbox)?;
    tx.put(&MAILBOX_BY_NAME, &(account, name.to_owned()), &MailboxRef(id))?;
    announce(tx, account);
    Ok(id)
}

/// A UIDVALIDITY that no mailbox had.
// RFC 9051 §2.3.1.1: the time of creation makes a new mailbox of an old name another one; rising above all that were
// given before, it does so whatever the clock does, and whoever is renamed to what.
pub(super) fn next_uid_validity(tx: &mut Tx<'_>, at: Timestamp) -> Result<u32, StoreError> {
    let least = (at.ms() / 1000).clamp(1, u64::from(u32::MAX / 2));
    fit("UIDVALIDITY", tx.next_from(VALIDITIES, least, highest_validity)?)
}

fn fit(counter: &str, number: u64) -> Result<u32, StoreError> {
    u32::try_from(number)
        .map_err(|_| StoreError::Damaged { table: "counters", what: format!("{counter} {number} does not fit") })
}

/// Makes the mailboxes above a name that are not there.
// RFC 9051 §6.3.4
pub(super) fn add_superiors(tx: &mut Tx<'_>, account: AccountId, name: &str, at: Timestamp) -> Result<(), StoreError> {
    for above in missing_superiors(tx, account, name)? {
        add_mailbox(tx, account, above, None, at)?;
    }
    Ok(())
}

pub(super) fn missing_superiors<'a>(
    read: &impl Read,
    account: AccountId,
    name: &'a str,
) -> Result<Vec<&'a str>, StoreError> {
    let mut missing = Vec::new();
    for above in superiors(name) {
        if !is_there(read, account, above)? {
            missing.push(above);
        }
    }
    Ok(missing)
}

fn is_there(read: &impl Read, account: AccountId, name: &str) -> Result<bool, StoreError> {
    read.has(&MAILBOX_BY_NAME, &(account, name.to_owned()))
}

/// Whether a mailbox has that special use. Only who asks for one has the rows of all mailboxes read.
pub(super) fn is_taken(
    read: &impl Read,
    account: AccountId,
    special_use: Option<SpecialUse>,
) -> Result<bool, StoreError> {
    Ok(special_use.is_some() && mailboxes(read, account)?.iter().any(|(_, mailbox)| mailbox.special_use == special_use))
}

pub(super) fn has_room(read: &impl Read, account: AccountId, more: usize) -> Result<(), Halt<FolderRefused>> {
    if count(read, &MAILBOX_BY_NAME, account)? + more > limits::MAILBOXES_PER_ACCOUNT {
        return Err(Halt::Refused(FolderRefused::TooMany));
    }
    Ok(())
}

/// How many names an account has in a table: one walk through them, which the limit bounds, and no other row.
fn count<V: Row>(
    read: &impl Read,
    table: &Table<(AccountId, String), V>,
    account: AccountId,
) -> Result<usize, StoreError> {
    let mut count = 0;
    read.scan(table, Span::prefix(&account), |_, _| {
        count += 1;
        ControlFlow::Continue(())
    })?;
    Ok(count)
}

pub(super) fn set_subscription(
    tx: &mut Tx<'_>,
    account: AccountId,
    name: &str,
    subscribed: bool,
) -> Result<(), StoreError> {
    let key = (account, name.to_owned());
    if subscribed == (name == INBOX) {
        return tx.remove(&SUBSCRIPTIONS, &key).map(drop);
    }
    tx.put(&SUBSCRIPTIONS, &key, &Subscription(subscribed))
}

fn announce(tx: &mut Tx<'_>, account: AccountId) {
    tx.announce(Topic(MAILBOXES_TOPIC, u64::from(account.0)));
}
