use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use super::outbound::Outbound;
use super::session::Session;
use super::unconfirmed::{self, Confirm, Mark, Missed, Unconfirmed};
use crate::base::{AccountId, Address, BlobId, MailboxId, MessageId, QueueId, Timestamp, limits};
use crate::directory::{self, Delivery};
use crate::mailbox::{self, Incoming, Placement};
use crate::message::Summary;
use crate::queue::{self, NewEntry, NewMessage, Notify};
use crate::store::{Halt, Op, StagedBlob, StoreError, Tx};
use crate::trace::{self, Event, Kind, Subject};

/// Takes a message in for all its recipients, in one transaction.
pub struct Accept {
    /// Its id, which the trace field already names.
    pub id: MessageId,
    /// Now.
    pub at: Timestamp,
    /// The session that it comes by, where its sender may miss our answer and bring it again; `None` where whoever brings
    /// the same bytes twice means two messages.
    pub session: Option<Arc<Session>>,
    /// Where it comes from.
    pub origin: Origin,
    /// The sender of the envelope; `None`: the null sender.
    pub sender: Option<Address>,
    /// Everybody who gets it, as resolved when they were named. An account or address that is named twice gets one copy.
    pub recipients: Vec<Recipient>,
    /// Who is told when it can't be delivered elsewhere.
    pub notify: Notify,
    /// What we put before the header block: [`super::received`].
    pub trace_fields: Vec<u8>,
    /// The header block as received, each line with its CRLF, without the blank line behind it.
    pub header_block: Vec<u8>,
    /// What mail programs ask of it.
    pub summary: Summary,
    /// The addresses that the header block says it was delivered to before: [`crate::message::Scan::delivered_to`].
    pub delivered_to: Vec<Address>,
    /// The body, from the blank line on; `None` when nothing stands behind the header block.
    pub body: Option<Body>,
    /// The value of its Message-ID field, for the trace.
    pub message_id_field: Option<String>,
    /// Header or body hold octets above 127 (RFC 6152).
    pub eight_bit: bool,
    /// The header can't be sent without SMTPUTF8 (RFC 6531 §3.4). What the envelope needs is seen here.
    pub smtputf8: bool,
    /// What the server knows of its way out.
    pub outbound: Arc<Outbound>,
}

/// A message's body.
pub enum Body {
    /// It has just come in.
    Staged(StagedBlob),
    /// It is in the file, and somebody who is there when the message is taken in refers to it.
    Stored {
        /// Which.
        blob: BlobId,
        /// Octets.
        size_bytes: u64,
    },
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

/// The entries of a message for addresses elsewhere, each with the recipient as it was named.
type Entries = Vec<(Address, QueueId)>;

impl Body {
    /// Octets.
    pub fn size_bytes(&self) -> u64 {
        match self {
            Self::Staged(body) => body.size_bytes(),
            Self::Stored { size_bytes, .. } => *size_bytes,
        }
    }

    /// Octets that taking it in adds to a batch.
    fn weight_bytes(&self) -> usize {
        match self {
            Self::Staged(body) => body.weight_bytes(),
            Self::Stored { .. } => 0,
        }
    }

    /// The body in the file, with so many more references.
    fn refer(&self, tx: &mut Tx<'_>, references: u32) -> Result<BlobId, StoreError> {
        match self {
            Self::Staged(body) => tx.adopt_blob(body, references),
            Self::Stored { blob, .. } => tx.retain_blob(*blob, references).map(|()| *blob),
        }
    }
}

/// A recipient of the envelope and where it leads.
#[derive(Debug, Clone)]
pub struct Recipient {
    /// As it was named.
    pub given: Address,
    /// The accounts here.
    pub deliveries: Vec<Delivery>,
    /// The addresses elsewhere.
    pub remote: Vec<Address>,
}

/// The message is on disk.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// Its id; of a retransmission, the id that it got the first time.
    pub id: MessageId,
    /// It was a retransmission, and nothing was stored.
    pub again: bool,
    /// The entries for addresses elsewhere: the recipient as it was named, and the entry.
    pub queued: Vec<(Address, QueueId)>,
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
#[derive(Default)]
pub struct Plan {
    fresh: Vec<Fresh>,
    queued: Vec<Queued>,
    repeated: Vec<Repeated>,
    captured: Vec<Captured>,
    /// Recipients that get no copy of their own, since their account gets one already.
    joined: Vec<(Address, Address)>,
}

/// A copy for an account.
struct Fresh {
    given: Address,
    address: Address,
    mailbox: MailboxId,
    own_lines: Vec<u8>,
    mark: Mark,
    /// It is there only because mail for elsewhere is captured.
    is_capture: bool,
}

/// A copy for an address elsewhere.
struct Queued {
    given: Address,
    entry: NewEntry,
    mark: Mark,
}

/// A copy that has been taken in before.
struct Repeated {
    given: Address,
    mark: Mark,
    missed: Missed,
}

/// A recipient elsewhere whose mail stays here.
struct Captured {
    given: Address,
    address: Address,
}

/// Who has been looked at.
struct Seen {
    /// The message's bytes and sender.
    bytes: blake3::Hash,
    accounts: HashSet<AccountId>,
    remote: HashSet<String>,
    /// Who was named for an account that gets a copy already.
    joined: HashSet<String>,
    /// Where it was delivered to before.
    before: HashSet<String>,
}

impl Op for Accept {
    type Plan = Plan;
    type Out = Accepted;
    type Refused = Refused;

