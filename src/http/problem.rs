use std::fmt;

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

use crate::store::{StoreError, WriteError};

/// The closed list of what can go wrong. The name is part of the interface: `urn:pillarbox:problem:<name>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    BadRequest,
    MalformedJson,
    TokenInUrl,
    Unauthorized,
    Forbidden,
    CrossSite,
    NeedsTls,
    NotFound,
    BodyGone,
    MethodNotAllowed,
    RequestTimeout,
    Conflict,
    PreconditionFailed,
    PreconditionRequired,
    BodyTooLarge,
    UnsupportedMediaType,
    NoSuchPart,
    Misdirected,
    Invalid,
    TooMany,
    Busy,
    NotReady,
    Unavailable,
    DiskFull,
}

impl Code {
    /// Status, name and title.
    fn facts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::BadRequest => (StatusCode::BAD_REQUEST, "bad-request", "The request can't be read"),
            Self::MalformedJson => (StatusCode::BAD_REQUEST, "malformed-json", "The body is not JSON"),
            Self::TokenInUrl => (StatusCode::BAD_REQUEST, "token-in-url", "A token does not belong into a URL"),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized", "It must be known who asks"),
            Self::Forbidden => (StatusCode::FORBIDDEN, "forbidden", "Who asks may not do this"),
            Self::CrossSite => (StatusCode::FORBIDDEN, "cross-site", "This does not come from the page itself"),
            Self::NeedsTls => (StatusCode::FORBIDDEN, "needs-tls", "This would travel in the clear"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found", "There is no such thing"),
            Self::BodyGone => (StatusCode::GONE, "body_gone", "The content is not kept any more"),
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "This can't be done with that method")
            }
            Self::RequestTimeout => (StatusCode::REQUEST_TIMEOUT, "request-timeout", "The body did not arrive in time"),
            Self::Conflict => (StatusCode::CONFLICT, "conflict", "The present state does not allow this"),
            Self::PreconditionFailed => {
                (StatusCode::PRECONDITION_FAILED, "precondition-failed", "It is not as the request says")
            }
            Self::PreconditionRequired => {
                (StatusCode::PRECONDITION_REQUIRED, "precondition-required", "Say what the change is based on")
            }
            Self::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large"),
            Self::UnsupportedMediaType => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "The body is of the wrong type")
            }
            Self::NoSuchPart => (StatusCode::RANGE_NOT_SATISFIABLE, "no-such-part", "There is no such part of it"),
            Self::Misdirected => (StatusCode::MISDIRECTED_REQUEST, "misdirected", "This is not the host asked for"),
            Self::Invalid => (StatusCode::UNPROCESSABLE_ENTITY, "invalid", "The request is understood but wrong"),
            Self::TooMany => (StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "Too many requests"),
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy", "Too much at once"),
            Self::NotReady => (StatusCode::SERVICE_UNAVAILABLE, "not-ready", "The server does not take work now"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "A fault of the server"),
            Self::DiskFull => (StatusCode::INSUFFICIENT_STORAGE, "disk-full", "The disk is full"),
        }
    }
}

/// Every refusal of the interface (RFC 9457). The request id is added where the response leaves.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    code: Code,
    detail: String,
    faults: Vec<Fault>,
    headers: Vec<(HeaderName, HeaderValue)>,
    percent: Option<u8>,
    is_damage: bool,
}

/// One thing that is wrong with the request.
#[derive(Debug, Clone, Serialize, ToSchema, PartialEq, Eq)]
pub(super) struct Fault {
    /// Where in the body (RFC 6901); absent when it is not about the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub pointer: Option<String>,
    /// The parameter of the path or the query that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub parameter: Option<String>,
    /// What kind of fault, as a stable word.
    pub code: String,
    /// The same for people.
    pub message: String,
}

impl Fault {
    /// A fault of the body.
    pub fn body(pointer: impl Into<String>, code: &str, message: impl Into<String>) -> Self {
        Self { pointer: Some(pointer.into()), parameter: None, code: code.into(), message: message.into() }
    }

    /// A fault of a parameter.
    pub fn parameter(name: &str, code: &str, message: impl Into<String>) -> Self {
        Self { pointer: None, parameter: Some(name.into()), code: code.into(), message: message.into() }
    }

    /// A reason that is about no part of the request.
    pub fn reason(code: &str, message: impl Into<String>) -> Self {
        Self { pointer: None, parameter: None, code: code.into(), message: message.into() }
    }

    /// Whether it is about a name that the schema does not have.
    pub fn is_unknown_field(&self) -> bool {
        self.code == UNKNOWN_FIELD
    }
}

/// The code of a [`Fault`] about a name that the schema does not have.
pub(super) const UNKNOWN_FIELD: &str = "unknown_field";

/// What every refusal looks like (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemDocument {
    /// `urn:pillarbox:problem:<name>`: stable, for programs.
    #[serde(rename = "type")]
    pub kind: String,
    /// What kind of problem, for people.
    pub title: String,
    /// The HTTP status again.
    pub status: u16,
    /// What is wrong this time, and what to do.
    pub detail: String,
    /// The request's id, as in the log and in `X-Request-Id`.
    pub instance: String,
    /// Each single fault.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub errors: Vec<Fault>,
    /// How far what stands in the way is, in percent, where that is known: a repair of the file at the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, maximum = 100)]
    pub percent: Option<u8>,
}

