//! The interface in process, on a store in memory. Every answer is compared with the OpenAPI document.

mod accounts;
mod audit;
mod backups;
mod check;
mod conventions;
mod dkim;
mod events;
mod jobs;
mod limits;
mod limits_of_tokens;
mod listeners;
mod logs;
mod mailboxes;
mod maintenance;
mod matrix;
mod metrics;
mod once;
mod overview;
mod peers;
mod queue;
mod queue_rules;
mod redeliver;
mod resources;
mod restore_items;
mod routes;
mod send;
mod session;
mod settings;
mod setup;
mod state;
mod trace;
mod well_known;

use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::header::HeaderMap;
use actix_web::http::{Method, StatusCode, header};
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::web;
use futures_util::Stream;
use serde_json::Value;

use super::app::app;
use super::context::Context;
use super::document;
use super::limiter::Limiter;
use super::validate::validate;
use crate::backup::Backups;
use crate::base::{Clock, DomainName, SeededRandom, Timestamp, TurnedClock};
use crate::directory::{self, CreateToken, Scope, TokenFields};
use crate::store::{AnyTable, Medium, Options, Schema, Store};
use crate::{intake, job, mailbox, turn};

/// A server without sockets.
struct Site {
    context: web::Data<Context>,
    clock: Arc<TurnedClock>,
    admin: String,
}

/// What came back.
struct Seen {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
    bytes: web::Bytes,
}

impl Seen {
    /// Reads an answer and compares it with the document.
    async fn read(method: &Method, path: &str, response: ServiceResponse<impl MessageBody>) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = read_body(response).await;
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        let seen = Self { status, headers, body, bytes };
        check_answer(method, path, &seen);
        seen
    }

    fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The last part of a problem's type, or nothing.
    fn problem(&self) -> &str {
        self.body["type"].as_str().unwrap_or_default().trim_start_matches("urn:pillarbox:problem:")
    }

    /// Pointer (or parameter) and code of each fault.
    fn faults(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let place =
            |fault: &Value| fault["pointer"].as_str().or(fault["parameter"].as_str()).unwrap_or_default().to_owned();
        self.body["errors"].as_array().into_iter().flatten().map(|fault| (place(fault), text(&fault["code"]))).collect()
    }
}

fn schema() -> &'static Schema {
    static SCHEMA: OnceLock<Schema> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let rooms: &[&[&'static dyn AnyTable]] = &[
            crate::settings::TABLES,
            crate::trace::TABLES,
            crate::audit::TABLES,
            job::TABLES,
            crate::kept::TABLES,
            directory::TABLES,
            crate::dkim::TABLES,
            crate::srs::TABLES,
            mailbox::TABLES,
            crate::queue::TABLES,
            turn::TABLES,
            intake::TABLES,
            crate::http::TABLES,
        ];
        Schema {
            version: 1,
            tables: Box::leak(rooms.concat().into_boxed_slice()),
            checks: directory::CHECKS,
            migrations: &[],
        }
    })
}

impl Site {
    fn new() -> Self {
        Self::with_settings(&[])
    }

    /// The same with settings, as `--set` gives them.
    fn with_settings(flags: &[&str]) -> Self {
        Self::open(flags, None)
    }

    /// The same over a file on disk.
    fn on_disk(data: &std::path::Path) -> Self {
        Self::open(&[], Some(data))
    }

    fn open(flags: &[&str], data: Option<&std::path::Path>) -> Self {
        let clock = Arc::new(TurnedClock::new(Timestamp(1_795_341_900_000)));
        let dyn_clock: Arc<dyn Clock> = clock.clone();
        let random = Arc::new(SeededRandom::new(1));
        let mut options = Options::memory(dyn_clock.clone());
        if let Some(data) = data {
            options.medium = Medium::File(data.to_owned());
        }
        let store = Store::open(options, schema()).expect("the store opens");
        let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let settings = crate::settings::Settings::gather(&[], "", &flags).expect("the settings are good");
        let mut context = Context::in_memory(store, dyn_clock.clone(), random);
        context.backups = Arc::new(Backups::beside(data, context.store.clone()));
        (context.limiter, context.settings) = (Limiter::new(&settings, dyn_clock), Arc::new(settings));
        let context = web::Data::new(context);
        context.readiness.set_ready();
        let mut site = Self { context, clock, admin: String::new() };
        site.admin = site.token(&[Scope::Admin], &[]);
        site
    }

