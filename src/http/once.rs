use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::body::{BoxBody, MessageBody, to_bytes_limited};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode, header};
use actix_web::middleware::Next;
use actix_web::web::Bytes;
use actix_web::{Error, HttpMessage, HttpResponse, web};
use futures_util::StreamExt;

use super::answers::{Answer, KeepAnswer, answer_of};
use super::caller;
use super::context::Context;
use super::problem::{Code, Fault, Problem};
use crate::base::limits;

/// The request field by which a client says that a request is the same as an earlier one. A de-facto standard: a draft of
/// the IETF that has expired, and what many interfaces have.
const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that an answer is that of an earlier request.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Fields of an answer that are kept with it.
const KEPT: [HeaderName; 3] = [header::CONTENT_TYPE, header::LOCATION, header::ETAG];
/// What is done once, below `/api/v1/`, by the parts of its path; `*` stands for any one. Not what answers with a secret:
/// that is not kept.
const OPERATIONS: [&[&str]; 10] = [
    &["messages"],
    &["queue", "flush"],
    &["queue", "actions"],
    &["queue", "*", "*"],
    &["trace", "*", "redeliver"],
    &["turn", "peers", "*", "sessions"],
    &["turn", "sessions", "*", "abort"],
    &["jobs", "*", "*"],
    &["backups"],
    &["accounts", "*", "mailboxes", "*", "messages"],
];

/// The keys whose first request runs, with who asks.
#[derive(Debug, Default, Clone)]
pub struct InFlight(Arc<Mutex<HashSet<(String, String)>>>);

/// One of them; it is taken out when this is dropped.
pub(super) struct Flight(InFlight, (String, String));

impl InFlight {
    pub(super) fn begin(&self, key: (String, String)) -> Option<Flight> {
        let is_new = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone());
        is_new.then(|| Flight(self.clone(), key))
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
    }
}

/// Whether a POST to that path takes an `Idempotency-Key`.
pub(super) fn is_done_once(path: &str) -> bool {
    let parts: Vec<&str> = path.strip_prefix("/api/v1/").unwrap_or_default().split('/').collect();
    let fits = |wanted: &&[&str]| {
        wanted.len() == parts.len() && wanted.iter().zip(&parts).all(|(wanted, part)| *wanted == "*" || wanted == part)
    };
    OPERATIONS.iter().any(fits)
}

/// Does what comes with an `Idempotency-Key` once: the same request again gets the first one's answer. Only answers that
/// are no refusals are kept: what was refused can be mended and sent again under the same key.
pub(super) async fn once(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let is_meant = request.method() == Method::POST && is_done_once(request.path());
    let key = request.headers().get(&KEY).filter(|_| is_meant).map(read_key);
    let context = request.app_data::<web::Data<Context>>().cloned();
    // Looked up only for a key, since it counts as a try; who is not known is told so by the handler.
    let actor = key.as_ref().and_then(|_| caller::actor(request.request()));
    let (Some(key), Some(context), Some(actor)) = (key, context, actor) else {
        return Ok(next.call(request).await?.map_into_boxed_body());
    };
    let key = match key {
        Ok(key) => key,
        Err(problem) => return Ok(request.error_response(problem)),
    };
    let Some(flight) = context.in_flight.begin((actor.clone(), key.clone())) else {
        let detail = "A request with this Idempotency-Key is still being worked on: wait for its answer.";
        return Ok(request.error_response(Problem::new(Code::Conflict, detail)));
    };
    let hasher = hasher(&request);
    let kept = context.store.view().and_then(|view| answer_of(&view, &actor, &key, context.clock.now()));
    match kept {
        Err(error) => Ok(request.error_response(Problem::from(error))),
        Ok(Some(answer)) => {
            let hash = hash_body(request.take_payload(), hasher).await;
            let response = match hash {
                Ok(hash) if hash == answer.request_hash => Ok(replay(answer)),
                Ok(_) => Err(Problem::invalid(vec![Fault::parameter(
                    KEY.as_str(),
                    "used_otherwise",
                    "this key was used for another request within the last 24 hours: choose a new one",
                )])),
                Err(problem) => Err(problem),
            };
            Ok(match response {
                Ok(response) => request.into_response(response),
                Err(problem) => request.error_response(problem),
            })
        }
        Ok(None) => {
            let hasher = Arc::new(Mutex::new(hasher));
            let payload = watched(request.take_payload(), Arc::clone(&hasher));
            request.set_payload(payload);
            let response = next.call(request).await?.map_into_boxed_body();
            let hash = *hasher.lock().unwrap_or_else(PoisonError::into_inner).finalize().as_bytes();
            let response = keep(&context, response, actor, key, hash).await;
            drop(flight);
            Ok(response)
        }
    }
}

