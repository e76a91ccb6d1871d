use super::write::{write_nstring, write_number, write_string};
use crate::message::{Part, PartKind, Structure};

/// What stands for a part that must be there and is not: a multipart has a part, a message/rfc822 a message.
// RFC 9051 §9 "body-type-mpart": 1*body
const EMPTY_PART: &[u8] = b"(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0";
const EMPTY_EXTENSION: &[u8] = b" NIL NIL NIL NIL";

/// Writes a body structure, with extension data (BODYSTRUCTURE) or without (BODY). RFC 9051 §7.5.2
pub fn write_structure(out: &mut Vec<u8>, structure: &Structure, is_extended: bool) {
    let mut walk = Walk { parts: &structure.parts, next: 0, is_extended };
    walk.write_part(out);
}

/// Goes through the parts in their order, in which a part is followed by those within it.
struct Walk<'a> {
    parts: &'a [Part],
    next: usize,
    is_extended: bool,
}

impl<'a> Walk<'a> {
    /// Writes the next part with all that is within it.
    fn write_part(&mut self, out: &mut Vec<u8>) {
        let Some(part) = self.parts.get(self.next) else { return self.write_empty(out) };
        let at = self.next;
        self.next = at.saturating_add(1);
        out.push(b'(');
        match &part.kind {
            PartKind::Multipart => self.write_multipart(out, at, part),
            PartKind::Text => {
                self.write_single(out, b"text", part);
                out.push(b' ');
                write_number(out, part.lines);
            }
            PartKind::Message { envelope } => {
                self.write_single(out, b"message", part);
                out.push(b' ');
                out.extend_from_slice(envelope);
                out.push(b' ');
                if self.is_within(at) {
                    self.write_part(out)
                } else {
                    self.write_empty(out)
                }
                out.push(b' ');
                write_number(out, part.lines);
            }
            PartKind::Other(kind) => self.write_single(out, kind, part),
        }
        if self.is_extended && part.kind != PartKind::Multipart {
            out.push(b' ');
            write_nstring(out, part.md5.as_deref());
            write_extension(out, part);
        }
        out.push(b')');
    }

    // RFC 9051 §9 "body-type-mpart"
    fn write_multipart(&mut self, out: &mut Vec<u8>, at: usize, part: &Part) {
        if !self.is_within(at) {
            self.write_empty(out);
        }
        while self.is_within(at) {
            self.write_part(out);
        }
        out.push(b' ');
        write_string(out, &part.subtype);
        if self.is_extended {
            out.push(b' ');
            write_parameters(out, &part.parameters);
            write_extension(out, part);
        }
    }

    /// Writes what every part has that is no multipart.
    // RFC 9051 §9 "body-fields"
    fn write_single(&mut self, out: &mut Vec<u8>, kind: &[u8], part: &Part) {
        write_string(out, kind);
        out.push(b' ');
        write_string(out, &part.subtype);
        out.push(b' ');
        write_parameters(out, &part.parameters);
        out.push(b' ');
        write_nstring(out, part.id.as_deref());
        out.push(b' ');
        write_nstring(out, part.description.as_deref());
        out.push(b' ');
        write_string(out, &part.encoding);
        out.push(b' ');
        write_number(out, part.content_bytes);
    }

    fn write_empty(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(EMPTY_PART);
        if self.is_extended {
            out.extend_from_slice(EMPTY_EXTENSION);
        }
        out.push(b')');
    }

    /// The next part lies in the one at that place.
    fn is_within(&self, at: usize) -> bool {
        self.parts.get(self.next).is_some_and(|part| part.parent.map(usize::from) == Some(at))
    }
}

/// Writes disposition, languages and location.
// RFC 9051 §9 "body-ext-1part", "body-ext-mpart"
fn write_extension(out: &mut Vec<u8>, part: &Part) {
    out.push(b' ');
    match &part.disposition {
        None => out.extend_from_slice(b"NIL"),
        Some((kind, parameters)) => {
            out.push(b'(');
            write_string(out, kind);
            out.push(b' ');
            write_parameters(out, parameters);
            out.push(b')');
        }
    }
    out.push(b' ');
    match part.language.as_slice() {
        [] => out.extend_from_slice(b"NIL"),
        [language] => write_string(out, language),
        languages => {
            out.push(b'(');
            write_spaced(out, languages.iter());
            out.push(b')');
        }
    }
    out.push(b' ');
    write_nstring(out, part.location.as_deref());
}

fn write_parameters(out: &mut Vec<u8>, parameters: &[(Vec<u8>, Vec<u8>)]) {
    if parameters.is_empty() {
        return out.extend_from_slice(b"NIL");
    }
    out.push(b'(');
    write_spaced(out, parameters.iter().flat_map(|(name, value)| [name, value]));
    out.push(b')');
}

fn write_spaced<'a>(out: &mut Vec<u8>, texts: impl Iterator<Item = &'a Vec<u8>>) {
    for (at, text) in texts.enumerate() {
        if at > 0 {
            out.push(b' ');
        }
        write_string(out, text);
    }
}