    fn name(&self) -> &'static str {
        "intake.accept"
    }

    fn weight_bytes(&self) -> usize {
        let copies: usize =
            self.recipients.iter().map(|recipient| recipient.deliveries.len() + recipient.remote.len()).sum();
        let head = self.trace_fields.len() + self.header_block.len();
        let Summary { envelope, structure, .. } = &self.summary;
        let held = envelope.len() + 512 * structure.parts.len();
        1024 * (copies + 1)
            + held
            + held.min(limits::SUMMARY_BYTES) * copies
            + 2 * head
            + self.body.as_ref().map_or(0, Body::weight_bytes)
    }

    fn check(&self, tx: &Tx<'_>) -> Result<Plan, Halt<Refused>> {
        let mut plan = Plan::default();
        let mut seen = Seen {
            bytes: self.hash(),
            accounts: HashSet::new(),
            remote: HashSet::new(),
            joined: HashSet::new(),
            before: self.delivered_to.iter().map(Address::key).collect(),
        };
        for recipient in &self.recipients {
            for delivery in &recipient.deliveries {
                self.plan_delivery(tx, &mut plan, &mut seen, &recipient.given, delivery)?;
            }
            for address in &recipient.remote {
                if seen.remote.insert(address.key()) {
                    self.plan_remote(tx, &mut plan, &mut seen, &recipient.given, address)?;
                }
            }
        }
        if seen.accounts.is_empty() && seen.remote.is_empty() {
            return Err(Halt::Refused(Refused::Nobody));
        }
        Ok(plan)
    }

    fn apply(&self, tx: &mut Tx<'_>, plan: Plan) -> Result<Accepted, StoreError> {
        unconfirmed::remove_ended(tx, self.at)?;
        let session = self.session.as_ref().map(|session| session.id());
        let marks = if session.is_some() { plan.marks() } else { Vec::new() };
        for copy in &plan.repeated {
            self.repeat(tx, copy, session.unwrap_or_default())?;
        }
        let again = match plan.repeated.first() {
            Some(first) if plan.fresh.is_empty() && plan.queued.is_empty() => Some(first.missed.message),
            _ => None,
        };
        let queued = if again.is_none() { self.store(tx, &plan, session)? } else { Vec::new() };
        let (id, session) = (again.unwrap_or(self.id), session.unwrap_or_default());
        Ok(Accepted { id, again: again.is_some(), queued, session, marks })
    }
}

impl Plan {
    fn marks(&self) -> Vec<Mark> {
        let fresh = self.fresh.iter().map(|copy| copy.mark);
        let queued = self.queued.iter().map(|copy| copy.mark);
        fresh.chain(queued).chain(self.repeated.iter().map(|copy| copy.mark)).collect()
    }
}

impl Seen {
    /// What a sender repeats when it sends the same message to the same account again.
    fn account_mark(&self, account: AccountId) -> Mark {
        self.mark(b"account", &account.0.to_be_bytes())
    }

    /// The same for an address elsewhere.
    fn remote_mark(&self, address: &Address) -> Mark {
        self.mark(b"remote", address.key().as_bytes())
    }

