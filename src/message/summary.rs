use serde::{Deserialize, Serialize};

use super::date;
use super::envelope::envelope;
use super::field::fields;
use super::scanner::{Scanned, StructureScanner};

/// What mail programs ask of a message before anybody reads it, found once, when it comes in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The envelope in the syntax in which IMAP sends it (RFC 9051 §7.5.2 "envelope", with its parentheses), ready to be
    /// sent in any session: what is not ASCII stands in literals.
    pub envelope: Vec<u8>,
    /// The day of the Date field as it is written there, its time zone disregarded: days since 1970-01-01; `None` where
    /// there is no Date field that can be read. RFC 9051 §6.4.4 SENTBEFORE
    pub sent_day: Option<i32>,
    /// The beginning of the text, for a list of messages: at most 200 characters, no line ends (RFC 8970 §3.1).
    pub preview: String,
    /// What it consists of.
    pub structure: Structure,
}

impl Summary {
    /// The summary of a message with that head (trace fields and header block) and those parts.
    pub fn of(head: &[u8], scanned: Scanned) -> Self {
        let Scanned { structure, preview } = scanned;
        let date = fields(head).find(|field| field.is("Date"));
        let sent_day = date.and_then(|field| date::day(field.value));
        Self { envelope: envelope(head), sent_day, preview, structure }
    }

    /// The same for a message that is in memory: its head, and its body from the blank line on.
    pub fn of_whole(head: &[u8], body: &[u8]) -> Self {
        let mut scanner = StructureScanner::new(head);
        scanner.push(body);
        Self::of(head, scanner.finish())
    }
}

/// The parts of a message (RFC 2045) in the order of its octets: each is followed by those within it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Structure {
    /// The message itself first. Never empty.
    pub parts: Vec<Part>,
}

/// A part of a message. Places are offsets in the body as it is stored, which begins with the blank line behind the
/// message's header block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Which part it lies in: a place in [`Structure::parts`] before its own; `None`: it is the message.
    pub parent: Option<u16>,
    /// What it is made of.
    pub kind: PartKind,
    /// The subtype in lower case, as in `plain`.
    pub subtype: Vec<u8>,
    /// The parameters of Content-Type, names in lower case; with `charset` for any text (RFC 2046 §4.1.2: us-ascii where
    /// none is given). Pieces of a value (RFC 2231 §3) are put together, and what is encoded stays so.
    pub parameters: Parameters,
    /// Content-ID as it stands.
    pub id: Option<Vec<u8>>,
    /// Content-Description as it stands.
    pub description: Option<Vec<u8>>,
    /// Content-Transfer-Encoding in lower case; `7bit` where it is not said.
    pub encoding: Vec<u8>,
    /// Content-MD5 as it stands.
    pub md5: Option<Vec<u8>>,
    /// Content-Disposition: its type in lower case, its parameters.
    pub disposition: Option<(Vec<u8>, Parameters)>,
    /// Content-Language: its tags.
    pub language: Vec<Vec<u8>>,
    /// Content-Location as it stands.
    pub location: Option<Vec<u8>>,
    /// Where its header block begins; 0 for the message itself, whose header block is not in the body.
    pub header_at: u64,
    /// Octets of its header block with the blank line behind it; 0 for the message itself.
    pub header_bytes: u64,
    /// Where its content begins.
    pub content_at: u64,
    /// Octets of its content, still encoded.
    pub content_bytes: u64,
    /// Lines of its content.
    pub lines: u64,
}

/// Names in lower case, and values without quotes.
pub type Parameters = Vec<(Vec<u8>, Vec<u8>)>;

/// What a part is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PartKind {
    /// `text/…`
    Text,
    /// `multipart/…`: the parts whose parent it is.
    Multipart,
    /// `message/rfc822` or `message/global`: another message, whose one child is the message inside (its header block and
    /// content); with that message's envelope, as in [`Summary::envelope`].
    Message {
        /// The envelope of the message inside.
        envelope: Vec<u8>,
    },
    /// Anything else: the type in lower case, as in `image`.
    Other(Vec<u8>),
}

impl Structure {
    /// The place in [`Structure::parts`] of the part that has these numbers, from the outside in; none: the message.
    ///
    /// A multipart numbers its parts, and a message (the whole one, or one inside) those of its multipart; what is no
    /// multipart is its message's part 1. So the answer to `[1]` may be the message itself, of which then the content is
    /// meant, and its header block is what MIME shows.
    // RFC 9051 §6.4.5.1
    pub fn find(&self, numbers: &[u32]) -> Option<usize> {
        let Some((first, rest)) = numbers.split_first() else { return Some(0) };
        rest.iter().try_fold(self.numbered(0, *first)?, |at, number| match self.parts.get(at)?.kind {
            PartKind::Multipart => self.child(at, *number),
            PartKind::Message { .. } => self.numbered(self.message_in(at)?, *number),
            PartKind::Text | PartKind::Other(_) => None,
        })
    }

    /// The message inside a part of that kind: what HEADER and TEXT of that part are about. For any other part `None`.
    pub fn message_in(&self, at: usize) -> Option<usize> {
        match self.parts.get(at)?.kind {
            PartKind::Message { .. } => self.child(at, 1),
            _ => None,
        }
    }

    /// The places of a part's children, in their order.
    pub fn children(&self, at: usize) -> impl Iterator<Item = usize> {
        let children = self.parts.iter().enumerate().skip(at.saturating_add(1));
        children.filter(move |(_, part)| part.parent.map(usize::from) == Some(at)).map(|(child, _)| child)
    }

