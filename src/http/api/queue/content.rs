use actix_web::body::SizedStream;
use actix_web::http::header;
use actix_web::{HttpResponse, get, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::{no_message, rows_of_message};
use crate::base::{MessageId, limits};
use crate::http::api::wrong_id;
use crate::http::caller::{Allowed, MessagesRead};
use crate::http::context::Context;
use crate::http::page::NoQuery;
use crate::http::problem::Problem;
use crate::http::stream::stream;
use crate::message::{Field, fields};
use crate::queue::{self, Content};

/// The header of a message.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct MessageHeaders {
    /// Its fields, in their order, our own trace fields first.
    headers: Vec<MessageHeader>,
}

/// A field of a message's header.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct MessageHeader {
    /// Its name.
    name: String,
    /// Its value: unfolded, encoded words as they are, at most 998 characters.
    value: String,
}

/// Gives a queued message as it is sent: content, which is a scope of its own.
#[utoipa::path(
    tag = "queue",
    params(("mid" = String, Path, description = "The message's id")),
    responses(
        (status = 200, description = "The message", body = String, content_type = "message/rfc822"),
        (status = 404, description = "It is not in the queue"),
    )
)]
#[get("/queue/messages/{mid}/raw")]
pub(in crate::http) async fn get_queue_message_raw(
    allowed: Allowed<MessagesRead>,
    _none: NoQuery,
    context: web::Data<Context>,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let (id, content) = open(&context, &allowed, &path).await?;
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CONTENT_TYPE, "message/rfc822"))
        .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{id}.eml\"")));
    let size_bytes = content.size_bytes();
    Ok(response.body(SizedStream::new(size_bytes, Box::pin(stream(content)))))
}

/// Gives the header of a queued message: content, which is a scope of its own.
#[utoipa::path(
    tag = "queue",
    params(("mid" = String, Path, description = "The message's id")),
    responses(
        (status = 200, description = "The header", body = MessageHeaders),
        (status = 404, description = "It is not in the queue"),
    )
)]
#[get("/queue/messages/{mid}/headers")]
pub(in crate::http) async fn get_queue_message_headers(
    allowed: Allowed<MessagesRead>,
    _none: NoQuery,
    context: web::Data<Context>,
    path: web::Path<String>,
) -> Result<web::Json<MessageHeaders>, Problem> {
    let (id, mut content) = open(&context, &allowed, &path).await?;
    let head = content.next().await?.ok_or_else(|| no_message(id))?;
    let field = |field: Field<'_>| MessageHeader {
        name: field.name.to_owned(),
        value: field.text(limits::TRACED_HEADER_CHARS),
    };
    Ok(web::Json(MessageHeaders { headers: fields(&head).map(field).collect() }))
}

/// Begins to read a message; who does is written down before.
async fn open(context: &Context, allowed: &Allowed<MessagesRead>, path: &str) -> Result<(MessageId, Content), Problem> {
    let id: MessageId = path.parse().map_err(|error| wrong_id("mid", error))?;
    rows_of_message(context, &allowed.caller, id)?;
    allowed.note(context, id, None).await?;
    let content = queue::content(&context.store, id)?.ok_or_else(|| no_message(id))?;
    tracing::info!(event = "content_read", message = %id, caller = allowed.caller.name());
    Ok((id, content))
}
