use crate::imap::wire::{self, Partial, SectionText, write_astring, write_number};
use crate::message::{self, Structure};

/// Octets of the blank line with which the body begins.
const BLANK_LINE: u64 = 2;

/// A section as it is asked for of each message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Section {
    /// Its name in the answer, as in `BODY[1.MIME]<0>`.
    pub(super) label: Vec<u8>,
    pub(super) part: Vec<u32>,
    pub(super) wanted: Wanted,
    pub(super) partial: Option<Partial>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    All,
    Header,
    Fields(Names),
    Text,
    Mime,
}

/// Names of header fields.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Names {
    names: Vec<Vec<u8>>,
    /// All fields but these are meant.
    is_not: bool,
}

/// Where the octets of a section lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// There is no such part.
    Nowhere,
    /// The message's header block and the blank line behind it.
    Head,
    /// Octets of the message as read.
    Message { first: u64, count: u64 },
    /// Octets of its body, which begins with the blank line. They may be fewer.
    Body { first: u64, count: u64 },
}

impl Section {
    pub(super) fn new(section: &wire::Section<'_>, partial: Option<Partial>) -> Self {
        let mut label = b"BODY[".to_vec();
        for (place, number) in section.part.iter().enumerate() {
            if place > 0 {
                label.push(b'.');
            }
            write_number(&mut label, u64::from(*number));
        }
        if !section.part.is_empty() && section.text.is_some() {
            label.push(b'.');
        }
        let wanted = Wanted::of(section.text.as_ref(), &mut label);
        label.push(b']');
        if let Some(Partial { first, .. }) = partial {
            label.push(b'<');
            write_number(&mut label, first);
            label.push(b'>');
        }
        Self { label, part: section.part.clone(), wanted, partial }
    }

    /// RFC822, RFC822.HEADER and RFC822.TEXT. RFC 3501 §6.4.5
    pub(super) fn rfc822(section: &wire::Section<'_>) -> Self {
        let mut label = b"RFC822".to_vec();
        if section.text.is_some() {
            label.push(b'.');
        }
        let wanted = Wanted::of(section.text.as_ref(), &mut label);
        Self { label, part: section.part.clone(), wanted, partial: None }
    }

    pub(super) fn needs_structure(&self) -> bool {
        !self.part.is_empty()
    }

    pub(super) fn needs_body(&self) -> bool {
        self.needs_structure() || matches!(self.wanted, Wanted::All | Wanted::Text)
    }

    /// Where it lies in a message of that size. `structure` is only looked at where [`Section::needs_structure`] says so.
    // RFC 9051 §6.4.5.1
    pub(super) fn place(&self, size_bytes: u64, structure: Option<&Structure>) -> Place {
        let Some(structure) = structure.filter(|_| self.needs_structure()) else {
            return self.partly(match self.wanted {
                Wanted::All => Place::Message { first: 0, count: size_bytes },
                Wanted::Text => Place::Body { first: BLANK_LINE, count: u64::MAX },
                Wanted::Header | Wanted::Fields(_) | Wanted::Mime => Place::Head,
            });
        };
        let Some(part) = structure.find(&self.part) else { return Place::Nowhere };
        let place = match self.wanted {
            Wanted::All => content_of(structure, part),
            // The header block of a message that is one part alone is that part's, too.
            Wanted::Mime if part == 0 => Some(Place::Head),
            Wanted::Mime => header_of(structure, part),
            Wanted::Header | Wanted::Fields(_) => {
                structure.message_in(part).and_then(|inner| header_of(structure, inner))
            }
            Wanted::Text => structure.message_in(part).and_then(|inner| content_of(structure, inner)),
        };
        self.partly(place.unwrap_or(Place::Nowhere))
    }

