use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mail_builder::MessageBuilder;
use mail_builder::headers::address::Address as Shown;
use mail_builder::headers::raw::Raw;
use mail_builder::headers::text::Text;

use super::json::MessageInput;
use crate::base::{Address, Timestamp, limits};
use crate::http::problem::{Fault, Problem};

/// Fields that are made of others, that we add, or that say what only servers know.
const RESERVED: [&str; 18] = [
    "From",
    "To",
    "Cc",
    "Bcc",
    "Reply-To",
    "Sender",
    "Subject",
    "Date",
    "Message-ID",
    "MIME-Version",
    "Received",
    "Return-Path",
    "Delivered-To",
    "DKIM-Signature",
    "ARC-Seal",
    "Authentication-Results",
    "Resent-From",
    "Resent-Bcc",
];

/// A message that was made of JSON.
#[derive(Debug)]
pub(super) struct Composed {
    pub sender: Address,
    pub recipients: Vec<Address>,
    pub bytes: Vec<u8>,
    /// It is sent to nobody before.
    pub send_at: Option<Timestamp>,
    pub dry_run: bool,
}

/// A name and an address.
struct Named {
    name: Option<String>,
    address: Address,
}

/// Makes the message. Nothing in it can become a field or a line that was not asked for: control characters are refused
/// everywhere but in texts, and names and texts are encoded.
pub(super) fn compose(mut input: MessageInput, at: Timestamp) -> Result<Composed, Problem> {
    let mut faults = Vec::new();
    let from = named("/from", &input.from, &mut faults);
    let all = |pointer: &str, texts: &[String], faults: &mut Vec<Fault>| -> Vec<Named> {
        let one = |(place, text): (usize, &String)| named(&format!("{pointer}/{place}"), text, faults);
        texts.iter().enumerate().filter_map(one).collect()
    };
    let to = all("/to", &input.to, &mut faults);
    let cc = all("/cc", &input.cc, &mut faults);
    let bcc = all("/bcc", &input.bcc, &mut faults);
    let reply_to = all("/reply_to", &input.reply_to, &mut faults);
    check_headers(&input, &mut faults);
    let files = files(&mut input, &mut faults);
    let send_at = input.send_at.as_deref().and_then(|text| {
        let found = Timestamp::parse_rfc3339(text);
        if found.is_none() {
            faults.push(Fault::body("/send_at", "malformed", "a time, as in 2026-12-01T08:00:00Z"));
        }
        found
    });
    if input.to.is_empty() && input.cc.is_empty() && input.bcc.is_empty() {
        faults.push(Fault::body("/to", "required", "to whom does it go? Say to, cc or bcc"));
    }
    let Some(from) = from.filter(|_| faults.is_empty()) else { return Err(Problem::invalid(faults)) };
    let sender = from.address.clone();
    let recipients = [&to, &cc, &bcc].into_iter().flatten().map(|named| named.address.clone()).collect();
    let mut builder = MessageBuilder::new()
        .header("Date", Raw::new(at.rfc5322()))
        .from(from.shown())
        .subject(Text::new(input.subject.as_str()));
    for (named, add) in [
        (to, MessageBuilder::to as fn(_, Shown<'static>) -> _),
        (cc, MessageBuilder::cc),
        (reply_to, MessageBuilder::reply_to),
    ] {
        if !named.is_empty() {
            builder = add(builder, Shown::new_list(named.into_iter().map(Named::shown).collect()));
        }
    }
    for (name, value) in &input.headers {
        builder = match value.is_ascii() {
            true => builder.header(name.as_str(), Raw::new(value.as_str())),
            false => builder.header(name.as_str(), Text::new(value.as_str())),
        };
    }
    if input.text.is_some() || input.html.is_none() {
        builder = builder.text_body(input.text.as_deref().unwrap_or_default());
    }
    if let Some(html) = input.html.as_deref() {
        builder = builder.html_body(html);
    }
    for (attachment, content) in input.attachments.iter().zip(files) {
        builder = builder.attachment(attachment.content_type.as_str(), attachment.filename.as_str(), content);
    }
    let bytes = builder.write_to_vec().map_err(Problem::internal)?;
    Ok(Composed { sender, recipients, bytes: without_own_id(bytes), send_at, dry_run: input.dry_run })
}

/// Takes off the Message-ID that the builder makes: it would name this machine, and ours names the message.
fn without_own_id(mut bytes: Vec<u8>) -> Vec<u8> {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n").map_or(bytes.len(), |at| at + 2);
    let field = crate::message::fields(&bytes[..head]).find(|field| field.is("Message-ID")).map(|field| field.span);
    if let Some(span) = field {
        bytes.drain(span);
    }
    bytes
}

impl Named {
    fn shown(self) -> Shown<'static> {
        Shown::new_address(self.name, self.address.to_string())
    }
}

/// `a@x.test`, `A <a@x.test>` or `"A, B" <a@x.test>`.
fn named(pointer: &str, text: &str, faults: &mut Vec<Fault>) -> Option<Named> {
    if text.chars().any(char::is_control) {
        faults.push(Fault::body(pointer, "control_character", "no control characters, line breaks included"));
        return None;
    }
    let text = text.trim();
    let (name, address) = match text.strip_suffix('>').and_then(|text| text.rsplit_once('<')) {
        Some((name, address)) => (name.trim(), address),
        None => ("", text),
    };
    let name = name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name);
    match Address::parse(address) {
        Ok(address) => Some(Named { name: (!name.is_empty()).then(|| name.replace(['"', '\\'], "")), address }),
        Err(error) => {
            faults.push(Fault::body(pointer, "malformed", error.to_string()));
            None
        }
    }
}

