use crate::base::{Address, BlobId, MailboxId, MessageId, TlsWish, Uid};
use crate::dkim::{self, Seal};
use crate::store::{Read, StoreError};
use crate::{kept, mailbox, message, queue};

/// Where the content of a message was found: it may be elsewhere a moment later, or nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// In a mailbox.
    Mailbox(MailboxId, Uid),
    /// In the queue.
    Queue,
    /// Among what is kept for some time.
    Kept,
}

/// A message as it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Original {
    pub(super) source: Source,
    /// The sender of the envelope; `None`: the null sender, or there was no envelope.
    pub(super) sender: Option<Address>,
    /// It came by an envelope; else its owner put it into a mailbox.
    pub(super) is_mail: bool,
    /// With which it was forwarded.
    pub(super) seal: Option<Seal>,
    /// Our trace fields and its header block.
    pub(super) head: Vec<u8>,
    pub(super) blob: Option<BlobId>,
    pub(super) body_bytes: u64,
    /// What its sender has said of TLS, where that is known.
    pub(super) tls: TlsWish,
}

/// Whether the content of a message is still somewhere: it can be delivered once more.
///
/// # Errors
/// [`StoreError`]
pub fn has_content(read: &impl Read, id: MessageId) -> Result<bool, StoreError> {
    Ok(mailbox::holds(read, id)? || queue::message_if_sound(read, id)?.is_some() || kept::kept(read, id)?.is_some())
}

/// A message that is still somewhere. Where no mailbox holds it, a few rows are read; else all of all mailboxes may be.
pub(super) fn original(read: &impl Read, id: MessageId) -> Result<Option<Original>, StoreError> {
    for source in [Source::Queue, Source::Kept] {
        if let Some(original) = original_in(read, id, source)? {
            return Ok(Some(original));
        }
    }
    match mailbox::place_of(read, id)? {
        Some((mailbox, uid)) => original_in(read, id, Source::Mailbox(mailbox, uid)),
        None => Ok(None),
    }
}

/// The same where it is to be; a few rows are read.
pub(super) fn original_in(read: &impl Read, id: MessageId, source: Source) -> Result<Option<Original>, StoreError> {
    Ok(match source {
        Source::Mailbox(mailbox, uid) => {
            mailbox::whole(read, mailbox, uid)?.filter(|whole| whole.id == id).map(|whole| {
                let mailbox::Whole { sender, is_mail, head, blob, body_bytes, .. } = whole;
                Original { source, sender, is_mail, seal: None, head, blob, body_bytes, tls: TlsWish::Policy }
            })
        }
        Source::Queue => match queue::message_if_sound(read, id)? {
            Some(message) => {
                let (seal, head) = as_it_came(queue::head(read, id)?.unwrap_or_default());
                let queue::Message { sender, blob, body_bytes, options, .. } = message;
                Some(Original { source, sender, is_mail: true, seal, head, blob, body_bytes, tls: options.tls })
            }
            None => None,
        },
        Source::Kept => kept::kept(read, id)?.map(|kept| {
            let kept::Kept { sender, head, blob, body_bytes, tls, .. } = kept;
            let (seal, head) = as_it_came(head);
            Original { source, sender, is_mail: true, seal, head, blob, body_bytes, tls }
        }),
    })
}

/// Without what we have put before what an alias forwards, which is put there again: the seal, and the field that says
/// where the message was.
fn as_it_came(head: Vec<u8>) -> (Option<Seal>, Vec<u8>) {
    let (seal, rest) = match dkim::split_seal(&head) {
        Some((seal, rest)) => (Some(seal), rest),
        None => (None, head.as_slice()),
    };
    let first = message::fields(rest).next().filter(|field| field.is("Delivered-To") && field.span.start == 0);
    let end = first.map_or(0, |field| field.span.end);
    (seal, rest.get(end..).unwrap_or_default().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_before_a_forwarded_message_is_taken_off() {
        let check = |head: &str, expected: &str| {
            let (seal, seen) = as_it_came(head.as_bytes().to_vec());
            assert_eq!(String::from_utf8(seen).unwrap(), expected);
            seal.map(|seal| (seal.by.to_string(), String::from_utf8(seal.fields).unwrap()))
        };
        let set = "ARC-Seal: i=1; d=x.test\r\nARC-Message-Signature: i=1\r\nARC-Authentication-Results: i=1\r\n";
        let ours = Some(("x.test".to_owned(), set.to_owned()));
        assert_eq!(check(&format!("{set}Delivered-To: a@x.test\r\nReceived: x\r\n"), "Received: x\r\n"), ours);
        assert_eq!(check(&format!("{set}Received: x\r\n"), "Received: x\r\n"), ours);
        let theirs = format!("Received: x\r\n{set}");
        assert_eq!(check(&theirs, &theirs), None);
        check("Delivered-To: a@x.test\r\nReceived: x\r\nDelivered-To: b\r\n", "Received: x\r\nDelivered-To: b\r\n");
        check("Received: x\r\nDelivered-To: b\r\n", "Received: x\r\nDelivered-To: b\r\n");
        check("", "");
    }
}
