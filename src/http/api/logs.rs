use std::future::{Ready, ready};
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, get, put, web};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tracing::Level;
use utoipa::ToSchema;

use crate::base::{Timestamp, limits};
use crate::http::body::Body;
use crate::http::caller::{Allowed, EventsRead, SettingsWrite};
use crate::http::context::Context;
use crate::http::page::{NoQuery, pairs, refuse_unknown};
use crate::http::problem::{Fault, Problem};
use crate::telemetry::{self, FilterError, LogLine, Since};

/// Lines of the log.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct LogPage {
    /// The lines, the oldest first.
    items: Vec<LogEntry>,
    /// The id of the newest line that was looked at: what comes next is behind it.
    next_after: u64,
}

/// A line of the log.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct LogEntry {
    /// Its number since the start of the server.
    id: u64,
    /// When.
    at: String,
    /// How grave it is.
    level: LogLevel,
    /// The module that it comes from, as in `pillarbox::smtp::server`.
    target: String,
    /// The event's stable name, as in `accepted`; else what is said.
    event: String,
    /// All that is said, by name.
    #[schema(value_type = Object)]
    fields: Map<String, Value>,
}

/// How grave a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum LogLevel {
    /// Something is broken.
    Error,
    /// Something may be.
    Warn,
    /// What the server does.
    Info,
    /// How it does it.
    Debug,
    /// Each single step.
    Trace,
}

impl LogLevel {
    fn of(level: Level) -> Self {
        match level {
            Level::ERROR => Self::Error,
            Level::WARN => Self::Warn,
            Level::INFO => Self::Info,
            Level::DEBUG => Self::Debug,
            Level::TRACE => Self::Trace,
        }
    }

    fn level(self) -> Level {
        match self {
            Self::Error => Level::ERROR,
            Self::Warn => Level::WARN,
            Self::Info => Level::INFO,
            Self::Debug => Level::DEBUG,
            Self::Trace => Level::TRACE,
        }
    }
}

/// What is to be logged.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct LogFilterInput {
    /// A level (`error`, `warn`, `info`, `debug`, `trace`) for all rooms of the server, or `pillarbox::ROOM=LEVEL`;
    /// several are separated by commas. What libraries say can't be asked for: it may hold secrets.
    #[schema(max_length = 1000)]
    filter: String,
    /// For how long; then the usual is logged again.
    #[schema(minimum = 1, maximum = 86400)]
    seconds: u64,
}

/// What is logged.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct LogFilter {
    /// The filter.
    filter: String,
    /// Until when.
    until_at: String,
}

/// Which lines are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::http) struct LogQuery {
    level: Level,
    target: String,
    after: Option<After>,
    limit: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    Id(u64),
    Time(Timestamp),
}

impl FromRequest for LogQuery {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::parse(request.query_string()))
    }
}

impl LogQuery {
    fn parse(query: &str) -> Result<Self, Problem> {
        let given = pairs(query)?;
        refuse_unknown(&given, &["level", "target", "after", "limit"])?;
        let mut wanted = Self { level: Level::TRACE, target: String::new(), after: None, limit: limits::PAGE_ITEMS };
        let mut faults = Vec::new();
        for (name, value) in given {
            match name.as_str() {
                "level" => match serde_json::from_value::<LogLevel>(Value::from(value)) {
                    Ok(level) => wanted.level = level.level(),
                    Err(_) => {
                        let message = "expected error, warn, info, debug or trace";
                        faults.push(Fault::parameter("level", "not_allowed", message));
                    }
                },
                "target" => wanted.target = value,
                "after" => match (value.parse(), Timestamp::parse_rfc3339(&value)) {
                    (Ok(id), _) => wanted.after = Some(After::Id(id)),
                    (_, Some(at)) => wanted.after = Some(After::Time(at)),
                    _ => {
                        let message = "neither a line's id nor a time as in 2027-01-31T00:00:00Z (RFC 3339)";
                        faults.push(Fault::parameter("after", "malformed", message));
                    }
                },
                _ => match value.parse() {
                    Ok(limit) if (1..=limits::PAGE_ITEMS_MAX).contains(&limit) => wanted.limit = limit,
                    _ => {
                        let range = format!("a number from 1 to {}", limits::PAGE_ITEMS_MAX);
                        faults.push(Fault::parameter("limit", "out_of_range", range));
                    }
                },
            }
        }
        if faults.is_empty() { Ok(wanted) } else { Err(Problem::invalid(faults)) }
    }

