use serde::Serialize;
use utoipa::ToSchema;

use crate::message::{Part, PartKind, Structure, decoded_parameter};

/// A part of a message (RFC 2045).
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct MessagePart {
    /// Its number, as in `1.2`, by which its content is fetched; null for a multipart that is all of a message.
    number: Option<String>,
    /// Type and subtype in lower case, as in `text/plain`.
    content_type: String,
    /// The charset of a text.
    charset: Option<String>,
    /// The name of a file that it is.
    filename: Option<String>,
    /// `inline`, `attachment` or something else in lower case; null: it is not said.
    disposition: Option<String>,
    /// Its Content-ID, by which other parts refer to it.
    content_id: Option<String>,
    /// How it is encoded, as in `base64`.
    encoding: String,
    /// Octets of its content, still encoded.
    size_bytes: u64,
    /// The parts within it.
    #[schema(no_recursion)]
    parts: Vec<MessagePart>,
}

impl MessagePart {
    /// The message as a tree of parts.
    pub fn tree(structure: &Structure) -> Self {
        let numbers = structure.numbers();
        let mut shown: Vec<Option<Self>> = structure
            .parts
            .iter()
            .zip(&numbers)
            .map(|(part, numbers)| Some(Self::of(part, numbers.as_deref())))
            .collect();
        // A part comes behind the one that it lies in: from the last to the first, each is complete when it is moved.
        for at in (1..shown.len()).rev() {
            let part = shown[at].take();
            let parent = structure.parts[at].parent.map_or(0, usize::from);
            if let (Some(part), Some(Some(parent))) = (part, shown.get_mut(parent)) {
                parent.parts.insert(0, part);
            }
        }
        shown.into_iter().next().flatten().unwrap_or_else(Self::empty)
    }

    fn of(part: &Part, numbers: Option<&[u32]>) -> Self {
        Self {
            number: numbers.map(number),
            content_type: content_type(part),
            charset: (part.kind == PartKind::Text)
                .then(|| decoded_parameter(&part.parameters, b"charset").map(|charset| plain(&charset)))
                .flatten(),
            filename: filename(part),
            disposition: part.disposition.as_ref().map(|(kind, _)| text(kind)),
            content_id: part.id.as_deref().map(text),
            encoding: text(&part.encoding),
            size_bytes: part.content_bytes,
            parts: Vec::new(),
        }
    }

    fn empty() -> Self {
        Self {
            number: None,
            content_type: "text/plain".into(),
            charset: None,
            filename: None,
            disposition: None,
            content_id: None,
            encoding: "7bit".into(),
            size_bytes: 0,
            parts: Vec::new(),
        }
    }
}

/// Type and subtype of a part.
pub(super) fn content_type(part: &Part) -> String {
    let kind: &[u8] = match &part.kind {
        PartKind::Text => b"text",
        PartKind::Multipart => b"multipart",
        PartKind::Message { .. } => b"message",
        PartKind::Other(kind) => kind,
    };
    format!("{}/{}", text(kind), text(&part.subtype))
}

/// The name of the file that a part is.
pub(super) fn filename(part: &Part) -> Option<String> {
    let named = part.disposition.as_ref().and_then(|(_, parameters)| decoded_parameter(parameters, b"filename"));
    named.or_else(|| decoded_parameter(&part.parameters, b"name")).map(|name| plain(&name))
}

/// A part's number, as in `1.2`.
pub(super) fn number(numbers: &[u32]) -> String {
    numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(".")
}

fn text(bytes: &[u8]) -> String {
    plain(&String::from_utf8_lossy(bytes))
}

/// Without control characters, and not too long.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(255).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Summary;

    #[test]
    fn a_message_is_a_tree() {
        let head = b"Content-Type: multipart/mixed; boundary=a\r\n";
        let body = b"\r\n--a\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\nplain\r\n--b\r\n\
            Content-Type: text/html\r\n\r\n<b>html</b>\r\n--b--\r\n--a\r\nContent-Type: image/png\r\n\
            Content-Disposition: attachment; filename*=utf-8''%E2%9C%93.png\r\n\r\nx\r\n--a--\r\n";
        let tree = MessagePart::tree(&Summary::of_whole(head, body).structure);
        let shape = |part: &MessagePart| (part.number.clone(), part.content_type.clone());
        let of = |number: &str, kind: &str| (Some(number.to_owned()), kind.to_owned());
        assert_eq!(shape(&tree), (None, "multipart/mixed".into()));
        assert_eq!(
            tree.parts.iter().map(shape).collect::<Vec<_>>(),
            [of("1", "multipart/alternative"), of("2", "image/png")]
        );
        let inner: Vec<_> = tree.parts[0].parts.iter().map(shape).collect();
        assert_eq!(inner, [of("1.1", "text/plain"), of("1.2", "text/html")]);
        assert_eq!(tree.parts[1].filename.as_deref(), Some("✓.png"));
        assert_eq!(tree.parts[0].parts[0].charset.as_deref(), Some("us-ascii"));
    }
}
