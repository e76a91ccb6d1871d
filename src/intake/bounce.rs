use super::accept::own_lines;
use super::outbound::Outbound;
use crate::base::{
    AccountId, Address, ByMode, Enhanced, MailOptions, MailboxId, MessageId, NotifyOn, RcptOptions, Timestamp, TlsWish,
};
use crate::directory::{self, Delivery, Resolution};
use crate::dkim::{BodyHasher, Unsigned};
use crate::mailbox::{self, Incoming, Placement};
use crate::message::Summary;
use crate::message::report::{self, Composed, Reader, Report, Reported, Told};
use crate::queue::{self, Entry, Fate, Message, NewEntry, NewMessage, Notify, Settled, Settlement, Stage};
use crate::store::{Read, StoreError, Tx};
use crate::trace::{self, Event, Kind, Subject};

/// Who writes a bounce, for the trace.
const ACTOR: &str = "bounce";

/// The message that is reported on.
#[derive(Clone, Copy)]
pub(super) struct About<'a> {
    pub(super) id: MessageId,
    /// The sender of its envelope.
    pub(super) sender: Option<&'a Address>,
    /// Who is told.
    pub(super) notify: Notify,
    pub(super) arrived_at: Timestamp,
    /// Its trace fields and its header block.
    pub(super) head: &'a [u8],
    /// Its body, where a report on its failure returns it.
    pub(super) body: Option<&'a [u8]>,
    /// What its sender has asked for.
    pub(super) options: &'a MailOptions,
}

/// What is to be told of a message: all at once, in one report.
pub(super) struct Bounce<'a> {
    about: About<'a>,
    told: Vec<Told>,
    outbound: &'a Outbound,
    at: Timestamp,
}

/// Where a report goes.
#[derive(Default)]
struct Readers {
    /// Whose mailboxes.
    local: Vec<(Address, MailboxId)>,
    /// Which addresses elsewhere.
    remote: Vec<NewEntry>,
    /// The addresses whose mail stays here instead.
    captured: Vec<Address>,
}

impl<'a> Bounce<'a> {
    /// Of what has become of entries; `None` when nobody is to be told anything.
    pub(super) fn of(settlement: &'a Settlement, outbound: &'a Outbound, at: Timestamp) -> Option<Self> {
        let Settlement { message, head, returned, entries } = settlement;
        let about = About {
            // There is at least one, or nothing were told.
            id: entries.first().map_or(MessageId(0), |settled| settled.id.message),
            sender: message.sender.as_ref(),
            notify: message.notify,
            arrived_at: message.at,
            head,
            body: returned.as_deref(),
            options: &message.options,
        };
        let told = entries.iter().filter_map(|settled| told(settled, message)).collect();
        Self::new(about, told, outbound, at)
    }

    /// Of what is known already. Successes are told to a sender whom we know, and to nobody else.
    pub(super) fn new(about: About<'a>, mut told: Vec<Told>, outbound: &'a Outbound, at: Timestamp) -> Option<Self> {
        if about.notify != Notify::Sender || about.sender.is_none() {
            told.retain(|told| !told.fate.is_success());
        }
        (!told.is_empty()).then_some(Self { about, told, outbound, at })
    }

    /// Writes the report to the sender, or to our postmaster; a report that nobody here can read is noted in the trace.
    pub(super) fn send(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let About { sender, notify, .. } = self.about;
        if let (Notify::Sender, Some(sender)) = (notify, sender) {
            let readers = self.readers(tx, directory::resolve(tx, sender)?, sender)?;
            if !readers.is_empty() {
                return self.write(tx, sender, Reader::Sender, &readers);
            }
        }
        // What is no failure yet is no matter for a postmaster.
        if !self.told.iter().any(|told| told.fate.is_failure()) {
            return Ok(());
        }
        let postmaster = Address::postmaster(&self.outbound.hostname);
        let mut readers = self.readers(tx, directory::resolve_postmaster(tx, &self.outbound.hostname)?, &postmaster)?;
        // RFC 5321 §6.1: a report on a report never travels, or two servers could send each other reports for ever.
        if sender.is_none() {
            readers.remote.clear();
        }
        if !readers.is_empty() {
            return self.write(tx, &postmaster, Reader::Postmaster, &readers);
        }
        self.note(tx, Kind::Bounced, None, "there is nobody to be told".to_owned())
    }

    /// Where mail for that address goes. Quotas don't matter: a report that finds no room would be lost.
    fn readers(&self, tx: &Tx<'_>, resolution: Resolution, to: &Address) -> Result<Readers, StoreError> {
        let (local, remote) = match resolution {
            Resolution::Local(local) | Resolution::InternalOnly(local) => (local, Vec::new()),
            Resolution::Forwards { local, remote, .. } => (local, remote),
            Resolution::NotLocal => (Vec::new(), vec![to.clone()]),
            Resolution::Unknown | Resolution::Disabled | Resolution::TooFar => (Vec::new(), Vec::new()),
        };
        let mut readers = Readers::default();
        for Delivery { account, address, .. } in local {
            readers.add(tx, account, address)?;
        }
        match &self.outbound.capture_to {
            Some(captor) if !remote.is_empty() => {
                if let Some(account) = directory::account(tx, captor)? {
                    readers.add(tx, account.id, account.address)?;
                }
                readers.captured = remote;
            }
            _ => {
                let original = |recipient: &Address| (recipient.key() != to.key()).then(|| to.clone());
                // RFC 3461 §6.1: a report asks for no report.
                let options = RcptOptions { notify: Some(NotifyOn::NEVER), original: None };
                let entry = |recipient: Address| NewEntry {
                    original: original(&recipient),
                    recipient,
                    options: options.clone(),
                };
                readers.remote = remote.into_iter().map(entry).collect();
            }
        }
        Ok(readers)
    }

