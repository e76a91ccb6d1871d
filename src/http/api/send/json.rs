use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::http::header;
use actix_web::rt::time::timeout;
use actix_web::{HttpMessage, HttpRequest, web};
use serde::Deserialize;
use tokio::sync::Semaphore;
use utoipa::ToSchema;

use super::busy;
use crate::base::limits;
use crate::http::body::fit;
use crate::http::context::Context;
use crate::http::problem::{Code, Problem};

/// Large messages are in memory several times over while they are read.
static LARGE: Semaphore = Semaphore::const_new(limits::LARGE_JSON_AT_ONCE);

/// A message to be sent. Date and Message-ID are added.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct MessageInput {
    /// Who sends it, as in `a@x.test` or `A <a@x.test>`: the From field, and the sender of the envelope.
    #[schema(min_length = 1, max_length = 998)]
    pub from: String,
    /// To whom it goes, each as in `b@y.test` or `B <b@y.test>`.
    #[serde(default)]
    #[schema(max_items = 1000)]
    pub to: Vec<String>,
    /// To whom it goes too.
    #[serde(default)]
    #[schema(max_items = 1000)]
    pub cc: Vec<String>,
    /// To whom it goes without the others being told.
    #[serde(default)]
    #[schema(max_items = 1000)]
    pub bcc: Vec<String>,
    /// Where answers go.
    #[serde(default)]
    #[schema(max_items = 100)]
    pub reply_to: Vec<String>,
    /// The Subject field.
    #[serde(default)]
    #[schema(max_length = 998)]
    pub subject: String,
    /// The text.
    #[serde(default)]
    #[schema(format = "lines")]
    pub text: Option<String>,
    /// The same as HTML.
    #[serde(default)]
    #[schema(format = "lines")]
    pub html: Option<String>,
    /// Files.
    #[serde(default)]
    #[schema(max_items = 1000)]
    pub attachments: Vec<AttachmentInput>,
    /// Further header fields by their names, as in `{"X-Campaign": "may"}`. Not those that are made of the other fields.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub headers: BTreeMap<String, String>,
    /// Says what would become of it, and does nothing.
    #[serde(default)]
    #[schema(default = false)]
    pub dry_run: bool,
}

/// A file of a message.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct AttachmentInput {
    /// Its name.
    #[schema(min_length = 1, max_length = 255)]
    pub filename: String,
    /// Its type, as in `application/pdf`.
    #[serde(default = "octets")]
    #[schema(max_length = 255, default = "application/octet-stream")]
    pub content_type: String,
    /// Its content in base64 (RFC 4648 §4).
    pub content_base64: String,
}

fn octets() -> String {
    "application/octet-stream".into()
}

/// Reads a message that comes as JSON: of any length that a message may have.
pub(super) async fn read(
    request: &HttpRequest,
    payload: web::Payload,
    context: &Context,
) -> Result<MessageInput, Problem> {
    if !request.content_type().eq_ignore_ascii_case("application/json") {
        let detail = "Send the message as `Content-Type: application/json` or `message/rfc822`.";
        return Err(Problem::new(Code::UnsupportedMediaType, detail));
    }
    if request.headers().contains_key(header::CONTENT_ENCODING) {
        return Err(Problem::new(Code::UnsupportedMediaType, "Send the body without a Content-Encoding."));
    }
    // Base64 takes four octets for three.
    let message_bytes = usize::try_from(context.settings.limits_message_bytes).unwrap_or(usize::MAX);
    let most = (message_bytes / 3).saturating_mul(4).saturating_add(limits::JSON_BODY_BYTES);
    let too_large = || Problem::new(Code::BodyTooLarge, "The message is larger than messages may be.");
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: usize| length > most) {
        return Err(too_large());
    }
    let is_small = announced.is_some_and(|length| length <= limits::JSON_BODY_BYTES);
    let _permit = if is_small { None } else { Some(LARGE.try_acquire().map_err(|_| busy())?) };
    let patience = Duration::from_secs(limits::HTTP_MESSAGE_S);
    let late = || Problem::new(Code::RequestTimeout, format!("It must be there within {} s.", limits::HTTP_MESSAGE_S));
    let bytes = timeout(patience, payload.to_bytes_limited(most))
        .await
        .map_err(|_| late())?
        .map_err(|_| too_large())?
        .map_err(|error| Problem::new(Code::BadRequest, format!("The body broke off: {error}.")))?;
    let value = serde_json::from_slice(&bytes)
        .map_err(|error| Problem::new(Code::MalformedJson, format!("The body is not JSON: {error}.")))?;
    drop(bytes);
    fit(value)
}
