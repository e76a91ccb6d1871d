use std::collections::HashSet;

use actix_web::{HttpMessage, HttpRequest, HttpResponse, post, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::sent::{RecipientResult, Resolved};
use crate::base::{Address, MailOptions, Timestamp, limits};
use crate::directory::{self, Resolution};
use crate::dkim::{BodyHash, Unsigned};
use crate::http::audited::nothing;
use crate::http::body::fit;
use crate::http::caller::{Allowed, Caller, MessagesSend};
use crate::http::context::Context;
use crate::http::large_body::LargeBody;
use crate::http::page::SendQuery;
use crate::http::problem::{Fault, Problem};
use crate::http::raw_body::{MESSAGE_TYPE, receive};
use crate::intake::{self, Accept, Body, Incoming, Origin, Recipient, Taken};
use crate::message::{Scan, without_bcc};
use crate::queue::Notify;

mod compose;
mod json;

use compose::Composed;

/// A message that was sent.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Sent {
    /// The message's id: that of the trace. Null for a dry run.
    id: Option<String>,
    /// What becomes of it for each recipient.
    recipients: Vec<RecipientResult>,
    /// Nothing was done.
    dry_run: bool,
}

/// Sends a message: as JSON, or as it is (`message/rfc822`) with its envelope in the query. It is on disk when this
/// answers. A token sends as the domains of this server alone, one that is restricted as its own.
#[utoipa::path(
    tag = "messages",
    params(
        ("sender" = Option<String>, Query, description = "With `message/rfc822`: the sender of the envelope"),
        ("recipient" = Option<Vec<String>>, Query, description = "With `message/rfc822`: a recipient; repeatable"),
        ("send_at" = Option<String>, Query, description = "With `message/rfc822`: it is sent to nobody before this time (RFC 3339), at most 90 days from now"),
        ("dry_run" = Option<bool>, Query, description = "With `message/rfc822`: says what would become of it, and does nothing"),
    ),
    request_body(content((json::MessageInput = "application/json"), (String = "message/rfc822"))),
    responses(
        (status = 202, description = "It is on disk, or would be", body = Sent),
        (status = 408, description = "The message did not arrive in time"),
        (status = 409, description = "A mailbox has become full meanwhile"),
        (status = 413, description = "The message is larger than `limits.message_bytes`"),
        (status = 415, description = "The body is neither JSON nor `message/rfc822`"),
    )
)]
#[post("/messages")]
pub(in crate::http) async fn send_message(
    allowed: Allowed<MessagesSend>,
    query: SendQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let at = context.clock.now();
    let message = if request.content_type().eq_ignore_ascii_case(MESSAGE_TYPE) {
        raw(&allowed.caller, query, &request, &context, payload).await?
    } else {
        query.need_none()?;
        let body = json::receive(&request, payload, &context).await?;
        composed(&allowed.caller, body, &context, at).await?
    };
    let peer_ip = request.peer_addr().map(|peer| peer.ip());
    let origin = Origin { actor: allowed.caller.name(), peer_ip, ..Origin::default() };
    send(&allowed, &context, message, origin, at).await
}

/// A message with its envelope.
struct Message {
    sender: Address,
    recipients: Vec<Address>,
    taken: Taken,
    /// It is sent to nobody before.
    send_at: Option<Timestamp>,
    dry_run: bool,
    /// Where the fault of a recipient is.
    fault: fn(usize) -> Fault,
}

async fn raw(
    caller: &Caller,
    query: SendQuery,
    request: &HttpRequest,
    context: &Context,
    payload: web::Payload,
) -> Result<Message, Problem> {
    let SendQuery { sender, recipients, send_at, dry_run } = query;
    let required = |name: &str, message: &str| Problem::invalid(vec![Fault::parameter(name, "required", message)]);
    let sender = sender.ok_or_else(|| required("sender", "whose message is it?"))?;
    if recipients.is_empty() {
        return Err(required("recipient", "to whom does it go?"));
    }
    let fault = |_| Fault::parameter("recipient", "", "");
    may_send_as(caller, context, &sender, || Fault::parameter("sender", "not_ours", ""))?;
    need_few(context, &recipients, fault)?;
    let incoming = Incoming::to_be_sent(context.settings.limits_message_bytes);
    let taken = receive(request, payload, &context.store, incoming).await?;
    let scan = Scan::of(&taken.header_block);
    let malformed = |message: &str| Problem::invalid(vec![Fault::body("", "malformed", message)]);
    // RFC 5322 §3.6
    let authors = match &scan.authors {
        Ok(authors) if scan.from_fields == 1 && !authors.is_empty() => authors,
        _ => return Err(malformed("the message needs one From field with an address that can be read")),
    };
    for author in authors {
        may_send_as(caller, context, author, || Fault::body("", "not_ours", ""))?;
    }
    if scan.is_looping() {
        return Err(malformed("the message has passed too many servers: it is in a loop"));
    }
    Ok(Message { sender, recipients, taken, send_at, dry_run, fault })
}