    fn write(&self, tx: &mut Tx<'_>, to: &Address, reader: Reader, readers: &Readers) -> Result<(), StoreError> {
        let About { sender, arrived_at, head, body, options, .. } = self.about;
        let id = self.outbound.ids.message(self.at);
        let about = Reported {
            id: self.about.id,
            sender,
            envelope_id: options.envelope_id.as_deref(),
            deliver_by: options.deliver_by.map(|by| by.at),
            arrived_at,
            head,
            // Its sender alone has asked for it, and without a failure it is a waste.
            body: body.filter(|_| reader == Reader::Sender && self.told.iter().any(|told| told.fate.is_failure())),
        };
        let report = Report {
            hostname: &self.outbound.hostname,
            id,
            at: self.at,
            to,
            reader,
            message: about,
            recipients: &self.told,
        };
        let mut composed = report.compose();
        self.sign(tx, &mut composed)?;
        self.tell_trace(tx, id, to, &composed)?;
        let summary = Summary::of_whole(&composed.header_block, &composed.body);
        let references = readers.local.len() + usize::from(!readers.remote.is_empty());
        let incoming = Incoming {
            id,
            head: &composed.header_block,
            blob: Some(tx.put_small_blob(&composed.body, u32::try_from(references).unwrap_or(u32::MAX))?),
            body_bytes: composed.body.len() as u64,
            summary: Some(&summary),
            at: self.at,
        };
        self.deliver(tx, &incoming, to, readers)?;
        self.enqueue(tx, &incoming, to, readers)
    }

    /// A report is in the name of this server, and nobody but us writes one.
    fn sign(&self, tx: &Tx<'_>, composed: &mut Composed) -> Result<(), StoreError> {
        let Outbound { hostname, signers, .. } = self.outbound;
        let mut body = BodyHasher::default();
        body.push(&composed.body);
        let head = &composed.header_block;
        let unsigned = Unsigned { author: hostname, head, body: body.finish(), at: self.at };
        let fields = signers.sign_own(tx, &unsigned)?;
        composed.header_block.splice(0..0, fields);
        Ok(())
    }

    fn deliver(
        &self,
        tx: &mut Tx<'_>,
        incoming: &Incoming<'_>,
        to: &Address,
        readers: &Readers,
    ) -> Result<(), StoreError> {
        let lines: Vec<Vec<u8>> = readers.local.iter().map(|(address, _)| own_lines(None, address)).collect();
        let copies: Vec<Placement<'_>> = readers
            .local
            .iter()
            .zip(&lines)
            .map(|((_, mailbox), own_lines)| Placement { mailbox: *mailbox, own_lines })
            .collect();
        mailbox::deliver(tx, incoming, &copies)?;
        let captured: Vec<String> = readers.captured.iter().map(ToString::to_string).collect();
        for (address, _) in &readers.local {
            let text = match captured.as_slice() {
                [] => format!("to the INBOX of {address}"),
                captured => format!("captured: for {}, to the INBOX of {address}", captured.join(", ")),
            };
            let event = Event {
                recipient: Some(to.to_string()),
                text,
                account: Some(address.to_string()),
                mailbox: Some(mailbox::INBOX.to_owned()),
                ..Event::new(self.at, Kind::Delivered, ACTOR)
            };
            trace::record(tx, Subject::Message(incoming.id), event)?;
        }
        Ok(())
    }

    fn enqueue(
        &self,
        tx: &mut Tx<'_>,
        incoming: &Incoming<'_>,
        to: &Address,
        readers: &Readers,
    ) -> Result<(), StoreError> {
        if readers.remote.is_empty() {
            return Ok(());
        }
        let message = NewMessage {
            id: incoming.id,
            sender: None,
            notify: Notify::Postmaster,
            head: incoming.head,
            blob: incoming.blob,
            body_bytes: incoming.body_bytes,
            // RFC 6533 §4: what is written there is 7-bit, but for a To field that names the reader.
            eight_bit: !incoming.head.is_ascii(),
            smtputf8: !incoming.head.is_ascii() || readers.remote.iter().any(|entry| !entry.recipient.is_ascii()),
            at: self.at,
            // RFC 8689 §5: what must not travel without TLS must not come back without it.
            options: MailOptions {
                tls: match self.about.options.tls {
                    TlsWish::Required => TlsWish::Required,
                    TlsWish::Policy | TlsWish::Optional => TlsWish::Policy,
                },
                ..MailOptions::default()
            },
            return_path: None,
            recipients: readers.remote.clone(),
        };
        let ids = queue::enqueue(tx, &message, &self.outbound.policy)?;
        for (entry, id) in readers.remote.iter().zip(ids) {
            let event = Event {
                recipient: Some(to.to_string()),
                text: format!("for {}, as {id}", entry.recipient),
                entry: Some(id.number),
                ..Event::new(self.at, Kind::Queued, ACTOR)
            };
            trace::record(tx, Subject::Message(incoming.id), event)?;
        }
        Ok(())
    }