/// The key, with or without the quotes that the draft wants.
fn read_key(value: &HeaderValue) -> Result<String, Problem> {
    let text = value.to_str().unwrap_or_default().trim();
    let inside = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    if !inside.is_empty() && inside.len() <= limits::IDEMPOTENCY_KEY_BYTES {
        return Ok(inside.to_owned());
    }
    let message = format!("1 to {} characters of US-ASCII, as a UUID has", limits::IDEMPOTENCY_KEY_BYTES);
    Err(Problem::invalid(vec![Fault::parameter(KEY.as_str(), "malformed", message)]))
}

/// Has taken in what the request asks for, besides its body.
fn hasher(request: &ServiceRequest) -> blake3::Hasher {
    let mut hasher = blake3::Hasher::new();
    let kind = request.headers().get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    for part in [request.path().as_bytes(), request.query_string().as_bytes(), kind] {
        hasher.update(&(part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher
}

/// The same payload, whose octets are hashed on their way: a message may be too long to be held.
fn watched(payload: Payload, hasher: Arc<Mutex<blake3::Hasher>>) -> Payload {
    let stream = payload.inspect(move |chunk| {
        if let Ok(chunk) = chunk {
            hasher.lock().unwrap_or_else(PoisonError::into_inner).update(chunk);
        }
    });
    Payload::Stream { payload: Box::pin(stream) }
}

async fn hash_body(mut payload: Payload, mut hasher: blake3::Hasher) -> Result<[u8; 32], Problem> {
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| Problem::new(Code::BadRequest, format!("The body broke off: {error}.")))?;
        hasher.update(&chunk);
    }
    Ok(*hasher.finalize().as_bytes())
}

/// Keeps an answer that is no refusal, and hands it on.
async fn keep(
    context: &Context,
    response: ServiceResponse,
    actor: String,
    key: String,
    request_hash: [u8; 32],
) -> ServiceResponse {
    if !response.status().is_success() {
        return response;
    }
    let (request, response) = response.into_parts();
    let (response, body) = response.into_parts();
    let body = match to_bytes_limited(body, limits::IDEMPOTENT_ANSWER_BYTES).await {
        Ok(Ok(body)) => body,
        // None of these operations answers as much; what it did is done.
        _ => return ServiceResponse::new(request, response.set_body(BoxBody::new(Bytes::new()))),
    };
    let text = |name: &HeaderName| Some((name.to_string(), response.headers().get(name)?.to_str().ok()?.to_owned()));
    let answer = Answer {
        request_hash,
        status: response.status().as_u16(),
        headers: KEPT.iter().filter_map(text).collect(),
        body: body.to_vec(),
        at: context.clock.now(),
    };
    if let Err(error) = context.store.write(KeepAnswer { actor, key, answer }).await {
        // It is done all the same, and must not be called a failure.
        tracing::warn!(event = "answer_not_kept", ?error, "an answer is not kept for its Idempotency-Key");
    }
    ServiceResponse::new(request, response.set_body(BoxBody::new(body)))
}

fn replay(answer: Answer) -> HttpResponse {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut response = HttpResponse::build(status);
    for (name, value) in &answer.headers {
        response.insert_header((name.as_str(), value.as_str()));
    }
    response.insert_header((REPLAYED, "true")).body(answer.body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_once_is_known_by_its_path() {
        for path in ["messages", "queue/flush", "queue/q_0_0/hold", "trace/m_0/redeliver", "turn/peers/x/sessions"] {
            assert!(is_done_once(&format!("/api/v1/{path}")), "{path}");
        }
        for path in ["tokens", "session", "setup", "accounts/a@b/app-passwords", "queue", "messages/wait"] {
            assert!(!is_done_once(&format!("/api/v1/{path}")), "{path}");
        }
    }

    #[test]
    fn keys_come_with_or_without_quotes() {
        let read = |text: &str| read_key(&HeaderValue::from_str(text).unwrap()).ok();
        assert_eq!(read("abc").as_deref(), Some("abc"));
        assert_eq!(read("\"abc\"").as_deref(), Some("abc"));
        assert_eq!((read(""), read("\"\""), read(&"x".repeat(256))), (None, None, None));
    }
}
