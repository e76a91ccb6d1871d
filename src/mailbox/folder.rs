use serde::{Deserialize, Serialize};

use super::row::Mailbox;
use crate::base::{AccountId, MailboxId, Timestamp};
use crate::store::{Halt, Op, Read, StoreError, Tx};

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

/// What STATUS says of a mailbox beyond its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FlagCounts {
    /// Messages without `\Seen`.
    pub unseen: u32,
    /// Messages with `\Deleted`.
    pub deleted: u32,
}

/// All mailboxes of the account and all names that it is subscribed to, by name, INBOX first. Names above a mailbox that
/// are none themselves are among them.
///
/// # Errors
/// [`StoreError`]
pub fn folders(read: &impl Read, account: AccountId) -> Result<Vec<Folder>, StoreError> {
    let _ = (read, account);
    todo!()
}

/// The account's mailbox of that name.
///
/// # Errors
/// [`StoreError`]
pub fn folder(read: &impl Read, account: AccountId, name: &str) -> Result<Option<(MailboxId, Mailbox)>, StoreError> {
    let _ = (read, account, name);
    todo!()
}

/// How many messages of a mailbox have which flags: kept with the mailbox, no message is read.
///
/// # Errors
/// [`StoreError`]
pub fn flag_counts(read: &impl Read, mailbox: MailboxId) -> Result<FlagCounts, StoreError> {
    let _ = (read, mailbox);
    todo!()
}

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

macro_rules! op_to_be_built {
    ($name:ty, $text:literal) => {
        impl Op for $name {
            type Plan = ();
            type Out = ();
            type Refused = FolderRefused;
            fn name(&self) -> &'static str {
                $text
            }
            fn check(&self, _: &Tx<'_>) -> Result<(), Halt<FolderRefused>> {
                todo!()
            }
            fn apply(&self, _: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
                todo!()
            }
        }
    };
}
op_to_be_built!(CreateMailbox, "mailbox.create");
op_to_be_built!(DeleteMailbox, "mailbox.delete");
op_to_be_built!(RenameMailbox, "mailbox.rename");
op_to_be_built!(Subscribe, "mailbox.subscribe");
