//! The same messages as the crate mail-parser reads them.

use std::collections::BTreeMap;

use mail_parser::{Address, Encoding, HeaderName, HeaderValue, Message, MessageParser, PartType};

/// A part that is no multipart.
#[derive(Debug)]
pub struct Leaf<'a> {
    /// Type and subtype in lower case, as mail-parser reads them; `None` where the part does not say.
    pub kind: Option<(String, String)>,
    /// The header block, with its blank line.
    pub header: &'a [u8],
    /// The content, still encoded.
    pub content: &'a [u8],
}

/// What it says of a message.
pub struct Reading<'a> {
    /// Parts by section.
    pub leaves: BTreeMap<String, Leaf<'a>>,
    /// The addresses of From, To and Cc, groups taken apart; `None` where there is no such field.
    pub addresses: [Option<Vec<String>>; 3],
    /// The Message-ID, without its brackets.
    pub message_id: Option<String>,
}

/// Reads a message. `None` where mail-parser sees none, or something in it that it can't place; in a debug build its own
/// assertions fail then.
pub fn read(raw: &[u8]) -> Option<Reading<'_>> {
    let message = std::panic::catch_unwind(|| MessageParser::default().parse(raw)).ok()??;
    let mut leaves = BTreeMap::new();
    gather(raw, &message, 0, "", &mut leaves)?;
    let addresses = [message.from(), message.to(), message.cc()].map(|address| address.map(list));
    let message_id = message.message_id().map(str::to_owned);
    Some(Reading { leaves, addresses, message_id })
}

fn list(address: &Address<'_>) -> Vec<String> {
    address.iter().filter_map(|one| one.address()).map(str::to_owned).collect()
}

fn gather<'a>(
    raw: &'a [u8],
    message: &Message<'_>,
    part: u32,
    section: &str,
    leaves: &mut BTreeMap<String, Leaf<'a>>,
) -> Option<()> {
    let dot = |number: usize| if section.is_empty() { number.to_string() } else { format!("{section}.{number}") };
    let root = message.part(part)?;
    if let PartType::Multipart(children) = &root.body {
        for (number, child) in (1..).zip(children) {
            let inner = dot(number);
            let is_multipart = matches!(message.part(*child)?.body, PartType::Multipart(_));
            if is_multipart {
                gather(raw, message, *child, &inner, leaves)?;
            } else {
                leaf(raw, message, *child, inner, leaves)?;
            }
        }
        return Some(());
    }
    leaf(raw, message, part, dot(1), leaves)
}

fn leaf<'a>(
    raw: &'a [u8],
    message: &Message<'_>,
    part: u32,
    section: String,
    leaves: &mut BTreeMap<String, Leaf<'a>>,
) -> Option<()> {
    let part = message.part(part)?;
    let (header, body, end) = (part.offset_header as usize, part.offset_body as usize, part.offset_end as usize);
    let kind = match part.headers.iter().find(|header| header.name == HeaderName::ContentType) {
        Some(header) => match &header.value {
            HeaderValue::ContentType(kind) => {
                Some((kind.ctype().to_lowercase(), kind.subtype().unwrap_or_default().to_lowercase()))
            }
            _ => Some(Default::default()),
        },
        None => None,
    };
    if let PartType::Message(inner) = &part.body
        && part.encoding == Encoding::None
    {
        gather(raw, inner, 0, &section, leaves)?;
    }
    leaves.insert(section, Leaf { kind, header: raw.get(header..body)?, content: raw.get(body..end)? });
    Some(())
}
