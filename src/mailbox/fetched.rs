use std::convert::Infallible;
use std::net::IpAddr;

use super::edit::{each_message, mailbox_row};
use super::row::MAILBOXES;
use super::runs::{Runs, weight_bytes};
use crate::base::{MailboxId, Timestamp, Uid};
use crate::directory;
use crate::store::{Halt, Op, Read, StoreError, Tx};
use crate::trace::{self, Event, Kind, Subject};

/// Tells the trace that messages were fetched whole. Nothing else changes: it is to be given to
/// [`crate::store::Store::ride`].
#[derive(Debug, Clone)]
pub struct NoteFetched {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// The messages: first and last UID of each run.
    pub uids: Vec<(Uid, Uid)>,
    /// Who has fetched them, as in `pop3 alice@example.test`.
    pub by: String,
    /// From where.
    pub peer_ip: IpAddr,
    /// Now.
    pub at: Timestamp,
}

impl Op for NoteFetched {
    type Plan = bool;
    type Out = ();
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "mailbox.note_fetched"
    }

    fn weight_bytes(&self) -> usize {
        weight_bytes(&self.uids, 512)
    }

    fn is_expendable(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<bool, Halt<Infallible>> {
        Ok(tx.has(&MAILBOXES, &self.mailbox)?)
    }

    fn apply(&self, tx: &mut Tx<'_>, is_there: bool) -> Result<(), StoreError> {
        if !is_there {
            return Ok(());
        }
        let row = mailbox_row(tx, self.mailbox)?;
        let owner = directory::account_by_id(tx, row.account)?.map(|account| account.address.to_string());
        let event = Event {
            account: owner,
            mailbox: Some(row.name),
            text: format!("from {}", self.peer_ip),
            ..Event::new(self.at, Kind::Fetched, self.by.as_str())
        };
        each_message(tx, self.mailbox, &Runs::new(&self.uids), |tx, _, message| {
            trace::follow(tx, Subject::Message(message.id), &event).map(drop)
        })
    }
}
