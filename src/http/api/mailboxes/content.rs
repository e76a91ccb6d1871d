use actix_web::body::SizedStream;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, get, web};
use bytes::Bytes;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::message::{Shown, flags, text};
use super::part::{MessagePart, content_type, filename, number};
use super::{mailbox_of, no_message, uid_of};
use crate::base::{MailboxId, Uid, limits};
use crate::http::api::{account_of, path_segment, show};
use crate::http::caller::{Allowed, MessagesRead};
use crate::http::context::Context;
use crate::http::etag;
use crate::http::page::{NoQuery, RenderQuery};
use crate::http::problem::{Fault, Problem};
use crate::http::raw_body::MESSAGE_TYPE;
use crate::http::stream::{Pieces, stream};
use crate::mailbox::{self, Content, Member};
use crate::message::{Part, PartKind, Structure, TextDecoder, TransferDecoder, fields};
use crate::store::{Store, StoreError};

/// What a browser may do with somebody's mail: nothing.
const HARMLESS: &str = "sandbox; default-src 'none'";
/// What it may do with HTML that is shown: lay it out, inside a frame of ours. It runs nothing and fetches nothing.
const SHOWN: &str = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'";

/// A message with what it holds.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct MailboxMessageContent {
    /// Its number in the mailbox.
    uid: u32,
    /// Its id: that of the trace.
    id: String,
    /// When it came in.
    at: String,
    /// Octets.
    size_bytes: u64,
    /// Its flags and keywords.
    flags: Vec<String>,
    /// Its From field, for people.
    from: String,
    /// Its To field, for people.
    to: String,
    /// Its Cc field, for people.
    cc: String,
    /// Its Subject field, for people.
    subject: String,
    /// The fields of its header in their order, our own first; at most 1,000.
    headers: Vec<ShownHeader>,
    /// What it consists of.
    structure: MessagePart,
    /// The text: of its first plain text that is no attachment, else of its first HTML, as that stands. Empty: there is none.
    #[schema(format = "lines")]
    text: String,
    /// The number of the part that the text is of.
    text_part: Option<String>,
    /// There is more of it: the part gives all.
    text_truncated: bool,
}

/// A field of a header, for people.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct ShownHeader {
    /// Its name.
    name: String,
    /// Its value: unfolded, encoded words decoded, at most 4,000 characters.
    value: String,
}

/// Shows a message: its header, what it consists of, and its text. Content, which is a scope of its own.
#[utoipa::path(
    tag = "mailboxes",
    params(
        ("address" = String, Path, description = "The account's address, percent-encoded"),
        ("mailbox" = String, Path, description = "The mailbox's name, percent-encoded: `/` is `%2F`"),
        ("uid" = u32, Path, description = "The message's number in the mailbox"),
    ),
    responses(
        (status = 200, description = "The message", body = MailboxMessageContent),
        (status = 304, description = "The client has it"),
    )
)]
#[get("/accounts/{address}/mailboxes/{mailbox}/messages/{uid}")]
pub(in crate::http) async fn get_mailbox_message(
    allowed: Allowed<MessagesRead>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<(String, String, String)>,
) -> Result<HttpResponse, Problem> {
    let (mailbox, member) = open(&context, &allowed, &path).await?;
    let gone = || no_message(member.uid);
    let summary = mailbox::summarise(&context.store, mailbox, member.uid).await?.ok_or_else(gone)?;
    let (head, keywords) = {
        let view = context.store.view()?;
        (mailbox::head(&view, mailbox, member.uid)?.ok_or_else(gone)?, mailbox::keywords(&view, mailbox)?)
    };
    let text = Text::read(&context.store, mailbox, member.uid, &summary.structure).await?;
    let Shown { from, to, cc, subject } = Shown::of(&head);
    let message = MailboxMessageContent {
        uid: member.uid.0,
        id: member.message.to_string(),
        at: member.internal_date.rfc3339(),
        size_bytes: member.size_bytes,
        flags: flags(&member, &keywords),
        from,
        to,
        cc,
        subject,
        headers: headers(&head),
        structure: MessagePart::tree(&summary.structure),
        text: text.text,
        text_part: text.part,
        text_truncated: text.truncated,
    };
    // What a message holds never changes: its flags do.
    Ok(show(&request, etag::of(member.modseq.0), &message))
}