impl Problem {
    /// A problem of that kind.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), faults: Vec::new(), headers: Vec::new(), percent: None, is_damage: false }
    }

    /// 422 with its faults; the detail counts them.
    pub fn invalid(faults: Vec<Fault>) -> Self {
        let detail = match faults.as_slice() {
            [one] => one.message.clone(),
            many => format!("{} faults, listed in errors", many.len()),
        };
        Self { faults, ..Self::new(Code::Invalid, detail) }
    }

    /// 404 for a thing that a handler did not find.
    pub fn not_found(what: &str, name: impl fmt::Display) -> Self {
        Self::new(Code::NotFound, format!("There is no {what} {name}."))
    }

    /// A fault of ours: the cause goes to the log, never to the client.
    pub fn internal(cause: impl fmt::Display) -> Self {
        tracing::error!(event = "http_fault", cause = %cause, "a request failed by our fault");
        Self::new(Code::Unavailable, "A fault of the server, not of the request: it is in the server's log. Try again.")
    }

    /// The same, where the cause is that the file is damaged.
    fn damage(cause: impl fmt::Display) -> Self {
        Self { is_damage: true, ..Self::internal(cause) }
    }

    /// The same problem with its single faults.
    pub fn with_faults(mut self, faults: Vec<Fault>) -> Self {
        self.faults = faults;
        self
    }

    /// The same problem with a header field.
    pub fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    /// The same problem with how far it is on its way to its end.
    pub fn with_percent(mut self, percent: u8) -> Self {
        self.percent = Some(percent);
        self
    }

    /// Several faults under one code; the detail counts them.
    pub fn many(code: Code, faults: Vec<Fault>) -> Self {
        Self { code, ..Self::invalid(faults) }
    }

    /// Whether the caller may not.
    pub fn is_forbidden(&self) -> bool {
        self.code == Code::Forbidden
    }

    /// Whether it is that the file is damaged.
    pub fn is_damage(&self) -> bool {
        self.is_damage
    }

    /// Whether it is that the present state does not allow it.
    pub fn is_conflict(&self) -> bool {
        self.code == Code::Conflict
    }

    /// Its faults, as those of a part of a body that lies at `pointer`.
    pub fn faults_below(self, pointer: &str) -> Vec<Fault> {
        if self.faults.is_empty() {
            return vec![Fault::body(pointer, &self.code.facts().1.replace('-', "_"), self.detail)];
        }
        let place = |fault: Fault| Fault {
            pointer: Some(format!("{pointer}{}", fault.pointer.unwrap_or_default())),
            parameter: None,
            ..fault
        };
        self.faults.into_iter().map(place).collect()
    }

    /// The same about the whole of what it is about.
    pub fn without_pointers(mut self) -> Self {
        self.faults.iter_mut().for_each(|fault| fault.pointer = None);
        self
    }

    /// It in one line, for a log or a terminal.
    pub fn line(&self) -> String {
        let place = |fault: &Fault| {
            let place = fault.pointer.as_deref().or(fault.parameter.as_deref()).unwrap_or_default();
            format!("{place}: {}", fault.message)
        };
        match self.faults.as_slice() {
            [] => self.detail.clone(),
            [one] => place(one),
            [first, others @ ..] => format!("{} (and {} more faults)", place(first), others.len()),
        }
    }

    /// Whether one of its faults is there.
    #[cfg(test)]
    pub fn points_at(&self, pointer: &str) -> bool {
        self.faults.iter().any(|fault| fault.pointer.as_deref() == Some(pointer))
    }

    /// What stands for a refusal that actix made itself.
    pub fn from_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::new(Code::NotFound, "There is nothing at this path."),
            StatusCode::METHOD_NOT_ALLOWED => Self::new(Code::MethodNotAllowed, "Not with this method."),
            StatusCode::PAYLOAD_TOO_LARGE => Self::new(Code::BodyTooLarge, "The body is too large."),
            StatusCode::REQUEST_TIMEOUT => Self::new(Code::RequestTimeout, "Send the whole request sooner."),
            status if status.is_client_error() => Self::new(Code::BadRequest, "The request can't be read."),
            status => Self::internal(status),
        }
    }

    /// The response, whole.
    pub fn render(self, request_id: &str) -> HttpResponse {
        let (status, name, title) = self.code.facts();
        let document = ProblemDocument {
            kind: format!("urn:pillarbox:problem:{name}"),
            title: title.into(),
            status: status.as_u16(),
            detail: self.detail,
            instance: request_id.into(),
            errors: self.faults,
            percent: self.percent,
        };
        let mut response = HttpResponse::build(status);
        for field in self.headers {
            response.insert_header(field);
        }
        response.insert_header((header::CONTENT_TYPE, "application/problem+json")).json(document)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.code.facts().0
    }

    /// An empty response that carries the problem to where it is rendered with the request's id.
    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::new(self.status_code());
        response.extensions_mut().insert(self.clone());
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Closed => Self::new(Code::NotReady, "The server is stopping, or its storage has failed."),
            error @ StoreError::Damaged { .. } => Self::damage(error),
            error => Self::internal(error),
        }
    }
}

/// How an op's own refusal reads to the client.
pub(super) trait Refusal {
    /// Whether it is that a precondition does not hold (any more).
    fn is_precondition(&self) -> bool;

    /// The problem that says it.
    fn problem(self) -> Problem;
}

impl<R: Refusal> From<WriteError<R>> for Problem {
    fn from(error: WriteError<R>) -> Self {
        match error {
            WriteError::Refused(refusal) => refusal.problem(),
            WriteError::Full => Self::new(
                Code::DiskFull,
                "The disk has less free space than the reserve (setting disk.reserve_bytes): free some, then try again.",
            ),
            WriteError::Panicked => Self::internal("the operation panicked and was undone"),
            WriteError::Damaged(what) => Self::damage(what),
            WriteError::Closed(cause) => {
                tracing::error!(event = "http_fault", %cause, "the store takes no writes");
                Self::new(Code::NotReady, "The server is stopping, or its storage has failed.")
            }
        }
    }
}
