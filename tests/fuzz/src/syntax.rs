//! What IMAP's clients see: a reader of parenthesised data that is independent of the writers it checks.

/// A value of RFC 9051 §9 as ENVELOPE and BODYSTRUCTURE hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// NIL
    Nil,
    /// Digits.
    Number(u64),
    /// Quoted or a literal.
    String(Vec<u8>),
    /// In parentheses.
    List(Vec<Value>),
}

impl Value {
    /// Reads one value, which must be all of the text; panics at what no client could read.
    pub fn read(text: &[u8]) -> Self {
        let mut rest = text;
        let value = value(&mut rest, 0);
        assert!(rest.is_empty(), "something stands behind the value: {:?}", String::from_utf8_lossy(rest));
        value
    }

    /// The members of a list; panics for anything else.
    pub fn list(&self) -> &[Self] {
        match self {
            Self::List(members) => members,
            other => panic!("no list: {other:?}"),
        }
    }

    /// Panics unless it is a string, or NIL.
    pub fn assert_nstring(&self) {
        assert!(matches!(self, Self::Nil | Self::String(_)), "no nstring: {self:?}");
    }

    /// Panics unless it is a string.
    pub fn assert_string(&self) {
        assert!(matches!(self, Self::String(_)), "no string: {self:?}");
    }
}

fn value(rest: &mut &[u8], depth: usize) -> Value {
    assert!(depth < 500, "too deep");
    match rest.first() {
        Some(b'(') => {
            *rest = &rest[1..];
            let mut members = Vec::new();
            while rest.first() != Some(&b')') {
                members.push(value(rest, depth + 1));
                // Addresses and the parts of a multipart follow each other without a space.
                if rest.first() == Some(&b' ') {
                    *rest = &rest[1..];
                    assert!(rest.first() != Some(&b')'), "a space before a closing parenthesis");
                } else {
                    assert!(matches!(rest.first(), Some(b'(' | b')')), "no space between two values");
                }
            }
            assert!(!members.is_empty(), "an empty list");
            *rest = &rest[1..];
            Value::List(members)
        }
        Some(b'"') => {
            let mut text = Vec::new();
            let mut at = 1;
            loop {
                match rest[at] {
                    b'"' => break,
                    b'\\' => {
                        at += 1;
                        assert!(matches!(rest[at], b'"' | b'\\'), "an escape of nothing");
                        text.push(rest[at]);
                    }
                    byte => {
                        assert!(byte < 128 && !matches!(byte, b'\r' | b'\n' | 0), "{byte} in a quoted string");
                        text.push(byte);
                    }
                }
                at += 1;
            }
            *rest = &rest[at + 1..];
            Value::String(text)
        }
        Some(b'{') => {
            let end = rest.iter().position(|byte| *byte == b'}').expect("no end of the announcement");
            let len: usize = std::str::from_utf8(&rest[1..end]).unwrap().parse().unwrap();
            let behind = rest[end + 1..].strip_prefix(b"\r\n").expect("no CRLF behind the announcement");
            assert!(!behind[..len].contains(&0), "NUL in a literal");
            let text = behind[..len].to_vec();
            *rest = &behind[len..];
            Value::String(text)
        }
        Some(b'0'..=b'9') => {
            let end = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
            let number = std::str::from_utf8(&rest[..end]).unwrap().parse().unwrap();
            *rest = &rest[end..];
            Value::Number(number)
        }
        _ => {
            *rest = rest.strip_prefix(b"NIL").expect("no value");
            Value::Nil
        }
    }
}

/// Panics unless it is an envelope. RFC 9051 §9
pub fn assert_envelope(envelope: &Value) {
    let [date, subject, lists @ .., in_reply_to, message_id] = envelope.list() else { panic!("{envelope:?}") };
    [date, subject, in_reply_to, message_id].into_iter().for_each(Value::assert_nstring);
    assert_eq!(lists.len(), 6, "{envelope:?}");
    for list in lists.iter().filter(|list| **list != Value::Nil) {
        let mut in_group = false;
        for address in list.list() {
            let [name, route, local, domain] = address.list() else { panic!("no address: {address:?}") };
            [name, route].into_iter().for_each(Value::assert_nstring);
            match (local, domain) {
                (Value::String(_), Value::Nil) => {
                    assert!(!std::mem::replace(&mut in_group, true), "a group in a group")
                }
                (Value::Nil, Value::Nil) => assert!(std::mem::replace(&mut in_group, false), "an end of no group"),
                (local, domain) => [local, domain].into_iter().for_each(Value::assert_string),
            }
        }
        assert!(!in_group, "a group without an end");
    }
}

/// Panics unless it is a body. RFC 9051 §9
pub fn assert_body(body: &Value, is_extended: bool) {
    let members = body.list();
    let parts = members.iter().take_while(|member| matches!(member, Value::List(_))).count();
    let extensions = if parts > 0 {
        members[..parts].iter().for_each(|part| assert_body(part, is_extended));
        members[parts].assert_string();
        let behind = &members[parts + 1..];
        if is_extended {
            assert_parameters(&behind[0]);
            &behind[1..]
        } else {
            behind
        }
    } else {
        assert_single(members, is_extended)
    };
    if is_extended {
        let [disposition, language, location] = extensions else { panic!("{extensions:?}") };
        if let Value::List(members) = disposition {
            members[0].assert_string();
            assert_parameters(&members[1]);
            assert_eq!(members.len(), 2);
        }
        match language {
            Value::List(tags) => tags.iter().for_each(Value::assert_string),
            other => other.assert_nstring(),
        }
        location.assert_nstring();
    } else {
        assert!(extensions.is_empty(), "{extensions:?}");
    }
}

/// Gives back what stands behind MD5, or behind the last field without extensions.
fn assert_single(members: &[Value], is_extended: bool) -> &[Value] {
    let [kind, subtype, parameters, id, description, encoding, Value::Number(_), behind @ ..] = members else {
        panic!("{members:?}")
    };
    [kind, subtype, encoding].into_iter().for_each(Value::assert_string);
    assert_parameters(parameters);
    [id, description].into_iter().for_each(Value::assert_nstring);
    let is = |value: &Value, text: &str| matches!(value, Value::String(s) if s.eq_ignore_ascii_case(text.as_bytes()));
    let behind = if is(kind, "text") {
        assert!(matches!(behind[0], Value::Number(_)), "no lines");
        &behind[1..]
    } else if is(kind, "message") && (is(subtype, "rfc822") || is(subtype, "global")) {
        assert_envelope(&behind[0]);
        assert_body(&behind[1], is_extended);
        assert!(matches!(behind[2], Value::Number(_)), "no lines");
        &behind[3..]
    } else {
        assert!(!is(kind, "multipart"), "a multipart that has no parts");
        behind
    };
    if is_extended {
        behind[0].assert_nstring();
        &behind[1..]
    } else {
        behind
    }
}

fn assert_parameters(parameters: &Value) {
    if let Value::List(members) = parameters {
        assert!(members.len() % 2 == 0, "{members:?}");
        members.iter().for_each(Value::assert_string);
    } else {
        assert_eq!(*parameters, Value::Nil);
    }
}
