//! Reports on delivery: what became of a message, for people and for programs.
// RFC 6522, RFC 3464

mod encode;
mod status;
mod words;

use super::field::fields;
use super::seven_bit::seven_bit;
use crate::base::{Address, DomainName, Enhanced, MessageId, OriginalRecipient, Timestamp, limits};
pub(super) use encode::quoted_printable;
use encode::{Encoded, is_ascii_text};

/// A report that is to be written: what became of some recipients of one message.
#[derive(Debug, Clone)]
pub struct Report<'a> {
    /// Our name.
    pub hostname: &'a DomainName,
    /// The report's own id.
    pub id: MessageId,
    /// Now.
    pub at: Timestamp,
    /// Who is told.
    pub to: &'a Address,
    /// In which capacity.
    pub reader: Reader,
    /// What it is about.
    pub message: Reported<'a>,
    /// Of whom it tells, at least one.
    pub recipients: &'a [Told],
}

/// Who reads a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// The sender of the message.
    Sender,
    /// Our postmaster, in the place of a sender who is not to be told.
    Postmaster,
}

/// The message that a report is about.
#[derive(Debug, Clone, Copy)]
pub struct Reported<'a> {
    /// Its id.
    pub id: MessageId,
    /// The sender of its envelope; `None`: the null sender.
    pub sender: Option<&'a Address>,
    /// The sender's own name for it (RFC 3461 §4.4).
    pub envelope_id: Option<&'a str>,
    /// By when its sender wanted it to be delivered (RFC 2852).
    pub deliver_by: Option<Timestamp>,
    /// When it came in.
    pub arrived_at: Timestamp,
    /// Its header block, with our trace fields.
    pub head: &'a [u8],
    /// Its body, from the blank line on, where the whole is to be returned (RFC 3461 §4.3).
    pub body: Option<&'a [u8]>,
}

/// What is told of one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Where the message was to go.
    pub recipient: Address,
    /// The address that the sender had named, where an alias led elsewhere.
    pub original: Option<Address>,
    /// What it was called when it was sent, with its type (RFC 3461 §4.2).
    pub named_at_first: Option<OriginalRecipient>,
    /// What became of it.
    pub fate: Fate,
    /// The server that was spoken to last.
    pub server: Option<String>,
    /// What it answered; `None` where what happened is said in our own words.
    pub code: Option<u16>,
    /// The enhanced code of the answer, or our own.
    pub enhanced: Option<Enhanced>,
    /// The answer's text, or our own words.
    pub text: String,
    /// When it was last tried, if it was.
    pub tried_at: Option<Timestamp>,
}

/// What became of a recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Refused for good.
    Failed,
    /// Given up.
    Expired,
    /// Given up, since its sender wanted it back when the time came by which it was to be delivered.
    Overdue,
    /// It waits, and is tried again.
    Delayed {
        /// Until then.
        until: Timestamp,
    },
    /// It is in the recipient's mailbox.
    Delivered,
    /// Another server has it, which reports no further.
    Relayed,
    /// It has gone to all that the address leads to, each a recipient of its own.
    Expanded,
}

impl Fate {
    /// Whether it is not delivered and never will be.
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::Expired | Self::Overdue)
    }

    /// Whether all is done here that there was to do.
    pub fn is_success(self) -> bool {
        matches!(self, Self::Delivered | Self::Relayed | Self::Expanded)
    }
}

/// A report as a message: all of it is 7-bit, but for a header that names a reader whose address is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Composed {
    /// The header block, each line with its CRLF.
    pub header_block: Vec<u8>,
    /// The body, from the blank line on.
    pub body: Vec<u8>,
    /// The value of its Message-ID field.
    pub message_id: String,
}

