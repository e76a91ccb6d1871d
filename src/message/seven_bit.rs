//! A message of 8-bit octets made into one of ASCII alone that says the same, for servers without 8BITMIME.
// RFC 6152 §3, RFC 2045 §6

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::field::fields;
use super::heading::heading;
use super::report::quoted_printable;
use super::summary::PartKind;
use crate::base::limits;

/// Octets that one line of base64 stands for: 76 characters.
const BASE64_LINE_OCTETS: usize = 57;

/// Why a message is not converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotSevenBit {
    /// A signature or an encryption would not hold any more (RFC 1847 §2.1).
    #[error("what is signed or encrypted must not be changed")]
    Secured,
    /// A header beyond ASCII has no other form.
    #[error("a header in it is not ASCII")]
    Header,
    /// What is encoded already holds such octets, or stands in a part that may not be encoded.
    #[error("a part of it can't be encoded")]
    Part,
    /// Its parts lie too deep in each other.
    #[error("it has too many parts inside each other")]
    Depth,
}

/// Encodes each part that has 8-bit octets: text as quoted-printable where that is the shorter form, everything else as
/// base64. The same message gives the same octets; one that is 7-bit already comes back as it is.
///
/// # Errors
/// [`NotSevenBit`]
pub fn seven_bit(message: &[u8]) -> Result<Vec<u8>, NotSevenBit> {
    let mut out = Vec::with_capacity(message.len().saturating_add(message.len() / 2));
    entity(message, Place { depth: 0, is_digested: false }, &mut out)?;
    Ok(out)
}

/// Where an entity stands.
#[derive(Clone, Copy)]
struct Place {
    depth: usize,
    /// In a multipart/digest.
    is_digested: bool,
}

fn entity(bytes: &[u8], place: Place, out: &mut Vec<u8>) -> Result<(), NotSevenBit> {
    if bytes.is_ascii() {
        out.extend_from_slice(bytes);
        return Ok(());
    }
    if place.depth > limits::PART_DEPTH {
        return Err(NotSevenBit::Depth);
    }
    let (header, content) = split(bytes);
    if !header.is_ascii() {
        return Err(NotSevenBit::Header);
    }
    let found = heading(header, place.is_digested, &mut { limits::SHOWN_STRUCTURE_BYTES });
    let encoding = found.part.encoding.as_slice();
    if !matches!(encoding, b"7bit" | b"8bit" | b"binary") {
        return Err(NotSevenBit::Part);
    }
    match (&found.part.kind, found.boundary) {
        (PartKind::Multipart, Some(boundary)) => {
            if matches!(found.part.subtype.as_slice(), b"signed" | b"encrypted") {
                return Err(NotSevenBit::Secured);
            }
            encode_as(header, "7bit", place, out);
            let inside = Place { depth: place.depth.saturating_add(1), is_digested: found.part.subtype == b"digest" };
            multipart(content, &boundary, inside, out)
        }
        (PartKind::Multipart, None) => Err(NotSevenBit::Part),
        // RFC 6532 §3.7: message/global is UTF-8 by its nature.
        (PartKind::Message { .. }, _) if found.part.subtype == b"rfc822" => {
            encode_as(header, "7bit", place, out);
            let Some(inner) = content.strip_prefix(b"\r\n") else { return Err(NotSevenBit::Part) };
            out.extend_from_slice(b"\r\n");
            entity(inner, Place { depth: place.depth.saturating_add(1), is_digested: false }, out)
        }
        (PartKind::Message { .. }, _) => Err(NotSevenBit::Part),
        // RFC 2046 §5.2.2, §5.2.3: no other encoding than 7bit
        (PartKind::Other(main), _) if main == b"message" => Err(NotSevenBit::Part),
        (kind, _) => {
            leaf(header, content, matches!(kind, PartKind::Text), place, out);
            Ok(())
        }
    }
}

/// The header block, and what stands behind it: a blank line first, where there is one.
fn split(bytes: &[u8]) -> (&[u8], &[u8]) {
    if bytes.starts_with(b"\r\n") {
        return (&[], bytes);
    }
    let end = memchr::memmem::find(bytes, b"\r\n\r\n").map_or(bytes.len(), |at| at.saturating_add(2));
    bytes.split_at_checked(end).unwrap_or((bytes, &[]))
}

fn leaf(header: &[u8], content: &[u8], is_text: bool, place: Place, out: &mut Vec<u8>) {
    let (blank, text) = match content.strip_prefix(b"\r\n") {
        Some(text) => (&b"\r\n"[..], text),
        None => (&[][..], content),
    };
    let quoted = if is_text { Some(quoted_printable(text)) } else { None };
    let (name, encoded) = match quoted.filter(|quoted| quoted.len() <= base64_len(text)) {
        Some(quoted) => ("quoted-printable", quoted),
        None => ("base64", base64(text)),
    };
    encode_as(header, name, place, out);
    out.extend_from_slice(blank);
    out.extend_from_slice(&encoded);
}