    fn takes(&self, line: &LogLine) -> bool {
        // The graver is the lesser.
        let is_late = !matches!(self.after, Some(After::Time(at)) if line.at <= at);
        line.level <= self.level && line.target.starts_with(&self.target) && is_late
    }

    /// The lines behind an id, the first of them; else the newest.
    fn page(&self) -> LogPage {
        let ring = telemetry::log();
        let newest = ring.newest();
        let mut lines = match self.after {
            Some(After::Id(after)) => ring.since(after, usize::MAX),
            _ => Since::Gap { newest },
        };
        let is_whole = matches!(lines, Since::Entries(_));
        if !is_whole {
            // From the oldest that is kept.
            lines = ring.oldest();
        }
        let Since::Entries(lines) = lines else { return LogPage { items: Vec::new(), next_after: newest } };
        let mut seen: Vec<_> = lines.into_iter().filter(|(_, line)| self.takes(line)).collect();
        if is_whole && seen.len() > self.limit {
            seen.truncate(self.limit);
            let next_after = seen.last().map_or(newest, |(id, _)| *id);
            return LogPage { items: seen.iter().map(LogEntry::of).collect(), next_after };
        }
        let items = seen.split_off(seen.len().saturating_sub(self.limit));
        LogPage {
            next_after: items.last().map_or(newest, |(id, _)| newest.max(*id)),
            items: items.iter().map(LogEntry::of).collect(),
        }
    }
}

impl LogEntry {
    fn of((id, line): &(u64, std::sync::Arc<LogLine>)) -> Self {
        Self {
            id: *id,
            at: line.at.rfc3339(),
            level: LogLevel::of(line.level),
            target: line.target.clone(),
            event: line.event.clone(),
            fields: line.fields.clone(),
        }
    }
}

/// The newest lines of the log, as they are kept in memory: the oldest of them first. With `after` and the id of a line,
/// those behind it. Not for callers that are restricted to domains.
#[utoipa::path(
    tag = "events",
    params(
        ("level" = Option<LogLevel>, Query, description = "Only lines of this level or graver"),
        ("target" = Option<String>, Query, description = "Only lines of modules that begin so"),
        ("after" = Option<String>, Query, description = "Only lines behind this id, or later than this time (RFC 3339)"),
        ("limit" = Option<usize>, Query, description = "At most so many lines", minimum = 1, maximum = 500, nullable = false),
    ),
    responses((status = 200, description = "Lines of the log", body = LogPage))
)]
#[get("/logs")]
pub(in crate::http) async fn list_logs(
    allowed: Allowed<EventsRead>,
    query: LogQuery,
) -> Result<web::Json<LogPage>, Problem> {
    allowed.caller.need_unrestricted("read the log")?;
    Ok(web::Json(query.page()))
}

/// Logs more, or less, for some time; then the usual again.
#[utoipa::path(
    tag = "events",
    request_body = LogFilterInput,
    responses((status = 200, description = "What is logged now", body = LogFilter))
)]
#[put("/log-filter")]
pub(in crate::http) async fn put_log_filter(
    allowed: Allowed<SettingsWrite>,
    _none: NoQuery,
    context: web::Data<Context>,
    body: Body<LogFilterInput>,
) -> Result<web::Json<LogFilter>, Problem> {
    allowed.caller.need_unrestricted("change what is logged")?;
    let LogFilterInput { filter, seconds } = body.0;
    let wanted = telemetry::LogFilter::read(&filter).map_err(filter_problem)?;
    // On disk before it takes effect: nobody looks closer without that being known.
    allowed.note(&context, &filter, Some(serde_json::json!({"filter": filter, "seconds": seconds}))).await?;
    let change = telemetry::set_filter(wanted).map_err(filter_problem)?;
    let until_at = context.clock.now().plus_ms(seconds * 1000).rfc3339();
    // Detached: it outlives the request, and an end of the server ends it.
    actix_web::rt::spawn(async move {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        telemetry::unset_filter(change);
    });
    Ok(web::Json(LogFilter { filter, until_at }))
}

fn filter_problem(error: FilterError) -> Problem {
    match error {
        FilterError::Malformed(_) => Problem::invalid(vec![Fault::body("/filter", "malformed", error.to_string())]),
        FilterError::Fixed(cause) => Problem::internal(cause),
    }
}
