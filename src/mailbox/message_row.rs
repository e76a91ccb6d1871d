use serde::{Deserialize, Serialize};

use crate::base::{BlobId, MailboxId, MessageId, ModSeq, SystemFlags, Timestamp, Uid, limits};
use crate::message::Summary;
use crate::postcard_row;
use crate::store::{Row, Table, pack, unpack};

/// The messages of each mailbox.
pub(super) static MESSAGES: Table<(MailboxId, Uid), Message> = Table::new("messages");
/// What stands before a message's head in this mailbox alone, and what mail programs ask of the message: side by side, so
/// that an overview reads one run of rows.
pub(super) static OWN_LINES: Table<(MailboxId, Uid), Front> = Table::new("own_lines");
/// The heads of messages, shared by their recipients and copies.
pub(super) static HEADS: Table<MessageId, Head> = Table::new("heads");
/// The messages that were copied inside an account: kept apart, so that a copy writes no head anew.
pub(super) static COPIES: Table<MessageId, Copies> = Table::new("copies");

/// A message's row: all that a listing needs, of fixed size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) id: MessageId,
    /// `None`: there is nothing behind the header block.
    pub(super) blob: Option<BlobId>,
    pub(super) own_bytes: u32,
    pub(super) head_bytes: u32,
    pub(super) body_bytes: u64,
    pub(super) internal_date: Timestamp,
    /// When it came into this mailbox. RFC 8514
    pub(super) saved_at: Timestamp,
    pub(super) modseq: ModSeq,
    pub(super) flags: SystemFlags,
    /// A bit for each of the mailbox's keywords.
    pub(super) keywords: u128,
    /// 0: the message itself; else the number of a copy inside the account, which makes its UIDL unique.
    pub(super) copy: u32,
}

impl Message {
    pub(super) fn size_bytes(&self) -> u64 {
        u64::from(self.own_bytes) + u64::from(self.head_bytes) + self.body_bytes
    }
}

impl Row for Message {
    const VERSION: u8 = 2;

    fn encode(&self, out: &mut Vec<u8>) {
        let blob = self.blob.map_or(0, |blob| blob.0);
        for wide in [self.id.0, blob, self.body_bytes, self.internal_date.0, self.modseq.0] {
            out.extend_from_slice(&wide.to_be_bytes());
        }
        for narrow in [self.own_bytes, self.head_bytes, self.flags.0, self.copy] {
            out.extend_from_slice(&narrow.to_be_bytes());
        }
        out.extend_from_slice(&self.saved_at.0.to_be_bytes());
        out.extend_from_slice(&self.keywords.to_be_bytes());
    }

    fn decode(version: u8, bytes: &[u8]) -> Option<Self> {
        let (bytes, more) = bytes.split_first_chunk::<56>()?;
        let wide = |place: usize| bytes[place * 8..].first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        let narrow = |place: usize| bytes[40 + place * 4..].first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
        let (saved_at, keywords) = match (version, more) {
            // Version 1 ended here, and knew neither.
            (1, []) => (wide(3), 0),
            (2, _) => {
                let (saved_at, keywords) = more.split_first_chunk()?;
                (u64::from_be_bytes(*saved_at), u128::from_be_bytes(keywords.try_into().ok()?))
            }
            _ => return None,
        };
        Some(Self {
            id: MessageId(wide(0)),
            blob: Some(BlobId(wide(1))).filter(|blob| blob.0 != 0),
            body_bytes: wide(2),
            internal_date: Timestamp(wide(3)),
            saved_at: Timestamp(saved_at),
            modseq: ModSeq(wide(4)),
            own_bytes: narrow(0),
            head_bytes: narrow(1),
            flags: SystemFlags(narrow(2)),
            keywords,
            copy: narrow(3),
        })
    }
}

/// Header lines, each with its CRLF, and the message's summary, which is read only where it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Front {
    pub(super) lines: Vec<u8>,
    /// Empty: it was not made yet, or is too long to be kept.
    summary: Vec<u8>,
}

impl Front {
    pub(super) fn new(lines: &[u8], summary: Option<&Summary>) -> Self {
        // Writing plain data to memory can't fail; a summary that is not there is made again.
        let summary = summary.and_then(|summary| postcard::to_stdvec(summary).ok());
        let summary = summary.filter(|summary| summary.len() <= limits::SUMMARY_BYTES).unwrap_or_default();
        Self { lines: lines.to_vec(), summary }
    }

    pub(super) fn has_summary(&self) -> bool {
        !self.summary.is_empty()
    }

    /// `None` when there is none, or it is damaged: then it is made anew from the message.
    pub(super) fn summary(&self) -> Option<Summary> {
        let (summary, rest) = postcard::take_from_bytes(&self.summary).ok()?;
        rest.is_empty().then_some(summary)
    }

    /// What stands first in the summary, the envelope and the day on which the message was sent: nothing behind it is
    /// looked at.
    pub(super) fn envelope(&self) -> Option<(&[u8], Option<i32>)> {
        postcard::take_from_bytes(&self.summary).ok().map(|(first, _)| first)
    }
}

