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

use super::answers::{Answer, Begin, Begun, End, Known, known, trail};
use super::caller;
use super::context::Context;
use super::frame::RequestId;
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
const OPERATIONS: [&[&str]; 15] = [
    &["messages"],
    &["queue", "flush"],
    &["queue", "actions"],
    &["queue", "*", "*"],
    &["trace", "*", "redeliver"],
    &["turn", "peers", "*", "sessions"],
    &["turn", "sessions", "*", "abort"],
    &["jobs", "*", "*"],
    &["backups"],
    &["backups", "*", "verify"],
    &["maintenance", "check"],
    &["maintenance", "compact"],
    &["restore"],
    &["restore", "items"],
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
///
/// That a request is begun is on disk before it is. One that nobody works on any more and that was never answered, since
/// the server died, is looked for in the audit: where it is there, nobody is told anything but that; else it is done now.
pub(super) async fn once(
    request: ServiceRequest,
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
    let known = context.store.view().and_then(|view| known(&view, &actor, &key, context.clock.now()));
    match known {
        Err(error) => Ok(request.error_response(Problem::from(error))),
        Ok(Some(Known::Done(answer))) => again(request, answer).await,
        Ok(Some(Known::Begun(begun))) => match lost(&context, begun).await {
            Ok(()) => first(request, next, context, (actor, key), flight).await,
            Err(problem) => Ok(request.error_response(problem)),
        },
        Ok(None) => first(request, next, context, (actor, key), flight).await,
    }
}

/// 409 unless a request that was begun and not answered has done nothing.
async fn lost(context: &Context, begun: Begun) -> Result<(), Problem> {
    let at = begun.at.rfc3339();
    match context.store.read(move |view| trail(view, &begun)).await? {
        None => Ok(()),
        Some(id) => Err(Problem::new(
            Code::Conflict,
            format!(
                "A request with this Idempotency-Key was begun at {at}, and its answer is lost: the audit has it as {id}. \
                 Look what came of it; to do it once more, choose another key."
            ),
        )),
    }
}

/// The first answer again, to the same request.
async fn again(mut request: ServiceRequest, answer: Answer) -> Result<ServiceResponse<BoxBody>, Error> {
    let print = hash_body(request.take_payload(), Print::of(&request)).await;
    let response = match print {
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

/// Does it, and keeps its answer.
async fn first(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
    context: web::Data<Context>,
    (actor, key): (String, String),
    flight: Flight,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let request_id = request.extensions().get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
    let begun = Begun { request_id, at: context.clock.now() };
    let number = match context.store.write(Begin { actor, key, begun: begun.clone() }).await {
        Ok(number) => number.into_inner(),
        Err(error) => return Ok(request.error_response(Problem::from(error))),
    };
    let print = Arc::new(Mutex::new(Print::of(&request)));
    let payload = watched(request.take_payload(), Arc::clone(&print));
    request.set_payload(payload);
    let call = next.call(request);
    // On its own: who goes away, or whose connection breaks, ends neither it nor the note of its answer.
    let task = actix_web::rt::spawn(async move {
        let response = call.await?.map_into_boxed_body();
        let hash = print.lock().unwrap_or_else(PoisonError::into_inner).finish();
        let response = keep(&context, response, number, begun, hash).await;
        drop(flight);
        Ok(response)
    });
    task.await.unwrap_or_else(|error| Err(Problem::internal(error).into()))
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

/// What a request asks for, in few octets.
struct Print {
    hasher: blake3::Hasher,
    kind: String,
    body: blake3::Hasher,
    body_bytes: u64,
    /// The body's first octets.
    start: Vec<u8>,
}

impl Print {
    /// Octets of a body that are looked at: an empty object with some space in it.
    const START: usize = 64;

    fn of(request: &ServiceRequest) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in [request.path(), request.query_string()] {
            hasher.update(&(part.len() as u64).to_be_bytes());
            hasher.update(part.as_bytes());
        }
        let kind = request.content_type().to_ascii_lowercase();
        Self { hasher, kind, body: blake3::Hasher::new(), body_bytes: 0, start: Vec::new() }
    }

    fn push(&mut self, piece: &[u8]) {
        let room = Self::START - self.start.len();
        self.start.extend(piece.iter().take(room));
        self.body_bytes += piece.len() as u64;
        self.body.update(piece);
    }

    /// No body and an empty object ask for the same.
    fn is_nothing(&self) -> bool {
        let said: Vec<u8> = self.start.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
        self.body_bytes == self.start.len() as u64 && (said.is_empty() || said == b"{}")
    }

    fn finish(&self) -> [u8; 32] {
        let mut hasher = self.hasher.clone();
        if !self.is_nothing() {
            hasher.update(&(self.kind.len() as u64).to_be_bytes());
            hasher.update(self.kind.as_bytes());
            hasher.update(self.body.finalize().as_bytes());
        }
        *hasher.finalize().as_bytes()
    }
}

/// The same payload, whose octets are hashed on their way: a message may be too long to be held.
fn watched(payload: Payload, print: Arc<Mutex<Print>>) -> Payload {
    let stream = payload.inspect(move |chunk| {
        if let Ok(chunk) = chunk {
            print.lock().unwrap_or_else(PoisonError::into_inner).push(chunk);
        }
    });
    Payload::Stream { payload: Box::pin(stream) }
}

async fn hash_body(mut payload: Payload, mut print: Print) -> Result<[u8; 32], Problem> {
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| Problem::new(Code::BadRequest, format!("The body broke off: {error}.")))?;
        print.push(&chunk);
    }
    Ok(print.finish())
}

/// Keeps an answer that is no refusal, and hands it on.
async fn keep(
    context: &Context,
    response: ServiceResponse,
    number: u64,
    begun: Begun,
    request_hash: [u8; 32],
) -> ServiceResponse {
    if !response.status().is_success() {
        // After a fault of ours it may be done nevertheless.
        let is_done = response.status().is_server_error() && lost(context, begun).await.is_err();
        if !is_done && let Err(error) = context.store.write(End { number, answer: None }).await {
            tracing::warn!(event = "key_not_freed", ?error, "an Idempotency-Key of a refused request is not free");
        }
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
        at: begun.at,
    };
    if let Err(error) = context.store.write(End { number, answer: Some(answer) }).await {
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
        for path in [
            "messages",
            "queue/flush",
            "queue/q_0_0/hold",
            "trace/m_0/redeliver",
            "turn/peers/x/sessions",
            "backups/x/verify",
            "maintenance/check",
            "maintenance/compact",
            "restore",
        ] {
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