/// Gives a message as it is. Content, which is a scope of its own.
#[utoipa::path(
    tag = "mailboxes",
    params(
        ("address" = String, Path, description = "The account's address, percent-encoded"),
        ("mailbox" = String, Path, description = "The mailbox's name, percent-encoded: `/` is `%2F`"),
        ("uid" = u32, Path, description = "The message's number in the mailbox"),
    ),
    responses(
        (status = 200, description = "The message", body = String, content_type = "message/rfc822"),
        (status = 404, description = "There is no such account, mailbox or message"),
    )
)]
#[get("/accounts/{address}/mailboxes/{mailbox}/messages/{uid}/raw")]
pub(in crate::http) async fn get_mailbox_message_raw(
    allowed: Allowed<MessagesRead>,
    _none: NoQuery,
    context: web::Data<Context>,
    path: web::Path<(String, String, String)>,
) -> Result<HttpResponse, Problem> {
    let (mailbox, member) = open(&context, &allowed, &path).await?;
    let content = mailbox::content(&context.store, mailbox, member.uid)?.ok_or_else(|| no_message(member.uid))?;
    let size_bytes = content.size_bytes();
    let name = format!("attachment; filename=\"{}.eml\"", member.message);
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CONTENT_TYPE, MESSAGE_TYPE))
        .insert_header((header::CONTENT_DISPOSITION, name))
        .insert_header((header::CONTENT_SECURITY_POLICY, HARMLESS));
    Ok(response.body(SizedStream::new(size_bytes, Box::pin(stream(content)))))
}

/// Gives the content of a part of a message, decoded: to be kept as a file, not to be shown by a browser. With
/// `render=true` an HTML part is given in UTF-8 to be shown in a sandboxed frame, where it can run and fetch nothing.
#[utoipa::path(
    tag = "mailboxes",
    params(
        ("address" = String, Path, description = "The account's address, percent-encoded"),
        ("mailbox" = String, Path, description = "The mailbox's name, percent-encoded: `/` is `%2F`"),
        ("uid" = u32, Path, description = "The message's number in the mailbox"),
        ("part" = String, Path, description = "The part's number, as in `1.2`"),
        ("render" = Option<bool>, Query, description = "Gives HTML to be shown in a frame"),
    ),
    responses(
        (status = 200, description = "The part, of its own type", body = String, content_type = "application/octet-stream"),
        (status = 304, description = "The client has it"),
        (status = 422, description = "A parameter is malformed, or the part to be shown is not HTML"),
    )
)]
#[get("/accounts/{address}/mailboxes/{mailbox}/messages/{uid}/parts/{part}")]
pub(in crate::http) async fn get_mailbox_message_part(
    allowed: Allowed<MessagesRead>,
    render: RenderQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<(String, String, String, String)>,
) -> Result<HttpResponse, Problem> {
    let (address, name, uid, numbers) = path.into_inner();
    let (mailbox, member) = open(&context, &allowed, &(address, name, uid)).await?;
    let summary = mailbox::summarise(&context.store, mailbox, member.uid).await?;
    let structure = summary.ok_or_else(|| no_message(member.uid))?.structure;
    let no_part = || Problem::not_found("part with content of its own with the number", &numbers);
    let wanted: Option<Vec<u32>> = numbers.split('.').map(|number| number.parse().ok()).collect();
    let found = wanted.and_then(|numbers| structure.find(&numbers)).and_then(|at| structure.parts.get(at));
    let part = found.filter(|part| part.kind != PartKind::Multipart).ok_or_else(no_part)?;
    let is_html = part.kind == PartKind::Text && part.subtype == b"html";
    if render.0 && !is_html {
        let fault = Fault::parameter("render", "not_allowed", "only parts of the type text/html are shown");
        return Err(Problem::invalid(vec![fault]));
    }
    let tag = format!("\"{}.{numbers}.{}\"", member.message, u8::from(render.0));
    if etag::has_tag(&request, &tag) {
        return Ok(HttpResponse::NotModified().insert_header((header::ETAG, tag)).finish());
    }
    let content = mailbox::body(&context.store, mailbox, member.uid, part.content_at, part.content_bytes)?;
    let content = content.ok_or_else(|| no_message(member.uid))?;
    let mut response = HttpResponse::Ok();
    response.insert_header((header::ETAG, tag)).insert_header((header::REFERRER_POLICY, "no-referrer"));
    if render.0 {
        response
            .insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"))
            .insert_header((header::CONTENT_SECURITY_POLICY, SHOWN));
        return Ok(response.streaming(Box::pin(stream(Decoded::text(content, part)))));
    }
    response
        .insert_header((header::CONTENT_TYPE, media_type(part)))
        .insert_header((header::CONTENT_DISPOSITION, disposition(part, &numbers)))
        .insert_header((header::CONTENT_SECURITY_POLICY, HARMLESS));
    Ok(response.streaming(Box::pin(stream(Decoded::octets(content, part)))))
}