    /// The numbers by which [`Structure::find`] finds each part, in their order; `None` for a multipart that is all of a
    /// message: what has no numbers of its own.
    pub fn numbers(&self) -> Vec<Option<Vec<u32>>> {
        let mut own: Vec<Option<Vec<u32>>> = Vec::with_capacity(self.parts.len());
        // What stands before the numbers of a part's children, and how many were numbered so far.
        let mut below: Vec<(Vec<u32>, u32)> = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            let is_multipart = part.kind == PartKind::Multipart;
            let parent = part.parent.map(usize::from);
            let is_in_multipart =
                parent.and_then(|at| self.parts.get(at)).is_some_and(|parent| parent.kind == PartKind::Multipart);
            let (before, number) = match parent.and_then(|at| below.get_mut(at)) {
                Some((before, count)) => {
                    *count = count.saturating_add(1);
                    (before.clone(), *count)
                }
                None => (Vec::new(), 1),
            };
            if is_multipart && !is_in_multipart {
                own.push(None);
                below.push((before, 0));
            } else {
                let numbers: Vec<u32> = before.into_iter().chain([number]).collect();
                own.push(Some(numbers.clone()));
                below.push((numbers, 0));
            }
        }
        own
    }

    /// The part with that number of the message at `at`.
    fn numbered(&self, at: usize, number: u32) -> Option<usize> {
        match self.parts.get(at)?.kind {
            PartKind::Multipart => self.child(at, number),
            _ => (number == 1).then_some(at),
        }
    }

    fn child(&self, at: usize, number: u32) -> Option<usize> {
        let before = usize::try_from(number).ok()?.checked_sub(1)?;
        self.children(at).nth(before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(parent: Option<u16>, kind: PartKind) -> Part {
        Part {
            parent,
            kind,
            subtype: Vec::new(),
            parameters: Vec::new(),
            id: None,
            description: None,
            encoding: b"7bit".to_vec(),
            md5: None,
            disposition: None,
            language: Vec::new(),
            location: None,
            header_at: 0,
            header_bytes: 0,
            content_at: 0,
            content_bytes: 0,
            lines: 0,
        }
    }

    fn check(structure: &Structure, numbers: &[u32], expected: Option<usize>) {
        assert_eq!(structure.find(numbers), expected, "{numbers:?}");
    }

    #[test]
    fn parts_are_found_by_their_numbers() {
        let message = || PartKind::Message { envelope: Vec::new() };
        // The example of RFC 9051 §6.4.5.1.
        let structure = Structure {
            parts: vec![
                part(None, PartKind::Multipart),
                part(Some(0), PartKind::Text),
                part(Some(0), PartKind::Other(b"application".to_vec())),
                part(Some(0), message()),
                part(Some(3), PartKind::Multipart),
                part(Some(4), PartKind::Text),
                part(Some(4), PartKind::Other(b"application".to_vec())),
                part(Some(0), PartKind::Multipart),
                part(Some(7), PartKind::Other(b"image".to_vec())),
                part(Some(7), message()),
                part(Some(9), PartKind::Multipart),
                part(Some(10), PartKind::Text),
                part(Some(10), PartKind::Multipart),
                part(Some(12), PartKind::Text),
                part(Some(12), PartKind::Text),
            ],
        };
        check(&structure, &[], Some(0));
        check(&structure, &[1], Some(1));
        check(&structure, &[2], Some(2));
        check(&structure, &[3], Some(3));
        check(&structure, &[3, 1], Some(5));
        check(&structure, &[3, 2], Some(6));
        check(&structure, &[4], Some(7));
        check(&structure, &[4, 1], Some(8));
        check(&structure, &[4, 2], Some(9));
        check(&structure, &[4, 2, 1], Some(11));
        check(&structure, &[4, 2, 2, 1], Some(13));
        check(&structure, &[4, 2, 2, 2], Some(14));
        for nowhere in [&[0][..], &[5], &[1, 1], &[3, 3], &[3, 0], &[4, 2, 2, 3], &[4, 2, 2, 2, 1], &[u32::MAX]] {
            check(&structure, nowhere, None);
        }
        let numbers = structure.numbers();
        for (at, numbers) in numbers.iter().enumerate() {
            assert_eq!(numbers.as_ref().map(|numbers| structure.find(numbers)), numbers.as_ref().map(|_| Some(at)));
        }
        let without: Vec<usize> = (0..numbers.len()).filter(|at| numbers[*at].is_none()).collect();
        assert_eq!(without, [0, 4, 10]);
        assert_eq!(structure.message_in(3), Some(4));
        assert_eq!(structure.message_in(9), Some(10));
        assert_eq!(structure.message_in(0), None);
        assert_eq!(structure.children(0).collect::<Vec<_>>(), [1, 2, 3, 7]);
    }

    #[test]
    fn a_message_without_parts_is_its_own_first() {
        let text = Structure { parts: vec![part(None, PartKind::Text)] };
        check(&text, &[1], Some(0));
        check(&text, &[2], None);
        check(&text, &[1, 1], None);
        let forwarded = Structure {
            parts: vec![part(None, PartKind::Message { envelope: Vec::new() }), part(Some(0), PartKind::Text)],
        };
        check(&forwarded, &[1], Some(0));
        check(&forwarded, &[1, 1], Some(1));
        assert_eq!(forwarded.numbers(), [Some(vec![1]), Some(vec![1, 1])]);
        check(&forwarded, &[1, 2], None);
        assert_eq!(forwarded.message_in(0), Some(1));
    }
}
