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

#[cfg(test)]
mod tests {
    use super::*;

    fn part(parent: Option<u16>, kind: PartKind, subtype: &str) -> Part {
        Part {
            parent,
            kind,
            subtype: subtype.into(),
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
            content_bytes: 12,
            lines: 3,
        }
    }

    fn text(parent: Option<u16>) -> Part {
        part(parent, PartKind::Text, "plain")
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(Vec<u8>, Vec<u8>)> {
        pairs.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
    }

    fn check(parts: Vec<Part>, body: &str, body_structure: &str) {
        let structure = Structure { parts };
        for (is_extended, expected) in [(false, body), (true, body_structure)] {
            let mut out = Vec::new();
            write_structure(&mut out, &structure, is_extended);
            assert_eq!(String::from_utf8_lossy(&out), expected);
        }
    }

    #[test]
    fn a_text_has_lines() {
        check(
            vec![text(None)],
            r#"("text" "plain" NIL NIL NIL "7bit" 12 3)"#,
            r#"("text" "plain" NIL NIL NIL "7bit" 12 3 NIL NIL NIL NIL)"#,
        );
    }

    #[test]
    fn every_field_has_its_place() {
        let image = Part {
            parameters: pairs(&[("name", "a \"b\""), ("x", "ä")]),
            id: Some(b"<1@x>".to_vec()),
            description: Some(Vec::new()),
            encoding: b"base64".to_vec(),
            md5: Some(b"Q2hl".to_vec()),
            disposition: Some((b"inline".to_vec(), pairs(&[("filename", "a.png")]))),
            language: vec![b"de".to_vec(), b"en".to_vec()],
            location: Some(b"http://x".to_vec()),
            ..part(None, PartKind::Other(b"image".to_vec()), "png")
        };
        let fields = "\"image\" \"png\" (\"name\" \"a \\\"b\\\"\" \"x\" {2}\r\nä) \"<1@x>\" \"\" \"base64\" 12";
        let extension = r#""Q2hl" ("inline" ("filename" "a.png")) ("de" "en") "http://x""#;
        check(vec![image], &format!("({fields})"), &format!("({fields} {extension})"));
        let one = Part {
            disposition: Some((b"attachment".to_vec(), Vec::new())),
            language: vec![b"de".to_vec()],
            ..text(None)
        };
        let fields = r#""text" "plain" NIL NIL NIL "7bit" 12 3"#;
        check(vec![one], &format!("({fields})"), &format!(r#"({fields} NIL ("attachment" NIL) "de" NIL)"#));
    }

    #[test]
    fn parts_stand_within_parts() {
        let mixed = Part { parameters: pairs(&[("boundary", "x")]), ..part(None, PartKind::Multipart, "mixed") };
        let parts = vec![
            mixed,
            part(Some(0), PartKind::Multipart, "alternative"),
            text(Some(1)),
            part(Some(1), PartKind::Text, "html"),
            part(Some(0), PartKind::Other(b"image".to_vec()), "png"),
        ];
        check(
            parts,
            r#"((("text" "plain" NIL NIL NIL "7bit" 12 3)("text" "html" NIL NIL NIL "7bit" 12 3) "alternative")("image" "png" NIL NIL NIL "7bit" 12) "mixed")"#,
            r#"((("text" "plain" NIL NIL NIL "7bit" 12 3 NIL NIL NIL NIL)("text" "html" NIL NIL NIL "7bit" 12 3 NIL NIL NIL NIL) "alternative" NIL NIL NIL NIL)("image" "png" NIL NIL NIL "7bit" 12 NIL NIL NIL NIL) "mixed" ("boundary" "x") NIL NIL NIL)"#,
        );
    }

    #[test]
    fn a_message_has_its_envelope_and_its_own_structure() {
        let message = PartKind::Message { envelope: b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)".to_vec() };
        let parts = vec![
            part(None, PartKind::Multipart, "digest"),
            part(Some(0), message.clone(), "rfc822"),
            part(Some(1), PartKind::Multipart, "mixed"),
            text(Some(2)),
            part(Some(0), message, "rfc822"),
            text(Some(4)),
        ];
        let text = r#"("text" "plain" NIL NIL NIL "7bit" 12 3)"#;
        let message = r#""message" "rfc822" NIL NIL NIL "7bit" 12 (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"#;
        let mut out = Vec::new();
        write_structure(&mut out, &Structure { parts }, false);
        let expected = format!(r#"(({message} ({text} "mixed") 3)({message} {text} 3) "digest")"#);
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }

    #[test]
    fn what_must_be_there_is_there() {
        check(
            vec![part(None, PartKind::Multipart, "mixed")],
            r#"(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0) "mixed")"#,
            r#"(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL) "mixed" NIL NIL NIL NIL)"#,
        );
        let parts = vec![part(None, PartKind::Message { envelope: b"()".to_vec() }, "rfc822")];
        let mut out = Vec::new();
        write_structure(&mut out, &Structure { parts }, false);
        assert!(
            String::from_utf8_lossy(&out)
                .ends_with(r#"12 () ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0) 3)"#)
        );
    }
}
