use std::borrow::Cow;

use super::reader::{Read, Reader};
use super::{MessageSet, Request};
use crate::base::limits;

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

const ITEM: &str = "expected a FETCH item such as FLAGS, UID, ENVELOPE or BODY.PEEK[HEADER]";
const SECTION: &str = "expected a section such as [], [1.2], [TEXT], [1.MIME] or [HEADER.FIELDS (DATE)]";
const PARTIAL: &str = "expected octets such as <0.1024>";

// RFC 9051 §6.4.5
pub(super) fn read<'a>(reader: &mut Reader<'a>, is_uid: bool) -> Read<Request<'a>> {
    reader.space("expected a sequence set behind FETCH")?;
    let set = reader.sequence_set()?;
    reader.space("expected FETCH items behind the sequence set")?;
    let items = items(reader)?;
    let mut changed_since = None;
    if reader.has_more() {
        reader.full_list("expected FETCH modifiers such as (CHANGEDSINCE 5)", |reader| {
            if !reader.eat_word("CHANGEDSINCE") {
                return Err("unknown FETCH modifier");
            }
            reader.space("expected a number behind CHANGEDSINCE")?;
            changed_since = Some(reader.number64("expected a number behind CHANGEDSINCE")?);
            Ok(())
        })?;
    }
    Ok(Request::Fetch(Fetch { messages: MessageSet { set, is_uid }, items, changed_since }))
}

fn items<'a>(reader: &mut Reader<'a>) -> Read<Vec<FetchItem<'a>>> {
    use FetchItem::{Body, Envelope, Flags, InternalDate, Size};
    if reader.peek() == Some(b'(') {
        return reader.full_list(ITEM, item);
    }
    // RFC 9051 §6.4.5: a macro stands alone.
    if reader.eat_word("ALL") {
        return Ok(vec![Flags, InternalDate, Size, Envelope]);
    }
    if reader.eat_word("FAST") {
        return Ok(vec![Flags, InternalDate, Size]);
    }
    if reader.eat_word("FULL") {
        return Ok(vec![Flags, InternalDate, Size, Envelope, Body]);
    }
    Ok(vec![item(reader)?])
}

fn item<'a>(reader: &mut Reader<'a>) -> Read<FetchItem<'a>> {
    let word = reader.word();
    let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
    let rfc822 = |text| FetchItem::Rfc822(Section { part: Part::new(), text });
    match word.len() {
        3 if is("UID") => Ok(FetchItem::Uid),
        4 if is("BODY") && reader.peek() == Some(b'[') => section_item(reader, false),
        4 if is("BODY") => Ok(FetchItem::Body),
        5 if is("FLAGS") => Ok(FetchItem::Flags),
        6 if is("MODSEQ") => Ok(FetchItem::ModSeq),
        6 if is("RFC822") => Ok(rfc822(None)),
        8 if is("ENVELOPE") => Ok(FetchItem::Envelope),
        9 if is("BODY.PEEK") => section_item(reader, true),
        11 if is("RFC822.SIZE") => Ok(FetchItem::Size),
        11 if is("RFC822.TEXT") => Ok(rfc822(Some(SectionText::Text))),
        12 if is("INTERNALDATE") => Ok(FetchItem::InternalDate),
        13 if is("BODYSTRUCTURE") => Ok(FetchItem::BodyStructure),
        13 if is("RFC822.HEADER") => Ok(rfc822(Some(SectionText::Header))),
        _ => Err(ITEM),
    }
}

fn section_item<'a>(reader: &mut Reader<'a>, peek: bool) -> Read<FetchItem<'a>> {
    let section = section(reader)?;
    let partial = if reader.eat(b'<') { Some(partial(reader)?) } else { None };
    Ok(FetchItem::Section { section, partial, peek })
}

// RFC 9051 §9 "section"
fn section<'a>(reader: &mut Reader<'a>) -> Read<Section<'a>> {
    reader.expect(b'[', SECTION)?;
    if reader.eat(b']') {
        return Ok(Section::default());
    }
    let mut part = Part::new();
    while reader.peek().is_some_and(|byte| byte.is_ascii_digit()) {
        if part.len() >= limits::PART_DEPTH {
            return Err("a section has too many numbers");
        }
        part.push(reader.nz_number(SECTION)?);
        if !reader.eat(b'.') {
            reader.expect(b']', SECTION)?;
            return Ok(Section { part, text: None });
        }
    }
    let text = section_text(reader, part.is_empty())?;
    reader.expect(b']', SECTION)?;
    Ok(Section { part, text: Some(text) })
}

// RFC 9051 §9 "section-text", "section-msgtext"
fn section_text<'a>(reader: &mut Reader<'a>, is_message: bool) -> Read<SectionText<'a>> {
    let word = reader.word();
    let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
    if is("HEADER") {
        Ok(SectionText::Header)
    } else if is("HEADER.FIELDS") {
        fields(reader).map(SectionText::HeaderFields)
    } else if is("HEADER.FIELDS.NOT") {
        fields(reader).map(SectionText::HeaderFieldsNot)
    } else if is("TEXT") {
        Ok(SectionText::Text)
    } else if is("MIME") && is_message {
        Err("MIME needs the number of a part, as in [1.MIME]")
    } else if is("MIME") {
        Ok(SectionText::Mime)
    } else {
        Err(SECTION)
    }
}

fn fields<'a>(reader: &mut Reader<'a>) -> Read<Vec<Cow<'a, [u8]>>> {
    const FIELDS: &str = "expected names of header fields such as (DATE FROM)";
    reader.space(FIELDS)?;
    reader.full_list(FIELDS, |reader| reader.astring(FIELDS))
}

// RFC 9051 §9 "partial"
fn partial(reader: &mut Reader<'_>) -> Read<Partial> {
    let first = reader.number64(PARTIAL)?;
    reader.expect(b'.', PARTIAL)?;
    let count = reader.number64(PARTIAL)?;
    reader.expect(b'>', PARTIAL)?;
    if count == 0 { Err("a partial FETCH needs at least one octet") } else { Ok(Partial { first, count }) }
}
