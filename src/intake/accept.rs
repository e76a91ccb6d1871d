use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use super::session::Session;
use super::unconfirmed::{self, Confirm, Mark, Missed, Unconfirmed};
use crate::base::{AccountId, Address, MailboxId, MessageId, Timestamp};
use crate::directory::{self, Delivery};
use crate::mailbox::{self, Incoming, Placement};
use crate::store::{Halt, Op, StagedBlob, StoreError, Tx};
use crate::trace::{self, Event, Kind, Subject};

/// Takes a message in for all its recipients, in one transaction.
pub struct Accept {
    /// Its id, which the trace field already names.
    pub id: MessageId,
    /// Now.
    pub at: Timestamp,
    /// The session that it comes by.
    pub session: Arc<Session>,
    /// Where it comes from.
    pub origin: Origin,
    /// The sender of the envelope; `None`: the null sender.
    pub sender: Option<Address>,
    /// Everybody who gets it, as resolved when they were named. An account that is named twice gets one copy.
    pub recipients: Vec<Recipient>,
    /// What we put before the header block: [`super::received`].
    pub trace_fields: Vec<u8>,
    /// The header block as received, each line with its CRLF, without the blank line behind it.
    pub header_block: Vec<u8>,
    /// The addresses that the header block says it was delivered to before: [`crate::message::Scan::delivered_to`].
    pub delivered_to: Vec<Address>,
    /// The body, from the blank line on; `None` when nothing stands behind the header block.
    pub body: Option<StagedBlob>,
    /// The value of its Message-ID field, for the trace.
    pub message_id_field: Option<String>,
}

/// Where a message comes from, for the trace.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// Who brings it: the protocol, and the account where one is logged in, as in `submission alice@example.test`.
    pub actor: String,
    /// The address of the other side.
    pub peer_ip: Option<IpAddr>,
    /// The name that it gave itself.
    pub helo: Option<String>,
    /// TLS version and cipher suite.
    pub tls: Option<String>,
}

/// A recipient of the envelope and where it leads.
#[derive(Debug, Clone)]
pub struct Recipient {
    /// As it was named.
    pub given: Address,
    /// The accounts.
    pub deliveries: Vec<Delivery>,
}

/// The message is on disk.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// Its id; of a retransmission, the id that it got the first time.
    pub id: MessageId,
    /// It was a retransmission, and nothing was stored.
    pub again: bool,
    session: u64,
    marks: Vec<Mark>,
}

impl Accepted {
    /// What to ride once the sender has sent anything after our 250.
    pub fn confirm(&self) -> Confirm {
        Confirm { session: self.session, marks: self.marks.clone() }
    }
}

/// Why a message is not taken in. It is then stored for nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It does not fit under the quota of this recipient: `452 4.2.2`.
    #[error("{0} is over quota")]
    OverQuota(Address),
    /// It has been delivered to this recipient before, as its Delivered-To says: `554 5.4.6`.
    #[error("the message is in a loop: it was delivered to {0} before")]
    Loop(Address),
    /// This recipient was deleted since it was named: `451 4.3.0`, and the next try will tell.
    #[error("{0} is gone")]
    Gone(Address),
    /// It has no recipient: `554 5.5.1`.
    #[error("the message has no recipient")]
    Nobody,
}

/// What is to be written, copy by copy.
pub struct Plan {
    fresh: Vec<Fresh>,
    repeated: Vec<Repeated>,
}

struct Fresh {
    given: Address,
    address: Address,
    mailbox: MailboxId,
    own_lines: Vec<u8>,
    mark: Mark,
}

struct Repeated {
    given: Address,
    mark: Mark,
    missed: Missed,
}

impl Op for Accept {
    type Plan = Plan;
    type Out = Accepted;
    type Refused = Refused;

    fn name(&self) -> &'static str {
        "intake.accept"
    }

    fn weight_bytes(&self) -> usize {
        let copies: usize = self.recipients.iter().map(|recipient| recipient.deliveries.len()).sum();
        let head = self.trace_fields.len() + self.header_block.len();
        1024 * (copies + 1) + head + self.body.as_ref().map_or(0, StagedBlob::weight_bytes)
    }

    fn check(&self, tx: &Tx<'_>) -> Result<Plan, Halt<Refused>> {
        let mut plan = Plan { fresh: Vec::new(), repeated: Vec::new() };
        let bytes = self.hash();
        let mut seen: HashSet<AccountId> = HashSet::new();
        let before: HashSet<String> = self.delivered_to.iter().map(Address::key).collect();
        for recipient in &self.recipients {
            for delivery in &recipient.deliveries {
                if !seen.insert(delivery.account) {
                    continue;
                }
                let mark = self.mark(&bytes, delivery.account);
                let given = recipient.given.clone();
                let is_loop = before.contains(&delivery.address.key());
                match unconfirmed::find_missed(tx, &mark, self.session.sessions(), self.at)? {
                    Some(missed) => plan.repeated.push(Repeated { given, mark, missed }),
                    None if is_loop => return Err(Halt::Refused(Refused::Loop(given))),
                    None => plan.fresh.push(self.plan_copy(tx, given, delivery, mark)?),
                }
            }
        }
        if seen.is_empty() { Err(Halt::Refused(Refused::Nobody)) } else { Ok(plan) }
    }

    fn apply(&self, tx: &mut Tx<'_>, plan: Plan) -> Result<Accepted, StoreError> {
        unconfirmed::remove_ended(tx, self.at)?;
        let session = self.session.id();
        let marks = plan.fresh.iter().map(|copy| copy.mark).chain(plan.repeated.iter().map(|copy| copy.mark)).collect();
        for copy in &plan.repeated {
            self.repeat(tx, copy, session)?;
        }
        let again = match plan.repeated.first() {
            Some(first) if plan.fresh.is_empty() => Some(first.missed.message),
            _ => None,
        };
        if again.is_none() {
            self.store(tx, &plan.fresh, session)?;
        }
        Ok(Accepted { id: again.unwrap_or(self.id), again: again.is_some(), session, marks })
    }
}

