use super::archived::{Archived, Identity};
use super::edit::Edit;
use super::folder::{SpecialUse, folder};
use super::folder_op::{
    FolderRefused, add_mailbox, add_superiors, has_room, is_taken, missing_superiors, set_subscription,
};
use super::keywords::Names;
use super::log::ChangeKind;
use super::message_row::{COPIES, Copies, HEADS, Head, Message};
use super::row::MAILBOXES;
use crate::base::{AccountId, MailboxId, MessageId, ModSeq, SystemFlags, Timestamp, Uid};
use crate::message::fields;
use crate::store::{Halt, Op, Read, StagedBlob, StoreError, Tx};
use crate::trace::{self, Event, Kind, Subject};
use crate::{directory, kept};

/// Finds a mailbox to which messages come back, or makes it, and those above it, where it is missing.
#[derive(Debug, Clone)]
pub struct RestoreMailbox {
    /// Whose.
    pub account: AccountId,
    /// Its name.
    pub name: String,
    /// What it was for: it is so again, unless another mailbox is by now.
    pub special_use: Option<SpecialUse>,
    /// Mail programs are to show it.
    pub subscribed: bool,
    /// Now.
    pub at: Timestamp,
}

/// The mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestoredMailbox {
    /// Which.
    pub id: MailboxId,
    /// It was missing.
    pub is_new: bool,
}

/// What is there already, or what it is to be for.
pub enum MailboxPlan {
    /// It is there.
    There(MailboxId),
    /// It is to be made, for that use.
    New(Option<SpecialUse>),
}

impl Op for RestoreMailbox {
    type Plan = MailboxPlan;
    type Out = RestoredMailbox;
    type Refused = FolderRefused;

    fn name(&self) -> &'static str {
        "mailbox.restore_mailbox"
    }

    fn check(&self, tx: &Tx<'_>) -> Result<MailboxPlan, Halt<FolderRefused>> {
        if let Some((id, _)) = folder(tx, self.account, &self.name)? {
            return Ok(MailboxPlan::There(id));
        }
        if directory::account_by_id(tx, self.account)?.is_none() {
            return Err(Halt::Refused(FolderRefused::NotFound));
        }
        has_room(tx, self.account, missing_superiors(tx, self.account, &self.name)?.len() + 1)?;
        let is_taken = is_taken(tx, self.account, self.special_use)?;
        Ok(MailboxPlan::New(self.special_use.filter(|_| !is_taken)))
    }

    fn apply(&self, tx: &mut Tx<'_>, plan: MailboxPlan) -> Result<RestoredMailbox, StoreError> {
        let special_use = match plan {
            MailboxPlan::There(id) => return Ok(RestoredMailbox { id, is_new: false }),
            MailboxPlan::New(special_use) => special_use,
        };
        add_superiors(tx, self.account, &self.name, self.at)?;
        let id = add_mailbox(tx, self.account, &self.name, special_use, self.at)?;
        if self.subscribed {
            set_subscription(tx, self.account, &self.name, true)?;
        }
        Ok(RestoredMailbox { id, is_new: true })
    }
}

/// Puts messages of a copy of the file back into a mailbox: each with its id, its own lines, internal date, flags and
/// keywords, under a new UID. It asks for no quota: who restores decides.
///
/// The caller has made sure that the account holds none of them, and that nobody else restores at the same time.
pub struct RestoreMessages {
    /// Whose mailbox.
    pub account: AccountId,
    /// The mailbox.
    pub mailbox: MailboxId,
    /// The messages.
    pub messages: Vec<Returning>,
    /// An id that was given out by now: those above it may still be given to others.
    pub newest: MessageId,
    /// Who does it, for the trace, as in `http owner`.
    pub by: String,
    /// From where, for the trace, as in `from the backup daily-20261122T030000Z`.
    pub origin: String,
    /// Now.
    pub at: Timestamp,
}

/// A message that comes back.
pub struct Returning {
    /// As the copy has it.
    pub archived: Archived,
    /// Its body; `None` when nothing stands behind the header block.
    pub body: Option<StagedBlob>,
}

/// What a [`RestoreMessages`] did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Restored {
    /// The UIDs of those that came back, in their order.
    pub uids: Vec<Uid>,
    /// Octets of those.
    pub size_bytes: u64,
    /// Those whose id belongs to another message here: they did not come back.
    pub conflicts: Vec<MessageId>,
    /// How many came back without some of their keywords: the mailbox has as many as it may have.
    pub without_keywords: usize,
}

/// Why none is put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RestoreRefused {
    /// The mailbox is gone.
    #[error("the mailbox was deleted")]
    Gone,
}

/// What [`RestoreMessages`] needs beyond itself.
pub struct RestorePlan {
    /// Whether each may come back.
    is_free: Vec<bool>,
    names: Names,
}

impl Op for RestoreMessages {
    type Plan = RestorePlan;
    type Out = Restored;
    type Refused = RestoreRefused;

