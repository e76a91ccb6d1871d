mod plan;

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use super::bounce::{About, Bounce};
use super::outbound::Outbound;
use super::session::Session;
use super::unconfirmed::{self, Confirm, Mark, Missed, Unconfirmed};
use crate::base::{
    Address, BlobId, DomainName, MailOptions, MailboxId, MessageId, QueueId, RcptOptions, Timestamp, TlsWish, limits,
};
use crate::directory::{self, Delivery};
use crate::dkim::Seal;
use crate::mailbox::{self, Incoming, Placement};
use crate::message::report::{self, Told};
use crate::message::{self, Summary};
use crate::queue::{self, NewEntry, NewMessage, Notify};
use crate::srs;
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
    /// By whom it is sealed where it is forwarded; `None`: it goes without.
    pub seal: Option<Seal>,
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
    /// What its sender asks for besides.
    pub options: MailOptions,
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
    /// What is known of who it is from, as in `spf=pass (far.test) dkim=none dmarc=pass (far.test)`.
    pub checked: Option<String>,
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
    /// What the sender asks for it.
    pub options: RcptOptions,
}

impl Recipient {
    /// Whether it leads to several: then each of them is a recipient of its own, and the sender is told of that instead of
    /// their successes.
    // RFC 3461 §5.2.7.2
    fn is_list(&self) -> bool {
        self.deliveries.len() + self.remote.len() > 1
    }

    /// Whether it is an address here that leads elsewhere.
    fn forwards(&self) -> bool {
        self.remote.iter().any(|address| address.key() != self.given.key())
    }

    /// As what each of those that it leads to is named.
    fn named(&self) -> Named {
        let options = if self.is_list() { self.options.without_success() } else { self.options.clone() };
        Named { given: self.given.clone(), options }
    }
}

/// The domains that forward a message, in the order of their addresses: one that can answers for it.
pub fn forwarders(recipients: &[Recipient]) -> Vec<&DomainName> {
    let mut domains = Vec::new();
    for domain in recipients.iter().filter(|one| one.forwards()).filter_map(|one| one.given.host.name()) {
        if !domains.contains(&domain) {
            domains.push(domain);
        }
    }
    domains
}

/// A recipient as the sender has named it.
#[derive(Clone)]
struct Named {
    given: Address,
    options: RcptOptions,
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
    joined: Vec<(Named, Address)>,
}