    /// Both messages say of the other.
    fn tell_trace(&self, tx: &mut Tx<'_>, id: MessageId, to: &Address, composed: &Composed) -> Result<(), StoreError> {
        let is_delayed = |told: &Told| matches!(told.fate, report::Fate::Delayed { .. });
        if self.told.iter().any(is_delayed) {
            self.note(tx, Kind::Delayed, Some(to), format!("by {id}"))?;
        }
        if self.told.iter().any(|told| told.fate.is_failure()) {
            self.note(tx, Kind::Bounced, Some(to), format!("by {id}"))?;
        }
        if self.told.iter().any(|told| told.fate.is_success()) {
            self.note(tx, Kind::Reported, Some(to), format!("by {id}"))?;
        }
        let event = Event {
            sender: Some(String::new()),
            message_id: Some(composed.message_id.clone()),
            size_bytes: Some((composed.header_block.len() + composed.body.len()) as u64),
            text: format!("a report on {}", self.about.id),
            ..Event::new(self.at, Kind::Accepted, ACTOR)
        };
        trace::record(tx, Subject::Message(id), event)
    }

    /// Tells the story of the message that the report is about.
    fn note(&self, tx: &mut Tx<'_>, kind: Kind, to: Option<&Address>, text: String) -> Result<(), StoreError> {
        let event = Event { recipient: to.map(ToString::to_string), text, ..Event::new(self.at, kind, ACTOR) };
        trace::record(tx, Subject::Message(self.about.id), event)
    }
}

impl Readers {
    fn add(&mut self, read: &impl Read, account: AccountId, address: Address) -> Result<(), StoreError> {
        if let Some(mailbox) = mailbox::inbox(read, account)?
            && self.local.iter().all(|(_, known)| *known != mailbox)
        {
            self.local.push((address, mailbox));
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.local.is_empty() && self.remote.is_empty()
    }
}

/// Whether its last attempt was to put it into a mailbox here.
fn is_here(entry: &Entry) -> bool {
    entry.last.as_ref().is_some_and(|attempt| attempt.stage == Stage::Mailbox)
}

/// Whether its end has come because its sender wanted it back then.
// RFC 2852 §4.2
fn is_overdue(entry: &Entry, asked: &MailOptions) -> bool {
    asked.deliver_by.is_some_and(|by| by.mode == ByMode::Return && by.at <= entry.expires_at)
}

/// What a report says of a recipient; `None` when it says nothing.
// RFC 3461 §4.1, §5.2.2; RFC 2852 §4.2
fn told(settled: &Settled, message: &Message) -> Option<Told> {
    let Settled { entry, fate, .. } = settled;
    let asked = &message.options;
    let options = &entry.options;
    let fate = match fate {
        // It is for a sender to say. A report asks for none, and our postmaster hears of its end all the same.
        Fate::Failed | Fate::Expired if message.sender.is_some() && !options.wants_failure() => return None,
        Fate::Failed => report::Fate::Failed,
        Fate::Expired if is_overdue(entry, asked) => report::Fate::Overdue,
        Fate::Expired => report::Fate::Expired,
        Fate::Deferred { tell: true, .. } => report::Fate::Delayed { until: entry.expires_at },
        Fate::Deferred { tell: false, .. } => return None,
        Fate::Delivered { .. } if is_here(entry) => {
            if !options.wants_success() {
                return None;
            }
            report::Fate::Delivered
        }
        Fate::Delivered { passed_on } => {
            let is_silenced = options.notify == Some(NotifyOn::NEVER);
            // The next server does not know by when it is to be delivered, or the sender wants to know of every step.
            let is_dated = asked.deliver_by.is_some_and(|by| by.trace || !passed_on.deadline) && !is_silenced;
            if !(is_dated || options.wants_success() && !passed_on.reports) {
                return None;
            }
            report::Fate::Relayed
        }
    };
    let last = entry.last.as_ref();
    let enhanced = last.and_then(|attempt| attempt.words.enhanced);
    Some(Told {
        recipient: entry.recipient.clone(),
        original: entry.original.clone(),
        named_at_first: options.original.clone(),
        fate,
        server: last.and_then(|attempt| attempt.server.clone()),
        code: last.and_then(|attempt| attempt.words.code),
        enhanced: enhanced.map(|(class, subject, detail)| Enhanced(class, subject, detail)),
        text: last.map(|attempt| attempt.words.text.clone()).unwrap_or_default(),
        tried_at: last.filter(|attempt| attempt.stage != Stage::Queue).map(|attempt| attempt.at),
    })
}