async fn composed(caller: &Caller, body: LargeBody, context: &Context, at: Timestamp) -> Result<Message, Problem> {
    let composed = body.work(move |value| compose::compose(fit(value)?, at)).await?;
    let Composed { sender, recipients, bytes, send_at, dry_run } = &*composed;
    may_send_as(caller, context, sender, || Fault::body("/from", "not_ours", ""))?;
    let fault = |_| Fault::body("/to", "", "");
    need_few(context, recipients, fault)?;
    let mut incoming = Incoming::to_be_sent(context.settings.limits_message_bytes);
    // As it would come over a connection: others are served between two pieces.
    for piece in bytes.chunks(limits::INPUT_BYTES) {
        incoming.push(piece, &context.store).await;
        tokio::task::yield_now().await;
    }
    let taken = incoming.finish().await.map_err(crate::http::raw_body::refusal)?;
    let (sender, recipients, send_at) = (sender.clone(), recipients.clone(), *send_at);
    Ok(Message { sender, recipients, taken, send_at, dry_run: *dry_run, fault })
}

/// The signatures of a message in the name of its author: by now that is known to be one that the caller may send as.
fn sign(
    context: &Context,
    scan: &Scan,
    head: &[u8],
    body: Option<BodyHash>,
    at: Timestamp,
) -> Result<Vec<u8>, Problem> {
    let (Some(author), Some(body)) = (scan.author().and_then(|author| author.host.name()), body) else {
        return Ok(Vec::new());
    };
    let unsigned = Unsigned { author, head, body, at };
    Ok(context.delivery.outbound.signers.sign(&context.store.view()?, &unsigned)?)
}

/// Whether the caller may send as that address: who has the socket may as anybody.
fn may_send_as(
    caller: &Caller,
    context: &Context,
    address: &Address,
    fault: impl Fn() -> Fault,
) -> Result<(), Problem> {
    if matches!(caller, Caller::Owner) {
        return Ok(());
    }
    let ours = directory::resolve(&context.store.view()?, address)? != Resolution::NotLocal;
    match address.host.name().filter(|_| ours) {
        Some(domain) => caller.need_domain(domain),
        None => {
            let message = format!("{address} is not of a domain of this server");
            Err(Problem::invalid(vec![Fault { message, ..fault() }]))
        }
    }
}

fn need_few(context: &Context, recipients: &[Address], fault: fn(usize) -> Fault) -> Result<(), Problem> {
    let most = context.settings.limits_recipients;
    if recipients.len() <= most {
        return Ok(());
    }
    let message = format!("at most {most} recipients (setting limits.recipients)");
    Err(Problem::invalid(vec![Fault { code: "too_many".into(), message, ..fault(most) }]))
}

/// Commits a message for all its recipients that there are.
async fn send(
    allowed: &Allowed<MessagesSend>,
    context: &Context,
    message: Message,
    origin: Origin,
    at: Timestamp,
) -> Result<HttpResponse, Problem> {
    let Message { sender, recipients, taken, send_at, dry_run, fault } = message;
    let send_at = send_at.filter(|send_at| *send_at > at);
    if send_at.is_some_and(|send_at| send_at > at.plus_ms(u64::from(limits::FUTURE_RELEASE_S) * 1000)) {
        let message = "at most 90 days from now";
        return Err(Problem::invalid(vec![Fault {
            message: message.into(),
            ..Fault::body("/send_at", "too_late", "")
        }]));
    }
    let mut known = HashSet::new();
    let recipients: Vec<Address> = recipients.into_iter().filter(|address| known.insert(address.key())).collect();
    let size_bytes = taken.header_block.len() as u64 + taken.body.as_ref().map_or(0, |body| body.size_bytes());
    let resolved = Resolved::of(&context.store.view()?, context, &recipients, size_bytes)?;
    resolved.need_somebody(fault)?;
    if dry_run {
        return Ok(HttpResponse::Accepted().json(Sent { id: None, recipients: resolved.results, dry_run }));
    }
    let id = context.delivery.outbound.ids.message(at);
    let hostname = &context.delivery.outbound.hostname;
    let scan = Scan::of(&taken.header_block);
    let only = match resolved.recipients.as_slice() {
        [Recipient { given, .. }] => Some(given),
        _ => None,
    };
    let mut trace_fields = intake::received_here(hostname.as_str(), "HTTP", id, only, at);
    let added = intake::missing_fields(&scan, id, hostname, at);
    trace_fields.push_str(&added.text);
    let header_block = without_bcc(&taken.header_block).into_owned();
    let mut trace_fields = trace_fields.into_bytes();
    let head = [trace_fields.as_slice(), &header_block].concat();
    let signatures = sign(context, &scan, &head, taken.body_hash, at)?;
    trace_fields.splice(0..0, signatures);
    let accept = Accept {
        id,
        at,
        session: None,
        origin,
        sender: Some(sender),
        recipients: resolved.recipients.clone(),
        notify: Notify::Sender,
        seal: None,
        trace_fields,
        smtputf8: !header_block.is_ascii() && std::str::from_utf8(&header_block).is_ok(),
        header_block,
        summary: taken.summary,
        delivered_to: scan.delivered_to,
        body: taken.body.map(Body::Staged),
        message_id_field: taken.message_id_field.or(added.message_id),
        eight_bit: taken.eight_bit,
        options: MailOptions { release_at: send_at, ..MailOptions::default() },
        outbound: context.delivery.outbound.clone(),
    };
    let accepted = allowed.write(context, id, accept, nothing).await?.into_inner();
    let id = Some(accepted.id.to_string());
    Ok(HttpResponse::Accepted().json(Sent { id, recipients: resolved.results_of(&accepted), dry_run }))
}