fn check_headers(input: &MessageInput, faults: &mut Vec<Fault>) {
    if input.headers.len() > limits::LIST_ENTRIES {
        faults.push(Fault::body("/headers", "too_many", format!("at most {} fields", limits::LIST_ENTRIES)));
    }
    for (name, value) in &input.headers {
        let pointer = format!("/headers/{}", name.replace('~', "~0").replace('/', "~1"));
        // RFC 5322 §2.2
        let is_name =
            (1..=76).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
        if !is_name {
            faults.push(Fault::body(pointer, "malformed", "a field's name is of printable ASCII without `:`"));
        } else if RESERVED.iter().any(|known| known.eq_ignore_ascii_case(name)) || is_mime(name) {
            faults.push(Fault::body(pointer, "reserved", format!("{name} is not set here")));
        } else if value.chars().any(char::is_control) {
            faults.push(Fault::body(pointer, "control_character", "no control characters, line breaks included"));
        } else if value.len() > limits::TRACED_HEADER_CHARS - name.len() - 2 {
            faults.push(Fault::body(pointer, "too_long", format!("at most {} octets", limits::TRACED_HEADER_CHARS)));
        }
    }
}

fn is_mime(name: &str) -> bool {
    name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("Content-"))
}

/// The contents of the attachments. What was read is let go: it is as long as the message itself.
fn files(input: &mut MessageInput, faults: &mut Vec<Fault>) -> Vec<Vec<u8>> {
    let is_token = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    let mut files = Vec::with_capacity(input.attachments.len());
    for (place, attachment) in input.attachments.iter_mut().enumerate() {
        let kind = attachment.content_type.split_once('/');
        // A part that has parts would have to hold them.
        let is_kind = kind.is_some_and(|(kind, subtype)| {
            is_token(kind) && is_token(subtype) && !kind.eq_ignore_ascii_case("multipart")
        });
        if !is_kind {
            let message = "a media type as in application/pdf, without parameters";
            faults.push(Fault::body(format!("/attachments/{place}/content_type"), "malformed", message));
        }
        let text = std::mem::take(&mut attachment.content_base64);
        match STANDARD.decode(text.as_bytes()) {
            Ok(content) => files.push(content),
            Err(error) => {
                let pointer = format!("/attachments/{place}/content_base64");
                faults.push(Fault::body(pointer, "malformed", format!("not base64: {error}")));
            }
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const AT: Timestamp = Timestamp(1_795_341_900_123);

    fn composed(more: Value) -> Result<String, Problem> {
        let mut input = json!({"from": "a@x.test", "to": ["b@y.test"]});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let input: MessageInput = serde_json::from_value(input).unwrap();
        compose(input, AT).map(|composed| String::from_utf8(composed.bytes).unwrap())
    }

    #[test]
    fn a_message_is_made() {
        let message = composed(json!({
            "from": "Jürgen <a@x.test>", "to": ["\"B, C\" <b@y.test>", "d@y.test"], "bcc": ["e@y.test"],
            "subject": "Grüße", "text": "one\ntwo\n", "headers": {"X-Campaign": "may"},
        }))
        .unwrap();
        assert!(message.contains("Date: Sun, 22 Nov 2026 10:05:00 +0000\r\n"), "{message}");
        assert!(message.contains("X-Campaign: may\r\n") && message.contains("\r\n\r\none"), "{message}");
        assert!(message.contains("To: \"B, C\" <b@y.test>") && !message.contains("e@y.test"), "{message}");
        assert!(!message.contains("Message-ID") && message.is_ascii(), "{message}");
        assert_eq!(message.matches("Date:").count(), 1);
    }

    #[test]
    fn files_are_attached() {
        let file = json!({"filename": "ü.txt", "content_type": "text/plain", "content_base64": "aGk="});
        let message = composed(json!({"text": "see", "html": "<p>see</p>", "attachments": [file]})).unwrap();
        assert!(message.contains("multipart/mixed") && message.contains("multipart/alternative"), "{message}");
        assert!(message.contains("attachment"), "{message}");
    }

    #[test]
    fn nothing_breaks_out_of_its_field() {
        for (more, pointer) in [
            (json!({"headers": {"X-A": "1\r\nBcc: z@z.test"}}), "/headers/X-A"),
            (json!({"headers": {"X-A\r\nBcc": "z@z.test"}}), "/headers/X-A\r\nBcc"),
            (json!({"headers": {"X:A/~": "1"}}), "/headers/X:A~1~0"),
            (json!({"headers": {"from": "z@z.test"}}), "/headers/from"),
            (json!({"headers": {"Content-Type": "text/html"}}), "/headers/Content-Type"),
            (json!({"from": "A\nBcc: z@z.test <a@x.test>"}), "/from"),
            (json!({"to": ["b@y.test", "B\0 <b@y.test>"]}), "/to/1"),
            (json!({"to": ["nobody"]}), "/to/0"),
            (json!({"to": []}), "/to"),
            (
                json!({"attachments": [{"filename": "a", "content_type": "a/b\r\nX: y", "content_base64": ""}]}),
                "/attachments/0/content_type",
            ),
            (
                json!({"attachments": [{"filename": "a", "content_type": "a/b", "content_base64": "*"}]}),
                "/attachments/0/content_base64",
            ),
        ] {
            let problem = composed(more.clone()).unwrap_err();
            assert!(problem.points_at(pointer), "{more}: {problem:?}");
        }
    }
}