    /// A header block that is in memory, as this section shows it.
    pub(super) fn show<'a>(&self, block: &'a [u8], has_blank_line: bool, scratch: &'a mut Vec<u8>) -> &'a [u8] {
        scratch.clear();
        match &self.wanted {
            Wanted::Fields(names) => names.pick(block, scratch),
            _ => scratch.extend_from_slice(block),
        }
        // RFC 9051 §6.4.5.1: the blank line is included, whatever fields are asked for.
        if has_blank_line {
            scratch.extend_from_slice(b"\r\n");
        }
        self.cut(scratch)
    }

    /// Those of the octets that `<first.count>` asks for. RFC 9051 §6.4.5: beyond the end there are none.
    fn cut<'a>(&self, octets: &'a [u8]) -> &'a [u8] {
        let Some(Partial { first, count }) = self.partial else { return octets };
        let rest = usize::try_from(first).ok().and_then(|first| octets.get(first..)).unwrap_or_default();
        rest.get(..usize::try_from(count).unwrap_or(usize::MAX)).unwrap_or(rest)
    }

    /// The same of a place in the file. Fields are picked before anything is cut off.
    fn partly(&self, place: Place) -> Place {
        let Some(partial) = self.partial.filter(|_| !matches!(self.wanted, Wanted::Fields(_))) else { return place };
        let narrow = |first: u64, count: u64| {
            let skipped = partial.first.min(count);
            (first.saturating_add(skipped), partial.count.min(count - skipped))
        };
        match place {
            Place::Message { first, count } => {
                let (first, count) = narrow(first, count);
                Place::Message { first, count }
            }
            Place::Body { first, count } => {
                let (first, count) = narrow(first, count);
                Place::Body { first, count }
            }
            Place::Nowhere | Place::Head => place,
        }
    }
}

impl Wanted {
    fn of(text: Option<&SectionText<'_>>, label: &mut Vec<u8>) -> Self {
        let mut fields = |word: &[u8], names: &[std::borrow::Cow<'_, [u8]>], is_not| {
            label.extend_from_slice(word);
            label.extend_from_slice(b" (");
            for (place, name) in names.iter().enumerate() {
                if place > 0 {
                    label.push(b' ');
                }
                write_astring(label, name);
            }
            label.push(b')');
            Self::Fields(Names { names: names.iter().map(|name| name.to_vec()).collect(), is_not })
        };
        let (wanted, word): (Self, &[u8]) = match text {
            None => return Self::All,
            Some(SectionText::HeaderFields(names)) => return fields(b"HEADER.FIELDS", names, false),
            Some(SectionText::HeaderFieldsNot(names)) => return fields(b"HEADER.FIELDS.NOT", names, true),
            Some(SectionText::Header) => (Self::Header, b"HEADER"),
            Some(SectionText::Text) => (Self::Text, b"TEXT"),
            Some(SectionText::Mime) => (Self::Mime, b"MIME"),
        };
        label.extend_from_slice(word);
        wanted
    }
}

impl Names {
    fn has(&self, name: &str) -> bool {
        self.names.iter().any(|known| known.eq_ignore_ascii_case(name.as_bytes()))
    }

    /// Appends the fields that are meant, as they stand in the block.
    fn pick(&self, block: &[u8], out: &mut Vec<u8>) {
        let mut kept_to = 0;
        for field in message::fields(block) {
            if !self.has(field.name) {
                continue;
            }
            if self.is_not {
                out.extend_from_slice(&block[kept_to..field.span.start]);
                kept_to = field.span.end;
            } else {
                out.extend_from_slice(&block[field.span]);
            }
        }
        if self.is_not {
            out.extend_from_slice(&block[kept_to..]);
        }
    }
}

fn header_of(structure: &Structure, part: usize) -> Option<Place> {
    let part = structure.parts.get(part)?;
    Some(Place::Body { first: part.header_at, count: part.header_bytes })
}

fn content_of(structure: &Structure, part: usize) -> Option<Place> {
    let part = structure.parts.get(part)?;
    Some(Place::Body { first: part.content_at, count: part.content_bytes })
}