impl Row for Front {
    const VERSION: u8 = 2;

    fn encode(&self, out: &mut Vec<u8>) {
        // Both are bounded: lines by limits::HEADER_BYTES, and nothing is lost of longer ones but their own beginning.
        out.extend_from_slice(&u32::try_from(self.lines.len()).unwrap_or(u32::MAX).to_be_bytes());
        out.extend_from_slice(&self.lines);
        out.extend_from_slice(&self.summary);
    }

    fn decode(version: u8, bytes: &[u8]) -> Option<Self> {
        match version {
            1 => Some(Self { lines: bytes.to_vec(), summary: Vec::new() }),
            2 => {
                let (count, bytes) = bytes.split_first_chunk()?;
                let (lines, summary) = bytes.split_at_checked(u32::from_be_bytes(*count) as usize)?;
                Some(Self { lines: lines.to_vec(), summary: summary.to_vec() })
            }
            _ => None,
        }
    }
}

/// A message's trace fields and header block, and in how many mailboxes it lies as it came: copies inside an account are
/// counted in [`Copies`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) references: u32,
    pub(super) bytes: Vec<u8>,
}

impl Row for Head {
    const VERSION: u8 = 2;

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.references.to_be_bytes());
        // Of an archive of short messages, heads are the largest part.
        pack(&self.bytes, out);
    }

    fn decode(version: u8, bytes: &[u8]) -> Option<Self> {
        let (references, bytes) = bytes.split_first_chunk()?;
        let bytes = match version {
            1 => bytes.to_vec(),
            2 => unpack(bytes)?,
            _ => return None,
        };
        Some(Self { references: u32::from_be_bytes(*references), bytes })
    }
}

/// How often a message was copied inside accounts. It stays until the head goes, so that no number is given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Copies {
    /// References to the head beyond [`Head::references`].
    pub(super) references: u32,
    /// The number of the last copy.
    pub(super) last: u32,
}
postcard_row!(Copies, 1);

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: Message = Message {
        id: MessageId(1 << 40),
        blob: Some(BlobId(9)),
        own_bytes: 1,
        head_bytes: 2,
        body_bytes: 3,
        internal_date: Timestamp(4),
        saved_at: Timestamp(5),
        modseq: ModSeq(6),
        flags: SystemFlags(7),
        keywords: 1 << 127 | 8,
        copy: 9,
    };

    #[test]
    fn a_message_row_is_of_fixed_size_and_version_1_reads() {
        let mut row = Vec::new();
        MESSAGE.encode(&mut row);
        assert_eq!(row.len(), 80);
        assert_eq!(Message::decode(2, &row), Some(MESSAGE));
        let old = Message { saved_at: MESSAGE.internal_date, keywords: 0, ..MESSAGE };
        assert_eq!(Message::decode(1, &row[..56]), Some(old));
        for (version, len) in [(1, 80), (1, 55), (2, 79), (2, 56), (3, 80)] {
            assert_eq!(Message::decode(version, &row[..len]), None, "version {version}, {len} octets");
        }
        row.push(0);
        assert_eq!(Message::decode(2, &row), None);
    }

    #[test]
    fn the_envelope_is_read_without_the_rest() {
        let summary = Summary::of_whole(b"Subject: one\r\nDate: Fri, 2 Feb 2024 08:00:00 +0000\r\n", b"\r\ntext\r\n");
        let mut front = Front::new(b"", Some(&summary));
        assert_eq!(front.envelope(), Some((summary.envelope.as_slice(), Some(19_755))));
        assert_eq!(front.summary(), Some(summary));
        front.summary.clear();
        assert_eq!(front.envelope(), None);
    }

    #[test]
    fn heads_are_packed_and_those_of_version_1_read() {
        let head = Head { references: 3, bytes: b"Subject: the same again\r\n".repeat(9) };
        let mut row = Vec::new();
        head.encode(&mut row);
        assert!(row.len() < head.bytes.len() / 2, "{}", row.len());
        assert_eq!(Head::decode(2, &row), Some(head.clone()));
        assert_eq!(Head::decode(1, &[&3u32.to_be_bytes(), head.bytes.as_slice()].concat()), Some(head));
        assert_eq!((Head::decode(2, &row[..row.len() - 1]), Head::decode(3, &row)), (None, None));
    }

    #[test]
    fn own_lines_of_version_1_read_without_a_summary() {
        let old = Front::decode(1, b"A: 1\r\n").unwrap();
        assert_eq!((old.lines.as_slice(), old.summary()), (b"A: 1\r\n".as_slice(), None));
        let mut row = Vec::new();
        old.encode(&mut row);
        assert_eq!(Front::decode(2, &row), Some(old));
        assert_eq!(Front::decode(2, &[0, 0, 0, 7, b'A']), None);
        assert_eq!(Front::decode(2, &[0, 0]), None);
    }
}
