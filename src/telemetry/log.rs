use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, OnceLock};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::{EnvFilter, Layer};

use super::Ring;
use crate::base::{Clock, SystemClock, Timestamp, limits};

/// What is logged: the server's own events, and only trouble from the libraries. actix_http calls it an error when a
/// client sends nonsense; hickory writes answers out whole that it can't prove, and the record of the attempt says what of.
const FILTER: &str = "info,actix_http=off,actix_server=warn,hickory_net::dnssec=off,mio=warn,rustls=warn";
/// Where the server's own events come from.
const OWN: &str = "pillarbox";

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When.
    pub at: Timestamp,
    /// How grave it is.
    pub level: Level,
    /// The module that it comes from.
    pub target: String,
    /// The event's stable name, where it has one; else what is said.
    pub event: String,
    /// All that is said, by name; numbers and truths as such.
    pub fields: Map<String, Value>,
}

/// The newest lines of the log of this process.
pub fn log() -> &'static Ring<LogLine> {
    static LOG: LazyLock<Ring<LogLine>> = LazyLock::new(|| Ring::new(limits::LOG_LINES_KEPT, limits::LOG_KEPT_BYTES));
    &LOG
}

/// Keeps each event of the log in a ring.
pub struct LogKeeper(&'static Ring<LogLine>);

impl LogKeeper {
    /// One that keeps them in [`log`].
    pub fn new() -> Self {
        Self(log())
    }
}

impl Default for LogKeeper {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Subscriber> Layer<S> for LogKeeper {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let mut fields = Fields::default();
        event.record(&mut fields);
        let said = |name: &str| fields.map.get(name).and_then(Value::as_str).map(str::to_owned);
        let line = LogLine {
            at: SystemClock.now(),
            level: *metadata.level(),
            target: metadata.target().to_owned(),
            event: said("event").or_else(|| said("message")).unwrap_or_default(),
            fields: fields.map,
        };
        self.0.push(line, 256 + fields.bytes);
    }
}

/// The fields of an event, each cut to a bounded length.
#[derive(Default)]
struct Fields {
    map: Map<String, Value>,
    bytes: usize,
}

impl Fields {
    fn add(&mut self, field: &Field, value: Value) {
        if self.map.len() < limits::LOG_FIELDS {
            self.bytes += field.name().len() + value.as_str().map_or(16, str::len) + 32;
            self.map.insert(field.name().to_owned(), value);
        }
    }

    fn add_text(&mut self, field: &Field, text: &str) {
        self.add(field, text.chars().take(limits::LOG_FIELD_CHARS).collect::<String>().into());
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add_text(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add_text(field, &format!("{value:?}"));
    }
}

type Reload = Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>;

static RELOAD: OnceLock<Reload> = OnceLock::new();
/// Counts the changes of the filter: only the last one is taken back.
static CHANGES: AtomicU64 = AtomicU64::new(0);

/// What is logged unless somebody asks for more.
pub fn usual_filter() -> EnvFilter {
    EnvFilter::new(FILTER)
}

/// Says how the filter is changed, once.
pub fn on_filter(reload: impl Fn(EnvFilter) -> Result<(), String> + Send + Sync + 'static) {
    let _ = RELOAD.set(Box::new(reload));
}

/// Why the log's filter was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// It can't be read.
    #[error("{0:?} is no filter: expected a level (error, warn, info, debug, trace), or pillarbox::ROOM=LEVEL, …")]
    Malformed(String),
    /// The log of this process can't be changed.
    #[error("the log's filter can't be changed: {0}")]
    Fixed(String),
}

/// What is to be logged, beside the usual, and is not yet.
#[derive(Debug)]
pub struct LogFilter(EnvFilter);

impl LogFilter {
    /// Reads `LEVEL`, or `pillarbox::ROOM=LEVEL`, separated by commas. Only of the server's own rooms: what libraries say in
    /// detail may hold secrets.
    ///
    /// # Errors
    /// [`FilterError::Malformed`].
    pub fn read(filter: &str) -> Result<Self, FilterError> {
        let mut whole = FILTER.to_owned();
        for part in filter.split(',').map(str::trim) {
            whole = format!("{whole},{}", directive(part).ok_or_else(|| FilterError::Malformed(part.to_owned()))?);
        }
        EnvFilter::try_new(whole).map(Self).map_err(|_| FilterError::Malformed(filter.to_owned()))
    }
}

/// Changes what is logged. Gives the number of the change for [`unset_filter`].
///
/// # Errors
/// [`FilterError::Fixed`].
pub fn set_filter(filter: LogFilter) -> Result<u64, FilterError> {
    apply(filter.0)?;
    Ok(CHANGES.fetch_add(1, Ordering::SeqCst) + 1)
}

/// Logs the usual again, unless the filter was changed once more since that change.
pub fn unset_filter(change: u64) {
    if CHANGES.load(Ordering::SeqCst) == change
        && let Err(error) = apply(usual_filter())
    {
        tracing::error!(event = "log_filter", %error, "the usual can't be logged again");
    }
}

fn apply(filter: EnvFilter) -> Result<(), FilterError> {
    let reload = RELOAD.get().ok_or_else(|| FilterError::Fixed("nothing is logged".into()))?;
    reload(filter).map_err(FilterError::Fixed)
}

fn directive(part: &str) -> Option<String> {
    let (target, level) = part.split_once('=').unwrap_or((OWN, part));
    let is_own = target == OWN || target.strip_prefix(OWN).is_some_and(|rest| rest.starts_with("::"));
    let is_path = target.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'));
    let level: Level = level.parse().ok().filter(|_| level.chars().all(|c| c.is_ascii_alphabetic()))?;
    (is_own && is_path).then(|| format!("{target}={}", level.as_str().to_lowercase()))
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::telemetry::Since;

    #[test]
    fn filters_name_rooms_of_the_server() {
        for (part, expected) in [
            ("debug", Some("pillarbox=debug")),
            ("TRACE", Some("pillarbox=trace")),
            ("pillarbox::smtp=debug", Some("pillarbox::smtp=debug")),
            ("pillarbox=warn", Some("pillarbox=warn")),
            ("rustls=trace", None),
            ("pillarboxes=trace", None),
            ("pillarbox::x[{password}]=trace", None),
            ("5", None),
            ("loud", None),
            ("", None),
        ] {
            assert_eq!(directive(part).as_deref(), expected, "{part}");
        }
    }

    #[test]
    fn events_are_kept_with_their_fields_and_bounded() {
        let ring: &'static Ring<LogLine> = Box::leak(Box::new(Ring::new(10, 100_000)));
        let subscriber = tracing_subscriber::registry().with(LogKeeper(ring));
        tracing::subscriber::with_default(subscriber, || {
            let hostile = "a\r\n\u{1b}[2J";
            tracing::info!(event = "accepted", size_bytes = 7_u64, ok = true, helo = hostile, "a message");
            tracing::warn!("{}", "x".repeat(10_000));
        });
        let Since::Entries(lines) = ring.since(0, 10) else { panic!("they are kept") };
        let lines: Vec<&LogLine> = lines.iter().map(|(_, line)| &**line).collect();
        assert_eq!((lines[0].event.as_str(), lines[0].level), ("accepted", Level::INFO));
        assert!(lines[0].target.starts_with("pillarbox::telemetry"));
        let fields = serde_json::json!({"event": "accepted", "size_bytes": 7, "ok": true, "helo": "a\r\n\u{1b}[2J",
            "message": "a message"});
        assert_eq!(Value::Object(lines[0].fields.clone()), fields);
        assert_eq!((lines[1].event.len(), lines[1].level), (limits::LOG_FIELD_CHARS, Level::WARN));
    }
}
