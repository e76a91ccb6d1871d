use serde::{Deserialize, Serialize};

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

/// The parts of a message (RFC 2045), parents before their children.
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
    /// The parameters of Content-Type, names in lower case, RFC 2231 not decoded: as IMAP shows them.
    pub parameters: Vec<(Vec<u8>, Vec<u8>)>,
    /// Content-ID as it stands.
    pub id: Option<Vec<u8>>,
    /// Content-Description as it stands.
    pub description: Option<Vec<u8>>,
    /// Content-Transfer-Encoding in lower case; `7bit` where it is not said.
    pub encoding: Vec<u8>,
    /// Content-MD5 as it stands.
    pub md5: Option<Vec<u8>>,
    /// Content-Disposition: its type in lower case, its parameters.
    pub disposition: Option<(Vec<u8>, Vec<(Vec<u8>, Vec<u8>)>)>,
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