impl Accept {
    /// What stays the same when the message is sent again: sender and bytes.
    fn hash(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        let sender = self.sender.as_ref().map(Address::key).unwrap_or_default();
        for part in [sender.as_bytes(), &self.header_block] {
            hasher.update(&(part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        hasher.update(&self.body.as_ref().map(StagedBlob::hash).unwrap_or_default());
        hasher.finalize()
    }

    fn mark(&self, bytes: &blake3::Hash, account: AccountId) -> Mark {
        let mut hasher = blake3::Hasher::new();
        hasher.update(bytes.as_bytes());
        hasher.update(&account.0.to_be_bytes());
        let mut mark = [0; 16];
        hasher.finalize_xof().fill(&mut mark);
        mark
    }

    fn plan_copy(&self, tx: &Tx<'_>, given: Address, delivery: &Delivery, mark: Mark) -> Result<Fresh, Halt<Refused>> {
        let inbox = mailbox::inbox(tx, delivery.account)?;
        let account = directory::account_by_id(tx, delivery.account)?;
        let (Some(mailbox), Some(account)) = (inbox, account) else {
            return Err(Halt::Refused(Refused::Gone(given)));
        };
        let own_lines = self.own_lines(&account.address);
        let size_bytes =
            (own_lines.len() + self.trace_fields.len() + self.header_block.len()) as u64 + self.body_bytes();
        if !mailbox::fits(tx, &account, size_bytes)? {
            return Err(Halt::Refused(Refused::OverQuota(given)));
        }
        Ok(Fresh { given, address: account.address, mailbox, own_lines, mark })
    }

    /// What only this recipient's copy says.
    // RFC 5321 §4.4: Return-Path; RFC 9228 §3: Delivered-To
    fn own_lines(&self, recipient: &Address) -> Vec<u8> {
        let sender = self.sender.as_ref().map(Address::to_string).unwrap_or_default();
        format!("Return-Path: <{sender}>\r\nDelivered-To: {recipient}\r\n").into_bytes()
    }

    fn body_bytes(&self) -> u64 {
        self.body.as_ref().map_or(0, StagedBlob::size_bytes)
    }

    fn store(&self, tx: &mut Tx<'_>, copies: &[Fresh], session: u64) -> Result<(), StoreError> {
        let head = [self.trace_fields.as_slice(), &self.header_block].concat();
        let references = u32::try_from(copies.len()).unwrap_or(u32::MAX);
        let body = self.body.as_ref().filter(|body| body.size_bytes() > 0);
        let incoming = Incoming {
            id: self.id,
            head: &head,
            blob: body.map(|body| tx.adopt_blob(body, references)).transpose()?,
            body_bytes: self.body_bytes(),
            at: self.at,
        };
        let placements: Vec<Placement<'_>> =
            copies.iter().map(|copy| Placement { mailbox: copy.mailbox, own_lines: &copy.own_lines }).collect();
        mailbox::deliver(tx, &incoming, &placements)?;
        trace::record(tx, Subject::Message(self.id), self.accepted())?;
        for copy in copies {
            let event = Event {
                recipient: Some(copy.given.to_string()),
                text: format!("to the INBOX of {}", copy.address),
                ..Event::new(self.at, Kind::Delivered, self.origin.actor.as_str())
            };
            trace::record(tx, Subject::Message(self.id), event)?;
            unconfirmed::put(tx, copy.mark, session, &Unconfirmed { message: self.id, at: self.at })?;
        }
        Ok(())
    }

    /// The sender has missed our 250: the copy is there already, and may be asked for once more by this session.
    fn repeat(&self, tx: &mut Tx<'_>, copy: &Repeated, session: u64) -> Result<(), StoreError> {
        let Missed { session: first, message, at } = copy.missed;
        unconfirmed::remove(tx, copy.mark, first)?;
        unconfirmed::put(tx, copy.mark, session, &Unconfirmed { message, at })?;
        let event = Event {
            kind: Kind::Repeated,
            recipient: Some(copy.given.to_string()),
            text: "the sender had missed the answer and sent the message again: it was not stored twice".into(),
            ..self.accepted()
        };
        trace::record(tx, Subject::Message(message), event)
    }

    fn accepted(&self) -> Event {
        Event {
            peer_ip: self.origin.peer_ip,
            helo: self.origin.helo.clone(),
            tls: self.origin.tls.clone(),
            sender: Some(self.sender.as_ref().map(Address::to_string).unwrap_or_default()),
            message_id: self.message_id_field.clone(),
            size_bytes: Some(self.header_block.len() as u64 + self.body_bytes()),
            code: Some(250),
            enhanced: Some((2, 0, 0)),
            ..Event::new(self.at, Kind::Accepted, self.origin.actor.as_str())
        }
    }
}
