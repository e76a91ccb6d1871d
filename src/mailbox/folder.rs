use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::INBOX;
use super::edit::mailbox_row;
use super::row::{MAILBOX_BY_NAME, MAILBOXES, Mailbox, MailboxRef, SUBSCRIPTIONS, Subscription};
use crate::base::{AccountId, MailboxId};
use crate::store::{Read, Span, StoreError};

/// What separates the levels of a mailbox's name.
const SEPARATOR: char = '/';

/// What a mailbox is for. RFC 6154 §2
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SpecialUse {
    /// `\Archive`
    Archive,
    /// `\Drafts`
    Drafts,
    /// `\Junk`
    Junk,
    /// `\Sent`
    Sent,
    /// `\Trash`
    Trash,
}

impl SpecialUse {
    /// All of them, with the names under which IMAP knows them and the mailboxes that a new account gets for them.
    pub const ALL: [(Self, &'static str, &'static str); 5] = [
        (Self::Archive, "\\Archive", "Archive"),
        (Self::Drafts, "\\Drafts", "Drafts"),
        (Self::Junk, "\\Junk", "Junk"),
        (Self::Sent, "\\Sent", "Sent"),
        (Self::Trash, "\\Trash", "Trash"),
    ];
}

/// A mailbox of an account, as LIST sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// The mailbox; `None` for a name that is only subscribed to, or only stands above another.
    pub mailbox: Option<(MailboxId, Mailbox)>,
    /// Its name.
    pub name: String,
    /// It is subscribed to.
    pub subscribed: bool,
    /// There are mailboxes below it.
    pub has_children: bool,
}

/// All mailboxes of the account and all names that it is subscribed to, by name, INBOX first. Names above a mailbox that
/// are none themselves are among them.
///
/// # Errors
/// [`StoreError`]
pub fn folders(read: &impl Read, account: AccountId) -> Result<Vec<Folder>, StoreError> {
    let mut found: BTreeMap<String, Folder> = BTreeMap::new();
    for (id, mailbox) in mailboxes(read, account)? {
        for above in superiors(&mailbox.name) {
            found.entry(above.to_owned()).or_insert_with(|| Folder::named(above)).has_children = true;
        }
        let name = mailbox.name.clone();
        found.entry(name.clone()).or_insert_with(|| Folder::named(&name)).mailbox = Some((id, mailbox));
    }
    if let Some(inbox) = found.get_mut(INBOX) {
        inbox.subscribed = true;
    }
    for ((_, name), Subscription(subscribed)) in read.rows(&SUBSCRIPTIONS, Span::prefix(&account), usize::MAX)? {
        match found.get_mut(&name) {
            Some(folder) => folder.subscribed = subscribed,
            None if subscribed => {
                found.insert(name.clone(), Folder { subscribed, ..Folder::named(&name) });
            }
            None => {}
        }
    }
    let inbox = found.remove(INBOX);
    Ok(inbox.into_iter().chain(found.into_values()).collect())
}

/// The account's mailbox of that name.
///
/// # Errors
/// [`StoreError`]
pub fn folder(read: &impl Read, account: AccountId, name: &str) -> Result<Option<(MailboxId, Mailbox)>, StoreError> {
    let Some(MailboxRef(id)) = read.get(&MAILBOX_BY_NAME, &(account, name.to_owned()))? else { return Ok(None) };
    Ok(Some((id, mailbox_row(read, id)?)))
}

/// A mailbox's row; `None` when there is no such mailbox (any more).
///
/// # Errors
/// [`StoreError`]
pub fn row(read: &impl Read, mailbox: MailboxId) -> Result<Option<Mailbox>, StoreError> {
    read.get(&MAILBOXES, &mailbox)
}

/// The account's mailboxes, by name.
pub(super) fn mailboxes(read: &impl Read, account: AccountId) -> Result<Vec<(MailboxId, Mailbox)>, StoreError> {
    let names = read.rows(&MAILBOX_BY_NAME, Span::prefix(&account), usize::MAX)?;
    // One whose row is damaged, or is not there, costs the account none of the others.
    let found =
        names.into_iter().map(|(_, MailboxRef(id))| Ok(read.get_if_sound(&MAILBOXES, &id)?.map(|row| (id, row))));
    found.filter_map(Result::transpose).collect()
}

/// The names above a name, the highest first.
pub(super) fn superiors(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices(SEPARATOR).filter_map(|(at, _)| name.get(..at))
}

/// What stands behind `above` and the separator in a name below it.
pub(super) fn below<'a>(name: &'a str, above: &str) -> Option<&'a str> {
    name.strip_prefix(above)?.strip_prefix(SEPARATOR)
}

impl Folder {
    fn named(name: &str) -> Self {
        Self { mailbox: None, name: name.to_owned(), subscribed: false, has_children: false }
    }
}