/// A copy for an account.
struct Fresh {
    named: Named,
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
        let seal = self.seal.as_ref().map_or(0, |seal| seal.fields.len());
        let head = self.trace_fields.len() + self.header_block.len() + seal;
        let Summary { envelope, structure, .. } = &self.summary;
        let held = envelope.len() + 512 * structure.parts.len();
        1024 * (copies + 1)
            + held
            + held.min(limits::SUMMARY_BYTES) * copies
            + 2 * head
            + self.body.as_ref().map_or(0, Body::weight_bytes)
    }

    fn check(&self, tx: &Tx<'_>) -> Result<Plan, Halt<Refused>> {
        self.plan(tx)
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

impl Accept {
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
        if let Some(text) = &self.origin.checked {
            let event = Event::new(self.at, Kind::Checked, self.origin.actor.as_str());
            self.record(tx, Event { text: text.clone(), ..event })?;
        }
        for copy in &plan.fresh {
            if !copy.is_capture {
                let text = format!("to the INBOX of {}", copy.address);
                self.record(tx, self.delivered(&copy.named.given, &copy.address, text))?;
            }
            self.mark(tx, copy.mark, session)?;
        }
        self.record_joined(tx, plan)?;
        self.record_captured(tx, plan)?;
        let queued = self.enqueue(tx, plan, &incoming, session)?;
        self.report(tx, plan, &head)?;
        Ok(queued)
    }

    /// Tells of each recipient that gets no copy of its own.
    fn record_joined(&self, tx: &mut Tx<'_>, plan: &Plan) -> Result<(), StoreError> {
        if plan.joined.is_empty() || self.is_put_off() {
            return Ok(());
        }
        let with_own: HashSet<String> = plan.fresh.iter().map(|copy| copy.named.given.key()).collect();
        for (Named { given, .. }, address) in
            plan.joined.iter().filter(|(named, _)| !with_own.contains(&named.given.key()))
        {
            let text = format!("the same copy, to the INBOX of {address}");
            self.record(tx, self.delivered(given, address, text))?;
        }
        Ok(())
    }

    /// Tells the sender of what has come to its end here, as far as they have asked for it.
    // RFC 3461 §5.1, §5.2.7
    fn report(&self, tx: &mut Tx<'_>, plan: &Plan, head: &[u8]) -> Result<(), StoreError> {
        let copies = plan.fresh.iter().filter(|copy| !copy.is_capture).map(|copy| &copy.named);
        let joined = plan.joined.iter().filter(|_| !self.is_put_off()).map(|(named, _)| named);
        let delivered = copies.chain(joined);
        let delivered = delivered.filter(|named| named.options.wants_success());
        let lists = self.recipients.iter().filter(|list| list.is_list() && list.options.wants_success());
        let told = delivered
            .map(|named| ended_here(&named.given, &named.options, report::Fate::Delivered))
            .chain(lists.map(|list| ended_here(&list.given, &list.options, report::Fate::Expanded)))
            .collect();
        let about = About {
            id: self.id,
            sender: self.sender.as_ref(),
            notify: self.notify,
            arrived_at: self.at,
            head,
            body: None,
            options: &self.options,
        };
        match Bounce::new(about, told, &self.outbound, self.at) {
            Some(bounce) => bounce.send(tx),
            None => Ok(()),
        }
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
        let is_forwarded = plan.queued.iter().any(|copy| copy.entry.original.is_some());
        let seal = self.seal.as_ref().filter(|_| is_forwarded);
        let sealed = seal.map_or(&[][..], |seal| &seal.fields);
        let head = [sealed, self.forwarded_by().as_bytes(), incoming.head].concat();
        let return_path = self.return_path(tx, plan)?;
        let message = NewMessage {
            id: self.id,
            sender: self.sender.clone(),
            notify: self.notify,
            head: &head,
            blob: incoming.blob,
            body_bytes: incoming.body_bytes,
            eight_bit: self.eight_bit,
            smtputf8: self.smtputf8
                || return_path.as_ref().or(self.sender.as_ref()).is_some_and(needs_utf8)
                || plan.queued.iter().any(|copy| needs_utf8(&copy.entry.recipient)),
            at: self.at,
            options: self.wishes(),
            return_path: return_path.clone(),
            recipients: plan.queued.iter().map(|copy| copy.entry.clone()).collect(),
        };
        let ids = queue::enqueue(tx, &message, &self.outbound.policy)?;
        let mut queued = Vec::with_capacity(ids.len());
        for (copy, id) in plan.queued.iter().zip(ids) {
            let mut text = match &copy.entry.original {
                Some(_) => format!("for {}, as {id}", copy.entry.recipient),
                None => format!("as {id}"),
            };
            if let Some(at) = self.options.release_at.filter(|_| self.is_put_off()) {
                text.push_str(&format!(", not before {at}"));
            }
            if let Some(return_path) = &return_path {
                text.push_str(&format!(", from {return_path}"));
            }
            if let Some(Seal { by, .. }) = seal {
                text.push_str(&format!(", sealed by {by}"));
            }
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

    /// The address that a stranger's message leaves with where it is forwarded: the next server holds SPF against us, and
    /// what it can't deliver has to come back. Mail of our own domains has such an address already.
    fn return_path(&self, tx: &mut Tx<'_>, plan: &Plan) -> Result<Option<Address>, StoreError> {
        let (Some(srs), Some(sender)) = (&self.outbound.srs, &self.sender) else { return Ok(None) };
        let forwarded = plan.queued.iter().filter(|copy| copy.entry.original.is_some());
        let Some(by) = forwarded.map(|copy| &copy.given).find_map(|given| given.host.name()) else { return Ok(None) };
        let is_ours = |name: &DomainName| Ok::<_, StoreError>(directory::local_domain(tx, name)?.is_some());
        if sender.host.name().map_or(Ok(false), is_ours)? {
            return Ok(None);
        }
        let domain = match &srs.domain {
            Some(domain) if is_ours(domain)? => domain,
            _ => by,
        };
        srs::rewrite(tx, sender, domain, self.at)
    }

    /// Whether nobody is to have it yet.
    fn is_put_off(&self) -> bool {
        self.options.release_at.is_some_and(|at| at > self.at)
    }

    /// What is kept of the sender's wishes. The parameter is for the whole way, and outweighs the header field.
    // RFC 8689 §3
    fn wishes(&self) -> MailOptions {
        let mut options = self.options.clone();
        if options.tls == TlsWish::Policy && message::gives_up_tls(&self.header_block) {
            options.tls = TlsWish::Optional;
        }
        options
    }

    /// What a forwarded message says of the address that forwards it, so that it is known when it comes back. Not with
    /// several recipients: it would tell each of the others.
    // RFC 9228 §3
    fn forwarded_by(&self) -> String {
        match self.recipients.as_slice() {
            [only @ Recipient { given, .. }] if given.is_ascii() && only.forwards() => {
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

/// What a report says of a recipient whose mail goes no further as this message. Where it led is not for the sender to know.
fn ended_here(given: &Address, options: &RcptOptions, fate: report::Fate) -> Told {
    Told {
        recipient: given.clone(),
        original: None,
        named_at_first: options.original.clone(),
        fate,
        server: None,
        code: None,
        enhanced: None,
        text: String::new(),
        tried_at: None,
    }
}

/// What only one recipient's copy says.
// RFC 5321 §4.4: Return-Path; RFC 9228 §3: Delivered-To
pub(super) fn own_lines(sender: Option<&Address>, recipient: &Address) -> Vec<u8> {
    let sender = sender.map(Address::to_string).unwrap_or_default();
    format!("Return-Path: <{sender}>\r\nDelivered-To: {recipient}\r\n").into_bytes()
}
