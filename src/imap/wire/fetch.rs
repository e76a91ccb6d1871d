use std::borrow::Cow;

use super::MessageSet;

/// RFC 9051 §6.4.5
#[derive(Debug)]
pub struct Fetch<'a> {
    /// Which messages.
    pub messages: MessageSet,
    /// What of them. ALL, FAST and FULL are spelled out.
    pub items: Vec<FetchItem<'a>>,
    /// RFC 7162 §3.1.4.1: only those that have changed since that modseq.
    pub changed_since: Option<u64>,
}

/// What can be fetched of a message.
#[derive(Debug, PartialEq, Eq)]
pub enum FetchItem<'a> {
    /// ENVELOPE
    Envelope,
    /// FLAGS
    Flags,
    /// INTERNALDATE
    InternalDate,
    /// RFC822.SIZE
    Size,
    /// UID
    Uid,
    /// MODSEQ (RFC 7162)
    ModSeq,
    /// BODY: the structure without extension data.
    Body,
    /// BODYSTRUCTURE
    BodyStructure,
    /// RFC822, RFC822.HEADER, RFC822.TEXT (RFC 3501): BODY[], BODY.PEEK[HEADER] and BODY[TEXT] under their own names.
    Rfc822(Section<'a>),
    /// `BODY[…]<…>` or `BODY.PEEK[…]<…>`
    Section {
        /// Which section.
        section: Section<'a>,
        /// Which octets of it.
        partial: Option<Partial>,
        /// PEEK: `\Seen` is not set.
        peek: bool,
    },
}

/// A section of a message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Section<'a> {
    /// Numbers of parts from the outside in; empty: the message itself.
    pub part: Part,
    /// What of it; `None`: all its content.
    pub text: Option<SectionText<'a>>,
}

/// Numbers of parts from the outside in, each from 1 on.
pub type Part = Vec<u32>;

/// RFC 9051 §6.4.5.1
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SectionText<'a> {
    /// HEADER
    Header,
    /// HEADER.FIELDS: their names, as they were given.
    HeaderFields(Vec<Cow<'a, [u8]>>),
    /// HEADER.FIELDS.NOT
    HeaderFieldsNot(Vec<Cow<'a, [u8]>>),
    /// TEXT
    Text,
    /// MIME
    Mime,
}

/// `<first.count>`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partial {
    /// The first octet, from 0 on.
    pub first: u64,
    /// How many at most, never 0.
    pub count: u64,
}
