use std::net::IpAddr;

use crate::base::{AccountId, MailboxId, MessageId, SystemFlags, Timestamp, Uid};
use crate::directory;
use crate::mailbox::{self, Filed, Incoming};
use crate::message::Summary;
use crate::store::{Halt, Op, StagedBlob, StoreError, Tx};
use crate::trace::{self, Event, Kind, Subject};

/// Puts messages into a mailbox as they are, all or none (RFC 9051 §6.3.12, RFC 3502).
pub struct Append {
    /// Whose mailbox.
    pub account: AccountId,
    /// The mailbox.
    pub mailbox: MailboxId,
    /// The messages, in the order of their UIDs.
    pub messages: Vec<Appended>,
    /// Who does it, for the trace, as in `imap alice@example.test`.
    pub by: String,
    /// From where.
    pub peer_ip: Option<IpAddr>,
    /// Now.
    pub at: Timestamp,
}

/// A message that is put into a mailbox.
pub struct Appended {
    /// Its id.
    pub id: MessageId,
    /// Its header block, without the blank line.
    pub header_block: Vec<u8>,
    /// Its body from the blank line on; `None` when nothing stands behind the header block.
    pub body: Option<StagedBlob>,
    /// What mail programs ask of it.
    pub summary: Summary,
    /// Its system flags.
    pub flags: SystemFlags,
    /// Its keywords.
    pub keywords: Vec<String>,
    /// Its internal date.
    pub internal_date: Timestamp,
    /// The value of its Message-ID field, for the trace.
    pub message_id_field: Option<String>,
}

/// Where they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendedAt {
    /// UIDVALIDITY of the mailbox.
    pub uid_validity: u32,
    /// Their UIDs.
    pub uids: Vec<Uid>,
}

/// Why messages are not put into a mailbox. None is, then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppendRefused {
    /// `NO [TRYCREATE]`
    #[error("the mailbox was deleted")]
    Gone,
    /// `NO [OVERQUOTA]`
    #[error("the account is over quota")]
    OverQuota,
    /// `NO [LIMIT]`
    #[error("the mailbox has as many keywords as it may have")]
    TooManyKeywords,
}

impl Op for Append {
    type Plan = ();
    type Out = AppendedAt;
    type Refused = AppendRefused;

    fn name(&self) -> &'static str {
        "intake.append"
    }

    fn weight_bytes(&self) -> usize {
        self.messages.iter().map(Appended::weight_bytes).sum()
    }

    fn check(&self, tx: &Tx<'_>) -> Result<(), Halt<AppendRefused>> {
        let mailbox = mailbox::row(tx, self.mailbox)?.filter(|mailbox| mailbox.account == self.account);
        if mailbox.is_none() {
            return Err(Halt::Refused(AppendRefused::Gone));
        }
        let size_bytes = self.messages.iter().map(Appended::size_bytes).sum();
        if !mailbox::has_room(tx, self.account, size_bytes)? {
            return Err(Halt::Refused(AppendRefused::OverQuota));
        }
        let keywords = self.messages.iter().flat_map(|message| &message.keywords).map(String::as_str);
        if !mailbox::takes_keywords(tx, self.mailbox, keywords)? {
            return Err(Halt::Refused(AppendRefused::TooManyKeywords));
        }
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<AppendedAt, StoreError> {
        let mut filed = Vec::with_capacity(self.messages.len());
        for message in &self.messages {
            let body = message.body.as_ref().filter(|body| body.size_bytes() > 0);
            let incoming = Incoming {
                id: message.id,
                head: &message.header_block,
                blob: body.map(|body| tx.adopt_blob(body, 1)).transpose()?,
                body_bytes: message.body_bytes(),
                summary: Some(&message.summary),
                at: self.at,
            };
            filed.push(Filed {
                message: incoming,
                flags: message.flags,
                keywords: &message.keywords,
                internal_date: message.internal_date,
            });
        }
        let uids = mailbox::file(tx, self.mailbox, &filed)?;
        let Some(mailbox) = mailbox::row(tx, self.mailbox)? else { return Ok(AppendedAt { uid_validity: 0, uids }) };
        let owner = directory::account_by_id(tx, self.account)?.map(|account| account.address.to_string());
        for message in &self.messages {
            let event = Event {
                account: owner.clone(),
                mailbox: Some(mailbox.name.clone()),
                peer_ip: self.peer_ip,
                message_id: message.message_id_field.clone(),
                size_bytes: Some(message.size_bytes()),
                text: format!("put into {}", mailbox.name),
                ..Event::new(self.at, Kind::Accepted, self.by.as_str())
            };
            trace::record(tx, Subject::Message(message.id), event)?;
        }
        Ok(AppendedAt { uid_validity: mailbox.uid_validity, uids })
    }
}

impl Appended {
    fn body_bytes(&self) -> u64 {
        self.body.as_ref().map_or(0, StagedBlob::size_bytes)
    }

    fn size_bytes(&self) -> u64 {
        self.header_block.len() as u64 + self.body_bytes()
    }

    fn weight_bytes(&self) -> usize {
        2048 + self.header_block.len() + self.body.as_ref().map_or(0, StagedBlob::weight_bytes)
    }
}