impl Report<'_> {
    /// Writes the report. Nothing that a stranger wrote (a server's words, a header, an address) can end the part, the
    /// field or the line that it stands in.
    pub fn compose(&self) -> Composed {
        let text = part("text/plain; charset=utf-8", "Notification", &Encoded::of(words::text(self).as_bytes()));
        // RFC 3464 §2.1.1: this part stays 7-bit and is never encoded.
        let status = Encoded { bytes: status::fields(self).into_bytes(), name: "7bit" };
        let status = part("message/delivery-status", "Delivery report", &status);
        let original = match self.whole() {
            Some(whole) => part("message/rfc822", "The message", &whole),
            None => part("text/rfc822-headers", "Header of the message", &self.original_header()),
        };
        let parts = [text, status, original];
        let boundary = self.boundary(&parts);
        let mut body = Vec::new();
        for part in &parts {
            body.extend_from_slice(format!("\r\n--{boundary}\r\n").as_bytes());
            body.extend_from_slice(part);
        }
        body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        let message_id = format!("<{}@{}>", self.id, self.hostname);
        let header_block = self.header_block(&boundary, &message_id).into_bytes();
        Composed { header_block, body, message_id }
    }

    /// Whether all that it tells is that the message is delayed.
    fn is_delay(&self) -> bool {
        self.recipients.iter().all(|told| matches!(told.fate, Fate::Delayed { .. }))
    }

    fn header_block(&self, boundary: &str, message_id: &str) -> String {
        let is_success = self.recipients.iter().all(|told| told.fate.is_success());
        let subject = match () {
            () if self.is_delay() => "Your message is delayed",
            () if is_success => "Your message was delivered",
            () if !self.recipients.iter().any(|told| told.fate.is_failure()) => "What became of your message",
            () => "Your message could not be delivered",
        };
        let subject = match self.reader {
            Reader::Sender => subject,
            Reader::Postmaster => "A message could not be delivered",
        };
        // RFC 3834 §3.1.5
        let references =
            self.references().map_or_else(String::new, |id| format!("In-Reply-To: {id}\r\nReferences: {id}\r\n"));
        // RFC 3834 §5: nobody answers this automatically.
        format!(
            "From: Mail Delivery System <mailer-daemon@{}>\r\nTo: {}\r\nSubject: {subject}\r\nDate: {}\r\n\
             Message-ID: {message_id}\r\n{references}Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"{boundary}\"\r\n",
            self.hostname,
            self.to,
            self.at.rfc5322(),
        )
    }

    /// The Message-ID of the message that this is about, if it is one.
    fn references(&self) -> Option<String> {
        let value = fields(self.message.head).find(|field| field.is("Message-ID"))?.text(limits::TRACED_HEADER_CHARS);
        let id = value.trim();
        let inside = id.strip_prefix('<')?.strip_suffix('>')?;
        let is_id =
            inside.len() <= limits::DOMAIN_BYTES && inside.bytes().all(|b| b.is_ascii_graphic() && !b"<>".contains(&b));
        is_id.then(|| id.to_owned())
    }

    /// The message, where it is to be returned and can be so as 7-bit text: it may not be encoded.
    // RFC 2046 §5.2.1, RFC 6522 §3
    fn whole(&self) -> Option<Encoded> {
        let whole = seven_bit(&[self.message.head, self.message.body?].concat()).ok()?;
        is_ascii_text(&whole).then_some(Encoded { bytes: whole, name: "7bit" })
    }

    /// The message's header, without what is too much of it.
    // RFC 6522 §4: quoted-printable where it is not fit to be sent as it is
    fn original_header(&self) -> Encoded {
        let head = bounded(self.message.head, limits::REPORTED_HEADER_BYTES);
        if is_ascii_text(head) {
            return Encoded { bytes: head.to_vec(), name: "7bit" };
        }
        Encoded { bytes: quoted_printable(head), name: "quoted-printable" }
    }

    /// A line that is in none of the parts.
    // RFC 2046 §5.1.1
    fn boundary(&self, parts: &[Vec<u8>]) -> String {
        let is_in =
            |boundary: &str, part: &Vec<u8>| part.windows(boundary.len()).any(|seen| seen == boundary.as_bytes());
        let mut number = 0u64;
        loop {
            let boundary = format!("=_{}_{number}", self.id);
            if !parts.iter().any(|part| is_in(&boundary, part)) {
                return boundary;
            }
            number = number.wrapping_add(1);
        }
    }
}

fn part(kind: &str, description: &str, content: &Encoded) -> Vec<u8> {
    let mut part = format!(
        "Content-Type: {kind}\r\nContent-Transfer-Encoding: {}\r\nContent-Description: {description}\r\n\r\n",
        content.name
    )
    .into_bytes();
    part.extend_from_slice(&content.bytes);
    part
}

/// As many whole fields from the front as fit.
fn bounded(head: &[u8], bytes_max: usize) -> &[u8] {
    if head.len() <= bytes_max {
        return head;
    }
    let (mut end, mut at) = (0, 0usize);
    for line in head.split_inclusive(|byte| *byte == b'\n') {
        if !matches!(line.first(), Some(b' ' | b'\t')) {
            end = at;
        }
        at = at.saturating_add(line.len());
        if at > bytes_max {
            break;
        }
    }
    head.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests;
