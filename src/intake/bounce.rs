use super::accept::own_lines;
use super::outbound::Outbound;
use crate::base::{AccountId, Address, Enhanced, MailboxId, MessageId, Timestamp};
use crate::directory::{self, Delivery, Resolution};
use crate::mailbox::{self, Incoming, Placement};
use crate::message::Summary;
use crate::message::report::{self, Composed, Reader, Report, Reported, Told};
use crate::queue::{self, Fate, NewEntry, NewMessage, Notify, Settled, Settlement, Stage};
use crate::store::{Read, StoreError, Tx};
use crate::trace::{self, Event, Kind, Subject};

/// Who writes a bounce, for the trace.
const ACTOR: &str = "bounce";

/// What is to be told of a message: all at once, in one report.
pub(super) struct Bounce<'a> {
    settlement: &'a Settlement,
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
    /// `None` when nobody is to be told anything.
    pub(super) fn of(settlement: &'a Settlement, outbound: &'a Outbound, at: Timestamp) -> Option<Self> {
        let told: Vec<Told> = settlement.entries.iter().filter_map(told).collect();
        (!told.is_empty()).then_some(Self { settlement, told, outbound, at })
    }

    /// Writes the report to the sender, or to our postmaster; a report that nobody here can read is noted in the trace.
    pub(super) fn send(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let message = &self.settlement.message;
        if let (Notify::Sender, Some(sender)) = (message.notify, &message.sender) {
            let readers = self.readers(tx, directory::resolve(tx, sender)?, sender)?;
            if !readers.is_empty() {
                return self.write(tx, sender, Reader::Sender, &readers);
            }
        }
        // What is no failure yet is no matter for a postmaster.
        if self.told.iter().all(|told| matches!(told.fate, report::Fate::Delayed { .. })) {
            return Ok(());
        }
        let postmaster = Address::postmaster(&self.outbound.hostname);
        let mut readers = self.readers(tx, directory::resolve_postmaster(tx, &self.outbound.hostname)?, &postmaster)?;
        // RFC 5321 §6.1: a report on a report never travels, or two servers could send each other reports for ever.
        if message.sender.is_none() {
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
                let entry = |recipient: Address| NewEntry { original: original(&recipient), recipient };
                readers.remote = remote.into_iter().map(entry).collect();
            }
        }
        Ok(readers)
    }

    fn write(&self, tx: &mut Tx<'_>, to: &Address, reader: Reader, readers: &Readers) -> Result<(), StoreError> {
        let Settlement { message, head, .. } = self.settlement;
        let id = self.outbound.ids.message(self.at);
        let about = Reported { id: self.about(), sender: message.sender.as_ref(), arrived_at: message.at, head };
        let report = Report {
            hostname: &self.outbound.hostname,
            id,
            at: self.at,
            to,
            reader,
            message: about,
            recipients: &self.told,
        };
        let composed = report.compose();
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
        if !self.told.iter().all(is_delayed) {
            self.note(tx, Kind::Bounced, Some(to), format!("by {id}"))?;
        }
        let event = Event {
            sender: Some(String::new()),
            message_id: Some(composed.message_id.clone()),
            size_bytes: Some((composed.header_block.len() + composed.body.len()) as u64),
            text: format!("a report on {}", self.about()),
            ..Event::new(self.at, Kind::Accepted, ACTOR)
        };
        trace::record(tx, Subject::Message(id), event)
    }

    /// Tells the story of the message that the report is about.
    fn note(&self, tx: &mut Tx<'_>, kind: Kind, to: Option<&Address>, text: String) -> Result<(), StoreError> {
        let event = Event { recipient: to.map(ToString::to_string), text, ..Event::new(self.at, kind, ACTOR) };
        trace::record(tx, Subject::Message(self.about()), event)
    }

    fn about(&self) -> MessageId {
        // There is at least one: something is told of it.
        self.settlement.entries.first().map_or(MessageId(0), |settled| settled.id.message)
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

/// What a report says of a recipient; `None` when it says nothing.
fn told(settled: &Settled) -> Option<Told> {
    let Settled { entry, fate, .. } = settled;
    let fate = match fate {
        Fate::Failed => report::Fate::Failed,
        Fate::Expired => report::Fate::Expired,
        Fate::Deferred { tell: true, .. } => report::Fate::Delayed { until: entry.expires_at },
        Fate::Deferred { tell: false, .. } | Fate::Delivered => return None,
    };
    let last = entry.last.as_ref();
    let enhanced = last.and_then(|attempt| attempt.words.enhanced);
    Some(Told {
        recipient: entry.recipient.clone(),
        original: entry.original.clone(),
        fate,
        server: last.and_then(|attempt| attempt.server.clone()),
        code: last.and_then(|attempt| attempt.words.code),
        enhanced: enhanced.map(|(class, subject, detail)| Enhanced(class, subject, detail)),
        text: last.map(|attempt| attempt.words.text.clone()).unwrap_or_default(),
        tried_at: last.filter(|attempt| attempt.stage != Stage::Queue).map(|attempt| attempt.at),
    })
}
