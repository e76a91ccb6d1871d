use std::collections::BTreeSet;
use std::ops::{Bound, ControlFlow};

use crate::backup::{BackupError, Backups, Id};
use crate::base::{AccountId, Address, MailboxId, MessageId, Timestamp, Uid, limits};
use crate::directory::{self, Account, Former};
use crate::mailbox::{self, INBOX, Listed, SpecialUse};
use crate::message::{decode_field, fields};
use crate::store::{Archive, Read, Store, StoreError, View};

/// The fields of a header in which a query is looked for.
const SEARCHED: [&str; 4] = ["From", "To", "Cc", "Subject"];

/// What is to be brought back. What is left out fits all.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Whose.
    pub account: Address,
    /// Of this mailbox alone.
    pub mailbox: Option<String>,
    /// Messages with these UIDs in the copy.
    pub uids: Option<BTreeSet<Uid>>,
    /// This message.
    pub message: Option<MessageId>,
    /// Messages with this in their From, To, Cc or Subject, in any case.
    pub query: Option<String>,
    /// What came in then or later.
    pub after: Option<Timestamp>,
    /// What came in before that.
    pub before: Option<Timestamp>,
    /// The mailbox into which it goes, instead of that in which it was; of a whole account, each mailbox below it.
    pub into: Option<String>,
}

/// Why nothing of a copy can be shown or brought back.
#[derive(Debug, thiserror::Error)]
pub enum ItemsError {
    /// The copy can't be had.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// It has no such account.
    #[error("the backup has no account {0}")]
    NoAccount(Address),
    /// The account has no such mailbox in it.
    #[error("the backup has no mailbox {0} of that account")]
    NoMailbox(String),
    /// It can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A mailbox in a copy.
#[derive(Debug, Clone)]
pub struct Folder {
    /// Its number there.
    pub id: MailboxId,
    /// Its name.
    pub name: String,
    /// What it was for.
    pub special_use: Option<SpecialUse>,
    /// Mail programs showed it.
    pub subscribed: bool,
    /// How many messages it held.
    pub messages: u32,
    /// Octets of those.
    pub size_bytes: u64,
}

/// An open copy, with an account in it.
#[derive(Clone)]
pub struct Source {
    /// The copy.
    pub backup: Id,
    /// The copy, open.
    pub archive: Archive,
    /// The account as it was.
    pub former: Former,
    /// Those of its mailboxes that are meant, INBOX first, then by name.
    pub folders: Vec<Folder>,
}

/// Messages of a mailbox that are meant, out of some that follow each other.
pub(super) struct Slice {
    pub(super) meant: Vec<Listed>,
    pub(super) looked_at: usize,
    /// Where the next begins; `None` at the end.
    pub(super) next: Option<Uid>,
}

impl Wanted {
    /// All of an account.
    pub fn all_of(account: Address) -> Self {
        let (mailbox, uids, message, query) = (None, None, None, None);
        Self { account, mailbox, uids, message, query, after: None, before: None, into: None }
    }

    /// Whether mailboxes as such are meant, and not only messages in them.
    pub fn is_whole(&self) -> bool {
        let Self { uids, message, query, after, before, .. } = self;
        uids.is_none() && message.is_none() && query.is_none() && after.is_none() && before.is_none()
    }

    /// The mailbox into which what was in another goes.
    pub(super) fn target(&self, name: &str) -> String {
        match &self.into {
            None => name.to_owned(),
            Some(into) if self.mailbox.is_some() || !self.is_whole() => into.clone(),
            Some(into) => format!("{into}/{name}"),
        }
    }

    /// Some of the messages of a mailbox of the copy, from behind `behind` on.
    pub(super) fn slice(&self, view: &View, mailbox: MailboxId, behind: Uid) -> Result<Slice, StoreError> {
        let (listed, last) = match &self.uids {
            Some(uids) => {
                let these = uids.range((Bound::Excluded(behind), Bound::Unbounded)).take(limits::RESTORE_LOOKED_AT);
                let last = these.clone().nth(limits::RESTORE_LOOKED_AT - 1).copied();
                (mailbox::list_these(view, mailbox, these.copied())?, last)
            }
            None => {
                let listed = mailbox::list_behind(view, mailbox, behind, limits::RESTORE_LOOKED_AT)?;
                let last = listed.get(limits::RESTORE_LOOKED_AT - 1).map(|last| last.uid);
                (listed, last)
            }
        };
        let looked_at = listed.len();
        let mut meant = Vec::new();
        for one in listed {
            if self.means(view, mailbox, &one)? {
                meant.push(one);
            }
        }
        Ok(Slice { meant, looked_at, next: last })
    }

