//! Messages in sections: what BODY[n] and its kin give, beside the whole, beside Dovecot's, and beside what mail-parser
//! cuts out.

use std::collections::BTreeMap;

use crate::compare::{self, Comparison, Difference};
use crate::imap::{Imap, Value};
use crate::independent;
use crate::mails::Mail;

/// Sections that are asked for by one command.
const AT_A_TIME: usize = 200;

/// The octets of each section of a message.
pub type Sections = BTreeMap<String, Vec<u8>>;

/// Asks for every section that a body structure names.
pub fn fetch(session: &mut Imap, number: usize, structure: &Value) -> Sections {
    let mut sections = Sections::new();
    for names in compare::sections(structure).chunks(AT_A_TIME) {
        let items: Vec<String> = names.iter().map(|name| format!("BODY.PEEK[{name}]")).collect();
        let answer = session.ok(&format!("FETCH {number} ({})", items.join(" "))).expect("FETCH answers");
        for (_, items) in answer.fetches() {
            for pair in items.chunks(2) {
                let [Value::Atom(name), value] = pair else { continue };
                let name =
                    std::str::from_utf8(name).ok().and_then(|name| name.strip_prefix("BODY[")?.strip_suffix(']'));
                if let (Some(name), Some(bytes)) = (name, value.bytes()) {
                    sections.insert(name.to_owned(), bytes.to_vec());
                }
            }
        }
    }
    sections
}

/// Where a section does not stand in the message as it is given, or the header and the text of a message inside are not
/// its content.
pub fn compare_with_whole(mail: &Mail, sections: &Sections) -> Vec<Difference> {
    let mut differences = Vec::new();
    let text = |bytes: &[u8]| Value::Text(bytes.to_vec());
    for (name, bytes) in sections {
        if memchr::memmem::find(&mail.content, bytes).is_none() {
            differences.push(difference(&format!("{name} octets"), text(bytes), Value::Nil));
        }
        if let Some(inner) = name.strip_suffix(".HEADER") {
            let rest = sections.get(&format!("{inner}.TEXT")).cloned().unwrap_or_default();
            let both = [bytes.as_slice(), &rest].concat();
            if both != sections[inner] {
                differences.push(difference(&format!("{inner} HEADER and TEXT"), text(&both), text(&sections[inner])));
            }
        }
    }
    differences
}

/// Where the sections of two servers differ.
pub fn compare(ours: &Sections, theirs: &Sections) -> Vec<Difference> {
    let mut differences = Vec::new();
    for (name, bytes) in ours {
        let other = theirs.get(name);
        if other != Some(bytes) {
            let shown = |bytes: Option<&Vec<u8>>| bytes.map_or(Value::Nil, |bytes| Value::Text(bytes.clone()));
            differences.push(Difference {
                at: format!("BODY[{name}]"),
                ours: shown(Some(bytes)),
                theirs: shown(other),
            });
        }
    }
    differences
}

/// Where mail-parser reads something else: the parts and their types, their octets, the addresses and the Message-ID.
pub fn compare_with_reading(mail: &Mail, envelope: &Value, structure: &Value, sections: &Sections) -> Vec<Difference> {
    let mut comparison = Comparison::default();
    let Some(reading) = independent::read(&mail.content) else {
        let (ours, theirs) = (Value::Atom(b"read".to_vec()), Value::Nil);
        return vec![Difference { at: "message".to_owned(), ours, theirs }];
    };
    let names = |names: &mut dyn Iterator<Item = &String>| {
        Value::List(names.map(|name| Value::Text(name.clone().into_bytes())).collect())
    };
    let ours = leaves(structure);
    let their_names = names(&mut reading.leaves.keys());
    if names(&mut ours.keys()) != their_names {
        comparison.equal("parts", &names(&mut ours.keys()), &their_names);
    } else {
        for (name, leaf) in &reading.leaves {
            let text = |bytes: &[u8]| Value::Text(bytes.to_vec());
            let octets = |found: Option<&Vec<u8>>| found.map_or(Value::Nil, |bytes| text(bytes));
            if let Some((kind, subtype)) = &leaf.kind {
                let theirs = Value::List(vec![text(kind.as_bytes()), text(subtype.as_bytes())]);
                comparison.equal(&format!("{name} type"), &ours[name], &theirs);
            }
            if sections.get(name).map(Vec::as_slice) != Some(leaf.content) {
                comparison.differences.push(difference(
                    &format!("{name} content"),
                    octets(sections.get(name)),
                    text(leaf.content),
                ));
            }
            let mime = format!("{name}.MIME");
            // Of a message that is one part, the fields are the message's own.
            let is_root = reading.leaves.len() == 1 && name == "1";
            if !is_root && sections.get(&mime).map(Vec::as_slice) != Some(leaf.header) {
                comparison.differences.push(difference(
                    &format!("{name} header"),
                    octets(sections.get(&mime)),
                    text(leaf.header),
                ));
            }
        }
    }
    let fields = envelope.list().unwrap_or_default();
    for ((name, at), theirs) in [("from", 2), ("to", 5), ("cc", 6)].into_iter().zip(&reading.addresses) {
        let (Some(ours), Some(theirs)) = (fields.get(at), theirs) else { continue };
        let theirs = Value::List(theirs.iter().map(|address| Value::Text(address.clone().into_bytes())).collect());
        comparison.equal(&format!("envelope.{name}"), &addresses(ours), &theirs);
    }
    if let (Some(ours), Some(theirs)) = (fields.get(9), &reading.message_id) {
        comparison.equal("envelope.message-id", ours, &Value::Text(format!("<{theirs}>").into_bytes()));
    }
    comparison.differences
}

/// Whether Dovecot reads the same as we do where mail-parser reads something else; the parts are the same for both of us.
pub fn is_outvoted(found: &Difference, from_dovecot: &[Difference]) -> bool {
    let with_section = |section: &str, suffix: &str| format!("BODY[{section}{suffix}]");
    let place = match found.at.split_once(' ') {
        Some((section, "content")) => with_section(section, ""),
        Some((section, "header")) => with_section(section, ".MIME"),
        _ => found.at.clone(),
    };
    !from_dovecot.iter().any(|other| other.at == place)
}

fn difference(at: &str, ours: Value, theirs: Value) -> Difference {
    Difference { at: at.to_owned(), ours, theirs }
}

/// The addresses of an envelope's field as `mailbox@host`.
fn addresses(field: &Value) -> Value {
    let address = |address: &Value| match address.list()? {
        [_, _, mailbox, host] => {
            let (mailbox, host) = (mailbox.bytes()?, host.bytes()?);
            let parts = if host.is_empty() { vec![mailbox] } else { vec![mailbox, b"@", host] };
            Some(Value::Text(parts.concat()))
        }
        _ => None,
    };
    Value::List(field.list().unwrap_or_default().iter().filter_map(address).collect())
}

/// The parts that are no multiparts, with their types in lower case.
fn leaves(structure: &Value) -> BTreeMap<String, Value> {
    let mut out = BTreeMap::new();
    compare::each_leaf(structure, &mut |section, values| {
        let lower =
            |at: usize| Value::Text(values.get(at).and_then(Value::bytes).unwrap_or_default().to_ascii_lowercase());
        out.insert(section.to_owned(), Value::List(vec![lower(0), lower(1)]));
    });
    out
}