    /// A token with those scopes, restricted to those domains.
    fn token(&self, scopes: &[Scope], domains: &[&str]) -> String {
        let fields = TokenFields {
            name: "test".into(),
            scopes: scopes.to_vec(),
            restrict_domains: domains.iter().map(|name| DomainName::parse(name).expect("a domain name")).collect(),
            ..TokenFields::default()
        };
        let (op, secret) = CreateToken::new(fields, self.context.random.as_ref(), self.context.clock.now());
        let _ = self.context.store.write_blocking(op).expect("the token is stored");
        secret.expose().clone()
    }

    /// Sends a request and compares the answer with the document.
    async fn send(&self, request: TestRequest) -> Seen {
        self.sender().await(request).await
    }

    /// The same for many: to make the whole interface takes longer than most requests.
    async fn sender(&self) -> impl AsyncFn(TestRequest) -> Seen + use<> {
        let service = init_service(app(self.context.clone())).await;
        async move |request: TestRequest| {
            let request = request.to_request();
            let (method, path) = (request.method().clone(), request.path().to_owned());
            Seen::read(&method, &path, call_service(&service, request).await).await
        }
    }

    /// Sends one whose body comes piece by piece.
    async fn send_in_pieces(
        &self,
        request: TestRequest,
        pieces: impl Stream<Item = Result<web::Bytes, PayloadError>> + 'static,
    ) -> Seen {
        let service = init_service(app(self.context.clone())).await;
        let pieces: Pin<Box<dyn Stream<Item = Result<web::Bytes, PayloadError>>>> = Box::pin(pieces);
        let (request, _) = request.to_request().replace_payload(Payload::from(pieces));
        let (method, path) = (request.method().clone(), request.path().to_owned());
        Seen::read(&method, &path, call_service(&service, request).await).await
    }

    /// A request with the administrator's token.
    fn admin(&self, method: Method, path: &str) -> TestRequest {
        ask(method, path, &self.admin)
    }

    /// Sends one with a JSON body.
    async fn write(&self, method: Method, path: &str, body: Value) -> Seen {
        self.send(self.admin(method, path).set_json(body)).await
    }

    async fn get(&self, path: &str) -> Seen {
        self.send(self.admin(Method::GET, path)).await
    }
}

/// A request to a loopback listener; no token when it is empty.
fn ask(method: Method, path: &str, token: &str) -> TestRequest {
    let request = TestRequest::default().method(method).uri(path).insert_header((header::HOST, "localhost"));
    if token.is_empty() { request } else { request.insert_header((header::AUTHORIZATION, format!("Bearer {token}"))) }
}

/// What holds for every answer: an id, the form of refusals, and what the document says of that operation.
fn check_answer(method: &Method, path: &str, seen: &Seen) {
    let name = format!("{method} {path} {}", seen.status);
    assert!(seen.header("x-request-id".parse().unwrap()).starts_with("r_"), "{name}");
    assert_eq!(seen.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff", "{name}");
    let document = document::json();
    if seen.status.is_client_error() || seen.status.is_server_error() {
        assert_eq!(seen.header(header::CONTENT_TYPE), "application/problem+json", "{name}: {}", seen.body);
        assert_eq!(seen.body["status"], seen.status.as_u16(), "{name}");
        assert_eq!(seen.body["instance"], seen.header("x-request-id".parse().unwrap()), "{name}");
        let faults = validate(document, &document["components"]["schemas"]["Problem"], &seen.body);
        assert!(faults.is_empty(), "{name}: {faults:?} {}", seen.body);
    }
    let method = if method == Method::HEAD { "get".into() } else { method.as_str().to_lowercase() };
    let Some(operation) = document::operation(path, &method) else { return };
    let response = &operation["responses"][seen.status.as_str()];
    let response = response["$ref"].as_str().and_then(|name| document.pointer(&name[1..])).unwrap_or(response);
    assert!(response.is_object(), "{name} is not in the document: {}", seen.body);
    let schema = &response["content"]["application/json"]["schema"];
    if schema.is_object() && !seen.body.is_null() {
        let faults = validate(document, schema, &seen.body);
        assert!(faults.is_empty(), "{name}: {faults:?} {}", seen.body);
    }
}
