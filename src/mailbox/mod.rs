//! Mail at rest: mailboxes, messages and what each account's mail takes.
//!
//! Floor F3c. A message as read is the mailbox row's own lines (Return-Path, Delivered-To), then the head row (our
//! trace fields and the header block, shared by a message's recipients), then the body blob from the blank line on.

mod account;
mod change;
mod check;
mod content;
mod deliver;
mod detail;
mod expunge;
mod folder;
mod member;
mod newest;
mod row;

pub use account::{DeleteAccount, PutAccount};
pub use change::{ChangeFlags, Copied, CopyMessages, CopyRefused, FlagMode, FlagsChanged, FlagsRefused};
pub use check::{CHECKS, TABLES, references};
pub use content::{Content, Entry, content, inbox, listing, usage};
pub use deliver::{Incoming, Placement, deliver, fits, has_room};
pub use detail::{body, content_range, head, summaries, summarise};
pub use expunge::{Expunge, Expunged};
pub use folder::{
    CreateMailbox, DeleteMailbox, FlagCounts, Folder, FolderRefused, RenameMailbox, SpecialUse, Subscribe, flag_counts,
    folder, folders,
};
pub use member::{Changes, Member, Roster, changes, roster};
pub use newest::newest;
pub use row::{Change, ChangeKind, Mailbox, Usage};

/// The bus topic of a changed mailbox; its number is the [`crate::base::MailboxId`].
pub const MAILBOX_TOPIC: &str = "mailbox";

/// The mailbox that every account has.
pub(crate) const INBOX: &str = "INBOX";

#[cfg(test)]
mod tests;
