//! Mail at rest: mailboxes, messages and what each account's mail takes.
//!
//! Floor F3c. A message as read is the mailbox row's own lines (Return-Path, Delivered-To), then the head row (our
//! trace fields and the header block, shared by a message's recipients), then the body blob from the blank line on.

mod account;
mod archived;
mod check;
mod content;
mod copy;
mod deliver;
mod detail;
mod edit;
mod expunge;
mod fetched;
mod flags;
mod folder;
mod folder_op;
mod free_keywords;
mod going;
mod keywords;
mod log;
mod member;
mod message_row;
mod newest;
mod renew;
mod restore;
mod row;
mod runs;
mod set_up;
mod whole;

pub use account::{DeleteAccount, PutAccount, RestoreAccount};
pub use archived::{Archived, Identity, Listed, archived, identity, list_behind, list_these, still_there};
pub use check::{CHECKS, references};
pub use content::{Content, Entry, content, has, inbox, listing, usage};
pub use copy::{Copied, CopyMessages, CopyPlan, CopyRefused, move_all};
pub use deliver::{Filed, Incoming, Placement, deliver, file, fits, has_room, takes_keywords};
pub use detail::{body, content_range, envelopes, head, read_body, read_range, summaries, summarise};
pub use expunge::{Expunge, Expunged, expunge};
pub use fetched::NoteFetched;
pub use flags::{ChangeFlags, FlagMode, FlagsChanged, FlagsRefused};
pub use folder::{Folder, SpecialUse, folder, folders, row};
pub use folder_op::{CreateMailbox, DeleteMailbox, FolderRefused, RenameMailbox, RenamePlan, Subscribe};
pub use free_keywords::{free_keywords, make_room_for_keywords};
pub use going::{Sweep, sweep};
pub use member::{Changes, Member, Roster, changes, keywords, member, newest_members, roster};
pub use newest::newest;
pub use renew::RenewUidValidity;
pub use restore::{
    MailboxPlan, RestoreMailbox, RestoreMessages, RestorePlan, RestoreRefused, Restored, RestoredMailbox, Returning,
};
pub use row::{Mailbox, TABLES, Usage};
pub use runs::runs;
pub use set_up::{SetUp, SetUpPlan, SetUpRefused};
pub use whole::{Whole, holds, place_of, whole};

/// The bus topic of a changed mailbox; its number is the [`crate::base::MailboxId`].
pub const MAILBOX_TOPIC: &str = "mailbox";

/// The bus topic of a changed list of mailboxes (created, renamed, deleted, subscribed to); its number is the
/// [`crate::base::AccountId`].
pub const MAILBOXES_TOPIC: &str = "mailboxes";

/// The mailbox that every account has.
pub const INBOX: &str = "INBOX";

#[cfg(test)]
mod tests;
