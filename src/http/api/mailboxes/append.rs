use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, post, web};

use super::message::MailboxMessage;
use super::{mailbox_of, no_message};
use crate::base::SystemFlags;
use crate::http::api::accounts::may_change;
use crate::http::api::{account_of, path_segment};
use crate::http::audited::nothing;
use crate::http::caller::{Allowed, MessagesWrite};
use crate::http::context::Context;
use crate::http::page::NoQuery;
use crate::http::problem::{Code, Problem, Refusal};
use crate::http::raw_body::receive;
use crate::intake::{Append, AppendRefused, Appended, Incoming};

/// Puts a message into a mailbox as it is: nobody is told, and it is not sent. Lone CR and LF become CRLF.
#[utoipa::path(
    tag = "mailboxes",
    params(
        ("address" = String, Path, description = "The account's address, percent-encoded"),
        ("mailbox" = String, Path, description = "The mailbox's name, percent-encoded: `/` is `%2F`"),
    ),
    request_body(content = String, content_type = "message/rfc822"),
    responses(
        (status = 201, description = "It is there", body = MailboxMessage),
        (status = 404, description = "There is no such account or mailbox"),
        (status = 408, description = "The message did not arrive in time"),
        (status = 409, description = "The account is over quota"),
        (status = 413, description = "The message is larger than `limits.message_bytes`"),
        (status = 415, description = "The body is not announced as `message/rfc822`"),
    )
)]
#[post("/accounts/{address}/mailboxes/{mailbox}/messages")]
pub(in crate::http) async fn append_mailbox_message(
    allowed: Allowed<MessagesWrite>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<(String, String)>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let account = account_of(&context, &allowed.caller, &path.0)?;
    may_change(&allowed.caller, &account)?;
    let mailbox = mailbox_of(&context.store.view()?, &account, &path.1)?;
    let incoming = Incoming::new(context.settings.limits_message_bytes);
    let taken = receive(&request, payload, &context.store, incoming).await?;
    let at = context.clock.now();
    let message = Appended {
        id: context.delivery.outbound.ids.message(at),
        header_block: taken.header_block,
        body: taken.body,
        summary: taken.summary,
        flags: SystemFlags::NONE,
        keywords: Vec::new(),
        internal_date: at,
        message_id_field: taken.message_id_field,
    };
    let op = Append {
        account: account.id,
        mailbox,
        messages: vec![message],
        by: allowed.caller.name(),
        peer_ip: request.peer_addr().map(|peer| peer.ip()),
        at,
    };
    let target = format!("{}/{}", path.0, path.1);
    let placed = allowed.write(&context, target, op, nothing).await?.into_inner();
    let uid = *placed.uids.first().ok_or_else(|| Problem::internal("a message was appended without a UID"))?;
    let message = MailboxMessage::find(&context.store.view()?, mailbox, uid)?.ok_or_else(|| no_message(uid))?;
    let (address, name) = (path_segment(&path.0), path_segment(&path.1));
    let location = format!("/api/v1/accounts/{address}/mailboxes/{name}/messages/{uid}");
    Ok(HttpResponse::Created().insert_header((header::LOCATION, location)).json(message))
}

impl Refusal for AppendRefused {
    fn is_precondition(&self) -> bool {
        false
    }

    fn problem(self) -> Problem {
        match self {
            Self::Gone => Problem::new(Code::NotFound, "The mailbox was deleted."),
            Self::OverQuota => Problem::new(Code::Conflict, "The account is over quota."),
            Self::TooManyKeywords => Problem::new(Code::Conflict, "The mailbox has as many keywords as it may have."),
        }
    }
}