/// Finds a message; who reads it is written down before.
async fn open(
    context: &Context,
    allowed: &Allowed<MessagesRead>,
    (address, name, uid): &(String, String, String),
) -> Result<(MailboxId, Member), Problem> {
    let account = account_of(context, &allowed.caller, address)?;
    let uid = uid_of(uid)?;
    let view = context.store.view()?;
    let mailbox = mailbox_of(&view, &account, name)?;
    let member = mailbox::member(&view, mailbox, uid)?.ok_or_else(|| no_message(uid))?;
    drop(view);
    allowed
        .note(context, format!("{address}/{name}/{}", member.uid), Some(json!({"id": member.message.to_string()})))
        .await?;
    tracing::info!(event = "content_read", message = %member.message, caller = allowed.caller.name());
    Ok((mailbox, member))
}

fn headers(head: &[u8]) -> Vec<ShownHeader> {
    let shown = fields(head)
        .take(limits::SHOWN_HEADER_FIELDS)
        .map(|field| ShownHeader { name: field.name.to_owned(), value: text(field.value, limits::SHOWN_HEADER_CHARS) });
    shown.collect()
}

/// The text of a message.
#[derive(Default)]
struct Text {
    text: String,
    part: Option<String>,
    truncated: bool,
}

impl Text {
    async fn read(store: &Store, mailbox: MailboxId, uid: Uid, structure: &Structure) -> Result<Self, StoreError> {
        let Some((part, numbers)) = text_part(structure) else { return Ok(Self::default()) };
        let Some(mut content) = mailbox::body(store, mailbox, uid, part.content_at, part.content_bytes)? else {
            return Ok(Self::default());
        };
        let (mut decoder, mut text) = (TextDecoder::of(part), String::new());
        while let Some(piece) = content.next().await? {
            decoder.push(&piece, &mut text);
            if text.len() > limits::SHOWN_TEXT_BYTES {
                break;
            }
        }
        let truncated = text.len() > limits::SHOWN_TEXT_BYTES;
        if truncated {
            text.truncate(text.floor_char_boundary(limits::SHOWN_TEXT_BYTES));
        } else {
            decoder.end(&mut text);
        }
        text.retain(|c| !c.is_control() || matches!(c, '\n' | '\t'));
        Ok(Self { text, part: Some(number(&numbers)), truncated })
    }
}

/// The part whose text is shown: plain text before HTML, and no attachment.
fn text_part(structure: &Structure) -> Option<(&Part, Vec<u32>)> {
    let is_attached = |part: &Part| part.disposition.as_ref().is_some_and(|(kind, _)| kind == b"attachment");
    let find = |subtype: &[u8]| {
        let is_wanted = |part: &Part| part.kind == PartKind::Text && part.subtype == subtype && !is_attached(part);
        structure.parts.iter().position(is_wanted)
    };
    let at = find(b"plain").or_else(|| find(b"html"))?;
    Some((structure.parts.get(at)?, structure.numbers().into_iter().nth(at).flatten()?))
}

