use super::cursor::{Cursor, is_token};
use super::envelope::shown;
use super::field::{Field, fields};
use super::parameter::parameters;
use super::summary::{Part, PartKind};
use crate::base::limits;

/// Octets of the name of a type, a subtype, an encoding or a language that are kept.
const TOKEN_BYTES: usize = 127;
/// What a value costs to keep beyond its octets.
const VALUE_BYTES: usize = 48;

/// What the header block of a part says of its content.
#[derive(Debug)]
pub(super) struct Heading {
    /// The part, with everything but its places.
    pub part: Part,
    /// The boundary of a multipart that has one.
    pub boundary: Option<Vec<u8>>,
}

/// Reads a part's header block. `is_digested`: it lies in a multipart/digest, where a part is a message unless it says
/// otherwise (RFC 2046 §5.1.5). `room_bytes` is what values may still cost in this message, and is lowered.
pub(super) fn heading(block: &[u8], is_digested: bool, room_bytes: &mut usize) -> Heading {
    let mut part = default_part(is_digested);
    let mut boundary = None;
    let mut has_type = false;
    for field in fields(block).filter(|field| field.name.get(..8).is_some_and(|n| n.eq_ignore_ascii_case("content-"))) {
        if field.is("Content-Type") && !has_type {
            has_type = true;
            boundary = read_type(&mut part, field.value);
        } else {
            read_field(&mut part, &field);
        }
    }
    if matches!(part.kind, PartKind::Multipart) && boundary.is_none() {
        // RFC 2045 §5.2: what is malformed is text. RFC 2046 §5.1.1: without a boundary there are no parts.
        part = default_part(false);
    }
    // RFC 2046 §4.1.2
    if matches!(part.kind, PartKind::Text) && !part.parameters.iter().any(|(name, _)| name == b"charset") {
        part.parameters.push((b"charset".to_vec(), b"us-ascii".to_vec()));
    }
    fit(&mut part, room_bytes);
    Heading { part, boundary }
}

