use std::collections::HashSet;

use super::copy::{Translation, move_messages, moving};
use super::edit::mailbox_row;
use super::expunge::{Removal, remove_messages};
use super::folder::{SpecialUse, below, mailboxes, superiors};
use super::keywords::Names;
use super::log;
use super::row::{KEYWORDS, MAILBOX_BY_NAME, MAILBOXES, Mailbox, MailboxRef, SUBSCRIPTIONS, Subscription};
use super::runs::Runs;
use super::{INBOX, MAILBOX_TOPIC, MAILBOXES_TOPIC};
use crate::base::{AccountId, MailboxId, ModSeq, SystemFlags, Timestamp, Uid, limits};
use crate::directory;
use crate::store::{Halt, Op, Read, Span, StoreError, Topic, Tx};
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

/// Deletes a mailbox with its messages; those below it stay.
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
        let known = mailboxes(tx, self.account)?;
        if known.iter().any(|(_, mailbox)| mailbox.name == self.name) {
            return Err(Halt::Refused(FolderRefused::Exists));
        }
        // RFC 6154 §3
        if self.special_use.is_some() && known.iter().any(|(_, mailbox)| mailbox.special_use == self.special_use) {
            return Err(Halt::Refused(FolderRefused::SpecialUse));
        }
        has_room(&known, missing_superiors(&known, &self.name).count() + 1)
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

    fn weight_bytes(&self) -> usize {
        // It may be long: nothing else waits in its batch.
        limits::BATCH_BYTES
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
        let removal =
            Removal { by: &self.by, peer_ip: None, at: self.at, text: "the mailbox was deleted", is_kept: true };
        remove_mailbox(tx, id, &removal)
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
        let known = mailboxes(tx, self.account)?;
        if self.to == INBOX || known.iter().any(|(_, mailbox)| mailbox.name == self.to) {
            return Err(Halt::Refused(FolderRefused::Exists));
        }
        // RFC 9051 §6.3.6: of INBOX only the messages move, and what is below it stays.
        if self.from == INBOX {
            has_room(&known, missing_superiors(&known, &self.to).count() + 1)?;
            let inbox = known.iter().find(|(_, mailbox)| mailbox.name == INBOX);
            return inbox.map(|(id, _)| RenamePlan::Inbox(*id)).ok_or(Halt::Refused(FolderRefused::NotFound));
        }
        if below(&self.to, &self.from).is_some() {
            return Err(Halt::Refused(FolderRefused::BelowItself));
        }
        let renamed: Vec<_> = known.iter().filter_map(|(id, row)| Some((*id, self.new_name(&row.name)?))).collect();
        if renamed.is_empty() {
            return Err(Halt::Refused(FolderRefused::NotFound));
        }
        // A name that nobody can type would hide its mail.
        if renamed.iter().any(|(_, name)| is_too_long(name)) {
            return Err(Halt::Refused(FolderRefused::TooLong));
        }
        let moving: HashSet<MailboxId> = renamed.iter().map(|(id, _)| *id).collect();
        let (mut stays, mut new) = (known.iter().filter(|(id, _)| !moving.contains(id)), HashSet::new());
        new.extend(renamed.iter().map(|(_, name)| name.as_str()));
        if stays.any(|(_, mailbox)| new.contains(mailbox.name.as_str())) {
            return Err(Halt::Refused(FolderRefused::Exists));
        }
        has_room(&known, missing_superiors(&known, &self.to).count())?;
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
    /// The name that a mailbox gets, if it is renamed.
    fn new_name(&self, name: &str) -> Option<String> {
        if name == self.from {
            return Some(self.to.clone());
        }
        below(name, &self.from).map(|rest| format!("{}/{rest}", self.to))
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
        let known = tx.rows(&SUBSCRIPTIONS, Span::prefix(&self.account), usize::MAX)?.len();
        if is_new && known >= limits::MAILBOXES_PER_ACCOUNT {
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

/// Removes a mailbox with its messages.
pub(super) fn remove_mailbox(tx: &mut Tx<'_>, id: MailboxId, removal: &Removal<'_>) -> Result<(), StoreError> {
    remove_messages(tx, id, &Runs::new(&[(Uid(1), Uid(u32::MAX))]), SystemFlags::NONE, removal)?;
    let row = mailbox_row(tx, id)?;
    log::remove(tx, id)?;
    tx.remove(&KEYWORDS, &id)?;
    tx.remove(&MAILBOXES, &id)?;
    tx.remove(&MAILBOX_BY_NAME, &(row.account, row.name))?;
    tx.announce(Topic(MAILBOX_TOPIC, u64::from(id.0)));
    announce(tx, row.account);
    Ok(())
}

fn add_mailbox(
    tx: &mut Tx<'_>,
    account: AccountId,
    name: &str,
    special_use: Option<SpecialUse>,
    at: Timestamp,
) -> Result<MailboxId, StoreError> {
    let fit = |counter: &str, number: u64| {
        u32::try_from(number)
            .map_err(|_| StoreError::Damaged { table: "counters", what: format!("{counter} {number} does not fit") })
    };
    let id = MailboxId(fit("mailbox number", tx.next("mailbox.mailbox")?)?);
    // RFC 9051 §2.3.1.1: the time of creation makes a new mailbox of an old name another one; rising above all that were
    // given before, it does so whatever the clock does, and whoever is renamed to what.
    let uid_validity =
        fit("UIDVALIDITY", tx.next_from("mailbox.uid_validity", (at.ms() / 1000).clamp(1, u64::from(u32::MAX / 2)))?)?;
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

/// Makes the mailboxes above a name that are not there.
// RFC 9051 §6.3.4
fn add_superiors(tx: &mut Tx<'_>, account: AccountId, name: &str, at: Timestamp) -> Result<(), StoreError> {
    let known = mailboxes(tx, account)?;
    for above in missing_superiors(&known, name) {
        add_mailbox(tx, account, above, None, at)?;
    }
    Ok(())
}

fn missing_superiors<'a>(known: &[(MailboxId, Mailbox)], name: &'a str) -> impl Iterator<Item = &'a str> {
    superiors(name).filter(|above| !known.iter().any(|(_, mailbox)| mailbox.name == *above))
}

fn has_room(known: &[(MailboxId, Mailbox)], more: usize) -> Result<(), Halt<FolderRefused>> {
    if known.len() + more > limits::MAILBOXES_PER_ACCOUNT {
        return Err(Halt::Refused(FolderRefused::TooMany));
    }
    Ok(())
}

fn set_subscription(tx: &mut Tx<'_>, account: AccountId, name: &str, subscribed: bool) -> Result<(), StoreError> {
    let key = (account, name.to_owned());
    if subscribed == (name == INBOX) {
        return tx.remove(&SUBSCRIPTIONS, &key).map(drop);
    }
    tx.put(&SUBSCRIPTIONS, &key, &Subscription(subscribed))
}

fn announce(tx: &mut Tx<'_>, account: AccountId) {
    tx.announce(Topic(MAILBOXES_TOPIC, u64::from(account.0)));
}
