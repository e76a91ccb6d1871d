//! What two servers say of the same message, side by side.
//!
//! Before two answers are compared they are brought to one form, where RFC 9051 leaves the choice to the server:
//! - whether a string is quoted, a literal or, as a number, bare (the reader has done that);
//! - the case of media types, of names of parameters and charsets, of encodings, of disposition types and of language tags;
//! - white space where a header field was folded: any run of it counts as one space, and at the ends as none;
//! - whether a field without a value is empty or NIL (Content-ID, -Description, -MD5, -Location);
//! - extension data at the end of a body that is left out counts as NIL.

use crate::imap::Value;

/// A place where two answers say something else.
#[derive(Debug, Clone)]
pub struct Difference {
    /// Where: as in `envelope.from` or `1.2 encoding`.
    pub at: String,
    /// What we say.
    pub ours: Value,
    /// What the other says.
    pub theirs: Value,
}

/// Looks for differences, and gathers them.
#[derive(Debug, Default)]
pub struct Comparison {
    /// What was found.
    pub differences: Vec<Difference>,
}

/// The fields of an envelope in their order. RFC 9051 §7.5.2
const ENVELOPE: [&str; 10] =
    ["date", "subject", "from", "sender", "reply-to", "to", "cc", "bcc", "in-reply-to", "message-id"];

impl Comparison {
    /// Compares two values that should be the same.
    pub fn equal(&mut self, at: &str, ours: &Value, theirs: &Value) {
        if form(ours, false) != form(theirs, false) {
            self.note(at, ours, theirs);
        }
    }

    /// Compares two fields, of which an empty one is none.
    fn equal_or_empty(&mut self, at: &str, ours: &Value, theirs: &Value) {
        let text =
            |value: &Value| if form(value, false) == Value::Text(Vec::new()) { Value::Nil } else { value.clone() };
        if form(&text(ours), false) != form(&text(theirs), false) {
            self.note(at, ours, theirs);
        }
    }

    /// Compares two values of which only the case may differ.
    fn equal_in_any_case(&mut self, at: &str, ours: &Value, theirs: &Value) {
        if form(ours, true) != form(theirs, true) {
            self.note(at, ours, theirs);
        }
    }

    /// Compares two envelopes.
    pub fn envelope(&mut self, at: &str, ours: &Value, theirs: &Value) {
        match (ours.list(), theirs.list()) {
            (Some(a), Some(b)) if a.len() == ENVELOPE.len() && b.len() == ENVELOPE.len() => {
                for (name, (a, b)) in ENVELOPE.iter().zip(a.iter().zip(b)) {
                    self.equal(&format!("{at}envelope.{name}"), a, b);
                }
            }
            _ => self.equal(&format!("{at}envelope"), ours, theirs),
        }
    }

    /// Compares two body structures; `at` is the section with a space behind it, or nothing.
    pub fn body(&mut self, section: &str, ours: &Value, theirs: &Value) {
        let at = if section.is_empty() { String::new() } else { format!("{section} ") };
        let (Some(a), Some(b)) = (ours.list(), theirs.list()) else {
            return self.equal(&format!("{at}body"), ours, theirs);
        };
        let (parts_a, rest_a) = split(a);
        let (parts_b, rest_b) = split(b);
        if parts_a.is_empty() != parts_b.is_empty() {
            return self.note(&format!("{at}type"), ours, theirs);
        }
        if parts_a.is_empty() {
            return self.single(section, a, b, ours, theirs);
        }
        if parts_a.len() != parts_b.len() {
            return self.note(&format!("{at}parts"), ours, theirs);
        }
        for (number, (a, b)) in parts_a.iter().zip(parts_b).enumerate() {
            let section =
                if section.is_empty() { (number + 1).to_string() } else { format!("{section}.{}", number + 1) };
            self.body(&section, a, b);
        }
        self.equal_in_any_case(&format!("{at}type"), value(rest_a, 0), value(rest_b, 0));
        self.parameters(&format!("{at}parameters"), value(rest_a, 1), value(rest_b, 1));
        self.extension(&at, rest_a, rest_b, 2);
    }

