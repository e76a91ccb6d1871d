use std::time::Duration;

use actix_web::http::header;
use actix_web::rt::time::timeout;
use actix_web::{HttpMessage, HttpRequest, web};
use futures_util::StreamExt;

use super::problem::{Code, Fault, Problem};
use crate::base::limits;
use crate::intake::{Incoming, IncomingRefused, Taken};
use crate::store::Store;

/// The media type of a message as such (RFC 2046 §5.2.1).
pub(super) const MESSAGE_TYPE: &str = "message/rfc822";

/// Takes a message that is the body of a request: it goes to the file as it comes.
pub(super) async fn receive(
    request: &HttpRequest,
    payload: web::Payload,
    store: &Store,
    mut incoming: Incoming,
) -> Result<Taken, Problem> {
    if !request.content_type().eq_ignore_ascii_case(MESSAGE_TYPE) {
        let detail = format!("Send the message as `Content-Type: {MESSAGE_TYPE}`.");
        return Err(Problem::new(Code::UnsupportedMediaType, detail));
    }
    if request.headers().contains_key(header::CONTENT_ENCODING) {
        return Err(Problem::new(Code::UnsupportedMediaType, "Send the body without a Content-Encoding."));
    }
    let patience = Duration::from_secs(limits::HTTP_MESSAGE_S);
    let size_bytes = timeout(patience, push_all(payload, store, &mut incoming)).await.map_err(|_| {
        Problem::new(Code::RequestTimeout, format!("The message must be there within {} s.", limits::HTTP_MESSAGE_S))
    })??;
    if size_bytes == 0 {
        return Err(Problem::invalid(vec![Fault::body("", "empty", "an empty message is none")]));
    }
    incoming.finish().await.map_err(refusal)
}

async fn push_all(mut payload: web::Payload, store: &Store, incoming: &mut Incoming) -> Result<u64, Problem> {
    let mut size_bytes = 0;
    while let Some(piece) = payload.next().await {
        let piece = piece.map_err(|error| Problem::new(Code::BadRequest, format!("The body broke off: {error}.")))?;
        size_bytes += piece.len() as u64;
        incoming.push(&piece, store).await;
        if let Some(refused) = incoming.refused() {
            return Err(refusal(refused.clone()));
        }
    }
    Ok(size_bytes)
}

/// Why a message is not taken, as a problem.
pub(super) fn refusal(refused: IncomingRefused) -> Problem {
    let fault = |code: &str| Problem::invalid(vec![Fault::body("", code, refused.to_string())]);
    match &refused {
        IncomingRefused::Nul => fault("nul"),
        IncomingRefused::TooBig => Problem::new(
            Code::BodyTooLarge,
            "The message is larger than messages may be (setting limits.message_bytes).",
        ),
        IncomingRefused::Header(_) => fault("header_too_long"),
        IncomingRefused::Full => Problem::new(Code::DiskFull, "The disk has less free space than the reserve."),
        IncomingRefused::Broken(cause) => Problem::internal(cause),
    }
}
