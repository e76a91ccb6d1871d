use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::folder::SpecialUse;
use crate::base::{AccountId, MailboxId, ModSeq, Uid};
use crate::postcard_row;
use crate::store::{AnyTable, Read, Row, Span, StoreError, Table};

use super::going::{GOING, GOING_ACCOUNTS};
use super::log::MODSEQ_LOG;
use super::message_row::{COPIES, HEADS, MESSAGES, OWN_LINES};

/// The counter of the mailboxes' numbers.
pub(super) const NUMBERS: &str = "mailbox.mailbox";
/// The counter of UIDVALIDITY.
pub(super) const VALIDITIES: &str = "mailbox.uid_validity";

/// The mailboxes.
pub(super) static MAILBOXES: Table<MailboxId, Mailbox> = Table::new("mailboxes");
/// The mailboxes of each account, by name.
pub(super) static MAILBOX_BY_NAME: Table<(AccountId, String), MailboxRef> = Table::new("mailbox_by_name");
/// The names of the keywords of each mailbox that has any.
pub(super) static KEYWORDS: Table<MailboxId, Keywords> = Table::new("keywords");
/// The names to which an account's subscription is not what it is without being asked for: to INBOX it is subscribed, to
/// all else it is not.
pub(super) static SUBSCRIPTIONS: Table<(AccountId, String), Subscription> = Table::new("subscriptions");
/// What each account's mail takes.
pub(super) static USAGE: Table<AccountId, Usage> = Table::new("usage");
/// The room's tables.
pub const TABLES: &[&dyn AnyTable] = &[
    &MAILBOXES,
    &MAILBOX_BY_NAME,
    &KEYWORDS,
    &SUBSCRIPTIONS,
    &USAGE,
    &MESSAGES,
    &OWN_LINES,
    &HEADS,
    &COPIES,
    &MODSEQ_LOG,
    &GOING,
    &GOING_ACCOUNTS,
];

/// A mailbox (folder) of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mailbox {
    /// Whose it is.
    pub account: AccountId,
    /// Its name, UTF-8 in NFC, levels separated by `/`; INBOX is in upper case.
    pub name: String,
    /// RFC 9051 §2.3.1.1
    pub uid_validity: u32,
    /// The UID that the next message gets.
    pub uid_next: Uid,
    /// The highest change counter that was given out (RFC 7162 §3.1).
    pub modseq: ModSeq,
    /// How many messages it holds.
    pub messages: u32,
    /// Octets of its messages.
    pub size_bytes: u64,
    /// How many of the messages are without `\Seen`.
    pub unseen: u32,
    /// How many of them have `\Deleted`.
    pub deleted: u32,
    /// What it is for.
    pub special_use: Option<SpecialUse>,
    /// The log of changes holds all that came behind this one.
    pub log_floor: ModSeq,
}

/// A mailbox as version 1 wrote it: without flags, and with a log that was never cut.
type MailboxV1 = (AccountId, String, u32, Uid, ModSeq, u32, u64);

impl Row for Mailbox {
    const VERSION: u8 = 2;

    fn encode(&self, out: &mut Vec<u8>) {
        // Writing plain data to memory can't fail; an empty row would be seen as damage.
        if let Ok(bytes) = postcard::to_stdvec(self) {
            out.extend_from_slice(&bytes);
        }
    }

    fn decode(version: u8, bytes: &[u8]) -> Option<Self> {
        let (row, rest) = match version {
            1 => {
                let (old, rest) = postcard::take_from_bytes::<MailboxV1>(bytes).ok()?;
                let (account, name, uid_validity, uid_next, modseq, messages, size_bytes) = old;
                let row = Self {
                    account,
                    name,
                    uid_validity,
                    uid_next,
                    modseq,
                    messages,
                    size_bytes,
                    unseen: messages,
                    deleted: 0,
                    special_use: None,
                    log_floor: ModSeq(0),
                };
                (row, rest)
            }
            2 => postcard::take_from_bytes(bytes).ok()?,
            _ => return None,
        };
        rest.is_empty().then_some(row)
    }
}

/// The mailbox behind a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MailboxRef(pub(super) MailboxId);
postcard_row!(MailboxRef, 1);

/// The keywords that the messages of a mailbox have, or had: the place of a name is its bit. An empty name is a bit that
/// can be given to another.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Keywords(pub(super) Vec<String>);
postcard_row!(Keywords, 1);

/// Whether somebody is subscribed to a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Subscription(pub(super) bool);
postcard_row!(Subscription, 1);

/// What an account's mail takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Octets of its messages.
    pub size_bytes: u64,
    /// How many they are.
    pub messages: u64,
}
postcard_row!(Usage, 1);

/// The highest number that a mailbox has. The messages of one that is deleted still lie under its number.
pub(super) fn highest_number(read: &impl Read) -> Result<u64, StoreError> {
    let (there, going) = (read.last_key(&MAILBOXES)?, read.last_key(&GOING)?);
    Ok(there.max(going).map_or(0, |id| u64::from(id.0)))
}

/// The highest UIDVALIDITY that a mailbox has.
pub(super) fn highest_validity(read: &impl Read) -> Result<u64, StoreError> {
    let mut highest = 0;
    read.scan(&MAILBOXES, Span::all(), |_, mailbox| {
        highest = highest.max(u64::from(mailbox.uid_validity));
        ControlFlow::Continue(())
    })?;
    Ok(highest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mailbox_of_version_1_reads_with_all_messages_unseen() {
        let old: MailboxV1 = (AccountId(7), "INBOX".into(), 1_700_000_000, Uid(12), ModSeq(15), 3, 900);
        let bytes = postcard::to_stdvec(&old).unwrap();
        let row = Mailbox::decode(1, &bytes).unwrap();
        assert_eq!((row.account, row.name.as_str(), row.uid_validity), (AccountId(7), "INBOX", 1_700_000_000));
        assert_eq!((row.uid_next, row.modseq, row.messages, row.size_bytes), (Uid(12), ModSeq(15), 3, 900));
        assert_eq!((row.unseen, row.deleted, row.special_use, row.log_floor), (3, 0, None, ModSeq(0)));
        let mut now = Vec::new();
        row.encode(&mut now);
        assert_eq!(Mailbox::decode(2, &now), Some(row));
        assert_eq!(Mailbox::decode(1, &now), None);
        assert_eq!(Mailbox::decode(3, &now), None);
    }
}
