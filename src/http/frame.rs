use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::http::{Method, Version, header};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, web};

use super::caller::CallerName;
use super::context::Context;
use super::limiter::Left;
use super::problem::{Code, Problem};
use super::via::is_socket;
use super::well_known::MTA_STS;
use crate::telemetry::metrics;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Query keys under which tokens are known to be put.
const TOKEN_KEYS: [&str; 6] = ["access_token", "api_key", "apikey", "auth", "authorization", "token"];

/// The request's id, for those who write it down.
#[derive(Clone)]
pub(super) struct RequestId(pub String);

/// What every request passes: its id, the checks that hold for all of them, and the form of what goes out.
pub(super) async fn frame(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let id = match request.app_data::<web::Data<Context>>() {
        Some(context) => format!("r_{:016x}", context.random.next_u64()),
        None => String::new(),
    };
    request.extensions_mut().insert(RequestId(id.clone()));
    let (method, path) = (request.method().clone(), request.path().to_owned());
    // RFC 9110 §9.3.2: HEAD is GET without the content, which actix then leaves out by itself.
    if method == Method::HEAD {
        request.head_mut().method = Method::GET;
    }
    let mut response = match admit(&request) {
        Ok(()) => next.call(request).await?.map_into_boxed_body(),
        Err(problem) => request.error_response(problem),
    };
    if let Some(problem) = problem_of(&response) {
        response = response.into_response(problem.render(&id));
    }
    // What goes on for as long as somebody follows ends here: nobody does.
    if method == Method::HEAD && response.response().body().size() == BodySize::Stream {
        response = response.map_body(|_, _| BoxBody::new(actix_web::body::None::new()));
    }
    metrics().http_request(method_label(&method), response.status().as_u16());
    log(&response, &id, &method, &path);
    finish(&mut response, &id);
    add_rate(&mut response);
    Ok(response)
}

/// One line for each request: a read is of interest only when it is looked for.
fn log(response: &ServiceResponse, request_id: &str, method: &Method, path: &str) {
    let status = response.status().as_u16();
    let extensions = response.request().extensions();
    let caller = extensions.get::<CallerName>().map(|name| name.0.as_str());
    let peer_ip = response.request().peer_addr().map(|peer| tracing::field::display(peer.ip()));
    if response.status().is_server_error() {
        tracing::warn!(event = "http_request", request_id, %method, path, status, caller, peer_ip);
    } else if method == Method::GET || method == Method::HEAD {
        tracing::debug!(event = "http_request", request_id, %method, path, status, caller, peer_ip);
    } else {
        tracing::info!(event = "http_request", request_id, %method, path, status, caller, peer_ip);
    }
}

/// A method as the figures name it: of a closed set.
fn method_label(method: &Method) -> &'static str {
    const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    METHODS.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}

/// The problem to render: a handler's own, or one for a refusal that actix made.
fn problem_of(response: &ServiceResponse) -> Option<Problem> {
    if let Some(problem) = response.response().extensions().get::<Problem>() {
        return Some(problem.clone());
    }
    let status = response.status();
    (status.is_client_error() || status.is_server_error()).then(|| Problem::from_status(status))
}

fn finish(response: &mut ServiceResponse, id: &str) {
    let is_tls = response.request().app_config().secure();
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if is_tls {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
}

/// What is left of the caller's rate (draft-ietf-httpapi-ratelimit-headers-10).
fn add_rate(response: &mut ServiceResponse) {
    let Some(left) = response.request().extensions().get::<Left>().copied() else { return };
    let fields = [
        ("ratelimit-policy", format!("\"requests\";q={};w=60", left.quota)),
        ("ratelimit", format!("\"requests\";r={};t={}", left.remaining, left.reset_s)),
    ];
    for (name, value) in fields {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
}

fn admit(request: &ServiceRequest) -> Result<(), Problem> {
    check_host(request)?;
    check_query(request.query_string())
}

/// A page elsewhere can let its own name point to 127.0.0.1 and so reach a loopback listener by a name that is not
/// ours (DNS rebinding). Addresses can't be rebound, so they pass.
fn check_host(request: &ServiceRequest) -> Result<(), Problem> {
    // It says the same to everybody, under names that are not ours alone.
    if request.path() == MTA_STS {
        return Ok(());
    }
    if is_socket(request.request()) || !request.app_config().local_addr().ip().is_loopback() {
        return Ok(());
    }
    let host = match request.headers().get(header::HOST) {
        // RFC 9112 §3.2: an HTTP/1.0 request may come without; no browser sends one.
        None if request.version() < Version::HTTP_11 => return Ok(()),
        None => return Err(Problem::new(Code::BadRequest, "The request has no Host header field (RFC 9112, 3.2).")),
        Some(host) => host.to_str().unwrap_or_default(),
    };
    let own = request.app_data::<web::Data<Context>>().map(|context| context.hostname.as_str());
    if is_own_name(host, own) {
        return Ok(());
    }
    Err(Problem::new(
        Code::Misdirected,
        "This listener is bound to loopback and answers to localhost, to IP addresses and to the server's own name.",
    ))
}

fn is_own_name(host: &str, own: Option<&str>) -> bool {
    let name = if let Some(inside) = host.strip_prefix('[') {
        return inside.split_once(']').is_some_and(|(ip, _)| ip.parse::<std::net::Ipv6Addr>().is_ok());
    } else {
        host.split_once(':').map_or(host, |(name, _)| name)
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<std::net::Ipv4Addr>().is_ok()
        || own.is_some_and(|own| own.eq_ignore_ascii_case(&name))
}

/// URLs end up in logs and histories.
fn check_query(query: &str) -> Result<(), Problem> {
    let is_token = |pair: &str| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        TOKEN_KEYS.iter().any(|known| key.eq_ignore_ascii_case(known)) || value.contains("pbx_")
    };
    if query.split('&').any(is_token) {
        return Err(Problem::new(
            Code::TokenInUrl,
            "Send the token in the header field `Authorization: Bearer …`; what stands in a URL is kept in logs. \
             If it was a real one, delete it and make another.",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loopback_listener_answers_to_its_own_names() {
        for good in
            ["localhost", "localhost:8080", "127.0.0.1:1", "[::1]:80", "LOCALHOST.", "mail.example.test", "a.localhost"]
        {
            assert!(is_own_name(good, Some("mail.example.test")), "{good}");
        }
        for wrong in
            ["", "evil.test", "evil.test:8080", "localhost.evil.test", "[evil]", "127.0.0.1.evil.test", "xlocalhost"]
        {
            assert!(!is_own_name(wrong, Some("mail.example.test")), "{wrong}");
        }
    }

    #[test]
    fn tokens_in_a_query_are_seen() {
        for wrong in ["token=x", "limit=1&access_token=y", "TOKEN=", "q=pbx_1_abc"] {
            assert!(check_query(wrong).is_err(), "{wrong}");
        }
        for good in ["", "limit=1", "q=token", "cursor=abc"] {
            assert!(check_query(good).is_ok(), "{good}");
        }
    }
}