// RFC 2045 §5.2, §6.1
fn default_part(is_digested: bool) -> Part {
    let (kind, subtype) = if is_digested {
        (PartKind::Message { envelope: Vec::new() }, b"rfc822".to_vec())
    } else {
        (PartKind::Text, b"plain".to_vec())
    };
    Part {
        parent: None,
        kind,
        subtype,
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

/// Content-Type; gives back the boundary.
// RFC 2045 §5.1
fn read_type(part: &mut Part, value: &[u8]) -> Option<Vec<u8>> {
    let mut cursor = Cursor::new(value);
    let main = token(&mut cursor);
    let subtype = if cursor.eat(b'/') { token(&mut cursor) } else { Vec::new() };
    if main.is_empty() || subtype.is_empty() {
        // RFC 2045 §5.2: what is malformed is text.
        (part.kind, part.subtype) = (PartKind::Text, b"plain".to_vec());
        return None;
    }
    part.kind = match (main.as_slice(), subtype.as_slice()) {
        (b"text", _) => PartKind::Text,
        (b"multipart", _) => PartKind::Multipart,
        // RFC 6532 §3.7
        (b"message", b"rfc822" | b"global") => PartKind::Message { envelope: Vec::new() },
        _ => PartKind::Other(main),
    };
    part.subtype = subtype;
    part.parameters = parameters(&mut cursor);
    if !matches!(part.kind, PartKind::Multipart) {
        return None;
    }
    let (_, boundary) = part.parameters.iter().find(|(name, _)| name == b"boundary")?;
    // RFC 2046 §5.1.1: it does not end with white space.
    let boundary = boundary.trim_ascii_end();
    let boundary = boundary.get(..limits::BOUNDARY_BYTES).unwrap_or(boundary);
    (!boundary.is_empty()).then(|| boundary.to_vec())
}

fn read_field(part: &mut Part, field: &Field<'_>) {
    let text = || Some(shown(field.value).into_owned()).filter(|text| !text.is_empty());
    if field.is("Content-Transfer-Encoding") {
        let mut cursor = Cursor::new(field.value);
        let encoding = token(&mut cursor);
        // With something behind it, it is malformed, and counts only when it is known all the same, as in `base64;`.
        let is_known = matches!(encoding.as_slice(), b"7bit" | b"8bit" | b"binary" | b"quoted-printable" | b"base64");
        if !encoding.is_empty() && (is_known || cursor.peek().is_none()) {
            part.encoding = encoding;
        }
    } else if field.is("Content-Disposition") {
        let mut cursor = Cursor::new(field.value);
        let kind = token(&mut cursor);
        part.disposition = (!kind.is_empty()).then(|| (kind, parameters(&mut cursor)));
    } else if field.is("Content-ID") {
        part.id = text();
    } else if field.is("Content-Description") {
        part.description = text();
    } else if field.is("Content-MD5") {
        part.md5 = text();
    } else if field.is("Content-Location") {
        part.location = text();
    } else if field.is("Content-Language") {
        part.language = languages(field.value);
    }
}

/// A token in lower case, with the blanks around it taken away.
fn token(cursor: &mut Cursor<'_>) -> Vec<u8> {
    cursor.skip_blank();
    let mut token = cursor.take_while(is_token).to_ascii_lowercase();
    token.truncate(TOKEN_BYTES);
    cursor.skip_blank();
    token
}

// RFC 3282 §2
fn languages(value: &[u8]) -> Vec<Vec<u8>> {
    let mut cursor = Cursor::new(value);
    let mut tags = Vec::new();
    while cursor.peek().is_some() && tags.len() < limits::PARAMETERS {
        let tag = token(&mut cursor);
        if !tag.is_empty() {
            tags.push(tag);
        } else {
            cursor.bump();
        }
    }
    tags
}

/// Leaves out values for which there is no room.
fn fit(part: &mut Part, room_bytes: &mut usize) {
    let mut fits = |bytes: usize| {
        let left = room_bytes.checked_sub(bytes.saturating_add(VALUE_BYTES));
        *room_bytes = left.unwrap_or(*room_bytes);
        left.is_some()
    };
    part.parameters.retain(|(name, value)| fits(name.len().saturating_add(value.len())));
    if let Some((_, parameters)) = &mut part.disposition {
        parameters.retain(|(name, value)| fits(name.len().saturating_add(value.len())));
    }
    part.language.retain(|tag| fits(tag.len()));
    for text in [&mut part.id, &mut part.description, &mut part.md5, &mut part.location] {
        if !text.as_ref().is_none_or(|text| fits(text.len())) {
            *text = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(block: &str) -> Heading {
        heading(block.as_bytes(), false, &mut limits::SHOWN_STRUCTURE_BYTES.clone())
    }

    fn check(block: &str, kind: PartKind, subtype: &str, parameters: &[(&str, &str)]) {
        let part = read(block).part;
        let expected: Vec<_> = parameters.iter().map(|(n, v)| (n.as_bytes().to_vec(), v.as_bytes().to_vec())).collect();
        assert_eq!(
            (part.kind, part.subtype, part.parameters),
            (kind, subtype.as_bytes().to_vec(), expected),
            "{block:?}"
        );
    }

    #[test]
    fn types_are_read() {
        let other = |name: &str| PartKind::Other(name.as_bytes().to_vec());
        let ascii = [("charset", "us-ascii")];
        check("", PartKind::Text, "plain", &ascii);
        check("Content-Type: TEXT/Html; Charset=UTF-8\r\n", PartKind::Text, "html", &[("charset", "UTF-8")]);
        check("content-type : (c) image (c) / (c) Png (c)\r\n", other("image"), "png", &[]);
        check("Content-Type: text\r\n", PartKind::Text, "plain", &ascii);
        check("Content-Type: nonsense; charset=x\r\n", PartKind::Text, "plain", &ascii);
        check("Content-Type:\r\n", PartKind::Text, "plain", &ascii);
        check("Content-Type: message/rfc822\r\n", PartKind::Message { envelope: Vec::new() }, "rfc822", &[]);
        check("Content-Type: message/delivery-status\r\n", other("message"), "delivery-status", &[]);
        check("Content-Type: multipart/mixed\r\n", PartKind::Text, "plain", &ascii);
        check("Content-Type: multipart/mixed; boundary=b\r\n", PartKind::Multipart, "mixed", &[("boundary", "b")]);
        assert_eq!(read("Content-Type: multipart/x; boundary=\"a b \"\r\n").boundary.as_deref(), Some(&b"a b"[..]));
        assert!(matches!(heading(b"", true, &mut 1000).part.kind, PartKind::Message { .. }));
        assert!(matches!(heading(b"Content-Type: text/plain\r\n", true, &mut 1000).part.kind, PartKind::Text));
    }

    #[test]
    fn the_other_fields_are_read() {
        let part = read(
            "Content-Transfer-Encoding: Base64 (c)\r\nContent-Disposition: ATTACHMENT; FileName=\"a b\"\r\n\
             Content-ID: <1@x>\r\nContent-Description: a\r\n b\r\nContent-MD5: Q2hlY2s=\r\n\
             Content-Language: de, EN-gb (c)\r\nContent-Location: http://x.test/\r\nContent-Unknown: x\r\n",
        )
        .part;
        assert_eq!(part.encoding, b"base64");
        assert_eq!(part.disposition, Some((b"attachment".to_vec(), vec![(b"filename".to_vec(), b"a b".to_vec())])));
        assert_eq!(part.id.as_deref(), Some(&b"<1@x>"[..]));
        assert_eq!(part.description.as_deref(), Some(&b"a b"[..]));
        assert_eq!(part.md5.as_deref(), Some(&b"Q2hlY2s="[..]));
        assert_eq!(part.language, [b"de".to_vec(), b"en-gb".to_vec()]);
        assert_eq!(part.location.as_deref(), Some(&b"http://x.test/"[..]));
    }

    #[test]
    fn what_is_empty_or_malformed_is_not_there() {
        let part = read("Content-Transfer-Encoding: 8 bit\r\nContent-ID:\r\nContent-Disposition: ;\r\n").part;
        assert_eq!((part.encoding.as_slice(), part.id, part.disposition), (&b"7bit"[..], None, None));
        assert_eq!(read("Content-Transfer-Encoding: base64;\r\n").part.encoding, b"base64");
    }

    #[test]
    fn values_without_room_are_left_out() {
        let block = format!("Content-ID: {}\r\nContent-Description: short\r\n", "x".repeat(1000));
        let mut room = 500;
        let part = heading(block.as_bytes(), false, &mut room).part;
        assert_eq!((part.id, part.description.as_deref()), (None, Some(&b"short"[..])));
        assert!(room < 500);
    }
}
