use super::charset::CharsetDecoder;
use super::cursor::{Cursor, is_token};
use super::encoded_word::decode_field;
use super::summary::Parameters;
use super::transfer::nibble;
use crate::base::limits;

/// Reads the parameters at the cursor, up to the end of the field. Pieces of a value (RFC 2231 §3) are put together
/// under the name with (`name*`: they are encoded) or without the asterisk, behind the others.
// RFC 2045 §5.1
pub(super) fn parameters(cursor: &mut Cursor<'_>) -> Parameters {
    let mut found = Parameters::new();
    let mut pieces: Vec<Piece> = Vec::new();
    while found.len().saturating_add(pieces.len()) < limits::PARAMETERS {
        cursor.take_while(|byte| byte != b';' && byte != b'(');
        match cursor.peek() {
            Some(b'(') => {
                cursor.skip_blank();
            }
            Some(_) => {
                cursor.bump();
                if let Some((name, value)) = parameter(cursor) {
                    match Piece::of(&name) {
                        Some(piece) => pieces.push(Piece { value, ..piece }),
                        None => found.push((name, value)),
                    }
                }
            }
            None => break,
        }
    }
    join(pieces, &mut found);
    found
}

/// The text of the parameter with that name (in lower case): of its encoded form (RFC 2231 §4) where there is one, else
/// as it stands, with the encoded words that RFC 2047 §5 forbids there and programs write all the same.
pub fn decoded_parameter(parameters: &Parameters, name: &[u8]) -> Option<String> {
    let find = |wanted: &[u8]| parameters.iter().find(|(known, _)| known == wanted).map(|(_, value)| value.as_slice());
    let Some(value) = find(&[name, b"*"].concat()) else { return find(name).map(decode_field) };
    let mut pieces = value.splitn(3, |byte| *byte == b'\'');
    let (Some(charset), Some(_language), Some(text)) = (pieces.next(), pieces.next(), pieces.next()) else {
        return Some(decode_field(value));
    };
    let mut text_out = String::new();
    CharsetDecoder::new(charset).push(&unescape(text), true, &mut text_out);
    Some(text_out)
}

// RFC 2231 §7: ext-octet
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, behind)) = rest.split_first() {
        match behind {
            [high, low, behind @ ..] if *first == b'%' && high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                out.push(nibble(*high) << 4 | nibble(*low));
                rest = behind;
            }
            _ => {
                out.push(*first);
                rest = behind;
            }
        }
    }
    out
}

fn parameter(cursor: &mut Cursor<'_>) -> Option<(Vec<u8>, Vec<u8>)> {
    cursor.skip_blank();
    let name = cursor.take_while(is_token).to_ascii_lowercase();
    cursor.skip_blank();
    if name.is_empty() || !cursor.eat(b'=') {
        return None;
    }
    cursor.skip_blank();
    let mut value = Vec::new();
    if cursor.peek() == Some(b'"') {
        cursor.quoted(&mut value);
    } else {
        // Programs forget the quotes around boundaries and file names: more than a token is taken.
        value.extend_from_slice(cursor.take_while(|byte| byte > b' ' && !b";()\"".contains(&byte)));
    }
    value.truncate(limits::SHOWN_FIELD_BYTES);
    Some((name, value))
}

/// A piece of a value.
#[derive(Debug)]
struct Piece {
    name: Vec<u8>,
    number: u32,
    is_encoded: bool,
    value: Vec<u8>,
}

impl Piece {
    /// `name*0`, `name*0*` and `name*`, which is the whole of it.
    fn of(name: &[u8]) -> Option<Self> {
        let mut halves = name.splitn(2, |byte| *byte == b'*');
        let (name, rest) = (halves.next()?, halves.next()?);
        let (digits, is_encoded) = match rest {
            [digits @ .., b'*'] => (digits, true),
            [] => (rest, true),
            digits => (digits, false),
        };
        let number = if digits.is_empty() { 0 } else { std::str::from_utf8(digits).ok()?.parse().ok()? };
        Some(Self { name: name.to_vec(), number, is_encoded, value: Vec::new() })
    }

    fn own_name(&self) -> Vec<u8> {
        let asterisk = if self.is_encoded { "*" } else { "" };
        [&self.name, format!("*{}{asterisk}", self.number).as_bytes()].concat()
    }
}