    fn single(&mut self, section: &str, a: &[Value], b: &[Value], ours: &Value, theirs: &Value) {
        let at = if section.is_empty() { String::new() } else { format!("{section} ") };
        let kind = |values: &[Value]| (form(value(values, 0), true), form(value(values, 1), true));
        if kind(a) != kind(b) {
            return self.note(&format!("{at}type"), ours, theirs);
        }
        self.parameters(&format!("{at}parameters"), value(a, 2), value(b, 2));
        self.equal_or_empty(&format!("{at}id"), value(a, 3), value(b, 3));
        self.equal_or_empty(&format!("{at}description"), value(a, 4), value(b, 4));
        self.equal_in_any_case(&format!("{at}encoding"), value(a, 5), value(b, 5));
        self.equal(&format!("{at}octets"), value(a, 6), value(b, 6));
        let is = |at: usize, word: &str| {
            value(a, at).bytes().is_some_and(|bytes| bytes.eq_ignore_ascii_case(word.as_bytes()))
        };
        let mut next = 7;
        if is(0, "text") {
            self.equal(&format!("{at}lines"), value(a, 7), value(b, 7));
            next = 8;
        } else if is(0, "message") && (is(1, "rfc822") || is(1, "global")) && a.len() > 9 {
            self.envelope(&at, value(a, 7), value(b, 7));
            self.body(
                &format!("{section}{}", if section.is_empty() { "message" } else { ".message" }),
                value(a, 8),
                value(b, 8),
            );
            self.equal(&format!("{at}lines"), value(a, 9), value(b, 9));
            next = 10;
        }
        self.equal_or_empty(&format!("{at}md5"), value(a, next), value(b, next));
        self.extension(&at, a, b, next + 1);
    }

    /// Disposition, language and location.
    fn extension(&mut self, at: &str, a: &[Value], b: &[Value], next: usize) {
        match (value(a, next).list(), value(b, next).list()) {
            (Some([kind_a, parameters_a]), Some([kind_b, parameters_b])) => {
                self.equal_in_any_case(&format!("{at}disposition"), kind_a, kind_b);
                self.parameters(&format!("{at}disposition parameters"), parameters_a, parameters_b);
            }
            _ => self.equal(&format!("{at}disposition"), value(a, next), value(b, next)),
        }
        // One tag may stand bare or in a list.
        let tags = |value: &Value| {
            if matches!(value, Value::Text(_)) { Value::List(vec![value.clone()]) } else { value.clone() }
        };
        self.equal_in_any_case(&format!("{at}language"), &tags(value(a, next + 1)), &tags(value(b, next + 1)));
        self.equal_or_empty(&format!("{at}location"), value(a, next + 2), value(b, next + 2));
    }

    fn parameters(&mut self, at: &str, ours: &Value, theirs: &Value) {
        let names_lowered = |value: &Value| match value {
            Value::List(values) => {
                // The names of charsets, too. RFC 2045 §5.1
                let is_charset = |place: usize| place > 0 && values.get(place - 1).is_some_and(is_charset);
                let lowered = values.iter().enumerate();
                Value::List(lowered.map(|(place, value)| form(value, place % 2 == 0 || is_charset(place))).collect())
            }
            other => form(other, false),
        };
        if names_lowered(ours) != names_lowered(theirs) {
            self.note(at, ours, theirs);
        }
    }

    fn note(&mut self, at: &str, ours: &Value, theirs: &Value) {
        self.differences.push(Difference { at: at.to_owned(), ours: ours.clone(), theirs: theirs.clone() });
    }
}

fn is_charset(value: &Value) -> bool {
    value.bytes().is_some_and(|name| name.eq_ignore_ascii_case(b"charset"))
}

/// The parts of a multipart, and what follows them.
fn split(values: &[Value]) -> (&[Value], &[Value]) {
    let parts = values.iter().take_while(|value| value.list().is_some()).count();
    values.split_at(parts)
}

fn value(values: &[Value], at: usize) -> &Value {
    values.get(at).unwrap_or(&Value::Nil)
}

/// The one form of a value: words are strings, white space is one space, and `lower` says whether case counts.
fn form(value: &Value, lower: bool) -> Value {
    match value {
        Value::Nil => Value::Nil,
        Value::List(values) => Value::List(values.iter().map(|value| form(value, lower)).collect()),
        Value::Atom(bytes) | Value::Text(bytes) => {
            let words = bytes.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
            let text = words.collect::<Vec<_>>().join(&b' ');
            Value::Text(if lower { text.to_ascii_lowercase() } else { text })
        }
    }
}

/// The sections of a body that can be asked for, with what each is: `1`, `2.1`, `2.1.HEADER` …
pub fn sections(body: &Value) -> Vec<String> {
    let mut out = Vec::new();
    gather("", body, &mut out);
    out
}