    fn name(&self) -> &'static str {
        "mailbox.restore_messages"
    }

    fn weight_bytes(&self) -> usize {
        self.messages.iter().map(Returning::weight_bytes).sum()
    }

    fn check(&self, tx: &Tx<'_>) -> Result<RestorePlan, Halt<RestoreRefused>> {
        let mailbox = tx.get(&MAILBOXES, &self.mailbox)?.filter(|mailbox| mailbox.account == self.account);
        if mailbox.is_none() {
            return Err(Halt::Refused(RestoreRefused::Gone));
        }
        let is_free = self.messages.iter().map(|returning| self.is_free(tx, &returning.archived));
        let is_free = is_free.collect::<Result<_, StoreError>>()?;
        let keywords = self.messages.iter().flat_map(|returning| &returning.archived.keywords).map(String::as_str);
        let names = match Names::with(tx, self.mailbox, keywords)? {
            Some(names) => names,
            // Rather without some keywords than not at all.
            None => Names::read(tx, self.mailbox)?,
        };
        Ok(RestorePlan { is_free, names })
    }

    fn apply(&self, tx: &mut Tx<'_>, plan: RestorePlan) -> Result<Restored, StoreError> {
        let RestorePlan { is_free, names } = plan;
        let mut restored = Restored::default();
        let mut edit = Edit::begin(tx, self.mailbox, ChangeKind::Added)?;
        let event = self.event(tx, edit.row().name.clone())?;
        for (Returning { archived, body }, is_free) in self.messages.iter().zip(is_free) {
            if !is_free {
                restored.conflicts.push(archived.identity.message);
                continue;
            }
            let keywords = names.bits(archived.keywords.iter().map(String::as_str));
            restored.without_keywords += usize::from(keywords.count_ones() as usize != archived.keywords.len());
            restored.size_bytes += archived.size_bytes();
            take_reference(tx, archived)?;
            let body = body.as_ref().filter(|body| body.size_bytes() > 0);
            let row = Message {
                id: archived.identity.message,
                blob: body.map(|body| tx.adopt_blob(body, 1)).transpose()?,
                own_bytes: octets(&archived.front.lines),
                head_bytes: octets(&archived.head),
                body_bytes: body.map_or(0, StagedBlob::size_bytes),
                internal_date: archived.internal_date,
                saved_at: self.at,
                modseq: ModSeq(0),
                // The next EXPUNGE of any mail program would take it away again.
                flags: archived.flags & !SystemFlags::DELETED,
                keywords,
                copy: archived.identity.copy,
            };
            restored.uids.push(edit.add(tx, row, &archived.front)?);
            let event = Event {
                message_id: message_id(&archived.head),
                size_bytes: Some(archived.size_bytes()),
                ..event.clone()
            };
            trace::record(tx, Subject::Message(row.id), event)?;
        }
        if !restored.uids.is_empty() {
            names.write(tx)?;
        }
        edit.finish(tx)?;
        Ok(restored)
    }
}

impl RestoreMessages {
    /// Whether the message may have its id: nobody has it here, or it is the same message.
    fn is_free(&self, tx: &Tx<'_>, archived: &Archived) -> Result<bool, StoreError> {
        let id = archived.identity.message;
        let head = match tx.get(&HEADS, &id)? {
            Some(head) => Some(head.bytes),
            // What an alias had sent on is kept with a line before it.
            None => kept::kept(tx, id)?.map(|kept| kept.head),
        };
        Ok(id < self.newest && head.is_none_or(|head| head.ends_with(&archived.head)))
    }

    fn event(&self, tx: &Tx<'_>, mailbox: String) -> Result<Event, StoreError> {
        let owner = directory::account_by_id(tx, self.account)?.map(|account| account.address.to_string());
        let event = Event::new(self.at, Kind::Restored, self.by.as_str());
        Ok(Event { account: owner, mailbox: Some(mailbox), text: self.origin.clone(), ..event })
    }
}

impl Returning {
    /// Octets that it adds to a batch.
    pub fn weight_bytes(&self) -> usize {
        self.archived.weight_bytes() + self.body.as_ref().map_or(0, StagedBlob::weight_bytes)
    }
}

/// One more message refers to the head, which is written where it is not there.
fn take_reference(tx: &mut Tx<'_>, archived: &Archived) -> Result<(), StoreError> {
    let Identity { message, copy } = archived.identity;
    let copies = tx.get(&COPIES, &message)?.unwrap_or_default();
    // No number is given twice.
    let last = copies.last.max(copy);
    let (head, copies) = match tx.get(&HEADS, &message)? {
        None => (Some(Head { references: 1, bytes: archived.head.clone() }), Copies { last, ..copies }),
        Some(head) if copy == 0 => (Some(Head { references: head.references + 1, ..head }), Copies { last, ..copies }),
        Some(_) => (None, Copies { references: copies.references + 1, last }),
    };
    if let Some(head) = head {
        tx.put(&HEADS, &message, &head)?;
    }
    if copies != Copies::default() {
        tx.put(&COPIES, &message, &copies)?;
    }
    Ok(())
}

fn message_id(head: &[u8]) -> Option<String> {
    let field = fields(head).find(|field| field.is("Message-ID"))?;
    Some(String::from_utf8_lossy(field.value).trim().to_owned())
}

fn octets(lines: &[u8]) -> u32 {
    // A head is bounded by limits::HEADER_BYTES.
    u32::try_from(lines.len()).unwrap_or(u32::MAX)
}