/// Puts pieces together whose numbers are complete; the others stay under their own names.
fn join(mut pieces: Vec<Piece>, found: &mut Parameters) {
    pieces.sort_by(|a, b| (&a.name, a.number).cmp(&(&b.name, b.number)));
    for group in pieces.chunk_by(|a, b| a.name == b.name) {
        if !group.iter().zip(0..).all(|(piece, number)| piece.number == number) {
            found.extend(group.iter().map(|piece| (piece.own_name(), piece.value.clone())));
            continue;
        }
        let is_encoded = group.iter().any(|piece| piece.is_encoded);
        let mut value = Vec::new();
        for piece in group {
            if is_encoded && !piece.is_encoded {
                escape(&piece.value, &mut value);
            } else {
                value.extend_from_slice(&piece.value);
            }
        }
        value.truncate(limits::SHOWN_FIELD_BYTES);
        let asterisk: &[u8] = if is_encoded { b"*" } else { b"" };
        found.extend(group.first().map(|piece| ([&piece.name, asterisk].concat(), value)));
    }
}

// RFC 2231 §7: attribute-char
fn escape(text: &[u8], out: &mut Vec<u8>) {
    for byte in text {
        if is_token(*byte) && byte.is_ascii() && !b"*'%".contains(byte) {
            out.push(*byte);
        } else {
            out.extend_from_slice(format!("%{byte:02x}").as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_read_in_whatever_form_it_has() {
        let check = |name: &str, value: &str, expected: Option<&str>| {
            let parameters = vec![(name.as_bytes().to_vec(), value.as_bytes().to_vec())];
            assert_eq!(decoded_parameter(&parameters, b"filename").as_deref(), expected, "{name}={value}");
        };
        check("filename", "plain.txt", Some("plain.txt"));
        check("filename", "=?utf-8?Q?Gr=C3=BC=C3=9Fe.txt?=", Some("Grüße.txt"));
        check("filename*", "utf-8'de'Gr%C3%BC%c3%9fe%2.txt", Some("Grüße%2.txt"));
        check("filename*", "iso-8859-1''Gr%FC%DFe.txt", Some("Grüße.txt"));
        check("filename*", "no quotes", Some("no quotes"));
        check("name", "other", None);
    }

    fn check(value: &str, expected: &[(&str, &str)]) {
        let seen = parameters(&mut Cursor::new(value.as_bytes()));
        let seen: Vec<_> = seen.iter().map(|(n, v)| (String::from_utf8_lossy(n), String::from_utf8_lossy(v))).collect();
        let expected: Vec<_> = expected.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
        assert_eq!(seen, expected, "{value:?}");
    }

    #[test]
    fn parameters_are_read() {
        check("; charset=utf-8", &[("charset", "utf-8")]);
        check(
            ";CharSet=\"UTF-8\" ; format = flowed (c);x=y",
            &[("charset", "UTF-8"), ("format", "flowed"), ("x", "y")],
        );
        check("; name=\"a;b \\\"c\\\"\"; x=1", &[("name", "a;b \"c\""), ("x", "1")]);
        check("; boundary=----=_Part/1:2?;", &[("boundary", "----=_Part/1:2?")]);
        check("; charset=us-ascii (Plain text)", &[("charset", "us-ascii")]);
        check(";\r\n\tname=\"folded\r\n value\"", &[("name", "folded value")]);
        check(";;a;=b;c=;d=\"\"; e = 1", &[("c", ""), ("d", ""), ("e", "1")]);
        check(" junk; a=b junk; c=d", &[("a", "b"), ("c", "d")]);
        check("", &[]);
    }

    #[test]
    fn pieces_are_put_together() {
        check("; name*0=\"a \"; name*1=b; x=y", &[("x", "y"), ("name", "a b")]);
        check("; name*1*=%20b; name*0*=utf-8''a", &[("name*", "utf-8''a%20b")]);
        check("; name*0*=utf-8''a; name*1=\"b c\"", &[("name*", "utf-8''ab%20c")]);
        check("; name*=utf-8''a%20b", &[("name*", "utf-8''a%20b")]);
        check("; name*0=a; name*2=b", &[("name*0", "a"), ("name*2", "b")]);
        check("; name*x=a; name**=b", &[("name*x", "a"), ("name*", "b")]);
    }

    #[test]
    fn no_more_than_the_limit_are_read() {
        assert_eq!(parameters(&mut Cursor::new("; a=b".repeat(5000).as_bytes())).len(), limits::PARAMETERS);
        assert_eq!(parameters(&mut Cursor::new(";".repeat(50_000).as_bytes())).len(), 0);
    }
}