fn base64_len(text: &[u8]) -> usize {
    text.len().div_ceil(BASE64_LINE_OCTETS).saturating_mul(78)
}

// RFC 2045 §6.8
fn base64(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(base64_len(text));
    for line in text.chunks(BASE64_LINE_OCTETS) {
        out.extend_from_slice(STANDARD.encode(line).as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// The header block with that transfer encoding; of a whole message also with MIME-Version, without which the other means
/// nothing.
// RFC 2045 §4, §6.1
fn encode_as(header: &[u8], encoding: &str, place: Place, out: &mut Vec<u8>) {
    let mut at = 0;
    let (mut has_version, mut is_said) = (false, false);
    let line = format!("Content-Transfer-Encoding: {encoding}\r\n");
    for field in fields(header) {
        has_version |= field.is("MIME-Version");
        if field.is("Content-Transfer-Encoding") {
            out.extend_from_slice(header.get(at..field.span.start).unwrap_or_default());
            if !is_said {
                out.extend_from_slice(line.as_bytes());
            }
            is_said = true;
            at = field.span.end;
        }
    }
    out.extend_from_slice(header.get(at..).unwrap_or_default());
    if place.depth == 0 && !has_version {
        out.extend_from_slice(b"MIME-Version: 1.0\r\n");
    }
    if !is_said && encoding != "7bit" {
        out.extend_from_slice(line.as_bytes());
    }
}

/// The parts between the lines of a boundary. What stands before the first and behind the last is for programs of old
/// that know no MIME: it has no encoding, and loses what is not ASCII.
// RFC 2046 §5.1.1
fn multipart(content: &[u8], boundary: &[u8], inside: Place, out: &mut Vec<u8>) -> Result<(), NotSevenBit> {
    let (mut begin, mut at) = (None::<usize>, 0usize);
    for line in content.split_inclusive(|byte| *byte == b'\n') {
        let start = at;
        at = at.saturating_add(line.len());
        let Some(is_last) = delimits(line, boundary) else { continue };
        // RFC 2046 §5.1.1: the line end before a boundary is the boundary's.
        let before = content.get(begin.unwrap_or(0)..start).unwrap_or_default();
        match begin {
            None => plain(before, out),
            Some(_) => {
                let (part, end) = match before.strip_suffix(b"\r\n") {
                    Some(part) => (part, &b"\r\n"[..]),
                    None => (before, &[][..]),
                };
                entity(part, inside, out)?;
                let has_end =
                    end.is_empty() || (out.ends_with(b"\r\n") && !part.ends_with(b"\r\n") && !part.is_ascii());
                // What is encoded in base64 ends its last line itself.
                out.extend_from_slice(if has_end { &[] } else { end });
            }
        }
        out.extend_from_slice(line);
        begin = Some(at);
        if is_last {
            plain(content.get(at..).unwrap_or_default(), out);
            return Ok(());
        }
    }
    match begin {
        // A boundary that never comes: there are no parts.
        None => Err(NotSevenBit::Part),
        Some(begin) => entity(content.get(begin..).unwrap_or_default(), inside, out),
    }
}

fn plain(text: &[u8], out: &mut Vec<u8>) {
    out.extend(text.iter().map(|byte| if byte.is_ascii() { *byte } else { b'?' }));
}

/// Whether the line is a boundary, and the last.
fn delimits(line: &[u8], boundary: &[u8]) -> Option<bool> {
    let rest = line.strip_prefix(b"--")?.strip_prefix(boundary)?;
    let (rest, is_last) = match rest.strip_prefix(b"--") {
        Some(rest) => (rest, true),
        None => (rest, false),
    };
    rest.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).then_some(is_last)
}

#[cfg(test)]
mod tests {
    use super::super::StructureScanner;
    use super::*;
    use proptest::prelude::*;

    fn check(message: &str, expected: Result<&str, NotSevenBit>) {
        let seen = seven_bit(message.as_bytes()).map(|seen| String::from_utf8(seen).unwrap());
        assert_eq!(seen, expected.map(str::to_owned), "{message:?}");
    }

    #[test]
    fn a_text_is_encoded_by_what_is_shorter() {
        check("Subject: x\r\n\r\nplain\r\n", Ok("Subject: x\r\n\r\nplain\r\n"));
        check(
            "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\
             Subject: x\r\n\r\nIn a café, of an evening\r\n",
            Ok("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
                Content-Transfer-Encoding: quoted-printable\r\nSubject: x\r\n\r\nIn a caf=C3=A9, of an evening\r\n"),
        );
        check(
            "Subject: x\r\n\r\nпривет, привет, привет, привет, привет\r\n",
            Ok("Subject: x\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\n\
                0L/RgNC40LLQtdGCLCDQv9GA0LjQstC10YIsINC/0YDQuNCy0LXRgiwg0L/RgNC40LLQtdGCLCDQ\r\n\
                v9GA0LjQstC10YINCg==\r\n"),
        );
    }

    #[test]
    fn parts_are_encoded_one_by_one() {
        check(
            "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
             préamble\r\n--b\r\n\r\nplain\r\n--b\r\nContent-Type: text/plain\r\n\r\nIn a café, of an evening\r\n--b\r\n\
             Content-Type: image/x\r\n\r\né\r\n--b--\r\nend\r\n",
            Ok(
                "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 7bit\r\n\r\n\
                pr??amble\r\n--b\r\n\r\nplain\r\n--b\r\nContent-Type: text/plain\r\n\
                Content-Transfer-Encoding: quoted-printable\r\n\r\nIn a caf=C3=A9, of an evening\r\n--b\r\n\
                Content-Type: image/x\r\nContent-Transfer-Encoding: base64\r\n\r\nw6k=\r\n--b--\r\nend\r\n",
            ),
        );
        check(
            "MIME-Version: 1.0\r\nContent-Type: message/rfc822\r\n\r\nSubject: y\r\n\r\nIn a café, of an evening",
            Ok("MIME-Version: 1.0\r\nContent-Type: message/rfc822\r\n\r\nSubject: y\r\n\
                Content-Transfer-Encoding: quoted-printable\r\n\r\nIn a caf=C3=A9, of an evening"),
        );
    }

    #[test]
    fn what_must_not_be_changed_is_not() {
        let multipart = |kind: &str, text: &str| {
            format!("Content-Type: multipart/{kind}; boundary=b\r\n\r\n--b\r\n\r\n{text}\r\n--b--\r\n")
        };
        for kind in ["signed", "encrypted", "SIGNED"] {
            check(&multipart(kind, "café"), Err(NotSevenBit::Secured));
            let plain = multipart(kind, "cafe");
            check(&plain, Ok(&plain));
        }
        // A signed part beside one of 8 bits stays as it is.
        let signed = multipart("signed", "cafe").replace("=b\r", "=c\r").replace("--b", "--c");
        let mixed = format!(
            "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n{signed}\r\n--b\r\n\r\nIn a café, of an evening\r\n--b--\r\n"
        );
        let seen = String::from_utf8(seven_bit(mixed.as_bytes()).unwrap()).unwrap();
        assert!(seen.contains(&signed) && seen.contains("caf=C3=A9"), "{seen}");
        check("Subject: café\r\n\r\ncafé\r\n", Err(NotSevenBit::Header));
        check("Content-Transfer-Encoding: base64\r\n\r\ncafé\r\n", Err(NotSevenBit::Part));
        check("Content-Type: message/partial\r\n\r\ncafé\r\n", Err(NotSevenBit::Part));
        check("Content-Type: multipart/mixed; boundary=b\r\n\r\ncafé\r\n", Err(NotSevenBit::Part));
        let mut deep = "café".to_owned();
        for level in 0..=limits::PART_DEPTH {
            deep = format!(
                "Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n{deep}\r\n--b{level}--\r\n"
            );
        }
        check(&deep, Err(NotSevenBit::Depth));
    }

    proptest! {
        #[test]
        fn whatever_it_is_comes_out_as_ascii_in_short_lines_or_not_at_all(
            pieces in prop::collection::vec(prop::sample::select(vec![
                "Content-Type: multipart/mixed; boundary=b\r\n", "Content-Type: text/plain\r\n", "\r\n", "--b\r\n",
                "--b--\r\n", "é", "x", "Content-Type: message/rfc822\r\n", "Content-Transfer-Encoding: 8bit\r\n",
            ]), 0..30)
        ) {
            let message = pieces.concat();
            if let Ok(seen) = seven_bit(message.as_bytes()) {
                prop_assert!(seen.is_ascii());
                prop_assert_eq!(&seen, &seven_bit(message.as_bytes()).unwrap());
                prop_assert_eq!(&seven_bit(&seen).unwrap(), &seen);
            }
        }

        #[test]
        fn a_text_comes_back_when_it_is_decoded(text in "[a-zé ]{1,200}") {
            let message = format!("Content-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n");
            let seen = seven_bit(message.as_bytes()).unwrap();
            let (header, content) = split(&seen);
            let preview = |header: &[u8], content: &[u8]| {
                let mut scanner = StructureScanner::new(header);
                scanner.push(content);
                scanner.finish().preview
            };
            let (old_header, old_content) = split(message.as_bytes());
            prop_assert_eq!(preview(header, content), preview(old_header, old_content));
        }
    }
}