/// Calls `each` with the section and the values of every part that is no multipart.
pub fn each_leaf(body: &Value, each: &mut dyn FnMut(&str, &[Value])) {
    visit("", body, each);
}

fn visit(section: &str, body: &Value, each: &mut dyn FnMut(&str, &[Value])) {
    let Some(values) = body.list() else { return };
    let dot = |number: usize| if section.is_empty() { number.to_string() } else { format!("{section}.{number}") };
    let (parts, _) = split(values);
    if parts.is_empty() {
        leaf(&dot(1), values, each);
    }
    for (number, part) in (1..).zip(parts) {
        let Some(values) = part.list() else { continue };
        if split(values).0.is_empty() {
            leaf(&dot(number), values, each);
        } else {
            visit(&dot(number), part, each);
        }
    }
}

fn leaf(section: &str, values: &[Value], each: &mut dyn FnMut(&str, &[Value])) {
    each(section, values);
    if is_message(values)
        && let Some(inner) = values.get(8)
    {
        visit(section, inner, each);
    }
}

/// Whether the values are of a message inside: they have its envelope.
fn is_message(values: &[Value]) -> bool {
    values.get(7).and_then(Value::list).is_some_and(|values| values.len() == ENVELOPE.len())
}

fn gather(section: &str, body: &Value, out: &mut Vec<String>) {
    let Some(values) = body.list() else { return };
    let (parts, _) = split(values);
    let dot = |number: usize| if section.is_empty() { number.to_string() } else { format!("{section}.{number}") };
    if parts.is_empty() {
        // A message that is no multipart has one part, itself. RFC 9051 §6.4.5.1
        single(&dot(1), values, out);
    }
    for (number, part) in (1..).zip(parts) {
        let inner = dot(number);
        let Some(values) = part.list() else { continue };
        if split(values).0.is_empty() {
            single(&inner, values, out);
        } else {
            out.extend([inner.clone(), format!("{inner}.MIME")]);
            gather(&inner, part, out);
        }
    }
}

fn single(section: &str, values: &[Value], out: &mut Vec<String>) {
    out.extend([section.to_owned(), format!("{section}.MIME")]);
    if is_message(values)
        && let Some(inner) = values.get(8)
    {
        out.extend([format!("{section}.HEADER"), format!("{section}.TEXT")]);
        gather(section, inner, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::{Response, Responses};

    fn read(text: &str) -> Value {
        let mut responses = Responses::default();
        responses.push(format!("* X {text}\r\n").as_bytes());
        match responses.next() {
            Ok(Some(Response::Data(values))) => values[1].clone(),
            other => panic!("{text}: {other:?}"),
        }
    }

    /// Where two bodies differ.
    fn check(ours: &str, theirs: &str, expected: &[&str]) {
        let mut comparison = Comparison::default();
        comparison.body("", &read(ours), &read(theirs));
        let found: Vec<&str> = comparison.differences.iter().map(|difference| difference.at.as_str()).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn forms_that_mean_the_same_are_no_difference() {
        check(
            r#"("TEXT" "Plain" ("CHARSET" "utf-8") NIL "a  b" "7BIT" 3 1)"#,
            r#"("text" "plain" ("charset" "utf-8") NIL " a b" "7bit" 3 1 NIL NIL NIL NIL)"#,
            &[],
        );
    }

    #[test]
    fn each_difference_is_at_its_place() {
        check(
            r#"(("text" "plain" NIL NIL NIL "7bit" 3 1)("image" "png" ("a" "b") NIL NIL "7bit" 3) "mixed" NIL NIL NIL NIL)"#,
            r#"(("text" "plain" NIL NIL NIL "8bit" 4 1)("image" "gif" ("A" "B") NIL NIL "7bit" 3) "mixed" NIL NIL ("en") NIL)"#,
            &["1 encoding", "1 octets", "2 type", "language"],
        );
    }

    #[test]
    fn sections_follow_messages_and_multiparts() {
        let envelope = "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)";
        let body = format!(
            r#"(("text" "plain" NIL NIL NIL "7bit" 3 1)("message" "rfc822" NIL NIL NIL "7bit" 9 {envelope} (("a" "b" NIL NIL NIL "7bit" 1) "mixed") 2) "mixed")"#
        );
        let expected = ["1", "1.MIME", "2", "2.MIME", "2.HEADER", "2.TEXT", "2.1", "2.1.MIME"];
        assert_eq!(sections(&read(&body)), expected);
    }
}
