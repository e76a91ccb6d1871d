use std::collections::BTreeMap;

use actix_web::{HttpMessage, HttpRequest, web};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::base::limits;
use crate::http::context::Context;
use crate::http::large_body::{Bounds, LargeBody};
use crate::http::problem::{Code, Problem};

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
    /// It is sent to nobody before this time (RFC 3339), at most 90 days from now; until then it waits in the queue.
    #[serde(default)]
    #[schema(format = DateTime)]
    pub send_at: Option<String>,
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

/// The message that comes as JSON: of any length that a message may have.
pub(super) async fn receive(
    request: &HttpRequest,
    payload: web::Payload,
    context: &Context,
) -> Result<LargeBody, Problem> {
    if !request.content_type().eq_ignore_ascii_case("application/json") {
        let detail = "Send the message as `Content-Type: application/json` or `message/rfc822`.";
        return Err(Problem::new(Code::UnsupportedMediaType, detail));
    }
    // Base64 takes four octets for three.
    let message_bytes = usize::try_from(context.settings.limits_message_bytes).unwrap_or(usize::MAX);
    let bytes_max = (message_bytes / 3).saturating_mul(4).saturating_add(limits::JSON_BODY_BYTES);
    let bounds = Bounds { bytes_max, values_max: limits::JSON_VALUES, patience_s: limits::HTTP_MESSAGE_S };
    LargeBody::receive(request, payload, bounds).await
}