    fn means(&self, view: &View, mailbox: MailboxId, one: &Listed) -> Result<bool, StoreError> {
        let is_one = self.message.is_none_or(|message| message == one.identity.message)
            && self.after.is_none_or(|after| one.internal_date >= after)
            && self.before.is_none_or(|before| one.internal_date < before);
        match &self.query {
            Some(query) if is_one => {
                let head = mailbox::head(view, mailbox, one.uid)?;
                Ok(head.is_some_and(|head| says(&head, &query.to_lowercase())))
            }
            _ => Ok(is_one),
        }
    }
}

/// Whether one of the fields of a header that people look at has that in it: a text in lower case.
pub fn says(head: &[u8], query: &str) -> bool {
    let searched = fields(head).filter(|field| SEARCHED.iter().any(|name| field.is(name)));
    searched.into_iter().any(|field| decode_field(field.value).to_lowercase().contains(query))
}

impl Source {
    /// Opens a copy and finds what is meant in it. Blocks.
    ///
    /// # Errors
    /// [`ItemsError`].
    pub fn open(backups: &Backups, store: &Store, backup: Id, wanted: &Wanted) -> Result<Self, ItemsError> {
        let archive = open(backups, store, backup)?;
        let former = archive.read(|view| directory::former(view, &wanted.account))?;
        let former = former.ok_or_else(|| ItemsError::NoAccount(wanted.account.clone()))?;
        let mut folders = archive.read(|view| folders(view, former.account.id))?;
        if let Some(name) = &wanted.mailbox {
            folders.retain(|folder| folder.name == *name);
            if folders.is_empty() {
                return Err(ItemsError::NoMailbox(name.clone()));
            }
        }
        Ok(Self { backup, archive, former, folders })
    }

    /// Whether an account of that address here is not the one of the copy: it was deleted, and made again since.
    pub fn is_another(&self, here: &Account) -> bool {
        here.id != self.former.account.id
    }

    /// The account as it is here, where it is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn account_here(&self, read: &impl Read) -> Result<Option<Account>, StoreError> {
        directory::account(read, &self.former.account.address)
    }
}

/// Opens a copy. Blocks.
///
/// # Errors
/// [`BackupError`].
pub fn open(backups: &Backups, store: &Store, backup: Id) -> Result<Archive, BackupError> {
    Ok(store.open_copy(&backups.get(backup)?.path)?)
}

/// The mailboxes of an account in a copy, INBOX first, then by name.
///
/// # Errors
/// [`StoreError`].
pub fn folders(view: &View, account: AccountId) -> Result<Vec<Folder>, StoreError> {
    let folders = mailbox::folders(view, account)?.into_iter().filter_map(|folder| {
        let (id, row) = folder.mailbox?;
        Some(Folder {
            id,
            subscribed: folder.subscribed && folder.name != INBOX,
            name: folder.name,
            special_use: row.special_use,
            messages: row.messages,
            size_bytes: row.size_bytes,
        })
    });
    Ok(folders.collect())
}

/// Calls `each` with the messages of a mailbox of the copy that are meant, slice by slice, until it breaks.
pub(super) fn each_slice(
    source: &Source,
    wanted: &Wanted,
    folder: &Folder,
    mut each: impl FnMut(&View, Slice) -> Result<ControlFlow<()>, StoreError>,
) -> Result<(), StoreError> {
    let mut behind = Uid(0);
    loop {
        let (next, flow) = source.archive.read(|view| {
            let slice = wanted.slice(view, folder.id, behind)?;
            let next = slice.next;
            Ok((next, each(view, slice)?))
        })?;
        match next {
            Some(next) if flow.is_continue() => behind = next,
            _ => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_looked_for_in_what_people_see() {
        let head = b"Received: from hidden.test\r\nFrom: =?utf-8?Q?J=C3=BCrgen?= <j@x.test>\r\nTo: b@x.test\r\n\
            Subject: =?utf-8?B?UmVjaG51bmcgNDI=?=\r\n";
        for (query, expected) in [("jürgen", true), ("rechnung 4", true), ("b@x", true), ("hidden", false)] {
            assert_eq!(says(head, query), expected, "{query}");
        }
    }

    #[test]
    fn what_is_meant_goes_where_it_is_to_go() {
        let check = |mailbox: Option<&str>, query: Option<&str>, into: Option<&str>, expected: &str| {
            let text = |text: Option<&str>| text.map(str::to_owned);
            let all = Wanted::all_of(Address::parse("a@x.test").unwrap());
            let wanted = Wanted { mailbox: text(mailbox), query: text(query), into: text(into), ..all };
            assert_eq!(wanted.target("Work/2026"), expected);
        };
        check(None, None, None, "Work/2026");
        check(Some("Work/2026"), None, None, "Work/2026");
        check(Some("Work/2026"), None, Some("Restored"), "Restored");
        check(None, Some("bill"), Some("Restored"), "Restored");
        check(None, None, Some("Restored"), "Restored/Work/2026");
    }
}