    fn mark(&self, kind: &[u8], recipient: &[u8]) -> Mark {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.bytes.as_bytes());
        hasher.update(kind);
        hasher.update(recipient);
        let mut mark = [0; 16];
        hasher.finalize_xof().fill(&mut mark);
        mark
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
        if let Some(Body::Staged(body)) = &self.body {
            hasher.update(&body.hash());
        } else {
            hasher.update(&[0; 32]);
        }
        hasher.finalize()
    }

    fn plan_delivery(
        &self,
        tx: &Tx<'_>,
        plan: &mut Plan,
        seen: &mut Seen,
        given: &Address,
        delivery: &Delivery,
    ) -> Result<(), Halt<Refused>> {
        if !seen.accounts.insert(delivery.account) {
            if seen.joined.insert(given.key()) {
                plan.joined.push((given.clone(), delivery.address.clone()));
            }
            return Ok(());
        }
        let mark = seen.account_mark(delivery.account);
        let given = given.clone();
        match self.missed(tx, &mark)? {
            Some(missed) => plan.repeated.push(Repeated { given, mark, missed }),
            None if seen.before.contains(&delivery.address.key()) => return Err(Halt::Refused(Refused::Loop(given))),
            None => plan.fresh.push(self.plan_copy(tx, given, delivery.account, mark)?),
        }
        Ok(())
    }

    fn plan_remote(
        &self,
        tx: &Tx<'_>,
        plan: &mut Plan,
        seen: &mut Seen,
        given: &Address,
        address: &Address,
    ) -> Result<(), Halt<Refused>> {
        let (given, address) = (given.clone(), address.clone());
        if let Some(to) = &self.outbound.capture_to {
            self.plan_capture(tx, plan, seen, &given, to)?;
            plan.captured.push(Captured { given, address });
            return Ok(());
        }
        let mark = seen.remote_mark(&address);
        if let Some(missed) = self.missed(tx, &mark)? {
            plan.repeated.push(Repeated { given, mark, missed });
            return Ok(());
        }
        let original = (given.key() != address.key()).then(|| given.clone());
        if original.is_some() && seen.before.contains(&given.key()) {
            return Err(Halt::Refused(Refused::Loop(given)));
        }
        plan.queued.push(Queued { given, entry: NewEntry { recipient: address, original }, mark });
        Ok(())
    }

    /// One copy for all recipients whose mail stays here. Where it was delivered before does not matter: it goes no
    /// further.
    fn plan_capture(
        &self,
        tx: &Tx<'_>,
        plan: &mut Plan,
        seen: &mut Seen,
        given: &Address,
        to: &Address,
    ) -> Result<(), Halt<Refused>> {
        let Some(account) = directory::account(tx, to)? else {
            return Err(Halt::Refused(Refused::Gone(to.clone())));
        };
        if !seen.accounts.insert(account.id) {
            return Ok(());
        }
        let (given, mark) = (given.clone(), seen.account_mark(account.id));
        match self.missed(tx, &mark)? {
            Some(missed) => plan.repeated.push(Repeated { given, mark, missed }),
            None => {
                plan.fresh.push(Fresh { is_capture: true, ..self.plan_copy(tx, given, account.id, mark)? });
            }
        }
        Ok(())
    }

    fn plan_copy(&self, tx: &Tx<'_>, given: Address, account: AccountId, mark: Mark) -> Result<Fresh, Halt<Refused>> {
        let inbox = mailbox::inbox(tx, account)?;
        let account = directory::account_by_id(tx, account)?;
        let (Some(mailbox), Some(account)) = (inbox, account) else {
            return Err(Halt::Refused(Refused::Gone(given)));
        };
        let own_lines = own_lines(self.sender.as_ref(), &account.address);
        let size_bytes =
            (own_lines.len() + self.trace_fields.len() + self.header_block.len()) as u64 + self.body_bytes();
        if !mailbox::fits(tx, &account, size_bytes)? {
            return Err(Halt::Refused(Refused::OverQuota(given)));
        }
        Ok(Fresh { given, address: account.address, mailbox, own_lines, mark, is_capture: false })
    }

    /// The copy of that mark of which the sender may have missed our answer.
    fn missed(&self, tx: &Tx<'_>, mark: &Mark) -> Result<Option<Missed>, StoreError> {
        match &self.session {
            Some(session) => unconfirmed::find_missed(tx, mark, session.sessions(), self.at),
            None => Ok(None),
        }
    }

    /// Remembers a copy of which the sender may miss our answer.
    fn mark(&self, tx: &mut Tx<'_>, mark: Mark, session: Option<u64>) -> Result<(), StoreError> {
        let row = Unconfirmed { message: self.id, at: self.at };
        session.map_or(Ok(()), |session| unconfirmed::put(tx, mark, session, &row))
    }

    fn body_bytes(&self) -> u64 {
        self.body.as_ref().map_or(0, Body::size_bytes)
    }

    fn store(&self, tx: &mut Tx<'_>, plan: &Plan, session: Option<u64>) -> Result<Entries, StoreError> {
        let head = [self.trace_fields.as_slice(), &self.header_block].concat();
        // One reference for each copy, and one for all that is queued.
        let references = plan.fresh.len() + usize::from(!plan.queued.is_empty());
        let references = u32::try_from(references).unwrap_or(u32::MAX);
        let body = self.body.as_ref().filter(|body| body.size_bytes() > 0);
        let blob = body.map(|body| body.refer(tx, references)).transpose()?;
        let incoming = Incoming {
            id: self.id,
            head: &head,
            blob,
            body_bytes: self.body_bytes(),
            summary: Some(&self.summary),
            at: self.at,
        };
        let placements: Vec<Placement<'_>> =
            plan.fresh.iter().map(|copy| Placement { mailbox: copy.mailbox, own_lines: &copy.own_lines }).collect();
        mailbox::deliver(tx, &incoming, &placements)?;
        self.record(tx, self.accepted())?;
        for copy in &plan.fresh {
            if !copy.is_capture {
                let text = format!("to the INBOX of {}", copy.address);
                self.record(tx, self.delivered(&copy.given, &copy.address, text))?;
            }
            self.mark(tx, copy.mark, session)?;
        }
        self.record_joined(tx, plan)?;
        self.record_captured(tx, plan)?;
        self.enqueue(tx, plan, &incoming, session)
    }

    /// Tells of each recipient that gets no copy of its own.
    fn record_joined(&self, tx: &mut Tx<'_>, plan: &Plan) -> Result<(), StoreError> {
        if plan.joined.is_empty() {
            return Ok(());
        }
        let with_own: HashSet<String> = plan.fresh.iter().map(|copy| copy.given.key()).collect();
        for (given, address) in plan.joined.iter().filter(|(given, _)| !with_own.contains(&given.key())) {
            let text = format!("the same copy, to the INBOX of {address}");
            self.record(tx, self.delivered(given, address, text))?;
        }
        Ok(())
    }

    /// Tells of each recipient whose mail stays here.
    fn record_captured(&self, tx: &mut Tx<'_>, plan: &Plan) -> Result<(), StoreError> {
        let Some(to) = &self.outbound.capture_to else { return Ok(()) };
        for Captured { given, address } in &plan.captured {
            self.record(tx, self.delivered(given, to, format!("captured: for {address}, to the INBOX of {to}")))?;
        }
        Ok(())
    }

    fn enqueue(
        &self,
        tx: &mut Tx<'_>,
        plan: &Plan,
        incoming: &Incoming<'_>,
        session: Option<u64>,
    ) -> Result<Entries, StoreError> {
        if plan.queued.is_empty() {
            return Ok(Vec::new());
        }
        let needs_utf8 = |address: &Address| !address.is_ascii();
        let head = [self.forwarded_by().as_bytes(), incoming.head].concat();
        let message = NewMessage {
            id: self.id,
            sender: self.sender.clone(),
            notify: self.notify,
            head: &head,
            blob: incoming.blob,
            body_bytes: incoming.body_bytes,
            eight_bit: self.eight_bit,
            smtputf8: self.smtputf8
                || self.sender.iter().any(needs_utf8)
                || plan.queued.iter().any(|copy| needs_utf8(&copy.entry.recipient)),
            at: self.at,
            recipients: plan.queued.iter().map(|copy| copy.entry.clone()).collect(),
        };
        let ids = queue::enqueue(tx, &message, &self.outbound.policy)?;
        let mut queued = Vec::with_capacity(ids.len());
        for (copy, id) in plan.queued.iter().zip(ids) {
            let text = match &copy.entry.original {
                Some(_) => format!("for {}, as {id}", copy.entry.recipient),
                None => format!("as {id}"),
            };
            let event = Event {
                recipient: Some(copy.given.to_string()),
                text,
                entry: Some(id.number),
                ..Event::new(self.at, Kind::Queued, self.origin.actor.as_str())
            };
            self.record(tx, event)?;
            self.mark(tx, copy.mark, session)?;
            queued.push((copy.given.clone(), id));
        }
        Ok(queued)
    }

    /// What a forwarded message says of the address that forwards it, so that it is known when it comes back. Not with
    /// several recipients: it would tell each of the others.
    // RFC 9228 §3
    fn forwarded_by(&self) -> String {
        match self.recipients.as_slice() {
            [Recipient { given, remote, .. }]
                if given.is_ascii() && remote.iter().any(|address| address.key() != given.key()) =>
            {
                format!("Delivered-To: {given}\r\n")
            }
            _ => String::new(),
        }
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

    fn record(&self, tx: &mut Tx<'_>, event: Event) -> Result<(), StoreError> {
        trace::record(tx, Subject::Message(self.id), event)
    }

    fn delivered(&self, given: &Address, account: &Address, text: String) -> Event {
        Event {
            recipient: Some(given.to_string()),
            account: Some(account.to_string()),
            mailbox: Some(mailbox::INBOX.to_owned()),
            text,
            ..Event::new(self.at, Kind::Delivered, self.origin.actor.as_str())
        }
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

/// What only one recipient's copy says.
// RFC 5321 §4.4: Return-Path; RFC 9228 §3: Delivered-To
pub(super) fn own_lines(sender: Option<&Address>, recipient: &Address) -> Vec<u8> {
    let sender = sender.map(Address::to_string).unwrap_or_default();
    format!("Return-Path: <{sender}>\r\nDelivered-To: {recipient}\r\n").into_bytes()
}
