use actix_web::http::header;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, get, web};

use crate::http::caller::{Allowed, CallerName, EventsRead};
use crate::http::context::Context;
use crate::http::live::{self, Topics};
use crate::http::problem::{Code, Problem};

/// Follows what happens, as server-sent events: `event` is the topic, `data` a JSON object with at least `at` and `kind`,
/// `id` rises. Only what is on disk is told, except for the lines of a dialogue with a peer and for connections. A client
/// that comes back with `Last-Event-ID` gets what it has missed; where that is not kept any more, or the server was
/// started anew, `event: reset` says that what the client shows has to be read again. A comment comes every 15 seconds.
///
/// | topic | needs besides `events:read` | fields besides `at` and `kind` |
/// |---|---|---|
/// | `queue` | `queue:read` | `message_id`, `queue_id`, `recipient`, `domain`, `state` (`due`, `waiting`, `in_flight`, `held`, `gone`), `attempts`, `next_attempt_at` |
/// | `delivery` | `trace:read` | the fields of an event of the trace; `message_id` is the id of its story |
/// | `session` | `sessions:read` | `connection`, `listener`, `peer_ip`, `implicit_tls`, `duration_ms`; kinds `opened`, `closed` |
/// | `turn` | `turn:read` | `session_id`, `peer`; of a `line` also `direction` (`in`, `out`, `note`) and `line`, of the others `verb`, `sent`, `received`, `refused`, `outcome` |
/// | `job` | `jobs:read` | `id`, `job_kind`, `target`, `state`, `progress`, `session`, `problem` |
/// | `health` | | `state`, `sentence` |
/// | `audit` | `audit:read` | the fields of an entry of the audit |
///
/// A caller that is restricted to domains gets what is about its own mail and its own jobs.
#[utoipa::path(
    tag = "events",
    params(
        ("topics" = Option<String>, Query, description = "Which topics, separated by commas; default: all that the caller may follow"),
        ("seconds" = Option<u64>, Query, description = "Ends after so many seconds, at most a day; default: goes on"),
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that the client has seen"),
    ),
    responses(
        (status = 200, description = "The events", body = String, content_type = "text/event-stream"),
        (status = 503, description = "Too many follow already"),
    )
)]
#[get("/events")]
pub(in crate::http) async fn get_events(
    allowed: Allowed<EventsRead>,
    request: HttpRequest,
    context: web::Data<Context>,
) -> Result<HttpResponse, Problem> {
    let asked = Topics::read(&request)?;
    let topics = asked.of(&allowed.caller)?;
    let name = request.extensions().get::<CallerName>().map(|name| name.0.clone()).unwrap_or_default();
    let seat = context.hub.sit(&name).ok_or_else(|| {
        Problem::new(Code::Busy, "As many follow the events already as may, in all or with this token.")
            .with_header(header::RETRY_AFTER, "30")
    })?;
    let events = live::follow(&context, &request, allowed.caller, (asked, topics), seat);
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/event-stream"))
        .insert_header((header::CACHE_CONTROL, "no-store, no-transform"))
        // A proxy that waits for more would hold the events back.
        .insert_header(("x-accel-buffering", "no"))
        .streaming(events))
}