/// The media type of a part, where it can stand in a header field.
fn media_type(part: &Part) -> String {
    let is_token =
        |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b));
    let kind = content_type(part);
    if !kind.split_once('/').is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype)) {
        return "application/octet-stream".into();
    }
    let charset = part.parameters.iter().find(|(name, _)| name == b"charset");
    let charset = charset.and_then(|(_, value)| std::str::from_utf8(value).ok()).filter(|charset| is_token(charset));
    match charset {
        Some(charset) if part.kind == PartKind::Text => format!("{kind}; charset={charset}"),
        _ => kind,
    }
}

/// A part is a file, whatever it says of itself (RFC 6266 §4).
fn disposition(part: &Part, numbers: &str) -> String {
    let name = filename(part).unwrap_or_else(|| format!("part-{numbers}"));
    let is_harmless = |c: char| c.is_ascii_alphanumeric() || " .-_()+".contains(c);
    let plain: String = name.chars().map(|c| if is_harmless(c) { c } else { '_' }).collect();
    if plain == name {
        return format!("attachment; filename=\"{plain}\"");
    }
    // Of what stands in a segment of a path, `@` alone is no attr-char.
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{}", path_segment(&name).replace('@', "%40"))
}

/// A part's content without its transfer encoding.
struct Decoded {
    content: Content,
    /// `None`: the end was written.
    decoder: Option<Decoder>,
}

enum Decoder {
    Octets(TransferDecoder),
    /// In UTF-8, whatever its charset was.
    Text(Box<TextDecoder>),
}

impl Decoded {
    fn octets(content: Content, part: &Part) -> Self {
        Self { content, decoder: Some(Decoder::Octets(TransferDecoder::new(&part.encoding))) }
    }

    fn text(content: Content, part: &Part) -> Self {
        Self { content, decoder: Some(Decoder::Text(Box::new(TextDecoder::of(part)))) }
    }
}

impl Decoder {
    /// What the piece stands for; `None`: the content has ended.
    fn decode(&mut self, piece: Option<&[u8]>) -> Bytes {
        match self {
            Self::Octets(decoder) => {
                let mut out = Vec::new();
                match piece {
                    Some(piece) => decoder.push(piece, &mut out),
                    None => decoder.end(&mut out),
                }
                out.into()
            }
            Self::Text(decoder) => {
                let mut out = String::new();
                match piece {
                    Some(piece) => decoder.push(piece, &mut out),
                    None => decoder.end(&mut out),
                }
                out.into()
            }
        }
    }
}

impl Pieces for Decoded {
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        while let Some(decoder) = &mut self.decoder {
            let piece = self.content.next().await?;
            let decoded = decoder.decode(piece.as_deref());
            if piece.is_none() {
                self.decoder = None;
            }
            if !decoded.is_empty() {
                return Ok(Some(decoded));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Summary;

    #[test]
    fn a_part_is_a_file_whatever_it_says() {
        let check = |fields: &str, expected_type: &str, expected: &str| {
            let structure = Summary::of_whole(fields.as_bytes(), b"\r\nx\r\n").structure;
            let part = &structure.parts[0];
            assert_eq!((media_type(part).as_str(), disposition(part, "1").as_str()), (expected_type, expected));
        };
        check("", "text/plain; charset=us-ascii", "attachment; filename=\"part-1\"");
        check(
            "Content-Type: text/html; charset=utf-8\r\nContent-Disposition: inline; filename=\"a b.html\"\r\n",
            "text/html; charset=utf-8",
            "attachment; filename=\"a b.html\"",
        );
        check(
            "Content-Type: image/png; name=\"x\\\"; y=z\"\r\n",
            "image/png",
            "attachment; filename=\"x__ y_z\"; filename*=UTF-8''x%22%3B%20y%3Dz",
        );
        check(
            "Content-Type: a(b)/c; charset=x\r\nContent-Disposition: attachment; filename*=utf-8''..%2F%E2%9C%93@\r\n",
            "a/c",
            "attachment; filename=\"..___\"; filename*=UTF-8''..%2F%E2%9C%93%40",
        );
    }
}
